//! Between the wire and the logic.

use holdfast_api::common::v1::ModelRef;
use holdfast_api::monitoring::v1 as wire;
use holdfast_api::time;
use holdfast_domain::CustomerKey;
use jiff::Timestamp;

use crate::error::{Error, Violation};
use crate::service::outcomes::NewOutcome;
use crate::service::policy::DriftPolicy;
use crate::service::report::{DriftReport, FeatureDrift, Method, Verdict, Window};

const OUT_OF_TIME: &str = "is outside the years -9999 to 9999";

pub(super) fn outcomes_in(outcomes: &[wire::Outcome]) -> Result<Vec<NewOutcome>, Error> {
    let mut found = Vec::new();
    let mut taken = Vec::with_capacity(outcomes.len());
    for (index, outcome) in outcomes.iter().enumerate() {
        let event_time = match &outcome.event_time {
            None => None,
            Some(at) => match time::from_wire(at) {
                Some(at) => Some(at),
                None => {
                    found.push(Violation::new(
                        format!("outcomes[{index}].event_time"),
                        "timestamp",
                        OUT_OF_TIME,
                    ));
                    continue;
                }
            },
        };
        taken.push(NewOutcome {
            customer_key: CustomerKey(outcome.customer_key),
            attrited: outcome.attrited,
            event_time,
        });
    }
    Violation::none(found)?;
    Ok(taken)
}

pub(super) fn window_in(window: wire::Window) -> Result<Window, Error> {
    let mut found = Vec::new();
    let mut read = |field: &str, at: Option<_>| -> Option<Timestamp> {
        let (rule, description) = match at.map(|at| time::from_wire(&at)) {
            Some(Some(at)) => return Some(at),
            Some(None) => ("timestamp", OUT_OF_TIME),
            None => ("required", "must be set when a window is named"),
        };
        found.push(Violation::new(field, rule, description));
        None
    };
    let (from, to) = (read("window.from", window.from), read("window.to", window.to));
    if let (Some(from), Some(to)) = (from, to) {
        if from < to {
            return Ok(Window { from, to });
        }
        found.push(Violation::new("window.to", "order", "must be later than window.from"));
    }
    Err(Error::Invalid(found))
}

pub(super) fn report_out(report: &DriftReport) -> wire::DriftReport {
    let verdict = match report.verdict {
        Verdict::Stable => wire::DriftVerdict::Stable,
        Verdict::Drift => wire::DriftVerdict::Drift,
    };
    wire::DriftReport {
        report_id: report.report_id.clone(),
        model: Some(ModelRef {
            model: report.model.to_string(),
            version: report.version.0,
            artifact_digest: report.artifact_digest.to_string(),
        }),
        generation: report.generation.0,
        window: Some(wire::Window {
            from: Some(time::to_wire(report.window.from)),
            to: Some(time::to_wire(report.window.to)),
        }),
        rows: report.rows,
        verdict: verdict.into(),
        drift_share: report.drift_share,
        score_drifted: report.score_drifted,
        features: report.features.iter().map(feature_out).collect(),
        policy: Some(policy_out(&report.policy)),
        created_at: Some(time::to_wire(report.created_at)),
        labelled_rows: report.labelled_rows,
        objects_read: report.objects_read,
        summary: report.summary.clone(),
    }
}

fn feature_out(feature: &FeatureDrift) -> wire::FeatureDrift {
    let method = match feature.method {
        Method::KsExact => wire::DriftMethod::KsExact,
        Method::KsAsymptotic => wire::DriftMethod::KsAsymptotic,
        Method::ChiSquared => wire::DriftMethod::ChiSquared,
    };
    wire::FeatureDrift {
        feature: feature.feature.clone(),
        method: method.into(),
        statistic: feature.statistic,
        p_value: feature.p_value,
        adjusted_p_value: feature.adjusted_p_value,
        effect_size: feature.effect_size,
        drifted: feature.drifted,
        reference_rows: feature.reference_rows,
        window_rows: feature.window_rows,
        // The wire has 0 for "none": only numbers have medians.
        reference_median: feature.reference_median.unwrap_or_default(),
        window_median: feature.window_median.unwrap_or_default(),
        reference_missing_share: feature.reference_missing_share,
        window_missing_share: feature.window_missing_share,
        detectable_effect: feature.detectable_effect,
    }
}

fn policy_out(policy: &DriftPolicy) -> wire::DriftPolicy {
    wire::DriftPolicy {
        alpha: policy.alpha,
        minimum_effect: policy.minimum_effect,
        drift_share_threshold: policy.drift_share_threshold,
        score_drift_counts: policy.score_drift_counts,
        minimum_rows: policy.minimum_rows,
        severe_effect: policy.severe_effect,
    }
}
