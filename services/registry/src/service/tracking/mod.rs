//! Experiments, runs and what is logged to them: the types, the limits and the rules. They are MLflow's, so that its REST
//! surface is an adapter over them.

mod experiments;
mod links;
mod runs;
mod searches;
mod texts;

use std::sync::Arc;

use holdfast_chassis::clock::Clock;
use jiff::Timestamp;

use super::store::TrackingStore;

pub(crate) use texts::{check_count, check_pairs, check_text};

pub use links::{DATASET_CONTEXT_TAG, Dataset, DatasetInput, DatasetSummary, Links, ModelOutput};
pub use searches::{ExperimentSearch, Found, LifecycleView, Place, RunSearch, SearchText};

/// The experiment of runs that name none.
pub const DEFAULT_EXPERIMENT: i64 = 0;
/// The tag that shows a run's name; the two are one thing.
pub const RUN_NAME_TAG: &str = "mlflow.runName";
/// The tag of who started a run.
pub const USER_TAG: &str = "mlflow.user";
/// The tag of who asked training for a run.
pub const REQUESTED_BY_TAG: &str = "holdfast.requested_by";
/// Whom MLflow's clients name when they know nobody.
const NOBODY: &str = "unknown";

/// Longest key of a parameter, metric or tag, in characters.
pub const MAX_KEY_CHARS: usize = 250;
/// Longest value of a parameter, in characters.
pub const MAX_PARAM_CHARS: usize = 6_000;
/// Longest value of a tag, in characters.
pub const MAX_TAG_CHARS: usize = 8_000;
/// Longest value of a tag of an experiment, in characters.
pub const MAX_EXPERIMENT_TAG_CHARS: usize = 5_000;
/// Longest artifact location, in characters.
pub const MAX_LOCATION_CHARS: usize = 2_048;
/// Longest name of who started a run, in characters.
pub const MAX_USER_CHARS: usize = 500;
/// Most values of a metric in one page.
pub const MAX_HISTORY: u32 = 25_000;
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
    /// What it was measured on, if that was said. Runs do not keep it, logged models do.
    pub on: Option<Box<MeasuredOn>>,
}

/// What a metric was measured on; empty texts are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeasuredOn {
    /// The logged model.
    pub model_id: String,
    /// Name of the data set.
    pub dataset_name: String,
    /// Digest of the data set.
    pub dataset_digest: String,
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
    /// Where files of its runs go, for example `mlflow-artifacts:/7`.
    pub artifact_location: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it or one of its tags was changed last.
    pub updated_at: Timestamp,
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
    /// Who started it, as they said; may be empty.
    pub user_id: String,
    /// Where its files go, for example `mlflow-artifacts:/7/<run>/artifacts`.
    pub artifact_uri: String,
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
    /// What went into it and came out of it.
    pub links: Links,
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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRun {
    /// UUID to use; one is made when `None`.
    pub id: Option<String>,
    /// The experiment.
    pub experiment_id: i64,
    /// Name for people; that of the tag `mlflow.runName`, or one is made, when empty.
    pub name: String,
    /// Who starts it, as they say; may be empty.
    pub user_id: String,
    /// When it began; now, when `None`.
    pub started_at: Option<Timestamp>,
    /// Tags to begin with.
    pub tags: Vec<KeyValue>,
}

/// What an experiment is created with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewExperiment {
    /// Its name.
    pub name: String,
    /// Where files of its runs go; the registry's own artefacts when empty.
    pub artifact_location: String,
    /// Tags to begin with.
    pub tags: Vec<KeyValue>,
}

/// What changes in a run.
#[derive(Clone, Debug, Default, PartialEq)]
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
}
