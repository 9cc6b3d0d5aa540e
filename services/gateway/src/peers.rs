//! The other services, as the gateway calls them: connections to every replica, made when needed, and for every rpc a method that says how it may be called.
//!
//! - `read`: safe to repeat, so retried when the peer was unavailable; ends after `client.request_timeout_ms`.
//! - `write`: called once, the same deadline.
//! - `slow`: called once, with the deadline of the request being served only: what reads or moves data.
//!
//! Predictions are `read`: a repeated one carries the same request id, and readers of the prediction log drop repeats by it.

mod gathering;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::Either;
use futures::{Stream, StreamExt as _};
use holdfast_api::DynInferenceService;
use holdfast_api::inference::v1 as inference;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_api::monitoring::v1 as monitoring;
use holdfast_api::monitoring::v1::monitoring_service_client::MonitoringServiceClient;
use holdfast_api::open_inference::v2 as open_inference;
use holdfast_api::open_inference::v2::grpc_inference_service_client::GrpcInferenceServiceClient;
use holdfast_api::registry::v1 as registry;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_api::registry::v1::import_service_client::ImportServiceClient;
use holdfast_api::registry::v1::lineage_service_client::LineageServiceClient;
use holdfast_api::registry::v1::model_service_client::ModelServiceClient;
use holdfast_api::registry::v1::promotion_service_client::PromotionServiceClient;
use holdfast_api::registry::v1::retention_service_client::RetentionServiceClient;
use holdfast_api::registry::v1::rollout_service_client::RolloutServiceClient;
use holdfast_api::registry::v1::webhook_service_client::WebhookServiceClient;
use holdfast_api::training::v1 as training;
use holdfast_api::training::v1::training_service_client::TrainingServiceClient;
use holdfast_chassis::client::retry::{self, RetryPolicy};
use holdfast_chassis::client::{Channel, ClientBuilder, ClientError, ClientMetrics};
use holdfast_chassis::server::Local;
use holdfast_chassis::settings::{ClientSettings, RetrySettings};
use holdfast_chassis::{Common, Fault};
use tonic::{Request, Response, Status, Streaming};

use gathering::Gathering;

use crate::metrics::{Metrics, PeerFailures, PeerName};

/// Largest answer of a peer: 10,000 predictions with reasons fit many times over.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Customers that fit into one batch of the size of a short call.
const SHORT_BATCH: usize = 16;

/// How one peer is called.
#[derive(Clone, Debug)]
struct Peer {
    channel: Channel,
    deadline: Duration,
    retry: RetryPolicy,
    failures: PeerFailures,
}

/// The four peers. Clones share connections and retry budgets.
#[derive(Clone, Debug)]
pub struct Peers {
    inference: Peer,
    /// Predictions of one customer.
    gathering: Gathering,
    /// The inference of the same process: it makes the predictions.
    beside: Option<Local<DynInferenceService>>,
    registry: Peer,
    training: Peer,
    monitoring: Peer,
}

impl Peers {
    /// Connects to nobody yet: peers may be away. Needs a tokio runtime around it. `beside` is the inference of the same process, if there is one.
    ///
    /// # Errors
    /// [`ClientError`] if an address is not a URL.
    pub fn new(
        common: &Common,
        metrics: &Metrics,
        clients: &ClientMetrics,
        beside: Option<Local<DynInferenceService>>,
    ) -> Result<Self, ClientError> {
        let peer = |name: PeerName, url: &str| -> Result<Peer, ClientError> {
            let builder = ClientBuilder::new(url, &common.client).metrics(clients, name.name());
            Ok(Peer {
                channel: builder.without_deadline().channel()?,
                deadline: common.client.request_timeout(),
                retry: RetryPolicy::new(&common.client.retry),
                failures: metrics.failures_of(name),
            })
        };
        let inference = peer(PeerName::Inference, &common.peers.inference)?;
        Ok(Self {
            gathering: Gathering::new(inference.clone()),
            inference,
            beside,
            registry: peer(PeerName::Registry, &common.peers.registry)?,
            training: peer(PeerName::Training, &common.peers.training)?,
            monitoring: peer(PeerName::Monitoring, &common.peers.monitoring)?,
        })
    }

