//! Counts every request with its outcome and its time, those included that nobody waited for and those that panicked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use pin_project_lite::pin_project;
use prometheus_client::metrics::gauge::Gauge;
use tower::Service;

use super::{Protocol, Shared};

/// Where requests of one server are counted.
pub(in crate::server) trait Meter: Send + Sync + 'static {
    /// The series of one method or route, resolved once per request without allocating.
    type Series: Send + Sync + Unpin + 'static;

    /// The outcome that stands for a caller that went away.
    const CANCELLED: u16;
    /// The outcome that stands for a panic.
    const PANICKED: u16;

    fn series<B>(&self, request: &Request<B>) -> Self::Series;
    fn in_flight(&self) -> &Gauge;
    fn record(series: &Self::Series, outcome: u16, elapsed: Duration);
    /// What the series is called in a log line.
    fn label(series: &Self::Series) -> String;
}

/// One request being counted. If it is dropped unfinished, the caller went away or the handler panicked.
pub(in crate::server) struct Recording<M: Meter> {
    pub(in crate::server) series: M::Series,
    started: Instant,
    in_flight: Gauge,
    polling: bool,
    finished: bool,
}

impl<M: Meter> Recording<M> {
    fn start<B>(meter: &M, request: &Request<B>) -> Self {
        let in_flight = meter.in_flight().clone();
        in_flight.inc();
        Self {
            series: meter.series(request),
            started: Instant::now(),
            in_flight,
            polling: false,
            finished: false,
        }
    }

    /// Counts the request as ended with `outcome`: a gRPC code or an HTTP status.
    pub(in crate::server) fn finish(mut self, outcome: u16) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: u16) {
        self.finished = true;
        self.in_flight.dec();
        M::record(&self.series, outcome, self.started.elapsed());
    }
}

impl<M: Meter> Drop for Recording<M> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        if self.polling {
            tracing::error!(method = M::label(&self.series), "request handler panicked");
            self.end(M::PANICKED);
        } else {
            self.end(M::CANCELLED);
        }
    }
}

pub(in crate::server) struct Measure<S, P: Protocol> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P: Protocol> Measure<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
    }
}

impl<S: Clone, P: Protocol> Clone for Measure<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S, P, B> Service<Request<B>> for Measure<S, P>
where
    P: Protocol,
    S: Service<Request<B>, Response = Response<P::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = MeasureFuture<S::Future, P::Meter, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let counted = !P::is_infrastructure(request.uri().path());
        let mut recording = counted.then(|| Recording::start(&self.shared.meter, &request));
        // As long as the flag is up, an unwinding drop of the recording means a panic.
        if let Some(recording) = &mut recording {
            recording.polling = true;
        }
        let inner = self.inner.call(request);
        if let Some(recording) = &mut recording {
            recording.polling = false;
        }
        MeasureFuture {
            inner,
            recording,
            protocol: std::marker::PhantomData,
        }
    }
}

pin_project! {
    pub(in crate::server) struct MeasureFuture<F, M: Meter, P> {
        #[pin]
        inner: F,
        recording: Option<Recording<M>>,
        protocol: std::marker::PhantomData<P>,
    }
}

impl<F, P, E> Future for MeasureFuture<F, P::Meter, P>
where
    P: Protocol,
    F: Future<Output = Result<Response<P::Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let Some(recording) = this.recording {
            recording.polling = true;
        }
        let polled = this.inner.poll(cx);
        if let Some(recording) = this.recording {
            recording.polling = false;
        }
        match polled {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(match this.recording.take() {
                Some(recording) => P::finish(recording, response),
                None => response,
            })),
            other => other,
        }
    }
}
