//! Inference: the champion in memory, predictions, explanations, the prediction log.
//!
//! `service/` is the logic: [`service::predict`] (check, score, log, answer: the one core of every surface),
//! [`service::serving`] (the model in service, swapped by one atomic store), [`service::loader`] (prepare, then swap),
//! [`service::subscription`] (how it hears of champions), [`service::rollout`] (versions on trial beside them) and [`service::prediction_log`] (spool, Parquet, blob store).
//! `grpc/` adapts the typed API and the Open Inference Protocol to it.
//!
//! It serves on while the registry and the blob store are away, and starts without them from the last good model on
//! local disk.

mod error;
mod grpc;
pub mod metrics;
mod registry_client;
pub mod service;
pub mod settings;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast_api::DynInferenceService;
use holdfast_api::inference::v1::inference_service_server::InferenceServiceServer;
use holdfast_api::open_inference::v2::grpc_inference_service_server::GrpcInferenceServiceServer;
use holdfast_chassis::clock::{Clock, SystemClock};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::{Local, ServerBuilder};
use holdfast_chassis::{Common, Readiness, Shutdown};
use holdfast_records::Slug;
use holdfast_records::champion::ChampionLog;
use holdfast_records::rollout::RolloutLog;
use holdfast_storage::BlobStore;

pub use error::{Error, Result};
pub use settings::Settings;

use metrics::Metrics;
use registry_client::RegistryClient;
use service::last_good::LastGood;
use service::loader::Loader;
use service::predict::Predictor;
use service::prediction_log::PredictionLog;
use service::preparation::Preparer;
use service::registry::Registry;
use service::rollout::Notices;
use service::rollout::director::Director;
use service::rollout::recorder::Recorder;
use service::rollout::shadow::{Comparer, ShadowQueue};
use service::serving::Serving;
use service::status::StatusBoard;
use service::subscription::Subscription;
use service::target::Targets;
use service::threads::{Threads, Urgency};
use service::{identity, reporter};

/// Local state below the data directory, which the services of one machine may share.
const DIRECTORY: &str = "inference";
/// How long the end of the service waits for the last upload; what is left stays in the spool. Below the chassis'
/// deadline for a flush.
const LAST_UPLOAD: Duration = Duration::from_secs(3);

/// An inference service that answers.
#[derive(Debug)]
pub struct Running {
    /// Where gRPC listens, with the real port.
    pub grpc: SocketAddr,
    /// Where the admin server listens, with the real port.
    pub admin: SocketAddr,
    /// The typed API for callers of this process.
    pub local: Local<DynInferenceService>,
    shutdown: Shutdown,
}

impl Running {
    /// Waits until the service has ended.
    pub async fn join(self) {
        self.shutdown.finish().await;
    }
}

/// What the service stands on; tests bring their own.
#[derive(Clone, Debug)]
pub struct Foundation {
    /// Where artefacts, champion log and prediction log are.
    pub blobs: Arc<dyn BlobStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Opens the blob store of the settings, recovers the spool, puts the last good model in service, binds the ports and
/// answers until `shutdown` triggers. Registry and blob store may be away.
///
/// Boxed, so that its code is generated once, here, and not again in every program that starts it.
///
/// # Errors
/// [`Error`] when local state cannot be used or a port cannot be had.
pub fn start(common: Common, settings: Settings, shutdown: Shutdown) -> BoxFuture<'static, Result<Running>> {
    Box::pin(open_and_serve(common, settings, shutdown))
}

async fn open_and_serve(common: Common, settings: Settings, shutdown: Shutdown) -> Result<Running> {
    let blobs = common.blob_store.open(&common.data_dir).await?;
    start_on(
        Foundation {
            blobs,
            clock: Arc::new(SystemClock),
        },
        common,
        settings,
        shutdown,
    )
    .await
}

