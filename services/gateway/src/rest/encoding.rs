//! Compressed request bodies: gzip and deflate, of every route. Limits count what comes out, so a small body cannot become a large one unnoticed.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use tower_http::decompression::RequestDecompressionLayer;

use crate::ApiError;

/// The encodings that [`decompress`] knows.
const KNOWN: [&str; 2] = ["gzip", "deflate"];

/// Decompresses what [`known`] lets through.
pub(super) fn decompress() -> RequestDecompressionLayer {
    RequestDecompressionLayer::new().pass_through_unaccepted(true)
}

/// Refuses bodies in another encoding, in the form of all refusals.
pub(super) async fn known(mut request: Request, next: Next) -> Response {
    let Some(encoding) = request.headers().get(header::CONTENT_ENCODING) else {
        return next.run(request).await;
    };
    let named = encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    let known = KNOWN.into_iter().find(|known| *known == named);
    match known {
        // Names of encodings know no case; the layer does.
        Some(known) => request
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static(known)),
        None if named == "identity" => request.headers_mut().remove(header::CONTENT_ENCODING),
        None => {
            let mut refused = ApiError::unsupported_encoding(&KNOWN).into_response();
            let accepted = HeaderValue::from_static("gzip, deflate");
            refused.headers_mut().insert(header::ACCEPT_ENCODING, accepted);
            return refused;
        }
    };
    next.run(request).await
}
