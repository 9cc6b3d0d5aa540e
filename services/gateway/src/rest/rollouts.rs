//! Versions on trial beside the champion.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::JsonBody;
use super::extract::{Path, Query};
use crate::ApiError;
use crate::service::rollouts::{self, Rollout, RolloutHistory, RolloutStart, RolloutStatus};

/// Which rollout is ended, by whom and why.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct End {
    /// The rollout the caller means; 409 when another runs. Whichever runs when absent.
    revision: Option<u64>,
    /// A note in words.
    note: Option<String>,
    /// Who does it, for the record.
    actor: Option<String>,
}

/// The version on trial, or the last one that was, with what every replica saw of it.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/rollout", tag = "models",
    params(("model" = String, Path, description = "The model")),
    responses((status = 200, body = RolloutStatus))
)]
pub(super) async fn get(State(app): State<App>, Path(model): Path<String>) -> Result<Json<RolloutStatus>, ApiError> {
    Ok(Json(rollouts::newest(&app.peers, model).await?))
}

/// Puts a version on trial beside the champion: as a shadow, or as a canary, which needs an accepting decision of the gate, or `override` and a note.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/rollout", tag = "models",
    params(("model" = String, Path, description = "The model")),
    request_body = RolloutStart,
    responses(
        (status = 200, body = Rollout),
        (status = 409, description = "Another version is on trial, or this one cannot be",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start(
    State(app): State<App>,
    Path(model): Path<String>,
    JsonBody(wanted): JsonBody<RolloutStart>,
) -> Result<Json<Rollout>, ApiError> {
    Ok(Json(rollouts::start(&app.peers, model, wanted).await?))
}

/// Takes the version off trial; the champion answers everything again.
#[utoipa::path(
    delete, path = "/api/v1/models/{model}/rollout", tag = "models",
    params(("model" = String, Path, description = "The model"), End),
    responses(
        (status = 200, body = Rollout),
        (status = 409, description = "No version is on trial, or another rollout runs",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(End { revision, note, actor }): Query<End>,
) -> Result<Json<Rollout>, ApiError> {
    Ok(Json(rollouts::end(&app.peers, model, revision, (actor, note)).await?))
}

/// All trials of a model's versions, oldest first, with the verdict on the record's hash chain.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/rollouts", tag = "models",
    params(("model" = String, Path, description = "The model")),
    responses((status = 200, body = RolloutHistory))
)]
pub(super) async fn history(
    State(app): State<App>,
    Path(model): Path<String>,
) -> Result<Json<RolloutHistory>, ApiError> {
    Ok(Json(rollouts::history(&app.peers, model).await?))
}
