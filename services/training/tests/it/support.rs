//! A training service and a registry in this process, on free ports and over one directory.

use std::path::Path;
use std::sync::Arc;

use holdfast_api::registry::v1 as registry_wire;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_api::registry::v1::model_service_client::ModelServiceClient;
use holdfast_api::registry::v1::tracking_service_client::TrackingServiceClient;
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::import_snapshot_request::Part;
use holdfast_api::training::v1::training_service_client::TrainingServiceClient;
use holdfast_chassis::settings::{Common, SettingsSources, load};
use holdfast_chassis::{Fault, Shutdown};
use holdfast_domain::{Customer, Digest, Schema};
use holdfast_sources::SourceSpec;
use holdfast_storage::BlobStore;
use holdfast_training::Settings;
use tempfile::TempDir;
use tokio_stream::StreamExt as _;
use tonic::Status;
use tonic::transport::Channel;

/// What the settings of a bench are, to be changed before it starts.
pub(crate) struct Setup {
    pub(crate) common: Common,
    pub(crate) settings: Settings,
}

/// A training service, over a registry where one was asked for.
pub(crate) struct Bench {
    pub(crate) training: TrainingServiceClient<Channel>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    running: holdfast_training::Running,
    shutdown: Shutdown,
}

/// A registry beside it.
pub(crate) struct Registry {
    pub(crate) tracking: TrackingServiceClient<Channel>,
    pub(crate) champions: ChampionServiceClient<Channel>,
    pub(crate) models: ModelServiceClient<Channel>,
    pub(crate) url: String,
    running: holdfast_registry::Running,
    shutdown: Shutdown,
}

pub(crate) fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn common(dir: &Path) -> Common {
    let path = serde_json::Value::String(dir.display().to_string());
    let sources = SettingsSources {
        overrides: vec![("data_dir".to_owned(), path)],
        ..SettingsSources::default()
    };
    load::<Settings>(&sources).unwrap().0
}

