//! gRPC as the layers see it, and the body of server streams: counted when it ends, cut when the shutdown's grace is over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::body::Body;
use tonic::{Code as GrpcCode, Status};
use tracing::Span;
use tracing::field::Empty;

use super::grpc_metrics::GrpcMeter;
use super::layers::{Protocol, Recording};
use crate::deadline;
use crate::error::{Code, Fault};
use crate::telemetry::RPC_TARGET;

#[derive(Clone)]
pub(super) struct Grpc;

impl Protocol for Grpc {
    type Body = Body;
    type Meter = GrpcMeter;

    fn render(fault: Fault) -> Response<Body> {
        Status::from(fault).into_http()
    }

    fn caller_timeout(headers: &HeaderMap) -> Option<Duration> {
        deadline::parse_grpc_timeout(headers.get(deadline::GRPC_TIMEOUT)?.to_str().ok()?)
    }

    fn is_infrastructure(path: &str) -> bool {
        path.starts_with("/grpc.health.") || path.starts_with("/grpc.reflection.")
    }

    fn span<B>(service: &str, request: &Request<B>) -> Span {
        let method = request.uri().path().trim_start_matches('/');
        tracing::debug_span!(
            target: RPC_TARGET,
            "rpc",
            service,
            method,
            trace_id = Empty,
            code = Empty,
            otel.name = method,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
        )
    }

    fn note(span: &Span, response: &Response<Body>) {
        // A successful head says nothing about how a stream ends: the metrics know, the span shows the head.
        let code = head_code(response).unwrap_or(GrpcCode::Ok);
        if code != GrpcCode::Ok {
            let code = Code::from_grpc(code);
            span.record("code", code.name());
            if code.is_server_fault() || matches!(code, Code::Unavailable | Code::DeadlineExceeded) {
                span.record("otel.status_code", "ERROR");
            }
        }
    }

    fn finish(recording: Recording<GrpcMeter>, response: Response<Body>) -> Response<Body> {
        let code = head_code(&response);
        if code.is_some() || !recording.series.is_streaming() || response.body().is_end_stream() {
            recording.finish(code.unwrap_or(GrpcCode::Ok) as u16);
            return response;
        }
        let cut = Box::pin(recording.series.cut());
        response.map(|inner| {
            Body::new(StreamBody {
                inner,
                cut,
                recording: Some(recording),
            })
        })
    }
}

/// The code of a response that ends with its head; `None` while trailers are to come.
fn head_code(response: &Response<Body>) -> Option<GrpcCode> {
    code_in(response.headers())
}

fn code_in(headers: &HeaderMap) -> Option<GrpcCode> {
    headers
        .get(Status::GRPC_STATUS)
        .map(|value| GrpcCode::from_bytes(value.as_bytes()))
}

pin_project! {
    struct StreamBody {
        inner: Body,
        cut: Pin<Box<WaitForCancellationFutureOwned>>,
        recording: Option<Recording<GrpcMeter>>,
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        // No recording: the trailers are out.
        if this.recording.is_none() {
            return Poll::Ready(None);
        }
        if this.cut.as_mut().poll(cx).is_ready() {
            finish(this.recording, GrpcCode::Unavailable);
            let status = Status::from(Fault::unavailable("SHUTTING_DOWN", "the server is shutting down"));
            let mut trailers = HeaderMap::new();
            return Poll::Ready(
                status
                    .add_header(&mut trailers)
                    .is_ok()
                    .then(|| Ok(Frame::trailers(trailers))),
            );
        }
        let polled = Pin::new(this.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    finish(this.recording, code_in(trailers).unwrap_or(GrpcCode::Unknown));
                }
            }
            Poll::Ready(Some(Err(status))) => finish(this.recording, status.code()),
            Poll::Ready(None) => finish(this.recording, GrpcCode::Ok),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.recording.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn finish(recording: &mut Option<Recording<GrpcMeter>>, code: GrpcCode) {
    if let Some(recording) = recording.take() {
        recording.finish(code as u16);
    }
}
