//! The Open Inference Protocol v2 (`/v2`), with its binary tensor extension and the index of the model repository. Failures have the protocol's form.

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Deserialize;
use utoipa::ToSchema;

use super::App;
use super::body::{OptionalBody, is_json, media_type, parse, read};
use super::context::RequestId;
use super::extract::Path;
use crate::ApiError;
use crate::service::open_inference::{
    self, Answered, Asked, IndexedVersion, InferenceRequest, InferenceResponse, ModelMetadata, ModelReady, ServerLive,
    ServerMetadata, ServerReady,
};

/// Length of the JSON before the bytes of tensors, in requests and answers.
const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Whether a path belongs to the protocol.
pub(super) fn speaks(path: &str) -> bool {
    path.strip_prefix("/v2")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The version that a path names.
#[derive(Debug, Deserialize)]
pub(super) struct ModelVersion {
    model: String,
    version: String,
}

/// Which versions the index is to list.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexWanted {
    /// Only versions that are ready.
    #[serde(default)]
    ready: bool,
}

/// The body of a request for inference.
pub(super) struct InferenceBody {
    request: InferenceRequest,
    /// What stands behind the JSON.
    binary: Bytes,
}

impl FromRequest<App> for InferenceBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        // tritonclient names no type at all.
        let named = media_type(request.headers());
        if named.is_some_and(|kind| kind != "application/octet-stream") && !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type(
                "application/json or application/octet-stream",
            ));
        }
        let json_length = json_length(request.headers())?;
        let mut json = read(request, app).await?;
        let binary = match json_length {
            Some(length) if length > json.len() => {
                let detail = format!("is {length}, and the body has {} bytes", json.len());
                return Err(ApiError::field(JSON_LENGTH.as_str(), "cut_off", detail));
            }
            Some(length) => json.split_off(length),
            None => Bytes::new(),
        };
        Ok(Self {
            request: parse(&json)?,
            binary,
        })
    }
}

fn json_length(headers: &HeaderMap) -> Result<Option<usize>, ApiError> {
    let Some(value) = headers.get(&JSON_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    let wrong = || ApiError::field(JSON_LENGTH.as_str(), "invalid", "is no number of bytes");
    length.map(Some).ok_or_else(wrong)
}

/// What this server is.
#[utoipa::path(get, path = "/v2", tag = "open inference", responses((status = 200, body = ServerMetadata)))]
pub(super) async fn server() -> Json<ServerMetadata> {
    Json(open_inference::server())
}

/// Whether the server is alive.
#[utoipa::path(get, path = "/v2/health/live", tag = "open inference", responses((status = 200, body = ServerLive)))]
pub(super) async fn live() -> Json<ServerLive> {
    Json(ServerLive { live: true })
}

/// Whether the server can infer.
#[utoipa::path(
    get, path = "/v2/health/ready", tag = "open inference",
    responses(
        (status = 200, description = "A model is in service", body = ServerReady),
        (status = 400, description = "None is, or inference is away", body = ServerReady),
    )
)]
pub(super) async fn ready(State(app): State<App>) -> Response {
    let answer = open_inference::server_ready(&app.peers.hurried(app.settings.health_timeout())).await;
    (ready_status(answer.ready), Json(answer)).into_response()
}

/// The protocol has 200 for yes and a status of the four hundreds for no.
fn ready_status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::BAD_REQUEST }
}

/// Whether a model can infer.
#[utoipa::path(
    get, path = "/v2/models/{model}/ready", tag = "open inference",
    params(("model" = String, Path, description = "The model")),
    responses(
        (status = 200, description = "It is in service", body = ModelReady),
        (status = 400, description = "It is not, or inference is away", body = ModelReady),
    )
)]
pub(super) async fn model_ready(State(app): State<App>, Path(model): Path<String>) -> Response {
    readiness(&app, model, String::new()).await
}

/// Whether a version of a model can infer.
#[utoipa::path(
    get, path = "/v2/models/{model}/versions/{version}/ready", tag = "open inference",
    params(("model" = String, Path, description = "The model"), ("version" = String, Path, description = "The version")),
    responses(
        (status = 200, description = "It is in service", body = ModelReady),
        (status = 400, description = "It is not, or inference is away", body = ModelReady),
    )
)]
pub(super) async fn version_ready(State(app): State<App>, Path(path): Path<ModelVersion>) -> Response {
    readiness(&app, path.model, path.version).await
}

