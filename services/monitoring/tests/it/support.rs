//! A monitoring service in this process, the bank behind it, and a training service that notes what it is asked for.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::Stream;
use holdfast_api::monitoring::v1 as wire;
use holdfast_api::monitoring::v1::monitoring_service_client::MonitoringServiceClient;
use holdfast_api::time;
use holdfast_api::training::v1 as training;
use holdfast_api::training::v1::training_service_server::{TrainingService, TrainingServiceServer};
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::clock::FakeClock;
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::ServerBuilder;
use holdfast_chassis::settings::{Common, ServerSettings, SettingsSources, load};
use holdfast_chassis::{Fault, Readiness, Shutdown};
use holdfast_domain::{
    Customer, CustomerKey, Digest, Feature, FeatureVector, Generation, ModelName, ModelVersion, Schema,
};
use holdfast_model::{
    Calibration, Ensemble, Estimator, Family, Link, LogisticCoefficients, Model, ModelDraft, Origin, Preprocessing,
    Provenance, ReferenceProfile, Step, Threshold,
};
use holdfast_monitoring::service::sample::WindowSample;
use holdfast_monitoring::{Running, Settings, start_with};
use holdfast_records::Slug;
use holdfast_records::champion::{Appended, ChampionLog, ChampionReason, NewEntry, Nonce};
use holdfast_records::layout::prediction_key;
use holdfast_records::model_manifest::write_artifact;
use holdfast_records::prediction::{self, PredictionRecord};
use holdfast_simulator::customers_between;
use holdfast_storage::{BlobStore, Created, DirectoryStore};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::sync::Notify;
use tonic::{Request, Response, Status};

/// Customers the champion was "trained" on.
pub(crate) const REFERENCE_ROWS: u64 = 3_000;

const BANK_SEED: u64 = 7;

pub(crate) fn schema() -> &'static Schema {
    Schema::embedded()
}

pub(crate) fn churn() -> ModelName {
    ModelName::parse("churn").unwrap()
}

/// When the tests take place.
pub(crate) fn noon() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

/// Customers of the same bank whom the champion has never seen, with the labels that will turn out.
pub(crate) fn unseen(first: u64, count: u64) -> Vec<Customer> {
    let first = REFERENCE_ROWS + first;
    customers_between(first..first + count, BANK_SEED)
}

pub(crate) fn features(customers: &[Customer]) -> Vec<FeatureVector> {
    customers.iter().map(|customer| customer.features).collect()
}

/// What monitoring and its tests need of a champion: a logistic regression written by hand, and the true profile of the reference rows.
pub(crate) fn draft() -> ModelDraft {
    let weights = [
        (Feature::TotalTransCt, 65.0, 23.0, -1.6),
        (Feature::TotalRevolvingBal, 1_160.0, 815.0, -0.8),
        (Feature::TotalCtChngQ4Q1, 0.71, 0.24, -0.7),
        (Feature::TotalRelationshipCount, 3.8, 1.55, -0.5),
        (Feature::TotalTransAmt, 4_400.0, 3_400.0, 0.9),
        (Feature::ContactsCount12Mon, 2.45, 1.1, 0.4),
    ];
    let mut steps = Vec::new();
    for (feature, mean, scale, _) in weights {
        let column = feature.name().to_owned();
        steps.push(Step::Imputation {
            column: column.clone(),
            value: mean,
        });
        steps.push(Step::Scaling { column, mean, scale });
    }
    let linear = LogisticCoefficients {
        intercept: -2.6,
        coefficients: weights.iter().map(|(.., weight)| *weight).collect(),
        column_means: vec![0.0; weights.len()],
    };
    let rows = features(&customers_between(0..REFERENCE_ROWS, BANK_SEED));
    let mut draft = ModelDraft {
        preprocessing: Preprocessing {
            steps,
            columns: weights.iter().map(|(feature, ..)| feature.name().to_owned()).collect(),
        },
        ensemble: Ensemble::single(Estimator::Logistic(linear), Link::Logistic),
        calibration: Calibration::None,
        threshold: Threshold::fixed(0.5),
        profile: ReferenceProfile::build(&rows, &[], schema()),
        origin: Origin {
            family: Family::LogisticRegression,
            provenance: Provenance::Trained,
            run_id: None,
            training_snapshots: vec![Digest::of(b"train")],
            test_snapshots: vec![Digest::of(b"test")],
            code_version: "0.1.0".to_owned(),
            seed: BANK_SEED,
            parameters: Vec::new(),
        },
    };
    let preview = draft.preview(schema()).unwrap();
    let scores: Vec<f64> = rows.iter().map(|row| preview.score(row)).collect();
    draft.profile = ReferenceProfile::build(&rows, &scores, schema());
    draft
}

