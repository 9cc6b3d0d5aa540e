//! The channel that generated clients run on.
//!
//! What goes wrong on the way is a status of its own: a deadline is `DEADLINE_EXCEEDED` (tonic alone says `CANCELLED`), a connection that cannot be
//! made or breaks is `UNAVAILABLE` with the peer's address.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::body::Body;
use tonic::transport::channel::ResponseFuture;
use tonic::{ConnectError, Status, TimeoutExpired};
use tower::Service;
use tracing::Span;
use tracing::field::Empty;

use super::pool::{Outcome, Picked, Pool};
use super::replica::Lane;
use crate::deadline::{self, GRPC_TIMEOUT};
use crate::error::{Code, Fault};
use crate::telemetry::{self, RPC_TARGET};

/// A shorter deadline says more about the caller than about the replica that missed it.
const TELLING_DEADLINE: Duration = Duration::from_millis(50);

/// Connections to the replicas of one peer, made when needed. Clones share them.
#[derive(Clone, Debug)]
pub struct Channel {
    pool: Arc<Pool>,
    lane: Lane,
    timeout: Option<Duration>,
}

impl Channel {
    pub(super) fn new(pool: Pool, timeout: Option<Duration>) -> Self {
        Self {
            pool: Arc::new(pool),
            lane: Lane::Single,
            timeout,
        }
    }

    /// The same replicas over connections of their own, for large bodies and streams: short calls never wait behind them.
    #[must_use]
    pub fn bulk(&self) -> Self {
        Self {
            lane: Lane::Bulk,
            ..self.clone()
        }
    }

    /// The peer's URL.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.pool.replicas.peer
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

    /// Always ready: what there is to wait for is waited for by the call, under its deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> CallFuture {
        let timeout = self.timeout_of(&request);
        if let Some(timeout) = timeout
            && let Ok(value) = HeaderValue::from_str(&deadline::format_grpc_timeout(timeout))
        {
            request.headers_mut().insert(GRPC_TIMEOUT, value);
        }
        let span = call_span(&request, self.peer());
        if !span.is_disabled() {
            telemetry::inject_span(&span, request.headers_mut());
        }
        CallFuture {
            stage: Stage::Choosing {
                waiting: None,
                request: Some(request),
            },
            pool: self.pool.clone(),
            lane: self.lane,
            timeout,
            at: timeout.map(|timeout| Instant::now() + timeout),
            sleep: None,
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

/// The wait for a first replica.
type Wait = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// How far a call is.
enum Stage {
    /// No replica yet; waits only while no address is known.
    Choosing {
        waiting: Option<Wait>,
        request: Option<Request<Body>>,
    },
    /// The connection is full or being made.
    Connecting {
        connection: tonic::transport::Channel,
        picked: Option<Picked>,
        request: Option<Request<Body>>,
    },
    /// The request is on its way.
    Calling {
        answer: ResponseFuture,
        picked: Option<Picked>,
    },
}

pin_project! {
    /// A call under way.
    pub struct CallFuture {
        stage: Stage,
        pool: Arc<Pool>,
        lane: Lane,
        timeout: Option<Duration>,
        at: Option<Instant>,
        #[pin]
        sleep: Option<Sleep>,
        span: Span,
    }
}

impl fmt::Debug for CallFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture")
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

impl Future for CallFuture {
    type Output = Result<Response<Body>, Status>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let _entered = this.span.enter();
        if let Poll::Ready(answered) = this.stage.advance(this.pool, *this.lane, cx) {
            note(this.span, &answered);
            return Poll::Ready(answered);
        }
        let Some(at) = *this.at else { return Poll::Pending };
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(at)));
        }
        if this.sleep.as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready()) {
            if this.timeout.is_some_and(|timeout| timeout >= TELLING_DEADLINE) {
                this.stage.note(Outcome::Late);
            }
            let late = Err(timed_out(&this.pool.replicas.peer));
            note(this.span, &late);
            return Poll::Ready(late);
        }
        Poll::Pending
    }
}

