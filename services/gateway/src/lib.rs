//! The gateway: REST for everything the other services do, with an OpenAPI description, and a drop-in for the predecessor's API.
//!
//! `rest/` is HTTP alone (routes, bodies, problem documents, server-sent events); `service/` holds the shapes of the answers and what it takes to get
//! them from the peers. The gateway keeps no state: any number of them may run side by side. It is ready as soon as it listens, with peers away too,
//! because it can say so (`GET /api/v1/status`); whether predictions are answered is `GET /health`'s to tell.

mod error;
mod metrics;
pub mod peers;
pub mod rest;
pub mod service;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast_api::DynInferenceService;
use holdfast_chassis::client::ClientMetrics;
use holdfast_chassis::client::retry::RetryPolicy;
use holdfast_chassis::clock::{Clock, SystemClock};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::{HttpServer, Local};
use holdfast_chassis::settings::Common;
use holdfast_chassis::{Readiness, Shutdown};
use tokio::sync::Semaphore;

pub use error::{ApiError, Error};
pub use metrics::{Metrics, PeerFailures, PeerName};
pub use settings::Settings;

use peers::Peers;

/// What every request handler shares.
#[derive(Debug)]
pub struct Gateway {
    /// The settings in force.
    pub settings: Settings,
    /// The other services.
    pub peers: Peers,
    /// The gateway's own metrics.
    pub metrics: Metrics,
    /// Where the time in answers comes from.
    pub clock: Arc<dyn Clock>,
    /// Ends streams that would live on.
    pub shutdown: Shutdown,
    /// Places for streams of predictions.
    pub streams: Arc<Semaphore>,
    /// Waits of streams when inference has too much to do.
    pub stream_retry: RetryPolicy,
}

/// A gateway that answers.
#[derive(Debug)]
pub struct Running {
    /// Where REST listens, with the real port.
    pub http: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` listen, with the real port.
    pub admin: SocketAddr,
    shutdown: Shutdown,
}

impl Running {
    /// Waits for the end of the shutdown.
    pub async fn join(self) {
        self.shutdown.finish().await;
    }
}

/// Starts a gateway; it ends with `shutdown`. Peers need not be there.
///
/// # Errors
/// [`Error`] if an address cannot be had or a peer's URL is not one.
pub fn start(common: Common, settings: Settings, shutdown: Shutdown) -> BoxFuture<'static, Result<Running, Error>> {
    start_beside(None, common, settings, shutdown)
}

/// [`start`] in the process of an inference, whose predictions then need no socket.
///
/// Boxed, so that its code is generated once, here, and not again in every program that starts it.
///
/// # Errors
/// As [`start`].
pub fn start_beside(
    inference: Option<Local<DynInferenceService>>,
    common: Common,
    settings: Settings,
    shutdown: Shutdown,
) -> BoxFuture<'static, Result<Running, Error>> {
    Box::pin(bind_and_serve(inference, common, settings, shutdown))
}

async fn bind_and_serve(
    inference: Option<Local<DynInferenceService>>,
    common: Common,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<Running, Error> {
    // Predictions of an inference that is beside need no other task.
    let own_threads = inference.is_some().then_some(rest::predicts as fn(&str) -> bool);
    let registry = Arc::new(MetricsRegistry::new("gateway"));
    let metrics = Metrics::register(&registry);
    let clients = ClientMetrics::register(&registry, &PeerName::ALL.map(PeerName::name));
    let peers = Peers::new(&common, &metrics, &clients, inference)?;
    let server = settings.server.clone();
    let [upload_api, upload_pages] = rest::mlflow::UPLOADS;
    let upload_timeout = settings.artifacts.upload_timeout();
    let (cors, idle_timeout) = (rest::cors::layer(&settings.cors), settings.idle_timeout());
    let rest = rest::router(Gateway {
        streams: Arc::new(Semaphore::new(settings.stream.max_streams)),
        stream_retry: RetryPolicy::new(&common.client.retry),
        settings,
        peers,
        metrics,
        clock: Arc::new(SystemClock),
        shutdown: shutdown.clone(),
    });
    let mut routes = rest.named;
    routes.extend(rest::mlflow::named());
    let (method, path, answer) = rest.direct;
    let bound = HttpServer::new("gateway", &server, shutdown.clone(), registry, Readiness::new())
        .router(rest.router)
        .direct(method, path, answer)
        .own_threads(own_threads)
        .cors(cors)
        .idle_timeout(idle_timeout)
        .timeout_of(upload_api, upload_timeout)
        .timeout_of(upload_pages, upload_timeout)
        .routes(routes.iter().map(|(method, path)| (method.clone(), path.as_str())))
        .bind()
        .await?;
    let running = Running {
        http: bound.http_addr,
        admin: bound.admin_addr,
        shutdown,
    };
    bound.serve();
    Ok(running)
}
