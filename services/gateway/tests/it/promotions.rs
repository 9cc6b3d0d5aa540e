//! Promotions that wait for approvers.

use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use crate::stack::{Stack, errors, expected, ok, problem};

const ROUTE: &str = "/api/v1/models/churn/promotions";

#[tokio::test]
async fn a_promotion_that_needs_approvers_is_accepted_and_not_made() {
    let stack = Stack::start().await;
    let response = stack
        .post("/api/v1/models/churn/versions/9/promote")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 202);
    let waiting: Value = response.json().await.unwrap();
    assert_eq!(
        (
            &waiting["promotion"],
            &waiting["state"],
            &waiting["needed"],
            &waiting["generation"]
        ),
        (&json!(4), &json!("waiting"), &json!(2), &Value::Null)
    );
    assert_eq!(
        (&waiting["run_started_by"], &waiting["words"][0]["actor"]),
        (&json!("ada"), &json!("grace"))
    );
}

#[tokio::test]
async fn approvers_say_yes_and_no_by_name() {
    let stack = Stack::start().await;
    let made = ok(stack
        .post(&format!("{ROUTE}/4/approve"))
        .json(&json!({"actor": "edsger"})))
    .await;
    assert_eq!((&made["state"], &made["generation"]), (&json!("promoted"), &json!(6)));
    let asked = stack.fakes.last("decide_promotion");
    for part in ["promotion: 4", "approve: true", "actor: \"edsger\""] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    let body = json!({"actor": "edsger", "note": "the slices"});
    let rejected = ok(stack.post(&format!("{ROUTE}/4/reject")).json(&body)).await;
    assert_eq!(rejected["state"], "rejected");
    let asked = stack.fakes.last("decide_promotion");
    assert!(
        asked.contains("approve: false") && asked.contains("note: \"the slices\""),
        "{asked}"
    );
    let refused = problem(
        stack.post(&format!("{ROUTE}/4/approve")).json(&json!({"by": "edsger"})),
        422,
    )
    .await;
    assert_eq!(errors(&refused), expected(&[("by", "unknown_field")]));
}

#[tokio::test]
async fn who_may_not_approve_is_forbidden_and_the_call_is_not_repeated() {
    let stack = Stack::start().await;
    let fault = Fault::new(Code::PermissionDenied, "MAY_NOT_APPROVE", "they started the run");
    stack.fakes.fail("decide_promotion", fault);
    let refused = problem(stack.post(&format!("{ROUTE}/4/approve")), 403).await;
    assert_eq!(refused["reason"], "MAY_NOT_APPROVE");
    assert_eq!(stack.fakes.times("decide_promotion"), 1);
}

#[tokio::test]
async fn promotions_are_listed_all_or_those_that_wait() {
    let stack = Stack::start().await;
    let listed = ok(stack.get(ROUTE)).await;
    assert_eq!(listed["promotions"][0]["requested_by"], "training");
    assert!(stack.fakes.last("list_promotions").contains("waiting_only: false"));
    ok(stack.get(&format!("{ROUTE}?waiting=true"))).await;
    assert!(stack.fakes.last("list_promotions").contains("waiting_only: true"));
}

#[tokio::test]
async fn replicas_are_listed_with_what_they_could_not_load() {
    let stack = Stack::start().await;
    let listed = ok(stack.get("/api/v1/models/churn/replicas")).await;
    let replica = &listed["replicas"][0];
    assert_eq!(
        (&replica["state"], &replica["message"], &replica["silent"]),
        (
            &json!("load_failed"),
            &json!("artefact digest does not match"),
            &json!(false)
        )
    );
}
