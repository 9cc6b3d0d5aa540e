//! What every request passes, for gRPC and for HTTP. From outside to inside:
//!
//! 1. **panic catch**: outermost, so that a panic anywhere becomes an answer (`INTERNAL`, 500) and the connection lives on;
//! 2. **trace**: before the metrics, so that everything measured happens inside the request's span;
//! 3. **metrics**: around deadline and limit, so that refused and timed-out requests are counted, with their code;
//! 4. **deadline**: the caller's, capped by the settings; handlers and the clients they use see it ([`crate::deadline`]);
//! 5. **concurrency limit**: innermost, so that only requests that would really run are counted against it; no queue, one too many is answered
//!    `RESOURCE_EXHAUSTED` at once.
//!
//! Cost without a collector: two clock reads, some atomics, one hash lookup. No layer boxes or allocates for a unary call; a timer is made only for a
//! request that does not finish at its first poll. Health checks and reflection ("infrastructure") skip 2, 3 and 5: probes must not drown traces or
//! be refused under load.
//!
//! Panics inside a *streaming body*, after the head was sent, are not caught: they end that connection.

mod deadline;
mod limit;
mod measure;
mod panic;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Request, Response};
use tower::Layer;
use tracing::Span;

pub(super) use measure::{Meter, Recording};

use crate::error::Fault;

/// What differs between gRPC and HTTP.
pub(super) trait Protocol: Clone + Send + Sync + 'static {
    /// The body of responses.
    type Body: Send + 'static;
    /// What counts requests.
    type Meter: Meter;

    /// A failure as a response.
    fn render(fault: Fault) -> Response<Self::Body>;

    /// The deadline that the caller sent.
    fn caller_timeout(headers: &HeaderMap) -> Option<Duration>;

    /// Health checks and reflection.
    fn is_infrastructure(path: &str) -> bool;

    /// The span of a request; disabled unless somebody listens.
    fn span<B>(service: &str, request: &Request<B>) -> Span;

    /// Notes in the span how it went.
    fn note(span: &Span, response: &Response<Self::Body>);

    /// Finishes the recording now, or hands it to the body if only that knows how it ends.
    fn finish(recording: Recording<Self::Meter>, response: Response<Self::Body>) -> Response<Self::Body>;
}

/// What the layers of one server share.
pub(super) struct Shared<P: Protocol> {
    pub(super) service: String,
    pub(super) timeout: Duration,
    /// Paths whose requests may take another time than `timeout`; one that ends in `/` stands for all below it.
    pub(super) own_timeouts: Arc<[(&'static str, Duration)]>,
    pub(super) limit: usize,
    pub(super) meter: P::Meter,
}

/// All layers, in order.
pub(super) struct RequestLayers<P: Protocol> {
    shared: Arc<Shared<P>>,
    in_flight: limit::InFlight,
}

impl<P: Protocol> RequestLayers<P> {
    pub(super) fn new(shared: Shared<P>) -> Self {
        Self {
            shared: Arc::new(shared),
            in_flight: limit::InFlight::default(),
        }
    }
}

impl<P: Protocol> Clone for RequestLayers<P> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            in_flight: self.in_flight.clone(),
        }
    }
}

impl<S, P: Protocol> Layer<S> for RequestLayers<P> {
    type Service =
        panic::CatchPanic<trace::Trace<measure::Measure<deadline::Deadline<limit::Limit<S, P>, P>, P>, P>, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let limit = limit::Limit::new(inner, self.shared.limit, self.in_flight.clone());
        let deadline = deadline::Deadline::new(limit, self.shared.timeout, self.shared.own_timeouts.clone());
        let measure = measure::Measure::new(deadline, self.shared.clone());
        let trace = trace::Trace::new(measure, self.shared.clone());
        panic::CatchPanic::new(trace)
    }
}
