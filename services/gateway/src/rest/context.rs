//! What every request gets: a problem document if it fails. Its id comes from the chassis.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
pub(crate) use holdfast_chassis::server::RequestId;
use http::{HeaderName, Method};

use super::{mlflow, open_inference};
use crate::ApiError;

/// Headers of a refusal that its document does not replace.
const KEPT: [HeaderName; 2] = [http::header::ALLOW, http::header::ACCEPT_ENCODING];

/// Runs a request and writes the document of its failure, on the paths of the Open Inference Protocol and of MLflow in
/// those ones' form.
pub(crate) async fn in_context(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let kept = KEPT.map(|name| (response.headers().get(&name).cloned(), name));
        log(&error, &method, &path, id.as_ref().map_or("", RequestId::as_str));
        response = if open_inference::speaks(&path) {
            error.inference_error()
        } else if mlflow::speaks(&path) {
            mlflow::failed(&error)
        } else {
            error.problem(&path).into_response()
        };
        for (value, name) in kept {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
    }
    response
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
