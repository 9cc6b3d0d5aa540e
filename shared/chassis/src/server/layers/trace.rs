//! One span per request, a child of the caller's span if the request carries one.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;
use tracing::Span;

use super::{Protocol, Shared};
use crate::telemetry;

pub(in crate::server) struct Trace<S, P: Protocol> {
    inner: S,
    shared: Arc<Shared<P>>,
}

impl<S, P: Protocol> Trace<S, P> {
    pub(super) fn new(inner: S, shared: Arc<Shared<P>>) -> Self {
        Self { inner, shared }
    }
}

impl<S: Clone, P: Protocol> Clone for Trace<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<S, P, B> Service<Request<B>> for Trace<S, P>
where
    P: Protocol,
    S: Service<Request<B>, Response = Response<P::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TraceFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let span = if P::is_infrastructure(request.uri().path()) {
            Span::none()
        } else {
            P::span(&self.shared.service, &request)
        };
        if !span.is_disabled() {
            telemetry::adopt_parent(&span, request.headers());
            if telemetry::is_tracing()
                && let Some(id) = telemetry::trace_id_of(&span)
            {
                span.record("trace_id", tracing::field::display(id));
            }
        }
        let inner = span.in_scope(|| self.inner.call(request));
        TraceFuture {
            inner,
            span,
            protocol: PhantomData,
        }
    }
}

pin_project! {
    pub(in crate::server) struct TraceFuture<F, P> {
        #[pin]
        inner: F,
        span: Span,
        protocol: PhantomData<P>,
    }
}

impl<F, P, E> Future for TraceFuture<F, P>
where
    P: Protocol,
    F: Future<Output = Result<Response<P::Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = this.span.enter();
        let polled = this.inner.poll(cx);
        if let Poll::Ready(Ok(response)) = &polled
            && !this.span.is_disabled()
        {
            P::note(this.span, response);
        }
        polled
    }
}
