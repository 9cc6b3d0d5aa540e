//! A service in this process, and the world around it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use holdfast_api::inference::v1 as wire;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_api::open_inference::v2::grpc_inference_service_client::GrpcInferenceServiceClient;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::clock::{Clock, FakeClock};
use holdfast_chassis::settings::{ClientSettings, load};
use holdfast_chassis::{SettingsSources, Shutdown};
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, Schema};
use holdfast_inference::{Foundation, Running, Settings, start_on};
use holdfast_records::champion::{Appended, ChampionLog, ChampionReason, NewEntry, Nonce};
use holdfast_records::layout;
use holdfast_records::prediction::{self, PredictionRecord};
use holdfast_storage::testing::FaultyStore;
use holdfast_storage::{BlobStore, MemoryStore, list_all};
use holdfast_testkit::eventually_some;
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{FakeRegistry, artifact};

pub(crate) const MODEL: &str = "churn";
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The world: a blob store that can fail, a clock, a registry, a data directory.
pub(crate) struct Sandbox {
    pub(crate) store: FaultyStore,
    pub(crate) clock: FakeClock,
    /// Another clock for the service than that one.
    pub(crate) own_clock: Option<Arc<dyn Clock>>,
    pub(crate) registry: FakeRegistry,
    pub(crate) data_dir: TempDir,
    pub(crate) overrides: Vec<(String, Value)>,
}

impl Sandbox {
    /// An empty blob store, a registry that is away.
    pub(crate) fn new() -> Self {
        let now: Timestamp = "2026-03-01T10:20:30.5Z".parse().unwrap();
        Self {
            store: FaultyStore::new(Arc::new(MemoryStore::new())),
            clock: FakeClock::at(now),
            own_clock: None,
            registry: FakeRegistry::away(),
            data_dir: tempfile::tempdir().unwrap(),
            overrides: Vec::new(),
        }
    }

    /// With the artefact of flavour 1 as champion version 1, in the champion log.
    pub(crate) async fn with_champion() -> Self {
        let sandbox = Self::new();
        let digest = sandbox.publish(1, &artifact(1)).await;
        sandbox.promote(0, 1, digest).await;
        sandbox
    }

    /// The same world with a setting of its own.
    pub(crate) fn set(mut self, path: &str, value: impl Into<Value>) -> Self {
        self.overrides.push((format!("inference.{path}"), value.into()));
        self
    }

    /// Puts an artefact into the blob store as a version.
    pub(crate) async fn publish(&self, version: u32, bytes: &[u8]) -> Digest {
        let key = layout::model_key(&name(), ModelVersion(version));
        self.store.put(&key, bytes.to_vec().into()).await.unwrap();
        Digest::of(bytes)
    }

    /// Appends to the champion log; answers the new generation.
    pub(crate) async fn promote(&self, expected: u64, version: u32, artifact_digest: Digest) -> u64 {
        let new = NewEntry {
            version: ModelVersion(version),
            artifact_digest,
            actor: "test".to_owned(),
            reason: ChampionReason::Override {
                note: "test".to_owned(),
            },
            approval: None,
            at: Timestamp::UNIX_EPOCH,
            nonce: Nonce::generate(),
        };
        let log = ChampionLog::new(Arc::new(self.store.clone()), name());
        match log.append(Generation(expected), new).await.unwrap() {
            Appended::Won(stored) => stored.entry.generation.0,
            Appended::Lost { .. } => panic!("lost a race against nobody"),
        }
    }

    /// Starts the service and waits until it serves this version.
    pub(crate) async fn serving(&self, version: u32) -> Service {
        let service = self.start().await;
        service.serves(version).await;
        service
    }

    /// Starts the service.
    pub(crate) async fn start(&self) -> Service {
        self.start_in(self.data_dir.path()).await
    }

