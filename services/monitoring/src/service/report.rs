//! The report of a check, as stored.
//!
//! Stored as JSON at `reports/{model}/{date}/{id}.json`, written once. `format_version` 1; a later version reads this one for ever
//! (`tests/samples`). Features go by name: a report outlives the schema it was made with.

use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::DriftPolicy;
use super::stored_json::Versioned;

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

/// Stands for the model's score among the features.
pub const SCORE: &str = "score";

/// A span of time: from <= t < to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Begin, inclusive.
    pub from: Timestamp,
    /// End, exclusive.
    pub to: Timestamp,
}

/// The verdict on a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No more change than chance explains.
    Stable,
    /// Too much change.
    Drift,
}

/// How two distributions were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Two-sample Kolmogorov–Smirnov, exact p-value.
    KsExact,
    /// Two-sample Kolmogorov–Smirnov, asymptotic p-value.
    KsAsymptotic,
    /// Two-sample chi-squared over categories.
    ChiSquared,
}

/// One feature's comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureDrift {
    /// Column name, or [`SCORE`].
    pub feature: String,
    /// How it was compared.
    pub method: Method,
    /// D, or chi-squared.
    pub statistic: f64,
    /// Not adjusted.
    pub p_value: f64,
    /// Adjusted over the report.
    pub adjusted_p_value: f64,
    /// D, or Cramér's V, 0 to 1.
    pub effect_size: f64,
    /// Significant and large enough to matter.
    pub drifted: bool,
    /// Reference rows with a value.
    pub reference_rows: u64,
    /// Window rows with a value.
    pub window_rows: u64,
    /// Median of the reference; numbers only.
    pub reference_median: Option<f64>,
    /// Median of the window; numbers only.
    pub window_median: Option<f64>,
    /// Share of reference rows without a value.
    pub reference_missing_share: f64,
    /// Share of window rows without a value.
    pub window_missing_share: f64,
    /// Smallest effect that these numbers of rows can tell from chance at the policy's alpha.
    pub detectable_effect: f64,
}

/// A feature that was not judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedFeature {
    /// Column name, or [`SCORE`].
    pub feature: String,
    /// Reference rows with a value.
    pub reference_rows: u64,
    /// Window rows with a value (of the score: that can be compared).
    pub window_rows: u64,
}

/// A comparison of a window with the champion's reference profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    /// Version of this report's format.
    pub format_version: u32,
    /// Its id: a version 7 UUID of the time it was made.
    pub report_id: String,
    /// The model.
    pub model: ModelName,
    /// The champion's version, whose reference profile it is.
    pub version: ModelVersion,
    /// SHA-256 of its artefact.
    pub artifact_digest: Digest,
    /// Its generation.
    pub generation: Generation,
    /// The window.
    pub window: Window,
    /// Predictions read.
    pub rows: u64,
    /// Whether the window holds more predictions than were read.
    pub capped: bool,
    /// Objects of the prediction log that were read.
    pub objects_read: u64,
    /// Objects that are damaged; their predictions are not in the report.
    pub objects_damaged: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Drifted among judged features, the score aside.
    pub drift_share: f64,
    /// Whether the score drifted.
    pub score_drifted: bool,
    /// The judged features and the score, largest effect first.
    pub features: Vec<FeatureDrift>,
    /// Features with too few values to judge.
    pub skipped: Vec<SkippedFeature>,
    /// The rule applied.
    pub policy: DriftPolicy,
    /// Customers of the window whose outcome was known.
    pub labelled_rows: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// A sentence for people.
    pub summary: String,
}

impl Versioned for DriftReport {
    const KIND: &'static str = "drift report";
    const VERSION: u32 = FORMAT_VERSION;
}
