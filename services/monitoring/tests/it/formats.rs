//! Stored reports are read for ever: `tests/samples` holds one of every version there ever was.

use holdfast_domain::{Digest, Generation, ModelVersion};
use holdfast_monitoring::service::policy::DriftPolicy;
use holdfast_monitoring::service::report::{
    DriftReport, FORMAT_VERSION, FeatureDrift, Method, SkippedFeature, Verdict, Window,
};

use crate::support::{churn, noon};

const SAMPLE_V1: &str = include_str!("../samples/drift_report_v1.json");

fn report() -> DriftReport {
    let judged = |feature: &str, method, medians: Option<(f64, f64)>| FeatureDrift {
        feature: feature.to_owned(),
        method,
        statistic: 0.3125,
        p_value: 1e-12,
        adjusted_p_value: 2e-11,
        effect_size: 0.25,
        drifted: true,
        reference_rows: 8_101,
        window_rows: 640,
        reference_median: medians.map(|(reference, _)| reference),
        window_median: medians.map(|(_, window)| window),
        reference_missing_share: 0.0,
        window_missing_share: 0.125,
        detectable_effect: 0.055,
    };
    DriftReport {
        format_version: FORMAT_VERSION,
        report_id: "019ab0f5-6c00-7123-8456-0123456789ab".to_owned(),
        model: churn(),
        version: ModelVersion(3),
        artifact_digest: Digest::of(b"artifact"),
        generation: Generation(4),
        window: Window {
            from: noon() - jiff::SignedDuration::from_hours(24),
            to: noon(),
        },
        rows: 640,
        capped: false,
        objects_read: 2,
        objects_damaged: 0,
        verdict: Verdict::Drift,
        drift_share: 1.0,
        score_drifted: true,
        features: vec![
            judged("Total_Trans_Ct", Method::KsExact, Some((67.0, 41.0))),
            judged("score", Method::KsAsymptotic, Some((0.02, 0.11))),
            judged("Gender", Method::ChiSquared, None),
        ],
        skipped: vec![SkippedFeature {
            feature: "Customer_Age".to_owned(),
            reference_rows: 8_101,
            window_rows: 12,
        }],
        policy: DriftPolicy::default(),
        labelled_rows: 55,
        created_at: noon(),
        summary: "drift: 2 of 2 judged features moved".to_owned(),
    }
}

#[test]
fn the_first_version_of_a_report_reads_back() {
    let read: DriftReport = serde_json::from_str(SAMPLE_V1).unwrap();
    assert_eq!(read, report());
}

#[test]
fn a_report_is_written_as_its_sample() {
    let written = serde_json::to_string(&report()).unwrap();
    assert_eq!(written, SAMPLE_V1.trim_end());
}
