//! A panic in a handler is an answer, not the end of the connection.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use super::Protocol;
use crate::error::Fault;

#[derive(Clone)]
pub(in crate::server) struct CatchPanic<S, P> {
    inner: S,
    protocol: PhantomData<P>,
}

impl<S, P> CatchPanic<S, P> {
    pub(super) fn new(inner: S) -> Self {
        Self {
            inner,
            protocol: PhantomData,
        }
    }
}

impl<S, P, B> Service<Request<B>> for CatchPanic<S, P>
where
    P: Protocol,
    S: Service<Request<B>, Response = Response<P::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CatchPanicFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // AssertUnwindSafe: after a panic nothing of the request is used again, and what services share guards itself (locks recover from poison).
        let inner = catch_unwind(AssertUnwindSafe(|| self.inner.call(request))).ok();
        CatchPanicFuture {
            inner,
            protocol: PhantomData,
        }
    }
}

pin_project! {
    pub(in crate::server) struct CatchPanicFuture<F, P> {
        // None: the call itself panicked.
        #[pin]
        inner: Option<F>,
        protocol: PhantomData<P>,
    }
}

impl<F, P, E> Future for CatchPanicFuture<F, P>
where
    P: Protocol,
    F: Future<Output = Result<Response<P::Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut inner = self.project().inner;
        let polled = inner
            .as_mut()
            .as_pin_mut()
            .and_then(|future| catch_unwind(AssertUnwindSafe(|| future.poll(cx))).ok());
        polled.unwrap_or_else(|| {
            // Dropped here, at once: what the handler held is released before the caller hears of it.
            inner.set(None);
            Poll::Ready(Ok(P::render(Fault::internal("HANDLER_PANICKED", "internal error"))))
        })
    }
}
