//! Imports of registered versions over REST.

use http::StatusCode;
use serde_json::json;

use crate::stack::{Stack, json_of, ok, problem};

const PATH: &str = "/api/v1/models/churn/versions/3/import";

#[tokio::test]
async fn an_import_is_asked_for_with_wishes_or_without() {
    let stack = Stack::start().await;
    let wishes = json!({
        "snapshot": "aa11", "renamed": {"age": "Customer_Age"}, "categories": {"Gender": ["F", "M"]}, "promote": true,
        "requested_by": "grace",
    });
    let answer = json_of(stack.post(PATH).json(&wishes), StatusCode::ACCEPTED).await;
    assert_eq!(answer["state"], "requested");
    let asked = stack.fakes.last("request_import");
    for part in [
        "version: 3",
        "snapshot: \"aa11\"",
        "from: \"age\"",
        "column: \"Gender\"",
        "promote: Some(true)",
        "requested_by: \"grace\"",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    json_of(stack.post(PATH), StatusCode::ACCEPTED).await;
    assert!(stack.fakes.last("request_import").contains("promote: Some(false)"));
    problem(stack.post(PATH).json(&json!({"snapshots": "aa11"})), 422).await;
}

#[tokio::test]
async fn an_import_that_failed_says_why() {
    let stack = Stack::start().await;
    let expected = json!({
        "model": "churn", "version": 3, "state": "failed", "why": "no rows", "run_id": null, "library": "xgboost",
        "file": "1/run/artifacts/model/model.ubj", "requested_by": "grace", "requested_at": "2026-01-02T03:04:05Z", "claimed_at": null,
    });
    assert_eq!(ok(stack.get(PATH)).await, expected);
}
