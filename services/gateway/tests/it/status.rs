//! The state of the whole.

use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use crate::stack::{Stack, ok};

#[tokio::test]
async fn status_brings_everything_together() {
    let stack = Stack::start().await;
    let status = ok(stack.get("/api/v1/status")).await;
    for service in status["services"].as_array().unwrap() {
        assert_eq!(
            (&service["reachable"], &service["problem"]),
            (&json!(true), &Value::Null),
            "{service}"
        );
        assert!(service["address"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    }
    assert_eq!(
        (&status["champion"]["generation"], &status["chain_intact"]),
        (&json!(5), &json!(true))
    );
    assert_eq!(status["replicas"][0]["state"], "load_failed");
    assert_eq!(
        (&status["rollout"]["version"], &status["serving"]["rollout"]["revision"]),
        (&json!(4), &json!(3))
    );
    assert_eq!(
        status["serving"]["last_failure"]["message"],
        "artefact digest does not match"
    );
    assert_eq!(
        (
            &status["serving"]["serving"]["version"],
            &status["serving"]["last_reload_ms"]
        ),
        (&json!(3), &json!(12.5))
    );
    assert_eq!(status["prediction_log"]["acknowledged_records"], 7);
    assert_eq!(
        (&status["last_drift_report"]["verdict"], &status["last_run"]["state"]),
        (&json!("drift"), &json!("done"))
    );
}

#[tokio::test]
async fn status_is_an_answer_with_everybody_away() {
    let stack = Stack::alone().await;
    let status = ok(stack.get("/api/v1/status")).await;
    let services = status["services"].as_array().unwrap();
    assert_eq!(services.len(), 4);
    assert!(
        services
            .iter()
            .all(|service| service["reachable"] == false && service["problem"].is_string()),
        "{status}"
    );
    for key in [
        "champion",
        "chain_intact",
        "replicas",
        "serving",
        "prediction_log",
        "last_drift_report",
        "last_run",
    ] {
        assert_eq!(status[key], Value::Null, "{key}");
    }
}

#[tokio::test]
async fn one_service_that_hangs_leaves_the_others_their_part() {
    let stack = Stack::with(&[("gateway.status_timeout_ms", json!(100))]).await;
    stack.fakes.hang("list_reports");
    stack
        .fakes
        .fail("list_runs", Fault::internal("INTERNAL", "internal error"));
    let status = ok(stack.get("/api/v1/status")).await;
    let of = |name: &str| {
        status["services"]
            .as_array()
            .unwrap()
            .iter()
            .find(|service| service["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        (&of("monitoring")["reachable"], &of("training")["reachable"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(of("training")["problem"], "internal error");
    assert_eq!(
        (&of("registry")["reachable"], &status["champion"]["version"]),
        (&json!(true), &json!(3))
    );
}

#[tokio::test]
async fn before_the_first_model_nothing_is_wrong() {
    let stack = Stack::start().await;
    for method in ["list_champions", "list_replicas", "list_reports"] {
        stack
            .fakes
            .fail(method, Fault::new(Code::NotFound, "MODEL_NOT_FOUND", "no model churn"));
    }
    let status = ok(stack.get("/api/v1/status")).await;
    assert!(
        status["services"]
            .as_array()
            .unwrap()
            .iter()
            .all(|service| service["problem"].is_null()),
        "{status}"
    );
    assert_eq!(status["champion"], Value::Null);
}
