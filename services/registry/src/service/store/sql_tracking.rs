//! Experiments and runs in SQL: the trait, and what its parts share.

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::SqlStore;
use super::tracking::TrackingStore;
use super::{Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::tracking::{
    Batch, DatasetSummary, Experiment, ExperimentBy, ExperimentSearch, Found, KeyValue, Lifecycle, LifecycleView,
    Links, Metric, NewExperiment, NewRun, Run, RunChange, RunSearch, RunStatus,
};

#[async_trait]
impl TrackingStore for SqlStore {
    async fn create_experiment(&self, new: &NewExperiment, now: Timestamp) -> Result<Experiment> {
        self.insert_experiment(new, now).await
    }

    async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        self.select_experiment(by).await
    }

    async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        self.select_experiments(page).await
    }

    async fn search_experiments(&self, search: &ExperimentSearch) -> Result<Vec<Experiment>> {
        self.find_experiments(search).await
    }

    async fn rename_experiment(&self, id: i64, name: &str, now: Timestamp) -> Result<Experiment> {
        self.update_experiment_name(id, name, now).await
    }

    async fn delete_experiment(&self, id: i64, now: Timestamp) -> Result<()> {
        self.mark_experiment_deleted(id, now).await
    }

    async fn restore_experiment(&self, id: i64, now: Timestamp) -> Result<()> {
        self.take_experiment_back(id, now).await
    }

    async fn set_experiment_tag(&self, id: i64, tag: &KeyValue, now: Timestamp) -> Result<()> {
        self.write_experiment_tag(id, tag, now).await
    }

    async fn delete_experiment_tag(&self, id: i64, key: &str, now: Timestamp) -> Result<()> {
        self.remove_experiment_tag(id, key, now).await
    }

    async fn create_run(&self, id: &str, new: &NewRun) -> Result<Run> {
        self.insert_run(id, new).await
    }

    async fn update_run(&self, run_id: &str, change: &RunChange) -> Result<Run> {
        self.change_run(run_id, change).await
    }

    async fn run(&self, run_id: &str) -> Result<Run> {
        self.select_run(run_id).await
    }

    async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        self.select_runs(experiment, page).await
    }

    async fn search_runs(&self, search: &RunSearch) -> Result<Found<Run>> {
        self.find_runs(search).await
    }

    async fn delete_run(&self, run_id: &str, now: Timestamp) -> Result<()> {
        self.mark_run_deleted(run_id, now).await
    }

    async fn restore_run(&self, run_id: &str) -> Result<()> {
        self.take_run_back(run_id).await
    }

    async fn log_batch(&self, run_id: &str, batch: Batch) -> Result<()> {
        self.write_batch(run_id, batch).await
    }

    async fn link(&self, run_id: &str, links: Links) -> Result<()> {
        self.write_links(run_id, links).await
    }

    async fn datasets(&self, experiments: &[i64]) -> Result<Vec<DatasetSummary>> {
        self.select_datasets(experiments).await
    }

    async fn delete_tag(&self, run_id: &str, key: &str) -> Result<()> {
        self.remove_run_tag(run_id, key).await
    }

    async fn metric_history(&self, run_id: &str, key: &str, limit: u32, offset: u64) -> Result<Vec<Metric>> {
        self.select_metric_history(run_id, key, limit, offset).await
    }

    async fn sample_metric_history(
        &self,
        run_id: &str,
        key: &str,
        steps: Option<(i64, i64)>,
        most: u32,
    ) -> Result<Vec<Metric>> {
        self.select_metric_sample(run_id, key, steps, most).await
    }
}

pub(super) fn pairs(rows: Vec<(String, String)>) -> Vec<KeyValue> {
    rows.into_iter().map(|(key, value)| KeyValue { key, value }).collect()
}

pub(super) fn lifecycle(name: &str) -> Result<Lifecycle> {
    match name {
        "active" => Ok(Lifecycle::Active),
        "deleted" => Ok(Lifecycle::Deleted),
        other => Err(Error::Corrupt(format!("lifecycle {other:?}"))),
    }
}

/// The condition for a view, if it leaves anything out.
pub(super) fn view(view: LifecycleView, column: &str) -> Option<String> {
    match view {
        LifecycleView::Active => Some(format!("{column} = 'active'")),
        LifecycleView::Deleted => Some(format!("{column} = 'deleted'")),
        LifecycleView::All => None,
    }
}

pub(super) fn status_name(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Scheduled => "scheduled",
        RunStatus::Finished => "finished",
        RunStatus::Failed => "failed",
        RunStatus::Killed => "killed",
    }
}

pub(super) fn status(name: &str) -> Result<RunStatus> {
    match name {
        "running" => Ok(RunStatus::Running),
        "scheduled" => Ok(RunStatus::Scheduled),
        "finished" => Ok(RunStatus::Finished),
        "failed" => Ok(RunStatus::Failed),
        "killed" => Ok(RunStatus::Killed),
        other => Err(Error::Corrupt(format!("run status {other:?}"))),
    }
}
