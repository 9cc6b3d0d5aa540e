//! Where metadata lives: the trait, and SQLite behind it. Postgres becomes a second module beside it.

mod artifacts;
mod sqlite;
mod sqlite_artifacts;
mod sqlite_models;
mod sqlite_runs;

use std::fmt::Debug;

use async_trait::async_trait;
use holdfast_domain::{Digest, ModelName, ModelVersion};
use jiff::Timestamp;

use super::gate::GateDecision;
use super::models::{FinishedVersion, VersionRecord};
use super::tracking::{Batch, Experiment, ExperimentBy, KeyValue, Metric, Run, RunChange};
use crate::error::Result;

pub use artifacts::{ArtifactStore, Child, Place, StoredBytes};
pub use sqlite::SqliteStore;

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

/// Experiments, runs, versions and decisions. Every method that writes is one transaction, durable on return.
#[async_trait]
pub trait MetadataStore: Send + Sync + Debug {
    /// Creates an experiment.
    async fn create_experiment(&self, name: &str, tags: &[KeyValue], now: Timestamp) -> Result<Experiment>;
    /// One experiment.
    async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment>;
    /// Active experiments, newest first.
    async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>>;

    /// Opens a run, or answers the one that has this id.
    async fn create_run(&self, id: &str, experiment: i64, name: &str, tags: &[KeyValue], now: Timestamp)
    -> Result<Run>;
    /// Changes a run.
    async fn update_run(&self, run_id: &str, change: &RunChange) -> Result<Run>;
    /// One run.
    async fn run(&self, run_id: &str) -> Result<Run>;
    /// Active runs, newest first.
    async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>>;
    /// Logs to a run.
    async fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()>;
    /// All values of a metric, by step, then time.
    async fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>>;

    /// Reserves the next version of a model, or answers the one this run has reserved.
    async fn reserve_version(&self, model: &ModelName, run_id: &str, by: &str, now: Timestamp)
    -> Result<VersionRecord>;
    /// Makes a version ready; the same facts again change nothing.
    async fn finish_version(
        &self,
        model: &ModelName,
        version: ModelVersion,
        facts: &FinishedVersion,
    ) -> Result<VersionRecord>;
    /// One version with its decisions.
    async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<VersionRecord>;
    /// A model's versions, newest first.
    async fn versions(&self, model: &ModelName, page: &PageRequest) -> Result<Page<VersionRecord>>;
    /// Names of all models with the number of their versions and the newest, by name.
    async fn models(&self) -> Result<Vec<(ModelName, u32, ModelVersion)>>;
    /// Keeps a decision; the same digest again changes nothing.
    async fn record_decision(
        &self,
        model: &ModelName,
        version: ModelVersion,
        digest: &Digest,
        decision: &GateDecision,
    ) -> Result<()>;
    /// How many other versions of the model have a decision that rests on this test snapshot.
    async fn others_judged_on(&self, model: &ModelName, version: ModelVersion, test_snapshot: &Digest) -> Result<u32>;
}
