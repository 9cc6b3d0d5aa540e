//! Experiments, runs and what is logged to them: the types, the limits and the rules.

use std::sync::Arc;

use holdfast_chassis::clock::Clock;
use jiff::Timestamp;
use uuid::Uuid;

use super::store::{Page, PageRequest, TrackingStore};
use crate::error::{Result, Violation};

/// Longest key of a parameter, metric or tag, in characters.
pub const MAX_KEY_CHARS: usize = 250;
/// Longest value of a parameter, in characters.
pub const MAX_PARAM_CHARS: usize = 6_000;
/// Longest value of a tag, in characters.
pub const MAX_TAG_CHARS: usize = 8_000;
/// Longest name of an experiment or run, in characters.
pub const MAX_NAME_CHARS: usize = 500;
/// Most metrics in one batch.
pub const MAX_BATCH_METRICS: usize = 1_000;
/// Most parameters, and most tags, in one batch.
pub const MAX_BATCH_PARAMS: usize = 100;

/// Experiments and runs are hidden before they are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// In use.
    Active,
    /// Deleted, and can be restored.
    Deleted,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// At work.
    Running,
    /// Planned, not started.
    Scheduled,
    /// Done.
    Finished,
    /// Ended by an error.
    Failed,
    /// Ended by a person.
    Killed,
}

impl RunStatus {
    /// True when the run will not go on.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }
}

/// A free key and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// One measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The key.
    pub key: String,
    /// The value; NaN and infinities are values.
    pub value: f64,
    /// When it was measured.
    pub measured_at: Timestamp,
    /// Step within the run.
    pub step: i64,
}

/// A group of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Its number.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Active or deleted.
    pub lifecycle: Lifecycle,
    /// When it was created.
    pub created_at: Timestamp,
    /// Tags by key.
    pub tags: Vec<KeyValue>,
}

/// One execution of training code.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// UUID.
    pub id: String,
    /// The experiment it belongs to.
    pub experiment_id: i64,
    /// Name for people.
    pub name: String,
    /// State.
    pub status: RunStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Active or deleted.
    pub lifecycle: Lifecycle,
    /// Parameters by key.
    pub params: Vec<KeyValue>,
    /// Last value of each metric by key.
    pub metrics: Vec<Metric>,
    /// Tags by key.
    pub tags: Vec<KeyValue>,
}

/// What is logged to a run in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Metrics.
    pub metrics: Vec<Metric>,
    /// Parameters.
    pub params: Vec<KeyValue>,
    /// Tags.
    pub tags: Vec<KeyValue>,
}

/// How an experiment is named by a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExperimentBy {
    /// By number.
    Id(i64),
    /// By name.
    Name(String),
}

/// What a run is opened with.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// UUID to use; one is made when `None`.
    pub id: Option<String>,
    /// The experiment.
    pub experiment_id: i64,
    /// Name for people; one is made when empty.
    pub name: String,
    /// Tags to begin with.
    pub tags: Vec<KeyValue>,
}

/// What changes in a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunChange {
    /// New status.
    pub status: Option<RunStatus>,
    /// New name.
    pub name: Option<String>,
    /// When it ended; now, when absent and the status is final.
    pub ended_at: Option<Timestamp>,
}

/// Tracking over a metadata store.
#[derive(Clone, Debug)]
pub struct Tracking {
    store: Arc<dyn TrackingStore>,
    clock: Arc<dyn Clock>,
}

impl Tracking {
    /// Tracking over `store`.
    pub fn new(store: Arc<dyn TrackingStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Creates an experiment; [`crate::Error::ExperimentExists`] when the name is taken.
    pub async fn create_experiment(&self, name: &str, tags: Vec<KeyValue>) -> Result<Experiment> {
        let mut found = Vec::new();
        check_text("name", name, 1, MAX_NAME_CHARS, &mut found);
        check_pairs("tags", &tags, MAX_TAG_CHARS, &mut found);
        Violation::none(found)?;
        self.store.create_experiment(name, &tags, self.clock.now()).await
    }

    /// One experiment.
    pub async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        self.store.experiment(by).await
    }