    /// Starts the service on another data directory.
    pub(crate) async fn start_in(&self, data_dir: &Path) -> Service {
        let quick = [
            ("data_dir", json!(data_dir)),
            ("peers.registry", json!(self.registry.url())),
            ("inference.bind", json!("127.0.0.1:0")),
            ("inference.admin", json!("127.0.0.1:0")),
            ("inference.replica", json!("blue-1")),
            ("inference.champion.poll_interval_ms", json!(10)),
            ("inference.champion.retry_initial_ms", json!(5)),
            ("inference.champion.retry_max_ms", json!(50)),
            ("inference.rollout.report_interval_ms", json!(10)),
            ("inference.prediction_log.retry_initial_ms", json!(5)),
            ("inference.prediction_log.retry_max_ms", json!(50)),
        ];
        let quick = quick.into_iter().map(|(path, value)| (path.to_owned(), value));
        let overrides = quick.chain(self.overrides.iter().cloned()).collect();
        let sources = SettingsSources {
            file: None,
            environment: BTreeMap::new(),
            overrides,
        };
        let (common, settings) = load::<Settings>(&sources).unwrap();
        let shutdown = Shutdown::new("inference");
        let foundation = Foundation {
            blobs: Arc::new(self.store.clone()),
            clock: self.own_clock.clone().unwrap_or_else(|| Arc::new(self.clock.clone())),
        };
        let running = start_on(foundation, common, settings, shutdown.clone()).await.unwrap();
        Service::new(running, shutdown)
    }

    /// The directory of the spool.
    pub(crate) fn spool(&self) -> PathBuf {
        self.data_dir.path().join("inference/spool")
    }

    /// Everything of the prediction log in the blob store, by key.
    pub(crate) async fn logged(&self) -> BTreeMap<String, Vec<PredictionRecord>> {
        let mut logged = BTreeMap::new();
        for meta in list_all(&self.store, "predictions").await.unwrap() {
            let bytes = self.store.get(&meta.key).await.unwrap();
            logged.insert(
                meta.key.to_string(),
                prediction::decode(bytes, Schema::embedded()).unwrap(),
            );
        }
        logged
    }

    /// The records of the log, in the order of their keys.
    pub(crate) async fn records(&self) -> Vec<PredictionRecord> {
        self.logged().await.into_values().flatten().collect()
    }
}

fn name() -> ModelName {
    ModelName::parse(MODEL).unwrap()
}

/// A service that answers.
pub(crate) struct Service {
    pub(crate) client: InferenceServiceClient<Channel>,
    pub(crate) open: GrpcInferenceServiceClient<Channel>,
    pub(crate) admin: SocketAddr,
    running: Running,
    shutdown: Shutdown,
}

impl Service {
    fn new(running: Running, shutdown: Shutdown) -> Self {
        let channel = ClientBuilder::new(format!("http://{}", running.grpc), &ClientSettings::default());
        let channel = channel.deadline(SOON).channel().unwrap();
        Self {
            client: InferenceServiceClient::new(channel.clone()),
            open: GrpcInferenceServiceClient::new(channel),
            admin: running.admin,
            running,
            shutdown,
        }
    }

    /// Ends it in order.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger("test");
        self.running.join().await;
    }

    /// Waits until this version serves.
    pub(crate) async fn serves(&self, version: u32) {
        let waited = format!("version {version} in service");
        let serves = async || {
            let served = self
                .client
                .clone()
                .get_model(wire::GetModelRequest {})
                .await
                .ok()?
                .into_inner()
                .served?;
            (served.model?.version == version).then_some(())
        };
        eventually_some(&waited, SOON, serves).await;
    }

    /// One prediction.
    pub(crate) async fn predict(
        &self,
        customer: holdfast_api::common::v1::Customer,
    ) -> Result<wire::PredictResponse, tonic::Status> {
        let request = wire::PredictRequest {
            customer: Some(customer),
            ..wire::PredictRequest::default()
        };
        Ok(self.client.clone().predict(request).await?.into_inner())
    }

    /// The replica's state.
    pub(crate) async fn status(&self) -> wire::GetReplicaStatusResponse {
        self.client
            .clone()
            .get_replica_status(wire::GetReplicaStatusRequest {})
            .await
            .unwrap()
            .into_inner()
    }

    /// The prediction log's state.
    pub(crate) async fn log_status(&self) -> wire::PredictionLogStatus {
        self.status().await.prediction_log.unwrap()
    }

    /// Flushes the prediction log.
    pub(crate) async fn flush(&self) -> Result<wire::PredictionLogStatus, tonic::Status> {
        let response = self
            .client
            .clone()
            .flush_prediction_log(wire::FlushPredictionLogRequest {})
            .await?;
        Ok(response.into_inner().prediction_log.unwrap())
    }

    /// Status and body of a page of the admin server.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let response = reqwest::get(format!("http://{}{path}", self.admin)).await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of a series on `/metrics`.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.admin("/metrics").await;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in\n{text}"))
            .parse()
            .unwrap()
    }
}
