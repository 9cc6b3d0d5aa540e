//! The registry behind MLflow's API.

use futures::{StreamExt as _, stream};
use holdfast_api::registry::v1 as registry;
use holdfast_api::registry::v1::artifact_service_server::ArtifactService;
use holdfast_api::registry::v1::logged_model_service_server::LoggedModelService;
use holdfast_api::registry::v1::read_artifact_response::Part as ReadPart;
use holdfast_api::registry::v1::registered_model_service_server::RegisteredModelService;
use holdfast_api::registry::v1::tracking_service_server::TrackingService;
use holdfast_api::registry::v1::write_artifact_request::Part as WritePart;
use holdfast_chassis::Fault;
use tonic::{Request, Response, Status, Streaming};

use super::{Answer, Answers, Fakes};
use crate::answers::mlflow as answers;

/// How an upload ended, as the registry saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) path: String,
    pub(crate) bytes: usize,
    pub(crate) largest_part: usize,
    /// It came to its end: the file is there.
    pub(crate) whole: bool,
}

impl Fakes {
    /// Waits for an upload to end.
    pub(crate) async fn stored(&self) -> Stored {
        let mut uploads = self.0.uploads.subscribe();
        let ended = uploads.wait_for(|uploads| !uploads.is_empty()).await.unwrap();
        ended[0].clone()
    }

    /// Bytes of the upload that is under way, as they come.
    pub(crate) fn received(&self) -> tokio::sync::watch::Receiver<usize> {
        self.0.received.subscribe()
    }

    /// Keeps a file.
    pub(crate) fn keep(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.0.files.lock().unwrap().insert(path.to_owned(), bytes.into());
    }

    /// A file that is kept.
    pub(crate) fn kept(&self, path: &str) -> Option<Vec<u8>> {
        self.0.files.lock().unwrap().get(path).cloned()
    }
}

macro_rules! registry {
    ($($service:ident { $($method:ident($request:ident) -> $answer:ident;)+ })+) => {
        $(
            #[tonic::async_trait]
            impl $service for Fakes {
                $(
                    async fn $method(&self, request: Request<registry::$request>) -> Answer<registry::$answer> {
                        let message = self.asked(stringify!($method), request).await?;
                        Ok(Response::new(answers::$method(message)))
                    }
                )+
            }
        )+
    };
}

registry! {
    TrackingService {
        create_experiment(CreateExperimentRequest) -> CreateExperimentResponse;
        get_experiment(GetExperimentRequest) -> GetExperimentResponse;
        list_experiments(ListExperimentsRequest) -> ListExperimentsResponse;
        search_experiments(SearchExperimentsRequest) -> SearchExperimentsResponse;
        update_experiment(UpdateExperimentRequest) -> UpdateExperimentResponse;
        delete_experiment(DeleteExperimentRequest) -> DeleteExperimentResponse;
        restore_experiment(RestoreExperimentRequest) -> RestoreExperimentResponse;
        set_experiment_tag(SetExperimentTagRequest) -> SetExperimentTagResponse;
        delete_experiment_tag(DeleteExperimentTagRequest) -> DeleteExperimentTagResponse;
        create_run(CreateRunRequest) -> CreateRunResponse;
        update_run(UpdateRunRequest) -> UpdateRunResponse;
        get_run(GetRunRequest) -> GetRunResponse;
        list_runs(ListRunsRequest) -> ListRunsResponse;
        search_runs(SearchRunsRequest) -> SearchRunsResponse;
        delete_run(DeleteRunRequest) -> DeleteRunResponse;
        restore_run(RestoreRunRequest) -> RestoreRunResponse;
        log_batch(LogBatchRequest) -> LogBatchResponse;
        delete_tag(DeleteTagRequest) -> DeleteTagResponse;
        get_metric_history(GetMetricHistoryRequest) -> GetMetricHistoryResponse;
        sample_metric_history(SampleMetricHistoryRequest) -> SampleMetricHistoryResponse;
        log_inputs(LogInputsRequest) -> LogInputsResponse;
        log_outputs(LogOutputsRequest) -> LogOutputsResponse;
        search_datasets(SearchDatasetsRequest) -> SearchDatasetsResponse;
    }
    LoggedModelService {
        create_logged_model(CreateLoggedModelRequest) -> CreateLoggedModelResponse;
        get_logged_model(GetLoggedModelRequest) -> GetLoggedModelResponse;
        finalize_logged_model(FinalizeLoggedModelRequest) -> FinalizeLoggedModelResponse;
        delete_logged_model(DeleteLoggedModelRequest) -> DeleteLoggedModelResponse;
        search_logged_models(SearchLoggedModelsRequest) -> SearchLoggedModelsResponse;
        set_logged_model_tags(SetLoggedModelTagsRequest) -> SetLoggedModelTagsResponse;
        delete_logged_model_tag(DeleteLoggedModelTagRequest) -> DeleteLoggedModelTagResponse;
        log_logged_model_params(LogLoggedModelParamsRequest) -> LogLoggedModelParamsResponse;
    }
    RegisteredModelService {
        create_registered_model(CreateRegisteredModelRequest) -> CreateRegisteredModelResponse;
        get_registered_model(GetRegisteredModelRequest) -> GetRegisteredModelResponse;
        update_registered_model(UpdateRegisteredModelRequest) -> UpdateRegisteredModelResponse;
        rename_registered_model(RenameRegisteredModelRequest) -> RenameRegisteredModelResponse;
        delete_registered_model(DeleteRegisteredModelRequest) -> DeleteRegisteredModelResponse;
        search_registered_models(SearchRegisteredModelsRequest) -> SearchRegisteredModelsResponse;
        set_registered_model_tag(SetRegisteredModelTagRequest) -> SetRegisteredModelTagResponse;
        delete_registered_model_tag(DeleteRegisteredModelTagRequest) -> DeleteRegisteredModelTagResponse;
        set_alias(SetAliasRequest) -> SetAliasResponse;
        delete_alias(DeleteAliasRequest) -> DeleteAliasResponse;
        get_version_by_alias(GetVersionByAliasRequest) -> GetVersionByAliasResponse;
        create_version(CreateVersionRequest) -> CreateVersionResponse;
        get_version(GetVersionRequest) -> GetVersionResponse;
        update_version(UpdateVersionRequest) -> UpdateVersionResponse;
        delete_version(DeleteVersionRequest) -> DeleteVersionResponse;
        search_versions(SearchVersionsRequest) -> SearchVersionsResponse;
        set_version_tag(SetVersionTagRequest) -> SetVersionTagResponse;
        delete_version_tag(DeleteVersionTagRequest) -> DeleteVersionTagResponse;
        transition_stage(TransitionStageRequest) -> TransitionStageResponse;
        get_latest_versions(GetLatestVersionsRequest) -> GetLatestVersionsResponse;
    }
}

