//! A registry in this process, on free ports and a directory of its own.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_api::registry::v1::import_service_client::ImportServiceClient;
use holdfast_api::registry::v1::lineage_service_client::LineageServiceClient;
use holdfast_api::registry::v1::logged_model_service_client::LoggedModelServiceClient;
use holdfast_api::registry::v1::model_service_client::ModelServiceClient;
use holdfast_api::registry::v1::promotion_service_client::PromotionServiceClient;
use holdfast_api::registry::v1::registered_model_service_client::RegisteredModelServiceClient;
use holdfast_api::registry::v1::retention_service_client::RetentionServiceClient;
use holdfast_api::registry::v1::rollout_service_client::RolloutServiceClient;
use holdfast_api::registry::v1::tracking_service_client::TrackingServiceClient;
use holdfast_api::registry::v1::webhook_service_client::WebhookServiceClient;
use holdfast_chassis::settings::{Common, SettingsSources, load};
use holdfast_chassis::{Fault, Shutdown};
use holdfast_domain::{Digest, RunId};
use holdfast_registry::{Running, Settings, start};
use holdfast_storage::{BlobStore, Key};
use tonic::Status;
use tonic::transport::Channel;

pub(crate) const MODEL: &str = "churn";

pub(crate) struct Registry {
    pub(crate) tracking: TrackingServiceClient<Channel>,
    pub(crate) logged_models: LoggedModelServiceClient<Channel>,
    pub(crate) models: ModelServiceClient<Channel>,
    pub(crate) champions: ChampionServiceClient<Channel>,
    pub(crate) promotions: PromotionServiceClient<Channel>,
    pub(crate) registered: RegisteredModelServiceClient<Channel>,
    pub(crate) rollouts: RolloutServiceClient<Channel>,
    pub(crate) artifacts: ArtifactServiceClient<Channel>,
    pub(crate) imports: ImportServiceClient<Channel>,
    pub(crate) lineage: LineageServiceClient<Channel>,
    pub(crate) retention: RetentionServiceClient<Channel>,
    pub(crate) webhooks: WebhookServiceClient<Channel>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    running: Running,
    shutdown: Shutdown,
}

/// The settings a registry in `dir` runs with.
pub(crate) fn settings(dir: &Path) -> (Common, Settings) {
    let path = serde_json::Value::String(dir.display().to_string());
    let sources = SettingsSources {
        overrides: vec![("data_dir".to_owned(), path)],
        ..SettingsSources::default()
    };
    let (common, _) = load::<Settings>(&sources).unwrap();
    (common, Settings::on_free_ports())
}

impl Registry {
    pub(crate) async fn start(dir: &Path) -> Self {
        let (_, settings) = settings(dir);
        Self::start_with(dir, settings).await
    }

    pub(crate) async fn start_with(dir: &Path, own: Settings) -> Self {
        let (common, _) = settings(dir);
        Self::start_as(dir, common, own).await
    }

