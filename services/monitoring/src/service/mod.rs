//! Monitoring's logic. No tonic, no axum and no S3 in its signatures.

pub mod checks;
pub mod drift;
pub mod outcomes;
pub mod policy;
pub mod reference;
pub mod report;
pub mod reports;
pub mod retraining;
pub mod sample;
mod stored_json;
pub mod window;