    /// The same connections for questions that must be answered soon or not at all: `deadline` for each call, no retries.
    #[must_use]
    pub fn hurried(&self, deadline: Duration) -> Self {
        let once = RetrySettings {
            max_attempts: 1,
            ..ClientSettings::default().retry
        };
        let hurried = |peer: &Peer| Peer {
            deadline,
            retry: RetryPolicy::new(&once),
            ..peer.clone()
        };
        let inference = hurried(&self.inference);
        Self {
            gathering: Gathering::new(inference.clone()),
            inference,
            beside: self.beside.clone(),
            registry: hurried(&self.registry),
            training: hurried(&self.training),
            monitoring: hurried(&self.monitoring),
        }
    }

    /// Where a peer is.
    pub fn address(&self, peer: PeerName) -> &str {
        let peer = match peer {
            PeerName::Inference => &self.inference,
            PeerName::Registry => &self.registry,
            PeerName::Training => &self.training,
            PeerName::Monitoring => &self.monitoring,
        };
        peer.channel.peer()
    }
}

impl Peer {
    /// The connections for a call about so many customers.
    fn channel_of(&self, customers: usize) -> Channel {
        if customers > SHORT_BATCH {
            self.channel.bulk()
        } else {
            self.channel.clone()
        }
    }

    async fn read<Q, A, F, Fut>(&self, message: Q, call: F) -> Result<A, Fault>
    where
        Q: Clone,
        F: Fn(Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        retry::idempotent(&self.retry, || self.write(message.clone(), &call)).await
    }

    async fn write<Q, A, F, Fut>(&self, message: Q, call: F) -> Result<A, Fault>
    where
        F: Fn(Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        self.within(None, message, call).await
    }

    /// A call that ends after `left`, and after its usual time in any case.
    async fn within<Q, A, F, Fut>(&self, left: Option<Duration>, message: Q, call: F) -> Result<A, Fault>
    where
        F: Fn(Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        let mut request = Request::new(message);
        request.set_timeout(left.map_or(self.deadline, |left| left.min(self.deadline)));
        self.outcome(call(request).await)
    }

    /// A call of a method in the same process. Nothing is lost on the way: repeating would bring nothing, and needs a copy.
    fn local<'a, Q, A, F, Fut>(
        &'a self,
        service: &'a Local<DynInferenceService>,
        path: &'static str,
        message: Q,
        method: F,
    ) -> impl Future<Output = Result<A, Fault>> + Send + use<'a, Q, A, F, Fut>
    where
        Q: Send + 'a,
        A: Send + 'a,
        F: FnOnce(Arc<DynInferenceService>, Request<Q>) -> Fut + Send + 'a,
        Fut: Future<Output = Result<Response<A>, Status>> + Send + 'a,
    {
        // Boxed for the reason given in `rpcs`, and before there is a future around it.
        let call = Box::pin(service.call(path, self.deadline, Request::new(message), method));
        async move { self.outcome(call.await) }
    }

    async fn slow<Q, A, F, Fut>(&self, message: Q, call: F) -> Result<A, Fault>
    where
        F: Fn(Request<Q>) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        self.outcome(call(Request::new(message)).await)
    }

    /// The items of a stream that has no deadline; what goes wrong after its beginning is one of them.
    fn followed<A: Send + 'static>(
        &self,
        begun: Result<Response<Streaming<A>>, Status>,
    ) -> Result<impl Stream<Item = Result<A, Fault>> + Send + use<A>, Fault> {
        let stream = self.outcome(begun)?;
        let peer = self.clone();
        Ok(stream.map(move |item| item.map_err(|status| peer.failed(&status))))
    }

    fn outcome<A>(&self, answered: Result<Response<A>, Status>) -> Result<A, Fault> {
        match answered {
            Ok(answer) => Ok(answer.into_inner()),
            Err(status) => Err(self.failed(&status)),
        }
    }

    fn failed(&self, status: &Status) -> Fault {
        let fault = Fault::from_status(status);
        self.failures.count(fault.code);
        fault
    }
}