    /// Active experiments, newest first.
    pub async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        self.store.experiments(page).await
    }

    /// Opens a run. The same id again answers the run that exists, so that a retry is safe.
    pub async fn create_run(&self, new: NewRun) -> Result<Run> {
        let mut found = Vec::new();
        check_text("name", &new.name, 0, MAX_NAME_CHARS, &mut found);
        check_pairs("tags", &new.tags, MAX_TAG_CHARS, &mut found);
        if let Some(id) = &new.id
            && Uuid::parse_str(id).is_err()
        {
            found.push(Violation::new("run_id", "uuid", "must be a UUID"));
        }
        Violation::none(found)?;
        let id = new.id.unwrap_or_else(|| Uuid::now_v7().to_string());
        let name = if new.name.is_empty() {
            format!("run-{}", &id[..8.min(id.len())])
        } else {
            new.name
        };
        self.store
            .create_run(&id, new.experiment_id, &name, &new.tags, self.clock.now())
            .await
    }

    /// Changes a run.
    pub async fn update_run(&self, run_id: &str, mut change: RunChange) -> Result<Run> {
        let mut found = Vec::new();
        if let Some(name) = &change.name {
            check_text("name", name, 1, MAX_NAME_CHARS, &mut found);
        }
        Violation::none(found)?;
        if change.status.is_some_and(RunStatus::is_final) && change.ended_at.is_none() {
            change.ended_at = Some(self.clock.now());
        }
        self.store.update_run(run_id, &change).await
    }

    /// One run.
    pub async fn run(&self, run_id: &str) -> Result<Run> {
        self.store.run(run_id).await
    }

    /// Active runs, newest first.
    pub async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        self.store.runs(experiment, page).await
    }

    /// Logs a batch: all of it or nothing. A parameter cannot change its value.
    pub async fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        let mut found = Vec::new();
        check_count("metrics", batch.metrics.len(), MAX_BATCH_METRICS, &mut found);
        check_count("params", batch.params.len(), MAX_BATCH_PARAMS, &mut found);
        check_count("tags", batch.tags.len(), MAX_BATCH_PARAMS, &mut found);
        for (index, metric) in batch.metrics.iter().enumerate() {
            let field = format!("metrics[{index}].key");
            check_text(&field, &metric.key, 1, MAX_KEY_CHARS, &mut found);
        }
        check_pairs("params", &batch.params, MAX_PARAM_CHARS, &mut found);
        check_pairs("tags", &batch.tags, MAX_TAG_CHARS, &mut found);
        Violation::none(found)?;
        self.store.log_batch(run_id, batch).await
    }

    /// All values of a metric, by step, then time.
    pub async fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.store.metric_history(run_id, key).await
    }
}

fn check_text(field: &str, text: &str, min: usize, max: usize, found: &mut Vec<Violation>) {
    let chars = text.chars().count();
    if chars < min {
        found.push(Violation::new(field, "required", "must not be empty"));
    }
    if chars > max {
        let rule = format!("has {chars} characters, at most {max} are allowed");
        found.push(Violation::new(field, "too_long", &rule));
    }
}

fn check_pairs(field: &str, pairs: &[KeyValue], max: usize, found: &mut Vec<Violation>) {
    for (index, pair) in pairs.iter().enumerate() {
        check_text(&format!("{field}[{index}].key"), &pair.key, 1, MAX_KEY_CHARS, found);
        check_text(&format!("{field}[{index}].value"), &pair.value, 0, max, found);
    }
}

fn check_count(field: &str, count: usize, max: usize, found: &mut Vec<Violation>) {
    if count > max {
        let rule = format!("has {count} entries, at most {max} are allowed");
        found.push(Violation::new(field, "too_many", &rule));
    }
}
