//! At most so many requests at once; one more is refused at once rather than queued, because a caller can go elsewhere and a queue only hides that it
//! should.
//!
//! Counted until the response's head: streams do not hold a place for as long as they live.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use super::Protocol;
use crate::error::{Code, Fault};

/// How many requests run now, over all connections of one server.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

/// One place under the limit, given back when dropped.
struct Place(InFlight);

impl InFlight {
    fn take(&self, limit: usize) -> Option<Place> {
        // Relaxed: the number alone matters, nothing is published by it.
        if self.0.fetch_add(1, Ordering::Relaxed) < limit {
            return Some(Place(self.clone()));
        }
        self.0.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone)]
pub(in crate::server) struct Limit<S, P> {
    inner: S,
    limit: usize,
    in_flight: InFlight,
    protocol: PhantomData<P>,
}

impl<S, P> Limit<S, P> {
    pub(super) fn new(inner: S, limit: usize, in_flight: InFlight) -> Self {
        Self {
            inner,
            limit,
            in_flight,
            protocol: PhantomData,
        }
    }
}

impl<S, P, B> Service<Request<B>> for Limit<S, P>
where
    P: Protocol,
    S: Service<Request<B>, Response = Response<P::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = LimitFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let exempt = P::is_infrastructure(request.uri().path());
        let place = if exempt { None } else { self.in_flight.take(self.limit) };
        let admitted = exempt || place.is_some();
        LimitFuture {
            inner: admitted.then(|| self.inner.call(request)),
            place,
            limit: self.limit,
            protocol: PhantomData,
        }
    }
}

pin_project! {
    pub(in crate::server) struct LimitFuture<F, P> {
        // None: refused.
        #[pin]
        inner: Option<F>,
        // Held until the answer is there.
        place: Option<Place>,
        limit: usize,
        protocol: PhantomData<P>,
    }
}

impl<F, P, E> Future for LimitFuture<F, P>
where
    P: Protocol,
    F: Future<Output = Result<Response<P::Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(inner) = this.inner.as_pin_mut() else {
            let message = format!("{} requests are running, which is the limit", this.limit);
            return Poll::Ready(Ok(P::render(Fault::new(
                Code::ResourceExhausted,
                "TOO_MANY_REQUESTS",
                message,
            ))));
        };
        let polled = inner.poll(cx);
        if polled.is_ready() {
            this.place.take();
        }
        polled
    }
}
