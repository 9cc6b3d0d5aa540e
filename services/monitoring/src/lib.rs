//! Monitoring: windows of the prediction log against what the champion was trained on, outcomes that arrive late, and the request for
//! retraining.
//!
//! `service/` is the logic: [`service::drift`] (the comparison and the verdict, pure functions over `holdfast_statistics`),
//! [`service::checks`] (reading a window and storing its report), [`service::reports`], [`service::outcomes`] and
//! [`service::retraining`]. `grpc.rs` is the adapter, `training_client.rs` the way to the training service. Everything is kept in the blob
//! store and nothing here: any number of replicas may run, and one that starts needs no other service.

mod error;
mod grpc;
pub mod metrics;
pub mod service;
mod settings;
mod training_client;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast_api::monitoring::v1::monitoring_service_server::MonitoringServiceServer;
use holdfast_chassis::clock::{Clock, SystemClock};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::ServerBuilder;
use holdfast_chassis::{Common, Readiness, Shutdown};
use holdfast_domain::Schema;
use holdfast_storage::BlobStore;
use jiff::SignedDuration;

pub use error::{Error, LabelledCounts, Result, Violation};
pub use settings::Settings;

use grpc::MonitoringAdapter;
use metrics::Metrics;
use service::checks::{CheckRules, DriftChecks};
use service::outcomes::Outcomes;
use service::reports::Reports;
use service::retraining::{Collaborators, Retrainer};
use service::window::PredictionLog;
use training_client::GrpcTrainingClient;

/// Monitoring that answers.
#[derive(Debug)]
pub struct Running {
    /// Where gRPC listens, with the real port.
    pub grpc: SocketAddr,
    /// Where the admin server listens, with the real port.
    pub admin: SocketAddr,
    shutdown: Shutdown,
}

impl Running {
    /// Waits until the service has ended.
    pub async fn join(self) {
        self.shutdown.stopping().await;
        self.shutdown.finish().await;
    }
}

/// Opens the blob store, binds the ports and answers until `shutdown` triggers.
///
/// Boxed, so that its code is generated once, here, and not again in every program that starts it.
///
/// # Errors
/// [`Error`] when the store cannot be opened or a port cannot be had. No other service needs to be there.
pub fn start(common: Common, settings: Settings, shutdown: Shutdown) -> BoxFuture<'static, Result<Running>> {
    Box::pin(open_and_serve(common, settings, shutdown))
}

async fn open_and_serve(common: Common, settings: Settings, shutdown: Shutdown) -> Result<Running> {
    let blobs = common.blob_store.open(&common.data_dir).await?;
    start_with(&common, settings, blobs, Arc::new(SystemClock), shutdown).await
}

/// [`start`] with a blob store and a clock of the caller's.
///
/// # Errors
/// As [`start`].
pub fn start_with(
    common: &Common,
    settings: Settings,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> BoxFuture<'_, Result<Running>> {
    Box::pin(bind_and_serve(common, settings, blobs, clock, shutdown))
}

async fn bind_and_serve(
    common: &Common,
    settings: Settings,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<Running> {
    let registry = Arc::new(MetricsRegistry::new("monitoring"));
    let metrics = Metrics::new(&registry);
    let readiness = Readiness::new();
    let ready = readiness.condition("blob store");

    let log = PredictionLog::new(Arc::clone(&blobs), settings.maximum_rows);
    let rules = CheckRules {
        policy: settings.policy,
        window_length: SignedDuration::from_secs(settings.window_seconds.into()),
    };
    let training = GrpcTrainingClient::new(&common.peers.training, &common.client, settings.training_timeout())?;
    let with = Collaborators {
        blobs: Arc::clone(&blobs),
        log: log.clone(),
        training: Arc::new(training),
        clock: Arc::clone(&clock),
        metrics: metrics.clone(),
    };
    let adapter = MonitoringAdapter {
        default_model: settings.model.clone(),
        checks: DriftChecks::new(Arc::clone(&blobs), log, rules, Arc::clone(&clock), metrics.clone()),
        outcomes: Outcomes::new(Arc::clone(&blobs), Arc::clone(&clock), metrics),
        reports: Reports::new(Arc::clone(&blobs)),
        retrainer: Retrainer::new(with, Schema::embedded(), settings.retraining),
        clock,
    };
    let service = MonitoringServiceServer::new(adapter).max_decoding_message_size(settings.server.max_message_bytes);
    let server = ServerBuilder::new("monitoring", &settings.server, shutdown.clone(), registry, readiness)
        .service(service)
        .descriptors(holdfast_api::DESCRIPTORS)
        .bind()
        .await?;
    let running = Running {
        grpc: server.grpc_addr,
        admin: server.admin_addr,
        shutdown,
    };
    ready.set_ready(blobs.describe());
    server.serve();
    Ok(running)
}