pub(crate) fn artifact() -> Vec<u8> {
    let golden = features(&unseen(0, 3));
    draft().encode(&golden, schema()).unwrap()
}

/// Features of a window as columns, with the scores of `model`.
pub(crate) fn sample(model: &Model, rows: &[FeatureVector]) -> WindowSample {
    let mut sample = WindowSample::new(model.profile(), schema());
    for row in rows {
        sample.push(row, Some(model.score(row)));
    }
    sample
}

/// A monitoring service, and everything around it.
pub(crate) struct Sandbox {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) clock: FakeClock,
    pub(crate) client: MonitoringServiceClient<Channel>,
    pub(crate) running: Running,
    pub(crate) training: FakeTraining,
    pub(crate) model: Model,
    shutdown: Shutdown,
    sequence: u64,
    _directory: TempDir,
}

impl Sandbox {
    /// With a champion, version 1.
    pub(crate) async fn with_champion() -> Self {
        let mut sandbox = Self::start(|_| {}).await;
        sandbox.promote(1).await;
        sandbox
    }

    /// Without a champion, with other settings.
    pub(crate) async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = TempDir::new().unwrap();
        let blobs: Arc<dyn BlobStore> = Arc::new(DirectoryStore::open(directory.path().join("blobs")).await.unwrap());
        let shutdown = Shutdown::new("test");
        let training = FakeTraining::default();
        let (mut common, _): (Common, Settings) = load(&SettingsSources::default()).unwrap();
        common.peers.training = training.serve(&shutdown).await;
        let mut settings = Settings::on_free_ports();
        change(&mut settings);
        let clock = FakeClock::at(noon());
        let running = start_with(
            &common,
            settings,
            Arc::clone(&blobs),
            Arc::new(clock.clone()),
            shutdown.child("monitoring"),
        )
        .await
        .unwrap();
        let url = format!("http://{}", running.grpc);
        let channel = ClientBuilder::new(url, &common.client)
            .deadline(Duration::from_secs(60))
            .channel()
            .unwrap();
        Self {
            blobs,
            clock,
            client: MonitoringServiceClient::new(channel),
            running,
            training,
            model: Model::decode(&artifact(), schema()).unwrap(),
            shutdown,
            sequence: 0,
            _directory: directory,
        }
    }

    pub(crate) async fn promote(&mut self, version: u32) {
        let digest = write_artifact(&*self.blobs, &churn(), ModelVersion(version), artifact().into())
            .await
            .unwrap();
        let log = ChampionLog::new(Arc::clone(&self.blobs), churn());
        let entry = NewEntry {
            version: ModelVersion(version),
            artifact_digest: digest,
            actor: "ada".to_owned(),
            reason: ChampionReason::Override { note: String::new() },
            approval: None,
            at: noon(),
            nonce: Nonce::generate(),
        };
        let head = log
            .head()
            .await
            .unwrap()
            .map_or(Generation(0), |head| head.entry.generation);
        assert!(matches!(log.append(head, entry).await.unwrap(), Appended::Won(_)));
    }

    /// Logs a prediction of version 1 for each customer, a second apart, the last a second before `noon`.
    pub(crate) async fn predict(&mut self, customers: &[Customer]) {
        let records = self.records(customers);
        self.log(&records).await;
    }

    pub(crate) fn records(&mut self, customers: &[Customer]) -> Vec<PredictionRecord> {
        let count = i64::try_from(customers.len()).unwrap();
        let row = |(index, customer): (i64, &Customer)| {
            self.sequence += 1;
            let score = self.model.score(&customer.features);
            PredictionRecord {
                request_id: format!("request-{}", self.sequence),
                row_index: 0,
                event_time: noon() - SignedDuration::from_secs(count - index),
                customer_key: customer.key,
                model: churn(),
                version: ModelVersion(1),
                generation: Generation(1),
                features: customer.features,
                unlisted: Vec::new(),
                score,
                label: self.model.label(score),
                threshold: self.model.threshold(),
                latency_us: 80,
                trace_id: None,
            }
        };
        (0..).zip(customers).map(row).collect()
    }

    /// Stores records as a segment of the prediction log and answers its key.
    pub(crate) async fn log(&mut self, records: &[PredictionRecord]) -> holdfast_storage::Key {
        self.sequence += 1;
        let key = prediction_key(records[0].event_time, &Slug::parse("replica-1").unwrap(), self.sequence);
        let bytes = prediction::encode(records, schema()).unwrap();
        assert_eq!(self.blobs.create(&key, bytes).await.unwrap(), Created::Yes);
        key
    }

    /// Checks the day before `noon`.
    pub(crate) async fn check(&self) -> Result<wire::DriftReport, Fault> {
        Ok(self.check_and(false).await?.report.unwrap())
    }

    pub(crate) async fn check_and(&self, retrain: bool) -> Result<wire::CheckDriftResponse, Fault> {
        let request = wire::CheckDriftRequest {
            model: String::new(),
            window: Some(wire::Window {
                from: Some(time::to_wire(noon() - SignedDuration::from_hours(24))),
                to: Some(time::to_wire(noon())),
            }),
            retrain,
        };
        answer(self.client.clone().check_drift(request).await)
    }

    /// Tells monitoring what became of customers, an hour after noon.
    pub(crate) async fn reveal(&self, customers: &[Customer], idempotency_key: &str) -> Result<u64, Fault> {
        let outcomes = customers.iter().map(|customer| wire::Outcome {
            customer_key: customer.key.unwrap().0,
            attrited: customer.label.unwrap(),
            event_time: Some(time::to_wire(noon() + SignedDuration::from_hours(1))),
        });
        self.record(outcomes.collect(), idempotency_key).await
    }

    pub(crate) async fn record(&self, outcomes: Vec<wire::Outcome>, idempotency_key: &str) -> Result<u64, Fault> {
        let request = wire::RecordOutcomesRequest {
            outcomes,
            idempotency_key: idempotency_key.to_owned(),
        };
        Ok(answer(self.client.clone().record_outcomes(request).await)?.recorded)
    }

    pub(crate) async fn trigger(&self, report_id: &str) -> Result<wire::TriggerRetrainingResponse, Fault> {
        let request = wire::TriggerRetrainingRequest {
            report_id: report_id.to_owned(),
            requested_by: "ada".to_owned(),
        };
        answer(self.client.clone().trigger_retraining(request).await)
    }

    pub(crate) async fn get(&self, report_id: &str) -> Result<wire::DriftReport, Fault> {
        let request = wire::GetReportRequest {
            report_id: report_id.to_owned(),
        };
        Ok(answer(self.client.clone().get_report(request).await)?.report.unwrap())
    }

    pub(crate) async fn list(&self, page_size: u32) -> Result<Vec<wire::DriftReport>, Fault> {
        let request = wire::ListReportsRequest {
            model: String::new(),
            page_size,
        };
        Ok(answer(self.client.clone().list_reports(request).await)?.reports)
    }

    /// Ends everything and checks that it ended well.
    pub(crate) async fn end(self) {
        self.training.released.notify_waiters();
        self.shutdown.trigger("the test is over");
        let outcome = self.shutdown.finish().await;
        assert_eq!(outcome.failure, None);
        self.running.join().await;
    }
}

