//! An HTTP server with the same layers, shutdown and admin server as a gRPC one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderMap, Method, Request, Response};
use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tower_http::cors::CorsLayer;
use tracing::Span;
use tracing::field::Empty;

use super::admin::Admin;
use super::direct::{DirectAnswer, DirectRoute, Lanes};
use super::http_metrics::{HttpMeter, route_of};
use super::layers::{Protocol, Recording, RequestLayers, Shared};
use super::request_id::{self, Identify};
use super::{BindError, http_connections, listen};
use crate::error::Fault;
use crate::metrics::MetricsRegistry;
use crate::readiness::Readiness;
use crate::settings::ServerSettings;
use crate::shutdown::{Role, Shutdown};
use crate::telemetry::RPC_TARGET;

#[derive(Clone)]
pub(super) struct Http;

impl Protocol for Http {
    type Body = Body;
    type Meter = HttpMeter;

    fn render(fault: Fault) -> Response<Body> {
        request_id::unwritten(fault)
    }

    fn caller_timeout(_headers: &HeaderMap) -> Option<Duration> {
        None
    }

    fn is_infrastructure(_path: &str) -> bool {
        false
    }

    fn span<B>(service: &str, request: &Request<B>) -> Span {
        let route = route_of(request);
        let method = request.method().as_str();
        tracing::debug_span!(
            target: RPC_TARGET,
            "http",
            service,
            method,
            route,
            trace_id = Empty,
            status = Empty,
            otel.name = route,
            otel.kind = "server",
            otel.status_code = Empty,
        )
    }

    fn note(span: &Span, response: &Response<Body>) {
        span.record("status", response.status().as_u16());
        if response.status().is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }

    fn finish(recording: Recording<HttpMeter>, response: Response<Body>) -> Response<Body> {
        recording.finish(response.status().as_u16());
        response
    }
}

