//! The id of an HTTP request, and the documents of failures that the layers themselves answer with.
//!
//! The id is the caller's `x-request-id` when that is usable, else a new one. Every answer carries it, also those of limit, deadline and panic.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::http::request::Parts;
use ::http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::IntoResponse;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::error::{Code, Fault};

/// The header with the id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id taken from a caller: what inference records.
const MAX_ID_BYTES: usize = 128;

/// When to come back, for callers that were refused because too much is going on.
const COME_BACK: std::time::Duration = std::time::Duration::from_secs(1);

/// The id of the request being served, an extension of every HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id: 1 to 128 visible ASCII characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    fn of(header: Option<&HeaderValue>) -> Self {
        header.filter(|id| is_usable(id)).cloned().map_or_else(Self::new, Self)
    }

    fn new() -> Self {
        let mut buffer = uuid::Uuid::encode_buffer();
        let id = uuid::Uuid::now_v7().hyphenated().encode_lower(&mut buffer);
        // Hexadecimal digits and hyphens.
        Self(HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("unknown")))
    }
}

fn is_usable(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    !id.is_empty() && id.len() <= MAX_ID_BYTES && id.iter().all(u8::is_ascii_graphic)
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fault> {
        let id = parts.extensions.get::<Self>().cloned();
        id.ok_or_else(|| Fault::internal("NO_REQUEST_ID", "internal error"))
    }
}

/// A failure whose document is still to be written: who made it knew neither path nor id.
#[derive(Clone)]
struct Unwritten(Box<Fault>);

/// An answer of a layer. One too many is told when to come back.
pub(super) fn unwritten(mut fault: Fault) -> Response<Body> {
    if fault.code == Code::ResourceExhausted {
        fault.retry_after.get_or_insert(COME_BACK);
    }
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    *response.status_mut() = fault.http_status();
    response.extensions_mut().insert(Unwritten(Box::new(fault)));
    response
}

/// Gives every request its id.
#[derive(Clone, Copy)]
pub(super) struct Identify;

impl<S> Layer<S> for Identify {
    type Service = Identified<S>;

    fn layer(&self, inner: S) -> Identified<S> {
        Identified { inner }
    }
}

#[derive(Clone)]
pub(super) struct Identified<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for Identified<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = IdentifiedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let id = RequestId::of(request.headers().get(&REQUEST_ID));
        request.extensions_mut().insert(id.clone());
        IdentifiedFuture {
            uri: request.uri().clone(),
            inner: self.inner.call(request),
            id,
        }
    }
}

pin_project! {
    pub(super) struct IdentifiedFuture<F> {
        #[pin]
        inner: F,
        uri: Uri,
        id: RequestId,
    }
}

impl<F, E> Future for IdentifiedFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(Unwritten(fault)) = response.extensions_mut().remove() {
            response = fault.problem(Some(this.uri.path())).into_response();
        }
        response.headers_mut().insert(REQUEST_ID, this.id.0.clone());
        Poll::Ready(Ok(response))
    }
}
