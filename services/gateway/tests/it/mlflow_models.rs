//! MLflow's REST API: data sets, logged models, registered models, versions.

use holdfast_chassis::{Code, Fault};
use reqwest::Method;
use serde_json::{Value, json};

use crate::answers::mlflow::{MODEL, RUN};
use crate::mlflow::{AT_MS, get, path, post, refused, said};
use crate::stack::{Stack, ok};

/// A call with another method than GET and POST.
fn call(stack: &Stack, method: Method, called: &str, body: &Value) -> reqwest::RequestBuilder {
    stack.client.request(method, stack.url(&path(called))).json(body)
}

#[tokio::test]
async fn data_sets_and_models_go_into_runs_and_come_out() {
    let stack = Stack::start().await;
    let inputs = json!({"run_id": RUN, "models": [{"model_id": MODEL}], "datasets": [{
        "tags": [{"key": "mlflow.data.context", "value": "training"}],
        "dataset": {"name": "train", "digest": "fb54", "source_type": "s3", "source": "{}", "schema": "s", "profile": "p"},
    }]});
    assert_eq!(ok(post(&stack, "runs/log-inputs", &inputs)).await, json!({}));
    said(
        &stack,
        "log_inputs",
        &[
            "mlflow.data.context",
            "digest: \"fb54\"",
            "schema: \"s\", profile: \"p\"",
            MODEL,
        ],
    );
    let outputs = json!({"run_id": RUN, "models": [{"model_id": MODEL, "step": 4}]});
    assert_eq!(ok(post(&stack, "runs/outputs", &outputs)).await, json!({}));
    said(&stack, "log_outputs", &[MODEL, "step: 4"]);
    let found = ok(post(
        &stack,
        "experiments/search-datasets",
        &json!({"experiment_ids": ["1"]}),
    ))
    .await;
    assert_eq!(
        found,
        json!({"dataset_summaries": [{"experiment_id": "1", "name": "train", "digest": "fb54"}]})
    );
}

#[tokio::test]
async fn logged_models_are_as_the_client_makes_and_reads_them() {
    let stack = Stack::start().await;
    let new = json!({
        "experiment_id": "1", "name": "model", "source_run_id": RUN, "tags": [{"key": "a", "value": "b"}], "params": [{"key": "c", "value": "d"}],
    });
    let made = ok(post(&stack, "logged-models", &new)).await;
    assert_eq!(
        made["model"],
        json!({
            "info": {
                "model_id": MODEL, "experiment_id": "1", "name": "model", "creation_timestamp_ms": AT_MS, "last_updated_timestamp_ms": AT_MS,
                "artifact_uri": format!("mlflow-artifacts:/1/models/{MODEL}/artifacts"), "status": "LOGGED_MODEL_READY", "model_type": "",
                "source_run_id": RUN, "tags": [{"key": "team", "value": "churn"}], "registrations": [{"name": "churn", "version": "2"}],
            },
            "data": {
                "params": [{"key": "lr", "value": "0.1"}],
                "metrics": [{"key": "auc", "value": 0.5, "timestamp": AT_MS, "step": 3, "run_id": RUN}],
            },
        })
    );
    said(
        &stack,
        "create_logged_model",
        &["experiment_id: \"1\"", RUN, "key: \"a\"", "key: \"c\""],
    );
    let one = format!("logged-models/{MODEL}");
    assert_eq!(ok(get(&stack, &one, &[])).await, made);
    said(&stack, "get_logged_model", &[MODEL]);
    // What the path says counts, not what the body says beside.
    let status = json!({"model_id": "m-other", "status": "LOGGED_MODEL_UPLOAD_FAILED"});
    ok(call(&stack, Method::PATCH, &one, &status)).await;
    said(&stack, "finalize_logged_model", &[MODEL, "status: Failed"]);
    assert_eq!(
        refused(call(&stack, Method::PATCH, &one, &json!({})), 400).await.0,
        "INVALID_PARAMETER_VALUE"
    );
    ok(call(
        &stack,
        Method::PATCH,
        &format!("{one}/tags"),
        &json!({"tags": [{"key": "t", "value": "u"}]}),
    ))
    .await;
    said(&stack, "set_logged_model_tags", &[MODEL, "key: \"t\""]);
    ok(call(&stack, Method::DELETE, &format!("{one}/tags/a%2Fb"), &json!({}))).await;
    said(&stack, "delete_logged_model_tag", &["key: \"a/b\""]);
    ok(post(
        &stack,
        &format!("{one}/params"),
        &json!({"params": [{"key": "p", "value": "q"}]}),
    ))
    .await;
    said(&stack, "log_logged_model_params", &["key: \"p\""]);
    ok(call(&stack, Method::DELETE, &one, &json!({}))).await;
    said(&stack, "delete_logged_model", &[MODEL]);
}

