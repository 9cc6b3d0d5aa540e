//! Collections of what nothing refers to any more.

use axum::Json;
use axum::extract::State;

use super::App;
use super::body::OptionalBody;
use crate::ApiError;
use crate::service::retention::{self, Collection, CollectionRequest};

/// Looks for what nothing refers to any more, and removes it when `remove` is true.
///
/// Never a version, a champion or what one was made from, nor what a champion log, an approval, a decision of the gate, a rollout or the prediction log
/// names. Without `remove` nothing changes. One collection at a time.
#[utoipa::path(
    post, path = "/api/v1/retention/collections", tag = "status",
    request_body(content = Option<CollectionRequest>, description = "May be left out"),
    responses(
        (status = 200, body = Collection),
        (status = 409, description = "Another collection is at work", body = super::openapi::ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn collect(
    State(app): State<App>,
    OptionalBody(request): OptionalBody<CollectionRequest>,
) -> Result<Json<Collection>, ApiError> {
    Ok(Json(retention::collect(&app.peers, request).await?))
}
