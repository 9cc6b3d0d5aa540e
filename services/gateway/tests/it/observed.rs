//! Ids, traces, metrics, readiness, settings, the end.

use holdfast_chassis::settings::{LogFormat, TelemetrySettings};
use holdfast_chassis::telemetry;
use holdfast_testkit::eventually;
use serde_json::json;

use crate::stack::{PATIENCE, Stack, ok, problem, record};

#[tokio::test]
async fn the_callers_request_id_is_kept_and_recorded() {
    let stack = Stack::start().await;
    let answer = stack
        .post("/predict")
        .header("x-request-id", "order-66")
        .json(&record())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["x-request-id"], "order-66");
    assert!(stack.fakes.last("predict").contains("request_id: \"order-66\""));
}

#[tokio::test]
async fn a_request_without_a_usable_id_gets_one_of_its_own() {
    let stack = Stack::start().await;
    let mut ids = Vec::new();
    for id in [
        None,
        Some("two words".to_owned()),
        Some("x".repeat(129)),
        Some(String::new()),
    ] {
        let mut request = stack.get("/");
        if let Some(id) = &id {
            request = request.header("x-request-id", id);
        }
        let answer = request.send().await.unwrap();
        ids.push(answer.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_trace_goes_on_to_the_peers() {
    let [nobody] = holdfast_testkit::free_ports();
    let telemetry = TelemetrySettings {
        log_format: LogFormat::Text,
        log_filter: "off".to_owned(),
        otlp_endpoint: Some(format!("http://127.0.0.1:{nobody}")),
        trace_sample_ratio: 1.0,
    };
    telemetry::init_once(&telemetry, "gateway").unwrap();
    let stack = Stack::start().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let caller = format!("00-{trace}-b7ad6b7169203331-01");
    ok(stack.post("/predict").header("traceparent", &caller).json(&record())).await;
    let sent = stack.fakes.last_metadata("predict");
    let sent = sent.get("traceparent").unwrap().to_str().unwrap();
    assert!(sent.contains(trace) && sent != caller, "{sent}");
}

#[tokio::test]
async fn every_route_and_every_peer_has_its_series_from_the_start() {
    let stack = Stack::start().await;
    let metrics = stack.metrics().await;
    for (method, route) in holdfast_gateway::rest::openapi::routes(&holdfast_gateway::rest::description()) {
        let series = format!(
            r#"http_server_request_duration_seconds_count{{method="{method}",route="{route}",status="200"}} 0"#
        );
        assert!(metrics.contains(&series), "{series}");
    }
    for peer in ["inference", "registry", "training", "monitoring"] {
        let series = format!(r#"holdfast_gateway_peer_failures_total{{peer="{peer}",code="DEADLINE_EXCEEDED"}} 0"#);
        assert!(metrics.contains(&series), "{series}");
    }
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let stack = Stack::start().await;
    for run in ["a", "b", "c"] {
        ok(stack.get(&format!("/api/v1/runs/{run}"))).await;
        problem(stack.get(&format!("/nowhere/{run}")), 404).await;
    }
    let metrics = stack.metrics().await;
    let series =
        r#"http_server_request_duration_seconds_count{method="GET",route="/api/v1/runs/{run_id}",status="200"} 3"#;
    assert!(metrics.contains(series), "{metrics}");
    assert!(
        metrics.contains(r#"route="unmatched",status="404"} 3"#) && !metrics.contains("nowhere"),
        "{metrics}"
    );
}

#[tokio::test]
async fn the_gateway_is_ready_with_everybody_away() {
    let stack = Stack::alone().await;
    let answer = stack
        .client
        .get(format!("http://{}/readyz", stack.gateway.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
}

#[tokio::test]
async fn a_request_in_flight_is_answered_while_the_gateway_ends() {
    let stack = Stack::with(&[("client.request_timeout_ms", json!(200))]).await;
    stack.fakes.hang("get_model");
    let in_flight = tokio::spawn(stack.get("/api/v1/model").send());
    eventually("the request to be at work", PATIENCE, async || {
        stack.fakes.times("get_model") == 1
    })
    .await;
    stack.end();
    assert_eq!(in_flight.await.unwrap().unwrap().status().as_u16(), 504);
    let outcome = stack.ended().await;
    assert!(outcome.in_time && outcome.failure.is_none(), "{outcome:?}");
    stack.get("/").send().await.unwrap_err();
}
