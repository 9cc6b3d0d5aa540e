//! A model that a notebook has logged with MLflow's client: imported without anybody's doing, promoted, and served.

use std::path::PathBuf;

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_api::registry::v1::registered_model_service_client::RegisteredModelServiceClient;
use holdfast_api::registry::v1::tracking_service_client::TrackingServiceClient;
use holdfast_api::registry::v1::write_artifact_request::Part;
use holdfast_testkit::eventually;

use crate::support::{Cluster, Name, PATIENCE, customers};

/// As MLflow 3.17.2 writes it.
const MLMODEL: &str = "flavors:\n  python_function:\n    data: model.ubj\n    loader_module: mlflow.xgboost\n  xgboost:\n    code: null\n    \
                       data: model.ubj\n    model_class: xgboost.core.Booster\n    model_format: ubj\n    xgb_version: 3.2.0\nmlflow_version: 3.17.2\n";

/// What `mlflow.xgboost.log_model(…, registered_model_name="churn")` comes to; answers the version.
async fn log_model(cluster: &Cluster) -> u32 {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/interchange/models/customers-xgboost.ubj");
    let bytes = std::fs::read(file).unwrap();
    let channel = cluster.channel(Name::Registry);
    let mut tracking = TrackingServiceClient::new(channel.clone());
    let experiment = wire::CreateExperimentRequest {
        name: "notebook".to_owned(),
        ..Default::default()
    };
    let experiment = tracking
        .create_experiment(experiment)
        .await
        .unwrap()
        .into_inner()
        .experiment;
    let experiment_id = experiment.unwrap().experiment_id;
    let run = wire::CreateRunRequest {
        experiment_id: experiment_id.clone(),
        ..Default::default()
    };
    let run_id = tracking.create_run(run).await.unwrap().into_inner().run.unwrap().run_id;
    let folder = format!("{experiment_id}/{run_id}/artifacts/model");
    let mut artifacts = ArtifactServiceClient::new(channel.clone());
    for (name, bytes) in [("model.ubj", bytes.as_slice()), ("MLmodel", MLMODEL.as_bytes())] {
        let path = format!("{folder}/{name}");
        let chunks = bytes.chunks(100_000).map(|chunk| Part::Chunk(chunk.to_vec()));
        let parts = std::iter::once(Part::Header(wire::ArtifactHeader { path }))
            .chain(chunks)
            .chain([Part::End(wire::ArtifactEnd::default())]);
        let messages: Vec<_> = parts
            .map(|part| wire::WriteArtifactRequest { part: Some(part) })
            .collect();
        artifacts.write_artifact(futures::stream::iter(messages)).await.unwrap();
    }
    let version = wire::CreateVersionRequest {
        name: "churn".to_owned(),
        source: format!("mlflow-artifacts:/{folder}"),
        run_id,
        ..Default::default()
    };
    let made = RegisteredModelServiceClient::new(channel)
        .create_version(version)
        .await
        .unwrap();
    made.into_inner().version.unwrap().version
}

#[tokio::test]
async fn a_model_of_a_notebook_is_imported_by_itself_promoted_and_served() {
    let mut cluster = Cluster::start().await;
    assert_eq!(cluster.train(5, &["--preset", "fast"]).await["promoted"], true);
    cluster.kill(Name::Training).await;
    let version = log_model(&cluster).await;
    assert_eq!(version, 2);
    let waits = cluster.get("/api/v1/models/churn/versions/2/import").await;
    assert_eq!(
        (&waits["state"], &waits["library"]),
        (&"requested".into(), &"xgboost".into()),
        "{waits}"
    );

    cluster.revive(Name::Training).await;
    let imported = cluster.cli(&["models", "import", "--version", "2"]).await.json();
    assert_eq!(
        (&imported["version"], &imported["promoted"]),
        (&2.into(), &false.into()),
        "{imported}"
    );
    eventually("the end of the import", PATIENCE, async || {
        cluster.get("/api/v1/models/churn/versions/2/import").await["state"] == "done"
    })
    .await;
    let shown = cluster.cli(&["models", "show", "2"]).await.json();
    assert_eq!(shown["decisions"].as_array().unwrap().len(), 1, "{shown}");

    let promote = wire::PromoteRequest {
        model: "churn".to_owned(),
        version,
        expected_generation: Some(1),
        actor: "grace".to_owned(),
        note: "the notebook's".to_owned(),
        override_gate: true,
    };
    let mut champions = ChampionServiceClient::new(cluster.channel(Name::Registry));
    champions.promote(promote).await.unwrap();
    let customers = customers(1);
    // One call at a time until the swap is seen: two may meet a version each.
    eventually("the notebook's model to serve", PATIENCE, async || {
        cluster.predict_rest(&customers).await["version"] == 2
    })
    .await;
    assert_eq!(cluster.predict(&customers[0], &mut Vec::new()).await.0, 2);

    // The notebook's run is deleted, and stays: the champion was made from it.
    let notebook = cluster.get("/api/v1/models/churn/versions/2/import").await;
    let file = notebook["file"].as_str().unwrap().to_owned();
    let run_id = file.split('/').nth(1).unwrap().to_owned();
    let delete = wire::DeleteRunRequest { run_id: run_id.clone() };
    let mut tracking = TrackingServiceClient::new(cluster.channel(Name::Registry));
    tracking.delete_run(delete).await.unwrap();
    let collected = cluster.cli(&["gc", "--remove", "--older-than-days", "0"]).await.json();
    assert_eq!(
        (&collected["removed"], &collected["total"]),
        (&true.into(), &0.into()),
        "{collected}"
    );
    assert_eq!(collected["kept"][0]["id"], run_id, "{collected}");
}
