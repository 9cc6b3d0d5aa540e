//! What operators see.

use std::collections::BTreeMap;

use crate::support::{Sandbox, customer, customers};

/// Series of `/metrics` by name and labels. Every line must be a comment or a sample, every sample's metric must have a
/// type.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let mut types = BTreeMap::new();
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(
                types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} is described twice"
            );
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
            let name = series.split('{').next().unwrap();
            assert!(
                name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
                "{name}"
            );
            let bare = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix));
            assert!(
                types.contains_key(name) || bare.is_some_and(|bare| types.contains_key(bare)),
                "{name} has no type"
            );
            assert!(
                samples.insert(series.to_owned(), value.parse().unwrap()).is_none(),
                "{series} is there twice"
            );
        }
    }
    samples
}

#[tokio::test]
async fn every_series_is_there_from_the_start() {
    let sandbox = Sandbox::new();
    let service = sandbox.start().await;
    let (status, text) = service.admin("/metrics").await;
    assert_eq!(status, 200);
    let samples = parse(&text);
    let zero = [
        "holdfast_inference_predictions_total{outcome=\"ok\"}",
        "holdfast_inference_predictions_total{outcome=\"invalid\"}",
        "holdfast_inference_predictions_total{outcome=\"no_champion\"}",
        "holdfast_inference_predictions_total{outcome=\"refused\"}",
        "holdfast_inference_prediction_duration_seconds_count",
        "holdfast_inference_prediction_score_count",
        "holdfast_inference_out_of_domain_total{feature=\"Credit_Limit\"}",
        "holdfast_inference_model_loaded",
        "holdfast_inference_model_generation",
        "holdfast_inference_model_load_failures_total{stage=\"download\"}",
        "holdfast_inference_model_load_failures_total{stage=\"digest\"}",
        "holdfast_inference_model_load_failures_total{stage=\"decode\"}",
        "holdfast_inference_model_load_failures_total{stage=\"golden\"}",
        "holdfast_inference_model_reload_duration_seconds_count",
        "holdfast_inference_registry_connected",
        "holdfast_inference_prediction_log_acknowledged_records_total",
        "holdfast_inference_prediction_log_uploaded_records_total",
        "holdfast_inference_prediction_log_dropped_records_total",
        "holdfast_inference_prediction_log_refused_records_total",
        "holdfast_inference_prediction_log_damaged_records_total",
        "holdfast_inference_prediction_log_upload_failures_total",
        "holdfast_inference_prediction_log_oldest_segment_age_seconds",
        "holdfast_inference_spool_bytes",
        "holdfast_inference_spool_records",
    ];
    for series in zero {
        assert_eq!(samples.get(series), Some(&0.0), "{series}");
    }
    assert_eq!(
        samples
            .keys()
            .filter(|series| series.starts_with("holdfast_inference_out_of_domain_total"))
            .count(),
        19
    );
    service.stop().await;
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    for index in 0..5 {
        service.predict(customer(index)).await.unwrap();
    }
    let request = holdfast_api::inference::v1::PredictBatchRequest {
        customers: customers(10).into(),
        ..Default::default()
    };
    service.client.clone().predict_batch(request).await.unwrap();
    service.flush().await.unwrap();
    let samples = parse(&service.admin("/metrics").await.1);
    assert_eq!(
        samples["holdfast_inference_predictions_total{outcome=\"ok\"}"] as u64,
        15
    );
    assert_eq!(
        samples["holdfast_inference_prediction_duration_seconds_count"] as u64,
        6
    );
    assert_eq!(samples["holdfast_inference_prediction_score_count"] as u64, 15);
    assert_eq!(
        samples["holdfast_inference_prediction_log_uploaded_records_total"] as u64,
        15
    );
    assert_eq!(samples["holdfast_inference_model_loaded"] as u64, 1);
    assert_eq!(samples["holdfast_inference_model_generation"] as u64, 1);
    let info: Vec<&String> = samples
        .keys()
        .filter(|series| series.starts_with("holdfast_inference_model_info"))
        .collect();
    assert_eq!(info.len(), 1);
    assert!(
        info[0].contains("model=\"churn\"") && info[0].contains("version=\"1\""),
        "{}",
        info[0]
    );
    assert_eq!(
        samples["holdfast_inference_model_reload_duration_seconds_count"] as u64,
        1
    );
    service.stop().await;
}
