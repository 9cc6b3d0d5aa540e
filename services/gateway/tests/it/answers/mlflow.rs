//! The registry's answers behind MLflow's API.

use holdfast_api::registry::v1 as registry;
use holdfast_api::registry::v1::get_experiment_request::By;

use super::AT;

pub(crate) const RUN: &str = "0a7125e72db040009baf58ff12d30277";
pub(crate) const MODEL: &str = "m-8e538ba2ce5649c9b7890f2339875c59";

fn tag() -> registry::Tag {
    registry::Tag {
        key: "team".to_owned(),
        value: "churn".to_owned(),
    }
}

fn param() -> registry::Param {
    registry::Param {
        key: "lr".to_owned(),
        value: "0.1".to_owned(),
    }
}

fn metric(key: &str, value: f64) -> registry::Metric {
    registry::Metric {
        key: key.to_owned(),
        value,
        measured_at: Some(AT),
        step: 3,
        ..Default::default()
    }
}

fn experiment(name: &str) -> registry::Experiment {
    registry::Experiment {
        experiment_id: "1".to_owned(),
        name: name.to_owned(),
        lifecycle_stage: registry::LifecycleStage::Active.into(),
        created_at: Some(AT),
        tags: vec![tag()],
        artifact_location: "mlflow-artifacts:/1".to_owned(),
        updated_at: Some(AT),
    }
}

fn run(run_id: &str) -> registry::Run {
    registry::Run {
        run_id: run_id.to_owned(),
        experiment_id: "1".to_owned(),
        name: "r1".to_owned(),
        status: registry::RunStatus::Finished.into(),
        started_at: Some(AT),
        ended_at: Some(AT),
        lifecycle_stage: registry::LifecycleStage::Active.into(),
        params: vec![param()],
        metrics: vec![
            metric("auc", 0.5),
            metric("nan", f64::NAN),
            metric("up", f64::INFINITY),
            metric("down", f64::NEG_INFINITY),
        ],
        tags: vec![tag()],
        user_id: "ada".to_owned(),
        artifact_uri: format!("mlflow-artifacts:/1/{run_id}/artifacts"),
        dataset_inputs: vec![registry::DatasetInput {
            tags: vec![tag()],
            dataset: Some(registry::Dataset {
                name: "train".to_owned(),
                digest: "fb54".to_owned(),
                source_type: "s3".to_owned(),
                source: "{}".to_owned(),
                schema: String::new(),
                profile: String::new(),
            }),
        }],
        model_inputs: vec![MODEL.to_owned()],
        model_outputs: vec![registry::ModelOutput {
            model_id: MODEL.to_owned(),
            step: 2,
        }],
    }
}

fn logged_model(model_id: &str) -> registry::LoggedModel {
    registry::LoggedModel {
        model_id: model_id.to_owned(),
        experiment_id: "1".to_owned(),
        name: "model".to_owned(),
        artifact_uri: format!("mlflow-artifacts:/1/models/{model_id}/artifacts"),
        created_at: Some(AT),
        updated_at: Some(AT),
        status: registry::LoggedModelStatus::Ready.into(),
        model_type: String::new(),
        source_run_id: RUN.to_owned(),
        user_id: "ada".to_owned(),
        params: vec![param()],
        tags: vec![tag()],
        metrics: vec![registry::LoggedModelMetric {
            run_id: RUN.to_owned(),
            metric: Some(metric("auc", 0.5)),
        }],
        registrations: vec![registry::Registration {
            name: "churn".to_owned(),
            version: 2,
        }],
    }
}

fn version(name: &str, number: u32) -> registry::RegisteredVersion {
    registry::RegisteredVersion {
        model: name.to_owned(),
        version: number,
        created_at: Some(AT),
        updated_at: Some(AT),
        stage: "None".to_owned(),
        source: format!("models:/{MODEL}"),
        run_id: RUN.to_owned(),
        ready: true,
        aliases: vec!["champion".to_owned()],
        artifact_uri: format!("mlflow-artifacts:/1/models/{MODEL}/artifacts"),
        ..Default::default()
    }
}

fn registered(name: &str) -> registry::RegisteredModel {
    registry::RegisteredModel {
        name: name.to_owned(),
        created_at: Some(AT),
        updated_at: Some(AT),
        description: String::new(),
        tags: vec![tag()],
        aliases: vec![registry::Alias {
            name: "champion".to_owned(),
            version: 2,
        }],
        latest_versions: vec![version(name, 2)],
    }
}

/// Answers that say nothing.
macro_rules! nothing {
    ($($method:ident($request:ident) -> $answer:ident;)+) => {
        $(
            pub(crate) fn $method(_: registry::$request) -> registry::$answer {
                registry::$answer::default()
            }
        )+
    };
}

