//! What the gateway answers and how it gets it: shapes of JSON, the mapping from the wire, calls to the peers. No HTTP here.

pub(crate) mod convert;
pub mod drift;
pub mod evidence;
pub mod imports;
pub mod interchange;
pub mod lineage;
pub mod mlflow;
pub mod models;
pub(crate) mod object;
pub mod open_inference;
pub mod outcomes;
pub mod predictions;
pub mod promotions;
pub mod quality;
pub mod records;
pub mod replica;
pub mod retention;
pub mod rollouts;
pub mod runs;
pub mod scoring;
pub mod silence;
pub mod snapshots;
pub mod status;
pub mod tuning;
pub mod upload;
pub mod webhooks;

/// Who did it, when a caller does not say: there is no sign-in yet.
pub(crate) const ACTOR: &str = "rest";
