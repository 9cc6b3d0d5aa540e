//! MLflow's REST API: how requests are read and failures told. Runs, models and files have files of their own.

use holdfast_chassis::{Code, Fault, FieldViolation};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::answers::mlflow::RUN;
use crate::stack::{Stack, ok};

/// 2026-01-02T03:04:05Z, in milliseconds.
pub(crate) const AT_MS: i64 = 1_767_323_045_000;

/// The address of a call.
pub(crate) fn path(call: &str) -> String {
    format!("/api/2.0/mlflow/{call}")
}

/// A call with a JSON body.
pub(crate) fn post(stack: &Stack, call: &str, body: &Value) -> RequestBuilder {
    stack.post(&path(call)).json(body)
}

/// A call with a query.
pub(crate) fn get(stack: &Stack, call: &str, query: &[(&str, &str)]) -> RequestBuilder {
    stack.get(&path(call)).query(query)
}

/// Sends it, reads a failure of that status, and answers code and message.
pub(crate) async fn refused(request: RequestBuilder, status: u16) -> (String, String) {
    let answer = request.send().await.unwrap();
    let found = answer.status();
    assert_eq!(answer.headers()["content-type"], "application/json", "{found}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert!(answer.headers().contains_key("x-request-id"));
    let body: Value = answer.json().await.unwrap();
    assert_eq!(found.as_u16(), status, "{body}");
    // Both, or neither where MLflow classes no such code.
    let classed = body.get("error_class").is_some_and(Value::is_string);
    assert_eq!(classed, body.get("sqlstate").is_some_and(Value::is_string), "{body}");
    assert_eq!(body.as_object().unwrap().len(), if classed { 4 } else { 2 }, "{body}");
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    (text("error_code"), text("message"))
}

/// What a message must have said, as Rust writes it.
pub(crate) fn said(stack: &Stack, method: &str, parts: &[&str]) {
    let asked = stack.fakes.last(method);
    for part in parts {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn a_body_is_json_whatever_it_says_it_is() {
    let stack = Stack::start().await;
    let plain = |text: String| stack.post(&path("experiments/delete")).body(text);
    ok(plain("{\"experiment_id\": \"1\"}".to_owned())).await;
    ok(plain(json!("{\"experiment_id\": \"1\"}").to_string()).header("content-type", "text/plain")).await;
    assert_eq!(stack.fakes.times("delete_experiment"), 2);
    assert_eq!(
        refused(plain("{\"experiment_id\": ".to_owned()), 400).await.0,
        "BAD_REQUEST"
    );
    let (code, message) = refused(plain(String::new()), 400).await;
    assert_eq!(code, "INVALID_PARAMETER_VALUE");
    assert!(
        message.starts_with("Missing value for required parameter 'experiment_id'."),
        "{message}"
    );
}

#[tokio::test]
async fn wrong_types_are_named() {
    let stack = Stack::start().await;
    for (call, body, field) in [
        ("experiments/create", json!({"name": 5}), "'name'"),
        ("experiments/create", json!({"name": "a", "tags": "b"}), "'tags'"),
        ("experiments/search", json!({"max_results": -1}), "'max_results'"),
        ("experiments/search", json!({"view_type": "SOME"}), "'view_type'"),
        ("runs/create", json!({"start_time": "today"}), "'start_time'"),
        ("runs/update", json!({"run_id": RUN, "status": "GONE"}), "'status'"),
        ("runs/update", json!({"status": "FAILED"}), "'run_id'"),
        ("runs/search", json!({"experiment_ids": [1]}), "'experiment_ids'"),
        (
            "runs/log-metric",
            json!({"run_id": RUN, "key": "a", "value": "much", "timestamp": 1}),
            "'value'",
        ),
        (
            "runs/log-metric",
            json!({"run_id": RUN, "key": "a", "value": 1}),
            "'timestamp'",
        ),
        (
            "runs/log-batch",
            json!({"run_id": RUN, "metrics": [{"key": "a", "value": 1}]}),
            "'metrics[0].timestamp'",
        ),
        (
            "runs/log-batch",
            json!({"run_id": RUN, "params": [{"key": "a", "value": 1}]}),
            "'params[0].value'",
        ),
        (
            "runs/log-inputs",
            json!({"run_id": RUN, "datasets": [{"dataset": {"name": "a"}}]}),
            "'datasets[0].dataset.digest'",
        ),
        ("runs/outputs", json!({"run_id": RUN}), "'models'"),
    ] {
        let (code, message) = refused(post(&stack, call, &body), 400).await;
        assert_eq!(code, "INVALID_PARAMETER_VALUE", "{call}");
        assert!(message.contains(field), "{call}: {message}");
    }
}

#[tokio::test]
async fn failures_of_the_registry_are_told_as_the_clients_know_them() {
    let stack = Stack::start().await;
    for (code, reason, status, error_code) in [
        (Code::NotFound, "NO_SUCH_RUN", 404, "RESOURCE_DOES_NOT_EXIST"),
        (Code::FailedPrecondition, "DELETED", 400, "INVALID_PARAMETER_VALUE"),
        (Code::FailedPrecondition, "CHAMPION_ALIAS", 409, "INVALID_STATE"),
        (Code::AlreadyExists, "EXPERIMENT_EXISTS", 400, "RESOURCE_ALREADY_EXISTS"),
        (Code::NotFound, "NO_SUCH_ALIAS", 400, "INVALID_PARAMETER_VALUE"),
        (Code::InvalidArgument, "INVALID_FIELDS", 400, "INVALID_PARAMETER_VALUE"),
        (Code::Unavailable, "DATABASE_AWAY", 503, "TEMPORARILY_UNAVAILABLE"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", 504, "DEADLINE_EXCEEDED"),
        (Code::ResourceExhausted, "DISK_FULL", 429, "RESOURCE_EXHAUSTED"),
        (Code::Unimplemented, "UNIMPLEMENTED", 501, "NOT_IMPLEMENTED"),
        (Code::Internal, "INTERNAL", 500, "INTERNAL_ERROR"),
    ] {
        stack.fakes.fail("log_batch", Fault::new(code, reason, "some words"));
        let request = post(
            &stack,
            "runs/log-parameter",
            &json!({"run_id": RUN, "key": "a", "value": "b"}),
        );
        assert_eq!(refused(request, status).await.0, error_code, "{reason}");
    }
}

#[tokio::test]
async fn what_is_missing_or_deleted_is_told_in_words_that_users_know() {
    let stack = Stack::start().await;
    let missing = |reason: &'static str| Fault::not_found(reason, "gone");
    stack.fakes.fail("get_experiment", missing("NO_SUCH_EXPERIMENT"));
    let by_name = get(&stack, "experiments/get-by-name", &[("experiment_name", "churn")]);
    let expected = (
        "RESOURCE_DOES_NOT_EXIST".to_owned(),
        "Could not find experiment with name 'churn'".to_owned(),
    );
    assert_eq!(refused(by_name, 404).await, expected);
    let by_id = get(&stack, "experiments/get", &[("experiment_id", "7")]);
    assert_eq!(refused(by_id, 404).await.1, "No Experiment with id=7 exists");
    stack.fakes.fail("get_run", missing("NO_SUCH_RUN"));
    assert_eq!(
        refused(get(&stack, "runs/get", &[("run_id", "x")]), 404).await.1,
        "Run with id=x not found"
    );
    let param = json!({"run_id": "x", "key": "lr", "value": "0.2"});
    stack.fakes.fail(
        "log_batch",
        Fault::new(Code::FailedPrecondition, "DELETED", "restore it first"),
    );
    let (_, message) = refused(post(&stack, "runs/log-parameter", &param), 400).await;
    assert_eq!(
        message,
        "The run x must be in the 'active' state. Current state is deleted."
    );
    let changed = FieldViolation::new("params[0].value", "immutable", "parameter \"lr\" of run x is \"0.1\"");
    stack
        .fakes
        .fail("log_batch", Fault::invalid_fields("INVALID_FIELDS", vec![changed]));
    let (code, message) = refused(post(&stack, "runs/log-parameter", &param), 400).await;
    assert_eq!(code, "INVALID_PARAMETER_VALUE");
    assert_eq!(
        message,
        "Changing param values is not allowed. parameter \"lr\" of run x is \"0.1\""
    );
}

#[tokio::test]
async fn a_registry_that_is_away_or_hangs_is_told() {
    let alone = Stack::alone().await;
    let (code, message) = refused(post(&alone, "runs/search", &json!({})), 503).await;
    assert_eq!(code, "TEMPORARILY_UNAVAILABLE", "{message}");
    let stack = Stack::with(&[("client.request_timeout_ms", json!(100))]).await;
    stack.fakes.hang("log_batch");
    let tag = json!({"run_id": RUN, "key": "a", "value": "b"});
    assert_eq!(
        refused(post(&stack, "runs/set-tag", &tag), 504).await.0,
        "DEADLINE_EXCEEDED"
    );
}

#[tokio::test]
async fn what_this_server_cannot_do_is_not_there() {
    let stack = Stack::start().await;
    for (method, path) in [
        (Method::POST, "/api/2.0/mlflow/traces/search"),
        (Method::GET, "/api/3.0/mlflow/traces/x"),
        (Method::POST, "/ajax-api/2.0/mlflow/gateway/endpoints"),
        (Method::GET, "/api/2.0/mlflow/runs/create"),
        (Method::PUT, "/api/2.0/mlflow/runs/get"),
        (Method::GET, "/ajax-api/nothing"),
        (Method::PUT, "/api/2.0/mlflow-artifacts/artifacts/"),
    ] {
        let request = stack.client.request(method.clone(), stack.url(path));
        assert_eq!(refused(request, 404).await.0, "ENDPOINT_NOT_FOUND", "{method} {path}");
    }
}

#[tokio::test]
async fn pages_have_the_same_calls_under_their_own_prefix() {
    let stack = Stack::start().await;
    let info = ok(stack.get("/api/3.0/mlflow/server-info")).await;
    assert_eq!(
        (
            &info["multipart_uploads_enabled"],
            &info["presigned_upload_run_id_supported"]
        ),
        (&json!(false), &json!(false))
    );
    assert_eq!(ok(stack.get("/ajax-api/3.0/mlflow/server-info")).await, info);
    let twin = stack.get("/ajax-api/2.0/mlflow/runs/get").query(&[("run_id", RUN)]);
    assert_eq!(ok(twin).await, ok(get(&stack, "runs/get", &[("run_id", RUN)])).await);
}

#[tokio::test]
async fn every_call_has_its_series_from_the_start() {
    let stack = Stack::start().await;
    let metrics = stack.metrics().await;
    for (method, route) in [
        ("POST", "/api/2.0/mlflow/runs/log-batch"),
        ("PATCH", "/api/2.0/mlflow/logged-models/{model_id}"),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/{*path}"),
    ] {
        let series = format!("method=\"{method}\",route=\"{route}\",status=\"200\"");
        assert!(metrics.contains(&series), "{series}");
    }
}
