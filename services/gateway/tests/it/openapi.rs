//! The description is true, and it is the one that is committed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use holdfast_chassis::{Fault, FieldViolation};
use holdfast_gateway::rest::{description, openapi};
use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Stack, ok, problem};

fn committed() -> PathBuf {
    holdfast_testkit::workspace_root().join("docs/openapi.json")
}

#[test]
fn the_committed_description_is_the_generated_one() {
    let generated = openapi::text(&description());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(committed(), &generated).unwrap();
    }
    let found = std::fs::read_to_string(committed()).unwrap_or_default();
    assert!(
        found == generated,
        "docs/openapi.json is not what the handlers say; UPDATE_OPENAPI=1 writes it anew"
    );
}

#[tokio::test]
async fn the_served_description_is_the_committed_one() {
    let stack = Stack::start().await;
    let served = stack.get("/openapi.json").send().await.unwrap();
    assert_eq!(served.headers()["content-type"], "application/json");
    assert_eq!(served.text().await.unwrap(), openapi::text(&description()));
}

#[tokio::test]
async fn every_documented_route_is_there() {
    let stack = Stack::start().await;
    for (method, route) in openapi::routes(&description()) {
        let path = route
            .replace("{version}", "1")
            .replace("{promotion}", "1")
            .replace(['{', '}'], "");
        let answer = stack
            .client
            .request(method.clone(), stack.url(&path))
            .send()
            .await
            .unwrap();
        // Whatever else is missing: the path exists and takes the method.
        assert!(
            ![404, 405].contains(&answer.status().as_u16()),
            "{method} {route}: {}",
            answer.status()
        );
    }
}

/// What the contract of the service names.
const CONTRACT: &[&str] = &[
    "GET /",
    "GET /health",
    "POST /predict",
    "POST /predict_batch",
    "GET /v2",
    "GET /v2/health/live",
    "GET /v2/health/ready",
    "GET /v2/models/{model}",
    "GET /v2/models/{model}/ready",
    "POST /v2/models/{model}/infer",
    "GET /v2/models/{model}/versions/{version}",
    "GET /v2/models/{model}/versions/{version}/ready",
    "POST /v2/models/{model}/versions/{version}/infer",
    "POST /v2/repository/index",
    "POST /api/v1/predictions",
    "POST /api/v1/predictions/stream",
    "POST /api/v1/explanations",
    "GET /api/v1/model",
    "POST /api/v1/prediction-log/flush",
    "POST /api/v1/snapshots",
    "GET /api/v1/snapshots",
    "GET /api/v1/snapshots/{digest}",
    "POST /api/v1/runs",
    "GET /api/v1/runs",
    "GET /api/v1/runs/{run_id}",
    "GET /api/v1/runs/{run_id}/events",
    "POST /api/v1/runs/{run_id}/cancel",
    "GET /api/v1/models",
    "GET /api/v1/models/{model}/versions",
    "GET /api/v1/models/{model}/versions/{version}",
    "GET /api/v1/models/{model}/versions/{version}/card",
    "GET /api/v1/models/{model}/versions/{version}/evaluation",
    "GET /api/v1/models/{model}/versions/{version}/evaluation/{file}",
    "POST /api/v1/models/{model}/versions/{version}/reproduce",
    "POST /api/v1/models/{model}/imports",
    "GET /api/v1/models/{model}/versions/{version}/export",
    "GET /api/v1/models/{model}/versions/{version}/import",
    "POST /api/v1/models/{model}/versions/{version}/import",
    "POST /api/v1/models/{model}/versions/{version}/promote",
    "POST /api/v1/models/{model}/rollback",
    "GET /api/v1/models/{model}/champion",
    "GET /api/v1/models/{model}/champions",
    "GET /api/v1/models/{model}/replicas",
    "GET /api/v1/lineage",
    "GET /api/v1/models/{model}/promotions",
    "POST /api/v1/models/{model}/promotions/{promotion}/approve",
    "POST /api/v1/models/{model}/promotions/{promotion}/reject",
    "GET /api/v1/models/{model}/rollout",
    "POST /api/v1/models/{model}/rollout",
    "DELETE /api/v1/models/{model}/rollout",
    "GET /api/v1/models/{model}/rollouts",
    "GET /api/v1/webhooks",
    "POST /api/v1/webhooks",
    "GET /api/v1/webhooks/deliveries",
    "GET /api/v1/webhooks/{webhook_id}",
    "PATCH /api/v1/webhooks/{webhook_id}",
    "DELETE /api/v1/webhooks/{webhook_id}",
    "POST /api/v1/webhooks/{webhook_id}/test",
    "POST /api/v1/outcomes",
    "POST /api/v1/drift/checks",
    "GET /api/v1/drift/reports",
    "GET /api/v1/drift/reports/{report_id}",
    "POST /api/v1/drift/reports/{report_id}/retrain",
    "POST /api/v1/retention/collections",
    "GET /api/v1/status",
    "GET /openapi.json",
    "GET /docs",
];