nothing! {
    list_experiments(ListExperimentsRequest) -> ListExperimentsResponse;
    list_runs(ListRunsRequest) -> ListRunsResponse;
    update_experiment(UpdateExperimentRequest) -> UpdateExperimentResponse;
    delete_experiment(DeleteExperimentRequest) -> DeleteExperimentResponse;
    restore_experiment(RestoreExperimentRequest) -> RestoreExperimentResponse;
    set_experiment_tag(SetExperimentTagRequest) -> SetExperimentTagResponse;
    delete_experiment_tag(DeleteExperimentTagRequest) -> DeleteExperimentTagResponse;
    delete_run(DeleteRunRequest) -> DeleteRunResponse;
    restore_run(RestoreRunRequest) -> RestoreRunResponse;
    log_batch(LogBatchRequest) -> LogBatchResponse;
    delete_tag(DeleteTagRequest) -> DeleteTagResponse;
    log_inputs(LogInputsRequest) -> LogInputsResponse;
    log_outputs(LogOutputsRequest) -> LogOutputsResponse;
    delete_logged_model(DeleteLoggedModelRequest) -> DeleteLoggedModelResponse;
    set_logged_model_tags(SetLoggedModelTagsRequest) -> SetLoggedModelTagsResponse;
    delete_logged_model_tag(DeleteLoggedModelTagRequest) -> DeleteLoggedModelTagResponse;
    log_logged_model_params(LogLoggedModelParamsRequest) -> LogLoggedModelParamsResponse;
    delete_registered_model(DeleteRegisteredModelRequest) -> DeleteRegisteredModelResponse;
    set_registered_model_tag(SetRegisteredModelTagRequest) -> SetRegisteredModelTagResponse;
    delete_registered_model_tag(DeleteRegisteredModelTagRequest) -> DeleteRegisteredModelTagResponse;
    set_alias(SetAliasRequest) -> SetAliasResponse;
    delete_alias(DeleteAliasRequest) -> DeleteAliasResponse;
    delete_version(DeleteVersionRequest) -> DeleteVersionResponse;
    set_version_tag(SetVersionTagRequest) -> SetVersionTagResponse;
    delete_version_tag(DeleteVersionTagRequest) -> DeleteVersionTagResponse;
}

pub(crate) fn create_experiment(message: registry::CreateExperimentRequest) -> registry::CreateExperimentResponse {
    registry::CreateExperimentResponse {
        experiment: Some(experiment(&message.name)),
    }
}

pub(crate) fn get_experiment(message: registry::GetExperimentRequest) -> registry::GetExperimentResponse {
    let name = match message.by.unwrap() {
        By::ExperimentId(_) => "churn".to_owned(),
        By::Name(name) => name,
    };
    registry::GetExperimentResponse {
        experiment: Some(experiment(&name)),
    }
}

pub(crate) fn search_experiments(_: registry::SearchExperimentsRequest) -> registry::SearchExperimentsResponse {
    registry::SearchExperimentsResponse {
        experiments: vec![experiment("churn")],
        next_page_token: "1".to_owned(),
    }
}

pub(crate) fn create_run(message: registry::CreateRunRequest) -> registry::CreateRunResponse {
    registry::CreateRunResponse {
        run: Some(registry::Run {
            run_id: RUN.to_owned(),
            experiment_id: message.experiment_id,
            name: message.name,
            status: registry::RunStatus::Running.into(),
            started_at: message.started_at,
            lifecycle_stage: registry::LifecycleStage::Active.into(),
            tags: message.tags,
            ..Default::default()
        }),
    }
}

pub(crate) fn update_run(message: registry::UpdateRunRequest) -> registry::UpdateRunResponse {
    registry::UpdateRunResponse {
        run: Some(run(&message.run_id)),
    }
}

pub(crate) fn get_run(message: registry::GetRunRequest) -> registry::GetRunResponse {
    registry::GetRunResponse {
        run: Some(run(&message.run_id)),
    }
}

pub(crate) fn search_runs(_: registry::SearchRunsRequest) -> registry::SearchRunsResponse {
    registry::SearchRunsResponse {
        runs: vec![run(RUN)],
        next_page_token: "7".to_owned(),
    }
}

/// Two pages, unless a size is asked for.
pub(crate) fn get_metric_history(message: registry::GetMetricHistoryRequest) -> registry::GetMetricHistoryResponse {
    let first = message.page_token.is_empty();
    registry::GetMetricHistoryResponse {
        metrics: vec![metric(&message.key, if first { 0.25 } else { 0.5 })],
        next_page_token: if first { "1".to_owned() } else { String::new() },
    }
}

pub(crate) fn sample_metric_history(
    message: registry::SampleMetricHistoryRequest,
) -> registry::SampleMetricHistoryResponse {
    let metrics = message.run_ids.into_iter().map(|run_id| registry::RunMetric {
        run_id,
        metric: Some(metric(&message.key, 0.5)),
    });
    registry::SampleMetricHistoryResponse {
        metrics: metrics.collect(),
    }
}

pub(crate) fn search_datasets(message: registry::SearchDatasetsRequest) -> registry::SearchDatasetsResponse {
    let datasets = message.experiment_ids.into_iter();
    registry::SearchDatasetsResponse {
        datasets: datasets
            .map(|experiment_id| registry::DatasetSummary {
                experiment_id,
                name: "train".to_owned(),
                digest: "fb54".to_owned(),
                context: String::new(),
            })
            .collect(),
    }
}

