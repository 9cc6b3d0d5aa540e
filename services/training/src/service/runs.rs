//! What a pipeline run is: what was asked for, its steps, its log and its result.

use std::collections::BTreeMap;

use holdfast_domain::{Digest, ModelName, ModelVersion, RunId, Violation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::imported::ModelFile;
use super::recipe::ThresholdRule;
use super::tuning::{TrialRecord, TuningObjective, TuningRecord};

/// The most violations a run or an answer lists; the rest are counted.
pub const LISTED_VIOLATIONS: usize = 100;

/// The steps of a run, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepName {
    /// Reads the rows.
    Ingest,
    /// Checks the tables as a whole.
    Validate,
    /// Makes the training and the test snapshot.
    Transform,
    /// Searches for parameters.
    Tune,
    /// Fits the candidate and the baseline.
    Train,
    /// Measures them, and the champion, on the test rows.
    Evaluate,
    /// Brings artefact, parameters and metrics to the registry.
    Register,
    /// Asks the gate, and promotes.
    Gate,
}

impl StepName {
    /// Every step, in order.
    pub const ALL: [Self; 8] = [
        Self::Ingest,
        Self::Validate,
        Self::Transform,
        Self::Tune,
        Self::Train,
        Self::Evaluate,
        Self::Register,
        Self::Gate,
    ];

    /// The name in logs, metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Validate => "validate",
            Self::Transform => "transform",
            Self::Tune => "tune",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Register => "register",
            Self::Gate => "gate",
        }
    }

    /// The step of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// State of a run or a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not begun.
    Waiting,
    /// At work.
    Running,
    /// Done.
    Done,
    /// Not needed in this run.
    Skipped,
    /// Ended by an error.
    Failed,
    /// Ended by a person.
    Cancelled,
}

impl State {
    const ALL: [Self; 6] = [
        Self::Waiting,
        Self::Running,
        Self::Done,
        Self::Skipped,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name as stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

/// What made a run start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A person or a program.
    Manual,
    /// A schedule.
    Schedule,
    /// The monitoring service found drift.
    Drift,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 3] = [Self::Manual, Self::Schedule, Self::Drift];

    /// The name in tags and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Schedule => "schedule",
            Self::Drift => "drift",
        }
    }
}

/// Where a run's rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Input {
    /// A snapshot, split unless a test snapshot is given.
    Snapshot {
        /// Learnt from, or split.
        table: Digest,
        /// Tested on.
        test: Option<Digest>,
    },
    /// The configured database, split.
    Database,
    /// The champion's rows and a labelled window.
    Window {
        /// The window's rows.
        window: Digest,
    },
}

/// Who asked for a run, when nobody said.
pub const ANONYMOUS: &str = "anonymous";

/// What a run is asked to do. Nothing is left to defaults any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRequest {
    /// The model to train.
    pub model: ModelName,
    /// Where the rows come from.
    pub input: Input,
    /// Name of the parameter set.
    pub preset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Share of the table, or of the window, that is held out for testing.
    pub test_share: f64,
    /// What made it start.
    pub trigger: Trigger,
    /// Who asked for it; [`ANONYMOUS`] when nobody said.
    pub requested_by: String,
    /// The report behind a drift trigger; may be empty.
    pub report_id: String,
    /// Whether an accepted version becomes champion.
    pub promote: bool,
    /// The same key again is the same run; may be empty.
    pub idempotency_key: String,
    /// How the threshold is chosen, in place of the parameter set's rule.
    #[serde(default)]
    pub threshold: Option<ThresholdRule>,
    /// The search for parameters, when one is asked for.
    #[serde(default)]
    pub tuning: Option<TuningRequest>,
    /// The model file that becomes a version, in place of training.
    #[serde(default)]
    pub import: Option<ModelFile>,
    /// The registered version that gets the artefact, in place of a new one.
    #[serde(default)]
    pub target: Option<ImportTarget>,
}

impl RunRequest {
    /// Who asked for it, when somebody said.
    pub fn asker(&self) -> Option<&str> {
        let asker = self.requested_by.as_str();
        (!asker.is_empty() && asker != ANONYMOUS).then_some(asker)
    }
}

/// A registered version whose model file is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportTarget {
    /// The version.
    pub version: ModelVersion,
    /// Number of the claim on its import.
    pub claim: u64,
}

/// The search for parameters that is asked for. Nothing is left to defaults any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuningRequest {
    /// Most trials.
    pub trials: u32,
    /// Folds of the cross-validation.
    pub folds: u32,
    /// Trials at work at once; the trials do not depend on it.
    pub workers: u32,
    /// Outer folds of a nested cross-validation; 0 for none.
    pub outer_folds: u32,
    /// Whether the search ends when gains have sunk under the folds' noise.
    pub early_stop: bool,
    /// What is made as large as possible.
    #[serde(default)]
    pub objective: TuningObjective,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// State.
    pub state: State,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// A sentence about the outcome.
    pub message: String,
    /// Progress, 0 to 1.
    pub progress: f64,
}

