//! What every request gets: a problem document if it fails. Its id comes from the chassis.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
pub(crate) use holdfast_chassis::server::RequestId;
use http::{HeaderName, Method, Uri};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::{mlflow, open_inference};
use crate::ApiError;

/// Headers of a refusal that its document does not replace.
const KEPT: [HeaderName; 2] = [http::header::ALLOW, http::header::ACCEPT_ENCODING];

/// Writes the documents of failures, on the paths of the Open Inference Protocol and of MLflow in those ones' form.
#[derive(Clone, Copy, Debug)]
pub(super) struct InContext;

impl<S> Layer<S> for InContext {
    type Service = Contextual<S>;

    fn layer(&self, inner: S) -> Contextual<S> {
        Contextual { inner }
    }
}

/// A service whose failures become documents.
#[derive(Clone, Debug)]
pub(super) struct Contextual<S> {
    inner: S,
}

impl<S> Service<Request> for Contextual<S>
where
    S: Service<Request, Response = Response>,
{
    type Response = Response;
    type Error = S::Error;
    type Future = ContextualFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        ContextualFuture {
            id: request.extensions().get::<RequestId>().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// The answer, or the document of its failure.
    pub(super) struct ContextualFuture<F> {
        #[pin]
        inner: F,
        id: Option<RequestId>,
        method: Method,
        uri: Uri,
    }
}

impl<F, E> Future for ContextualFuture<F>
where
    F: Future<Output = Result<Response, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        if let Some(error) = response.extensions_mut().remove::<ApiError>() {
            let path = this.uri.path();
            log(
                &error,
                this.method,
                path,
                this.id.as_ref().map_or("", RequestId::as_str),
            );
            response = document(&error, path, &response);
        }
        Poll::Ready(Ok(response))
    }
}

fn document(error: &ApiError, path: &str, refusal: &Response) -> Response {
    let mut response = if open_inference::speaks(path) {
        error.inference_error()
    } else if mlflow::speaks(path) {
        mlflow::failed(error)
    } else {
        error.problem(path).into_response()
    };
    for name in KEPT {
        if let Some(value) = refusal.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
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
