//! Windows, quiet and not.

use holdfast_api::monitoring::v1::{CheckDriftRequest, DriftMethod, DriftVerdict};
use holdfast_api::time;
use holdfast_chassis::Code;
use holdfast_domain::{Customer, Feature, ModelName, ModelVersion};
use holdfast_model::Distribution;
use holdfast_records::layout::model_key;
use holdfast_simulator::Scenario;
use holdfast_statistics::{Ecdf, ks};
use jiff::SignedDuration;

use crate::support::{Sandbox, churn, drifted, feature, features, noon, schema, unseen};

#[tokio::test]
async fn a_quiet_window_of_the_same_bank_is_stable() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 1_000)).await;
    let report = sandbox.check().await.unwrap();

    assert_eq!(report.verdict(), DriftVerdict::Stable, "{}", report.summary);
    assert_eq!((report.rows, report.objects_read, report.generation), (1_000, 1, 1));
    assert_eq!(report.features.len(), 20, "19 features and the score");
    assert!(report.features.is_sorted_by(|a, b| a.effect_size >= b.effect_size));
    assert_eq!(report.model.unwrap().version, 1);
    assert_eq!(report.policy.unwrap().severe_effect, 0.5);
    assert!(
        report.summary.starts_with("stable: 0 of 19 judged features"),
        "{}",
        report.summary
    );
    sandbox.end().await;
}

async fn check_scenario(scenario: Scenario, progress: f64) -> holdfast_api::monitoring::v1::DriftReport {
    let mut sandbox = Sandbox::with_champion().await;
    let shifted = scenario.apply(&unseen(0, 600), progress, 3);
    sandbox.predict(&shifted).await;
    let report = sandbox.check().await.unwrap();
    sandbox.end().await;
    report
}

#[tokio::test]
async fn a_sudden_shift_is_drift_and_the_moved_features_are_named() {
    let report = check_scenario(Scenario::Sudden, 1.0).await;
    assert_eq!(report.verdict(), DriftVerdict::Drift);
    let moved = drifted(&report);
    for name in ["Total_Trans_Ct", "Total_Amt_Chng_Q4_Q1", "Total_Ct_Chng_Q4_Q1"] {
        assert!(moved.contains(&name), "{moved:?}");
        assert!(report.summary.contains(name), "{}", report.summary);
    }
    assert!(
        !moved.contains(&"Customer_Age") && !moved.contains(&"Credit_Limit"),
        "{moved:?}"
    );
    assert!(report.score_drifted);
    let count = feature(&report, "Total_Trans_Ct");
    assert!(count.window_median < 0.8 * count.reference_median, "{count:?}");
}

#[tokio::test]
async fn one_feature_that_moves_far_is_drift_of_that_feature_alone() {
    let report = check_scenario(Scenario::OneFeature, 1.0).await;
    assert_eq!(report.verdict(), DriftVerdict::Drift, "{}", report.summary);
    assert_eq!(drifted(&report), ["Total_Amt_Chng_Q4_Q1"]);
    assert!(!report.score_drifted, "the model does not look at it");
}

#[tokio::test]
async fn a_column_that_breaks_upstream_is_drift_by_itself() {
    let report = check_scenario(Scenario::BrokenColumn, 0.7).await;
    assert_eq!(report.verdict(), DriftVerdict::Drift);
    assert_eq!(report.features[0].feature, "Total_Trans_Ct");
    assert!(report.features[0].effect_size >= 0.5);
    assert!(
        report.summary.contains("Total_Trans_Ct may be broken upstream"),
        "{}",
        report.summary
    );
}

#[tokio::test]
async fn calls_with_the_required_features_alone_are_not_drift() {
    let mut sandbox = Sandbox::with_champion().await;
    let mut masked = unseen(0, 500);
    for customer in &mut masked {
        customer.features = customer.features.required_only(schema());
    }
    sandbox.predict(&masked).await;
    let report = sandbox.check().await.unwrap();
    assert_eq!(report.verdict(), DriftVerdict::Stable, "{}", report.summary);
    assert_eq!(report.features.len(), 8);
    assert!(
        report.summary.contains("Gender") && report.summary.contains("the score was not judged"),
        "{}",
        report.summary
    );

    // Mixed with full rows every feature is judged again, on the rows that have it.
    sandbox.predict(&unseen(500, 150)).await;
    let report = sandbox.check().await.unwrap();
    assert_eq!(report.verdict(), DriftVerdict::Stable, "{}", report.summary);
    let age = feature(&report, "Customer_Age");
    assert_eq!(age.window_rows, 150);
    assert!((age.window_missing_share - 500.0 / 650.0).abs() < 1e-12);
    assert_eq!(age.reference_missing_share, 0.0);
    assert_eq!(feature(&report, "score").window_rows, 150);
    sandbox.end().await;
}

