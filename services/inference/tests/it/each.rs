//! Independent requests in one call.

use std::collections::BTreeSet;

use holdfast_api::inference::v1 as wire;
use holdfast_api::inference::v1::predict_each_request::Item;
use holdfast_api::inference::v1::predict_each_response::item::Outcome;
use holdfast_chassis::error::Fault;
use holdfast_chassis::settings::{LogFormat, TelemetrySettings};
use holdfast_chassis::telemetry;
use tonic::{Code, Status};

use crate::support::model::model;
use crate::support::{Sandbox, Service, customer, full_row};

fn request(index: u32) -> wire::PredictRequest {
    wire::PredictRequest {
        customer: Some(customer(index)),
        request_id: format!("e-{index}"),
        explain: index == 3,
    }
}

async fn each(service: &Service, requests: impl Iterator<Item = wire::PredictRequest>) -> Result<Vec<Outcome>, Status> {
    let items = requests.map(|request| Item {
        predict: Some(request),
        traceparent: String::new(),
    });
    let message = wire::PredictEachRequest { items: items.collect() };
    let answer = service.client.clone().predict_each(message).await?.into_inner();
    Ok(answer.items.into_iter().map(|item| item.outcome.unwrap()).collect())
}

#[tokio::test]
async fn each_request_is_answered_and_logged_by_itself() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let requests = (0..100).map(|index| {
        let mut request = request(index);
        if index == 7 {
            request.customer.as_mut().unwrap().credit_limit = None;
        }
        request
    });
    let outcomes = each(&service, requests).await.unwrap();
    assert_eq!(outcomes.len(), 100);
    let own = model(1);
    for (index, outcome) in (0..).zip(outcomes) {
        match outcome {
            Outcome::Answer(answer) => {
                assert_eq!(answer.request_id, format!("e-{index}"));
                assert_eq!(answer.served_by.unwrap().model.unwrap().version, 1);
                let prediction = answer.prediction.unwrap();
                assert_eq!(prediction.probability.to_bits(), own.score(&full_row(index)).to_bits());
                assert_eq!(prediction.reasons.is_empty(), index != 3);
            }
            Outcome::Failure(failure) => {
                assert_eq!(index, 7);
                let code = Code::from_i32(failure.code);
                assert_eq!(code, Code::InvalidArgument);
                let status = Status::with_details(code, failure.message, failure.details.into());
                assert_eq!(Fault::from_status(&status).violations[0].field, "Credit_Limit");
            }
        }
    }
    assert_eq!(service.flush().await.unwrap().uploaded_records, 99);
    let logged: BTreeSet<_> = sandbox
        .records()
        .await
        .into_iter()
        .map(|record| record.request_id)
        .collect();
    let wanted: BTreeSet<_> = (0..100)
        .filter(|index| *index != 7)
        .map(|index| format!("e-{index}"))
        .collect();
    assert_eq!(logged, wanted);
    service.stop().await;
}

#[tokio::test]
async fn neither_none_nor_too_many_are_taken() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    for count in [0, 257] {
        let refused = each(&service, (0..count).map(request)).await.unwrap_err();
        let fault = Fault::from_status(&refused);
        assert_eq!(
            (refused.code(), fault.violations[0].field.as_str()),
            (Code::InvalidArgument, "items")
        );
    }
    assert_eq!(each(&service, (0..256).map(request)).await.unwrap().len(), 256);
    service.stop().await;
}

#[tokio::test]
async fn each_record_names_the_trace_of_its_request() {
    let [nobody] = holdfast_testkit::free_ports();
    let settings = TelemetrySettings {
        log_format: LogFormat::Json,
        log_filter: "error".to_owned(),
        otlp_endpoint: Some(format!("http://127.0.0.1:{nobody}")),
        trace_sample_ratio: 1.0,
    };
    telemetry::init_once(&settings, "inference").unwrap();
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let trace = |index: u32| format!("{:032x}", 0xfeed_0000 + index);
    let items = (0..3).map(|index| Item {
        predict: Some(request(index)),
        traceparent: format!("00-{}-00000000000000aa-01", trace(index)),
    });
    let message = wire::PredictEachRequest { items: items.collect() };
    service.client.clone().predict_each(message).await.unwrap();
    service.flush().await.unwrap();
    let traces: BTreeSet<_> = sandbox
        .records()
        .await
        .into_iter()
        .map(|record| record.trace_id.unwrap())
        .collect();
    assert_eq!(traces, (0..3).map(trace).collect());
    service.stop().await;
}
