//! The adapters: wire types in, domain types out. One file for each of the two services; both call the same
//! [`Predictor`](crate::service::predict::Predictor).

mod convert;
mod inference;
mod open_inference;
mod rollout;
mod tensors;

use holdfast_chassis::error::Fault;
use tonic::Status;

use crate::error::Error;

pub(crate) use inference::{InferenceAdapter, Replica};
pub(crate) use open_inference::OpenInferenceAdapter;
pub(crate) use rollout::tally_out;

fn status(error: Error) -> Status {
    Fault::from(error).into()
}
