//! Models of other libraries.

use holdfast_chassis::{Code, Fault};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::answers::DIGEST;
use crate::stack::{Stack, errors, expected, problem};

#[tokio::test]
async fn a_model_file_is_passed_on_with_what_was_said_of_it() {
    let stack = Stack::start().await;
    let query = [
        ("snapshot", DIGEST),
        ("source", "churn.ubj"),
        ("rounds", "all"),
        ("test_share", "0.3"),
        ("seed", "7"),
        ("promote", "false"),
        ("columns", "Customer_Age, Gender"),
        ("renamed", "age:Customer_Age"),
        ("categories", "Gender:M|F,Income_Category:Less than $40K|$40K - $60K"),
        ("threshold", r#"{"policy":"capacity","calls":200,"population":10000}"#),
    ];
    let upload = stack.post("/api/v1/models/churn/imports").query(&query);
    let upload = upload.header("idempotency-key", "once").body(vec![b'{'; 3_000_000]);
    let answer = upload.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["location"], "/api/v1/runs/run-1");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"run_id": "run-1"}));
    let asked = stack.fakes.last("import_model");
    let snapshot = format!("snapshot: \"{DIGEST}\"");
    for part in [
        "model: \"churn\"",
        &snapshot,
        "source: \"churn.ubj\"",
        "rounds: All",
        "test_share: Some(0.3)",
        "seed: Some(7)",
        "promote: Some(false)",
        "requested_by: \"rest\"",
        "columns: [\"Customer_Age\", \"Gender\"]",
        "RenamedColumn { from: \"age\", to: \"Customer_Age\" }",
        "ColumnCategories { column: \"Gender\", categories: [\"M\", \"F\"] }",
        "categories: [\"Less than $40K\", \"$40K - $60K\"]",
        "Capacity(CapacityRule { calls: 200, population: 10000 })",
        "idempotency_key: \"once\"",
        ", 3000000)",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_of_a_query_is_named() {
    let stack = Stack::start().await;
    for (field, value) in [("renamed", "age"), ("categories", "Gender"), ("threshold", "f1")] {
        let upload = stack
            .post("/api/v1/models/churn/imports")
            .query(&[("snapshot", DIGEST), (field, value)]);
        let refused = problem(upload.body("{"), 422).await;
        assert_eq!(errors(&refused), expected(&[(field, "invalid")]));
    }
    problem(stack.post("/api/v1/models/churn/imports").body("{"), 400).await;
    assert_eq!(stack.fakes.times("import_model"), 0);
}

#[tokio::test]
async fn a_file_that_training_refuses_is_refused_as_it_says() {
    let stack = Stack::start().await;
    for (code, reason, status) in [
        (Code::InvalidArgument, "UNREADABLE_MODEL", 400),
        (Code::ResourceExhausted, "MODEL_FILE_TOO_LARGE", 413),
        (Code::Aborted, "RUN_AT_WORK", 409),
    ] {
        stack.fakes.fail("import_model", Fault::new(code, reason, "no"));
        let upload = stack
            .post("/api/v1/models/churn/imports")
            .query(&[("snapshot", DIGEST)]);
        assert_eq!(problem(upload.body("{"), status).await["reason"], reason);
    }
}

#[tokio::test]
async fn an_exported_version_is_passed_on() {
    let stack = Stack::start().await;
    let path = "/api/v1/models/churn/versions/3/export";
    let answer = stack.get(path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.text().await.unwrap(), "{\"learner\":{}}");
    let asked = stack.fakes.last("export_model");
    assert!(asked.contains("version: 3, format: XgboostJson"), "{asked}");
    let answer = stack.get(&format!("{path}?format=holdfast")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert!(stack.fakes.last("export_model").contains("format: Holdfast"));
    problem(stack.get(&format!("{path}?format=onnx")), 400).await;
    let why = "version 3 cannot be exported: ensemble.members[0]: a linear function, only trees can be written";
    stack.fakes.fail(
        "export_model",
        Fault::new(Code::FailedPrecondition, "NOT_EXPORTABLE", why),
    );
    assert_eq!(problem(stack.get(path), 409).await["detail"], why);
}
