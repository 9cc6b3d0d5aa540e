//! A gRPC server with everything around it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Service;

use super::admin::Admin;
use super::descriptors::{Reflection, methods};
use super::gathered::Gathered;
use super::grpc::Grpc;
use super::grpc_metrics::GrpcMeter;
use super::layers::{RequestLayers, Shared};
use super::local::Local;
use super::{BindError, health, listen};
use crate::metrics::MetricsRegistry;
use crate::readiness::Readiness;
use crate::settings::ServerSettings;
use crate::shutdown::{Role, Shutdown};

/// Pings find clients that died without a word, so that their streams do not live for ever.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests that one connection may have open.
const MAX_CONCURRENT_STREAMS: u32 = 1024;

/// Builds a gRPC server: the layers, health, reflection, and the admin server beside it.
pub struct ServerBuilder {
    name: String,
    settings: ServerSettings,
    shutdown: Shutdown,
    metrics: Arc<MetricsRegistry>,
    readiness: Readiness,
    routes: Routes,
    services: Vec<String>,
    descriptors: Vec<&'static [u8]>,
    own_timeouts: Vec<(&'static str, Duration)>,
}

impl ServerBuilder {
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
            routes: Routes::default(),
            services: Vec::new(),
            descriptors: Vec::new(),
            own_timeouts: Vec::new(),
        }
    }

    /// Adds a generated gRPC server. Set its message limits first: `.max_decoding_message_size(settings.max_message_bytes)`.
    #[must_use]
    pub fn service<S>(mut self, service: S) -> Self
    where
        S: Service<::http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.services.push(S::NAME.to_owned());
        self.routes = self.routes.add_service(service);
        self
    }

    /// Takes ready-made routes in place of those added so far. Name their services with [`ServerBuilder::serves`], or all services of the descriptor
    /// sets are taken to be there.
    #[must_use]
    pub fn grpc(mut self, routes: Routes) -> Self {
        self.routes = routes;
        self
    }

    /// Names services (`package.Service`) that the routes hold: for health, reflection and metrics.
    #[must_use]
    pub fn serves(mut self, services: &[&str]) -> Self {
        self.services.extend(services.iter().map(ToString::to_string));
        self
    }

    /// Lets requests of one method (`/package.Service/Method`) take another time than the settings say: uploads, whose time their size decides.
    #[must_use]
    pub fn timeout_of(mut self, path: &'static str, timeout: Duration) -> Self {
        self.own_timeouts.push((path, timeout));
        self
    }

    /// Adds an encoded descriptor set: it says which methods there are, for reflection and for the metrics' labels. It may describe more services than
    /// this server has.
    #[must_use]
    pub fn descriptors(mut self, descriptor_set: &'static [u8]) -> Self {
        self.descriptors.push(descriptor_set);
        self
    }

    /// Binds both addresses; nothing is answered before [`BoundServer::serve`].
    ///
    /// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
    ///
    /// # Errors
    /// [`BindError`] if an address cannot be had or a descriptor set is damaged.
    pub fn bind(self) -> BoxFuture<'static, Result<BoundServer, BindError>> {
        Box::pin(self.bound())
    }

    async fn bound(self) -> Result<BoundServer, BindError> {
        let damaged = |error: prost::DecodeError| BindError::Descriptors(error.to_string());
        let (mut services, methods) = methods(&self.descriptors, &self.services).map_err(damaged)?;
        services.extend(
            self.services
                .iter()
                .filter(|name| !services.contains(name))
                .cloned()
                .collect::<Vec<_>>(),
        );

        let reflection = Reflection::new(self.descriptors, services.clone());

        let (reporter, health) = tonic_health::server::health_reporter();
        // The unnamed service stands for the server as a whole.
        services.push(String::new());
        services.push(self.name.clone());
        health::report(&reporter, &services, self.readiness.is_ready()).await;

        let meter = GrpcMeter::new(&self.metrics, &methods, &self.shutdown.cut_token());
        let layers = RequestLayers::<Grpc>::new(Shared {
            service: self.name.clone(),
            timeout: self.settings.request_timeout(),
            own_timeouts: self.own_timeouts.into(),
            limit: self.settings.max_concurrent_requests,
            meter,
        });
        let (grpc, grpc_addr) = listen("grpc", self.settings.bind).await?;
        let (admin, admin_addr) = listen("admin", self.settings.admin).await?;
        self.shutdown.grace_at_least(self.settings.shutdown_grace());
        Ok(BoundServer {
            grpc_addr,
            admin_addr,
            grpc,
            admin,
            routes: self.routes.add_service(health).add_service(reflection),
            layers,
            reporter,
            services: services.into(),
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
pub struct BoundServer {
    /// The gRPC address, with the real port.
    pub grpc_addr: SocketAddr,
    /// The admin address, with the real port.
    pub admin_addr: SocketAddr,
    grpc: TcpListener,
    admin: TcpListener,
    routes: Routes,
    layers: RequestLayers<Grpc>,
    reporter: tonic_health::server::HealthReporter,
    services: Arc<[String]>,
    state: Admin,
}

impl BoundServer {
    /// One of its services for callers of the same process, who need no socket.
    #[must_use]
    pub fn local<T: ?Sized>(&self, service: Arc<T>) -> Local<T> {
        Local::new(self.layers.clone(), service)
    }

    /// Starts answering, in tasks that belong to the [`Shutdown`], and returns at once; `Shutdown::finish` waits for their end. If the server fails, the
    /// service ends.
    pub fn serve(self) {
        let Admin {
            service,
            readiness,
            shutdown,
            ..
        } = self.state.clone();
        tracing::info!(%service, grpc = %self.grpc_addr, admin = %self.admin_addr, "listening");
        self.state.serve(self.admin);
        shutdown.spawn(
            "health",
            health::follow(self.reporter, self.services, readiness, shutdown.clone()),
        );
        let incoming = TcpIncoming::from(self.grpc).with_nodelay(Some(true));
        let incoming = incoming.map(|accepted| accepted.map(Gathered::new));
        let stopping = shutdown.stopping();
        let server = Server::builder()
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .layer(self.layers)
            .add_routes(self.routes)
            .serve_with_incoming_shutdown(incoming, stopping);
        shutdown.spawn_server(Role::Requests, "grpc", server);
    }
}