/// [`start`] on another blob store and clock than those of the settings.
///
/// # Errors
/// As [`start`].
pub fn start_on(
    foundation: Foundation,
    common: Common,
    settings: Settings,
    shutdown: Shutdown,
) -> BoxFuture<'static, Result<Running>> {
    Box::pin(recover_and_serve(foundation, common, settings, shutdown))
}

async fn recover_and_serve(
    foundation: Foundation,
    common: Common,
    settings: Settings,
    shutdown: Shutdown,
) -> Result<Running> {
    let directory = common.data_dir.join(DIRECTORY);
    let local = |source| Error::LocalState {
        path: directory.clone(),
        source,
    };
    tokio::fs::create_dir_all(&directory).await.map_err(local)?;
    let replica = identity::replica(settings.replica.as_deref(), &directory)?;
    let registry = RegistryClient::new(&common, settings.model.clone(), replica.clone())?;

    let exposed = Arc::new(MetricsRegistry::new("inference"));
    let metrics = Metrics::register(&exposed);
    let log = open_log(&directory, &replica, &settings, &foundation, &metrics).await?;
    let readiness = Readiness::new();
    let parts = Parts {
        serving: Arc::default(),
        board: StatusBoard::new(),
        targets: Targets::new(),
        notices: Notices::default(),
        metrics,
    };
    let preparer = Preparer {
        store: Arc::clone(&foundation.blobs),
        disk: LastGood::open(&directory.join("models"), settings.champion.keep_artifacts).map_err(local)?,
    };
    let loader = Loader {
        targets: parts.targets.clone(),
        serving: Arc::clone(&parts.serving),
        board: parts.board.clone(),
        preparer: preparer.clone(),
        metrics: parts.metrics.clone(),
        clock: Arc::clone(&foundation.clock),
        ready: readiness.condition("model"),
        settings: settings.champion.clone(),
        shutdown: shutdown.clone(),
    };
    loader.start_from_disk(&settings.model).await;

    let predictor = Arc::new(Predictor::new(
        settings.model.as_str(),
        Arc::clone(&parts.serving),
        Arc::clone(&log),
        (parts.metrics.clone(), Arc::clone(&foundation.clock)),
        &settings.predict,
        Threads::start("batches", settings.predict.threads(), Urgency::Waited).map_err(local)?,
    ));
    let adapter = Arc::new(grpc::InferenceAdapter::new(
        Arc::clone(&predictor),
        Arc::clone(&log),
        parts.board.clone(),
        grpc::Replica {
            name: replica.to_string(),
            started_at: foundation.clock.now(),
        },
        settings.predict.stream_window,
    ));
    let limit = settings.server.max_message_bytes;
    let typed = InferenceServiceServer::from_arc(Arc::clone(&adapter))
        .max_decoding_message_size(limit)
        .max_encoding_message_size(limit);
    let open = GrpcInferenceServiceServer::new(grpc::OpenInferenceAdapter::new(predictor, parts.board.clone()));
    let server = ServerBuilder::new("inference", &settings.server, shutdown.clone(), exposed, readiness)
        .service(typed)
        .service(open.max_decoding_message_size(limit).max_encoding_message_size(limit))
        .descriptors(holdfast_api::DESCRIPTORS)
        .bind()
        .await?;
    let running = Running {
        grpc: server.grpc_addr,
        admin: server.admin_addr,
        local: server.local(adapter),
        shutdown: shutdown.clone(),
    };
    parts.spawn_trials(preparer, replica, &foundation, &settings, &shutdown);
    parts.spawn(loader, Arc::new(registry), foundation.blobs, &settings, &shutdown);
    spawn_log(&log, &shutdown);
    server.serve();
    Ok(running)
}

/// What the parts that follow the champion share.
struct Parts {
    serving: Arc<Serving>,
    board: StatusBoard,
    targets: Targets,
    notices: Notices,
    metrics: Metrics,
}

