//! Predictions by the typed API.

use holdfast_api::common::v1::Customer;
use holdfast_api::inference::v1 as wire;
use holdfast_chassis::error::{Code, Fault};
use holdfast_domain::{Feature, Schema, UNKNOWN_CATEGORY};
use holdfast_model::Direction;

use crate::support::model::model;
use crate::support::{Sandbox, artifact, customer, customers, full_row};

fn fault(status: &tonic::Status) -> Fault {
    Fault::from_status(status)
}

fn fields(fault: &Fault) -> Vec<(&str, &str)> {
    fault
        .violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.rule.as_str()))
        .collect()
}

fn required_only(customer: &Customer) -> Customer {
    Customer {
        total_relationship_count: customer.total_relationship_count,
        credit_limit: customer.credit_limit,
        total_revolving_bal: customer.total_revolving_bal,
        total_amt_chng_q4_q1: customer.total_amt_chng_q4_q1,
        total_trans_amt: customer.total_trans_amt,
        total_trans_ct: customer.total_trans_ct,
        total_ct_chng_q4_q1: customer.total_ct_chng_q4_q1,
        avg_utilization_ratio: customer.avg_utilization_ratio,
        ..Customer::default()
    }
}

#[tokio::test]
async fn a_prediction_is_the_models_own_score_to_the_bit() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let own = model(1);
    for index in 0..20 {
        let answer = service.predict(customer(index)).await.unwrap();
        let prediction = answer.prediction.unwrap();
        let expected = own.score(&full_row(index));
        assert_eq!(prediction.probability.to_bits(), expected.to_bits());
        assert_eq!(prediction.label, expected >= 0.5);
        assert_eq!(prediction.threshold.to_bits(), 0.5_f64.to_bits());
        assert!(prediction.reasons.is_empty(), "not asked for");
        let served = answer.served_by.unwrap();
        let named = served.model.unwrap();
        assert_eq!(
            (named.model.as_str(), named.version, served.generation),
            ("churn", 1, 1)
        );
        assert_eq!(
            named.artifact_digest,
            holdfast_domain::Digest::of(&artifact(1)).to_string()
        );
        assert_eq!(answer.request_id.len(), 36, "an id of ours: {}", answer.request_id);
    }
    service.stop().await;
}

#[tokio::test]
async fn the_required_eight_are_enough() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let answer = service.predict(required_only(&customer(3))).await.unwrap();
    let expected = model(1).score(&full_row(3).required_only(Schema::embedded()));
    assert_eq!(answer.prediction.unwrap().probability.to_bits(), expected.to_bits());
    service.stop().await;
}

#[tokio::test]
async fn a_batch_has_the_bits_of_single_predictions_inline_and_on_the_pool() {
    let sandbox = Sandbox::with_champion().await.set("predict.inline_rows", 10);
    let service = sandbox.serving(1).await;
    let own = model(1);
    for rows in [1, 10, 11, 500] {
        let request = wire::PredictBatchRequest {
            customers: customers(rows).into(),
            request_id: format!("batch-{rows}"),
            explain: true,
        };
        let answer = service
            .client
            .clone()
            .predict_batch(request)
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.request_id, format!("batch-{rows}"));
        assert_eq!(answer.served_by.unwrap().generation, 1);
        assert_eq!(answer.predictions.len(), rows as usize);
        for (index, prediction) in (0..).zip(answer.predictions) {
            let row = full_row(index);
            assert_eq!(prediction.probability.to_bits(), own.score(&row).to_bits());
            let expected: Vec<(String, String)> = own
                .reasons(&row, 3)
                .into_iter()
                .map(|reason| (reason.code(), reason.text))
                .collect();
            let found = prediction.reasons.into_iter().map(|reason| (reason.code, reason.text));
            assert_eq!(found.collect::<Vec<_>>(), expected);
        }
    }
    assert_eq!(service.flush().await.unwrap().uploaded_records, 522);
    service.stop().await;
}

