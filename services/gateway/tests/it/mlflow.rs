//! MLflow's REST API: experiments, runs, metrics, and how failures are told.

use holdfast_chassis::{Code, Fault, FieldViolation};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::answers::mlflow::{MODEL, RUN};
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
async fn experiments_are_created_read_and_searched() {
    let stack = Stack::start().await;
    let tags = json!([{"key": "k", "value": "v"}]);
    let new = json!({"name": "churn", "tags": tags, "artifact_location": "mlflow-artifacts:/x"});
    assert_eq!(
        ok(post(&stack, "experiments/create", &new)).await,
        json!({"experiment_id": "1"})
    );
    said(
        &stack,
        "create_experiment",
        &[
            "name: \"churn\"",
            "key: \"k\"",
            "artifact_location: \"mlflow-artifacts:/x\"",
        ],
    );

    let experiment = json!({
        "experiment_id": "1", "name": "churn", "artifact_location": "mlflow-artifacts:/1", "lifecycle_stage": "active",
        "last_update_time": AT_MS, "creation_time": AT_MS, "tags": [{"key": "team", "value": "churn"}],
    });
    let found = ok(get(&stack, "experiments/get", &[("experiment_id", "1")])).await;
    assert_eq!(found, json!({"experiment": experiment}));
    let found = ok(get(&stack, "experiments/get-by-name", &[("experiment_name", "churn")])).await;
    assert_eq!(found, json!({"experiment": experiment}));

    let search = json!({
        "max_results": 1000, "filter": "name LIKE 'e%'", "order_by": ["name ASC"], "view_type": "DELETED_ONLY", "page_token": "9",
    });
    let found = ok(post(&stack, "experiments/search", &search)).await;
    assert_eq!(found, json!({"experiments": [experiment], "next_page_token": "1"}));
    said(
        &stack,
        "search_experiments",
        &[
            "page_size: 1000",
            "name LIKE 'e%'",
            "[\"name ASC\"]",
            "view: DeletedOnly",
            "page_token: \"9\"",
        ],
    );
    ok(get(
        &stack,
        "experiments/search",
        &[
            ("max_results", "5"),
            ("view_type", "3"),
            ("order_by", "a"),
            ("order_by", "b"),
        ],
    ))
    .await;
    said(
        &stack,
        "search_experiments",
        &["page_size: 5", "view: All", "[\"a\", \"b\"]"],
    );
}

#[tokio::test]
async fn experiments_are_changed_deleted_restored_and_tagged() {
    let stack = Stack::start().await;
    for (call, method, body, part) in [
        (
            "update",
            "update_experiment",
            json!({"experiment_id": "1", "new_name": "e3"}),
            "name: \"e3\"",
        ),
        (
            "delete",
            "delete_experiment",
            json!({"experiment_id": "1"}),
            "experiment_id: \"1\"",
        ),
        (
            "restore",
            "restore_experiment",
            json!({"experiment_id": "1"}),
            "experiment_id: \"1\"",
        ),
        (
            "set-experiment-tag",
            "set_experiment_tag",
            json!({"experiment_id": "1", "key": "z", "value": ""}),
            "key: \"z\"",
        ),
        (
            "delete-experiment-tag",
            "delete_experiment_tag",
            json!({"experiment_id": "1", "key": "z"}),
            "key: \"z\"",
        ),
    ] {
        assert_eq!(
            ok(post(&stack, &format!("experiments/{call}"), &body)).await,
            json!({}),
            "{call}"
        );
        said(&stack, method, &[part]);
    }
    ok(post(&stack, "experiments/update", &json!({"experiment_id": "1"}))).await;
    assert_eq!(
        stack.fakes.times("update_experiment"),
        1,
        "without a new name nothing changes"
    );
}

#[tokio::test]
async fn a_run_is_opened_as_the_client_opens_it() {
    let stack = Stack::start().await;
    let new = json!({
        "experiment_id": "1", "user_id": "root", "run_name": "r1", "start_time": 1_795_456_530_169_i64, "unheard_of": {"a": [1]},
        "tags": [{"key": "mlflow.user", "value": "root"}, {"key": "mlflow.runName", "value": "r1"}],
    });
    let opened = ok(post(&stack, "runs/create", &new)).await;
    let info = &opened["run"]["info"];
    assert_eq!((&info["run_id"], &info["run_uuid"]), (&json!(RUN), &json!(RUN)));
    assert_eq!(
        (&info["status"], &info["start_time"]),
        (&json!("RUNNING"), &json!(1_795_456_530_169_i64))
    );
    assert!(info.get("end_time").is_none());
    assert_eq!(opened["run"]["inputs"], json!({}));
    said(
        &stack,
        "create_run",
        &[
            "seconds: 1795456530, nanos: 169000000",
            "user_id: \"root\"",
            "name: \"r1\"",
            "key: \"mlflow.user\"",
            "run_id: \"\"",
        ],
    );
    ok(post(&stack, "runs/create", &json!({}))).await;
    said(&stack, "create_run", &["experiment_id: \"0\"", "started_at: None"]);
}

