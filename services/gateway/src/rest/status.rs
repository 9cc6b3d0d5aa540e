//! The state of the whole.

use axum::Json;
use axum::extract::State;

use super::App;
use crate::service::status::{self, Status};

/// The state of the whole: services, champion, replicas, prediction log, drift. Services that are away are a part of the answer.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = Status)))]
pub(super) async fn status(State(app): State<App>) -> Json<Status> {
    let peers = app.peers.hurried(app.settings.status_timeout());
    Json(status::status(&peers, app.settings.model.as_str().to_owned()).await)
}
