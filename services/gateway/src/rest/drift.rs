//! Outcomes, drift checks and reports, retraining.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::{JsonBody, OptionalBody};
use super::extract::{IdempotencyKey, Path, Query};
use crate::ApiError;
use crate::service::drift::{self, DriftCheck, DriftChecked, DriftReport, DriftReports, Retraining};
use crate::service::outcomes::{self, Outcomes, RecordedOutcomes};

/// Which reports.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Selection {
    /// Of this model; the gateway's when absent.
    #[param(pattern = "^([a-z0-9][a-z0-9_-]{0,63})?$")]
    model: Option<String>,
    /// At most this many, 1 to 1,000; 20 when absent.
    #[serde(default)]
    #[param(required = false, maximum = 1000)]
    page_size: u32,
}

/// Stores what predicted customers did in the end; all or none.
#[utoipa::path(
    post, path = "/api/v1/outcomes", tag = "monitoring", request_body = Outcomes,
    params(("idempotency-key" = Option<String>, Header, max_length = 128, pattern = "^[!-~]+$", description = "The same key again stores nothing twice")),
    responses((status = 200, body = RecordedOutcomes))
)]
pub(super) async fn record_outcomes(
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(wanted): JsonBody<Outcomes>,
) -> Result<Json<RecordedOutcomes>, ApiError> {
    Ok(Json(outcomes::record(&app.peers, wanted, key, app.clock.now()).await?))
}

/// Compares a window of the predictions with what the champion was trained on, and stores the report.
#[utoipa::path(
    post, path = "/api/v1/drift/checks", tag = "monitoring",
    request_body(content = Option<DriftCheck>, description = "May be left out"),
    responses(
        (status = 200, body = DriftChecked),
        (status = 409, description = "Too few predictions for a verdict, or no champion to compare with", body = super::openapi::ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn check(
    State(app): State<App>,
    OptionalBody(wanted): OptionalBody<DriftCheck>,
) -> Result<Json<DriftChecked>, ApiError> {
    let model = wanted
        .model
        .clone()
        .unwrap_or_else(|| app.settings.model.as_str().to_owned());
    let checked = drift::check(&app.peers, model, wanted).await;
    Ok(Json(checked.map_err(ApiError::verbatim)?))
}

/// Stored reports, newest first.
#[utoipa::path(
    get, path = "/api/v1/drift/reports", tag = "monitoring", params(Selection),
    responses((status = 200, body = DriftReports))
)]
pub(super) async fn list(
    State(app): State<App>,
    Query(wanted): Query<Selection>,
) -> Result<Json<DriftReports>, ApiError> {
    let model = wanted.model.unwrap_or_else(|| app.settings.model.as_str().to_owned());
    Ok(Json(drift::reports(&app.peers, model, wanted.page_size).await?))
}

/// One report.
#[utoipa::path(
    get, path = "/api/v1/drift/reports/{report_id}", tag = "monitoring",
    params(("report_id" = String, Path, description = "The report")),
    responses((status = 200, body = DriftReport))
)]
pub(super) async fn get(State(app): State<App>, Path(report_id): Path<String>) -> Result<Json<DriftReport>, ApiError> {
    Ok(Json(drift::report(&app.peers, report_id).await?))
}

/// Asks for a training run with the labelled rows of the report's window.
#[utoipa::path(
    post, path = "/api/v1/drift/reports/{report_id}/retrain", tag = "monitoring",
    params(("report_id" = String, Path, description = "The report")),
    responses(
        (status = 202, description = "Started", body = Retraining),
        (status = 409, description = "Too few outcomes are known, or another run is at work",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn retrain(
    State(app): State<App>,
    Path(report_id): Path<String>,
) -> Result<(StatusCode, Json<Retraining>), ApiError> {
    Ok((StatusCode::ACCEPTED, Json(drift::retrain(&app.peers, report_id).await?)))
}
