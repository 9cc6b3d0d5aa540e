//! The predecessor's API, so that its callers need not change: `/`, `/health`, `/predict`, `/predict_batch`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::handler::Handler as _;
use axum::response::{IntoResponse, Response};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use holdfast_chassis::Fault;
use holdfast_chassis::server::DirectAnswer;
use http::{HeaderValue, Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use tower::{Layer as _, Service as _};
use utoipa::ToSchema;

use super::App;
use super::body::{OfRecords, RecordsBody};
use super::context::{InContext, RequestId};
use crate::ApiError;
use crate::service::predictions::{self, ClassicPredictions};
use crate::service::records::{Record, Records, quick};
use crate::service::replica::{self, Health};

/// Room for an answer without its predictions.
const BYTES_OF_ANSWER: usize = 160;

/// Room for a prediction and its probability, each with the comma after it.
const BYTES_OF_PREDICTION: usize = 26;

/// What this is and where to go on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Index {
    /// The service's name.
    #[schema(example = "holdfast")]
    service: &'static str,
    /// Its version.
    version: &'static str,
    /// Where to go on.
    links: Links,
}

/// Paths worth knowing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Links {
    /// This description, readable.
    docs: &'static str,
    /// This description, for programs.
    openapi: &'static str,
    /// Whether predictions are answered.
    health: &'static str,
    /// The state of the whole.
    status: &'static str,
}

/// Records to be scored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// The customers; at least one.
    #[schema(value_type = Vec<Record>, min_items = 1)]
    records: Records,
}

impl OfRecords for Batch {
    fn quick(body: &[u8]) -> Option<Self> {
        quick::records(body).map(|records| Self { records })
    }
}

/// What this is and where to go on.
#[utoipa::path(get, path = "/", tag = "predecessor", responses((status = 200, body = Index)))]
pub(super) async fn index() -> Json<Index> {
    Json(Index {
        service: "holdfast",
        version: env!("CARGO_PKG_VERSION"),
        links: Links {
            docs: "/docs",
            openapi: "/openapi.json",
            health: "/health",
            status: "/api/v1/status",
        },
    })
}

/// Whether predictions are answered.
#[utoipa::path(
    get, path = "/health", tag = "predecessor",
    responses(
        (status = 200, description = "A model is loaded", body = Health),
        (status = 503, description = "No model, or inference is away", body = Health),
    )
)]
pub(super) async fn health(State(app): State<App>) -> Response {
    let health = replica::health(&app.peers.hurried(app.settings.health_timeout())).await;
    let status = if health.model_loaded {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(health)).into_response()
}

/// Scores one customer.
///
/// The body holds the customer's values by column name. Eight numbers are required; what else is known makes the score better.
#[utoipa::path(
    post, path = "/predict", tag = "predecessor", request_body = Record,
    responses((status = 200, body = ClassicPredictions))
)]
pub(super) async fn predict(
    State(app): State<App>,
    id: RequestId,
    RecordsBody(record): RecordsBody<Record>,
) -> Result<Response, ApiError> {
    let customer = record.customer().inspect_err(|_| {
        app.metrics.refused_records.inc();
    })?;
    let answer = predictions::classic(&app.peers, &customer, id.as_str(), app.clock.now()).await?;
    written(&answer)
}

/// [`predict`] without the router: predictions of one customer are what the gateway is asked for most.
pub(super) fn directly(app: App) -> (Method, &'static str, DirectAnswer) {
    let service = InContext.layer(predict.with_state(app));
    let answer = move |request: Request| -> BoxFuture<'static, Response> {
        let answer = service.clone().call(request);
        Box::pin(answer.map(|Ok(answer)| answer))
    };
    (Method::POST, "/predict", Arc::new(answer))
}

/// Scores many customers, all by one version of the model.
#[utoipa::path(
    post, path = "/predict_batch", tag = "predecessor", request_body = Batch,
    responses((status = 200, body = ClassicPredictions))
)]
pub(super) async fn predict_batch(
    State(app): State<App>,
    id: RequestId,
    RecordsBody(batch): RecordsBody<Batch>,
) -> Result<Response, ApiError> {
    app.metrics.refused_records.inc_by(batch.records.refused());
    let customers = batch.records.customers(app.settings.max_batch_records)?;
    let answer = predictions::classic_batch(&app.peers, customers, id.as_str(), app.clock.now()).await?;
    written(&answer)
}

/// The answer as [`Json`] writes it, into a list that need not grow.
fn written(answer: &ClassicPredictions) -> Result<Response, ApiError> {
    let mut json = Vec::with_capacity(BYTES_OF_ANSWER + BYTES_OF_PREDICTION * answer.num_samples);
    let written = serde_json::to_writer(&mut json, answer);
    written.map_err(|error| Fault::internal("ANSWER_UNWRITABLE", error.to_string()))?;
    let mut response = Response::new(json.into());
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