impl Stage {
    fn advance(&mut self, pool: &Arc<Pool>, lane: Lane, cx: &mut Context<'_>) -> Poll<Result<Response<Body>, Status>> {
        loop {
            match self {
                Self::Choosing { waiting, request } => {
                    if let Some(wait) = waiting {
                        ready!(wait.as_mut().poll(cx)).map_err(Status::from)?;
                        *waiting = None;
                    }
                    match pool.replicas.pick() {
                        None => *waiting = Some(Box::pin(pool.replicas.clone().wait())),
                        Some(picked) => {
                            *self = Self::Connecting {
                                connection: picked.connection(lane),
                                picked: Some(picked),
                                request: request.take(),
                            }
                        }
                    }
                }
                Self::Connecting {
                    connection,
                    picked,
                    request,
                } => {
                    if let Err(error) = ready!(connection.poll_ready(cx)) {
                        return Poll::Ready(Err(failed(&error, picked.take(), &pool.replicas.peer)));
                    }
                    let Some(request) = request.take() else {
                        return Poll::Ready(Err(Fault::internal("POLLED_AGAIN", "internal error").into()));
                    };
                    *self = Self::Calling {
                        answer: connection.call(request),
                        picked: picked.take(),
                    };
                }
                Self::Calling { answer, picked } => {
                    let answered = ready!(Pin::new(answer).poll(cx));
                    let picked = picked.take();
                    return Poll::Ready(match answered {
                        Ok(response) => Ok(answer_of(response, picked, lane)),
                        Err(error) => Err(failed(&error, picked, &pool.replicas.peer)),
                    });
                }
            }
        }
    }

    fn note(&self, outcome: Outcome) {
        if let Self::Connecting {
            picked: Some(picked), ..
        }
        | Self::Calling {
            picked: Some(picked), ..
        } = self
        {
            picked.note(outcome);
        }
    }
}

/// The answer, noted with its replica. The large ones count as under way until their body ends.
fn answer_of(response: Response<Body>, picked: Option<Picked>, lane: Lane) -> Response<Body> {
    let Some(picked) = picked else { return response };
    picked.note(if code_of(&response) == Some(tonic::Code::Unavailable) {
        Outcome::Unavailable
    } else {
        Outcome::Answered
    });
    match lane {
        Lane::Single => response,
        Lane::Bulk if response.body().is_end_stream() => response,
        Lane::Bulk => response.map(|inner| Body::new(Held { inner, _picked: picked })),
    }
}

fn failed(error: &(dyn Error + 'static), picked: Option<Picked>, peer: &str) -> Status {
    let unreachable = causes(error).any(|cause| cause.is::<ConnectError>());
    if let Some(picked) = picked {
        picked.note(if unreachable {
            Outcome::Unreachable
        } else {
            Outcome::Unavailable
        });
    }
    transport_status(error, peer)
}

/// A body that counts as a call under way.
struct Held {
    inner: Body,
    _picked: Picked,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The code of an answer that ends with its head, as failures do.
fn code_of(response: &Response<Body>) -> Option<tonic::Code> {
    let code = response.headers().get(Status::GRPC_STATUS)?;
    Some(tonic::Code::from_bytes(code.as_bytes()))
}

fn note(span: &Span, answered: &Result<Response<Body>, Status>) {
    if span.is_disabled() {
        return;
    }
    let code = match answered {
        Ok(response) => code_of(response),
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

fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'e (dyn Error + 'static)| (*error).source())
}

/// A failure of the transport, no answer of the peer's.
fn transport_status(error: &(dyn Error + 'static), peer: &str) -> Status {
    if causes(error).any(|cause| cause.is::<TimeoutExpired>()) {
        return timed_out(peer);
    }
    // The outer texts ("transport error") say less than the innermost one ("connection refused").
    let deepest = causes(error).last().unwrap_or(error);
    Fault::unavailable("PEER_UNAVAILABLE", format!("cannot reach {peer}: {deepest}")).into()
}