impl Step {
    /// How long it took or has taken, in seconds.
    pub fn duration_seconds(&self, now: Timestamp) -> f64 {
        let end = self.ended_at.unwrap_or(now);
        self.started_at
            .map_or(0.0, |start| end.duration_since(start).as_secs_f64().max(0.0))
    }
}

/// What a run came to; it fills as the run goes on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunResult {
    /// Version registered.
    pub version: Option<u32>,
    /// SHA-256 of its artefact.
    pub artifact_digest: Option<Digest>,
    /// Did the gate accept it?
    pub accepted: bool,
    /// Is it champion by this run?
    pub promoted: bool,
    /// Generation of the champion log it was promoted under; 0 when it was not.
    pub generation: u64,
    /// Measured values by name.
    pub metrics: BTreeMap<String, f64>,
    /// Why not, when not accepted.
    pub failed_checks: Vec<String>,
    /// What the search for parameters came to, when there was one.
    pub tuning: Option<TuningRecord>,
}

/// One rule that one cell of a table breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableViolation {
    /// Data row, counted from 1; 0 when the whole table is meant.
    pub row: u64,
    /// The column; empty when the row or the table as a whole is meant.
    pub column: String,
    /// Stable name of the rule.
    pub rule: String,
    /// A sentence.
    pub message: String,
}

impl From<Violation> for TableViolation {
    fn from(violation: Violation) -> Self {
        Self {
            row: violation.row.unwrap_or(0),
            column: violation.column,
            rule: violation.rule.code().to_owned(),
            message: violation.message,
        }
    }
}

impl TableViolation {
    /// Where it is, for people: `row 17, Gender`.
    pub fn place(&self) -> String {
        match (self.row, self.column.as_str()) {
            (0, "") => "table".to_owned(),
            (0, column) => column.to_owned(),
            (row, "") => format!("row {row}"),
            (row, column) => format!("row {row}, {column}"),
        }
    }
}

/// A table's violations: the first [`LISTED_VIOLATIONS`], and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Violations {
    /// The first of them.
    pub listed: Vec<TableViolation>,
    /// How many there are, the listed ones included.
    pub total: u64,
}

impl Violations {
    /// The first ones listed, all counted; `more` are known of beside those given.
    pub fn new(found: impl IntoIterator<Item = Violation>, more: u64) -> Self {
        let mut listed: Vec<TableViolation> = found.into_iter().map(TableViolation::from).collect();
        let total = listed.len() as u64 + more;
        listed.truncate(LISTED_VIOLATIONS);
        Self { listed, total }
    }

    /// The first of them as a sentence, and how many more there are.
    pub fn in_words(&self) -> String {
        let first = self.listed.first().map(|violation| match violation.row {
            0 => violation.message.clone(),
            row => format!("row {row}: {}", violation.message),
        });
        let first = first.unwrap_or_default();
        match self.total {
            0 | 1 => first,
            total => format!("{total} rules are broken, the first: {first}"),
        }
    }
}

/// A pipeline run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its id, the same as in the registry.
    pub id: RunId,
    /// What was asked for.
    pub request: RunRequest,
    /// State of the whole.
    pub state: State,
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it came to so far.
    pub result: Option<RunResult>,
    /// Why it failed.
    pub error: Option<String>,
    /// What was wrong with the input, when that is why.
    pub violations: Vec<TableViolation>,
    /// Digest of the training snapshot, once known.
    pub training_snapshot: Option<Digest>,
    /// Digest of the test snapshot, once known.
    pub test_snapshot: Option<Digest>,
    /// Number of the last event in its log; 0 before the first.
    pub last_sequence: u64,
}

/// One line of the run log.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvent {
    /// Counted from 1 within the run.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// The step it belongs to.
    pub step: StepName,
    /// State of that step after the event.
    pub state: State,
    /// Progress within the step, 0 to 1.
    pub progress: f64,
    /// A sentence.
    pub message: String,
    /// In the step "tune": the trial that changed.
    pub trial: Option<TrialRecord>,
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Rule;

    use super::*;

    #[test]
    fn names_read_back() {
        assert!(
            StepName::ALL
                .into_iter()
                .all(|step| StepName::from_name(step.name()) == Some(step))
        );
        assert!(
            State::ALL
                .into_iter()
                .all(|state| State::from_name(state.name()) == Some(state))
        );
    }

    #[test]
    fn violations_are_cut_at_a_hundred_and_counted() {
        let one = |row| Violation::new("Gender", Rule::UnknownCategory, "Gender is X").in_row(row);
        let violations = Violations::new((1..=150).map(one), 7);
        assert_eq!((violations.listed.len(), violations.total), (LISTED_VIOLATIONS, 157));
        assert_eq!(violations.listed[16].place(), "row 17, Gender");
        assert_eq!(
            violations.in_words(),
            "157 rules are broken, the first: row 1: Gender is X"
        );
    }
}
