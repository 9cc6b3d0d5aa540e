//! Predictions on a stream.

use futures::StreamExt as _;
use holdfast_api::inference::v1 as wire;
use holdfast_chassis::error::Fault;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::model::model;
use crate::support::{Sandbox, customer, full_row};

fn message(index: u32) -> wire::PredictStreamRequest {
    let predict = wire::PredictRequest {
        customer: Some(customer(index)),
        request_id: format!("s-{index}"),
        explain: false,
    };
    wire::PredictStreamRequest { predict: Some(predict) }
}

#[tokio::test]
async fn answers_keep_the_order_of_the_requests_and_their_bits() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let requests = futures::stream::iter((0..200).map(message));
    let answers = service
        .client
        .clone()
        .predict_stream(requests)
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap().predict.unwrap()).collect().await;
    assert_eq!(answers.len(), 200);
    let own = model(1);
    for (index, answer) in (0..).zip(answers) {
        assert_eq!(answer.request_id, format!("s-{index}"));
        assert_eq!(
            answer.prediction.unwrap().probability.to_bits(),
            own.score(&full_row(index)).to_bits()
        );
    }
    assert_eq!(service.flush().await.unwrap().uploaded_records, 200);
    service.stop().await;
}

#[tokio::test]
async fn a_customer_is_answered_before_the_next_one_is_sent() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let (requests, receiver) = tokio::sync::mpsc::channel(1);
    let mut client = service.client.clone();
    requests.send(message(0)).await.unwrap();
    let mut answers = client
        .predict_stream(ReceiverStream::new(receiver))
        .await
        .unwrap()
        .into_inner();
    for index in 0..5 {
        let answer = answers.next().await.unwrap().unwrap().predict.unwrap();
        assert_eq!(answer.request_id, format!("s-{index}"));
        requests.send(message(index + 1)).await.unwrap();
    }
    drop(requests);
    assert_eq!(answers.map(Result::unwrap).count().await, 1);
    service.stop().await;
}

#[tokio::test]
async fn a_bad_request_ends_the_stream_and_is_named() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let mut bad = message(2);
    bad.predict.as_mut().unwrap().customer.as_mut().unwrap().credit_limit = None;
    let requests = futures::stream::iter([message(0), message(1), bad, message(3)]);
    let answers = service
        .client
        .clone()
        .predict_stream(requests)
        .await
        .unwrap()
        .into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert_eq!(answers.len(), 3);
    assert!(answers[0].is_ok() && answers[1].is_ok());
    let fault = Fault::from_status(answers[2].as_ref().unwrap_err());
    assert_eq!(fault.metadata["message_index"], "2");
    assert_eq!(fault.violations[0].field, "Credit_Limit");
    service.stop().await;
}
