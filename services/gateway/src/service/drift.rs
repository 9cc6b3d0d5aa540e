//! Drift: windows of the prediction log against the champion's reference profile, and retraining on them.

use holdfast_api::monitoring::v1 as wire;
use holdfast_api::monitoring::v1::{DriftMethod as WireMethod, DriftVerdict as WireVerdict};
use holdfast_chassis::{Fault, FieldViolation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{finite, names_of, promised, text, time};
use crate::peers::Peers;

names_of! {
    /// The verdict on a window.
    DriftVerdict from WireVerdict {
        /// No more change than chance explains.
        Stable,
        /// Too much change in too many features or in the score.
        Drift,
    }
}

names_of! {
    /// How a p-value was computed.
    DriftMethod from WireMethod {
        /// Two-sample Kolmogorov-Smirnov, exact distribution.
        KsExact,
        /// Two-sample Kolmogorov-Smirnov, asymptotic distribution.
        KsAsymptotic,
        /// Two-sample chi-squared over categories.
        ChiSquared,
    }
}

/// Asks for a drift check. Without a window, the last one of the length in monitoring's settings.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DriftCheck {
    /// Begin of the window, inclusive.
    pub from: Option<Timestamp>,
    /// End of the window, exclusive.
    pub to: Option<Timestamp>,
    /// True: when the verdict is drift, retrain as well.
    #[serde(default)]
    pub retrain: bool,
    /// The model; the gateway's when absent.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    pub model: Option<String>,
}

/// What a drift check came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DriftChecked {
    /// The report, stored.
    pub report: DriftReport,
    /// The run asked for, when there was one.
    pub run_id: Option<String>,
    /// Why no run was asked for, when it was wanted.
    pub retrain_skipped: Option<String>,
}

/// A span of time: `from <= t < to`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Window {
    /// Begin, inclusive.
    pub from: Option<Timestamp>,
    /// End, exclusive.
    pub to: Option<Timestamp>,
}

/// One feature's comparison.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FeatureDrift {
    /// Column name, or `score` for the model's probability.
    pub feature: String,
    /// How it was compared.
    pub method: DriftMethod,
    /// D for Kolmogorov-Smirnov, 0 to 1; chi-squared otherwise.
    pub statistic: Option<f64>,
    /// p-value, not adjusted.
    pub p_value: Option<f64>,
    /// p-value adjusted over the features of the report.
    pub adjusted_p_value: Option<f64>,
    /// Size of the effect, 0 to 1.
    pub effect_size: Option<f64>,
    /// Significant and large enough to matter.
    pub drifted: bool,
    /// Reference rows with a value.
    pub reference_rows: u64,
    /// Window rows with a value.
    pub window_rows: u64,
    /// Median in the reference, numeric features only.
    pub reference_median: Option<f64>,
    /// Median in the window, numeric features only.
    pub window_median: Option<f64>,
    /// Share of missing values in the reference, 0 to 1.
    pub reference_missing_share: Option<f64>,
    /// Share of missing values in the window, 0 to 1.
    pub window_missing_share: Option<f64>,
    /// Smallest effect that these numbers of rows can tell from chance.
    pub detectable_effect: Option<f64>,
}

/// The rule behind a verdict.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DriftPolicy {
    /// Level of the adjusted p-value.
    pub alpha: f64,
    /// Least effect size that counts, 0 to 1.
    pub minimum_effect: f64,
    /// Share of drifted features at which the window has drifted, 0 to 1.
    pub drift_share_threshold: f64,
    /// True: a drifted score alone is drift.
    pub score_drift_counts: bool,
    /// Least rows in a window.
    pub minimum_rows: u64,
}

/// A stored comparison.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DriftReport {
    /// Its id.
    pub report_id: String,
    /// The model.
    pub model: Option<String>,
    /// The champion whose reference profile it is.
    pub version: Option<u32>,
    /// Generation of the champion.
    pub generation: u64,
    /// The window.
    pub window: Window,
    /// Predictions in the window.
    pub rows: u64,
    /// The verdict.
    pub verdict: DriftVerdict,
    /// Share of features that drifted, 0 to 1.
    pub drift_share: Option<f64>,
    /// Did the score itself drift?
    pub score_drifted: bool,
    /// Each feature, largest effect first.
    pub features: Vec<FeatureDrift>,
    /// The rule applied.
    pub policy: Option<DriftPolicy>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Outcomes known for the window when it was made.
    pub labelled_rows: u64,
    /// Objects of the prediction log that were read.
    pub objects_read: u64,
    /// A sentence for people.
    pub summary: String,
}

/// Stored reports, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DriftReports {
    /// The reports.
    pub reports: Vec<DriftReport>,
}

/// A run asked for because of a report.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Retraining {
    /// The run.
    pub run_id: String,
    /// Digest of the labelled window.
    pub window_snapshot: String,
    /// Its rows.
    pub labelled_rows: u64,
}