#[tokio::test]
async fn too_few_predictions_get_no_verdict() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 99)).await;
    let refused = sandbox.check().await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::FailedPrecondition, "WINDOW_TOO_SMALL")
    );
    assert_eq!(refused.metadata["rows"], "99");
    assert_eq!(refused.metadata["minimum_rows"], "100");
    assert!(sandbox.list(0).await.unwrap().is_empty());
    sandbox.end().await;
}

#[tokio::test]
async fn without_a_champion_there_is_nothing_to_compare_with() {
    let mut sandbox = Sandbox::start(|_| {}).await;
    sandbox.predict(&unseen(0, 200)).await;
    let refused = sandbox.check().await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::FailedPrecondition, "NO_CHAMPION")
    );
    sandbox.end().await;
}

#[tokio::test]
async fn the_numbers_of_a_report_are_those_of_the_statistics_on_the_same_data() {
    let mut sandbox = Sandbox::with_champion().await;
    let customers = unseen(0, 777);
    sandbox.predict(&customers).await;
    let report = sandbox.check().await.unwrap();
    for profile in &sandbox.model.profile().features {
        let Distribution::Numeric(reference) = &profile.distribution else {
            assert_eq!(
                feature(&report, profile.feature.name()).method(),
                DriftMethod::ChiSquared
            );
            continue;
        };
        let window = features(&customers)
            .iter()
            .filter_map(|row| row.get(profile.feature))
            .collect();
        assert_same_test(&report, profile.feature.name(), reference, window);
    }
    let scores = features(&customers)
        .iter()
        .map(|row| sandbox.model.score(row))
        .collect();
    assert_same_test(&report, "score", &sandbox.model.profile().score, scores);
    sandbox.end().await;
}

fn assert_same_test(
    report: &holdfast_api::monitoring::v1::DriftReport,
    name: &str,
    reference: &holdfast_model::NumericProfile,
    window: Vec<f64>,
) {
    let reported = feature(report, name);
    let rows = window.len() as u64;
    let expected = ks::two_sample(
        &Ecdf::from_counts(reference.values(), reference.counts()).unwrap(),
        &Ecdf::from_sample(window).unwrap(),
        ks::PValueMethod::Auto,
    );
    let method = match expected.method {
        ks::ComputedBy::Exact => DriftMethod::KsExact,
        ks::ComputedBy::Asymptotic => DriftMethod::KsAsymptotic,
    };
    assert_eq!(reported.method(), method, "{name}");
    assert_eq!(reported.statistic.to_bits(), expected.statistic.to_bits(), "{name}");
    assert_eq!(reported.p_value.to_bits(), expected.p_value.to_bits(), "{name}");
    assert_eq!(reported.window_rows, rows, "{name}");
}

#[tokio::test]
async fn only_the_models_own_predictions_and_only_the_champions_scores_count() {
    let mut sandbox = Sandbox::with_champion().await;
    let mut records = sandbox.records(&unseen(0, 400));
    for (index, record) in records.iter_mut().enumerate() {
        match index % 4 {
            // Another model's customers are no part of the window.
            0 => record.model = ModelName::parse("fraud").unwrap(),
            // The version before scored otherwise; the customers are the same.
            1 => (record.version, record.score) = (ModelVersion(9), 0.999),
            _ => {}
        }
    }
    sandbox.log(&records).await;
    let report = sandbox.check().await.unwrap();
    assert_eq!(report.rows, 300);
    assert_eq!(feature(&report, "Credit_Limit").window_rows, 300);
    assert_eq!(feature(&report, "score").window_rows, 200);
    assert_eq!(report.verdict(), DriftVerdict::Stable, "{}", report.summary);
    sandbox.end().await;
}