fn answer<T>(answered: Result<Response<T>, Status>) -> Result<T, Fault> {
    answered
        .map(Response::into_inner)
        .map_err(|status| Fault::from_status(&status))
}

pub(crate) fn feature<'a>(report: &'a wire::DriftReport, name: &str) -> &'a wire::FeatureDrift {
    let found = report.features.iter().find(|feature| feature.feature == name);
    found.unwrap_or_else(|| panic!("{name} is not judged: {}", report.summary))
}

/// Names of the features that drifted.
pub(crate) fn drifted(report: &wire::DriftReport) -> Vec<&str> {
    let drifted = report.features.iter().filter(|feature| feature.drifted);
    drifted.map(|feature| feature.feature.as_str()).collect()
}

pub(crate) fn without_key(mut customer: Customer) -> Customer {
    customer.key = None;
    customer
}

pub(crate) fn key(customer: &Customer) -> CustomerKey {
    customer.key.unwrap()
}

/// A training service that notes what it is asked for, and answers `run-1`, `run-2`, … or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeTraining {
    asked: Arc<Mutex<Vec<training::StartRunRequest>>>,
    behaviour: Arc<Mutex<Behaviour>>,
    pub(crate) released: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Behaviour {
    #[default]
    Answers,
    Hangs,
    Busy,
}

