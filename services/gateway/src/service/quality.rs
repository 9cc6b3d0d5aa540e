//! The evidence about a version: quality, comparisons, the gate's decision.

use holdfast_api::registry::v1 as wire;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::convert::{finite, time};

/// Quality on one set of rows. A figure is null where it cannot be computed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Quality {
    /// Rows.
    pub rows: u64,
    /// Rows of customers who left.
    pub positives: u64,
    /// Area under the ROC curve, 0 to 1.
    pub roc_auc: Option<f64>,
    /// DeLong 95 % interval of `roc_auc`, lower end.
    pub roc_auc_lower: Option<f64>,
    /// DeLong 95 % interval of `roc_auc`, upper end.
    pub roc_auc_upper: Option<f64>,
    /// Average precision, 0 to 1.
    pub pr_auc: Option<f64>,
    /// Mean negative log-likelihood in nats.
    pub log_loss: Option<f64>,
    /// Mean squared error of the probability.
    pub brier: Option<f64>,
    /// Expected calibration error, 0 to 1.
    pub calibration_error: Option<f64>,
    /// F1 at the threshold, 0 to 1.
    pub f1: Option<f64>,
    /// Accuracy at the threshold, 0 to 1.
    pub accuracy: Option<f64>,
    /// Precision at the threshold, 0 to 1.
    pub precision: Option<f64>,
    /// Recall at the threshold, 0 to 1.
    pub recall: Option<f64>,
}

/// Candidate and champion on the same rows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PairedComparison {
    /// Digest of the snapshot with these rows.
    pub snapshot: String,
    /// Version of the champion compared with.
    pub champion_version: Option<u32>,
    /// The candidate's quality.
    pub candidate: Option<Quality>,
    /// The champion's quality.
    pub champion: Option<Quality>,
    /// ROC-AUC of the candidate minus that of the champion.
    pub auc_delta: Option<f64>,
    /// DeLong standard error of `auc_delta`.
    pub auc_delta_standard_error: Option<f64>,
    /// One-sided p-value of "the candidate is better".
    pub p_value: Option<f64>,
}

/// Quality within one group of customers.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SliceQuality {
    /// Column that makes the groups.
    pub column: String,
    /// The group.
    pub group: String,
    /// Quality within it.
    pub quality: Option<Quality>,
    /// True when the group is too small to judge.
    pub too_small: bool,
}

/// What the gate looked at.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Evaluation {
    /// Digest of the untouched test snapshot.
    pub test_snapshot: String,
    /// On full rows.
    pub full: Option<Quality>,
    /// On the same rows with the required features only.
    pub required_only: Option<Quality>,
    /// The logistic baseline on the same rows.
    pub baseline: Option<Quality>,
    /// One-sided DeLong p-value of "better than the baseline".
    pub baseline_p_value: Option<f64>,
    /// Against the champion on the test snapshot.
    pub champion: Option<PairedComparison>,
    /// Against the champion on the held-out part of the newest labelled window.
    pub newest_window: Option<PairedComparison>,
    /// Groups of customers.
    pub slices: Vec<SliceQuality>,
}

/// One check of the gate.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GateCheck {
    /// Stable name, for example `better_than_champion`.
    pub name: String,
    /// Outcome.
    pub passed: bool,
    /// What was measured.
    pub measured: Option<f64>,
    /// What was asked for.
    pub limit: Option<f64>,
    /// A sentence with the numbers.
    pub message: String,
}

/// A decision of the gate.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GateDecision {
    /// SHA-256 of the evaluation and the policy it was judged by.
    pub evaluation_digest: String,
    /// May it become champion?
    pub accepted: bool,
    /// Every check made.
    pub checks: Vec<GateCheck>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Generation of the champion it was judged against; 0 when there was none.
    pub champion_generation: u64,
    /// The evidence.
    pub evaluation: Option<Evaluation>,
}

impl From<wire::Quality> for Quality {
    fn from(wire: wire::Quality) -> Self {
        Self {
            rows: wire.rows,
            positives: wire.positives,
            roc_auc: finite(wire.roc_auc),
            roc_auc_lower: finite(wire.roc_auc_lower),
            roc_auc_upper: finite(wire.roc_auc_upper),
            pr_auc: finite(wire.pr_auc),
            log_loss: finite(wire.log_loss),
            brier: finite(wire.brier),
            calibration_error: finite(wire.calibration_error),
            f1: finite(wire.f1),
            accuracy: finite(wire.accuracy),
            precision: finite(wire.precision),
            recall: finite(wire.recall),
        }
    }
}

impl From<wire::PairedComparison> for PairedComparison {
    fn from(wire: wire::PairedComparison) -> Self {
        Self {
            snapshot: wire.snapshot,
            champion_version: wire.champion.map(|champion| champion.version),
            candidate: wire.candidate_quality.map(Quality::from),
            champion: wire.champion_quality.map(Quality::from),
            auc_delta: finite(wire.auc_delta),
            auc_delta_standard_error: finite(wire.auc_delta_standard_error),
            p_value: finite(wire.p_value),
        }
    }
}

impl From<wire::Evaluation> for Evaluation {
    fn from(wire: wire::Evaluation) -> Self {
        let slices = wire.slices.into_iter().map(|slice| SliceQuality {
            column: slice.column,
            group: slice.group,
            quality: slice.quality.map(Quality::from),
            too_small: slice.too_small,
        });
        Self {
            test_snapshot: wire.test_snapshot,
            full: wire.full.map(Quality::from),
            required_only: wire.required_only.map(Quality::from),
            baseline: wire.baseline.map(Quality::from),
            baseline_p_value: finite(wire.baseline_p_value),
            champion: wire.champion.map(PairedComparison::from),
            newest_window: wire.newest_window.map(PairedComparison::from),
            slices: slices.collect(),
        }
    }
}

impl From<wire::GateDecision> for GateDecision {
    fn from(wire: wire::GateDecision) -> Self {
        let checks = wire.checks.into_iter().map(|check| GateCheck {
            name: check.name,
            passed: check.passed,
            measured: finite(check.measured),
            limit: finite(check.limit),
            message: check.message,
        });
        Self {
            evaluation_digest: wire.evaluation_digest,
            accepted: wire.accepted,
            checks: checks.collect(),
            decided_at: time(wire.decided_at),
            champion_generation: wire.champion_generation,
            evaluation: wire.evaluation.map(Evaluation::from),
        }
    }
}
