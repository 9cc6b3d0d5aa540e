//! The rpcs behind MLflow's REST API: all of the registry.

use futures::Stream;
use holdfast_api::registry::v1 as registry;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::logged_model_service_client::LoggedModelServiceClient;
use holdfast_api::registry::v1::registered_model_service_client::RegisteredModelServiceClient;
use holdfast_api::registry::v1::tracking_service_client::TrackingServiceClient;
use holdfast_chassis::Fault;

use super::{MAX_ANSWER_BYTES, Peers};

rpcs! { registry, TrackingServiceClient, registry:
    write create_experiment(CreateExperimentRequest) -> CreateExperimentResponse;
    read get_experiment(GetExperimentRequest) -> GetExperimentResponse;
    read search_experiments(SearchExperimentsRequest) -> SearchExperimentsResponse;
    write update_experiment(UpdateExperimentRequest) -> UpdateExperimentResponse;
    write delete_experiment(DeleteExperimentRequest) -> DeleteExperimentResponse;
    write restore_experiment(RestoreExperimentRequest) -> RestoreExperimentResponse;
    write set_experiment_tag(SetExperimentTagRequest) -> SetExperimentTagResponse;
    write delete_experiment_tag(DeleteExperimentTagRequest) -> DeleteExperimentTagResponse;
    write create_run(CreateRunRequest) -> CreateRunResponse;
    write update_run(UpdateRunRequest) -> UpdateRunResponse;
    read search_runs(SearchRunsRequest) -> SearchRunsResponse;
    write delete_run(DeleteRunRequest) -> DeleteRunResponse;
    write restore_run(RestoreRunRequest) -> RestoreRunResponse;
    write log_batch(LogBatchRequest) -> LogBatchResponse;
    write delete_tag(DeleteTagRequest) -> DeleteTagResponse;
    read get_metric_history(GetMetricHistoryRequest) -> GetMetricHistoryResponse;
    read sample_metric_history(SampleMetricHistoryRequest) -> SampleMetricHistoryResponse;
    write log_inputs(LogInputsRequest) -> LogInputsResponse;
    write log_outputs(LogOutputsRequest) -> LogOutputsResponse;
    read search_datasets(SearchDatasetsRequest) -> SearchDatasetsResponse;
}

rpcs! { registry, LoggedModelServiceClient, registry:
    write create_logged_model(CreateLoggedModelRequest) -> CreateLoggedModelResponse;
    read get_logged_model(GetLoggedModelRequest) -> GetLoggedModelResponse;
    write finalize_logged_model(FinalizeLoggedModelRequest) -> FinalizeLoggedModelResponse;
    write delete_logged_model(DeleteLoggedModelRequest) -> DeleteLoggedModelResponse;
    read search_logged_models(SearchLoggedModelsRequest) -> SearchLoggedModelsResponse;
    write set_logged_model_tags(SetLoggedModelTagsRequest) -> SetLoggedModelTagsResponse;
    write delete_logged_model_tag(DeleteLoggedModelTagRequest) -> DeleteLoggedModelTagResponse;
    write log_logged_model_params(LogLoggedModelParamsRequest) -> LogLoggedModelParamsResponse;
}

rpcs! { registry, RegisteredModelServiceClient, registry:
    write create_registered_model(CreateRegisteredModelRequest) -> CreateRegisteredModelResponse;
    read get_registered_model(GetRegisteredModelRequest) -> GetRegisteredModelResponse;
    write update_registered_model(UpdateRegisteredModelRequest) -> UpdateRegisteredModelResponse;
    write rename_registered_model(RenameRegisteredModelRequest) -> RenameRegisteredModelResponse;
    write delete_registered_model(DeleteRegisteredModelRequest) -> DeleteRegisteredModelResponse;
    read search_registered_models(SearchRegisteredModelsRequest) -> SearchRegisteredModelsResponse;
    write set_registered_model_tag(SetRegisteredModelTagRequest) -> SetRegisteredModelTagResponse;
    write delete_registered_model_tag(DeleteRegisteredModelTagRequest) -> DeleteRegisteredModelTagResponse;
    write set_alias(SetAliasRequest) -> SetAliasResponse;
    write delete_alias(DeleteAliasRequest) -> DeleteAliasResponse;
    read get_version_by_alias(GetVersionByAliasRequest) -> GetVersionByAliasResponse;
    write create_version(CreateVersionRequest) -> CreateVersionResponse;
    read get_version(GetVersionRequest) -> GetVersionResponse;
    write update_version(UpdateVersionRequest) -> UpdateVersionResponse;
    write delete_version(DeleteVersionRequest) -> DeleteVersionResponse;
    read search_versions(SearchVersionsRequest) -> SearchVersionsResponse;
    write set_version_tag(SetVersionTagRequest) -> SetVersionTagResponse;
    write delete_version_tag(DeleteVersionTagRequest) -> DeleteVersionTagResponse;
    write transition_stage(TransitionStageRequest) -> TransitionStageResponse;
    read get_latest_versions(GetLatestVersionsRequest) -> GetLatestVersionsResponse;
}

rpcs! { registry, ArtifactServiceClient, registry:
    read list_artifacts(ListArtifactsRequest) -> ListArtifactsResponse;
    write delete_artifacts(DeleteArtifactsRequest) -> DeleteArtifactsResponse;
}

impl Peers {
    /// Calls `get_run` of the registry; training has a method of that name, too.
    ///
    /// # Errors
    /// The peer's failure, or that it is away or late.
    pub async fn tracked_run(&self, message: registry::GetRunRequest) -> Result<registry::GetRunResponse, Fault> {
        let call = |request| {
            let client = TrackingServiceClient::new(self.registry.channel.clone());
            let mut client = client.max_decoding_message_size(MAX_ANSWER_BYTES);
            Box::pin(async move { client.get_run(request).await })
        };
        self.registry.read(message, call).await
    }

    /// Passes a file on, part by part. It ends with its last message: a call that is dropped before stores nothing.
    ///
    /// # Errors
    /// The peer's failure.
    pub async fn write_artifact<S>(&self, parts: S) -> Result<registry::WriteArtifactResponse, Fault>
    where
        S: Stream<Item = registry::WriteArtifactRequest> + Send + 'static,
    {
        let mut client = ArtifactServiceClient::new(self.registry.channel.bulk());
        self.registry.outcome(client.write_artifact(parts).await)
    }

    /// A file, piece by piece.
    ///
    /// # Errors
    /// The peer's failure to begin; later ones are items of the stream.
    pub async fn read_artifact(
        &self,
        message: registry::ReadArtifactRequest,
    ) -> Result<impl Stream<Item = Result<registry::ReadArtifactResponse, Fault>> + Send + use<>, Fault> {
        let mut client = ArtifactServiceClient::new(self.registry.channel.bulk());
        self.registry.followed(client.read_artifact(message).await)
    }
}