/// Methods of [`Peers`], one per rpc: `how name(Request) -> Answer;`.
macro_rules! rpcs {
    ($peer:ident, $client:ident, $package:ident: $($how:ident $method:ident($request:ident) -> $answer:ident;)+) => {
        impl Peers {
            $(
                #[doc = concat!("Calls `", stringify!($method), "` of ", stringify!($peer), ".\n\n# Errors\nThe peer's failure, or that it is away or late.")]
                pub async fn $method(&self, message: $package::$request) -> Result<$package::$answer, Fault> {
                    let call = |request| {
                        let mut client = $client::new(self.$peer.channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
                        // In a box of its own: within the futures of those who wait for it, its kilobytes would be copied at every level.
                        Box::pin(async move { client.$method(request).await })
                    };
                    self.$peer.$how(message, call).await
                }
            )+
        }
    };
}

impl Peers {
    /// Calls `predict` of inference.
    ///
    /// # Errors
    /// The peer's failure, or that it is away or late.
    pub fn predict(
        &self,
        message: inference::PredictRequest,
    ) -> impl Future<Output = Result<inference::PredictResponse, Fault>> + Send + use<'_> {
        if let Some(local) = &self.beside {
            let path = "/holdfast.inference.v1.InferenceService/Predict";
            let predict = |service: Arc<DynInferenceService>, request| async move { service.predict(request).await };
            return Either::Left(self.inference.local(local, path, message, predict));
        }
        Either::Right(Box::pin(async move {
            let ask = || self.gathering.predict(&message);
            retry::idempotent(&self.inference.retry, ask).await
        }))
    }

    /// Calls `predict_batch` of inference. Large ones go where they hold up nobody.
    ///
    /// # Errors
    /// The peer's failure, or that it is away or late.
    pub async fn predict_batch(
        &self,
        message: inference::PredictBatchRequest,
    ) -> Result<inference::PredictBatchResponse, Fault> {
        if let Some(local) = &self.beside {
            let path = "/holdfast.inference.v1.InferenceService/PredictBatch";
            let predict =
                |service: Arc<DynInferenceService>, request| async move { service.predict_batch(request).await };
            return self.inference.local(local, path, message, predict).await;
        }
        let channel = self.inference.channel_of(message.customers.len());
        let call = |request| {
            let mut client = InferenceServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES);
            Box::pin(async move { client.predict_batch(request).await })
        };
        self.inference.read(message, call).await
    }
}

rpcs! { inference, InferenceServiceClient, inference:
    read explain(ExplainRequest) -> ExplainResponse;
    read get_model(GetModelRequest) -> GetModelResponse;
    read get_replica_status(GetReplicaStatusRequest) -> GetReplicaStatusResponse;
    slow flush_prediction_log(FlushPredictionLogRequest) -> FlushPredictionLogResponse;
}

rpcs! { inference, GrpcInferenceServiceClient, open_inference:
    read server_ready(ServerReadyRequest) -> ServerReadyResponse;
    read model_ready(ModelReadyRequest) -> ModelReadyResponse;
    read model_metadata(ModelMetadataRequest) -> ModelMetadataResponse;
    read model_infer(ModelInferRequest) -> ModelInferResponse;
    read repository_index(RepositoryIndexRequest) -> RepositoryIndexResponse;
}

rpcs! { registry, ModelServiceClient, registry:
    read list_models(ListModelsRequest) -> ListModelsResponse;
    read list_model_versions(ListModelVersionsRequest) -> ListModelVersionsResponse;
    read get_model_version(GetModelVersionRequest) -> GetModelVersionResponse;
}

rpcs! { registry, ChampionServiceClient, registry:
    write promote(PromoteRequest) -> PromoteResponse;
    write rollback(RollbackRequest) -> RollbackResponse;
    read get_champion(GetChampionRequest) -> GetChampionResponse;
    read list_champions(ListChampionsRequest) -> ListChampionsResponse;
    read list_replicas(ListReplicasRequest) -> ListReplicasResponse;
}

rpcs! { registry, PromotionServiceClient, registry:
    write decide_promotion(DecidePromotionRequest) -> DecidePromotionResponse;
    read list_promotions(ListPromotionsRequest) -> ListPromotionsResponse;
}

rpcs! { registry, ImportServiceClient, registry:
    write request_import(RequestImportRequest) -> RequestImportResponse;
    read get_import(GetImportRequest) -> GetImportResponse;
}

rpcs! { registry, WebhookServiceClient, registry:
    write create_webhook(CreateWebhookRequest) -> CreateWebhookResponse;
    read get_webhook(GetWebhookRequest) -> GetWebhookResponse;
    read list_webhooks(ListWebhooksRequest) -> ListWebhooksResponse;
    write update_webhook(UpdateWebhookRequest) -> UpdateWebhookResponse;
    write delete_webhook(DeleteWebhookRequest) -> DeleteWebhookResponse;
    slow test_webhook(TestWebhookRequest) -> TestWebhookResponse;
    read list_deliveries(ListDeliveriesRequest) -> ListDeliveriesResponse;
}