/// Longer than common clients keep a connection that they do not use: who closes first must be the client, or its next request finds it closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Builds an HTTP server from an axum router.
pub struct HttpServer {
    name: String,
    settings: ServerSettings,
    shutdown: Shutdown,
    metrics: Arc<MetricsRegistry>,
    readiness: Readiness,
    router: Router,
    direct: Option<(Method, &'static str, DirectAnswer)>,
    own_threads: Option<fn(&str) -> bool>,
    routes: Vec<(Method, String)>,
    cors: Option<CorsLayer>,
    idle_timeout: Duration,
    own_timeouts: Vec<(&'static str, Duration)>,
}

impl HttpServer {
    /// A server of the service `name`. Its conditions must be in `readiness` already.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        settings: &ServerSettings,
        shutdown: Shutdown,
        metrics: Arc<MetricsRegistry>,
        readiness: Readiness,
    ) -> Self {
        Self {
            name: name.into(),
            settings: settings.clone(),
            shutdown,
            metrics,
            readiness,
            router: Router::new(),
            direct: None,
            own_threads: None,
            routes: Vec::new(),
            cors: None,
            idle_timeout: IDLE_TIMEOUT,
            own_timeouts: Vec::new(),
        }
    }

    /// The routes and the fallback. Bodies are limited to `max_message_bytes`, unless a route sets its own `DefaultBodyLimit`.
    #[must_use]
    pub fn router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// Has one path answered without the router, whatever it knows of that path: the one that is called most. Requests with a compressed body still go
    /// to the router, and so do those from other origins when these may call. The answer has the body as it comes, and limits it itself.
    #[must_use]
    pub fn direct(mut self, method: Method, path: &'static str, answer: DirectAnswer) -> Self {
        self.direct = Some((method, path, answer));
        self
    }

    /// Gives connections threads of their own, on which the direct path is answered, and the `quick` ones for bodies of a few kilobytes, and nothing else.
    /// A gain when that needs no other task: with nothing to be handed from thread to thread, a request takes a tenth less of the processor. A loss when it
    /// waits for a task of the shared runtime.
    #[must_use]
    pub fn own_threads(mut self, quick: Option<fn(&str) -> bool>) -> Self {
        self.own_threads = quick;
        self
    }

    /// Names routes (method and template), so that their metrics exist from the start.
    #[must_use]
    pub fn routes<'a>(mut self, routes: impl IntoIterator<Item = (Method, &'a str)>) -> Self {
        self.routes
            .extend(routes.into_iter().map(|(method, route)| (method, route.to_owned())));
        self
    }

    /// Lets pages of other origins call. It stands around everything else: answers of limit and deadline can be read there, too.
    #[must_use]
    pub fn cors(mut self, cors: Option<CorsLayer>) -> Self {
        self.cors = cors;
        self
    }

    /// How long a connection may be open without sending a whole request head, between requests too, and without reading what is answered.
    #[must_use]
    pub fn idle_timeout(mut self, idle_timeout: Duration) -> Self {
        self.idle_timeout = idle_timeout;
        self
    }

    /// Lets requests to one path, or to all below one that ends in `/`, take another time than the settings say: uploads, whose time their size decides.
    #[must_use]
    pub fn timeout_of(mut self, path: &'static str, timeout: Duration) -> Self {
        self.own_timeouts.push((path, timeout));
        self
    }

    /// Binds both addresses; nothing is answered before [`BoundHttpServer::serve`].
    ///
    /// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
    ///
    /// # Errors
    /// [`BindError`] if an address cannot be had.
    pub fn bind(self) -> BoxFuture<'static, Result<BoundHttpServer, BindError>> {
        Box::pin(self.bound())
    }

    async fn bound(self) -> Result<BoundHttpServer, BindError> {
        let layers = RequestLayers::<Http>::new(Shared {
            service: self.name.clone(),
            timeout: self.settings.request_timeout(),
            own_timeouts: self.own_timeouts.into(),
            limit: self.settings.max_concurrent_requests,
            meter: HttpMeter::new(&self.metrics, &self.routes),
        });
        let direct = self.direct.map(|(method, path, answer)| {
            let route = DirectRoute::new(method, path, answer, &layers, self.cors.is_some());
            Arc::new(route)
        });
        // As one layer: each one added by itself would be boxed, with its future.
        let body_limit = DefaultBodyLimit::max(self.settings.max_message_bytes);
        let mut router = self.router.layer((Identify, layers, body_limit));
        if let Some(cors) = self.cors {
            router = router.layer(cors);
        }
        let (http, http_addr) = listen("http", self.settings.bind).await?;
        let (admin, admin_addr) = listen("admin", self.settings.admin).await?;
        self.shutdown.grace_at_least(self.settings.shutdown_grace());
        Ok(BoundHttpServer {
            http_addr,
            admin_addr,
            http,
            admin,
            lanes: Lanes {
                direct,
                router,
                shared: None,
            },
            own_threads: self.own_threads,
            idle_timeout: self.idle_timeout,
            state: Admin {
                service: self.name.into(),
                metrics: self.metrics,
                readiness: self.readiness,
                shutdown: self.shutdown,
            },
        })
    }
}

/// A server that has its addresses and does not answer yet.
pub struct BoundHttpServer {
    /// The HTTP address, with the real port.
    pub http_addr: SocketAddr,
    /// The admin address, with the real port.
    pub admin_addr: SocketAddr,
    http: TcpListener,
    admin: TcpListener,
    lanes: Lanes,
    own_threads: Option<fn(&str) -> bool>,
    idle_timeout: Duration,
    state: Admin,
}

impl BoundHttpServer {
    /// Starts answering, in tasks that belong to the [`Shutdown`], and returns at once.
    pub fn serve(self) {
        let Admin { service, shutdown, .. } = self.state.clone();
        tracing::info!(%service, http = %self.http_addr, admin = %self.admin_addr, "listening");
        self.state.serve(self.admin);
        let stopping = shutdown.stopping();
        let server = http_connections::serve(self.http, self.lanes, self.own_threads, self.idle_timeout, stopping);
        shutdown.spawn_server(Role::Requests, "http", server);
    }
}
