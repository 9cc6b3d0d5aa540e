//! The channel that generated clients run on.
//!
//! What goes wrong on the way is a status of its own: a deadline is `DEADLINE_EXCEEDED` (tonic alone says `CANCELLED`), a connection that cannot be
//! made or breaks is `UNAVAILABLE` with the peer's address.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tonic::transport::channel::ResponseFuture;
use tonic::{Status, TimeoutExpired};
use tower::Service;
use tracing::Span;
use tracing::field::Empty;

use crate::deadline::{self, GRPC_TIMEOUT};
use crate::error::{Code, Fault};
use crate::telemetry::{self, RPC_TARGET};

/// A connection to one peer, made when needed. Clones share it.
#[derive(Clone, Debug)]
pub struct Channel {
    inner: tonic::transport::Channel,
    peer: Arc<str>,
    timeout: Option<Duration>,
}

impl Channel {
    pub(super) fn new(inner: tonic::transport::Channel, peer: String, timeout: Option<Duration>) -> Self {
        Self {
            inner,
            peer: peer.into(),
            timeout,
        }
    }

    /// The peer's URL.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The earliest of: the call's own deadline, the channel's, that of the request being served.
    fn timeout_of(&self, request: &Request<Body>) -> Option<Duration> {
        let own = request
            .headers()
            .get(GRPC_TIMEOUT)
            .and_then(|value| deadline::parse_grpc_timeout(value.to_str().ok()?));
        [own, self.timeout, deadline::remaining()].into_iter().flatten().min()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = CallFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| transport_status(&error, &self.peer))
    }

    fn call(&mut self, mut request: Request<Body>) -> CallFuture {
        let timeout = self.timeout_of(&request);
        if let Some(timeout) = timeout
            && let Ok(value) = HeaderValue::from_str(&deadline::format_grpc_timeout(timeout))
        {
            request.headers_mut().insert(GRPC_TIMEOUT, value);
        }
        let span = call_span(&request, &self.peer);
        if !span.is_disabled() {
            telemetry::inject_span(&span, request.headers_mut());
        }
        CallFuture {
            inner: self.inner.call(request),
            at: timeout.map(|timeout| Instant::now() + timeout),
            sleep: None,
            peer: self.peer.clone(),
            span,
        }
    }
}

fn call_span(request: &Request<Body>, peer: &str) -> Span {
    let method = request.uri().path().trim_start_matches('/');
    tracing::debug_span!(
        target: RPC_TARGET,
        "call",
        method,
        peer,
        code = Empty,
        otel.name = method,
        otel.kind = "client",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
    )
}

pin_project! {
    /// A call under way.
    pub struct CallFuture {
        #[pin]
        inner: ResponseFuture,
        at: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
        peer: Arc<str>,
        span: Span,
    }
}

impl Future for CallFuture {
    type Output = Result<Response<Body>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _entered = this.span.enter();
        if let Poll::Ready(answered) = this.inner.poll(cx) {
            let answered = answered.map_err(|error| transport_status(&error, this.peer));
            note(this.span, &answered);
            return Poll::Ready(answered);
        }
        let Some(at) = *this.at else { return Poll::Pending };
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(at)));
        }
        if this.sleep.as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready()) {
            let late = Err(timed_out(this.peer));
            note(this.span, &late);
            return Poll::Ready(late);
        }
        Poll::Pending
    }
}

fn note(span: &Span, answered: &Result<Response<Body>, Status>) {
    if span.is_disabled() {
        return;
    }
    let code = match answered {
        Ok(response) => response
            .headers()
            .get(Status::GRPC_STATUS)
            .map(|code| tonic::Code::from_bytes(code.as_bytes())),
        Err(status) => Some(status.code()),
    };
    if let Some(code) = code.filter(|code| *code != tonic::Code::Ok) {
        span.record("code", Code::from_grpc(code).name());
        span.record("otel.status_code", "ERROR");
    }
}

fn timed_out(peer: &str) -> Status {
    Fault::new(
        Code::DeadlineExceeded,
        "DEADLINE_EXCEEDED",
        format!("{peer} did not answer before the deadline"),
    )
    .into()
}

/// A failure of the transport, no answer of the peer's.
fn transport_status(error: &(dyn Error + 'static), peer: &str) -> Status {
    let mut deepest = error;
    loop {
        if deepest.is::<TimeoutExpired>() {
            return timed_out(peer);
        }
        match deepest.source() {
            Some(source) => deepest = source,
            None => break,
        }
    }
    // The outer texts ("transport error") say less than the innermost one ("connection refused").
    Fault::unavailable("PEER_UNAVAILABLE", format!("cannot reach {peer}: {deepest}")).into()
}