rpcs! { registry, LineageServiceClient, registry:
    read get_lineage(GetLineageRequest) -> GetLineageResponse;
}

rpcs! { registry, RetentionServiceClient, registry:
    slow collect(CollectRequest) -> CollectResponse;
}

rpcs! { registry, RolloutServiceClient, registry:
    write start_rollout(StartRolloutRequest) -> StartRolloutResponse;
    write end_rollout(EndRolloutRequest) -> EndRolloutResponse;
    read get_rollout(GetRolloutRequest) -> GetRolloutResponse;
    read list_rollouts(ListRolloutsRequest) -> ListRolloutsResponse;
}

mod mlflow;

rpcs! { training, TrainingServiceClient, training:
    read get_snapshot(GetSnapshotRequest) -> GetSnapshotResponse;
    read list_snapshots(ListSnapshotsRequest) -> ListSnapshotsResponse;
    write start_run(StartRunRequest) -> StartRunResponse;
    read get_run(GetRunRequest) -> GetRunResponse;
    read list_runs(ListRunsRequest) -> ListRunsResponse;
    write cancel_run(CancelRunRequest) -> CancelRunResponse;
    slow get_model_card(GetModelCardRequest) -> GetModelCardResponse;
    read list_evaluation_files(ListEvaluationFilesRequest) -> ListEvaluationFilesResponse;
    read get_evaluation_file(GetEvaluationFileRequest) -> GetEvaluationFileResponse;
}

rpcs! { monitoring, MonitoringServiceClient, monitoring:
    write record_outcomes(RecordOutcomesRequest) -> RecordOutcomesResponse;
    slow check_drift(CheckDriftRequest) -> CheckDriftResponse;
    read get_report(GetReportRequest) -> GetReportResponse;
    read list_reports(ListReportsRequest) -> ListReportsResponse;
    slow trigger_retraining(TriggerRetrainingRequest) -> TriggerRetrainingResponse;
}

impl Peers {
    /// Follows a run's log. The stream has no deadline: it ends with the run.
    ///
    /// # Errors
    /// The peer's failure to begin; later ones are items of the stream.
    pub async fn watch_run(
        &self,
        message: training::WatchRunRequest,
    ) -> Result<impl Stream<Item = Result<training::WatchRunResponse, Fault>> + Send + use<>, Fault> {
        let mut client = TrainingServiceClient::new(self.training.channel.clone());
        self.training.followed(client.watch_run(message).await)
    }

    /// Has a version made again. The stream has no deadline: it ends with the verdict, and dropping it gives the work up.
    ///
    /// # Errors
    /// The peer's failure to begin; later ones are items of the stream.
    pub async fn reproduce_version(
        &self,
        message: training::ReproduceVersionRequest,
    ) -> Result<impl Stream<Item = Result<training::ReproduceVersionResponse, Fault>> + Send + use<>, Fault> {
        let mut client = TrainingServiceClient::new(self.training.channel.clone());
        self.training.followed(client.reproduce_version(message).await)
    }

    /// Passes a table on, part by part. Dropping the call looks to training as if the table had ended: do not.
    ///
    /// # Errors
    /// The peer's failure.
    pub async fn import_snapshot<S>(&self, parts: S) -> Result<training::ImportSnapshotResponse, Fault>
    where
        S: Stream<Item = training::ImportSnapshotRequest> + Send + 'static,
    {
        let mut client = TrainingServiceClient::new(self.training.channel.bulk());
        self.training.outcome(client.import_snapshot(parts).await)
    }

    /// Passes a model file on, part by part. Dropping the call looks to training as if the file had ended: do not.
    ///
    /// # Errors
    /// The peer's failure.
    pub async fn import_model<S>(&self, parts: S) -> Result<training::ImportModelResponse, Fault>
    where
        S: Stream<Item = training::ImportModelRequest> + Send + 'static,
    {
        let mut client = TrainingServiceClient::new(self.training.channel.bulk());
        self.training.outcome(client.import_model(parts).await)
    }

    /// A version's trees as a file of another library.
    ///
    /// # Errors
    /// The peer's failure to begin; later ones are items of the stream.
    pub async fn export_model(
        &self,
        message: training::ExportModelRequest,
    ) -> Result<impl Stream<Item = Result<training::ExportModelResponse, Fault>> + Send + use<>, Fault> {
        let mut client = TrainingServiceClient::new(self.training.channel.bulk());
        self.training.followed(client.export_model(message).await)
    }
}
