//! Logged models, and what goes into runs and comes out of them.

use std::sync::Arc;

use holdfast_chassis::clock::SystemClock;
use holdfast_registry::Error;
use holdfast_registry::service::logged_models::{
    DatasetRef, LoggedModelSearchText, LoggedModelStatus, LoggedModels, NewLoggedModel,
};
use holdfast_registry::service::registered::NewVersion;
use holdfast_registry::service::search::{Direction, LoggedModelOrderField};
use holdfast_registry::service::store::{
    LoggedModelStore as _, RegisteredModelStore as _, SqlStore, TrackingStore as _,
};
use holdfast_registry::service::tracking::{
    Batch, Dataset, DatasetInput, DatasetSummary, KeyValue, LifecycleView, Links, MeasuredOn, Metric, ModelOutput,
    NewExperiment, NewRun, Place, SearchText, Tracking,
};
use jiff::Timestamp;
use serde_json::json;

use super::contract;

contract!(
    a_logged_model_lives_and_ends,
    parameters_never_change_and_tags_do,
    metrics_measured_on_a_model_are_its_own,
    logged_models_are_found,
    links_of_runs_come_back,
    versions_made_of_a_logged_model_stand_in_its_tag,
    runs_are_found_by_their_data,
    what_is_not_a_logged_model_is_refused,
);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

async fn experiment(store: &SqlStore, name: &str) -> i64 {
    let new = NewExperiment {
        name: name.to_owned(),
        ..NewExperiment::default()
    };
    store.create_experiment(&new, at(1)).await.unwrap().id
}

async fn run(store: &SqlStore, id: &str, experiment: i64) {
    let new = NewRun {
        experiment_id: experiment,
        name: id.to_owned(),
        started_at: Some(at(2)),
        ..NewRun::default()
    };
    store.create_run(id, &new).await.unwrap();
}

async fn model(store: &SqlStore, id: &str, experiment: i64, seconds: i64) {
    let new = NewLoggedModel {
        experiment_id: experiment,
        name: format!("model {id}"),
        source_run_id: "r".to_owned(),
        params: vec![pair("depth", &seconds.to_string())],
        tags: vec![pair("team", "churn")],
        ..NewLoggedModel::default()
    };
    store.create_logged_model(id, &new, at(seconds)).await.unwrap();
}

fn measured(key: &str, value: f64, step: i64, (model_id, dataset): (&str, &str)) -> Metric {
    let on = MeasuredOn {
        model_id: model_id.to_owned(),
        dataset_name: dataset.to_owned(),
        dataset_digest: if dataset.is_empty() { "" } else { "d1" }.to_owned(),
    };
    Metric {
        key: key.to_owned(),
        value,
        measured_at: at(100 + step),
        step,
        on: Some(Box::new(on)),
    }
}

async fn log(store: &SqlStore, run: &str, metrics: Vec<Metric>) -> Result<(), Error> {
    let batch = Batch {
        metrics,
        ..Batch::default()
    };
    store.log_batch(run, batch).await
}

async fn a_logged_model_lives_and_ends(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    model(&store, "m-1", experiment, 5).await;
    let made = store.logged_model("m-1").await.unwrap();
    assert_eq!(
        (made.status, made.name.as_str()),
        (LoggedModelStatus::Pending, "model m-1")
    );
    let uri = format!("mlflow-artifacts:/{experiment}/models/m-1/artifacts");
    assert_eq!(
        (made.artifact_uri, made.created_at, made.updated_at),
        (uri, at(5), at(5))
    );
    store
        .finalize_logged_model("m-1", LoggedModelStatus::Ready, at(6))
        .await
        .unwrap();
    let ready = store.logged_model("m-1").await.unwrap();
    assert_eq!((ready.status, ready.updated_at), (LoggedModelStatus::Ready, at(6)));
    store.delete_logged_model("m-1", at(7)).await.unwrap();
    for gone in [
        store.logged_model("m-1").await.map(drop),
        store.delete_logged_model("m-1", at(8)).await,
        store.set_logged_model_tags("m-1", vec![pair("k", "v")], at(8)).await,
    ] {
        assert!(matches!(gone, Err(Error::NoSuchLoggedModel(id)) if id == "m-1"));
    }
    let nowhere = NewLoggedModel {
        experiment_id: 4_711,
        ..NewLoggedModel::default()
    };
    let refused = store.create_logged_model("m-2", &nowhere, at(9)).await;
    assert!(matches!(refused, Err(Error::NoSuchExperiment(_))));
}

