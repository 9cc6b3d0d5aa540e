//! What Holdfast stores in the blob store, and how: keys, formats and their versions.
//!
//! Every service meets the others' data through this crate: snapshots of customers, model manifests, the champion log, the
//! record of rollouts, the record of approvals, the prediction log, compared scores and outcomes. Three rules hold for all of it.
//!
//! * **A key has one spelling.** [`layout`] builds every key and parses it back.
//! * **A stored object proves itself.** Parquet objects and JSON records carry a SHA-256 over all their other bytes, checked
//!   before anything is decoded: a flipped byte is an error that names the key, never a wrong number and never a panic.
//! * **A format has a version, and an old version is read for ever.** Readers switch on it; `tests/samples` holds one object
//!   of every version there ever was.
//!
//! Correctness rests on the store's *create if absent* alone; nothing here is ever written over.

mod append_log;
pub mod approval;
pub mod champion;
mod error;
pub mod evaluation;
mod features;
pub mod layout;
pub mod model_file;
pub mod model_manifest;
pub mod outcome;
pub mod prediction;
mod revision_log;
pub mod rollout;
mod sealed_json;
pub mod shadow;
pub mod snapshot;
mod stored;
mod table;
mod verify;

pub use error::{Error, FormatError};
pub use layout::{Location, PartitionHour, ReportFormat, Slug};

/// Result of this crate's calls to the blob store.
pub type Result<T, E = Error> = std::result::Result<T, E>;