async fn readiness(app: &App, model: String, version: String) -> Response {
    let peers = app.peers.hurried(app.settings.health_timeout());
    let answer = open_inference::model_ready(&peers, model, version).await;
    (ready_status(answer.ready), Json(answer)).into_response()
}

/// What a model takes and gives.
#[utoipa::path(
    get, path = "/v2/models/{model}", tag = "open inference",
    params(("model" = String, Path, description = "The model")),
    responses((status = 200, body = ModelMetadata))
)]
pub(super) async fn model(State(app): State<App>, Path(model): Path<String>) -> Result<Json<ModelMetadata>, ApiError> {
    Ok(Json(open_inference::model(&app.peers, model, String::new()).await?))
}

/// What a version of a model takes and gives.
#[utoipa::path(
    get, path = "/v2/models/{model}/versions/{version}", tag = "open inference",
    params(("model" = String, Path, description = "The model"), ("version" = String, Path, description = "The version")),
    responses((status = 200, body = ModelMetadata))
)]
pub(super) async fn version(
    State(app): State<App>,
    Path(path): Path<ModelVersion>,
) -> Result<Json<ModelMetadata>, ApiError> {
    Ok(Json(open_inference::model(&app.peers, path.model, path.version).await?))
}

/// Infers with the champion.
///
/// One input for each feature by its column name; those that are not required may be left out, and null, NaN and empty texts are missing values. With
/// the binary tensor extension the values of inputs and outputs stand behind the JSON, whose length the header `inference-header-content-length` tells.
#[utoipa::path(
    post, path = "/v2/models/{model}/infer", tag = "open inference",
    params(
        ("model" = String, Path, description = "The model"),
        ("inference-header-content-length" = Option<u64>, Header, description = "Length of the JSON when values stand behind it, in bytes"),
    ),
    request_body(content((InferenceRequest = "application/json"), (String = "application/octet-stream"))),
    responses((status = 200, content((InferenceResponse = "application/json"), (String = "application/octet-stream"))))
)]
pub(super) async fn infer(
    State(app): State<App>,
    id: RequestId,
    Path(model): Path<String>,
    body: InferenceBody,
) -> Result<Response, ApiError> {
    let path = ModelVersion {
        model,
        version: String::new(),
    };
    inferred(&app, &id, path, body).await
}

/// Infers with a version, which must be the one in service.
///
/// As the path without a version.
#[utoipa::path(
    post, path = "/v2/models/{model}/versions/{version}/infer", tag = "open inference",
    params(
        ("model" = String, Path, description = "The model"),
        ("version" = String, Path, description = "The version"),
        ("inference-header-content-length" = Option<u64>, Header, description = "Length of the JSON when values stand behind it, in bytes"),
    ),
    request_body(content((InferenceRequest = "application/json"), (String = "application/octet-stream"))),
    responses((status = 200, content((InferenceResponse = "application/json"), (String = "application/octet-stream"))))
)]
pub(super) async fn infer_version(
    State(app): State<App>,
    id: RequestId,
    Path(path): Path<ModelVersion>,
    body: InferenceBody,
) -> Result<Response, ApiError> {
    inferred(&app, &id, path, body).await
}

async fn inferred(app: &App, id: &RequestId, path: ModelVersion, body: InferenceBody) -> Result<Response, ApiError> {
    let asked = Asked {
        model: path.model,
        version: path.version,
        request_id: id.as_str().to_owned(),
    };
    let Answered { response, binary } = open_inference::infer(&app.peers, asked, body.request, &body.binary).await?;
    let Some(binary) = binary else {
        return Ok(Json(response).into_response());
    };
    // A tree of plain data: writing it cannot fail.
    let mut answer = serde_json::to_vec(&response).unwrap_or_default();
    let length = HeaderValue::from(answer.len());
    answer.extend(binary);
    Ok(([(JSON_LENGTH, length), (header::CONTENT_TYPE, BINARY)], answer).into_response())
}

/// The versions that are here: the one in service, and a later champion that could not be loaded.
#[utoipa::path(
    post, path = "/v2/repository/index", tag = "open inference",
    request_body(content = Option<IndexWanted>, description = "May be left out"),
    responses((status = 200, body = Vec<IndexedVersion>))
)]
pub(super) async fn index(
    State(app): State<App>,
    OptionalBody(wanted): OptionalBody<IndexWanted>,
) -> Result<Json<Vec<IndexedVersion>>, ApiError> {
    Ok(Json(open_inference::index(&app.peers, wanted.ready).await?))
}