pub(crate) fn create_logged_model(_: registry::CreateLoggedModelRequest) -> registry::CreateLoggedModelResponse {
    registry::CreateLoggedModelResponse {
        model: Some(logged_model(MODEL)),
    }
}

pub(crate) fn get_logged_model(message: registry::GetLoggedModelRequest) -> registry::GetLoggedModelResponse {
    registry::GetLoggedModelResponse {
        model: Some(logged_model(&message.model_id)),
    }
}

pub(crate) fn finalize_logged_model(
    message: registry::FinalizeLoggedModelRequest,
) -> registry::FinalizeLoggedModelResponse {
    registry::FinalizeLoggedModelResponse {
        model: Some(logged_model(&message.model_id)),
    }
}

pub(crate) fn search_logged_models(_: registry::SearchLoggedModelsRequest) -> registry::SearchLoggedModelsResponse {
    registry::SearchLoggedModelsResponse {
        models: vec![logged_model(MODEL)],
        next_page_token: String::new(),
    }
}

pub(crate) fn create_registered_model(
    message: registry::CreateRegisteredModelRequest,
) -> registry::CreateRegisteredModelResponse {
    registry::CreateRegisteredModelResponse {
        model: Some(registry::RegisteredModel {
            name: message.name,
            created_at: Some(AT),
            updated_at: Some(AT),
            ..Default::default()
        }),
    }
}

pub(crate) fn get_registered_model(
    message: registry::GetRegisteredModelRequest,
) -> registry::GetRegisteredModelResponse {
    registry::GetRegisteredModelResponse {
        model: Some(registered(&message.name)),
    }
}

pub(crate) fn update_registered_model(
    message: registry::UpdateRegisteredModelRequest,
) -> registry::UpdateRegisteredModelResponse {
    registry::UpdateRegisteredModelResponse {
        model: Some(registered(&message.name)),
    }
}

pub(crate) fn rename_registered_model(
    message: registry::RenameRegisteredModelRequest,
) -> registry::RenameRegisteredModelResponse {
    registry::RenameRegisteredModelResponse {
        model: Some(registered(&message.new_name)),
    }
}

pub(crate) fn search_registered_models(
    _: registry::SearchRegisteredModelsRequest,
) -> registry::SearchRegisteredModelsResponse {
    registry::SearchRegisteredModelsResponse {
        models: vec![registered("churn")],
        next_page_token: String::new(),
    }
}

pub(crate) fn get_version_by_alias(message: registry::GetVersionByAliasRequest) -> registry::GetVersionByAliasResponse {
    registry::GetVersionByAliasResponse {
        version: Some(version(&message.name, 2)),
    }
}

pub(crate) fn create_version(message: registry::CreateVersionRequest) -> registry::CreateVersionResponse {
    registry::CreateVersionResponse {
        version: Some(version(&message.name, 3)),
    }
}

pub(crate) fn get_version(message: registry::GetVersionRequest) -> registry::GetVersionResponse {
    registry::GetVersionResponse {
        version: Some(version(&message.name, message.version)),
    }
}

pub(crate) fn update_version(message: registry::UpdateVersionRequest) -> registry::UpdateVersionResponse {
    registry::UpdateVersionResponse {
        version: Some(version(&message.name, message.version)),
    }
}

pub(crate) fn search_versions(_: registry::SearchVersionsRequest) -> registry::SearchVersionsResponse {
    registry::SearchVersionsResponse {
        versions: vec![version("churn", 2), version("churn", 1)],
        next_page_token: String::new(),
    }
}

pub(crate) fn transition_stage(message: registry::TransitionStageRequest) -> registry::TransitionStageResponse {
    registry::TransitionStageResponse {
        version: Some(registry::RegisteredVersion {
            stage: message.stage,
            ..version(&message.name, message.version)
        }),
    }
}

pub(crate) fn get_latest_versions(message: registry::GetLatestVersionsRequest) -> registry::GetLatestVersionsResponse {
    registry::GetLatestVersionsResponse {
        versions: vec![version(&message.name, 2)],
    }
}

/// Two pages in a folder called `artifacts`, nothing elsewhere.
pub(crate) fn list_artifacts(message: registry::ListArtifactsRequest) -> registry::ListArtifactsResponse {
    let entry = |path: &str, is_dir, size_bytes| registry::ArtifactInfo {
        path: path.to_owned(),
        is_dir,
        size_bytes,
        digest: String::new(),
    };
    let (artifacts, next) = match &*message.page_token {
        _ if !message.path.ends_with("artifacts") => (vec![], ""),
        "" => (vec![entry("bins", true, 0), entry("cfg", true, 0)], "d:cfg"),
        _ => (vec![entry("notes.txt", false, 5)], ""),
    };
    registry::ListArtifactsResponse {
        artifacts,
        next_page_token: next.to_owned(),
    }
}
