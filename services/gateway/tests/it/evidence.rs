//! Cards, files of evaluations, reproductions.

use futures::StreamExt as _;
use holdfast_chassis::{Code, Fault};
use holdfast_testkit::eventually;
use reqwest::Response;
use serde_json::{Value, json};

use crate::stack::{PATIENCE, Stack, errors, events, expected, ok, problem, problem_in};

const VERSION: &str = "/api/v1/models/churn/versions/3";

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers()[name].to_str().unwrap()
}

#[tokio::test]
async fn a_card_comes_in_the_form_that_was_asked_for() {
    let stack = Stack::start().await;
    for (query, kind, beginning, asked) in [
        (
            "",
            "text/markdown; charset=utf-8",
            "# Model card – churn",
            "format: Markdown",
        ),
        (
            "?format=markdown",
            "text/markdown; charset=utf-8",
            "# Model card",
            "format: Markdown",
        ),
        (
            "?format=html",
            "text/html; charset=utf-8",
            "<!doctype html>",
            "format: Html",
        ),
        ("?format=json", "application/json", "{\"title\":", "format: Json"),
    ] {
        let answer = stack.get(&format!("{VERSION}/card{query}")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), header(&answer, "content-type")), (200, kind));
        assert!(answer.text().await.unwrap().starts_with(beginning), "{query}");
        let message = stack.fakes.last("get_model_card");
        assert!(message.contains("version: 3") && message.contains(asked), "{message}");
    }
    let bad = problem(stack.get(&format!("{VERSION}/card?format=pdf")), 400).await;
    assert_eq!(bad["reason"], "INVALID_QUERY");
    stack.fakes.fail(
        "get_model_card",
        Fault::not_found("NO_SUCH_VERSION", "there is no version 3"),
    );
    problem(stack.get(&format!("{VERSION}/card")), 404).await;
}

#[tokio::test]
async fn nothing_in_a_page_or_picture_can_run() {
    let stack = Stack::start().await;
    for path in ["card?format=html", "evaluation/roc.svg"] {
        let answer = stack.get(&format!("{VERSION}/{path}")).send().await.unwrap();
        let policy = header(&answer, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'none';") && policy.ends_with("; sandbox"),
            "{policy}"
        );
        assert!(!policy.contains("script"), "{policy}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn the_files_of_an_evaluation_are_listed_and_found() {
    let stack = Stack::start().await;
    let files = ok(stack.get(&format!("{VERSION}/evaluation"))).await;
    assert_eq!(
        files["files"][1],
        json!({"name": "roc.svg", "content_type": "image/svg+xml", "size_bytes": 6})
    );
    let answer = stack
        .get(&format!("{VERSION}/evaluation/roc.svg"))
        .send()
        .await
        .unwrap();
    assert_eq!(header(&answer, "content-type"), "image/svg+xml");
    assert_eq!(answer.text().await.unwrap(), "<svg/>");
    assert!(stack.fakes.last("get_evaluation_file").contains("name: \"roc.svg\""));
    stack
        .fakes
        .fail("get_evaluation_file", Fault::not_found("NO_SUCH_FILE", "there is none"));
    let problem = problem(stack.get(&format!("{VERSION}/evaluation/profit.svg")), 404).await;
    assert_eq!(problem["reason"], "NO_SUCH_FILE");
}

#[tokio::test]
async fn a_reproduction_is_followed_to_its_verdict() {
    let stack = Stack::start().await;
    let reproduce = || stack.post(&format!("{VERSION}/reproduce"));
    let answer = reproduce().json(&json!({"threads": 2})).send().await.unwrap();
    assert_eq!(header(&answer, "content-type"), "text/event-stream");
    let events = events(&answer.text().await.unwrap());
    let kinds: Vec<&str> = events.iter().map(|(kind, _, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["progress", "done"]);
    assert_eq!(events[0].2, json!({"progress": 0.5}));
    let verdict = &events[1].2;
    assert_eq!(
        (
            &verdict["identical"],
            &verdict["differences"],
            &verdict["registered_code_version"]
        ),
        (
            &json!(false),
            &json!(["threshold: 0.3 registered, 0.4 rebuilt"]),
            &json!("0.0.9")
        )
    );
    assert!(stack.fakes.last("reproduce_version").contains("version: 3, threads: 2"));
    reproduce().send().await.unwrap();
    assert!(stack.fakes.last("reproduce_version").contains("threads: 0"));
    let wrong = problem(reproduce().json(&json!({"threads": "all"})), 422).await;
    assert_eq!(errors(&wrong), expected(&[("threads", "invalid")]));
}

#[tokio::test]
async fn a_version_that_cannot_be_made_again_is_refused_and_no_stream() {
    let stack = Stack::start().await;
    for (code, reason, status) in [
        (Code::FailedPrecondition, "NOT_REPRODUCIBLE", 409),
        (Code::ResourceExhausted, "REPRODUCTION_AT_WORK", 429),
        (Code::DataLoss, "STORED_VERSION_DAMAGED", 500),
    ] {
        stack
            .fakes
            .fail("reproduce_version", Fault::new(code, reason, "why not"));
        let answer = stack.post(&format!("{VERSION}/reproduce")).send().await.unwrap();
        assert_eq!(problem_in(answer, status).await["reason"], reason);
    }
}

#[tokio::test]
async fn a_reproduction_that_breaks_off_ends_with_a_problem() {
    let stack = Stack::start().await;
    let answer = stack
        .post("/api/v1/models/churn/versions/9/reproduce")
        .send()
        .await
        .unwrap();
    let (kind, _, data) = events(&answer.text().await.unwrap()).pop().unwrap();
    assert_eq!(
        (kind.as_str(), &data["reason"], &data["status"]),
        ("error", &json!("ENDING"), &json!(503))
    );
    assert_ne!(data["detail"], Value::Null);
}

#[tokio::test]
async fn a_reproduction_is_given_up_when_its_caller_goes_away() {
    let stack = Stack::start().await;
    stack.fakes.open_run();
    let answer = stack.post(&format!("{VERSION}/reproduce")).send().await.unwrap();
    let mut body = answer.bytes_stream();
    assert!(body.next().await.unwrap().unwrap().starts_with(b"event: progress"));
    assert!(stack.metrics().await.contains("holdfast_gateway_event_streams 1"));
    drop(body);
    eventually("training to see it", PATIENCE, async || {
        stack.fakes.times("reproduce_version_given_up") == 1
    })
    .await;
}
