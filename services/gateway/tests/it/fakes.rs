//! Stand-ins for the four other services: one value that implements their generated traits, answers what [`crate::answers`] says, fails or hangs on
//! demand, and remembers what it was asked.

mod mlflow;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt as _, stream};
use holdfast_api::inference::v1 as inference;
use holdfast_api::inference::v1::inference_service_server::{InferenceService, InferenceServiceServer};
use holdfast_api::monitoring::v1 as monitoring;
use holdfast_api::monitoring::v1::monitoring_service_server::{MonitoringService, MonitoringServiceServer};
use holdfast_api::open_inference::v2 as open_inference;
use holdfast_api::open_inference::v2::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use holdfast_api::registry::v1 as registry;
use holdfast_api::registry::v1::artifact_service_server::ArtifactServiceServer;
use holdfast_api::registry::v1::champion_service_server::{ChampionService, ChampionServiceServer};
use holdfast_api::registry::v1::import_service_server::{ImportService, ImportServiceServer};
use holdfast_api::registry::v1::lineage_service_server::{LineageService, LineageServiceServer};
use holdfast_api::registry::v1::logged_model_service_server::LoggedModelServiceServer;
use holdfast_api::registry::v1::model_service_server::{ModelService, ModelServiceServer};
use holdfast_api::registry::v1::promotion_service_server::{PromotionService, PromotionServiceServer};
use holdfast_api::registry::v1::registered_model_service_server::RegisteredModelServiceServer;
use holdfast_api::registry::v1::retention_service_server::{RetentionService, RetentionServiceServer};
use holdfast_api::registry::v1::rollout_service_server::{RolloutService, RolloutServiceServer};
use holdfast_api::registry::v1::tracking_service_server::TrackingServiceServer;
use holdfast_api::registry::v1::webhook_service_server::{WebhookService, WebhookServiceServer};
use holdfast_api::training::v1 as training;
use holdfast_api::training::v1::import_snapshot_request::Part;
use holdfast_api::training::v1::training_service_server::{TrainingService, TrainingServiceServer};
use holdfast_chassis::Fault;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use crate::answers;

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// How an import ended, as training saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Import {
    /// The stream ended: a snapshot would be made.
    Complete {
        format: i32,
        source: String,
        bytes: Vec<u8>,
        largest_part: usize,
    },
    /// It did not come to its end: nothing would be made.
    Refused,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Fakes(Arc<State>);

#[derive(Debug)]
struct State {
    asked: Mutex<Vec<(&'static str, String)>>,
    metadata: Mutex<Vec<(&'static str, MetadataMap)>>,
    failures: Mutex<BTreeMap<&'static str, Fault>>,
    /// Failures that go away by themselves.
    passing: Mutex<BTreeMap<&'static str, Fault>>,
    hanging: Mutex<BTreeSet<&'static str>>,
    imports: watch::Sender<Vec<Import>>,
    /// Ends the run log that stays open.
    run_goes_on: watch::Sender<bool>,
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    uploads: watch::Sender<Vec<mlflow::Stored>>,
    /// Bytes of the upload that is under way.
    received: watch::Sender<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            asked: Mutex::default(),
            metadata: Mutex::default(),
            failures: Mutex::default(),
            passing: Mutex::default(),
            hanging: Mutex::default(),
            imports: watch::Sender::new(Vec::new()),
            run_goes_on: watch::Sender::new(false),
            files: Mutex::default(),
            uploads: watch::Sender::new(Vec::new()),
            received: watch::Sender::new(0),
        }
    }
}