async fn parameters_never_change_and_tags_do(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    model(&store, "m-1", experiment, 5).await;
    let same = vec![pair("depth", "5"), pair("eta", "0.1")];
    store.log_logged_model_params("m-1", same, at(6)).await.unwrap();
    let both = vec![pair("rate", "1"), pair("depth", "6")];
    let changed = store.log_logged_model_params("m-1", both, at(7)).await;
    assert!(matches!(changed, Err(Error::Invalid(found)) if found[0].field == "params[1].value"));
    store
        .set_logged_model_tags("m-1", vec![pair("team", "risk"), pair("a", "b")], at(8))
        .await
        .unwrap();
    store.delete_logged_model_tag("m-1", "a", at(9)).await.unwrap();
    let missing = store.delete_logged_model_tag("m-1", "a", at(9)).await;
    assert!(matches!(missing, Err(Error::NoSuchTag { .. })));
    let found = store.logged_model("m-1").await.unwrap();
    assert_eq!(found.params, [pair("depth", "5"), pair("eta", "0.1")], "all or nothing");
    assert_eq!((found.tags, found.updated_at), (vec![pair("team", "risk")], at(9)));
}

async fn metrics_measured_on_a_model_are_its_own(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    run(&store, "r", experiment).await;
    model(&store, "m-1", experiment, 5).await;
    let metrics = vec![
        measured("auc", 0.8, 1, ("m-1", "test")),
        measured("auc", 0.9, 2, ("m-1", "test")),
        measured("auc", 0.7, 0, ("m-1", "test")),
        measured("auc", f64::NAN, 0, ("m-1", "")),
    ];
    log(&store, "r", metrics).await.unwrap();
    let found = store.logged_model("m-1").await.unwrap().metrics;
    let told: Vec<_> = found
        .iter()
        .map(|(run, metric)| {
            let on = metric.on.as_ref().unwrap();
            let value = if metric.value.is_nan() { -1.0 } else { metric.value };
            (run.as_str(), on.model_id.as_str(), on.dataset_name.as_str(), value)
        })
        .collect();
    assert_eq!(told, [("r", "m-1", "", -1.0), ("r", "m-1", "test", 0.9)]);
    assert_eq!(store.metric_history("r", "auc", 10, 0).await.unwrap().len(), 4);
}

async fn logged_models_are_found(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    run(&store, "r", experiment).await;
    for (id, seconds) in [("m-1", 10), ("m-2", 20), ("m-3", 30), ("m-4", 40)] {
        model(&store, id, experiment, seconds).await;
    }
    let metrics = vec![
        measured("auc", 0.8, 1, ("m-1", "test")),
        measured("auc", 0.9, 1, ("m-2", "test")),
        measured("auc", 0.7, 1, ("m-2", "train")),
        measured("auc", f64::NAN, 1, ("m-3", "test")),
    ];
    log(&store, "r", metrics).await.unwrap();
    store.delete_logged_model("m-4", at(50)).await.unwrap();
    let models = LoggedModels::new(store.clone(), Arc::new(SystemClock));
    let test = || {
        vec![DatasetRef {
            name: "test".to_owned(),
            ..DatasetRef::default()
        }]
    };
    let by = |field: &'static str, direction| {
        vec![LoggedModelOrderField {
            field,
            direction,
            dataset_name: "",
            dataset_digest: "",
        }]
    };
    for (filter, datasets, order_by, expected) in [
        ("", Vec::new(), Vec::new(), "m-3 m-2 m-1"),
        ("metrics.auc < 0.85", Vec::new(), Vec::new(), "m-2 m-1"),
        ("metrics.auc < 0.85", test(), Vec::new(), "m-1"),
        ("params.depth = '20'", Vec::new(), Vec::new(), "m-2"),
        (
            "tags.team = 'churn' AND name LIKE '%m-1'",
            Vec::new(),
            Vec::new(),
            "m-1",
        ),
        ("creation_timestamp >= 20000", Vec::new(), Vec::new(), "m-3 m-2"),
        (
            "status = 'PENDING' AND source_run_id = 'r'",
            Vec::new(),
            Vec::new(),
            "m-3 m-2 m-1",
        ),
        (
            "",
            Vec::new(),
            by("creation_timestamp", Direction::Ascending),
            "m-1 m-2 m-3",
        ),
        ("", Vec::new(), by("metrics.auc", Direction::Descending), "m-2 m-1 m-3"),
    ] {
        let asked = LoggedModelSearchText {
            experiments: vec![experiment],
            filter: filter.to_owned(),
            datasets,
            order_by,
            limit: 10,
            offset: 0,
        };
        let found = models.search(asked).await.unwrap().items;
        let ids: Vec<_> = found.into_iter().map(|(model, _)| model.id).collect();
        assert_eq!(ids.join(" "), expected, "{filter:?}");
    }
}

fn input(name: &str, context: &str) -> DatasetInput {
    DatasetInput {
        dataset: Dataset {
            name: name.to_owned(),
            digest: "d1".to_owned(),
            source_type: "local".to_owned(),
            source: "{}".to_owned(),
            ..Dataset::default()
        },
        tags: vec![pair("mlflow.data.context", context)],
    }
}

