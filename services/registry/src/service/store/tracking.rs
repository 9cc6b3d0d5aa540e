//! What the store of experiments and runs offers.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, PageRequest};
use crate::error::Result;
use crate::service::tracking::{
    Batch, DatasetSummary, Experiment, ExperimentBy, ExperimentSearch, Found, KeyValue, Links, Metric, NewExperiment,
    NewRun, Run, RunChange, RunSearch,
};

/// Experiments, runs and what is logged to them. Every method that writes is one transaction, durable on return.
#[async_trait]
pub trait TrackingStore: Send + Sync + Debug {
    /// Creates an experiment.
    async fn create_experiment(&self, new: &NewExperiment, now: Timestamp) -> Result<Experiment>;
    /// One experiment, active or deleted.
    async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment>;
    /// Active experiments, newest first.
    async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>>;
    /// Experiments that a filter selects.
    async fn search_experiments(&self, search: &ExperimentSearch) -> Result<Vec<Experiment>>;
    /// Gives an active experiment another name.
    async fn rename_experiment(&self, id: i64, name: &str, now: Timestamp) -> Result<Experiment>;
    /// Marks an active experiment deleted, and its active runs with it.
    async fn delete_experiment(&self, id: i64, now: Timestamp) -> Result<()>;
    /// Takes a deleted experiment back, and the runs that went with it.
    async fn restore_experiment(&self, id: i64, now: Timestamp) -> Result<()>;
    /// Sets one tag of an active experiment.
    async fn set_experiment_tag(&self, id: i64, tag: &KeyValue, now: Timestamp) -> Result<()>;
    /// Removes one tag of an active experiment.
    async fn delete_experiment_tag(&self, id: i64, key: &str, now: Timestamp) -> Result<()>;

    /// Opens a run that says when it began, or answers the one that has this id.
    async fn create_run(&self, id: &str, new: &NewRun) -> Result<Run>;
    /// Changes an active run.
    async fn update_run(&self, run_id: &str, change: &RunChange) -> Result<Run>;
    /// One run, active or deleted.
    async fn run(&self, run_id: &str) -> Result<Run>;
    /// Active runs, newest first.
    async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>>;
    /// Runs that a filter selects.
    async fn search_runs(&self, search: &RunSearch) -> Result<Found<Run>>;
    /// Marks a run deleted.
    async fn delete_run(&self, run_id: &str, now: Timestamp) -> Result<()>;
    /// Takes a deleted run back.
    async fn restore_run(&self, run_id: &str) -> Result<()>;

    /// Logs to an active run.
    async fn log_batch(&self, run_id: &str, batch: Batch) -> Result<()>;
    /// Records what went into an active run or came out of it.
    async fn link(&self, run_id: &str, links: Links) -> Result<()>;
    /// Data sets that runs of these experiments have read, one for each use; at most 1,000.
    async fn datasets(&self, experiments: &[i64]) -> Result<Vec<DatasetSummary>>;
    /// Removes one tag of an active run.
    async fn delete_tag(&self, run_id: &str, key: &str) -> Result<()>;
    /// Values of a metric, by time, then step, then value.
    async fn metric_history(&self, run_id: &str, key: &str, limit: u32, offset: u64) -> Result<Vec<Metric>>;
    /// At most `most` values of a metric, evenly apart, by step, time and value; of these steps, if any are named.
    async fn sample_metric_history(
        &self,
        run_id: &str,
        key: &str,
        steps: Option<(i64, i64)>,
        most: u32,
    ) -> Result<Vec<Metric>>;
}
