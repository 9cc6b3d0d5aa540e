//! Versions on trial beside the champion.

use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use crate::stack::{Stack, errors, expected, ok, problem};

const ROUTE: &str = "/api/v1/models/churn/rollout";

#[tokio::test]
async fn a_rollout_is_started_with_what_the_caller_says_and_no_more() {
    let stack = Stack::start().await;
    let body = json!({"version": 4, "mode": "shadow"});
    let begun = ok(stack.post(ROUTE).json(&body)).await;
    assert_eq!(
        (&begun["revision"], &begun["version"], &begun["mode"], &begun["ending"]),
        (&json!(3), &json!(4), &json!("canary"), &Value::Null)
    );
    let asked = stack.fakes.last("start_rollout");
    for part in [
        "version: 4",
        "mode: Shadow",
        "share: None",
        "min_requests: None",
        "actor: \"rest\"",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    let body = json!({
        "version": 4, "mode": "canary", "share": 0.1, "max_error_rate": 0.0, "max_latency_ratio": 2.5,
        "min_requests": 50, "override": true, "note": "a pilot branch", "actor": "ada",
    });
    ok(stack.post(ROUTE).json(&body)).await;
    let asked = stack.fakes.last("start_rollout");
    for part in [
        "mode: Canary",
        "share: Some(0.1)",
        "max_error_rate: Some(0.0)",
        "max_latency_ratio: Some(2.5)",
        "min_requests: Some(50)",
        "override_gate: true",
        "note: \"a pilot branch\"",
        "actor: \"ada\"",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn what_is_missing_or_unknown_in_a_start_is_named() {
    let stack = Stack::start().await;
    for (body, field, rule) in [
        (json!({"mode": "shadow"}), "version", "required"),
        (json!({"version": 4}), "mode", "required"),
        (json!({"version": 4, "mode": "blue_green"}), "mode", "invalid"),
        (
            json!({"version": 4, "mode": "canary", "percent": 5}),
            "percent",
            "unknown_field",
        ),
    ] {
        let refused = problem(stack.post(ROUTE).json(&body), 422).await;
        assert_eq!(errors(&refused), expected(&[(field, rule)]), "{body}");
    }
    assert_eq!(stack.fakes.times("start_rollout"), 0);
}

#[tokio::test]
async fn one_that_runs_already_is_a_conflict_and_is_not_repeated() {
    let stack = Stack::start().await;
    let runs = Fault::new(
        Code::FailedPrecondition,
        "ROLLOUT_RUNS",
        "version 4 is on trial already",
    );
    stack.fakes.fail("start_rollout", runs.with("rollout_revision", 3));
    let body = json!({"version": 5, "mode": "shadow"});
    let refused = problem(stack.post(ROUTE).json(&body), 409).await;
    assert_eq!(
        (&refused["reason"], &refused["metadata"]["rollout_revision"]),
        (&json!("ROLLOUT_RUNS"), &json!("3"))
    );
    assert_eq!(stack.fakes.times("start_rollout"), 1);
}

#[tokio::test]
async fn a_rollout_is_ended_with_and_without_words() {
    let stack = Stack::start().await;
    let delete = |query: &str| stack.client.delete(stack.url(&format!("{ROUTE}{query}")));
    let ended = ok(delete("")).await;
    assert_eq!(
        (
            &ended["ending"]["reason"],
            &ended["ending"]["actor"],
            &ended["ending"]["revision"]
        ),
        (&json!("stopped"), &json!("blue-1"), &json!(4))
    );
    assert!(
        stack
            .fakes
            .last("end_rollout")
            .contains("revision: None, actor: \"rest\"")
    );
    ok(delete("?revision=3&note=seen%20enough&actor=ada")).await;
    let asked = stack.fakes.last("end_rollout");
    for part in ["revision: Some(3)", "actor: \"ada\"", "note: \"seen enough\""] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert_eq!(problem(delete("?revision=three"), 400).await["reason"], "INVALID_QUERY");
}

#[tokio::test]
async fn the_newest_rollout_comes_with_what_the_replicas_saw() {
    let stack = Stack::start().await;
    let status = ok(stack.get(ROUTE)).await;
    assert_eq!(
        (
            &status["rollout"]["share"],
            &status["rollout"]["limits"]["min_requests"]
        ),
        (&json!(0.05), &json!(200))
    );
    let tally = &status["replicas"][0]["tally"];
    assert_eq!(
        (
            &tally["state"],
            &tally["challenger"]["errors"],
            &tally["challenger"]["p99_ms"]
        ),
        (&json!("running"), &json!(1), &json!(0.05))
    );
    assert_eq!(
        (&tally["champion"]["mean_ms"], &tally["mean_absolute_delta"]),
        (&Value::Null, &Value::Null),
        "nothing was measured"
    );
    stack
        .fakes
        .fail("get_rollout", Fault::not_found("NO_ROLLOUT", "there never was one"));
    problem(stack.get(ROUTE), 404).await;
    let whole = ok(stack.get("/api/v1/status")).await;
    assert_eq!(whole["rollout"], Value::Null);
    assert_eq!(whole["services"][0]["problem"], Value::Null, "no rollout is no problem");
}

#[tokio::test]
async fn the_history_is_told_oldest_first() {
    let stack = Stack::start().await;
    let history = ok(stack.get("/api/v1/models/churn/rollouts")).await;
    assert_eq!(
        (
            &history["rollouts"][0]["ending"]["reason"],
            &history["rollouts"][1]["ending"],
            &history["chain_intact"]
        ),
        (&json!("latency_limit"), &Value::Null, &json!(true))
    );
}
