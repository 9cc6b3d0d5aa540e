//! Every metric of monitoring.

use holdfast_chassis::metrics::{
    Counter, EncodeLabelSet, EncodeLabelValue, Family, FloatGauge, Gauge, Histogram, MetricsRegistry, Unit,
};
use holdfast_domain::Feature;

use crate::service::report::{DriftReport, SCORE, Verdict};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum CheckOutcome {
    /// The verdict is: stable.
    Stable,
    /// The verdict is: drift.
    Drift,
    /// No verdict: too few predictions, or no champion.
    Refused,
    /// No verdict: something failed.
    Failed,
}

/// Labels of `holdfast_monitoring_drift_checks_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct CheckLabels {
    /// How it ended.
    pub verdict: CheckOutcome,
}

/// How a request for retraining ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum RetrainingOutcome {
    /// Training took it.
    Started,
    /// There is a run for the report already.
    Known,
    /// The window cannot be learnt from yet.
    TooFewOutcomes,
    /// Something failed.
    Failed,
}

/// Labels of `holdfast_monitoring_retraining_requests_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RetrainingLabels {
    /// How it ended.
    pub outcome: RetrainingOutcome,
}

/// Labels by feature.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FeatureLabels {
    /// Column name, or `score`.
    pub feature: String,
}

/// The metrics of monitoring. Gauges show the last check of any model.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Checks by how they ended.
    pub drift_checks: Family<CheckLabels, Counter>,
    /// How long checks took.
    pub check_duration: Histogram,
    /// Share of drifted features.
    pub drift_share: FloatGauge,
    /// Effect by feature; 0 where a feature was not judged.
    pub feature_drift_statistic: Family<FeatureLabels, FloatGauge>,
    /// Predictions in the window.
    pub window_rows: Gauge,
    /// When the last report was made.
    pub last_check_timestamp: FloatGauge,
    /// Outcomes stored.
    pub outcomes_recorded: Counter,
    /// Requests for retraining by how they ended.
    pub retraining_requests: Family<RetrainingLabels, Counter>,
}

impl Metrics {
    /// Registers them; every series exists from now on.
    pub fn new(registry: &MetricsRegistry) -> Self {
        let checks = [
            CheckOutcome::Stable,
            CheckOutcome::Drift,
            CheckOutcome::Refused,
            CheckOutcome::Failed,
        ];
        let retraining = [
            RetrainingOutcome::Started,
            RetrainingOutcome::Known,
            RetrainingOutcome::TooFewOutcomes,
            RetrainingOutcome::Failed,
        ];
        Self {
            drift_checks: registry.counters(
                "holdfast_monitoring_drift_checks",
                "Drift checks by verdict; refused and failed ones have none",
                Unit::None,
                checks.map(|verdict| CheckLabels { verdict }),
            ),
            check_duration: registry.histogram(
                "holdfast_monitoring_drift_check_duration",
                "Time a drift check took, the reading of the window included",
            ),
            drift_share: registry.float_gauge(
                "holdfast_monitoring_drift_share",
                "Share of the judged features that drifted in the last check, 0 to 1",
                Unit::None,
            ),
            feature_drift_statistic: registry.float_gauges(
                "holdfast_monitoring_feature_drift_statistic",
                "Effect size of each feature in the last check, 0 to 1: D of a number, Cramer's V of a category, 0 when not judged",
                Unit::None,
                every_feature(),
            ),
            window_rows: registry.gauge(
                "holdfast_monitoring_window",
                "Predictions in the window of the last check",
                Unit::Rows,
            ),
            last_check_timestamp: registry.float_gauge(
                "holdfast_monitoring_last_check_timestamp",
                "When the last drift report was made, since 1970; 0 before the first",
                Unit::Seconds,
            ),
            outcomes_recorded: registry.counter(
                "holdfast_monitoring_outcomes_recorded",
                "Outcomes stored, repeats not counted",
                Unit::None,
            ),
            retraining_requests: registry.counters(
                "holdfast_monitoring_retraining_requests",
                "Requests for retraining by how they ended",
                Unit::None,
                retraining.map(|outcome| RetrainingLabels { outcome }),
            ),
        }
    }

    /// Shows a report.
    pub fn checked(&self, report: &DriftReport) {
        self.count_check(match report.verdict {
            Verdict::Stable => CheckOutcome::Stable,
            Verdict::Drift => CheckOutcome::Drift,
        });
        self.drift_share.set(report.drift_share);
        for labels in every_feature() {
            let judged = report.features.iter().find(|feature| feature.feature == labels.feature);
            let effect = judged.map_or(0.0, |feature| feature.effect_size);
            self.feature_drift_statistic.get_or_create(&labels).set(effect);
        }
        self.window_rows.set(i64::try_from(report.rows).unwrap_or(i64::MAX));
        self.last_check_timestamp
            .set(report.created_at.as_millisecond() as f64 / 1_000.0);
    }

    /// Counts how a check ended.
    pub fn count_check(&self, verdict: CheckOutcome) {
        self.drift_checks.get_or_create(&CheckLabels { verdict }).inc();
    }

    /// Counts how a request for retraining ended.
    pub fn retraining_requested(&self, outcome: RetrainingOutcome) {
        self.retraining_requests
            .get_or_create(&RetrainingLabels { outcome })
            .inc();
    }
}

fn every_feature() -> impl Iterator<Item = FeatureLabels> {
    let names = Feature::ALL.into_iter().map(Feature::name).chain([SCORE]);
    names.map(|name| FeatureLabels {
        feature: name.to_owned(),
    })
}