impl FakeTraining {
    pub(crate) fn asked(&self) -> Vec<training::StartRunRequest> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    async fn serve(&self, shutdown: &Shutdown) -> String {
        let server = ServerBuilder::new(
            "training",
            &ServerSettings::on_free_ports(),
            shutdown.child("training"),
            Arc::new(MetricsRegistry::new("training")),
            Readiness::new(),
        )
        .service(TrainingServiceServer::new(self.clone()))
        .descriptors(holdfast_api::DESCRIPTORS)
        .bind()
        .await
        .unwrap();
        let url = format!("http://{}", server.grpc_addr);
        server.serve();
        url
    }
}

type Answer<T> = Result<Response<T>, Status>;

fn not_here<T>() -> Answer<T> {
    Err(Status::unimplemented("monitoring has no use for this"))
}

#[tonic::async_trait]
impl TrainingService for FakeTraining {
    async fn start_run(&self, request: Request<training::StartRunRequest>) -> Answer<training::StartRunResponse> {
        let number = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.into_inner());
            asked.len()
        };
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Answers => Ok(Response::new(training::StartRunResponse {
                run_id: format!("run-{number}"),
            })),
            Behaviour::Hangs => {
                self.released.notified().await;
                Err(Status::cancelled("released"))
            }
            Behaviour::Busy => Err(Status::aborted("run-0 is at work")),
        }
    }

    async fn import_snapshot(
        &self,
        _: Request<tonic::Streaming<training::ImportSnapshotRequest>>,
    ) -> Answer<training::ImportSnapshotResponse> {
        not_here()
    }

    async fn get_snapshot(&self, _: Request<training::GetSnapshotRequest>) -> Answer<training::GetSnapshotResponse> {
        not_here()
    }

    async fn list_snapshots(
        &self,
        _: Request<training::ListSnapshotsRequest>,
    ) -> Answer<training::ListSnapshotsResponse> {
        not_here()
    }

    async fn get_run(&self, _: Request<training::GetRunRequest>) -> Answer<training::GetRunResponse> {
        not_here()
    }

    async fn list_runs(&self, _: Request<training::ListRunsRequest>) -> Answer<training::ListRunsResponse> {
        not_here()
    }

    type WatchRunStream = Pin<Box<dyn Stream<Item = Result<training::WatchRunResponse, Status>> + Send>>;

    async fn watch_run(&self, _: Request<training::WatchRunRequest>) -> Answer<Self::WatchRunStream> {
        not_here()
    }

    async fn cancel_run(&self, _: Request<training::CancelRunRequest>) -> Answer<training::CancelRunResponse> {
        not_here()
    }

    async fn import_model(
        &self,
        _: Request<tonic::Streaming<training::ImportModelRequest>>,
    ) -> Answer<training::ImportModelResponse> {
        not_here()
    }

    type ExportModelStream = Pin<Box<dyn Stream<Item = Result<training::ExportModelResponse, Status>> + Send>>;

    async fn export_model(&self, _: Request<training::ExportModelRequest>) -> Answer<Self::ExportModelStream> {
        not_here()
    }

    type ReproduceVersionStream =
        Pin<Box<dyn Stream<Item = Result<training::ReproduceVersionResponse, Status>> + Send>>;

    async fn reproduce_version(
        &self,
        _: Request<training::ReproduceVersionRequest>,
    ) -> Answer<Self::ReproduceVersionStream> {
        not_here()
    }

    async fn get_model_card(
        &self,
        _: Request<training::GetModelCardRequest>,
    ) -> Answer<training::GetModelCardResponse> {
        not_here()
    }

    async fn list_evaluation_files(
        &self,
        _: Request<training::ListEvaluationFilesRequest>,
    ) -> Answer<training::ListEvaluationFilesResponse> {
        not_here()
    }

    async fn get_evaluation_file(
        &self,
        _: Request<training::GetEvaluationFileRequest>,
    ) -> Answer<training::GetEvaluationFileResponse> {
        not_here()
    }
}
