//! Large batches as a stream: records come as lines, answers go as lines, both at once.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tracing::Instrument as _;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::body::{announced, media_type};
use super::context::RequestId;
use super::extract::Query;
use super::follow::Following;
use crate::ApiError;
use crate::service::records::Record;
use crate::service::scoring::answers::{StreamedError, StreamedPrediction};
use crate::service::scoring::stream::{self as scoring, LONGEST_ID, Limits, Scorer, Upload, Wanted};
use crate::service::scoring::{Form, stream::OnError};

/// The media types of NDJSON in use.
const NDJSON: [&str; 4] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];

/// How a stream is answered.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Adds reasons to every score.
    #[serde(default)]
    #[param(required = false)]
    explain: bool,
    /// What happens after a bad record: `continue` when absent.
    #[serde(default)]
    #[param(required = false, inline)]
    on_error: AfterError,
}

/// What happens after a bad record.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum AfterError {
    /// It is answered with what is wrong, and the rest goes on.
    #[default]
    Continue,
    /// It is answered with what is wrong, and the stream ends.
    Stop,
}

/// A line of the answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it only describes: lines are written one by one")]
pub(super) enum StreamedLine<'a> {
    Prediction(StreamedPrediction<'a>),
    Error(StreamedError),
}

/// Scores customers as they arrive, in memory that does not grow with their number.
///
/// The body is one record a line: NDJSON, or CSV with a header and columns in any order. Each record is answered by one line, in order, while the rest
/// still comes: a score, or what is wrong with the record. `accept: text/csv` asks for CSV. Every score names the version of the model that gave it; a
/// new champion takes over between two records. The upload is read as fast as the answers are: read while you write. When the service fails or the
/// upload breaks off or pauses for too long, a last line says so, with the line where to go on.
#[utoipa::path(
    post, path = "/api/v1/predictions/stream", tag = "predictions", params(StreamQuery),
    request_body(content((Record = "application/x-ndjson"), (String = "text/csv")), description = "One record a line"),
    responses((status = 200, description = "One line for each record", content(
        (StreamedLine<'static> = "application/x-ndjson"), (String = "text/csv"),
    )))
)]
pub(super) async fn predict(
    State(app): State<App>,
    Query(query): Query<StreamQuery>,
    id: RequestId,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let kind = media_type(&headers).unwrap_or_default();
    let form = match &*kind {
        "text/csv" => Form::Csv,
        kind if NDJSON.contains(&kind) => Form::Ndjson,
        _ => return Err(ApiError::unsupported_media_type("application/x-ndjson or text/csv")),
    };
    let max_bytes = app.settings.max_upload_bytes;
    if announced(&headers).is_some_and(|length| length > max_bytes) {
        return Err(ApiError::too_large(max_bytes));
    }
    let place = app.streams.clone().try_acquire_owned();
    let place = place.map_err(|_| ApiError::too_many_streams(app.settings.stream.max_streams))?;
    let wanted = Wanted {
        answers: accepted(&headers, Form::Ndjson),
        explain: query.explain,
        on_error: match query.on_error {
            AfterError::Continue => OnError::Continue,
            AfterError::Stop => OnError::Stop,
        },
        request_id: id_of(&id),
        limits: Limits {
            chunk_records: app.settings.stream.chunk_records.min(app.settings.max_batch_records),
            max_record_bytes: app.settings.stream.max_record_bytes,
            max_bytes,
            idle: app.settings.stream.idle_timeout(),
        },
    };
    // Nobody to score anything: said at once and in the usual form.
    app.peers
        .get_model(holdfast_api::inference::v1::GetModelRequest {})
        .await?;
    let mut upload = Upload::new(body.into_data_stream(), form, &wanted, app.shutdown.clone());
    upload.header().await?;
    let scorer = Scorer {
        peers: app.peers.clone(),
        retry: app.stream_retry.clone(),
        refused: app.metrics.refused_records.clone(),
        scored: app.metrics.streamed_records.clone(),
    };
    let kind = content_type(wanted.answers);
    let answers = scoring::answers(upload, wanted, scorer);
    let body = forwarded(&app, Box::pin(answers), place);
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(body)).into_response())
}

/// The answers, made by a task of their own: it ends the work when nobody reads them any more, or not for as long as an upload may pause.
fn forwarded<S>(
    app: &App,
    mut answers: S,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Bytes, Unread>> + Send + use<S>
where
    S: Stream<Item = Bytes> + Send + Unpin + 'static,
{
    let (pieces, made) = mpsc::channel::<Bytes>(1);
    let (given_up, unread) = oneshot::channel();
    let patience = app.settings.stream.idle_timeout();
    let following = Following::new(app.metrics.prediction_streams.clone());
    let work = async move {
        // Both end with the work.
        let _held = (place, following);
        loop {
            let piece = tokio::select! {
                piece = answers.next() => piece,
                () = pieces.closed() => None,
            };
            let Some(piece) = piece else { return };
            if let Err(SendTimeoutError::Timeout(_)) = pieces.send_timeout(piece, patience).await {
                tracing::debug!("a stream of predictions is not read any more");
                let _ = given_up.send(Unread);
                return;
            }
        }
    };
    app.shutdown.spawn("prediction stream", work.in_current_span());
    // Pieces, then the end of the answer; an answer that was given up breaks off, so that it cannot be taken for a whole one.
    stream::unfold((made, Some(unread)), async |(mut made, mut unread)| {
        if let Some(piece) = made.recv().await {
            return Some((Ok(piece), (made, unread)));
        }
        let given_up = unread.take()?.await.ok()?;
        Some((Err(given_up), (made, None)))
    })
}

/// Why an answer breaks off.
#[derive(Debug, thiserror::Error)]
#[error("the answer was not read")]
struct Unread;

/// The form of answers that the caller asks for first; `usual` when it names neither.
pub(super) fn accepted(headers: &HeaderMap, usual: Form) -> Form {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    let kinds = accept
        .split(',')
        .map(|kind| kind.split_once(';').map_or(kind, |(kind, _)| kind).trim());
    for kind in kinds {
        match kind.to_ascii_lowercase().as_str() {
            "text/csv" => return Form::Csv,
            "application/json" => return Form::Ndjson,
            kind if NDJSON.contains(&kind) => return Form::Ndjson,
            _ => {}
        }
    }
    usual
}

/// The media type of answers.
pub(super) fn content_type(form: Form) -> HeaderValue {
    match form {
        Form::Ndjson => HeaderValue::from_static("application/x-ndjson"),
        Form::Csv => HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    }
}

/// The id under which the records are logged: the request's, or a new one when that leaves no room for a line.
fn id_of(id: &RequestId) -> String {
    if id.as_str().len() <= LONGEST_ID {
        id.as_str().to_owned()
    } else {
        uuid::Uuid::now_v7().to_string()
    }
}
