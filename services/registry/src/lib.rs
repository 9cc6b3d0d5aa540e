//! The registry: experiments and runs, model versions, the gate, and the champion.
//!
//! `service/` is the logic: [`service::tracking`] (runs and what is logged to them), [`service::models`] (versions and
//! the evidence about them), [`service::gate`] (the policy, a pure function), [`service::champions`] (promotion,
//! rollback, history, watching, over the champion log in the blob store), [`service::approvals`] (promotions that wait for approvers), [`service::rollouts`] (versions on trial), [`service::webhooks`] (telling others) and [`service::store`] (SQLite or Postgres). `grpc/` is the
//! adapter. Who is champion is in the blob store alone; the database can be lost without losing that.

mod error;
mod grpc;
pub mod metrics;
pub mod service;
mod settings;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast_api::registry::v1::artifact_service_server::ArtifactServiceServer;
use holdfast_api::registry::v1::champion_service_server::ChampionServiceServer;
use holdfast_api::registry::v1::import_service_server::ImportServiceServer;
use holdfast_api::registry::v1::lineage_service_server::LineageServiceServer;
use holdfast_api::registry::v1::logged_model_service_server::LoggedModelServiceServer;
use holdfast_api::registry::v1::model_service_server::ModelServiceServer;
use holdfast_api::registry::v1::promotion_service_server::PromotionServiceServer;
use holdfast_api::registry::v1::registered_model_service_server::RegisteredModelServiceServer;
use holdfast_api::registry::v1::retention_service_server::RetentionServiceServer;
use holdfast_api::registry::v1::rollout_service_server::RolloutServiceServer;
use holdfast_api::registry::v1::tracking_service_server::TrackingServiceServer;
use holdfast_api::registry::v1::webhook_service_server::WebhookServiceServer;
use holdfast_chassis::clock::{Clock, SystemClock};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::ServerBuilder;
use holdfast_chassis::{Common, Readiness, Shutdown};

pub use error::{Error, Result};
pub use settings::{ApprovalSettings, ArtifactSettings, ImportSettings, RolloutDefaults, Settings, WebhookSettings};

use holdfast_storage::BlobStore;
use jiff::SignedDuration;
use metrics::{Metrics, ModelLabels};
use service::approvals::Approvals;
use service::artifacts::Artifacts;
use service::champions::Champions;
use service::imports::Imports;
use service::lineage::Lineage;
use service::logged_models::LoggedModels;
use service::models::Models;
use service::registered::RegisteredModels;
use service::replicas::Replicas;
use service::retention::Retention;
use service::rollouts::Rollouts;
use service::store::SqlStore;
use service::tracking::Tracking;
use service::webhooks::Webhooks;

/// The method whose time the size of what is sent decides.
const UPLOAD_PATH: &str = "/holdfast.registry.v1.ArtifactService/WriteArtifact";

/// The method whose time the garbage decides, and how long it may take; a later call goes on.
const COLLECT_PATH: &str = "/holdfast.registry.v1.RetentionService/Collect";
const COLLECTION_TIMEOUT: Duration = Duration::from_hours(1);

/// The method that waits for somebody else's answer.
const WEBHOOK_TEST_PATH: &str = "/holdfast.registry.v1.WebhookService/TestWebhook";

/// A registry that answers.
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

/// Opens the stores, binds the ports and answers until `shutdown` triggers.
///
/// Boxed, so that its code is generated once, here, and not again in every program that starts it.
///
/// # Errors
/// [`Error`] when a store cannot be opened or a port cannot be had.
pub fn start(common: Common, settings: Settings, shutdown: Shutdown) -> BoxFuture<'static, Result<Running>> {
    Box::pin(open_and_serve(common, settings, shutdown))
}