#[tokio::test]
async fn the_champion_is_followed_from_one_check_to_the_next() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 200)).await;
    assert_eq!(sandbox.check().await.unwrap().generation, 1);
    sandbox.promote(2).await;
    let report = sandbox.check().await.unwrap();
    assert_eq!((report.generation, report.model.unwrap().version), (2, 2));
    sandbox.end().await;
}

#[tokio::test]
async fn a_category_that_was_renamed_upstream_is_drift() {
    let mut sandbox = Sandbox::with_champion().await;
    let mut customers = unseen(0, 300);
    for customer in &mut customers {
        customer
            .features
            .set(Feature::MaritalStatus, holdfast_domain::UNKNOWN_CATEGORY);
    }
    sandbox.predict(&customers).await;
    let report = sandbox.check().await.unwrap();
    assert_eq!(report.verdict(), DriftVerdict::Drift);
    assert_eq!(drifted(&report), ["Marital_Status"]);
    assert!(
        (feature(&report, "Marital_Status").effect_size - 1.0).abs() < 1e-12,
        "no category in common"
    );
    sandbox.end().await;
}

#[tokio::test]
async fn a_window_is_the_last_day_unless_it_is_named() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 120)).await;
    let mut old = sandbox.records(&unseen(120, 50));
    for record in &mut old {
        record.event_time -= SignedDuration::from_hours(24);
    }
    sandbox.log(&old).await;
    let request = CheckDriftRequest::default();
    let report = sandbox.client.clone().check_drift(request).await.unwrap().into_inner();
    let report = report.report.unwrap();
    assert_eq!(report.rows, 120);
    assert_eq!(report.created_at, Some(time::to_wire(noon())));
    sandbox.end().await;
}

#[tokio::test]
async fn a_window_that_ends_before_it_begins_is_refused_field_by_field() {
    let sandbox = Sandbox::with_champion().await;
    let mut request = CheckDriftRequest {
        window: Some(holdfast_api::monitoring::v1::Window {
            from: Some(time::to_wire(noon())),
            to: Some(time::to_wire(noon())),
        }),
        ..CheckDriftRequest::default()
    };
    let order = sandbox.client.clone().check_drift(request.clone()).await.unwrap_err();
    let fault = holdfast_chassis::Fault::from_status(&order);
    assert_eq!(fault.violations[0].field, "window.to");
    request.window = Some(holdfast_api::monitoring::v1::Window::default());
    let missing = sandbox.client.clone().check_drift(request).await.unwrap_err();
    let fault = holdfast_chassis::Fault::from_status(&missing);
    assert_eq!(fault.code, Code::InvalidArgument);
    assert_eq!(fault.violations.len(), 2, "{fault:?}");
    sandbox.end().await;
}

#[tokio::test]
async fn a_damaged_segment_is_left_out_and_the_report_says_so() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 200)).await;
    let records = sandbox.records(&unseen(200, 200));
    let key = sandbox.log(&records).await;
    let mut bytes = sandbox.blobs.get(&key).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    sandbox.blobs.put(&key, bytes.into()).await.unwrap();
    let report = sandbox.check().await.unwrap();
    assert_eq!(report.rows, 200);
    assert!(report.summary.contains("1 damaged objects"), "{}", report.summary);
    sandbox.end().await;
}

#[tokio::test]
async fn a_damaged_champion_is_an_error_that_names_it() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 200)).await;
    let key = model_key(&churn(), ModelVersion(1));
    sandbox.blobs.put(&key, "something else".into()).await.unwrap();
    let fault = sandbox.check().await.unwrap_err();
    assert_eq!((fault.code, &*fault.reason), (Code::DataLoss, "ARTIFACT_DAMAGED"));
    assert!(fault.message.contains(key.as_str()), "{}", fault.message);
    sandbox.end().await;
}

#[tokio::test]
async fn a_window_beyond_the_row_limit_is_read_up_to_it() {
    let mut sandbox = Sandbox::start(|settings| settings.maximum_rows = 150).await;
    sandbox.promote(1).await;
    let customers: Vec<Customer> = unseen(0, 400);
    sandbox.predict(&customers).await;
    let report = sandbox.check().await.unwrap();
    assert_eq!(report.rows, 150);
    assert!(
        report.summary.contains("only the earliest were read"),
        "{}",
        report.summary
    );
    sandbox.end().await;
}
