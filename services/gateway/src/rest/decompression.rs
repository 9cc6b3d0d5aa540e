//! Compressed request bodies, of every route. Limits of size hold for what comes out, as it comes out, so a small body cannot become a large one in
//! memory.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use tower::{ServiceExt as _, service_fn};
use tower_http::decompression::RequestDecompression;

use crate::ApiError;

/// The encodings that are read.
const KNOWN: [&str; 2] = ["gzip", "deflate"];

/// Runs a request with its body as it was before it was compressed; other encodings are refused.
pub(super) async fn decompressed(mut request: Request, next: Next) -> Response {
    let Some(encoding) = request.headers().get(header::CONTENT_ENCODING) else {
        return next.run(request).await;
    };
    let named = encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    if named == "identity" {
        request.headers_mut().remove(header::CONTENT_ENCODING);
        return next.run(request).await;
    }
    let Some(known) = KNOWN.into_iter().find(|known| *known == named) else {
        let mut refused = ApiError::unsupported_encoding(&KNOWN).into_response();
        let accepted = HeaderValue::from_static("gzip, deflate");
        refused.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
        return refused;
    };
    // Names of encodings know no case; the decompression does.
    request
        .headers_mut()
        .insert(header::CONTENT_ENCODING, HeaderValue::from_static(known));
    let inner = service_fn(|request: Request<_>| {
        let answer = next.clone().run(request.map(Body::new));
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let Ok(response) = RequestDecompression::new(inner).oneshot(request).await;
    response.map(Body::new)
}
