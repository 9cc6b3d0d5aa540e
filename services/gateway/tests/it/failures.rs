//! How failures of peers and of callers reach a caller.

use std::time::Duration;

use holdfast_chassis::{Code, Fault, FieldViolation};
use reqwest::Method;
use serde_json::json;

use crate::stack::{PATIENCE, Stack, errors, expected, ok, problem, record};

#[tokio::test]
async fn every_code_of_a_peer_has_its_status() {
    let stack = Stack::start().await;
    for code in Code::ALL {
        stack.fakes.fail(
            "get_snapshot",
            Fault::new(code, "SOME_REASON", "some message").with("fact", "some fact"),
        );
        let problem = problem(stack.get("/api/v1/snapshots/x"), code.http_status().as_u16()).await;
        assert_eq!(
            (&problem["code"], &problem["reason"]),
            (&json!(code.name()), &json!("SOME_REASON"))
        );
        assert_eq!(
            (&problem["detail"], &problem["metadata"]["fact"]),
            (&json!("some message"), &json!("some fact"))
        );
        assert_eq!(problem["type"], "urn:holdfast:problem:some-reason");
    }
}

#[tokio::test]
async fn violations_found_by_a_peer_keep_their_fields() {
    let stack = Stack::start().await;
    let violations = vec![
        FieldViolation::new("records[3].Credit_Limit", "below_minimum", "too small"),
        FieldViolation::new("records[4].Gender", "not_text", "a number"),
    ];
    stack
        .fakes
        .fail("predict_batch", Fault::invalid_fields("INVALID_FIELDS", violations));
    let problem = problem(stack.post("/predict_batch").json(&json!({"records": [record()]})), 422).await;
    assert_eq!(
        errors(&problem),
        expected(&[
            ("records[3].Credit_Limit", "below_minimum"),
            ("records[4].Gender", "not_text")
        ])
    );
}

#[tokio::test]
async fn a_peer_that_says_when_to_come_back_is_passed_on() {
    let stack = Stack::with(&[("client.retry.max_attempts", json!(1))]).await;
    let full =
        Fault::new(Code::ResourceExhausted, "SPOOL_FULL", "the spool is full").retry_after(Duration::from_secs(5));
    stack.fakes.fail("predict", full);
    let answer = stack.post("/predict").json(&record()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["retry-after"]),
        (429, &"5".parse().unwrap())
    );
}

#[tokio::test]
async fn a_peer_that_is_away_is_503_and_named() {
    let stack = Stack::alone().await;
    for request in [
        stack.post("/predict").json(&record()),
        stack.get("/api/v1/models"),
        stack.get("/api/v1/runs/x/events"),
    ] {
        let problem = problem(request, 503).await;
        assert_eq!(problem["reason"], "PEER_UNAVAILABLE");
        assert!(
            problem["detail"].as_str().unwrap().contains("http://127.0.0.1:"),
            "{problem}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_hangs_is_504_within_the_deadline() {
    let stack = Stack::with(&[("client.request_timeout_ms", json!(50))]).await;
    stack.fakes.hang("predict");
    stack.fakes.hang("get_model");
    for request in [stack.post("/predict").json(&record()), stack.get("/api/v1/model")] {
        let answered = tokio::time::timeout(PATIENCE, problem(request, 504)).await.unwrap();
        assert_eq!(answered["code"], "DEADLINE_EXCEEDED");
    }
}

#[tokio::test]
async fn work_that_may_take_long_ends_with_the_longest_deadline() {
    let changes = [
        ("client.request_timeout_ms", json!(10)),
        ("gateway.request_timeout_ms", json!(100)),
    ];
    let stack = Stack::with(&changes).await;
    stack.fakes.hang("check_drift");
    let answered = problem(stack.post("/api/v1/drift/checks"), 504);
    assert_eq!(
        tokio::time::timeout(PATIENCE, answered).await.unwrap()["reason"],
        "DEADLINE_EXCEEDED"
    );
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated_and_nothing_else() {
    let stack = Stack::with(&[("client.retry.initial_backoff_ms", json!(1))]).await;
    let restarting = || Fault::unavailable("ENDING", "restarting");
    for method in ["predict", "list_models", "promote", "start_run"] {
        stack.fakes.fail_once(method, restarting());
    }
    ok(stack.post("/predict").json(&record())).await;
    ok(stack.get("/api/v1/models")).await;
    problem(stack.post("/api/v1/models/churn/versions/4/promote"), 503).await;
    problem(stack.post("/api/v1/runs").json(&json!({})), 503).await;
    let times = ["predict", "list_models", "promote", "start_run"].map(|method| stack.fakes.times(method));
    assert_eq!(times, [2, 2, 1, 1]);
    let metrics = stack.metrics().await;
    assert!(
        metrics.contains(r#"holdfast_gateway_peer_failures_total{peer="inference",code="UNAVAILABLE"} 1"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_body_that_is_no_json_is_400() {
    let stack = Stack::start().await;
    for body in [
        "",
        "{",
        "{\"Credit_Limit\": 1e999}",
        "{'a': 1}",
        "{} {}",
        "\u{feff}{}",
        &format!("{{\"Gender\":{}", "[".repeat(10_000)),
    ] {
        let request = stack
            .post("/predict")
            .header("content-type", "application/json")
            .body(body.to_owned());
        let problem = problem(request, 400).await;
        assert_eq!(problem["reason"], "MALFORMED_JSON", "{problem}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_415() {
    let stack = Stack::start().await;
    problem(stack.post("/predict").body(record().to_string()), 415).await;
    problem(
        stack.post("/predict").header("content-type", "text/csv").body("a,b"),
        415,
    )
    .await;
    problem(
        stack
            .post("/api/v1/drift/checks")
            .header("content-type", "text/plain")
            .body("{}"),
        415,
    )
    .await;
    let request = stack
        .post("/predict")
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(record().to_string());
    ok(request).await;
}

#[tokio::test]
async fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let stack = Stack::start().await;
    assert_eq!(problem(stack.get("/nowhere"), 404).await["reason"], "NO_SUCH_ROUTE");
    assert_eq!(
        problem(stack.get("/api/v1/models/churn"), 404).await["reason"],
        "NO_SUCH_ROUTE"
    );
    let answer = stack
        .client
        .request(Method::DELETE, stack.url("/api/v1/runs"))
        .send()
        .await
        .unwrap();
    let allowed = answer.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
    assert_eq!(
        crate::stack::problem_in(answer, 405).await["reason"],
        "METHOD_NOT_ALLOWED"
    );
}

#[tokio::test]
async fn an_unknown_or_wrong_query_parameter_is_400() {
    let stack = Stack::start().await;
    for query in ["page_size=many", "page_size=-1", "pagesize=1"] {
        let problem = problem(stack.get(&format!("/api/v1/snapshots?{query}")), 400).await;
        assert_eq!(problem["reason"], "INVALID_QUERY", "{query}");
    }
}