impl Fakes {
    /// Serves all of them at one address.
    pub(crate) async fn serve(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        const LIMIT: usize = 64 << 20;
        let server = tonic::transport::Server::builder()
            .add_service(InferenceServiceServer::new(self.clone()).max_decoding_message_size(LIMIT))
            .add_service(GrpcInferenceServiceServer::new(self.clone()).max_decoding_message_size(LIMIT))
            .add_service(ModelServiceServer::new(self.clone()))
            .add_service(TrackingServiceServer::new(self.clone()))
            .add_service(LoggedModelServiceServer::new(self.clone()))
            .add_service(RegisteredModelServiceServer::new(self.clone()))
            .add_service(ArtifactServiceServer::new(self.clone()))
            .add_service(ChampionServiceServer::new(self.clone()))
            .add_service(ImportServiceServer::new(self.clone()))
            .add_service(LineageServiceServer::new(self.clone()))
            .add_service(PromotionServiceServer::new(self.clone()))
            .add_service(RetentionServiceServer::new(self.clone()))
            .add_service(RolloutServiceServer::new(self.clone()))
            .add_service(WebhookServiceServer::new(self.clone()))
            .add_service(TrainingServiceServer::new(self.clone()))
            .add_service(MonitoringServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        address
    }

    /// From now on `method` fails.
    pub(crate) fn fail(&self, method: &'static str, fault: Fault) {
        self.0.failures.lock().unwrap().insert(method, fault);
    }

    /// The next call of `method` fails.
    pub(crate) fn fail_once(&self, method: &'static str, fault: Fault) {
        self.0.passing.lock().unwrap().insert(method, fault);
    }

    /// From now on `method` never answers.
    pub(crate) fn hang(&self, method: &'static str) {
        self.0.hanging.lock().unwrap().insert(method);
    }

    /// How often `method` was asked.
    pub(crate) fn times(&self, method: &str) -> usize {
        self.0
            .asked
            .lock()
            .unwrap()
            .iter()
            .filter(|(asked, _)| *asked == method)
            .count()
    }

    /// The last message to `method`, as Rust writes it.
    pub(crate) fn last(&self, method: &str) -> String {
        let asked = self.0.asked.lock().unwrap();
        asked
            .iter()
            .rev()
            .find(|(asked, _)| *asked == method)
            .map(|(_, message)| message.clone())
            .unwrap()
    }

    /// The last metadata sent to `method`.
    pub(crate) fn last_metadata(&self, method: &str) -> MetadataMap {
        let sent = self.0.metadata.lock().unwrap();
        sent.iter()
            .rev()
            .find(|(asked, _)| *asked == method)
            .map(|(_, metadata)| metadata.clone())
            .unwrap()
    }

    /// Waits for the first import to end.
    pub(crate) async fn import(&self) -> Import {
        let mut imports = self.0.imports.subscribe();
        let ended = imports.wait_for(|imports| !imports.is_empty()).await.unwrap();
        ended[0].clone()
    }

    /// Keeps the log of run `open` open.
    pub(crate) fn open_run(&self) {
        self.0.run_goes_on.send_replace(true);
    }

    async fn asked<Q: Debug>(&self, method: &'static str, request: Request<Q>) -> Result<Q, Status> {
        self.0
            .metadata
            .lock()
            .unwrap()
            .push((method, request.metadata().clone()));
        let message = request.into_inner();
        self.0.asked.lock().unwrap().push((method, format!("{message:?}")));
        if self.0.hanging.lock().unwrap().contains(method) {
            std::future::pending::<()>().await;
        }
        let passing = self.0.passing.lock().unwrap().remove(method);
        let lasting = self.0.failures.lock().unwrap().get(method).cloned();
        match passing.or(lasting) {
            Some(fault) => Err(fault.into()),
            None => Ok(message),
        }
    }
}

/// Unary methods: note the question, fail if told to, else answer.
macro_rules! unary {
    ($($package:ident::$service:ident { $($method:ident($request:ident) -> $answer:ident;)+ $({ $($rest:tt)+ })? })+) => {
        $(
            #[tonic::async_trait]
            impl $service for Fakes {
                $(
                    async fn $method(&self, request: Request<$package::$request>) -> Answer<$package::$answer> {
                        let message = self.asked(stringify!($method), request).await?;
                        Ok(Response::new(answers::$method(message)))
                    }
                )+
                $($($rest)+)?
            }
        )+
    };
}

unary! {
    inference::InferenceService {
        predict(PredictRequest) -> PredictResponse;
        predict_each(PredictEachRequest) -> PredictEachResponse;
        predict_batch(PredictBatchRequest) -> PredictBatchResponse;
        explain(ExplainRequest) -> ExplainResponse;
        get_model(GetModelRequest) -> GetModelResponse;
        get_replica_status(GetReplicaStatusRequest) -> GetReplicaStatusResponse;
        flush_prediction_log(FlushPredictionLogRequest) -> FlushPredictionLogResponse;
        {
            type PredictStreamStream = Answers<inference::PredictStreamResponse>;

            async fn predict_stream(&self, _: Request<Streaming<inference::PredictStreamRequest>>) -> Answer<Self::PredictStreamStream> {
                Err(Status::unimplemented("the gateway does not stream predictions"))
            }
        }
    }
    open_inference::GrpcInferenceService {
        server_live(ServerLiveRequest) -> ServerLiveResponse;
        server_ready(ServerReadyRequest) -> ServerReadyResponse;
        model_ready(ModelReadyRequest) -> ModelReadyResponse;
        server_metadata(ServerMetadataRequest) -> ServerMetadataResponse;
        model_metadata(ModelMetadataRequest) -> ModelMetadataResponse;
        model_infer(ModelInferRequest) -> ModelInferResponse;
        repository_index(RepositoryIndexRequest) -> RepositoryIndexResponse;
    }
    registry::ModelService {
        get_model_version(GetModelVersionRequest) -> GetModelVersionResponse;
        list_models(ListModelsRequest) -> ListModelsResponse;
        list_model_versions(ListModelVersionsRequest) -> ListModelVersionsResponse;
        {
            async fn create_model_version(&self, _: Request<registry::CreateModelVersionRequest>) -> Answer<registry::CreateModelVersionResponse> {
                Err(Status::unimplemented("training's business"))
            }

            async fn finish_model_version(&self, _: Request<registry::FinishModelVersionRequest>) -> Answer<registry::FinishModelVersionResponse> {
                Err(Status::unimplemented("training's business"))
            }

            async fn evaluate_gate(&self, _: Request<registry::EvaluateGateRequest>) -> Answer<registry::EvaluateGateResponse> {
                Err(Status::unimplemented("training's business"))
            }
        }
    }
    registry::ChampionService {
        promote(PromoteRequest) -> PromoteResponse;
        rollback(RollbackRequest) -> RollbackResponse;
        get_champion(GetChampionRequest) -> GetChampionResponse;
        list_champions(ListChampionsRequest) -> ListChampionsResponse;
        list_replicas(ListReplicasRequest) -> ListReplicasResponse;
        {
            type WatchChampionStream = Answers<registry::WatchChampionResponse>;

            async fn watch_champion(&self, _: Request<registry::WatchChampionRequest>) -> Answer<Self::WatchChampionStream> {
                Err(Status::unimplemented("inference's business"))
            }

            async fn report_replica(&self, _: Request<registry::ReportReplicaRequest>) -> Answer<registry::ReportReplicaResponse> {
                Err(Status::unimplemented("inference's business"))
            }
        }
    }
    registry::ImportService {
        request_import(RequestImportRequest) -> RequestImportResponse;
        get_import(GetImportRequest) -> GetImportResponse;
        {
            async fn claim_import(&self, _: Request<registry::ClaimImportRequest>) -> Answer<registry::ClaimImportResponse> {
                Err(Status::unimplemented("training's business"))
            }

            async fn keep_import(&self, _: Request<registry::KeepImportRequest>) -> Answer<registry::KeepImportResponse> {
                Err(Status::unimplemented("training's business"))
            }

            async fn end_import(&self, _: Request<registry::EndImportRequest>) -> Answer<registry::EndImportResponse> {
                Err(Status::unimplemented("training's business"))
            }
        }
    }
    registry::LineageService {
        get_lineage(GetLineageRequest) -> GetLineageResponse;
    }
    registry::PromotionService {
        decide_promotion(DecidePromotionRequest) -> DecidePromotionResponse;
        list_promotions(ListPromotionsRequest) -> ListPromotionsResponse;
    }
    registry::RetentionService {
        collect(CollectRequest) -> CollectResponse;
    }
    registry::RolloutService {
        start_rollout(StartRolloutRequest) -> StartRolloutResponse;
        end_rollout(EndRolloutRequest) -> EndRolloutResponse;
        get_rollout(GetRolloutRequest) -> GetRolloutResponse;
        list_rollouts(ListRolloutsRequest) -> ListRolloutsResponse;
    }
    registry::WebhookService {
        create_webhook(CreateWebhookRequest) -> CreateWebhookResponse;
        get_webhook(GetWebhookRequest) -> GetWebhookResponse;
        list_webhooks(ListWebhooksRequest) -> ListWebhooksResponse;
        update_webhook(UpdateWebhookRequest) -> UpdateWebhookResponse;
        delete_webhook(DeleteWebhookRequest) -> DeleteWebhookResponse;
        test_webhook(TestWebhookRequest) -> TestWebhookResponse;
        list_deliveries(ListDeliveriesRequest) -> ListDeliveriesResponse;
    }
    training::TrainingService {
        get_snapshot(GetSnapshotRequest) -> GetSnapshotResponse;
        list_snapshots(ListSnapshotsRequest) -> ListSnapshotsResponse;
        start_run(StartRunRequest) -> StartRunResponse;
        get_run(GetRunRequest) -> GetRunResponse;
        list_runs(ListRunsRequest) -> ListRunsResponse;
        cancel_run(CancelRunRequest) -> CancelRunResponse;
        get_model_card(GetModelCardRequest) -> GetModelCardResponse;
        list_evaluation_files(ListEvaluationFilesRequest) -> ListEvaluationFilesResponse;
        get_evaluation_file(GetEvaluationFileRequest) -> GetEvaluationFileResponse;
        {
            type WatchRunStream = Answers<training::WatchRunResponse>;

            async fn watch_run(&self, request: Request<training::WatchRunRequest>) -> Answer<Self::WatchRunStream> {
                let message = self.asked("watch_run", request).await?;
                let log = answers::watch_run(&message).into_iter().map(|message| message.map_err(Status::from));
                let live: Answers<_> = if *self.0.run_goes_on.borrow() {
                    Box::pin(stream::iter(log).take(1).chain(stream::pending()))
                } else {
                    Box::pin(stream::iter(log))
                };
                Ok(Response::new(live))
            }

            async fn import_snapshot(&self, request: Request<Streaming<training::ImportSnapshotRequest>>) -> Answer<training::ImportSnapshotResponse> {
                self.take_import(request).await
            }

            async fn import_model(&self, request: Request<Streaming<training::ImportModelRequest>>) -> Answer<training::ImportModelResponse> {
                self.take_model(request).await
            }

            type ExportModelStream = Answers<training::ExportModelResponse>;

            async fn export_model(&self, request: Request<training::ExportModelRequest>) -> Answer<Self::ExportModelStream> {
                self.asked("export_model", request).await?;
                let pieces = ["{\"learner\":", "{}}"].map(|piece| Ok(training::ExportModelResponse { chunk: piece.into() }));
                Ok(Response::new(stream::iter(pieces).boxed()))
            }

            type ReproduceVersionStream = Answers<training::ReproduceVersionResponse>;

            async fn reproduce_version(&self, request: Request<training::ReproduceVersionRequest>) -> Answer<Self::ReproduceVersionStream> {
                let message = self.asked("reproduce_version", request).await?;
                let news = answers::reproduce_version(&message).into_iter().map(|news| news.map_err(Status::from));
                if *self.0.run_goes_on.borrow() {
                    let followed = Followed(self.clone());
                    let endless = stream::iter(news).take(1).chain(stream::pending()).inspect(move |_| {
                        // Dropped with the stream.
                        let _ = &followed;
                    });
                    return Ok(Response::new(Box::pin(endless)));
                }
                Ok(Response::new(Box::pin(stream::iter(news))))
            }
        }
    }
    monitoring::MonitoringService {
        record_outcomes(RecordOutcomesRequest) -> RecordOutcomesResponse;
        check_drift(CheckDriftRequest) -> CheckDriftResponse;
        get_report(GetReportRequest) -> GetReportResponse;
        list_reports(ListReportsRequest) -> ListReportsResponse;
        trigger_retraining(TriggerRetrainingRequest) -> TriggerRetrainingResponse;
    }
}

impl Fakes {
    async fn take_import(
        &self,
        request: Request<Streaming<training::ImportSnapshotRequest>>,
    ) -> Answer<training::ImportSnapshotResponse> {
        let mut parts = request.into_inner();
        let mut ending = Ending {
            fakes: self.clone(),
            outcome: Import::Refused,
        };
        let (mut header, mut bytes, mut largest_part) = (None, Vec::new(), 0);
        // A call that is cancelled looks like a stream that has ended, here as in the real service.
        let size_bytes = loop {
            let Some(part) = parts.message().await? else {
                return Err(Status::invalid_argument("no end"));
            };
            match part.part.unwrap() {
                Part::Header(first) => header = Some(first),
                Part::Chunk(chunk) => {
                    largest_part = largest_part.max(chunk.len());
                    bytes.extend(chunk);
                }
                Part::End(end) => break end.size_bytes,
            }
        };
        assert_eq!(size_bytes, bytes.len() as u64);
        let header = header.unwrap();
        let answer = answers::import_snapshot(&header, bytes.len());
        ending.outcome = Import::Complete {
            format: header.format,
            source: header.source,
            bytes,
            largest_part,
        };
        drop(ending);
        self.asked("import_snapshot", Request::new(())).await?;
        Ok(Response::new(answer))
    }
}

impl Fakes {
    /// The header is what was asked; the bytes are not kept, only counted.
    async fn take_model(
        &self,
        request: Request<Streaming<training::ImportModelRequest>>,
    ) -> Answer<training::ImportModelResponse> {
        use training::import_model_request::Part;
        let mut parts = request.into_inner();
        let (mut header, mut received) = (None, 0);
        let size_bytes = loop {
            let Some(part) = parts.message().await? else {
                return Err(Status::invalid_argument("no end"));
            };
            match part.part.unwrap() {
                Part::Header(first) => header = Some(first),
                Part::Chunk(chunk) => received += chunk.len() as u64,
                Part::End(end) => break end.size_bytes,
            }
        };
        assert_eq!(size_bytes, received);
        self.asked("import_model", Request::new((header.unwrap(), received)))
            .await?;
        let run_id = "run-1".to_owned();
        Ok(Response::new(training::ImportModelResponse { run_id }))
    }
}

/// A reproduction that somebody waits for. Its end is noted as a call of `reproduce_version_given_up`.
struct Followed(Fakes);

impl Drop for Followed {
    fn drop(&mut self) {
        let given_up = ("reproduce_version_given_up", String::new());
        self.0.0.asked.lock().unwrap().push(given_up);
    }
}

/// Notes how an import ended, also when its call is dropped because the caller has gone.
struct Ending {
    fakes: Fakes,
    outcome: Import,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Import::Refused);
        self.fakes.0.imports.send_modify(|imports| imports.push(outcome));
    }
}
