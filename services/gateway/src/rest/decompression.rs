//! Bodies that come compressed. Limits of size hold for what comes out, as it comes out, so a small body cannot become a large one in memory.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header;
use tower::{ServiceExt as _, service_fn};
use tower_http::decompression::RequestDecompression;

use crate::ApiError;

/// Runs a request with its body as it was before it was compressed by gzip; other codings are refused.
pub(super) async fn decompressed(request: Request, next: Next) -> Response {
    let Some(coding) = request.headers().get(header::CONTENT_ENCODING) else {
        return next.run(request).await;
    };
    if coding != "gzip" && coding != "identity" {
        return ApiError::unsupported_encoding().into_response();
    }
    let inner = service_fn(|request: Request<_>| {
        let answer = next.clone().run(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let Ok(response) = RequestDecompression::new(inner).oneshot(request).await;
    response.map(Body::new)
}