impl Parts {
    /// Starts the tasks of versions on trial. The comparisons go on until no request is left.
    fn spawn_trials(
        &self,
        preparer: Preparer,
        replica: Slug,
        foundation: &Foundation,
        settings: &Settings,
        shutdown: &Shutdown,
    ) {
        let (queue, waiting) = ShadowQueue::new(settings.rollout.shadow_queue);
        let recorder = Recorder::new(
            Arc::clone(&foundation.blobs),
            replica,
            settings.rollout.clone(),
            self.metrics.rollout.clone(),
        );
        let director = Director {
            notices: self.notices.clone(),
            serving: Arc::clone(&self.serving),
            board: self.board.clone(),
            preparer,
            queue,
            metrics: self.metrics.clone(),
            clock: Arc::clone(&foundation.clock),
            settings: settings.champion.clone(),
        };
        shutdown.spawn_critical(
            "rollouts",
            until(shutdown.stopping(), async move { director.run().await }),
        );
        let comparer = Comparer {
            queue: waiting,
            recorder,
        };
        shutdown.spawn("shadow comparisons", comparer.run(shutdown.ending()));
    }

    /// Starts the tasks that bring in champions; they end as soon as the service stops.
    fn spawn(
        self,
        loader: Loader,
        registry: Arc<dyn Registry>,
        blobs: Arc<dyn BlobStore>,
        settings: &Settings,
        shutdown: &Shutdown,
    ) {
        let champion = settings.champion.clone();
        let subscription = Subscription {
            registry: Arc::clone(&registry),
            log: ChampionLog::new(Arc::clone(&blobs), settings.model.clone()),
            rollouts: RolloutLog::new(blobs, settings.model.clone()),
            targets: self.targets,
            notices: self.notices,
            board: self.board.clone(),
            metrics: self.metrics,
            settings: champion.clone(),
        };
        shutdown.spawn_critical("loader", until(shutdown.stopping(), async move { loader.run().await }));
        shutdown.spawn_critical(
            "subscription",
            until(shutdown.stopping(), async move { subscription.run().await }),
        );
        let (board, rollout) = (self.board, settings.rollout.clone());
        let reporting = async move { reporter::run(registry, board, &champion, &rollout).await };
        shutdown.spawn_critical("reporter", until(shutdown.stopping(), reporting));
    }
}

async fn open_log(
    directory: &Path,
    replica: &Slug,
    settings: &Settings,
    foundation: &Foundation,
    metrics: &Metrics,
) -> Result<Arc<PredictionLog>> {
    let (spool, replica, settings) = (
        directory.join("spool"),
        replica.clone(),
        settings.prediction_log.clone(),
    );
    let (store, metrics) = (Arc::clone(&foundation.blobs), metrics.log.clone());
    let opening =
        tokio::task::spawn_blocking(move || PredictionLog::open(&spool, &replica, &settings, store, &metrics));
    Ok(Arc::new(opening.await.map_err(|_| Error::Ending)??))
}

/// Uploads run until no request is left; the log is closed after them.
fn spawn_log(log: &Arc<PredictionLog>, shutdown: &Shutdown) {
    let uploading = Arc::clone(log);
    shutdown.spawn_critical(
        "prediction log upload",
        until(shutdown.ending(), async move { uploading.upload().await }),
    );
    let writing = Arc::clone(log);
    shutdown.spawn_critical(
        "prediction log writer",
        until(shutdown.ending(), async move { writing.writer_ended().await }),
    );
    let closing = Arc::clone(log);
    shutdown.on_flush(
        "prediction log",
        move || async move { closing.close(LAST_UPLOAD).await },
    );
}

/// A task that runs until `end`; ending before is a failure.
async fn until(end: impl Future<Output = ()>, task: impl Future<Output = ()>) -> std::result::Result<(), &'static str> {
    tokio::select! {
        () = end => Ok(()),
        () = task => Err("ended early"),
    }
}
