//! The adapter: wire types in, domain types out. One file for each service.

mod artifacts;
mod champion;
mod convert;
mod lineage;
mod models;
mod promotion;
mod registered;
mod rollout;
mod tracking;

use holdfast_chassis::error::Fault;
use holdfast_domain::ModelName;
use tonic::Status;

use crate::error::{Error, Violation};
use crate::service::store::PageRequest;

pub(crate) use artifacts::ArtifactAdapter;
pub(crate) use champion::ChampionAdapter;
pub(crate) use lineage::LineageAdapter;
pub(crate) use models::ModelAdapter;
pub(crate) use promotion::PromotionAdapter;
pub(crate) use registered::RegisteredModelAdapter;
pub(crate) use rollout::RolloutAdapter;
pub(crate) use tracking::TrackingAdapter;

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

fn status(error: Error) -> Status {
    Fault::from(error).into()
}

fn violation(field: &str, rule: &'static str, description: &str) -> Status {
    status(Violation::new(field, rule, description).into())
}

fn model_name(text: &str) -> Result<ModelName, Status> {
    text.parse::<ModelName>().map_err(|invalid| status(invalid.into()))
}

/// A page token is the position to go on from, as text.
fn page_request(size: u32, token: &str) -> Result<PageRequest, Status> {
    if size > LARGEST_PAGE {
        return Err(violation(
            "page_size",
            "above_maximum",
            "must be 0 (the default, 100) to 1,000",
        ));
    }
    let before = match token {
        "" => None,
        token => Some(
            token
                .parse()
                .map_err(|_| violation("page_token", "page_token", "must be a token of an earlier answer"))?,
        ),
    };
    Ok(PageRequest {
        size: if size == 0 { DEFAULT_PAGE } else { size },
        before,
    })
}

fn page_token(next: Option<i64>) -> String {
    next.map(|position| position.to_string()).unwrap_or_default()
}