#[tokio::test]
async fn a_run_is_read_as_the_client_reads_it() {
    let stack = Stack::start().await;
    let found = ok(get(&stack, "runs/get", &[("run_uuid", "old"), ("run_id", RUN)])).await;
    let metric = |key: &str, value: Value| json!({"key": key, "value": value, "timestamp": AT_MS, "step": 3});
    assert_eq!(
        found["run"],
        json!({
            "info": {
                "run_id": RUN, "run_uuid": RUN, "run_name": "r1", "experiment_id": "1", "user_id": "ada", "status": "FINISHED",
                "start_time": AT_MS, "end_time": AT_MS, "artifact_uri": format!("mlflow-artifacts:/1/{RUN}/artifacts"), "lifecycle_stage": "active",
            },
            "data": {
                "metrics": [
                    metric("auc", json!(0.5)), metric("nan", json!("NaN")), metric("up", json!("Infinity")), metric("down", json!("-Infinity")),
                ],
                "params": [{"key": "lr", "value": "0.1"}],
                "tags": [{"key": "team", "value": "churn"}],
            },
            "inputs": {
                "dataset_inputs": [{
                    "tags": [{"key": "team", "value": "churn"}],
                    "dataset": {"name": "train", "digest": "fb54", "source_type": "s3", "source": "{}"},
                }],
                "model_inputs": [{"model_id": MODEL}],
            },
            "outputs": {"model_outputs": [{"model_id": MODEL, "step": 2}]},
        })
    );
    ok(get(&stack, "runs/get", &[("run_uuid", "old")])).await;
    said(&stack, "get_run", &["run_id: \"old\""]);
}

#[tokio::test]
async fn runs_are_changed_and_searched() {
    let stack = Stack::start().await;
    let change =
        json!({"run_uuid": RUN, "run_id": RUN, "status": "FAILED", "end_time": "1795456532954", "run_name": "r2"});
    let changed = ok(post(&stack, "runs/update", &change)).await;
    assert_eq!(changed["run_info"]["run_id"], RUN);
    said(
        &stack,
        "update_run",
        &[
            "status: Failed",
            "name: Some(\"r2\")",
            "seconds: 1795456532, nanos: 954000000",
        ],
    );
    ok(post(
        &stack,
        "runs/update",
        &json!({"run_id": RUN, "status": 1, "run_name": ""}),
    ))
    .await;
    said(
        &stack,
        "update_run",
        &["status: Running", "name: None", "ended_at: None"],
    );

    let search = json!({
        "experiment_ids": ["1", "2"], "run_view_type": "ACTIVE_ONLY", "filter": "metrics.auc > 0.5", "max_results": 10,
        "order_by": ["metrics.auc DESC"], "page_token": null,
    });
    let found = ok(post(&stack, "runs/search", &search)).await;
    assert_eq!(
        (&found["runs"][0]["info"]["run_id"], &found["next_page_token"]),
        (&json!(RUN), &json!("7"))
    );
    said(
        &stack,
        "search_runs",
        &[
            "[\"1\", \"2\"]",
            "metrics.auc > 0.5",
            "page_size: 10",
            "view: ActiveOnly",
            "page_token: \"\"",
        ],
    );

    for (call, method) in [("runs/delete", "delete_run"), ("runs/restore", "restore_run")] {
        assert_eq!(ok(post(&stack, call, &json!({"run_id": RUN}))).await, json!({}));
        said(&stack, method, &[RUN]);
    }
}

#[tokio::test]
async fn whatever_is_logged_is_a_batch() {
    let stack = Stack::start().await;
    let both = |mut body: Value| {
        body["run_id"] = json!(RUN);
        body["run_uuid"] = json!(RUN);
        body
    };
    ok(post(
        &stack,
        "runs/log-parameter",
        &both(json!({"key": "lr", "value": "0.1"})),
    ))
    .await;
    said(
        &stack,
        "log_batch",
        &[
            RUN,
            "params: [Param { key: \"lr\", value: \"0.1\" }]",
            "metrics: []",
            "tags: []",
        ],
    );
    ok(post(
        &stack,
        "runs/set-tag",
        &both(json!({"key": "stage", "value": ""})),
    ))
    .await;
    said(&stack, "log_batch", &["tags: [Tag { key: \"stage\", value: \"\" }]"]);
    for (value, read) in [
        (json!(1), "value: 1.0"),
        (json!("NaN"), "value: NaN"),
        (json!("-Infinity"), "value: -inf"),
        (json!("Infinity"), "value: inf"),
    ] {
        let metric = json!({"key": "loss", "value": value, "timestamp": 1_795_456_530_474_i64, "step": -3});
        ok(post(&stack, "runs/log-metric", &both(metric))).await;
        said(&stack, "log_batch", &[read, "step: -3", "nanos: 474000000"]);
    }
    let batch = json!({
        "run_id": RUN, "params": [{"key": "depth", "value": "3"}], "tags": [{"key": "t", "value": "u"}],
        "metrics": [{"key": "auc", "value": 0.9, "timestamp": 1, "model_id": MODEL, "dataset_name": "d", "dataset_digest": "e"}],
    });
    ok(post(&stack, "runs/log-batch", &batch)).await;
    said(
        &stack,
        "log_batch",
        &[
            "key: \"depth\"",
            "key: \"t\"",
            "key: \"auc\"",
            "step: 0",
            MODEL,
            "dataset_name: \"d\", dataset_digest: \"e\"",
        ],
    );
    assert_eq!(stack.fakes.times("log_batch"), 7);
    ok(post(&stack, "runs/delete-tag", &json!({"run_id": RUN, "key": "t"}))).await;
    said(&stack, "delete_tag", &["key: \"t\""]);
}

