//! Limits are real.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use holdfast_testkit::eventually;
use reqwest::Body;
use serde_json::json;

use crate::stack::{PATIENCE, Stack, errors, expected, ok, problem, record};

#[tokio::test]
async fn a_body_that_is_too_large_is_413_whether_it_says_so_or_not() {
    let stack = Stack::with(&[("gateway.max_message_bytes", json!(300))]).await;
    ok(stack.post("/predict").json(&record())).await;
    let large = format!("{}{}", " ".repeat(300), record());
    let request = || stack.post("/predict").header("content-type", "application/json");
    problem(request().body(large.clone()), 413).await;
    let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from(large))]);
    let problem = problem(request().body(Body::wrap_stream(pieces)), 413).await;
    assert_eq!(
        (&problem["reason"], &problem["metadata"]["limit_bytes"]),
        (&json!("BODY_TOO_LARGE"), &json!("300"))
    );
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_408() {
    let stack = Stack::with(&[("gateway.body_timeout_ms", json!(50))]).await;
    let never = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]).chain(stream::pending());
    let request = stack
        .post("/predict")
        .header("content-type", "application/json")
        .body(Body::wrap_stream(never));
    assert_eq!(problem(request, 408).await["reason"], "BODY_TIMEOUT");
}

#[tokio::test]
async fn more_records_than_allowed_are_refused() {
    let stack = Stack::with(&[("gateway.max_batch_records", json!(2))]).await;
    ok(stack
        .post("/predict_batch")
        .json(&json!({"records": [record(), record()]})))
    .await;
    for path in ["/predict_batch", "/api/v1/predictions"] {
        let problem = problem(
            stack
                .post(path)
                .json(&json!({"records": [record(), record(), record()]})),
            422,
        )
        .await;
        assert_eq!(errors(&problem), expected(&[("records", "too_many")]));
    }
}

#[tokio::test]
async fn a_full_batch_of_ten_thousand_goes_through() {
    let stack = Stack::start().await;
    let answer = ok(stack
        .post("/api/v1/predictions")
        .json(&json!({"records": vec![record(); 10_000], "explain": true})))
    .await;
    assert_eq!(answer["predictions"].as_array().unwrap().len(), 10_000);
}

#[tokio::test]
async fn one_request_too_many_is_429() {
    let stack = Stack::with(&[("gateway.max_concurrent_requests", json!(1))]).await;
    stack.fakes.hang("get_model");
    let hanging = tokio::spawn(stack.get("/api/v1/model").send());
    eventually("the first request to be at work", PATIENCE, async || {
        stack.fakes.times("get_model") == 1
    })
    .await;
    let problem = problem(stack.get("/"), 429).await;
    assert_eq!(problem["retry_after_seconds"], 1);
    hanging.abort();
}
