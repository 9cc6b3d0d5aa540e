//! What came from what, over REST.

use serde_json::json;

use crate::stack::{Stack, ok, problem};

#[tokio::test]
async fn lineage_is_answered_as_things_and_what_came_from_what() {
    let stack = Stack::start().await;
    let answer = ok(stack.get("/api/v1/lineage?thing=churn%2F3&model=churn")).await;
    let expected = json!({
        "nodes": [
            {"kind": "version", "id": "churn/3", "label": null, "at": "2026-01-02T03:04:05Z", "missing": false},
            {"kind": "run", "id": "run-1", "label": null, "at": null, "missing": true},
        ],
        "edges": [{"from": 1, "to": 0, "relation": "made"}],
        "truncated": false,
    });
    assert_eq!(answer, expected);
    assert!(stack.fakes.last("get_lineage").contains("model: \"churn\""));
}

#[tokio::test]
async fn lineage_of_nothing_is_refused() {
    let stack = Stack::start().await;
    problem(stack.get("/api/v1/lineage"), 400).await;
}