#[tokio::test]
async fn logged_models_are_searched() {
    let stack = Stack::start().await;
    let search = json!({
        "experiment_ids": ["1"], "filter": "metrics.auc > 0.5", "datasets": [{"dataset_name": "d"}],
        "order_by": [{"field_name": "metrics.auc", "ascending": false, "dataset_name": "d", "dataset_digest": "e"}, {"field_name": "name"}],
    });
    let found = ok(post(&stack, "logged-models/search", &search)).await;
    assert_eq!(found["models"][0]["info"]["model_id"], MODEL);
    said(
        &stack,
        "search_logged_models",
        &[
            "metrics.auc > 0.5",
            "datasets: [DatasetRef { name: \"d\", digest: \"\" }]",
            "LoggedModelOrder { field: \"metrics.auc\", descending: true, dataset: Some(DatasetRef { name: \"d\", digest: \"e\" }) }",
            "LoggedModelOrder { field: \"name\", descending: false, dataset: None }",
            "page_size: 50",
        ],
    );
    for wrong in [json!({}), json!({"experiment_ids": ["1"], "datasets": [{}]})] {
        assert_eq!(
            refused(post(&stack, "logged-models/search", &wrong), 400).await.0,
            "INVALID_PARAMETER_VALUE"
        );
    }
}

fn version(number: &str) -> Value {
    json!({
        "name": "churn", "version": number, "creation_timestamp": AT_MS, "last_updated_timestamp": AT_MS, "current_stage": "None",
        "description": "", "source": format!("models:/{MODEL}"), "run_id": RUN, "status": "READY", "run_link": "", "aliases": ["champion"],
    })
}

#[tokio::test]
async fn registered_models_are_as_the_client_makes_and_reads_them() {
    let stack = Stack::start().await;
    let new = json!({"name": "churn", "tags": [{"key": "q", "value": "1"}], "description": "d"});
    let made = ok(post(&stack, "registered-models/create", &new)).await;
    assert_eq!(
        made,
        json!({"registered_model": {"name": "churn", "creation_timestamp": AT_MS, "last_updated_timestamp": AT_MS}})
    );
    said(&stack, "create_registered_model", &["description: \"d\"", "key: \"q\""]);
    let model = json!({
        "name": "churn", "creation_timestamp": AT_MS, "last_updated_timestamp": AT_MS, "latest_versions": [version("2")],
        "tags": [{"key": "team", "value": "churn"}], "aliases": [{"alias": "champion", "version": "2"}],
    });
    let found = ok(get(&stack, "registered-models/get", &[("name", "churn")])).await;
    assert_eq!(found, json!({"registered_model": model}));
    let filter = "name LIKE 'churn%' AND tag.`mlflow.prompt.is_prompt` != 'true'";
    let query = [("filter", filter), ("max_results", "100"), ("order_by", "name ASC")];
    let found = ok(get(&stack, "registered-models/search", &query)).await;
    assert_eq!(found, json!({"registered_models": [model]}));
    said(
        &stack,
        "search_registered_models",
        &["mlflow.prompt.is_prompt", "page_size: 100", "[\"name ASC\"]"],
    );
    let update = json!({"name": "churn", "description": "zz"});
    ok(call(&stack, Method::PATCH, "registered-models/update", &update)).await;
    said(&stack, "update_registered_model", &["description: \"zz\""]);
    let renamed = ok(post(
        &stack,
        "registered-models/rename",
        &json!({"name": "churn", "new_name": "other"}),
    ))
    .await;
    assert_eq!(renamed["registered_model"]["name"], "other");
    ok(post(
        &stack,
        "registered-models/set-tag",
        &json!({"name": "churn", "key": "t", "value": "1"}),
    ))
    .await;
    said(&stack, "set_registered_model_tag", &["key: \"t\", value: \"1\""]);
    ok(call(
        &stack,
        Method::DELETE,
        "registered-models/delete-tag",
        &json!({"name": "churn", "key": "t"}),
    ))
    .await;
    said(&stack, "delete_registered_model_tag", &["key: \"t\""]);
    ok(call(
        &stack,
        Method::DELETE,
        "registered-models/delete",
        &json!({"name": "churn"}),
    ))
    .await;
    said(&stack, "delete_registered_model", &["name: \"churn\""]);
    let latest = json!({"model_versions": [version("2")]});
    assert_eq!(
        ok(post(
            &stack,
            "registered-models/get-latest-versions",
            &json!({"name": "churn", "stages": ["None"]})
        ))
        .await,
        latest
    );
    said(&stack, "get_latest_versions", &["stages: [\"None\"]"]);
    assert_eq!(
        ok(get(
            &stack,
            "registered-models/get-latest-versions",
            &[("name", "churn"), ("stages", "Staging")]
        ))
        .await,
        latest
    );
    said(&stack, "get_latest_versions", &["stages: [\"Staging\"]"]);
}

