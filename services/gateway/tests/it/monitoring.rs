//! Outcomes, drift, retraining.

use holdfast_chassis::{Code, Fault};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::answers::DIGEST;
use crate::stack::{Stack, errors, expected, json_of, ok, problem};

#[tokio::test]
async fn outcomes_are_recorded() {
    let stack = Stack::start().await;
    let outcomes = json!({"outcomes": [
        {"customer_key": 7, "attrited": true, "event_time": "2026-01-02T03:04:05Z"},
        {"customer_key": 8, "attrited": false},
    ]});
    let answer = ok(stack
        .post("/api/v1/outcomes")
        .header("idempotency-key", "monday")
        .json(&outcomes))
    .await;
    assert_eq!(answer, json!({"recorded": 2}));
    let asked = stack.fakes.last("record_outcomes");
    assert!(
        asked.contains("seconds: 1767323045") && asked.contains("idempotency_key: \"monday\""),
        "{asked}"
    );
}

#[tokio::test]
async fn a_bad_outcome_is_named_with_its_place() {
    let stack = Stack::start().await;
    for (outcome, field, rule) in [
        (json!({"attrited": true}), "outcomes[1].customer_key", "required"),
        (json!([8, true]), "outcomes[1]", "invalid"),
        (
            json!({"customer_key": 8, "attrited": "yes"}),
            "outcomes[1].attrited",
            "invalid",
        ),
        (
            json!({"customer_key": 8, "attrited": true, "event_time": "soon"}),
            "outcomes[1].event_time",
            "invalid",
        ),
    ] {
        let body = json!({"outcomes": [{"customer_key": 7, "attrited": true}, outcome]});
        let problem = problem(stack.post("/api/v1/outcomes").json(&body), 422).await;
        assert_eq!(errors(&problem), expected(&[(field, rule)]), "{body}");
    }
}

#[tokio::test]
async fn drift_is_checked_over_the_usual_window_or_one_of_the_callers_choice() {
    let stack = Stack::start().await;
    let answer = ok(stack.post("/api/v1/drift/checks")).await;
    assert_eq!(
        (&answer["report"]["verdict"], &answer["run_id"]),
        (&json!("drift"), &Value::Null)
    );
    assert!(
        stack
            .fakes
            .last("check_drift")
            .contains("model: \"churn\", window: None, retrain: false")
    );
    let body = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T03:04:05Z", "retrain": true});
    let answer = ok(stack.post("/api/v1/drift/checks").json(&body)).await;
    assert_eq!(answer["run_id"], "run-2");
    assert!(stack.fakes.last("check_drift").contains("seconds: 1767323045"));
}

#[tokio::test]
async fn half_a_window_and_a_window_backwards_are_refused() {
    let stack = Stack::start().await;
    for (body, field, rule) in [
        (json!({"from": "2026-01-01T00:00:00Z"}), "to", "required"),
        (json!({"to": "2026-01-01T00:00:00Z"}), "from", "required"),
        (
            json!({"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
            "to",
            "order",
        ),
    ] {
        let problem = problem(stack.post("/api/v1/drift/checks").json(&body), 422).await;
        assert_eq!(errors(&problem), expected(&[(field, rule)]), "{body}");
    }
}

#[tokio::test]
async fn a_window_that_is_too_small_is_a_conflict_and_no_verdict() {
    let stack = Stack::start().await;
    stack.fakes.fail(
        "check_drift",
        Fault::new(Code::FailedPrecondition, "WINDOW_TOO_SMALL", "12 of 100 rows"),
    );
    let problem = problem(stack.post("/api/v1/drift/checks"), 409).await;
    assert_eq!(problem["reason"], "WINDOW_TOO_SMALL");
}

#[tokio::test]
async fn reports_are_listed_and_found() {
    let stack = Stack::start().await;
    let list = ok(stack.get("/api/v1/drift/reports?page_size=3")).await;
    assert_eq!(list["reports"][0]["report_id"], "report-1");
    assert!(
        stack
            .fakes
            .last("list_reports")
            .contains("model: \"churn\", page_size: 3")
    );
    let report = ok(stack.get("/api/v1/drift/reports/report-1")).await;
    let [numeric, categorical] = report["features"].as_array().unwrap().as_slice() else {
        panic!("{report}")
    };
    assert_eq!(
        (&numeric["method"], &numeric["reference_median"]),
        (&json!("ks_exact"), &json!(1.0))
    );
    assert_eq!(
        (&categorical["method"], &categorical["reference_median"]),
        (&json!("chi_squared"), &Value::Null)
    );
    assert_eq!(report["window"]["from"], "2026-01-02T03:04:05Z");
}

#[tokio::test]
async fn retraining_is_asked_for_once() {
    let stack = Stack::start().await;
    let answer = json_of(
        stack.post("/api/v1/drift/reports/report-1/retrain"),
        StatusCode::ACCEPTED,
    )
    .await;
    assert_eq!(
        answer,
        json!({"run_id": "run-2", "window_snapshot": DIGEST, "labelled_rows": 400})
    );
    stack.fakes.fail(
        "trigger_retraining",
        Fault::unavailable("PEER_UNAVAILABLE", "training is away"),
    );
    problem(stack.post("/api/v1/drift/reports/report-1/retrain"), 503).await;
    assert_eq!(stack.fakes.times("trigger_retraining"), 2);
}
