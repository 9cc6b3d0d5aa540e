//! Compressed request bodies, of every route. Limits of size hold for what comes out, as it comes out, so a small body cannot become a large one in
//! memory.

use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::future::{BoxFuture, Either};
use http::{HeaderValue, header};
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_http::decompression::RequestDecompression;

use crate::ApiError;

/// The encodings that are read.
const KNOWN: [&str; 2] = ["gzip", "deflate"];

/// Gives requests their bodies as they were before they were compressed; other encodings are refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decompressed;

impl<S> Layer<S> for Decompressed {
    type Service = Decompressing<S>;

    fn layer(&self, inner: S) -> Decompressing<S> {
        Decompressing { inner }
    }
}

/// A service that sees bodies as they were.
#[derive(Clone, Debug)]
pub(super) struct Decompressing<S> {
    inner: S,
}

/// Most bodies are as they were, and so most requests go on as they are.
type Answering<S> =
    Either<<S as Service<Request>>::Future, BoxFuture<'static, Result<Response, <S as Service<Request>>::Error>>>;

impl<S> Service<Request> for Decompressing<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Answering<S>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request) -> Answering<S> {
        let Some(encoding) = request.headers().get(header::CONTENT_ENCODING) else {
            return Either::Left(self.inner.call(request));
        };
        let named = encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase();
        if named == "identity" {
            request.headers_mut().remove(header::CONTENT_ENCODING);
            return Either::Left(self.inner.call(request));
        }
        let Some(known) = KNOWN.into_iter().find(|known| *known == named) else {
            let mut refused = ApiError::unsupported_encoding(&KNOWN).into_response();
            let accepted = HeaderValue::from_static("gzip, deflate");
            refused.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
            return Either::Right(Box::pin(async move { Ok(refused) }));
        };
        // Names of encodings know no case; the decompression does.
        let encodings = request.headers_mut();
        encodings.insert(header::CONTENT_ENCODING, HeaderValue::from_static(known));
        // The one that is ready is this one.
        let fresh = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        let inner = service_fn(move |request: http::Request<_>| ready.call(request.map(Body::new)));
        let answer = RequestDecompression::new(inner).oneshot(request);
        Either::Right(Box::pin(async move { Ok(answer.await?.map(Body::new)) }))
    }
}
