//! JSON bodies: type, size, time to arrive, form; each with its own answer. Bodies that are passed on as they come.

use std::borrow::Cow;
use std::pin::pin;
use std::task::Poll;

use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use futures::poll;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::App;
use crate::ApiError;
use crate::service::object::Object;
use crate::service::records::{Record, quick};
use crate::service::upload::{Upload, UploadError};

/// A JSON body that the route needs.
pub(super) struct JsonBody<T>(pub(super) T);

/// A JSON body of records, or of one. Most of them are read in one go ([`quick`]), all others as any JSON body.
pub(super) struct RecordsBody<T>(pub(super) T);

/// What is made of a body that holds records and nothing else; `None` when it holds anything else.
pub(super) trait OfRecords: DeserializeOwned {
    /// Reads it in one go.
    fn quick(body: &[u8]) -> Option<Self>;
}

impl OfRecords for Record {
    fn quick(body: &[u8]) -> Option<Self> {
        quick::record(body)
    }
}

/// A JSON body that may be left out, or be `null`.
pub(super) struct OptionalBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type("application/json"));
        }
        parse(&read(request, app).await?).map(Self)
    }
}

impl<T: OfRecords> FromRequest<App> for RecordsBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::unsupported_media_type("application/json"));
        }
        let body = read(request, app).await?;
        T::quick(&body).map_or_else(|| parse(&body), Ok).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let json = is_json(request.headers());
        let bytes = read(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !json {
            return Err(ApiError::unsupported_media_type("application/json"));
        }
        if bytes.trim_ascii() == b"null" {
            return Ok(Self(T::default()));
        }
        parse(&bytes).map(Self)
    }
}

/// Whether the body says it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers)
        .is_some_and(|kind| kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")))
}

/// The media type without parameters, in lower case: as it stands there, if it is written so.
pub(super) fn media_type(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split_once(';').map_or(value, |(kind, _)| kind).trim();
    Some(if kind.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(kind.to_ascii_lowercase())
    } else {
        Cow::Borrowed(kind)
    })
}

/// The length that the body says it has.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The body as bytes to be passed on. One that says itself that it is too large is not begun.
pub(super) fn upload(app: &App, headers: &HeaderMap, body: Body) -> Result<Upload<BodyDataStream>, ApiError> {
    let limit = app.settings.max_upload_bytes;
    if announced(headers).is_some_and(|length| length > limit) {
        return Err(ApiError::too_large(limit));
    }
    Ok(Upload {
        body: body.into_data_stream(),
        limit,
        passed_on: app.metrics.uploaded_bytes.clone(),
        tasks: app.shutdown.clone(),
        // The request ends sooner.
        part_within: app.settings.server.request_timeout(),
        answer_within: app.settings.server.request_timeout(),
    })
}

/// Why an upload came to nothing, for its caller.
pub(super) fn upload_error(error: UploadError<axum::Error>, limit: u64) -> ApiError {
    match error {
        UploadError::Refused(fault) => fault.into(),
        UploadError::TooLarge => ApiError::too_large(limit),
        UploadError::Broken(error) => ApiError::body_broken(error),
    }
}

/// The whole body, within the limits of size and time.
pub(super) async fn read(request: Request, app: &App) -> Result<Bytes, ApiError> {
    let limit = app.settings.server.max_message_bytes;
    let mut reading = pin!(Limited::new(request.into_body(), limit).collect());
    // Small ones are there with their head, and need no timer.
    let read = match poll!(&mut reading) {
        Poll::Ready(read) => Ok(read),
        Poll::Pending => tokio::time::timeout(app.settings.body_timeout(), reading).await,
    };
    match read {
        Err(_) => Err(ApiError::body_timeout()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(ApiError::too_large(limit as u64)),
        Ok(Err(error)) => Err(ApiError::body_broken(error)),
    }
}

/// A JSON object as a value; what is wrong with it names the field.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice::<Object<T>>(bytes)
        .map(|Object(value)| value)
        .map_err(|error| match error.classify() {
            Category::Data => misfit::<T>(bytes, &error),
            Category::Syntax | Category::Eof | Category::Io => {
                ApiError::malformed(format!("the body is not valid JSON: {error}"))
            }
        })
}

/// Reads a body that does not fit its type once more, now keeping track of where: that costs, so good bodies are read without.
fn misfit<T: DeserializeOwned>(bytes: &[u8], first: &serde_json::Error) -> ApiError {
    let found =
        serde_path_to_error::deserialize::<_, Object<T>>(&mut serde_json::Deserializer::from_slice(bytes)).err();
    let (field, message) = match &found {
        Some(error) => (error.path().to_string(), error.inner().to_string()),
        None => (".".to_owned(), first.to_string()),
    };
    // serde_json appends the place in the text, which the field's name says better.
    let detail = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(detail, _)| detail);
    let named = detail.split('`').nth(1);
    let (field, rule) = match (named, detail) {
        (Some(name), _) if detail.starts_with("unknown field ") => (inside(&field, name), "unknown_field"),
        (Some(name), _) if detail.starts_with("missing field ") => (inside(&field, name), "required"),
        (Some(name), _) if detail.starts_with("duplicate field ") => (inside(&field, name), "duplicate_field"),
        _ if field == "." => ("body".to_owned(), "invalid"),
        _ => (field, "invalid"),
    };
    ApiError::field(field, rule, detail)
}

/// serde names unknown and missing fields in the message; the path is sometimes that of the object around them, sometimes that of the field.
fn inside(path: &str, name: &str) -> String {
    if path == "." {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
