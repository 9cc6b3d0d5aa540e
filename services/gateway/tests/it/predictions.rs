//! The platform's own API of predictions.

use serde_json::json;

use crate::answers::DIGEST;
use crate::stack::{Stack, errors, expected, ok, problem, record, record_with};

#[tokio::test]
async fn predictions_carry_everything_known_about_them() {
    let stack = Stack::start().await;
    let records = json!({"records": [record(), record_with(&json!({"Credit_Limit": 2000, "Card_Category": "Titanium"}))], "explain": true});
    let answer = ok(stack
        .post("/api/v1/predictions")
        .header("x-request-id", "order-66")
        .json(&records))
    .await;
    let reason = json!([{
        "feature": "Credit_Limit", "contribution": 1.5, "text": "a high limit speaks for leaving", "code": "CREDIT_LIMIT_HIGH",
    }]);
    let expected = json!({
        "predictions": [
            {"probability": 0.9, "label": true, "threshold": 0.5, "out_of_domain": [], "reasons": reason},
            {"probability": 0.1, "label": false, "threshold": 0.5,
             "out_of_domain": [{"feature": "Card_Category", "kind": "unknown_category"}], "reasons": reason},
        ],
        "model": "churn", "version": 3, "artifact_digest": DIGEST, "generation": 5, "request_id": "order-66",
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn an_explanation_adds_up() {
    let stack = Stack::start().await;
    let answer = ok(stack.post("/api/v1/explanations").json(&json!({"record": record()}))).await;
    assert_eq!((&answer["base_value"], &answer["margin"]), (&json!(-1.5), &json!(0.0)));
    assert_eq!(
        answer["contributions"],
        json!([{"feature": "Credit_Limit", "contribution": 1.5}])
    );
    assert_eq!(
        (&answer["prediction"]["label"], &answer["version"]),
        (&json!(true), &json!(3))
    );

    let body = json!({"record": record_with(&json!({"Credit_Limit": null}))});
    let refused = problem(stack.post("/api/v1/explanations").json(&body), 422).await;
    assert_eq!(errors(&refused), expected(&[("Credit_Limit", "required")]));
}

#[tokio::test]
async fn the_model_in_service_is_described() {
    let stack = Stack::start().await;
    let answer = ok(stack.get("/api/v1/model")).await;
    assert_eq!(
        (&answer["model"], &answer["version"], &answer["family"]),
        (&json!("churn"), &json!(3), &json!("boosted_trees"))
    );
    assert_eq!(answer["serving_since"], "2026-01-02T03:04:05Z");
    assert_eq!(answer["signature"][0]["name"], "Credit_Limit");
}

#[tokio::test]
async fn the_prediction_log_can_be_flushed() {
    let stack = Stack::start().await;
    let answer = ok(stack.post("/api/v1/prediction-log/flush")).await;
    assert_eq!(
        (&answer["acknowledged_records"], &answer["spooled_records"]),
        (&json!(7), &json!(0))
    );
}