    pub(crate) async fn start_as(dir: &Path, common: Common, own: Settings) -> Self {
        let blobs = common.blob_store.open(dir).await.unwrap();
        let shutdown = Shutdown::new("registry test");
        let running = start(common, own, shutdown.clone()).await.unwrap();
        let channel = Channel::from_shared(format!("http://{}", running.grpc))
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            tracking: TrackingServiceClient::new(channel.clone()),
            logged_models: LoggedModelServiceClient::new(channel.clone()),
            models: ModelServiceClient::new(channel.clone()),
            champions: ChampionServiceClient::new(channel.clone()),
            promotions: PromotionServiceClient::new(channel.clone()),
            registered: RegisteredModelServiceClient::new(channel.clone()),
            rollouts: RolloutServiceClient::new(channel.clone()),
            retention: RetentionServiceClient::new(channel.clone()),
            webhooks: WebhookServiceClient::new(channel.clone()),
            imports: ImportServiceClient::new(channel.clone()),
            lineage: LineageServiceClient::new(channel.clone()),
            artifacts: ArtifactServiceClient::new(channel),
            blobs,
            running,
            shutdown,
        }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger("the test is over");
        self.running.join().await;
    }

    /// A READY version with an artefact of these bytes.
    pub(crate) async fn ready_version(&mut self, bytes: &'static [u8]) -> wire::ModelVersion {
        self.ready_version_of(&RunId::generate(), bytes).await
    }

    /// A READY version that this run made.
    pub(crate) async fn ready_version_of(&mut self, run: &RunId, bytes: &'static [u8]) -> wire::ModelVersion {
        let request = wire::CreateModelVersionRequest {
            model: MODEL.to_owned(),
            run_id: run.to_string(),
            created_by: "test".to_owned(),
        };
        let reserved = self
            .models
            .create_model_version(request)
            .await
            .unwrap()
            .into_inner()
            .version
            .unwrap();
        let key = Key::parse(&*reserved.artifact_key).unwrap();
        let _ = self.blobs.create(&key, Bytes::from_static(bytes)).await.unwrap();
        let request = wire::FinishModelVersionRequest {
            r#ref: Some(ModelRef {
                artifact_digest: Digest::of(bytes).to_string(),
                ..reserved.r#ref.unwrap()
            }),
            family: "boosted_trees".to_owned(),
            training_snapshot: String::new(),
            test_snapshot: String::new(),
        };
        self.models
            .finish_model_version(request)
            .await
            .unwrap()
            .into_inner()
            .version
            .unwrap()
    }

    pub(crate) async fn decide(&mut self, version: u32, evaluation: wire::Evaluation) -> wire::GateDecision {
        let request = wire::EvaluateGateRequest {
            model: MODEL.to_owned(),
            version,
            evaluation: Some(evaluation),
        };
        self.models
            .evaluate_gate(request)
            .await
            .unwrap()
            .into_inner()
            .decision
            .unwrap()
    }

    /// Promotes by a person's word.
    pub(crate) async fn crown(&mut self, version: u32) -> wire::ChampionEntry {
        self.champions
            .promote(promotion(version, true))
            .await
            .unwrap()
            .into_inner()
            .entry
            .unwrap()
    }
}

pub(crate) fn promotion(version: u32, override_gate: bool) -> wire::PromoteRequest {
    wire::PromoteRequest {
        model: MODEL.to_owned(),
        version,
        expected_generation: None,
        actor: "ada".to_owned(),
        note: "a test".to_owned(),
        override_gate,
    }
}

pub(crate) fn quality(roc_auc: f64) -> wire::Quality {
    wire::Quality {
        rows: 2_000,
        positives: 320,
        roc_auc,
        roc_auc_lower: roc_auc - 0.004,
        roc_auc_upper: (roc_auc + 0.004).min(1.0),
        pr_auc: 0.9,
        log_loss: 0.1,
        brier: 0.03,
        calibration_error: 0.01,
        f1: 0.9,
        accuracy: 0.95,
        precision: 0.9,
        recall: 0.9,
    }
}

pub(crate) fn evaluation(roc_auc: f64) -> wire::Evaluation {
    wire::Evaluation {
        test_snapshot: Digest::of(b"test rows").to_string(),
        full: Some(quality(roc_auc)),
        required_only: Some(quality(roc_auc - 0.004)),
        baseline: Some(quality(0.91)),
        baseline_p_value: 1e-12,
        champion: None,
        newest_window: None,
        slices: Vec::new(),
    }
}

pub(crate) fn against(champion: ModelRef, candidate: f64, other: f64, p_value: f64) -> wire::PairedComparison {
    wire::PairedComparison {
        snapshot: Digest::of(b"test rows").to_string(),
        champion: Some(champion),
        candidate_quality: Some(quality(candidate)),
        champion_quality: Some(quality(other)),
        auc_delta: candidate - other,
        auc_delta_standard_error: 0.001,
        p_value,
    }
}

/// The reason a caller can act on.
pub(crate) fn reason(status: &Status) -> String {
    Fault::from_status(status).reason.into_owned()
}

pub(crate) fn violated(status: &Status) -> Vec<(String, String)> {
    Fault::from_status(status)
        .violations
        .into_iter()
        .map(|violation| (violation.field, violation.rule))
        .collect()
}
