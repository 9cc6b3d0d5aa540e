//! Models, versions, the champion log.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::OptionalBody;
use super::extract::{Page, Path, Query, VersionPath};
use crate::ApiError;
use crate::service::models::{
    self, ChampionEntry, ChampionLog, ModelVersion, ModelVersions, Models, Promoted, Promotion, Replicas, Rollback,
};
use crate::service::promotions::PromotionRequest;

/// When.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct At {
    /// The champion at this time; now when absent.
    at: Option<Timestamp>,
}

/// All models.
#[utoipa::path(get, path = "/api/v1/models", tag = "models", responses((status = 200, body = Models)))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Models>, ApiError> {
    Ok(Json(models::list(&app.peers).await?))
}

/// A model's versions, newest first.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), Page),
    responses((status = 200, body = ModelVersions))
)]
pub(super) async fn versions(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(page): Query<Page>,
) -> Result<Json<ModelVersions>, ApiError> {
    Ok(Json(
        models::versions(&app.peers, model, page.page_size, page.page_token).await?,
    ))
}

/// One version, with every decision of the gate about it.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version")),
    responses((status = 200, body = ModelVersion))
)]
pub(super) async fn version(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
) -> Result<Json<ModelVersion>, ApiError> {
    Ok(Json(models::version(&app.peers, model, version).await?))
}

/// Makes a version champion. It needs an accepting decision of the gate, or `override` and a note.
///
/// Where the model's setting wants approvers, the answer is 202 with the promotion that waits for them.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/promote", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version")),
    request_body(content = Option<Promotion>, description = "May be left out"),
    responses(
        (status = 200, body = ChampionEntry),
        (status = 202, description = "Approvers have to agree first", body = PromotionRequest),
        (status = 409, description = "Another writer was first, or the gate has not accepted it",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn promote(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
    OptionalBody(wanted): OptionalBody<Promotion>,
) -> Result<Response, ApiError> {
    Ok(match models::promote(&app.peers, model, version, wanted).await? {
        Promoted::Made(entry) => Json(entry).into_response(),
        Promoted::Waiting(promotion) => (StatusCode::ACCEPTED, Json(promotion)).into_response(),
    })
}

/// Makes an earlier champion champion again. It moves the log forward, and never waits for approvers.
///
/// A version that a replica could not load when it tried last, or that none has served and whose golden rows do not score as
/// recorded, is refused unless `override_load` and a note say otherwise.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/rollback", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model")),
    request_body(content = Option<Rollback>, description = "May be left out: the champion before this one"),
    responses(
        (status = 200, body = ChampionEntry),
        (status = 409, description = "Another writer was first, there is nothing to go back to, or the version is not proven to load",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rollback(
    State(app): State<App>,
    Path(model): Path<String>,
    OptionalBody(wanted): OptionalBody<Rollback>,
) -> Result<Json<ChampionEntry>, ApiError> {
    Ok(Json(models::rollback(&app.peers, model, wanted).await?))
}

/// The champion now, or at a time.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/champion", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), At),
    responses((status = 200, body = ChampionEntry))
)]
pub(super) async fn champion(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(At { at }): Query<At>,
) -> Result<Json<ChampionEntry>, ApiError> {
    Ok(Json(models::champion(&app.peers, model, at).await?))
}

/// The whole champion log, oldest first, with the verdict on its hash chain.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/champions", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model")),
    responses((status = 200, body = ChampionLog))
)]
pub(super) async fn champions(
    State(app): State<App>,
    Path(model): Path<String>,
) -> Result<Json<ChampionLog>, ApiError> {
    Ok(Json(models::champions(&app.peers, model).await?))
}

/// What the replicas of inference said last: what they serve, what they prepare, what they could not load, and who is silent.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/replicas", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model")),
    responses((status = 200, body = Replicas))
)]
pub(super) async fn replicas(State(app): State<App>, Path(model): Path<String>) -> Result<Json<Replicas>, ApiError> {
    let replicas = models::replicas(&app.peers, model).await?;
    Ok(Json(Replicas { replicas }))
}
