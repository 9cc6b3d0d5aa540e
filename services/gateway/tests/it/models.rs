//! Models, versions, the champion log.

use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use crate::answers::DIGEST;
use crate::stack::{Stack, errors, expected, ok, problem};

#[tokio::test]
async fn models_and_versions_are_listed() {
    let stack = Stack::start().await;
    let models = ok(stack.get("/api/v1/models")).await;
    assert_eq!(
        models["models"][0],
        json!({"model": "churn", "versions": 4, "latest_version": 4, "champion_version": 3})
    );
    assert_eq!(models["models"][1]["champion_version"], Value::Null);
    let page = ok(stack.get("/api/v1/models/churn/versions?page_size=1")).await;
    assert_eq!(
        (&page["versions"][0]["version"], &page["next_page_token"]),
        (&json!(3), &json!("page-2"))
    );
}

#[tokio::test]
async fn a_version_comes_with_the_evidence() {
    let stack = Stack::start().await;
    let version = ok(stack.get("/api/v1/models/churn/versions/7")).await;
    assert_eq!(
        (&version["version"], &version["status"], &version["artifact_digest"]),
        (&json!(7), &json!("ready"), &json!(DIGEST))
    );
    let decision = &version["decisions"][0];
    assert_eq!(
        (&decision["accepted"], &decision["checks"][0]["name"]),
        (&json!(true), &json!("beats_baseline"))
    );
    assert_eq!(
        (
            &decision["evaluation"]["full"]["roc_auc"],
            &decision["evaluation"]["full"]["f1"]
        ),
        (&json!(0.99), &Value::Null)
    );
}

#[tokio::test]
async fn a_version_that_is_no_number_is_named() {
    let stack = Stack::start().await;
    let problem = problem(stack.get("/api/v1/models/churn/versions/latest"), 422).await;
    assert_eq!(errors(&problem), expected(&[("version", "invalid")]));
}

#[tokio::test]
async fn promotion_works_with_and_without_a_body() {
    let stack = Stack::start().await;
    let entry = ok(stack.post("/api/v1/models/churn/versions/4/promote")).await;
    assert_eq!(
        (&entry["generation"], &entry["version"], &entry["reason"]),
        (&json!(6), &json!(4), &json!("promotion"))
    );
    assert!(stack.fakes.last("promote").contains("expected_generation: None"));
    let body = json!({"expected_generation": 5, "note": "I know better", "override": true, "actor": "ada"});
    ok(stack.post("/api/v1/models/churn/versions/4/promote").json(&body)).await;
    let asked = stack.fakes.last("promote");
    for part in [
        "expected_generation: Some(5)",
        "actor: \"ada\"",
        "note: \"I know better\"",
        "override_gate: true",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn a_lost_race_names_the_winner_and_is_not_repeated() {
    let stack = Stack::start().await;
    stack.fakes.fail(
        "promote",
        Fault::new(Code::Aborted, "CHAMPION_MOVED", "generation 6 won").with("generation", 6),
    );
    let problem = problem(stack.post("/api/v1/models/churn/versions/4/promote"), 409).await;
    assert_eq!(
        (&problem["code"], &problem["metadata"]["generation"]),
        (&json!("ABORTED"), &json!("6"))
    );
    assert_eq!(stack.fakes.times("promote"), 1);
}

#[tokio::test]
async fn rollback_works_with_and_without_a_body() {
    let stack = Stack::start().await;
    let entry = ok(stack.post("/api/v1/models/churn/rollback")).await;
    assert_eq!(entry["reason"], "rollback");
    assert!(stack.fakes.last("rollback").contains("to_version: 0"));
    ok(stack.post("/api/v1/models/churn/rollback").json(&Value::Null)).await;
    ok(stack
        .post("/api/v1/models/churn/rollback")
        .json(&json!({"to_version": 2})))
    .await;
    assert!(stack.fakes.last("rollback").contains("to_version: 2"));
}

#[tokio::test]
async fn the_champion_now_at_a_time_and_the_whole_log() {
    let stack = Stack::start().await;
    let now = ok(stack.get("/api/v1/models/churn/champion")).await;
    assert_eq!(
        (&now["version"], &now["at"]),
        (&json!(3), &json!("2026-01-02T03:04:05Z"))
    );
    ok(stack.get("/api/v1/models/churn/champion?at=2026-01-02T04:04:05%2B01:00")).await;
    assert!(stack.fakes.last("get_champion").contains("seconds: 1767323045"));
    let bad = problem(stack.get("/api/v1/models/churn/champion?at=yesterday"), 400).await;
    assert_eq!(bad["reason"], "INVALID_QUERY");
    let log = ok(stack.get("/api/v1/models/churn/champions")).await;
    assert_eq!(
        (&log["chain_intact"], &log["entries"][0]["previous_digest"]),
        (&json!(true), &Value::Null)
    );
    stack
        .fakes
        .fail("get_champion", Fault::not_found("NO_CHAMPION", "there was none"));
    problem(stack.get("/api/v1/models/churn/champion"), 404).await;
}
