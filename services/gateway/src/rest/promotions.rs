//! Promotions that wait for approvers.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::OptionalBody;
use super::extract::{Path, Query};
use crate::ApiError;
use crate::service::promotions::{self, Decision, PromotionRequest, PromotionRequests, Verdict};

/// Which promotions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// True: only those that wait.
    #[serde(default)]
    #[param(required = false)]
    waiting: bool,
}

/// The promotion that a path names.
#[derive(Debug, Deserialize)]
pub(super) struct PromotionPath {
    model: String,
    promotion: u64,
}

/// Promotions that were asked for where approvers are needed, newest first.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/promotions", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), Which),
    responses((status = 200, body = PromotionRequests))
)]
pub(super) async fn list(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(Which { waiting }): Query<Which>,
) -> Result<Json<PromotionRequests>, ApiError> {
    Ok(Json(promotions::list(&app.peers, model, waiting).await?))
}

/// Says yes to a promotion. The yes that completes it makes the version champion.
///
/// Nobody approves who started the run that made the version or asked for the promotion.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/promotions/{promotion}/approve", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"),
        ("promotion" = u64, Path, minimum = 1, description = "The promotion"),
    ),
    request_body(content = Option<Decision>, description = "May be left out"),
    responses(
        (status = 200, body = PromotionRequest),
        (status = 403, description = "This person started the run or asked for the promotion",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "It is decided, has expired or was overtaken, or this person has approved it before",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn approve(
    State(app): State<App>,
    Path(PromotionPath { model, promotion }): Path<PromotionPath>,
    OptionalBody(decision): OptionalBody<Decision>,
) -> Result<Json<PromotionRequest>, ApiError> {
    let decided = promotions::decide(&app.peers, model, promotion, Verdict::Approve, decision).await?;
    Ok(Json(decided))
}

/// Says no to a promotion, with a note that says why. It ends there.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/promotions/{promotion}/reject", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"),
        ("promotion" = u64, Path, minimum = 1, description = "The promotion"),
    ),
    request_body(content = Option<Decision>, description = "With a note"),
    responses(
        (status = 200, body = PromotionRequest),
        (status = 409, description = "It is decided, has expired or was overtaken",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reject(
    State(app): State<App>,
    Path(PromotionPath { model, promotion }): Path<PromotionPath>,
    OptionalBody(decision): OptionalBody<Decision>,
) -> Result<Json<PromotionRequest>, ApiError> {
    let decided = promotions::decide(&app.peers, model, promotion, Verdict::Reject, decision).await?;
    Ok(Json(decided))
}
