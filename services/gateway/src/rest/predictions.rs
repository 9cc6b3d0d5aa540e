//! Predictions, explanations, the model in service, the prediction log.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::body::JsonBody;
use super::context::RequestId;
use crate::ApiError;
use crate::service::predictions::{self, Explanation, ModelInService, Predictions};
use crate::service::records::{Record, Records};
use crate::service::replica::{self, PredictionLog};

/// Records to be scored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PredictionsWanted {
    /// The customers; at least one.
    #[schema(value_type = Vec<Record>, min_items = 1)]
    records: Records,
    /// Adds reasons to every prediction.
    #[serde(default)]
    explain: bool,
}

/// A record to be explained.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExplanationWanted {
    /// The customer.
    record: Record,
}

/// Scores customers, all by one version of the model, with everything known about each score.
#[utoipa::path(
    post, path = "/api/v1/predictions", tag = "predictions", request_body = PredictionsWanted,
    responses((status = 200, body = Predictions))
)]
pub(super) async fn predict(
    State(app): State<App>,
    id: RequestId,
    JsonBody(wanted): JsonBody<PredictionsWanted>,
) -> Result<Json<Predictions>, ApiError> {
    app.metrics.refused_records.inc_by(wanted.records.refused());
    let customers = wanted.records.customers(app.settings.max_batch_records)?;
    let answer = predictions::predict(&app.peers, customers, id.as_str(), wanted.explain).await?;
    Ok(Json(answer))
}

/// Says how much each feature moved one customer's score. Not recorded in the prediction log.
#[utoipa::path(
    post, path = "/api/v1/explanations", tag = "predictions", request_body = ExplanationWanted,
    responses((status = 200, body = Explanation))
)]
pub(super) async fn explain(
    State(app): State<App>,
    JsonBody(wanted): JsonBody<ExplanationWanted>,
) -> Result<Json<Explanation>, ApiError> {
    let customer = wanted.record.customer().inspect_err(|_| {
        app.metrics.refused_records.inc();
    })?;
    Ok(Json(predictions::explain(&app.peers, customer).await?))
}

/// The model that answers now.
#[utoipa::path(get, path = "/api/v1/model", tag = "predictions", responses((status = 200, body = ModelInService)))]
pub(super) async fn model(State(app): State<App>) -> Result<Json<ModelInService>, ApiError> {
    Ok(Json(predictions::model_in_service(&app.peers).await?))
}

/// Brings every prediction answered before this call into the blob store.
#[utoipa::path(post, path = "/api/v1/prediction-log/flush", tag = "predictions", responses((status = 200, body = PredictionLog)))]
pub(super) async fn flush(State(app): State<App>) -> Result<Json<PredictionLog>, ApiError> {
    Ok(Json(replica::flush(&app.peers).await?))
}
