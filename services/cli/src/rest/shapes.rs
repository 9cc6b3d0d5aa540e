//! What the commands read out of the gateway's answers. Members that no command looks at are not here; with `--json` they are passed on all the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::failure::BadCell;

/// An immutable table.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) source: String,
    pub(crate) rows: u64,
    #[serde(default)]
    pub(crate) positives: u64,
}

/// What making a version again came to.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Reproduction {
    pub(crate) registered_digest: String,
    pub(crate) rebuilt_digest: String,
    pub(crate) identical: bool,
    #[serde(default)]
    pub(crate) differences: Vec<String>,
    #[serde(default)]
    pub(crate) duration_seconds: f64,
    #[serde(default)]
    pub(crate) registered_code_version: String,
    #[serde(default)]
    pub(crate) code_version: String,
}

/// A training run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) run_id: String,
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) steps: Vec<RunStep>,
    #[serde(default)]
    pub(crate) result: Option<RunResult>,
    #[serde(default)]
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) violations: Vec<TableViolation>,
    #[serde(default)]
    pub(crate) training_snapshot: Option<String>,
    #[serde(default)]
    pub(crate) test_snapshot: Option<String>,
}

impl Run {
    /// Whether nothing more will happen to it.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "done" | "failed" | "cancelled")
    }
}

/// A step of a run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RunStep {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) duration_seconds: f64,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

/// What a run came to.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RunResult {
    #[serde(default)]
    pub(crate) version: Option<u32>,
    #[serde(default)]
    pub(crate) artifact_digest: Option<String>,
    #[serde(default)]
    pub(crate) accepted: bool,
    #[serde(default)]
    pub(crate) promoted: bool,
    #[serde(default)]
    pub(crate) generation: Option<u64>,
    /// Null for what is not a finite number.
    #[serde(default)]
    pub(crate) metrics: BTreeMap<String, Option<f64>>,
    #[serde(default)]
    pub(crate) failed_checks: Vec<String>,
    #[serde(default)]
    pub(crate) tuning: Option<TuningResult>,
}

/// What a search for parameters came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct TuningResult {
    #[serde(default)]
    pub(crate) objective: Option<String>,
    #[serde(default)]
    pub(crate) trials: u32,
    #[serde(default)]
    pub(crate) pruned: u32,
    #[serde(default)]
    pub(crate) stopped_by: Option<String>,
    #[serde(default)]
    pub(crate) best: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) first: Option<serde_json::Value>,
    #[serde(default)]
    pub(crate) importance: BTreeMap<String, f64>,
    #[serde(default)]
    pub(crate) outer_values: Vec<f64>,
}

/// A cell of the run's input that broke the schema.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TableViolation {
    #[serde(default)]
    pub(crate) row: Option<u64>,
    pub(crate) column: String,
    pub(crate) rule: String,
    pub(crate) message: String,
}

impl From<&TableViolation> for BadCell {
    fn from(violation: &TableViolation) -> Self {
        let row = violation
            .row
            .filter(|row| *row > 0)
            .map(|row| row.to_string())
            .unwrap_or_default();
        Self {
            row,
            column: violation.column.clone(),
            rule: violation.rule.clone(),
            detail: violation.message.clone(),
        }
    }
}

/// The answer to a request for predictions; `predict --grpc` gives the same form.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Predictions {
    pub(crate) predictions: Vec<Prediction>,
    pub(crate) model: String,
    pub(crate) version: u32,
    pub(crate) artifact_digest: String,
    pub(crate) generation: u64,
    pub(crate) request_id: String,
}

/// One customer's score.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Prediction {
    pub(crate) probability: f64,
    pub(crate) label: bool,
    pub(crate) threshold: f64,
    #[serde(default)]
    pub(crate) out_of_domain: Vec<serde_json::Value>,
    #[serde(default)]
    pub(crate) reasons: Vec<Reason>,
}

/// Why a score is what it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Reason {
    pub(crate) feature: String,
    pub(crate) contribution: f64,
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) code: String,
}

/// The champion log.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ChampionLog {
    #[serde(default)]
    pub(crate) entries: Vec<serde_json::Value>,
    pub(crate) chain_intact: bool,
    #[serde(default)]
    pub(crate) chain_break: Option<String>,
    #[serde(default)]
    pub(crate) broken_generation: Option<u64>,
}

/// The answer to a drift check.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DriftCheck {
    pub(crate) report: DriftReport,
    #[serde(default)]
    pub(crate) run_id: Option<String>,
    #[serde(default)]
    pub(crate) retrain_skipped: Option<String>,
}

/// A comparison of a window with the champion's reference.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DriftReport {
    pub(crate) report_id: String,
    pub(crate) verdict: String,
    #[serde(default)]
    pub(crate) rows: u64,
    #[serde(default)]
    pub(crate) labelled_rows: u64,
    #[serde(default)]
    pub(crate) drift_share: Option<f64>,
    #[serde(default)]
    pub(crate) features: Vec<FeatureDrift>,
    #[serde(default)]
    pub(crate) summary: Option<String>,
}

/// One feature's comparison.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct FeatureDrift {
    pub(crate) feature: String,
    #[serde(default)]
    pub(crate) method: String,
    #[serde(default)]
    pub(crate) statistic: Option<f64>,
    #[serde(default)]
    pub(crate) adjusted_p_value: Option<f64>,
    #[serde(default)]
    pub(crate) effect_size: Option<f64>,
    #[serde(default)]
    pub(crate) drifted: bool,
}

impl RunResult {
    /// A measured value.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.get(name).copied().flatten()
    }
}

impl DriftReport {
    /// Whether the verdict is drift.
    pub(crate) fn is_drift(&self) -> bool {
        self.verdict == "drift"
    }
}
