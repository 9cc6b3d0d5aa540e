//! What the store of experiments and runs offers.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, PageRequest};
use crate::error::Result;
use crate::service::tracking::{Batch, Experiment, ExperimentBy, KeyValue, Metric, Run, RunChange};

/// Experiments, runs and what is logged to them. Every method that writes is one transaction, durable on return.
#[async_trait]
pub trait TrackingStore: Send + Sync + Debug {
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
}
