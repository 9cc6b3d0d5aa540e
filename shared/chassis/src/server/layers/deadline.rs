//! No request takes longer than its deadline: the caller's, or the server's if that is earlier.
//!
//! It covers the time to the response's head. A server stream's body has no deadline here: subscriptions live long, and their end is the caller's or
//! the shutdown's business.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use super::Protocol;
use crate::deadline;
use crate::error::{Code, Fault};

#[derive(Clone)]
pub(in crate::server) struct Deadline<S, P> {
    inner: S,
    cap: Duration,
    /// Paths with a cap of their own; one that ends in `/` stands for all below it.
    own_caps: Arc<[(&'static str, Duration)]>,
    protocol: PhantomData<P>,
}

impl<S, P> Deadline<S, P> {
    pub(super) fn new(inner: S, cap: Duration, own_caps: Arc<[(&'static str, Duration)]>) -> Self {
        Self {
            inner,
            cap,
            own_caps,
            protocol: PhantomData,
        }
    }
}

impl<S, P, B> Service<Request<B>> for Deadline<S, P>
where
    P: Protocol,
    S: Service<Request<B>, Response = Response<P::Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future, P>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = request.uri().path();
        let mut own = self.own_caps.iter();
        let own = own.find(|(path, _)| asked == *path || (path.ends_with('/') && asked.starts_with(path)));
        let cap = own.map_or(self.cap, |(_, cap)| *cap);
        let timeout = P::caller_timeout(request.headers()).map_or(cap, |asked| asked.min(cap));
        // A caller in this process has its deadline in force.
        let at = Instant::now() + timeout;
        let at = deadline::current().map_or(at, |outer| at.min(outer));
        let _scope = deadline::enter(at);
        DeadlineFuture {
            inner: self.inner.call(request),
            at,
            sleep: None,
            protocol: PhantomData,
        }
    }
}

pin_project! {
    pub(in crate::server) struct DeadlineFuture<F, P> {
        #[pin]
        inner: F,
        at: Instant,
        // Made when the request waits for anything but its turn: most predictions never need it.
        #[pin]
        sleep: Option<Sleep>,
        protocol: PhantomData<P>,
    }
}

impl<F, P, E> Future for DeadlineFuture<F, P>
where
    P: Protocol,
    F: Future<Output = Result<Response<P::Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let scope = deadline::enter(*this.at);
        deadline::before_poll();
        if let ready @ Poll::Ready(_) = this.inner.poll(cx) {
            return ready;
        }
        drop(scope);
        // It has its turn again at once, and then is looked at.
        if deadline::stepped_aside() {
            return Poll::Pending;
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep_until(*this.at)));
        }
        if this.sleep.as_pin_mut().is_some_and(|sleep| sleep.poll(cx).is_ready()) {
            let message = "the deadline passed before the request was answered";
            return Poll::Ready(Ok(P::render(Fault::new(
                Code::DeadlineExceeded,
                "DEADLINE_EXCEEDED",
                message,
            ))));
        }
        Poll::Pending
    }
}
