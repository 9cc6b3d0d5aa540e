//! Collections over REST.

use serde_json::json;

use crate::stack::{Stack, ok, problem};

const PATH: &str = "/api/v1/retention/collections";

#[tokio::test]
async fn a_collection_looks_unless_it_is_told_to_remove() {
    let stack = Stack::start().await;
    let mut expected = json!({
        "removed": false, "cutoff": "2026-01-02T03:04:05Z", "total": 1, "total_bytes": 7,
        "garbage": [{"kind": "blob", "id": "aa11", "size_bytes": 7, "reason": "no file has these bytes"}],
        "kept": [{"kind": "run", "id": "run-1", "reason": "version 3 of churn was made of it"}],
    });
    assert_eq!(ok(stack.post(PATH)).await, expected);
    assert!(stack.fakes.last("collect").contains("older_than_days: None"));
    expected["removed"] = true.into();
    let wanted = json!({"remove": true, "older_than_days": 0});
    assert_eq!(ok(stack.post(PATH).json(&wanted)).await, expected);
    assert!(stack.fakes.last("collect").contains("older_than_days: Some(0)"));
    problem(stack.post(PATH).json(&json!({"days": 3})), 422).await;
}
