//! The registry's logic. No tonic, no SQL and no S3 in its signatures.

pub mod approvals;
pub mod artifacts;
pub mod champions;
pub mod gate;
pub mod imports;
pub mod lineage;
pub mod logged_models;
pub mod models;
pub mod registered;
pub mod replicas;
pub mod retention;
pub mod rollouts;
pub mod search;
pub mod store;
pub mod tally;
pub mod tracking;
pub mod webhooks;