#[tonic::async_trait]
impl ArtifactService for Fakes {
    type ReadArtifactStream = Answers<registry::ReadArtifactResponse>;

    async fn write_artifact(
        &self,
        request: Request<Streaming<registry::WriteArtifactRequest>>,
    ) -> Answer<registry::WriteArtifactResponse> {
        let mut parts = request.into_inner();
        self.asked("write_artifact", Request::new(())).await?;
        let mut ending = Ending(
            self.clone(),
            Stored {
                path: String::new(),
                bytes: 0,
                largest_part: 0,
                whole: false,
            },
        );
        let mut bytes = Vec::new();
        loop {
            let Some(part) = parts.message().await? else {
                return Err(Status::invalid_argument("no end"));
            };
            match part.part.unwrap() {
                WritePart::Header(header) => ending.1.path = header.path,
                WritePart::Chunk(chunk) => {
                    ending.1.largest_part = ending.1.largest_part.max(chunk.len());
                    bytes.extend(chunk);
                    ending.1.bytes = bytes.len();
                    self.0.received.send_replace(bytes.len());
                }
                WritePart::End(_) => break,
            }
        }
        ending.1.whole = true;
        self.keep(&ending.1.path, bytes);
        Ok(Response::new(registry::WriteArtifactResponse::default()))
    }

    /// Names say how it goes: `broken` breaks off after the first piece, `silent` stays silent then.
    async fn read_artifact(&self, request: Request<registry::ReadArtifactRequest>) -> Answer<Self::ReadArtifactStream> {
        let path = self.asked("read_artifact", request).await?.path;
        let Some(bytes) = self.kept(&path) else {
            return Err(Fault::not_found("NO_SUCH_ARTIFACT", format!("no artefact at {path:?}")).into());
        };
        let file = registry::ArtifactInfo {
            path: path.clone(),
            is_dir: false,
            size_bytes: bytes.len() as u64,
            digest: String::new(),
        };
        let pieces: Vec<_> = bytes
            .chunks(64 << 10)
            .map(|piece| ReadPart::Chunk(piece.to_vec()))
            .collect();
        let part = |part| Ok(registry::ReadArtifactResponse { part: Some(part) });
        let parts = stream::iter([ReadPart::Artifact(file)].into_iter().chain(pieces).map(part));
        Ok(Response::new(if path.ends_with("broken") {
            let damaged = Status::data_loss("damaged");
            parts.take(2).chain(stream::iter([Err(damaged)])).boxed()
        } else if path.ends_with("silent") {
            parts.take(2).chain(stream::pending()).boxed()
        } else {
            parts.boxed()
        }))
    }

    async fn list_artifacts(
        &self,
        request: Request<registry::ListArtifactsRequest>,
    ) -> Answer<registry::ListArtifactsResponse> {
        let message = self.asked("list_artifacts", request).await?;
        Ok(Response::new(answers::list_artifacts(message)))
    }

    async fn delete_artifacts(
        &self,
        request: Request<registry::DeleteArtifactsRequest>,
    ) -> Answer<registry::DeleteArtifactsResponse> {
        self.asked("delete_artifacts", request).await?;
        Ok(Response::new(registry::DeleteArtifactsResponse { files: 1 }))
    }
}

/// Notes how an upload ended, also when its call is dropped because the caller has gone.
struct Ending(Fakes, Stored);

impl Drop for Ending {
    fn drop(&mut self) {
        let stored = self.1.clone();
        self.0.0.uploads.send_modify(|uploads| uploads.push(stored));
    }
}