async fn open_and_serve(common: Common, settings: Settings, shutdown: Shutdown) -> Result<Running> {
    let data_dir = &common.data_dir;
    let database = open_database(data_dir, &settings).await?;
    let blobs = common.blob_store.open(data_dir).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let registry = Arc::new(MetricsRegistry::new("registry"));
    let metrics = Metrics::new(&registry);
    let tracking = Tracking::new(database.clone(), clock.clone());
    let logged = LoggedModels::new(database.clone(), clock.clone());
    let lineage = Lineage::new(blobs.clone(), tracking.clone(), database.clone());
    let models = Models::new(
        database.clone(),
        blobs.clone(),
        clock.clone(),
        settings.gate.clone(),
        metrics.clone(),
    );
    let artifacts = Artifacts::open(
        database.clone(),
        blobs.clone(),
        clock.clone(),
        &data_dir.join("registry-uploads"),
        &settings.artifacts,
    )?;
    let replicas = Replicas::default();
    let (champions, rollouts) = champions(&blobs, (&models, &replicas), &clock, &metrics, &settings);
    let imports = imports(&database, &blobs, &clock, &settings);
    let retention = retention(&database, (&blobs, &lineage), &clock, &shutdown);
    let webhooks = webhooks(&database, &blobs, &clock, &metrics, &settings);
    let registered = registered_models(database, blobs, (&champions, &rollouts), clock.clone());
    let readiness = Readiness::new();
    let ready = readiness.condition("database");

    let limit = settings.server.max_message_bytes;
    let patience = SignedDuration::from_millis(i64::try_from(settings.replica_silent_after_ms).unwrap_or(i64::MAX));
    let champion_adapter = grpc::ChampionAdapter::new(
        (champions.clone(), rollouts.clone()),
        (replicas.clone(), patience),
        clock,
        shutdown.stopping_token(),
    );
    let promotion_adapter = grpc::PromotionAdapter::new(champions.clone(), rollouts.clone());
    let webhook_adapter = grpc::WebhookAdapter::new(webhooks.clone());
    let rollout_adapter = grpc::RolloutAdapter::new(rollouts.clone(), replicas);
    let server = ServerBuilder::new("registry", &settings.server, shutdown.clone(), registry, readiness)
        .service(TrackingServiceServer::new(grpc::TrackingAdapter::new(tracking)).max_decoding_message_size(limit))
        .service(LoggedModelServiceServer::new(grpc::LoggedModelAdapter::new(logged)).max_decoding_message_size(limit))
        .service(ModelServiceServer::new(grpc::ModelAdapter::new(models)).max_decoding_message_size(limit))
        .service(ChampionServiceServer::new(champion_adapter).max_decoding_message_size(limit))
        .service(PromotionServiceServer::new(promotion_adapter).max_decoding_message_size(limit))
        .service(registered.max_decoding_message_size(limit))
        .service(RolloutServiceServer::new(rollout_adapter).max_decoding_message_size(limit))
        .service(ArtifactServiceServer::new(grpc::ArtifactAdapter::new(artifacts)).max_decoding_message_size(limit))
        .service(imports.max_decoding_message_size(limit))
        .service(RetentionServiceServer::new(grpc::RetentionAdapter::new(retention)).max_decoding_message_size(limit))
        .service(LineageServiceServer::new(grpc::LineageAdapter::new(lineage)).max_decoding_message_size(limit))
        .service(WebhookServiceServer::new(webhook_adapter).max_decoding_message_size(limit))
        .timeout_of(COLLECT_PATH, COLLECTION_TIMEOUT)
        .timeout_of(UPLOAD_PATH, Duration::from_millis(settings.artifacts.upload_timeout_ms))
        .timeout_of(WEBHOOK_TEST_PATH, settings.webhooks.test_timeout())
        .descriptors(holdfast_api::DESCRIPTORS)
        .bind()
        .await?;
    let running = Running {
        grpc: server.grpc_addr,
        admin: server.admin_addr,
        shutdown: shutdown.clone(),
    };
    webhooks.run(champions.moved(), &shutdown);
    let interval = Duration::from_millis(settings.refresh_interval_ms);
    shutdown.spawn(
        "champion refresh",
        refresh((champions, rollouts), metrics, interval, shutdown.clone()),
    );
    ready.set_ready("open");
    server.serve();
    Ok(running)
}

/// Who is champion, and what is on trial.
fn champions(
    blobs: &Arc<dyn BlobStore>,
    (models, replicas): (&Models, &Replicas),
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
    settings: &Settings,
) -> (Champions, Rollouts) {
    let approvals = Approvals::new(blobs.clone(), clock.clone(), settings.approval.clone());
    let beside = (approvals, replicas.clone());
    let champions = Champions::new(blobs.clone(), models.clone(), beside, clock.clone(), metrics.clone());
    let judged = (models.clone(), champions.clone());
    let rollouts = Rollouts::new(blobs.clone(), judged, clock.clone(), metrics.clone(), settings.rollout);
    (champions, rollouts)
}

