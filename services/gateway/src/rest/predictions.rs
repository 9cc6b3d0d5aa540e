//! Predictions, explanations, the model in service, the prediction log.

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::body::{JsonBody, OfRecords, RecordsBody, media_type, read};
use super::context::RequestId;
use super::extract::Query;
use super::stream::{accepted, content_type};
use crate::ApiError;
use crate::service::predictions::{self, Explanation, ModelInService, Predictions};
use crate::service::records::{Record, Records, quick};
use crate::service::replica::{self, PredictionLog};
use crate::service::scoring::{Form, answers, table};

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

impl OfRecords for PredictionsWanted {
    fn quick(body: &[u8]) -> Option<Self> {
        quick::records(body).map(|records| Self {
            records,
            explain: false,
        })
    }
}

/// What can be asked beside the body.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ScoringQuery {
    /// Adds reasons to every prediction.
    #[serde(default)]
    #[param(required = false)]
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
///
/// The records may also come as CSV with a header, columns in any order; then `explain` is a parameter. `accept: text/csv` asks for the answer as CSV.
#[utoipa::path(
    post, path = "/api/v1/predictions", tag = "predictions", params(ScoringQuery),
    request_body(content((PredictionsWanted = "application/json"), (String = "text/csv"))),
    responses((status = 200, description = "One score for each record", content(
        (Predictions = "application/json"), (String = "text/csv"),
    )))
)]
pub(super) async fn predict(
    State(app): State<App>,
    Query(query): Query<ScoringQuery>,
    id: RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let form = accepted(request.headers(), Form::Ndjson);
    let wanted = if media_type(request.headers()).as_deref() == Some("text/csv") {
        let bytes = read(request, &app).await?;
        PredictionsWanted {
            records: table::records(&bytes, app.settings.stream.max_record_bytes)?,
            explain: false,
        }
    } else {
        RecordsBody::from_request(request, &app).await?.0
    };
    app.metrics.refused_records.inc_by(wanted.records.refused());
    let customers = wanted.records.customers(app.settings.max_batch_records)?;
    let explain = wanted.explain || query.explain;
    if form == Form::Csv {
        let keys: Vec<Option<i64>> = customers
            .iter()
            .map(|customer| customer.key().map(|key| key.0))
            .collect();
        let answer = predictions::predict(&app.peers, customers, id.as_str(), explain).await?;
        let kind = [(header::CONTENT_TYPE, content_type(form))];
        return Ok((kind, answers::as_csv(answer, &keys)).into_response());
    }
    let answer = predictions::predict(&app.peers, customers, id.as_str(), explain).await?;
    Ok(Json(answer).into_response())
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
    Ok(Json(predictions::explain(&app.peers, &customer).await?))
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