async fn connect(url: String) -> Channel {
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

impl Registry {
    pub(crate) async fn start(dir: &Path) -> Self {
        let shutdown = Shutdown::new("registry of a test");
        let settings = holdfast_registry::Settings::on_free_ports();
        let running = holdfast_registry::start(common(dir), settings, shutdown.clone())
            .await
            .unwrap();
        let url = format!("http://{}", running.grpc);
        let channel = connect(url.clone()).await;
        Self {
            tracking: TrackingServiceClient::new(channel.clone()),
            champions: ChampionServiceClient::new(channel.clone()),
            models: ModelServiceClient::new(channel),
            url,
            running,
            shutdown,
        }
    }

    pub(crate) async fn champion(&mut self) -> registry_wire::ChampionEntry {
        let request = registry_wire::GetChampionRequest {
            model: "churn".into(),
            at: None,
        };
        self.champions
            .get_champion(request)
            .await
            .unwrap()
            .into_inner()
            .entry
            .unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger("the test is over");
        self.running.join().await;
    }
}

impl Setup {
    /// Defaults over `dir`, with a registry at an address where nobody listens unless one is given.
    pub(crate) fn new(dir: &Path, registry: Option<&Registry>) -> Self {
        let mut common = common(dir);
        common.peers.registry =
            registry.map_or_else(|| "http://127.0.0.1:1".to_owned(), |registry| registry.url.clone());
        let settings = Settings {
            preset: "fast".into(),
            progress_interval_ms: 10,
            registry_patience_ms: 50,
            ..Settings::on_free_ports()
        };
        Self { common, settings }
    }

    pub(crate) async fn start(self) -> Bench {
        let shutdown = Shutdown::new("training of a test");
        let blobs = self.common.blob_store.open(&self.common.data_dir).await.unwrap();
        let running = holdfast_training::start(self.common, self.settings, shutdown.clone())
            .await
            .unwrap();
        let channel = connect(format!("http://{}", running.grpc)).await;
        Bench {
            training: TrainingServiceClient::new(channel),
            blobs,
            running,
            shutdown,
        }
    }
}

impl Bench {
    pub(crate) fn admin(&self) -> std::net::SocketAddr {
        self.running.admin
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger("the test is over");
        self.running.join().await;
    }

    pub(crate) async fn import_bytes(
        &mut self,
        format: wire::TableFormat,
        source: &str,
        bytes: &[u8],
    ) -> Result<wire::ImportSnapshotResponse, Status> {
        let header = wire::ImportSnapshotHeader {
            format: format.into(),
            source: source.to_owned(),
        };
        let message = |part| wire::ImportSnapshotRequest { part: Some(part) };
        let mut messages = vec![message(Part::Header(header))];
        messages.extend(bytes.chunks(200_000).map(|chunk| message(Part::Chunk(chunk.to_vec()))));
        messages.push(message(Part::End(wire::ImportSnapshotEnd {
            size_bytes: bytes.len() as u64,
        })));
        Ok(self
            .training
            .import_snapshot(tokio_stream::iter(messages))
            .await?
            .into_inner())
    }

    /// Imports customers as CSV and answers the digest.
    pub(crate) async fn import(&mut self, customers: &[Customer]) -> String {
        let bytes = csv(customers).await;
        let answer = self
            .import_bytes(wire::TableFormat::Csv, "bank.csv", &bytes)
            .await
            .unwrap();
        answer.snapshot.unwrap().digest
    }

    pub(crate) async fn start_run(&mut self, request: wire::StartRunRequest) -> Result<String, Status> {
        Ok(self.training.start_run(request).await?.into_inner().run_id)
    }

    pub(crate) async fn run(&mut self, run_id: &str) -> wire::PipelineRun {
        let request = wire::GetRunRequest { run_id: run_id.into() };
        self.training.get_run(request).await.unwrap().into_inner().run.unwrap()
    }

    /// Follows a run to its end: its log, and the run.
    pub(crate) async fn follow(&mut self, run_id: &str) -> (Vec<wire::RunEvent>, wire::PipelineRun) {
        let request = wire::WatchRunRequest {
            run_id: run_id.into(),
            after_sequence: 0,
        };
        let mut stream = self.training.watch_run(request).await.unwrap().into_inner();
        let (mut events, mut run) = (Vec::new(), None);
        while let Some(message) = stream.next().await {
            let message = message.unwrap();
            assert!(run.is_none(), "the run comes with the last message");
            events.extend(message.event);
            run = message.run;
        }
        (events, run.expect("the stream ends with the run"))
    }

    /// Starts a run and waits for its end.
    pub(crate) async fn train(&mut self, request: wire::StartRunRequest) -> wire::PipelineRun {
        let run_id = self.start_run(request).await.unwrap();
        self.follow(&run_id).await.1
    }

    /// The rows of a snapshot.
    pub(crate) async fn rows(&self, digest: &str) -> Vec<Customer> {
        let digest: Digest = digest.parse().unwrap();
        holdfast_records::snapshot::read(&*self.blobs, &digest, Schema::embedded())
            .await
            .unwrap()
            .1
    }
}

/// Customers as a CSV file.
pub(crate) async fn csv(customers: &[Customer]) -> Vec<u8> {
    let dir = directory();
    let path = dir.path().join("bank.csv");
    let spec = SourceSpec::Csv { path: path.clone() };
    holdfast_sources::write(&spec, customers, Schema::embedded())
        .await
        .unwrap();
    std::fs::read(path).unwrap()
}

pub(crate) fn of_snapshot(digest: &str) -> wire::StartRunRequest {
    wire::StartRunRequest {
        snapshot: digest.into(),
        requested_by: "test".into(),
        ..wire::StartRunRequest::default()
    }
}

pub(crate) fn result(run: &wire::PipelineRun) -> &wire::RunResult {
    assert_eq!(run.state(), wire::StepState::Done, "{}", run.error);
    run.result.as_ref().unwrap()
}

pub(crate) fn metric(run: &wire::PipelineRun, name: &str) -> f64 {
    let metrics = &result(run).metrics;
    *metrics
        .get(name)
        .unwrap_or_else(|| panic!("no metric {name} in {metrics:?}"))
}

pub(crate) fn step<'a>(run: &'a wire::PipelineRun, name: &str) -> &'a wire::Step {
    run.steps.iter().find(|step| step.name == name).unwrap()
}

/// The fault of a call that must fail.
pub(crate) fn fault<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Fault {
    Fault::from_status(&outcome.expect_err("a refusal"))
}

/// The parameter sets with a few trees each: for tests that look at everything but quality.
pub(crate) fn small_params(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("small-params.yaml");
    let smaller = |line: &str| match line.split_once("trees: ") {
        // Not the range of a search.
        Some((before, number)) if before.trim().is_empty() && number.parse::<u32>().is_ok() => {
            format!("{before}trees: 12\n")
        }
        _ => format!("{line}\n"),
    };
    let text: String = holdfast_training::service::params::EMBEDDED
        .lines()
        .map(smaller)
        .collect();
    std::fs::write(&path, text).unwrap();
    path
}

/// A parameter set that trains until it is stopped.
pub(crate) fn endless_params(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("params.yaml");
    let text = holdfast_training::service::params::EMBEDDED.replacen("trees: 400", "trees: 10000", 1);
    let text = text.replacen("max_depth: 6", "max_depth: 16", 1);
    std::fs::write(&path, text).unwrap();
    path
}
