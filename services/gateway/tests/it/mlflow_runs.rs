//! MLflow's REST API: experiments, runs, metrics.

use serde_json::{Value, json};

use crate::answers::mlflow::{MODEL, RUN};
use crate::mlflow::{AT_MS, get, post, refused, said};
use crate::stack::{Stack, ok};

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
