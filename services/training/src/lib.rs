//! Training: tables become snapshots, snapshots become models, and models come before the gate.
//!
//! `service/` is the logic: [`service::snapshots`] (tables taken in), [`service::pipeline`] (runs and their steps),
//! [`service::trainer`] (the families of models; the engines end there), [`service::fitting`] (from rows to an artefact),
//! [`service::imported`] (models of other libraries), [`service::evaluation`] (quality), [`service::store`] (the memory of runs,
//! SQLite). `grpc` is the adapter to callers, `registry_client` the one to the registry. A run is started and followed; it does not need whoever started it.
//!
//! Not guaranteed yet: a run that the end of its process interrupted is marked as failed and not taken up again.

mod error;
mod grpc;
pub mod metrics;
mod registry_client;
pub mod service;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use holdfast_api::training::v1::training_service_server::TrainingServiceServer;
use holdfast_chassis::clock::{Clock, SystemClock};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::ServerBuilder;
use holdfast_chassis::{Common, Readiness, Shutdown};
use holdfast_domain::Schema;

pub use error::{BadField, Error, Result};
pub use settings::Settings;

use metrics::Metrics;
use registry_client::{GrpcImports, GrpcRegistry};
use service::imports::ImportWorker;
use service::params::Presets;
use service::pipeline::{Parts, Pipelines, RunSettings};
use service::snapshots::Snapshots;
use service::store::RunStore;

/// A training service that answers.
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

/// Opens the stores, binds the ports and answers until `shutdown` triggers. The registry may be away.
///
/// Boxed, so that its code is generated once, here, and not again in every program that starts it.
///
/// # Errors
/// [`Error`] when a store cannot be opened, the parameter sets cannot be used or a port cannot be had.
pub fn start(common: Common, settings: Settings, shutdown: Shutdown) -> BoxFuture<'static, Result<Running>> {
    Box::pin(open_and_serve(common, settings, shutdown))
}

async fn open_and_serve(common: Common, settings: Settings, shutdown: Shutdown) -> Result<Running> {
    let registry = Arc::new(MetricsRegistry::new("training"));
    let readiness = Readiness::new();
    let ready = readiness.condition("database");
    let known = Arc::new(GrpcRegistry::new(&common, settings.registry_patience())?);
    let pipelines = open(&common, &settings, (known.clone(), Metrics::new(&registry)), &shutdown).await?;
    take_up_imports(&pipelines, (*known).clone(), &settings, &shutdown);

    let limit = settings.server.max_message_bytes;
    let server_settings = settings.server.clone();
    let adapter = grpc::TrainingAdapter::new(pipelines, settings, shutdown.clone());
    let server = ServerBuilder::new("training", &server_settings, shutdown.clone(), registry, readiness)
        .service(TrainingServiceServer::new(adapter).max_decoding_message_size(limit))
        .descriptors(holdfast_api::DESCRIPTORS)
        .bind()
        .await?;
    let running = Running {
        grpc: server.grpc_addr,
        admin: server.admin_addr,
        shutdown,
    };
    ready.set_ready("open");
    server.serve();
    Ok(running)
}

/// Takes up the imports that the registry asks for, unless that is turned off.
fn take_up_imports(pipelines: &Pipelines, registry: GrpcRegistry, settings: &Settings, shutdown: &Shutdown) {
    let Some(every) = settings.imports_interval() else {
        return;
    };
    let queue = Arc::new(GrpcImports::new(registry, settings.clone()));
    let worker = ImportWorker::new(pipelines.clone(), queue, settings.max_model_bytes, shutdown.clone());
    shutdown.spawn("imports", worker.run(every));
}

async fn open(
    common: &Common,
    settings: &Settings,
    (registry, metrics): (Arc<GrpcRegistry>, Metrics),
    shutdown: &Shutdown,
) -> Result<Pipelines> {
    let presets = Presets::load(settings.params_path.as_deref())?;
    presets.get(&settings.preset)?;
    let data_dir = &common.data_dir;
    tokio::fs::create_dir_all(data_dir)
        .await
        .map_err(|source| Error::LocalState {
            path: data_dir.clone(),
            source,
        })?;
    let database = settings
        .database_path
        .clone()
        .unwrap_or_else(|| data_dir.join("training.db"));
    let store = RunStore::open(&database).await?;
    let blobs = common.blob_store.open(data_dir).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let incoming = data_dir.join("training-incoming");
    let snapshots = Snapshots::open(
        blobs.clone(),
        clock.clone(),
        metrics.clone(),
        incoming,
        settings.max_snapshot_bytes,
    )?;
    let parts = Parts {
        store,
        snapshots,
        blobs,
        registry,
        presets,
        database: common.database.source_url(),
        schema: Schema::embedded(),
        runs: RunSettings {
            threads: settings.training_threads(),
            progress_interval: settings.progress_interval(),
        },
        max_model_bytes: settings.max_model_bytes,
        clock,
        metrics,
    };
    Pipelines::open(parts, shutdown.clone()).await
}