#[tokio::test]
async fn every_broken_rule_is_named_at_once() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let mut wrong = customer(1);
    wrong.credit_limit = None;
    wrong.customer_age = Some(3.0);
    wrong.total_trans_ct = Some(2.5);
    wrong.avg_utilization_ratio = Some(f64::NAN);
    wrong.customer_key = Some(-4);
    let fault = fault(&service.predict(wrong.clone()).await.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::InvalidArgument, "INVALID_FIELDS"));
    let mut found = fields(&fault);
    found.sort_unstable();
    let expected = [
        ("Avg_Utilization_Ratio", "not_finite"),
        ("CLIENTNUM", "key"),
        ("Credit_Limit", "required"),
        ("Customer_Age", "below_minimum"),
        ("Total_Trans_Ct", "not_integer"),
    ];
    assert_eq!(found, expected);

    let mut batch = customers(5);
    batch[3].credit_limit = None;
    batch[4].gender = Some("F".to_owned());
    batch[4].total_trans_amt = Some(-1.0);
    let request = wire::PredictBatchRequest {
        customers: batch.into(),
        ..wire::PredictBatchRequest::default()
    };
    let fault = self::fault(&service.client.clone().predict_batch(request).await.unwrap_err());
    assert_eq!(
        fields(&fault),
        [
            ("records[3].Credit_Limit", "required"),
            ("records[4].Total_Trans_Amt", "below_minimum")
        ]
    );
    assert_eq!(service.log_status().await.acknowledged_records, 0, "all or none");
    assert_eq!(
        service
            .metric("holdfast_inference_predictions_total{outcome=\"invalid\"}")
            .await as u64,
        6
    );
    service.stop().await;
}

#[tokio::test]
async fn a_batch_full_of_violations_still_gets_an_answer() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let request = wire::PredictBatchRequest {
        customers: vec![Customer::default(); 10_000].into(),
        ..wire::PredictBatchRequest::default()
    };
    let fault = fault(&service.client.clone().predict_batch(request).await.unwrap_err());
    assert_eq!(fault.code, Code::InvalidArgument);
    assert_eq!(fault.metadata["violations_total"], "80000");
    assert_eq!(fault.violations[0].field, "records[0].Total_Relationship_Count");
    service.stop().await;
}

#[tokio::test]
async fn a_request_itself_can_be_wrong() {
    let sandbox = Sandbox::with_champion().await.set("predict.max_batch_rows", 3);
    let service = sandbox.serving(1).await;
    let batch = async |rows: u32, id: &str| {
        let request = wire::PredictBatchRequest {
            customers: customers(rows).into(),
            request_id: id.to_owned(),
            explain: false,
        };
        let status = service.client.clone().predict_batch(request).await.unwrap_err();
        fault(&status)
            .violations
            .into_iter()
            .map(|violation| (violation.field, violation.rule))
            .collect::<Vec<_>>()
    };
    let one = |field: &str, rule: &str| vec![(field.to_owned(), rule.to_owned())];
    assert_eq!(batch(4, "").await, one("records", "too_many"));
    assert_eq!(batch(0, "").await, one("records", "required"));
    assert_eq!(batch(1, &"x".repeat(129)).await, one("request_id", "too_long"));
    let empty = service
        .client
        .clone()
        .predict(wire::PredictRequest::default())
        .await
        .unwrap_err();
    assert_eq!(fields(&fault(&empty)), [("customer", "required")]);
    service.stop().await;
}

