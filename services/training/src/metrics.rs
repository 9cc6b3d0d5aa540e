//! Every metric of the training service.

use std::time::Duration;

use holdfast_chassis::metrics::{
    Counter, EncodeLabelSet, Family, FloatGauge, Gauge, Histogram, Histograms, MetricsRegistry, Unit,
};

use crate::service::runs::{StepName, Trigger};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// The gate accepted the version.
    Accepted,
    /// The gate rejected it.
    Rejected,
    /// An error ended it.
    Failed,
    /// A person ended it.
    Cancelled,
}

/// How an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// Stored.
    Stored,
    /// The table breaks the schema, cannot be read or is too large.
    Refused,
    /// We could not.
    Failed,
}

impl RunOutcome {
    const ALL: [Self; 4] = [Self::Accepted, Self::Rejected, Self::Failed, Self::Cancelled];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl ImportOutcome {
    const ALL: [Self; 3] = [Self::Stored, Self::Refused, Self::Failed];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// How the import of a registered version ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionImportOutcome {
    /// The version has an artefact, and the gate has judged it.
    Done,
    /// Nothing came of it.
    Failed,
    /// It will be taken up again.
    PutBack,
    /// Somebody else has it.
    Lost,
}

impl VersionImportOutcome {
    const ALL: [Self; 4] = [Self::Done, Self::Failed, Self::PutBack, Self::Lost];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::PutBack => "put_back",
            Self::Lost => "lost",
        }
    }
}

/// Labels of `holdfast_training_runs_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RunLabels {
    trigger: &'static str,
    outcome: &'static str,
}

/// Labels by step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StepLabels {
    step: &'static str,
}

/// Labels of `holdfast_training_snapshot_imports_total` and `holdfast_training_version_imports_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ImportLabels {
    outcome: &'static str,
}

/// A step takes from a millisecond to minutes.
const STEP_BOUNDS: &[Duration] = &[
    Duration::from_millis(5),
    Duration::from_millis(25),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(1_800),
];

/// The metrics; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    runs: Family<RunLabels, Counter>,
    steps: Histograms<StepLabels>,
    imports: Family<ImportLabels, Counter>,
    version_imports: Family<ImportLabels, Counter>,
    /// Runs at work.
    pub active_runs: Gauge,
    /// Rows of all imports that were stored.
    pub imported_rows: Counter,
    /// ROC-AUC on the test rows of the run evaluated last.
    pub last_roc_auc: FloatGauge,
    /// When the last run ended, in seconds since 1970.
    pub last_run_ended: Gauge,
}

impl Metrics {
    /// Registers them; every series exists from now on.
    pub fn new(registry: &MetricsRegistry) -> Self {
        let runs = Trigger::ALL.into_iter().flat_map(|trigger| {
            RunOutcome::ALL.map(|outcome| RunLabels {
                trigger: trigger.name(),
                outcome: outcome.name(),
            })
        });
        let imports = ImportOutcome::ALL.map(|outcome| ImportLabels {
            outcome: outcome.name(),
        });
        let version_imports = VersionImportOutcome::ALL.map(|outcome| ImportLabels {
            outcome: outcome.name(),
        });
        let steps = Family::new_with_constructor((|| Histogram::with_bounds(STEP_BOUNDS)) as fn() -> Histogram);
        for step in StepName::ALL {
            drop(steps.get_or_create(&StepLabels { step: step.name() }));
        }
        Self {
            runs: registry.counters(
                "holdfast_training_runs",
                "Pipeline runs that have ended, by trigger and outcome",
                Unit::None,
                runs,
            ),
            steps: registry.register(
                "holdfast_training_step_duration",
                "Duration of the steps of pipeline runs",
                Unit::Seconds,
                steps,
            ),
            imports: registry.counters(
                "holdfast_training_snapshot_imports",
                "Tables sent to be stored as snapshots, by outcome",
                Unit::None,
                imports,
            ),
            version_imports: registry.counters(
                "holdfast_training_version_imports",
                "Imports of registered versions that were taken up, by outcome",
                Unit::None,
                version_imports,
            ),
            active_runs: registry.gauge("holdfast_training_active_runs", "Pipeline runs at work", Unit::None),
            imported_rows: registry.counter(
                "holdfast_training_imported",
                "Rows of all tables that were stored as snapshots",
                Unit::Rows,
            ),
            last_roc_auc: registry.float_gauge(
                "holdfast_training_last_test_roc_auc",
                "ROC-AUC on the test rows of the model evaluated last, 0 before the first",
                Unit::None,
            ),
            last_run_ended: registry.gauge(
                "holdfast_training_last_run_end_timestamp",
                "When the last pipeline run ended, seconds since 1970, 0 before the first",
                Unit::Seconds,
            ),
        }
    }

    /// Counts a run that has ended.
    pub fn run_ended(&self, trigger: Trigger, outcome: RunOutcome) {
        let labels = RunLabels {
            trigger: trigger.name(),
            outcome: outcome.name(),
        };
        self.runs.get_or_create(&labels).inc();
    }

    /// Counts a step that has ended.
    pub fn step_took(&self, step: StepName, duration: Duration) {
        self.steps
            .get_or_create(&StepLabels { step: step.name() })
            .observe(duration);
    }

    /// Counts the import of a registered version.
    pub fn version_import_ended(&self, outcome: VersionImportOutcome) {
        let labels = ImportLabels {
            outcome: outcome.name(),
        };
        self.version_imports.get_or_create(&labels).inc();
    }

    /// Counts an import.
    pub fn import_ended(&self, outcome: ImportOutcome) {
        let labels = ImportLabels {
            outcome: outcome.name(),
        };
        self.imports.get_or_create(&labels).inc();
    }
}