impl From<wire::FeatureDrift> for FeatureDrift {
    fn from(wire: wire::FeatureDrift) -> Self {
        let numeric = wire.method != WireMethod::ChiSquared as i32;
        Self {
            feature: wire.feature,
            method: wire.method.into(),
            statistic: finite(wire.statistic),
            p_value: finite(wire.p_value),
            adjusted_p_value: finite(wire.adjusted_p_value),
            effect_size: finite(wire.effect_size),
            drifted: wire.drifted,
            reference_rows: wire.reference_rows,
            window_rows: wire.window_rows,
            reference_median: finite(wire.reference_median).filter(|_| numeric),
            window_median: finite(wire.window_median).filter(|_| numeric),
            reference_missing_share: finite(wire.reference_missing_share),
            window_missing_share: finite(wire.window_missing_share),
            detectable_effect: finite(wire.detectable_effect),
        }
    }
}

impl From<wire::DriftPolicy> for DriftPolicy {
    fn from(wire: wire::DriftPolicy) -> Self {
        Self {
            alpha: wire.alpha,
            minimum_effect: wire.minimum_effect,
            drift_share_threshold: wire.drift_share_threshold,
            score_drift_counts: wire.score_drift_counts,
            minimum_rows: wire.minimum_rows,
        }
    }
}

impl From<wire::DriftReport> for DriftReport {
    fn from(wire: wire::DriftReport) -> Self {
        let (from, to) = wire
            .window
            .map_or((None, None), |window| (time(window.from), time(window.to)));
        Self {
            report_id: wire.report_id,
            version: wire.model.as_ref().map(|model| model.version),
            model: wire.model.map(|model| model.model),
            generation: wire.generation,
            window: Window { from, to },
            rows: wire.rows,
            verdict: wire.verdict.into(),
            drift_share: finite(wire.drift_share),
            score_drifted: wire.score_drifted,
            features: wire.features.into_iter().map(FeatureDrift::from).collect(),
            policy: wire.policy.map(DriftPolicy::from),
            created_at: time(wire.created_at),
            labelled_rows: wire.labelled_rows,
            objects_read: wire.objects_read,
            summary: wire.summary,
        }
    }
}

/// Checks a window of `model`'s predictions and stores the report.
///
/// # Errors
/// `INVALID_FIELDS` for half a window or one that ends before it begins; monitoring's.
pub async fn check(peers: &Peers, model: String, wanted: DriftCheck) -> Result<DriftChecked, Fault> {
    let wire_time = holdfast_api::time::to_wire;
    let window = match (wanted.from, wanted.to) {
        (None, None) => None,
        (Some(from), Some(to)) if from < to => Some(wire::Window {
            from: Some(wire_time(from)),
            to: Some(wire_time(to)),
        }),
        (Some(_), Some(_)) => return Err(bad_window("to", "order", "to must be after from")),
        (Some(_), None) => return Err(bad_window("to", "required", "to is missing; from and to go together")),
        (None, Some(_)) => {
            return Err(bad_window(
                "from",
                "required",
                "from is missing; from and to go together",
            ));
        }
    };
    let message = wire::CheckDriftRequest {
        model,
        window,
        retrain: wanted.retrain,
    };
    let answer = peers.check_drift(message).await?;
    Ok(DriftChecked {
        report: promised(answer.report, "the report")?.into(),
        run_id: text(answer.run_id),
        retrain_skipped: text(answer.retrain_skipped),
    })
}

fn bad_window(field: &str, rule: &str, detail: &str) -> Fault {
    Fault::invalid_fields("INVALID_FIELDS", vec![FieldViolation::new(field, rule, detail)])
}

/// A stored report.
///
/// # Errors
/// Monitoring's.
pub async fn report(peers: &Peers, report_id: String) -> Result<DriftReport, Fault> {
    let answer = peers.get_report(wire::GetReportRequest { report_id }).await?;
    Ok(promised(answer.report, "the report")?.into())
}

/// Stored reports of `model`, newest first.
///
/// # Errors
/// Monitoring's.
pub async fn reports(peers: &Peers, model: String, page_size: u32) -> Result<DriftReports, Fault> {
    let answer = peers
        .list_reports(wire::ListReportsRequest { model, page_size })
        .await?;
    Ok(DriftReports {
        reports: answer.reports.into_iter().map(DriftReport::from).collect(),
    })
}

/// Asks for a run with the labelled rows of a report's window.
///
/// # Errors
/// Monitoring's; `TOO_FEW_OUTCOMES` when there are too few.
pub async fn retrain(peers: &Peers, report_id: String) -> Result<Retraining, Fault> {
    let message = wire::TriggerRetrainingRequest {
        report_id,
        requested_by: super::ACTOR.to_owned(),
    };
    let answer = peers.trigger_retraining(message).await?;
    Ok(Retraining {
        run_id: answer.run_id,
        window_snapshot: answer.window_snapshot,
        labelled_rows: answer.labelled_rows,
    })
}
