//! Where metadata lives: a trait for each area, and one SQL store behind them, on SQLite or on Postgres.

mod artifacts;
mod conditions;
mod database;
mod imports;
mod logged_models;
mod migrations;
mod points;
mod registered;
mod retention;
mod sql_artifacts;
mod sql_batches;
mod sql_deliveries;
mod sql_experiments;
mod sql_imports;
mod sql_links;
mod sql_logged_models;
mod sql_logged_search;
mod sql_registered;
mod sql_registered_search;
mod sql_retention;
mod sql_run_search;
mod sql_runs;
mod sql_tracking;
mod sql_versions;
mod sql_webhooks;
mod statement;
mod tracking;
mod versions;
mod webhooks;
mod writer;

pub use artifacts::{ArtifactStore, Child, Place, StoredBytes};
pub use database::SqlStore;
pub use imports::ImportStore;
pub use logged_models::LoggedModelStore;
pub use registered::RegisteredModelStore;
pub use retention::{
    DeletedExperiment, DeletedModel, DeletedRun, How, KeptBytes, Of, Reference, RetentionStore, StoredPath,
};
pub(crate) use statement::Value;
pub use tracking::TrackingStore;
pub use versions::{RegisteredFrom, VersionStore};
pub use webhooks::WebhookStore;

/// Which page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many, 1 to 1,000.
    pub size: u32,
    /// Only entries before this position; `None` for the first page.
    pub before: Option<i64>,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Position to ask on from; `None` on the last page.
    pub next: Option<i64>,
}