#[tokio::test]
async fn a_batch_has_at_most_a_million_bytes() {
    let stack = Stack::start().await;
    let of = |length: usize| json!({"run_id": RUN, "tags": [{"key": "t", "value": "x".repeat(length)}]});
    let around = of(0).to_string().len();
    ok(post(&stack, "runs/log-batch", &of(1_000_000 - around))).await;
    let (code, message) = refused(post(&stack, "runs/log-batch", &of(1_000_001 - around)), 400).await;
    assert_eq!(code, "INVALID_PARAMETER_VALUE");
    assert_eq!(
        message,
        "Batched logging API requests must be at most 1000000 bytes, got a request of size 1000001."
    );
    assert_eq!(stack.fakes.times("log_batch"), 1);
}

#[tokio::test]
async fn models_of_old_clients_stand_in_a_tag() {
    let stack = Stack::start().await;
    let model = json!({
        "artifact_path": "model", "run_id": RUN, "utc_time_created": "now", "signature": {"inputs": "[]"},
        "flavors": {"sklearn": {"pickled_model": "model.pkl", "config": {"secret": 1}}},
    });
    let body = json!({"run_id": RUN, "model_json": model.to_string()});
    ok(post(&stack, "runs/log-model", &body)).await;
    let asked = stack.fakes.last("log_batch");
    assert!(
        asked.contains("mlflow.log-model.history") && asked.contains("pickled_model"),
        "{asked}"
    );
    assert!(!asked.contains("secret") && !asked.contains("signature"), "{asked}");
    for wrong in [json!("{"), json!("[]"), json!("{\"flavors\": {}}")] {
        let body = json!({"run_id": RUN, "model_json": wrong});
        assert_eq!(
            refused(post(&stack, "runs/log-model", &body), 400).await.0,
            "INVALID_PARAMETER_VALUE"
        );
    }
}

#[tokio::test]
async fn histories_come_in_pages_or_whole() {
    let stack = Stack::start().await;
    let query = [("run_uuid", RUN), ("metric_key", "loss"), ("run_id", RUN)];
    let whole = ok(get(&stack, "metrics/get-history", &query)).await;
    let values: Vec<f64> = whole["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| metric["value"].as_f64().unwrap())
        .collect();
    assert_eq!((values, whole.get("next_page_token")), (vec![0.25, 0.5], None));
    let page = ok(get(&stack, "metrics/get-history", &query).query(&[("max_results", "25000")])).await;
    assert_eq!(
        page,
        json!({
            "metrics": [{"key": "loss", "value": 0.25, "timestamp": AT_MS, "step": 3}], "next_page_token": "1",
        })
    );
    let (_, message) = refused(
        get(&stack, "metrics/get-history", &query).query(&[("max_results", "0")]),
        400,
    )
    .await;
    assert!(message.contains("positive integer"), "{message}");
}

#[tokio::test]
async fn histories_of_several_runs_are_sampled() {
    let stack = Stack::start().await;
    let call = "metrics/get-history-bulk-interval";
    let query = [("run_ids", "a"), ("run_ids", "b"), ("metric_key", "loss")];
    let found =
        ok(get(&stack, call, &query).query(&[("start_step", "-1"), ("end_step", "9"), ("max_results", "7")])).await;
    assert_eq!(
        found["metrics"][1],
        json!({"key": "loss", "value": 0.5, "timestamp": AT_MS, "step": 3, "run_id": "b"})
    );
    said(
        &stack,
        "sample_metric_history",
        &[
            "[\"a\", \"b\"]",
            "start_step: Some(-1), end_step: Some(9), max_results: 7",
        ],
    );
    ok(get(&stack, call, &query)).await;
    said(
        &stack,
        "sample_metric_history",
        &["start_step: None, end_step: None, max_results: 2500"],
    );
    for wrong in [
        vec![("start_step", "1")],
        vec![("start_step", "2"), ("end_step", "1")],
        vec![("max_results", "2501")],
        vec![("max_results", "many")],
    ] {
        assert_eq!(
            refused(get(&stack, call, &query).query(&wrong), 400).await.0,
            "INVALID_PARAMETER_VALUE"
        );
    }
    assert_eq!(stack.fakes.times("sample_metric_history"), 2);
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
