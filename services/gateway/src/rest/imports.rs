//! Imports of versions that MLflow's client has registered.

use axum::Json;
use axum::extract::State;
use http::StatusCode;

use super::App;
use super::body::OptionalBody;
use super::extract::{Path, VersionPath};
use crate::ApiError;
use crate::service::imports::{self, Import, ImportWishes};

/// Asks for the import of a registered version: its model file becomes an artefact, is tested and judged by the gate.
///
/// Versions whose `MLmodel` has the flavor `xgboost` or `lightgbm` are asked for when they are registered; this asks for one that failed again, or with
/// other wishes. One at work or done is answered as it is. Pickles and what other libraries save are stored and never opened, and their import is
/// refused.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/import", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version"),
    ),
    request_body(content = Option<ImportWishes>, description = "May be left out"),
    responses(
        (status = 202, description = "Asked for, at work or done", body = Import),
        (status = 409, description = "There is nothing to import, or it is at work with other wishes: the detail says what to do",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn request(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
    OptionalBody(wishes): OptionalBody<ImportWishes>,
) -> Result<(StatusCode, Json<Import>), ApiError> {
    let import = imports::request(&app.peers, model, version, wishes).await?;
    Ok((StatusCode::ACCEPTED, Json(import)))
}

/// How the import of a registered version stands.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}/import", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version"),
    ),
    responses((status = 200, body = Import))
)]
pub(super) async fn get(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
) -> Result<Json<Import>, ApiError> {
    Ok(Json(imports::get(&app.peers, model, version).await?))
}