#[tokio::test]
async fn every_route_is_documented() {
    let stack = Stack::start().await;
    let documented: BTreeSet<_> = openapi::routes(&description())
        .into_iter()
        .map(|(method, route)| format!("{method} {route}"))
        .collect();
    let contract = CONTRACT.iter().map(|route| (*route).to_owned());
    assert_eq!(documented, contract.collect());
    // A method that a documented path does not document is one that it does not take.
    for (_, route) in openapi::routes(&description()) {
        let path = route.replace("{version}", "1").replace(['{', '}'], "");
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if !documented.contains(&format!("{method} {route}")) {
                let answer = stack
                    .client
                    .request(method.clone(), stack.url(&path))
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status().as_u16(), 405, "{method} {route}");
            }
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_operation_says_how_it_fails() {
    let document: Value = serde_json::from_str(&openapi::text(&description())).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let found = document.pointer(reference.strip_prefix('#').unwrap());
        assert!(found.is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let (kind, schema) = if path.starts_with("/v2") {
                ("application/json", "#/components/schemas/InferenceError")
            } else {
                ("application/problem+json", "#/components/schemas/ProblemDocument")
            };
            let failure = &operation["responses"]["default"]["content"][kind]["schema"]["$ref"];
            assert_eq!(failure, schema, "{method} {path}");
            for (status, response) in operation["responses"].as_object().unwrap() {
                assert!(response["description"].is_string(), "{method} {path} {status}");
            }
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} names two operations");
            assert!(
                operation["summary"].is_string(),
                "{method} {path} says nothing of itself"
            );
        }
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            references.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

#[test]
fn a_record_is_described_as_the_schema_says() {
    let document: Value = serde_json::from_str(&openapi::text(&description())).unwrap();
    let record = &document["components"]["schemas"]["CustomerRecord"];
    assert_eq!(record["required"].as_array().unwrap().len(), 8);
    assert_eq!(record["properties"].as_object().unwrap().len(), 21);
    assert_eq!(record["additionalProperties"], false);
    assert_eq!(record["properties"]["Total_Trans_Ct"]["type"], "integer");
    assert_eq!(record["properties"]["Gender"]["type"], json!(["string", "null"]));
}

#[tokio::test]
async fn a_problem_has_no_member_that_is_not_described() {
    let stack = Stack::start().await;
    let violation = FieldViolation::new("digest", "invalid", "no digest");
    let fault = Fault::invalid_fields("INVALID_FIELDS", vec![violation]).with("fact", 1);
    stack
        .fakes
        .fail("get_snapshot", fault.retry_after(std::time::Duration::from_secs(1)));
    let found = problem(stack.get("/api/v1/snapshots/x"), 422).await;
    let document = ok(stack.get("/openapi.json")).await;
    let described = document["components"]["schemas"]["ProblemDocument"]["properties"]
        .as_object()
        .unwrap();
    let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(found.as_object().unwrap()), names(described));
}
