//! Training runs: start, look up, follow, cancel.

use std::convert::Infallible;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures::{Stream, StreamExt as _};
use holdfast_chassis::Fault;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::JsonBody;
use super::extract::{IdempotencyKey, Path, Query};
use super::follow::{self, event};
use crate::ApiError;
use crate::service::runs::{self, Run, RunNews, Runs, StartRun, StartedRun};

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Selection {
    /// Of this model; of all when absent.
    #[serde(default)]
    #[param(required = false)]
    model: String,
    /// At most this many, 1 to 1,000; 100 when absent.
    #[serde(default)]
    #[param(required = false, maximum = 1000)]
    page_size: u32,
    /// `next_page_token` of the page before.
    #[serde(default)]
    #[param(required = false)]
    page_token: String,
}

/// Starts a training run and answers at once; follow it at its events.
#[utoipa::path(
    post, path = "/api/v1/runs", tag = "training", request_body = StartRun,
    params(("idempotency-key" = Option<String>, Header, max_length = 128, pattern = "^[!-~]+$", description = "The same key again answers the run that it started first")),
    responses(
        (status = 202, description = "Started", body = StartedRun, headers(("location" = String, description = "The run"))),
        (status = 409, description = "Another run of the model is at work", body = super::openapi::ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn start(
    State(app): State<App>,
    IdempotencyKey(key): IdempotencyKey,
    JsonBody(wanted): JsonBody<StartRun>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<StartedRun>), ApiError> {
    let model = wanted
        .model
        .clone()
        .unwrap_or_else(|| app.settings.model.as_str().to_owned());
    let started = runs::start(&app.peers, model, wanted, key).await?;
    let location = [(header::LOCATION, format!("/api/v1/runs/{}", started.run_id))];
    Ok((StatusCode::ACCEPTED, location, Json(started)))
}

/// Runs, newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "training", params(Selection), responses((status = 200, body = Runs)))]
pub(super) async fn list(State(app): State<App>, Query(wanted): Query<Selection>) -> Result<Json<Runs>, ApiError> {
    Ok(Json(
        runs::list(&app.peers, wanted.model, wanted.page_size, wanted.page_token).await?,
    ))
}

/// One run with its steps and result.
#[utoipa::path(
    get, path = "/api/v1/runs/{run_id}", tag = "training", params(("run_id" = String, Path, description = "The run")),
    responses((status = 200, body = Run))
)]
pub(super) async fn get(State(app): State<App>, Path(run_id): Path<String>) -> Result<Json<Run>, ApiError> {
    Ok(Json(runs::get(&app.peers, run_id).await?))
}

/// Ends a run at the next point where that is safe.
#[utoipa::path(
    post, path = "/api/v1/runs/{run_id}/cancel", tag = "training", params(("run_id" = String, Path, description = "The run")),
    responses((status = 200, body = Run))
)]
pub(super) async fn cancel(State(app): State<App>, Path(run_id): Path<String>) -> Result<Json<Run>, ApiError> {
    Ok(Json(runs::cancel(&app.peers, run_id).await?))
}

/// Follows a run: everything so far, then live, to its end.
///
/// Server-sent events: `progress` with a `RunEvent` and its sequence number as id, at the end `done` with the `Run`; `error` with a problem document when
/// the log cannot be followed any further. A client that comes back with `last-event-id` gets only what it has not seen.
#[utoipa::path(
    get, path = "/api/v1/runs/{run_id}/events", tag = "training",
    params(
        ("run_id" = String, Path, description = "The run"),
        ("last-event-id" = Option<u64>, Header, description = "Only events after this one"),
    ),
    responses((status = 200, description = "The run's log", body = super::openapi::ServerSentEvent,
        content_type = "text/event-stream"))
)]
pub(super) async fn events(
    State(app): State<App>,
    Path(run_id): Path<String>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let after = match headers.get("last-event-id") {
        None => 0,
        Some(id) => {
            let sequence = id.to_str().ok().and_then(|id| id.parse().ok());
            // As the description says: 63 bits.
            let sequence = sequence.filter(|sequence| i64::try_from(*sequence).is_ok());
            sequence
                .ok_or_else(|| ApiError::field("last-event-id", "invalid", "last-event-id must be a whole number"))?
        }
    };
    let news = runs::follow(&app.peers, run_id, after).await?;
    Ok(follow::respond(&app, news.map(of_run)))
}

fn of_run(news: Result<RunNews, Fault>) -> Event {
    match news {
        Ok(RunNews::Progress(line)) => event("progress", &line).id(line.sequence.to_string()),
        Ok(RunNews::Done(run)) => event("done", &run),
        Err(fault) => follow::failed(fault),
    }
}
