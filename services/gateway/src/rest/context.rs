//! What every request gets: an id, and a problem document if it fails.
//!
//! The id is the caller's `x-request-id` when that is usable, else a new one; the answer carries it, and the prediction log records it. Failures that
//! the chassis answers itself (limit, deadline, panic) have neither id nor path in their documents.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method};

use super::open_inference;
use crate::ApiError;

/// The header with the id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of a refusal that its document does not replace.
const KEPT: [HeaderName; 2] = [http::header::ALLOW, http::header::ACCEPT_ENCODING];

/// Longest id taken from a caller: what inference records.
const MAX_ID_BYTES: usize = 128;

/// The id of the request being served.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Runs a request with its id and writes the document of its failure, on the paths of the Open Inference Protocol in that one's form.
pub(crate) async fn in_context(mut request: Request, next: Next) -> Response {
    let id = usable(request.headers().get(&REQUEST_ID)).unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    request.extensions_mut().insert(RequestId(id.as_str().into()));
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let kept = KEPT.map(|name| (response.headers().get(&name).cloned(), name));
        log(&error, &method, &path, &id);
        response = if open_inference::speaks(&path) {
            error.inference_error()
        } else {
            error.problem(&path).into_response()
        };
        for (value, name) in kept {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn usable(header: Option<&HeaderValue>) -> Option<String> {
    let id = header?.to_str().ok()?;
    let fits = !id.is_empty() && id.len() <= MAX_ID_BYTES && id.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| id.to_owned())
}

// Whose fault it is decides how loud: the caller's are his business.
fn log(error: &ApiError, method: &Method, path: &str, request_id: &str) {
    let fault = error.fault();
    if fault.code.is_server_fault() {
        tracing::error!(%method, path, request_id, code = fault.code.name(), reason = &*fault.reason, message = fault.message, "request failed");
    } else {
        tracing::debug!(%method, path, request_id, code = fault.code.name(), reason = &*fault.reason, "request refused");
    }
}
