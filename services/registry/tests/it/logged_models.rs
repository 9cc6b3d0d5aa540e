//! Logged models, data sets and the links of runs to both, over gRPC.

use holdfast_api::registry::v1 as wire;
use tonic::{Code, Status};

use crate::support::{Registry, reason, violated};

fn param(key: &str, value: &str) -> wire::Param {
    wire::Param {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn tag(key: &str, value: &str) -> wire::Tag {
    wire::Tag {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

/// An experiment and a run in it.
async fn run(registry: &mut Registry) -> (String, String) {
    let experiment = wire::CreateExperimentRequest {
        name: "trees".to_owned(),
        ..Default::default()
    };
    let made = registry.tracking.create_experiment(experiment).await.unwrap();
    let experiment_id = made.into_inner().experiment.unwrap().experiment_id;
    let run = wire::CreateRunRequest {
        experiment_id: experiment_id.clone(),
        ..Default::default()
    };
    let made = registry.tracking.create_run(run).await.unwrap();
    (experiment_id, made.into_inner().run.unwrap().run_id)
}

async fn create(registry: &mut Registry, experiment_id: &str, name: &str) -> Result<wire::LoggedModel, Status> {
    let request = wire::CreateLoggedModelRequest {
        experiment_id: experiment_id.to_owned(),
        name: name.to_owned(),
        model_type: "tree".to_owned(),
        params: vec![param("depth", "6")],
        tags: vec![tag("team", "churn")],
        ..Default::default()
    };
    let made = registry.logged_models.create_logged_model(request).await?;
    Ok(made.into_inner().model.unwrap())
}

async fn get(registry: &mut Registry, model_id: &str) -> Result<wire::LoggedModel, Status> {
    let request = wire::GetLoggedModelRequest {
        model_id: model_id.to_owned(),
    };
    let found = registry.logged_models.get_logged_model(request).await?;
    Ok(found.into_inner().model.unwrap())
}

#[tokio::test]
async fn a_logged_model_is_created_changed_finished_and_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let (experiment_id, _) = run(&mut registry).await;
    let made = create(&mut registry, &experiment_id, "model").await.unwrap();
    assert_eq!(made.status(), wire::LoggedModelStatus::Pending);
    assert!(
        made.artifact_uri
            .ends_with(&format!("/{experiment_id}/models/{}/artifacts", made.model_id)),
        "{}",
        made.artifact_uri
    );
    let model_id = made.model_id.clone();
    let tags = wire::SetLoggedModelTagsRequest {
        model_id: model_id.clone(),
        tags: vec![tag("team", "risk"), tag("seen", "yes")],
    };
    registry.logged_models.set_logged_model_tags(tags).await.unwrap();
    let unseen = wire::DeleteLoggedModelTagRequest {
        model_id: model_id.clone(),
        key: "seen".to_owned(),
    };
    registry
        .logged_models
        .delete_logged_model_tag(unseen.clone())
        .await
        .unwrap();
    let refused = registry
        .logged_models
        .delete_logged_model_tag(unseen)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    let params = |value: &str| wire::LogLoggedModelParamsRequest {
        model_id: model_id.clone(),
        params: vec![param("trees", value)],
    };
    registry
        .logged_models
        .log_logged_model_params(params("400"))
        .await
        .unwrap();
    registry
        .logged_models
        .log_logged_model_params(params("400"))
        .await
        .unwrap();
    let refused = registry.logged_models.log_logged_model_params(params("500")).await;
    let broken = ("params[0].value".to_owned(), "immutable".to_owned());
    assert_eq!(violated(&refused.unwrap_err()), [broken]);
    let finish = wire::FinalizeLoggedModelRequest {
        model_id: model_id.clone(),
        status: wire::LoggedModelStatus::Ready.into(),
    };
    registry.logged_models.finalize_logged_model(finish).await.unwrap();

    let found = get(&mut registry, &model_id).await.unwrap();
    assert_eq!(found.status(), wire::LoggedModelStatus::Ready);
    assert_eq!((found.name.as_str(), found.model_type.as_str()), ("model", "tree"));
    assert_eq!(found.tags, [tag("team", "risk")]);
    assert_eq!(found.params, [param("depth", "6"), param("trees", "400")]);

    let delete = wire::DeleteLoggedModelRequest {
        model_id: model_id.clone(),
    };
    registry.logged_models.delete_logged_model(delete).await.unwrap();
    let gone = get(&mut registry, &model_id).await.unwrap_err();
    assert_eq!(
        (gone.code(), reason(&gone).as_str()),
        (Code::NotFound, "NO_SUCH_LOGGED_MODEL")
    );
    for (name, experiment) in [("a/b", experiment_id.as_str()), ("fine", "no number")] {
        let refused = create(&mut registry, experiment, name).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    }
    registry.stop().await;
}

#[tokio::test]
async fn logged_models_are_searched_in_pages() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let (experiment_id, _) = run(&mut registry).await;
    for name in ["a", "b", "c"] {
        create(&mut registry, &experiment_id, name).await.unwrap();
    }
    let mut request = wire::SearchLoggedModelsRequest {
        experiment_ids: vec![experiment_id],
        filter: "name != 'b' AND params.depth = '6'".to_owned(),
        order_by: vec![wire::LoggedModelOrder {
            field: "name".to_owned(),
            descending: false,
            ..Default::default()
        }],
        page_size: 1,
        ..Default::default()
    };
    let mut names = Vec::new();
    loop {
        let found = registry
            .logged_models
            .search_logged_models(request.clone())
            .await
            .unwrap();
        let found = found.into_inner();
        names.extend(found.models.into_iter().map(|model| model.name));
        if found.next_page_token.is_empty() {
            break;
        }
        request.page_token = found.next_page_token;
    }
    assert_eq!(names, ["a", "c"]);
    let wrong = wire::SearchLoggedModelsRequest {
        filter: "name ==== 'b'".to_owned(),
        page_token: String::new(),
        ..request
    };
    let refused = registry.logged_models.search_logged_models(wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    registry.stop().await;
}

#[tokio::test]
async fn runs_are_linked_to_data_sets_and_logged_models() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let (experiment_id, run_id) = run(&mut registry).await;
    let model_id = create(&mut registry, &experiment_id, "model").await.unwrap().model_id;
    let dataset = wire::Dataset {
        name: "bank".to_owned(),
        digest: "d1".to_owned(),
        source_type: "local".to_owned(),
        source: "{}".to_owned(),
        ..Default::default()
    };
    let input = wire::DatasetInput {
        tags: vec![tag("mlflow.data.context", "training")],
        dataset: Some(dataset),
    };
    let inputs = wire::LogInputsRequest {
        run_id: run_id.clone(),
        datasets: vec![input.clone()],
        model_ids: vec![model_id.clone()],
    };
    registry.tracking.log_inputs(inputs.clone()).await.unwrap();
    let outputs = wire::LogOutputsRequest {
        run_id: run_id.clone(),
        models: vec![wire::ModelOutput {
            model_id: model_id.clone(),
            step: 3,
        }],
    };
    registry.tracking.log_outputs(outputs).await.unwrap();

    let found = registry
        .tracking
        .get_run(wire::GetRunRequest { run_id: run_id.clone() })
        .await;
    let run = found.unwrap().into_inner().run.unwrap();
    assert_eq!(run.dataset_inputs, [input]);
    assert_eq!(run.model_inputs, std::slice::from_ref(&model_id));
    assert_eq!(run.model_outputs, [wire::ModelOutput { model_id, step: 3 }]);
    let asked = wire::SearchDatasetsRequest {
        experiment_ids: vec![experiment_id.clone()],
    };
    let datasets = registry
        .tracking
        .search_datasets(asked)
        .await
        .unwrap()
        .into_inner()
        .datasets;
    let summary = wire::DatasetSummary {
        experiment_id,
        name: "bank".to_owned(),
        digest: "d1".to_owned(),
        context: "training".to_owned(),
    };
    assert_eq!(datasets, [summary]);

    // Nothing of a request that is refused is kept.
    let unknown = wire::LogOutputsRequest {
        run_id: run_id.clone(),
        models: vec![wire::ModelOutput {
            model_id: "m-unknown".to_owned(),
            step: 0,
        }],
    };
    assert!(registry.tracking.log_outputs(unknown).await.is_err());
    let nameless = wire::LogInputsRequest {
        datasets: vec![wire::DatasetInput::default()],
        ..inputs
    };
    let refused = registry.tracking.log_inputs(nameless).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
    let found = registry.tracking.get_run(wire::GetRunRequest { run_id }).await;
    assert_eq!(found.unwrap().into_inner().run.unwrap().model_outputs.len(), 1);
    registry.stop().await;
}