#[tokio::test]
async fn without_a_champion_the_answer_says_so_and_the_service_is_not_ready() {
    let sandbox = Sandbox::new();
    let service = sandbox.start().await;
    let fault = fault(&service.predict(customer(0)).await.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::FailedPrecondition, "NO_CHAMPION"));
    let model = service
        .client
        .clone()
        .get_model(wire::GetModelRequest {})
        .await
        .unwrap_err();
    assert_eq!(self::fault(&model).reason, "NO_CHAMPION");
    assert_eq!(service.admin("/readyz").await.0, 503);
    assert_eq!(service.admin("/livez").await.0, 200);

    let digest = sandbox.publish(1, &artifact(1)).await;
    sandbox.promote(0, 1, digest).await;
    service.serves(1).await;
    assert_eq!(service.admin("/readyz").await.0, 200);
    service.predict(customer(0)).await.unwrap();
    service.stop().await;
}

#[tokio::test]
async fn values_that_training_did_not_see_are_flagged_and_logged_as_sent() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let mut strange = customer(0);
    strange.credit_limit = Some(1_500_000.0);
    strange.customer_age = Some(18.0);
    strange.card_category = Some("Titanium".to_owned());
    strange.marital_status = Some("Unknown".to_owned());
    let answer = service.predict(strange).await.unwrap();
    let mut flagged: Vec<(String, i32)> = answer
        .prediction
        .unwrap()
        .out_of_domain
        .into_iter()
        .map(|flag| (flag.feature, flag.kind))
        .collect();
    flagged.sort_unstable();
    use wire::out_of_domain::Kind;
    let expected = [
        ("Card_Category", Kind::UnknownCategory),
        ("Credit_Limit", Kind::AboveTrainingRange),
        ("Customer_Age", Kind::BelowTrainingRange),
        ("Marital_Status", Kind::UnknownCategory),
    ];
    assert_eq!(
        flagged,
        expected.map(|(feature, kind)| (feature.to_owned(), i32::from(kind)))
    );
    assert_eq!(
        service
            .metric("holdfast_inference_out_of_domain_total{feature=\"Card_Category\"}")
            .await as u64,
        1
    );

    service.flush().await.unwrap();
    let record = sandbox.records().await.remove(0);
    assert_eq!(record.features.get(Feature::CardCategory), Some(UNKNOWN_CATEGORY));
    assert_eq!(record.unlisted[0].text, "Titanium");
    assert_eq!(record.features.get(Feature::CreditLimit), Some(1_500_000.0));
    service.stop().await;
}

#[tokio::test]
async fn an_explanation_adds_up_and_is_not_logged() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let request = wire::ExplainRequest {
        customer: Some(customer(5)),
    };
    let answer = service.client.clone().explain(request).await.unwrap().into_inner();
    let sum: f64 = answer
        .contributions
        .iter()
        .map(|contribution| contribution.contribution)
        .sum();
    assert!((answer.base_value + sum - answer.margin).abs() < 1e-6);
    assert_eq!(answer.contributions.len(), 19);
    let own = model(1);
    assert_eq!(answer.margin.to_bits(), own.margin(&full_row(5)).to_bits());
    let prediction = answer.prediction.unwrap();
    assert_eq!(prediction.probability.to_bits(), own.score(&full_row(5)).to_bits());
    let explanation = own.explain(&full_row(5));
    let reasons = own.reasons_of(&explanation, &full_row(5), Direction::TowardsAttrition, 3);
    assert_eq!(prediction.reasons.len(), reasons.len());
    assert_eq!(service.log_status().await.acknowledged_records, 0);
    service.stop().await;
}

#[tokio::test]
async fn the_model_describes_itself() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let answer = service
        .client
        .clone()
        .get_model(wire::GetModelRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((answer.family.as_str(), answer.signature.len()), ("boosted_trees", 19));
    assert_eq!(answer.signature.iter().filter(|input| input.required).count(), 8);
    let gender = answer.signature.iter().find(|input| input.name == "Gender").unwrap();
    assert_eq!(
        (gender.kind.as_str(), gender.categories.as_slice()),
        ("categorical", &["F".to_owned()][..])
    );
    assert!(answer.serving_since.is_some());
    service.stop().await;
}