/// Those who are told when a champion changes.
fn webhooks(
    database: &Arc<SqlStore>,
    blobs: &Arc<dyn BlobStore>,
    clock: &Arc<dyn Clock>,
    metrics: &Metrics,
    settings: &Settings,
) -> Webhooks {
    let settings = settings.webhooks.clone();
    Webhooks::new(
        database.clone(),
        blobs.clone(),
        clock.clone(),
        settings,
        metrics.clone(),
    )
}

/// Collections of what nothing refers to any more.
fn retention(
    database: &Arc<SqlStore>,
    (blobs, lineage): (&Arc<dyn BlobStore>, &Lineage),
    clock: &Arc<dyn Clock>,
    tasks: &Shutdown,
) -> Retention {
    let (blobs, lineage) = (blobs.clone(), lineage.clone());
    Retention::new(database.clone(), blobs, lineage, clock.clone(), tasks.clone())
}

/// The service of imports.
fn imports(
    database: &Arc<SqlStore>,
    blobs: &Arc<dyn BlobStore>,
    clock: &Arc<dyn Clock>,
    settings: &Settings,
) -> ImportServiceServer<grpc::ImportAdapter> {
    let lease = Duration::from_millis(settings.imports.lease_ms);
    let imports = Imports::new(database.clone(), blobs.clone(), clock.clone(), lease);
    ImportServiceServer::new(grpc::ImportAdapter::new(imports))
}

/// The service of registered models.
fn registered_models(
    database: Arc<SqlStore>,
    blobs: Arc<dyn BlobStore>,
    (champions, rollouts): (&Champions, &Rollouts),
    clock: Arc<dyn Clock>,
) -> RegisteredModelServiceServer<grpc::RegisteredModelAdapter> {
    let beside = (champions.clone(), rollouts.clone());
    let made_from = (
        database.clone() as Arc<_>,
        database.clone() as Arc<_>,
        database.clone() as Arc<_>,
    );
    let models = RegisteredModels::new(database, made_from, blobs, beside, clock);
    RegisteredModelServiceServer::new(grpc::RegisteredModelAdapter::new(models))
}

/// The database: Postgres where the settings name one, else a SQLite file, in the data directory unless they name
/// another place.
async fn open_database(data_dir: &Path, settings: &Settings) -> Result<Arc<SqlStore>> {
    tokio::fs::create_dir_all(data_dir)
        .await
        .map_err(|source| Error::DataDir {
            path: data_dir.display().to_string(),
            source,
        })?;
    if let Some(url) = &settings.database_url {
        return Ok(Arc::new(SqlStore::open_postgres(url).await?));
    }
    let path = settings
        .database_path
        .clone()
        .unwrap_or_else(|| data_dir.join("registry.db"));
    Ok(Arc::new(SqlStore::open_sqlite(&path).await?))
}

/// Follows what other registry replicas write to the champion log and to the record of rollouts, and finishes approved
/// promotions that one of them has left.
async fn refresh((champions, rollouts): (Champions, Rollouts), metrics: Metrics, every: Duration, shutdown: Shutdown) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let ending = shutdown.ending_token();
    loop {
        tokio::select! {
            () = ending.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = champions.refresh().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "champion log cannot be read, serving what is known"
            );
        }
        match champions.finish_approved().await {
            Ok(moved) => {
                for model in moved {
                    rollouts.champion_moved(&model).await;
                }
            }
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "record of approvals cannot be read, approved promotions wait"
            ),
        }
        if let Err(error) = rollouts.refresh().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "record of rollouts cannot be read, serving what is known"
            );
        }
        metrics
            .watchers
            .set(i64::try_from(champions.watchers()).unwrap_or(i64::MAX));
        for (model, generation) in champions.generations() {
            let labels = ModelLabels {
                model: model.to_string(),
            };
            let generation = i64::try_from(generation.0).unwrap_or(i64::MAX);
            metrics.champion_generation.get_or_create(&labels).set(generation);
        }
    }
}
