//! Paths, queries and headers whose failures are problem documents.

use axum::extract::{FromRequestParts, path, rejection};
use holdfast_chassis::{Code, Fault};
use http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::ApiError;

/// The parameters in a path.
pub(super) struct Path<T>(pub(super) T);

/// The parameters in a query.
pub(super) struct Query<T>(pub(super) T);

/// The header `idempotency-key`; empty when there is none.
pub(super) struct IdempotencyKey(pub(super) String);

/// The version that a path names.
#[derive(Debug, Deserialize)]
pub(super) struct VersionPath {
    pub(super) model: String,
    pub(super) version: u32,
}

/// Longest idempotency key.
const MAX_KEY_BYTES: usize = 128;

/// Which page of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// At most this many, 1 to 1,000; the service's own default when absent.
    #[serde(default)]
    #[param(required = false, maximum = 1000)]
    pub(super) page_size: u32,
    /// `next_page_token` of the page before.
    #[serde(default)]
    #[param(required = false)]
    pub(super) page_token: String,
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(bad_path(&rejection)),
        }
    }
}

fn bad_path(rejection: &rejection::PathRejection) -> ApiError {
    if let rejection::PathRejection::FailedToDeserializePathParams(failed) = rejection
        && let path::ErrorKind::ParseErrorAtKey { key, value, .. } = failed.kind()
    {
        return ApiError::field(key, "invalid", format!("{key} is {value:?}, which cannot be read"));
    }
    Fault::new(Code::InvalidArgument, "INVALID_PATH", rejection.body_text()).into()
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Fault::new(Code::InvalidArgument, "INVALID_QUERY", rejection.body_text()).into()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(Self(String::new()));
        };
        match value.to_str() {
            Ok(key) if !key.is_empty() && key.len() <= MAX_KEY_BYTES => Ok(Self(key.to_owned())),
            _ => {
                let detail = format!("idempotency-key must be 1 to {MAX_KEY_BYTES} visible ASCII characters");
                Err(ApiError::field("idempotency-key", "invalid", detail))
            }
        }
    }
}