#[tokio::test]
async fn aliases_are_set_followed_and_removed() {
    let stack = Stack::start().await;
    let alias = "registered-models/alias";
    ok(post(
        &stack,
        alias,
        &json!({"name": "churn", "alias": "best", "version": "1"}),
    ))
    .await;
    said(&stack, "set_alias", &["alias: \"best\", version: 1"]);
    let query = [("name", "churn"), ("alias", "best")];
    assert_eq!(
        ok(get(&stack, alias, &query)).await,
        json!({"model_version": version("2")})
    );
    ok(call(
        &stack,
        Method::DELETE,
        alias,
        &json!({"name": "churn", "alias": "best"}),
    ))
    .await;
    said(&stack, "delete_alias", &["alias: \"best\""]);

    let gone = Fault::not_found("NO_SUCH_ALIAS", "Registered model alias best not found.");
    stack.fakes.fail("get_version_by_alias", gone);
    let expected = (
        "INVALID_PARAMETER_VALUE".to_owned(),
        "Registered model alias best not found.".to_owned(),
    );
    assert_eq!(refused(get(&stack, alias, &query), 400).await, expected);
    let gone = Fault::not_found("NO_SUCH_MODEL", "Registered Model with name=churn not found");
    stack.fakes.fail("get_version_by_alias", gone);
    assert_eq!(
        refused(get(&stack, alias, &query), 404).await.0,
        "RESOURCE_DOES_NOT_EXIST"
    );
    let kept = Fault::new(Code::FailedPrecondition, "CHAMPION_ALIAS", "moved by promoting");
    stack.fakes.fail("set_alias", kept);
    let champion = json!({"name": "churn", "alias": "champion", "version": "1"});
    assert_eq!(
        refused(post(&stack, alias, &champion), 409).await,
        ("INVALID_STATE".to_owned(), "moved by promoting".to_owned())
    );
    let exists = Fault::new(
        Code::AlreadyExists,
        "MODEL_EXISTS",
        "Registered Model (name=churn) already exists.",
    );
    stack.fakes.fail("create_registered_model", exists);
    let again = post(&stack, "registered-models/create", &json!({"name": "churn"}));
    assert_eq!(refused(again, 400).await.0, "RESOURCE_ALREADY_EXISTS");
}

#[tokio::test]
async fn versions_are_as_the_client_makes_and_reads_them() {
    let stack = Stack::start().await;
    let new = json!({"name": "churn", "source": format!("models:/{MODEL}"), "model_id": MODEL, "run_id": RUN, "run_link": "l", "description": "d"});
    assert_eq!(
        ok(post(&stack, "model-versions/create", &new)).await,
        json!({"model_version": version("3")})
    );
    said(
        &stack,
        "create_version",
        &["source: \"models:/m-", "run_link: \"l\"", "description: \"d\"", RUN],
    );
    let query = [("name", "churn"), ("version", "1")];
    assert_eq!(
        ok(get(&stack, "model-versions/get", &query)).await,
        json!({"model_version": version("1")})
    );
    let uri = json!({"artifact_uri": format!("mlflow-artifacts:/1/models/{MODEL}/artifacts")});
    assert_eq!(ok(get(&stack, "model-versions/get-download-uri", &query)).await, uri);
    let search = [
        ("filter", "name='churn'"),
        ("max_results", "10000"),
        ("order_by", "version_number DESC"),
    ];
    let found = ok(get(&stack, "model-versions/search", &search)).await;
    assert_eq!(found, json!({"model_versions": [version("2"), version("1")]}));
    said(
        &stack,
        "search_versions",
        &["name='churn'", "page_size: 10000", "[\"version_number DESC\"]"],
    );
    let one = |more: Value| {
        let mut body = json!({"name": "churn", "version": "1"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    ok(call(
        &stack,
        Method::PATCH,
        "model-versions/update",
        &one(json!({"description": "dd"})),
    ))
    .await;
    said(&stack, "update_version", &["version: 1", "description: \"dd\""]);
    let moved = one(json!({"stage": "Production", "archive_existing_versions": true}));
    let moved = ok(post(&stack, "model-versions/transition-stage", &moved)).await;
    assert_eq!(moved["model_version"]["current_stage"], "Production");
    said(&stack, "transition_stage", &["archive_existing_versions: true"]);
    ok(post(
        &stack,
        "model-versions/set-tag",
        &one(json!({"key": "ok", "value": "yes"})),
    ))
    .await;
    said(&stack, "set_version_tag", &["version: 1", "key: \"ok\""]);
    ok(call(
        &stack,
        Method::DELETE,
        "model-versions/delete-tag",
        &one(json!({"key": "ok"})),
    ))
    .await;
    said(&stack, "delete_version_tag", &["key: \"ok\""]);
    ok(call(&stack, Method::DELETE, "model-versions/delete", &one(json!({})))).await;
    said(&stack, "delete_version", &["version: 1"]);
    let (code, message) = refused(
        get(&stack, "model-versions/get", &[("name", "churn"), ("version", "x")]),
        400,
    )
    .await;
    assert_eq!(
        (&*code, &*message),
        ("INVALID_PARAMETER_VALUE", "Model version must be an integer, got 'x'")
    );
}
