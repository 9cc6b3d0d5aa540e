//! Webhooks.

use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use crate::answers::WEBHOOK;
use crate::stack::{Stack, errors, expected, ok, problem};

const ROUTE: &str = "/api/v1/webhooks";

fn one(rest: &str) -> String {
    format!("{ROUTE}/{WEBHOOK}{rest}")
}

#[tokio::test]
async fn a_webhook_is_created_with_a_secret_and_shown_without() {
    let stack = Stack::start().await;
    let body = json!({"url": "https://a.example/", "model": "churn", "description": "the CRM"});
    let response = stack.post(ROUTE).json(&body).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["location"], one("").as_str());
    let created: Value = response.json().await.unwrap();
    assert_eq!(
        (&created["url"], &created["model"], &created["enabled"]),
        (&json!("https://a.example/"), &json!("churn"), &json!(true))
    );
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"));
    let asked = stack.fakes.last("create_webhook");
    assert!(
        asked.contains("description: \"the CRM\"") && asked.contains("secret: \"\""),
        "{asked}"
    );

    let shown = ok(stack.get(&one(""))).await;
    assert_eq!((&shown["model"], &shown["secret"]), (&Value::Null, &Value::Null));
    let listed = ok(stack.get(&format!("{ROUTE}?page_size=1&page_token=9"))).await;
    assert_eq!(
        (&listed["webhooks"][0], &listed["next_page_token"]),
        (&shown, &json!("7"))
    );
    let asked = stack.fakes.last("list_webhooks");
    assert!(
        asked.contains("page_size: 1") && asked.contains("page_token: \"9\""),
        "{asked}"
    );

    let refused = problem(
        stack.post(ROUTE).json(&json!({"url": "https://a.example/", "to": 1})),
        422,
    )
    .await;
    assert_eq!(errors(&refused), expected(&[("to", "unknown_field")]));
}

#[tokio::test]
async fn a_webhook_is_switched_off_and_removed() {
    let stack = Stack::start().await;
    let patch = stack.client.patch(stack.url(&one(""))).json(&json!({"enabled": false}));
    assert_eq!(ok(patch).await["enabled"], false);
    let asked = stack.fakes.last("update_webhook");
    for part in ["enabled: Some(false)", "url: None", "model: None", "description: None"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    let removed = ok(stack.client.delete(stack.url(&one("")))).await;
    assert_eq!(removed, json!({"webhook_id": WEBHOOK}));
    assert!(stack.fakes.last("delete_webhook").contains(WEBHOOK));
    let fault = Fault::new(Code::NotFound, "NO_SUCH_WEBHOOK", "no webhook with this id");
    stack.fakes.fail("delete_webhook", fault);
    let gone = problem(stack.client.delete(stack.url(&one(""))), 404).await;
    assert_eq!(gone["reason"], "NO_SUCH_WEBHOOK");
}

#[tokio::test]
async fn a_test_that_did_not_arrive_is_an_answer() {
    let stack = Stack::start().await;
    let sent = ok(stack.post(&one("/test"))).await;
    assert_eq!(
        (
            &sent["state"],
            &sent["event"],
            &sent["http_status"],
            &sent["model"],
            &sent["generation"]
        ),
        (
            &json!("failed"),
            &json!("webhook.test"),
            &Value::Null,
            &Value::Null,
            &Value::Null
        )
    );
    let fault = Fault::new(Code::Unavailable, "DATABASE_AWAY", "away");
    stack.fakes.fail("test_webhook", fault);
    problem(stack.post(&one("/test")), 503).await;
    assert_eq!(
        stack.fakes.times("test_webhook"),
        2,
        "it is not repeated: it would be sent twice"
    );
}

#[tokio::test]
async fn the_log_tells_attempts_of_one_webhook_or_of_all() {
    let stack = Stack::start().await;
    let log = ok(stack.get(&format!("{ROUTE}/deliveries?webhook_id={WEBHOOK}"))).await;
    let row = &log["deliveries"][0];
    assert_eq!(
        (
            &row["state"],
            &row["attempts"],
            &row["http_status"],
            &row["error"],
            &row["generation"]
        ),
        (
            &json!("pending"),
            &json!(2),
            &json!(503),
            &json!("answered 503"),
            &json!(5)
        )
    );
    assert_eq!(log["next_page_token"], Value::Null);
    assert!(stack.fakes.last("list_deliveries").contains(WEBHOOK));
    ok(stack.get(&format!("{ROUTE}/deliveries"))).await;
    assert!(stack.fakes.last("list_deliveries").contains("webhook_id: \"\""));
}
