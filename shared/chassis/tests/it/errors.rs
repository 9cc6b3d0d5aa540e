//! Failures on gRPC and on HTTP.

use std::time::Duration;

use axum::response::IntoResponse;
use holdfast_chassis::error::Problem;
use holdfast_chassis::{Code, Fault, FieldViolation};
use tonic::Status;

fn elaborate() -> Fault {
    Fault::invalid_fields(
        "BAD_RECORD",
        vec![
            FieldViolation::new("records[3].Credit_Limit", "below_minimum", "must be at least 0"),
            FieldViolation::new("records[4].Gender", "unknown_category", "is not one of M, F"),
        ],
    )
    .with("row", 3)
    .retry_after(Duration::from_millis(1500))
}

#[test]
fn a_fault_survives_the_way_to_a_status_and_back() {
    let plain = Fault::new(Code::Aborted, "CHAMPION_MOVED", "generation 4 won").with("generation", 4);
    for fault in [elaborate(), plain] {
        let status = Status::from(fault.clone());
        assert_eq!(status.code(), fault.code.grpc());
        assert_eq!(Fault::from_status(&status), fault);
    }
}

#[test]
fn a_status_without_details_is_a_fault_named_by_its_code() {
    let fault = Fault::from_status(&Status::not_found("gone"));
    assert_eq!(fault, Fault::not_found("NOT_FOUND", "gone"));
}

#[test]
fn bad_fields_are_422_and_a_bad_request_is_400() {
    assert_eq!(elaborate().http_status(), 422);
    assert_eq!(
        Fault::new(Code::InvalidArgument, "NOT_JSON", "not JSON").http_status(),
        400
    );
}

#[tokio::test]
async fn a_fault_renders_as_a_problem_document() {
    let response = elaborate().problem(Some("/predict")).into_response();
    assert_eq!(response.status(), 422);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["retry-after"], "2");
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let expected = serde_json::json!({
        "type": "urn:holdfast:problem:bad-record",
        "title": "Invalid request",
        "status": 422,
        "detail": "2 fields are wrong",
        "instance": "/predict",
        "code": "INVALID_ARGUMENT",
        "reason": "BAD_RECORD",
        "errors": [
            {"field": "records[3].Credit_Limit", "rule": "below_minimum", "detail": "must be at least 0"},
            {"field": "records[4].Gender", "rule": "unknown_category", "detail": "is not one of M, F"},
        ],
        "metadata": {"row": "3"},
        "retry_after_seconds": 2,
    });
    assert_eq!(problem, expected);
    let read_back: Problem = serde_json::from_value(problem).unwrap();
    assert_eq!(read_back, elaborate().problem(Some("/predict")));
}
