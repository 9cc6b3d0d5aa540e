//! Quality of a scored set of labelled rows: pure functions, one statistic per file, each with its source and a worked
//! number in its tests.
//!
//! `labels[i]` is true for a positive (attrited) row and `scores[i]` is its score, larger meaning more likely positive. Results
//! do not depend on the order of the rows. Where scikit-learn has the statistic, the value is scikit-learn's (1.9) to 1e-12;
//! `tests/fixtures/statistics` at the root of the workspace holds the numbers and the script that made them.
//!
//! | question | statistic |
//! |---|---|
//! | does the score rank positives above negatives? | [`roc_auc()`], [`pr_auc()`], [`lift_by_decile`], [`gain_curve`], [`roc_curve`], [`precision_recall_curve`] |
//! | how sure is that, and is one model better than another? | [`delong::auc_interval`], [`delong::paired`], [`bootstrap_intervals`], [`paired_bootstrap()`] |
//! | can the probability be taken at its word? | [`log_loss()`], [`brier()`], [`ece()`], [`calibration_noise()`] |
//! | what does a threshold do? | [`confusion_at`], [`best_f1_threshold`], [`profit_curve`](crate::profit_curve()) |
//! | is it as good for every group? | [`slices()`] |

mod best_f1;
mod brier;
mod calibration_noise;
mod confusion;
mod curves;
pub mod delong;
mod ece;
pub(crate) mod error;
#[cfg(test)]
mod fixtures;
mod gain;
mod histogram;
mod intervals;
mod lift;
mod log_loss;
mod normal;
mod paired_bootstrap;
mod pr_auc;
pub(crate) mod ranking;
mod resampling;
mod roc_auc;
mod slices;
mod wilson;

pub use best_f1::{BestF1, best_f1_threshold};
pub use brier::brier;
pub use calibration_noise::{CalibrationNoise, calibration_noise};
pub use confusion::{Confusion, confusion_at};
pub use curves::{PrecisionRecallPoint, RocPoint, precision_recall_curve, roc_curve, simplified};
pub use ece::{CALIBRATION_BINS, Calibration, DEFAULT_MAXIMUM_ECE, ReliabilityBin, ece};
pub use error::MetricError;
pub use gain::{GainPoint, gain_at, gain_curve};
pub use histogram::{ScoreBin, score_histogram};
pub use intervals::{BootstrapIntervals, DEFAULT_INTERVAL_REPLICATES, Interval, bootstrap_intervals};
pub use lift::{DECILES, DecileLift, lift_by_decile};
pub use log_loss::log_loss;
pub use paired_bootstrap::{BootstrapMetric, DEFAULT_REPLICATES, PairedBootstrap, paired_bootstrap};
pub use pr_auc::pr_auc;
pub use roc_auc::roc_auc;
pub use slices::{Slice, SliceFigures, SliceQuality, SliceRules, slices};
pub use wilson::{Proportion, wilson};

/// Confidence of every interval here.
pub const CONFIDENCE: f64 = 0.95;

/// Half width of a two-sided normal interval of [`CONFIDENCE`], in standard errors.
const Z_CONFIDENCE: f64 = 1.959_963_984_540_054;
