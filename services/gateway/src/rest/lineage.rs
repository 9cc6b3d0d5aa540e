//! What came from what.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::extract::Query;
use crate::ApiError;
use crate::service::lineage::{self, Lineage};

/// Names a thing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// A digest, a run's id, `model/version`, `model@generation`, a model (its champion), the key of a segment of the
    /// prediction log, or the id of a request.
    #[param(min_length = 1, pattern = r"\S")]
    thing: String,
    /// Model for a version or `@generation` that is named without one.
    #[param(required = false, nullable = false, pattern = "^([a-z0-9][a-z0-9_-]{0,63})?$")]
    model: Option<String>,
}

/// Everything that a thing came from and everything that came from it.
#[utoipa::path(
    get, path = "/api/v1/lineage", tag = "models", params(Which),
    responses((status = 200, body = Lineage))
)]
pub(super) async fn get(
    State(app): State<App>,
    Query(Which { thing, model }): Query<Which>,
) -> Result<Json<Lineage>, ApiError> {
    Ok(Json(lineage::of(&app.peers, thing, model).await?))
}
