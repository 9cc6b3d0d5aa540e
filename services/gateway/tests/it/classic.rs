//! The predecessor's API, as its callers know it.

use holdfast_chassis::{Code, Fault};
use reqwest::StatusCode;
use serde_json::json;

use crate::stack::{Stack, errors, expected, json_of, ok, problem, record, record_with};

#[tokio::test]
async fn the_index_says_what_this_is_and_where_to_go_on() {
    let stack = Stack::start().await;
    let index = ok(stack.get("/")).await;
    assert_eq!(index["service"], "holdfast");
    for (_, link) in index["links"].as_object().unwrap() {
        let answer = stack.get(link.as_str().unwrap()).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{link}");
    }
}

#[tokio::test]
async fn health_with_a_model_is_200_and_exactly_three_fields() {
    let stack = Stack::start().await;
    let health = ok(stack.get("/health")).await;
    assert_eq!(
        health,
        json!({"status": "OK", "model_version": "3", "model_loaded": true})
    );
}

#[tokio::test]
async fn health_without_a_model_is_503() {
    let stack = Stack::start().await;
    stack.fakes.fail(
        "get_replica_status",
        Fault::new(Code::FailedPrecondition, "NO_CHAMPION", "no champion"),
    );
    let health = json_of(stack.get("/health"), StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(
        health,
        json!({"status": "UNAVAILABLE", "model_version": null, "model_loaded": false})
    );
}

#[tokio::test]
async fn health_is_503_when_inference_is_away_or_hangs() {
    let alone = Stack::alone().await;
    let health = json_of(alone.get("/health"), StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(health["model_loaded"], false);

    let stack = Stack::with(&[("gateway.health_timeout_ms", json!(50))]).await;
    stack.fakes.hang("get_replica_status");
    json_of(stack.get("/health"), StatusCode::SERVICE_UNAVAILABLE).await;
}

#[tokio::test]
async fn predict_takes_the_eight_numbers_by_name() {
    let stack = Stack::start().await;
    let answer = ok(stack.post("/predict").json(&record())).await;
    assert_eq!(answer["predictions"], json!([1.0]));
    assert_eq!(answer["probabilities"], json!([0.9]));
    assert_eq!(answer["model_version"], "3");
    assert_eq!(answer["num_samples"], 1);
    answer["timestamp"]
        .as_str()
        .unwrap()
        .parse::<jiff::Timestamp>()
        .unwrap();
    assert_eq!(answer.as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn optional_features_and_the_key_reach_inference() {
    let stack = Stack::start().await;
    let more =
        record_with(&json!({"CLIENTNUM": 768_805_383, "Gender": "M", "Customer_Age": 45, "Income_Category": null}));
    ok(stack.post("/predict").json(&more)).await;
    let asked = stack.fakes.last("predict");
    for part in [
        "customer_key: Some(768805383)",
        "gender: Some(\"M\")",
        "customer_age: Some(45.0)",
        "income_category: None",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn every_bad_field_has_an_entry() {
    let stack = Stack::start().await;
    let mut bad =
        record_with(&json!({"Credit_Limit": -5, "Total_Trans_Ct": "many", "Gender": 1, "Total_Trans_Amount": 7}));
    bad.as_object_mut().unwrap().remove("Avg_Utilization_Ratio");
    let problem = problem(stack.post("/predict").json(&bad), 422).await;
    assert_eq!(problem["reason"], "INVALID_FIELDS");
    let all = expected(&[
        ("Avg_Utilization_Ratio", "required"),
        ("Credit_Limit", "below_minimum"),
        ("Gender", "not_text"),
        ("Total_Trans_Amount", "unknown_column"),
        ("Total_Trans_Ct", "not_a_number"),
    ]);
    assert_eq!(errors(&problem), all);
    let unknown = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|error| error["rule"] == "unknown_column")
        .unwrap();
    assert!(
        unknown["detail"]
            .as_str()
            .unwrap()
            .contains("did you mean Total_Trans_Amt?"),
        "{unknown}"
    );
    assert_eq!(stack.fakes.times("predict"), 0);
}

#[tokio::test]
async fn predict_batch_answers_in_order() {
    let stack = Stack::start().await;
    let records = json!({"records": [record(), record_with(&json!({"Credit_Limit": 2000}))]});
    let answer = ok(stack.post("/predict_batch").json(&records)).await;
    assert_eq!(answer["predictions"], json!([1.0, 0.0]));
    assert_eq!(answer["probabilities"], json!([0.9, 0.1]));
    assert_eq!(
        (&answer["model_version"], &answer["num_samples"]),
        (&json!("3"), &json!(2))
    );
}

#[tokio::test]
async fn bad_fields_of_a_batch_are_named_with_their_record() {
    let stack = Stack::start().await;
    let mut records = vec![record(); 5];
    records[3]["Credit_Limit"] = json!("x");
    records[1]["Total_Trans_Ct"] = json!(-1);
    records[1]["Shoe_Size"] = json!(43);
    let problem = problem(stack.post("/predict_batch").json(&json!({ "records": records })), 422).await;
    let all = expected(&[
        ("records[1].Shoe_Size", "unknown_column"),
        ("records[1].Total_Trans_Ct", "below_minimum"),
        ("records[3].Credit_Limit", "not_a_number"),
    ]);
    assert_eq!(errors(&problem), all);
    assert!(
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_refused_records_total 2")
    );
}

#[tokio::test]
async fn a_batch_needs_records_that_are_objects() {
    let stack = Stack::start().await;
    for (body, field, rule) in [
        (json!({}), "records", "required"),
        (json!({"records": []}), "records", "required"),
        (json!({"records": {}}), "records", "invalid"),
        (json!({"records": [record(), 7]}), "records[1]", "invalid"),
        (
            json!({"records": [record()], "explain": true}),
            "explain",
            "unknown_field",
        ),
        (json!([record()]), "body", "invalid"),
    ] {
        let problem = problem(stack.post("/predict_batch").json(&body), 422).await;
        assert_eq!(errors(&problem), expected(&[(field, rule)]), "{body}");
    }
}

#[tokio::test]
async fn without_a_champion_predictions_are_unavailable() {
    let stack = Stack::start().await;
    stack.fakes.fail(
        "predict",
        Fault::new(
            Code::FailedPrecondition,
            "NO_CHAMPION",
            "no champion of model churn is loaded",
        ),
    );
    let problem = problem(stack.post("/predict").json(&record()), 503).await;
    assert_eq!(problem["reason"], "NO_CHAMPION");
}
