//! A route that is answered without the router.
//!
//! For every request a router clones and boxes what stands behind a route, and each layer around it once more: more work than scoring a customer. A path
//! that is the same for every caller needs none of it. Its requests pass the same layers, under the same limit, counted like those of the router.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::{HeaderName, Method, Request, Response, header};
use axum::Router;
use axum::body::Body;
use axum::routing::future::RouteFuture;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either, Map};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tower::{Layer, Service};

use super::away::Away;
use super::http::Http;
use super::layers::RequestLayers;
use super::request_id::{Identified, Identify};

/// Answers a request. Its body is as it came: neither decompressed nor limited.
pub type DirectAnswer = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// [`DirectAnswer`] as a service.
#[derive(Clone)]
pub(super) struct Direct(pub(super) DirectAnswer);

impl Service<Request<Body>> for Direct {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Map<BoxFuture<'static, Response<Body>>, fn(Response<Body>) -> Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        (self.0)(request).map(Ok)
    }
}

/// The route of a request that no router has matched, an extension of it: a path without parameters is its own template.
#[derive(Clone, Copy)]
pub(super) struct DirectPath(pub(super) &'static str);

type Layered = Identified<<RequestLayers<Http> as Layer<Direct>>::Service>;

/// The one path that is answered directly.
#[derive(Clone)]
pub(super) struct DirectRoute {
    method: Method,
    path: &'static str,
    /// Requests with one of these headers need what only the router has around its routes.
    routed: Vec<HeaderName>,
    service: Layered,
}

impl DirectRoute {
    /// The route, inside of its layers. `cross_origin`: pages of other origins may call.
    pub(super) fn new(
        method: Method,
        path: &'static str,
        answer: DirectAnswer,
        layers: &RequestLayers<Http>,
        cross_origin: bool,
    ) -> Self {
        let mut routed = vec![header::CONTENT_ENCODING];
        routed.extend(cross_origin.then_some(header::ORIGIN));
        Self {
            method,
            path,
            routed,
            service: Identify.layer(layers.layer(Direct(answer))),
        }
    }

    fn takes<B>(&self, request: &Request<B>) -> bool {
        request.method() == self.method
            && request.uri().path() == self.path
            && !self.routed.iter().any(|header| request.headers().contains_key(header))
    }
}

/// Bodies of the direct path up to so many bytes are read and answered on the thread of their connection.
const IN_PLACE_BYTES: u64 = 16 << 10;

/// The same of other paths, whose work for so many bytes may be more.
const IN_PLACE_ROUTED_BYTES: u64 = 4 << 10;

/// Whether a request says that its body has at most so many bytes.
fn is_small(request: &Request<Incoming>, most: u64) -> bool {
    request.body().size_hint().upper().is_some_and(|length| length <= most)
}

/// The router, and beside it the path that goes around it.
#[derive(Clone)]
pub(super) struct Lanes {
    pub(super) direct: Option<Arc<DirectRoute>>,
    pub(super) router: Router,
    /// Where connections have threads of their own.
    pub(super) shared: Option<SharedRuntime>,
}

/// Where everything is worked out that the thread of a connection should not be held up by.
#[derive(Clone)]
pub(super) struct SharedRuntime {
    pub(super) runtime: Handle,
    /// Which paths of the router are worked out on the thread of the connection nevertheless, for small bodies.
    pub(super) quick: fn(&str) -> bool,
}

impl SharedRuntime {
    fn is_quick(&self, request: &Request<Incoming>) -> bool {
        (self.quick)(request.uri().path()) && is_small(request, IN_PLACE_ROUTED_BYTES)
    }
}

type InPlace = <Layered as Service<Request<Body>>>::Future;

impl Service<Request<Incoming>> for Lanes {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<InPlace, Either<RouteFuture<Infallible>, Away>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As the router: what is behind the layers is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match &self.direct {
            Some(direct) if direct.takes(&request) => {
                let small = is_small(&request, IN_PLACE_BYTES);
                let mut request = request.map(Body::new);
                request.extensions_mut().insert(DirectPath(direct.path));
                let mut service = direct.service.clone();
                match &self.shared {
                    Some(shared) if !small => {
                        let answering = async move { service.call(request).await };
                        Either::Right(Either::Right(Away::on(&shared.runtime, answering)))
                    }
                    _ => Either::Left(service.call(request)),
                }
            }
            _ => Either::Right(match &self.shared {
                Some(shared) if !shared.is_quick(&request) => {
                    Either::Right(Away::on(&shared.runtime, self.router.call(request)))
                }
                _ => Either::Left(self.router.call(request)),
            }),
        }
    }
}