async fn links_of_runs_come_back(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    run(&store, "r", experiment).await;
    run(&store, "q", experiment).await;
    model(&store, "m-1", experiment, 5).await;
    let links = Links {
        datasets: vec![input("b", "training"), input("a", "test")],
        model_inputs: vec!["m-1".to_owned()],
        model_outputs: vec![ModelOutput {
            model_id: "m-1".to_owned(),
            step: 3,
        }],
    };
    store.link("r", links.clone()).await.unwrap();
    store.link("r", links).await.unwrap();
    let found = store.run("r").await.unwrap().links;
    assert_eq!(found.datasets, [input("a", "test"), input("b", "training")]);
    assert_eq!(found.model_inputs, ["m-1"]);
    assert_eq!((found.model_outputs.len(), found.model_outputs[0].step), (1, 3));
    assert_eq!(store.run("q").await.unwrap().links, Links::default());
    let summary = |name: &str, context: &str| DatasetSummary {
        experiment_id: experiment,
        name: name.to_owned(),
        digest: "d1".to_owned(),
        context: context.to_owned(),
    };
    let summaries = store.datasets(&[experiment]).await.unwrap();
    assert_eq!(summaries, [summary("a", "test"), summary("b", "training")]);
}

async fn runs_are_found_by_their_data(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    for (run_id, name, context) in [("a", "bank", "training"), ("b", "bank", "test"), ("c", "other", "test")] {
        run(&store, run_id, experiment).await;
        let links = Links {
            datasets: vec![input(name, context)],
            ..Links::default()
        };
        store.link(run_id, links).await.unwrap();
    }
    run(&store, "d", experiment).await;
    let tracking = Tracking::new(store.clone(), Arc::new(SystemClock));
    for (filter, expected) in [
        ("datasets.name = 'bank'", "ab"),
        ("dataset.name = 'bank' AND dataset.context = 'test'", "b"),
        ("datasets.digest = 'd1' AND datasets.context LIKE 't%'", "abc"),
        ("datasets.name != 'bank'", "c"),
    ] {
        let asked = SearchText {
            filter: filter.to_owned(),
            view: LifecycleView::Active,
            limit: 10,
            ..SearchText::default()
        };
        let found = tracking.search_runs(vec![experiment], &asked, Place::default()).await;
        let ids: String = found.unwrap().items.into_iter().map(|(run, _)| run.id).collect();
        assert_eq!(ids, expected, "{filter}");
    }
}

async fn what_is_not_a_logged_model_is_refused(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    run(&store, "r", experiment).await;
    let logged = log(&store, "r", vec![measured("auc", 0.5, 0, ("m-9", ""))]).await;
    assert!(matches!(logged, Err(Error::Invalid(found)) if found[0].field == "metrics[0].model_id"));
    assert!(store.run("r").await.unwrap().metrics.is_empty());
    let links = Links {
        datasets: vec![input("a", "test")],
        model_inputs: vec!["m-9".to_owned()],
        ..Links::default()
    };
    let linked = store.link("r", links).await;
    assert!(matches!(linked, Err(Error::Invalid(found)) if found[0].field == "model_ids[0]"));
    assert_eq!(store.run("r").await.unwrap().links, Links::default());
}

async fn versions_made_of_a_logged_model_stand_in_its_tag(store: Arc<SqlStore>) {
    let experiment = experiment(&store, "trees").await;
    for id in ["m-1", "m-2", "m-3"] {
        model(&store, id, experiment, 5).await;
    }
    let words = vec![pair("mlflow.modelVersions", "no list")];
    store.set_logged_model_tags("m-2", words, at(6)).await.unwrap();
    store.delete_logged_model("m-3", at(6)).await.unwrap();
    store.create_registered_model("churn", "", &[], at(6)).await.unwrap();
    for of in ["m-1", "m-2", "m-1", "m-3", "m-4", ""] {
        let new = NewVersion {
            model_id: of.to_owned(),
            ..NewVersion::default()
        };
        store
            .add_version("churn", &new, "s3://bucket/model", at(7))
            .await
            .unwrap();
    }
    for (id, versions) in [("m-1", vec![1, 3]), ("m-2", vec![2])] {
        let found = store.logged_model(id).await.unwrap();
        let tag = found.tags.iter().find(|tag| tag.key == "mlflow.modelVersions").unwrap();
        let expected: Vec<_> = versions
            .iter()
            .map(|version| json!({"name": "churn", "version": version}))
            .collect();
        let noted: serde_json::Value = serde_json::from_str(&tag.value).unwrap();
        assert_eq!(noted, serde_json::Value::Array(expected));
        assert_eq!(found.updated_at, at(7));
    }
}
