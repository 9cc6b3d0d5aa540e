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

/// The eight required columns, and two more, in another order than the schema's.
pub(crate) const HEADER: &str = "Card_Category,CLIENTNUM,Avg_Utilization_Ratio,Total_Ct_Chng_Q4_Q1,Total_Trans_Ct,Total_Trans_Amt,Total_Amt_Chng_Q4_Q1,Total_Revolving_Bal,Credit_Limit,Total_Relationship_Count";

/// A row under [`HEADER`]; the stand-in for inference decides by the credit limit.
pub(crate) fn row(key: u64, limit: &str) -> String {
    format!("Titanium,{key},0.061,1.625,42,1144,1.335,777,{limit},5")
}

#[tokio::test]
async fn a_table_is_taken_and_answered_as_json_or_as_a_table() {
    let stack = Stack::start().await;
    let table = format!("{HEADER}\n{}\n{}\n", row(7, "12691.0"), row(8, "2000"));
    let request = || {
        stack
            .post("/api/v1/predictions?explain=true")
            .header("content-type", "text/csv")
            .body(table.clone())
    };
    let answer = ok(request()).await;
    assert_eq!(answer["predictions"][0]["label"], true);
    assert_eq!(answer["predictions"][1]["out_of_domain"][0]["feature"], "Card_Category");
    assert_eq!(answer["predictions"][1]["reasons"][0]["code"], "CREDIT_LIMIT_HIGH");

    let answer = request()
        .header("accept", "text/csv")
        .header("x-request-id", "order-66")
        .send()
        .await
        .unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    let expected = format!(
        "line,customer_key,probability,label,threshold,out_of_domain,reasons,model,version,artifact_digest,generation,request_id,error_rule,error\n\
         1,7,0.9,true,0.5,Card_Category:unknown_category,CREDIT_LIMIT_HIGH,churn,3,{DIGEST},5,order-66,,\n\
         2,8,0.1,false,0.5,Card_Category:unknown_category,CREDIT_LIMIT_HIGH,churn,3,{DIGEST},5,order-66,,\n"
    );
    assert_eq!(answer.text().await.unwrap(), expected);
}

#[tokio::test]
async fn a_table_that_breaks_rules_is_refused_whole() {
    let stack = Stack::start().await;
    let send = |table: String| {
        stack
            .post("/api/v1/predictions")
            .header("content-type", "text/csv")
            .body(table)
    };
    let refused = problem(send(format!("{HEADER}\n{}\n{}", row(7, "1"), row(8, "much"))), 422).await;
    assert_eq!(
        errors(&refused),
        expected(&[("records[1].Credit_Limit", "not_a_number")])
    );
    let refused = problem(send(format!("{HEADER},Nonsense\n{},1", row(7, "1"))), 422).await;
    assert_eq!(errors(&refused), expected(&[("Nonsense", "unknown_column")]));
    let refused = problem(send(format!("{HEADER}\n{}\n1,2", row(7, "1"))), 422).await;
    assert_eq!(
        (errors(&refused), &refused["metadata"]["line"]),
        (expected(&[("record", "ragged_row")]), &json!("3"))
    );
    assert_eq!(problem(send(String::new()), 400).await["reason"], "MALFORMED_CSV");
    let refused = problem(send(format!("{HEADER}\n")), 422).await;
    assert_eq!(errors(&refused), expected(&[("records", "required")]));
}
