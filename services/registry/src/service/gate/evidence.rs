//! What the gate looks at.

use holdfast_domain::{Digest, ModelName, ModelVersion};
use serde::{Deserialize, Serialize};

/// Names one version of one model, down to its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelId {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// SHA-256 of the artefact.
    pub artifact_digest: Digest,
}

/// Quality of a model on one set of rows. Areas, rates and errors are 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Rows.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// Area under the ROC curve.
    pub roc_auc: f64,
    /// DeLong 95 % interval, lower end.
    pub roc_auc_lower: f64,
    /// DeLong 95 % interval, upper end.
    pub roc_auc_upper: f64,
    /// Average precision.
    pub pr_auc: f64,
    /// Mean negative log-likelihood in nats.
    pub log_loss: f64,
    /// Mean squared error of the probability.
    pub brier: f64,
    /// Expected calibration error over ten bins of equal width.
    pub calibration_error: f64,
    /// F1 at the threshold.
    pub f1: f64,
    /// Accuracy at the threshold.
    pub accuracy: f64,
    /// Precision at the threshold.
    pub precision: f64,
    /// Recall at the threshold.
    pub recall: f64,
}

/// Candidate and champion on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedComparison {
    /// Snapshot with these rows.
    pub snapshot: Digest,
    /// The champion compared with.
    pub champion: ModelId,
    /// The candidate's quality.
    pub candidate_quality: Quality,
    /// The champion's quality.
    pub champion_quality: Quality,
    /// ROC-AUC of the candidate minus that of the champion.
    pub auc_delta: f64,
    /// DeLong standard error of `auc_delta`.
    pub auc_delta_standard_error: f64,
    /// One-sided p-value of "the candidate is better".
    pub p_value: f64,
}

/// Quality within one group of customers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceQuality {
    /// Column that makes the groups.
    pub column: String,
    /// The group.
    pub group: String,
    /// Quality within it.
    pub quality: Quality,
    /// True when the group is too small to judge.
    pub too_small: bool,
}

/// The evidence about a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The untouched test snapshot.
    pub test_snapshot: Digest,
    /// On full rows.
    pub full: Quality,
    /// On the same rows with the required features only.
    pub required_only: Quality,
    /// The logistic baseline on the same rows.
    pub baseline: Quality,
    /// One-sided DeLong p-value of "better than the baseline".
    pub baseline_p_value: f64,
    /// Against the champion on the test snapshot.
    pub champion: Option<PairedComparison>,
    /// Against the champion on the held-out part of the newest labelled window.
    pub newest_window: Option<PairedComparison>,
    /// Groups of customers.
    pub slices: Vec<SliceQuality>,
}
