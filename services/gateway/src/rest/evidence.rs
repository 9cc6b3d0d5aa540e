//! What is on record of a version: card, files of the evaluation, reproduction.

use std::convert::Infallible;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use holdfast_chassis::Fault;
use http::{HeaderValue, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::OptionalBody;
use super::extract::{Path, Query, VersionPath};
use super::follow::{self, event};
use crate::ApiError;
use crate::service::evidence::{self, CardFormat, Document, EvaluationFiles, Reproduce, ReproductionNews};

/// What a browser may do with a page or picture of ours: show it, and nothing else.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox");

/// How a card is written.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Format {
    /// `markdown` when absent.
    #[param(inline)]
    format: Option<CardFormat>,
}

/// Which file of a version.
#[derive(Debug, Deserialize)]
pub(super) struct File {
    model: String,
    version: u32,
    file: String,
}

/// The model card of a version, made from the record: purpose, data, quality, calibration, groups, limits, how to make it again.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}/card", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version"), Format,
    ),
    responses((status = 200, description = "The card", content(
        (String = "text/markdown"), (String = "text/html"), (serde_json::Value = "application/json"),
    )))
)]
pub(super) async fn card(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
    Query(Format { format }): Query<Format>,
) -> Result<Response, ApiError> {
    let card = evidence::card(&app.peers, model, version, format.unwrap_or_default()).await?;
    Ok(shown(card))
}

/// The files that a version's evaluation left: figures, curves, plots.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}/evaluation", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version")),
    responses((status = 200, body = EvaluationFiles))
)]
pub(super) async fn files(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
) -> Result<Json<EvaluationFiles>, ApiError> {
    Ok(Json(evidence::files(&app.peers, model, version).await?))
}

/// One of these files.
#[utoipa::path(
    get, path = "/api/v1/models/{model}/versions/{version}/evaluation/{file}", tag = "models",
    params(
        ("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version"),
        ("file" = String, Path, description = "Its name, for example reliability.svg"),
    ),
    responses((status = 200, description = "The file", content((String = "image/svg+xml"), (serde_json::Value = "application/json"))))
)]
pub(super) async fn file(
    State(app): State<App>,
    Path(File { model, version, file }): Path<File>,
) -> Result<Response, ApiError> {
    let file = evidence::file(&app.peers, model, version, file).await?;
    Ok(shown(file))
}

/// Makes a version again from its snapshots, parameters and seed, and compares the bytes. It changes nothing.
///
/// Server-sent events: `progress` with a `ReproductionProgress`, at the end `done` with the `Reproduction`, which says whether every byte is the same, and
/// where not; `error` with a problem document when it cannot be brought to an end. The work is given up when the caller goes away.
#[utoipa::path(
    post, path = "/api/v1/models/{model}/versions/{version}/reproduce", tag = "models",
    params(("model" = String, Path, pattern = "^[a-z0-9][a-z0-9_-]{0,63}$", description = "The model"), ("version" = u32, Path, minimum = 1, description = "The version")),
    request_body(content = Option<Reproduce>, description = "May be left out"),
    responses(
        (status = 200, description = "How far it is, then the verdict", content_type = "text/event-stream",
            body = super::openapi::ServerSentEvent),
        (status = 409, description = "The version cannot be made again: its ingredients are not on record",
            body = super::openapi::ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Another version is being made again", body = super::openapi::ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
pub(super) async fn reproduce(
    State(app): State<App>,
    Path(VersionPath { model, version }): Path<VersionPath>,
    OptionalBody(wanted): OptionalBody<Reproduce>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let news = evidence::reproduce(&app.peers, model, version, wanted).await?;
    Ok(follow::respond(&app, news.map(of_reproduction)))
}

fn of_reproduction(news: Result<ReproductionNews, Fault>) -> Event {
    match news {
        Ok(ReproductionNews::Progress(progress)) => event("progress", &progress),
        Ok(ReproductionNews::Done(verdict)) => event("done", &verdict),
        Err(fault) => follow::failed(fault),
    }
}

/// A text or picture for a person, and nothing that can run: pictures come out of the blob store.
fn shown(document: Document) -> Response {
    let mut response = Body::from(document.content).into_response();
    let kind = match document.content_type {
        text if text.starts_with("text/") => format!("{text}; charset=utf-8"),
        other => other,
    };
    let kind = HeaderValue::from_str(&kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
