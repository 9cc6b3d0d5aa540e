//! What a collection must find in a store, and what it must not remove.

use std::sync::Arc;

use futures::future::join;
use holdfast_domain::Digest;
use holdfast_registry::Error;
use holdfast_registry::service::artifacts::ArtifactPath;
use holdfast_registry::service::logged_models::NewLoggedModel;
use holdfast_registry::service::registered::NewVersion;
use holdfast_registry::service::store::{
    ArtifactStore as _, DeletedModel, DeletedRun, How, LoggedModelStore as _, Of, Reference, RegisteredModelStore as _,
    RetentionStore as _, SqlStore, StoredBytes, TrackingStore as _,
};
use holdfast_registry::service::tracking::{Batch, KeyValue, Metric, NewExperiment, NewRun};
use jiff::Timestamp;

use super::contract;

contract!(
    one_collection_is_at_work,
    a_deleted_run_goes_with_what_was_logged_to_it,
    what_a_version_needs_stays,
    what_was_restored_stays,
    a_deleted_logged_model_goes_with_its_files,
    an_experiment_goes_when_its_runs_are_gone,
    bytes_that_come_again_lie_under_another_key,
    of_a_path_and_a_collection_one_wins,
    a_version_and_a_removal_of_its_run_exclude_each_other,
);

const RUN: &str = "0123456789abcdef0123456789abcdef";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn path(text: &str) -> ArtifactPath {
    ArtifactPath::parse(text).unwrap()
}

async fn put(store: &SqlStore, to: &str, bytes: &[u8], second: i64) -> StoredBytes {
    let size = bytes.len() as u64;
    let announced = store
        .announce_bytes(&Digest::of(bytes), size, at(second))
        .await
        .unwrap();
    store.put_artifact(&path(to), &announced, at(second)).await.unwrap();
    announced
}

/// A run with a parameter, a tag, a metric and a file; answers the experiment, too.
async fn logged(store: &SqlStore, run_id: &str) -> (i64, DeletedRun) {
    let new = NewExperiment {
        name: format!("of {run_id}"),
        ..NewExperiment::default()
    };
    let experiment_id = store.create_experiment(&new, at(0)).await.unwrap().id;
    let new = NewRun {
        experiment_id,
        name: "run".to_owned(),
        started_at: Some(at(0)),
        ..NewRun::default()
    };
    store.create_run(run_id, &new).await.unwrap();
    let pair = KeyValue {
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let batch = Batch {
        metrics: vec![Metric {
            key: "auc".to_owned(),
            value: 0.9,
            measured_at: at(0),
            step: 0,
            on: None,
        }],
        params: vec![pair.clone()],
        tags: vec![pair],
    };
    store.log_batch(run_id, batch).await.unwrap();
    let folder = format!("{experiment_id}/{run_id}/artifacts");
    put(store, &format!("{folder}/model/MLmodel"), run_id.as_bytes(), 0).await;
    let run = DeletedRun {
        run_id: run_id.to_owned(),
        folder: Some(folder),
    };
    (experiment_id, run)
}

async fn one_collection_is_at_work(store: Arc<SqlStore>) {
    assert!(store.begin_collection(at(0), at(60)).await.unwrap());
    assert!(!store.begin_collection(at(59), at(119)).await.unwrap());
    store.keep_collection(at(100)).await.unwrap();
    assert!(!store.begin_collection(at(99), at(159)).await.unwrap());
    assert!(
        store.begin_collection(at(100), at(160)).await.unwrap(),
        "the one before has broken off"
    );
    assert!(
        store.begin_collection(at(-90_000), at(-89_940)).await.unwrap(),
        "the clock went back"
    );
}

async fn a_deleted_run_goes_with_what_was_logged_to_it(store: Arc<SqlStore>) {
    let other = "fedcba9876543210fedcba9876543210";
    let (_, run) = logged(&store, RUN).await;
    let (_, staying) = logged(&store, other).await;
    assert!(!store.remove_run(&run, at(1_000)).await.unwrap(), "it is not deleted");
    store.delete_run(RUN, at(10)).await.unwrap();
    assert_eq!(store.deleted_runs(at(9)).await.unwrap(), []);
    assert_eq!(store.deleted_runs(at(10)).await.unwrap(), std::slice::from_ref(&run));
    assert!(!store.remove_run(&run, at(9)).await.unwrap());
    assert!(store.remove_run(&run, at(10)).await.unwrap());
    assert!(!store.remove_run(&run, at(10)).await.unwrap(), "once");
    assert!(matches!(store.run(RUN).await, Err(Error::NoSuchRun(_))));
    let file = format!("{}/model/MLmodel", run.folder.unwrap());
    assert_eq!(store.artifact(&path(&file)).await.unwrap(), None);
    let unused = store.unused_bytes(at(0)).await.unwrap();
    assert_eq!(
        unused.iter().map(|kept| kept.bytes.digest).collect::<Vec<_>>(),
        [Digest::of(RUN.as_bytes())]
    );
    // The same id again has nothing of what was.
    let (_, _) = (staying, store.run(other).await.unwrap());
    let new = NewRun {
        experiment_id: store.run(other).await.unwrap().experiment_id,
        name: "again".to_owned(),
        started_at: Some(at(20)),
        ..NewRun::default()
    };
    let again = store.create_run(RUN, &new).await.unwrap();
    assert!(again.params.is_empty() && again.metrics.is_empty());
}

fn made_from(run: &DeletedRun) -> (NewVersion, String) {
    let location = format!("mlflow-artifacts:/{}/model", run.folder.clone().unwrap());
    let new = NewVersion {
        source: location.clone(),
        run_id: run.run_id.clone(),
        ..NewVersion::default()
    };
    (new, location)
}

async fn what_a_version_needs_stays(store: Arc<SqlStore>) {
    let (_, run) = logged(&store, RUN).await;
    store.create_registered_model("churn", "", &[], at(1)).await.unwrap();
    let (new, location) = made_from(&run);
    let version = store.add_version("churn", &new, &location, at(2)).await.unwrap();
    store.delete_run(RUN, at(10)).await.unwrap();
    let folder = run.folder.clone().unwrap();
    let by_run = Of {
        run_id: Some(RUN),
        ..Of::default()
    };
    let by_folder = Of {
        folder: Some(&folder),
        ..Of::default()
    };
    for of in [by_run, by_folder] {
        let needed = store.version_of(of).await.unwrap();
        assert_eq!(needed, Some(("churn".to_owned(), version)));
    }
    assert!(!store.remove_run(&run, at(100)).await.unwrap());
    store.delete_version("churn", version, at(11)).await.unwrap();
    assert!(store.remove_run(&run, at(100)).await.unwrap());
}

async fn what_was_restored_stays(store: Arc<SqlStore>) {
    let (experiment, run) = logged(&store, RUN).await;
    store.delete_experiment(experiment, at(10)).await.unwrap();
    assert_eq!(store.deleted_runs(at(10)).await.unwrap(), std::slice::from_ref(&run));
    store.restore_experiment(experiment, at(11)).await.unwrap();
    assert!(!store.remove_run(&run, at(100)).await.unwrap());
    assert!(!store.remove_experiment(experiment, at(100)).await.unwrap());
    assert_eq!(store.deleted_experiments(at(100)).await.unwrap(), []);
}

async fn a_deleted_logged_model_goes_with_its_files(store: Arc<SqlStore>) {
    let (experiment_id, run) = logged(&store, RUN).await;
    let mut models = Vec::new();
    for (id, source_run_id) in [
        ("m-00000000000000000000000000000001", RUN),
        ("m-00000000000000000000000000000002", ""),
    ] {
        let new = NewLoggedModel {
            experiment_id,
            source_run_id: source_run_id.to_owned(),
            ..NewLoggedModel::default()
        };
        store.create_logged_model(id, &new, at(1)).await.unwrap();
        let folder = format!("{experiment_id}/models/{id}/artifacts");
        put(&store, &format!("{folder}/MLmodel"), id.as_bytes(), 1).await;
        models.push(DeletedModel {
            model_id: id.to_owned(),
            folder: Some(folder),
        });
    }
    let came_from = Reference {
        by: models[0].model_id.clone(),
        to: RUN.to_owned(),
        how: How::CameFrom,
    };
    assert_eq!(store.references().await.unwrap(), [came_from]);
    store.delete_run(RUN, at(10)).await.unwrap();
    assert!(
        !store.remove_run(&run, at(10)).await.unwrap(),
        "a logged model came from it"
    );
    assert!(
        !store.remove_logged_model(&models[0], at(100)).await.unwrap(),
        "it is not deleted"
    );
    store.delete_logged_model(&models[0].model_id, at(20)).await.unwrap();
    assert_eq!(store.deleted_logged_models(at(19)).await.unwrap(), []);
    assert_eq!(store.deleted_logged_models(at(20)).await.unwrap(), models[..1]);
    assert!(store.remove_logged_model(&models[0], at(20)).await.unwrap());
    assert!(store.remove_run(&run, at(20)).await.unwrap());
    assert!(!store.has_owner(&models[0].model_id).await.unwrap());

    // The other goes with its experiment, unless a version needs it.
    store.create_registered_model("churn", "", &[], at(1)).await.unwrap();
    let location = format!("mlflow-artifacts:/{}", models[1].folder.clone().unwrap());
    let new = NewVersion {
        source: format!("models:/{}", models[1].model_id),
        model_id: models[1].model_id.clone(),
        ..NewVersion::default()
    };
    let version = store.add_version("churn", &new, &location, at(2)).await.unwrap();
    store.delete_experiment(experiment_id, at(30)).await.unwrap();
    assert_eq!(store.deleted_logged_models(at(30)).await.unwrap(), models[1..]);
    assert!(!store.remove_logged_model(&models[1], at(30)).await.unwrap());
    assert!(!store.remove_experiment(experiment_id, at(30)).await.unwrap());
    store.delete_version("churn", version, at(31)).await.unwrap();
    assert!(store.remove_logged_model(&models[1], at(30)).await.unwrap());
    assert!(store.remove_experiment(experiment_id, at(30)).await.unwrap());
    assert_eq!(store.stored_paths("", 10).await.unwrap(), []);
}

async fn an_experiment_goes_when_its_runs_are_gone(store: Arc<SqlStore>) {
    let (experiment, run) = logged(&store, RUN).await;
    store.delete_experiment(experiment, at(10)).await.unwrap();
    let found = store.deleted_experiments(at(10)).await.unwrap();
    assert_eq!(
        (found.len(), found[0].id, found[0].runs.as_slice()),
        (1, experiment, &[RUN.to_owned()][..])
    );
    assert!(
        !store.remove_experiment(experiment, at(10)).await.unwrap(),
        "it has a run"
    );
    assert!(store.remove_run(&run, at(10)).await.unwrap());
    assert!(!store.remove_experiment(experiment, at(9)).await.unwrap(), "too young");
    assert!(store.remove_experiment(experiment, at(10)).await.unwrap());
    let by_id = holdfast_registry::service::tracking::ExperimentBy::Id(experiment);
    assert!(matches!(
        store.experiment(&by_id).await,
        Err(Error::NoSuchExperiment(_))
    ));
}

async fn bytes_that_come_again_lie_under_another_key(store: Arc<SqlStore>) {
    let first = put(&store, "a", b"bytes", 0).await;
    assert!(!store.condemn(&first, at(100)).await.unwrap(), "a file has them");
    store.delete_artifacts(&path("a"), at(10)).await.unwrap();
    assert!(!store.condemn(&first, at(9)).await.unwrap(), "too young");
    assert!(store.condemn(&first, at(10)).await.unwrap());
    // A collection that broke off here goes on with them.
    let waiting = store.unused_bytes(at(0)).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].is_condemned), (1, true));
    assert!(store.condemn(&first, at(10)).await.unwrap());
    let refused = store.put_artifact(&path("a"), &first, at(11)).await;
    assert!(matches!(refused, Err(Error::ArtifactBytesCollected(_))));
    let second = put(&store, "a", b"bytes", 12).await;
    assert!(second.edition > first.edition);
    store.bury(&first).await.unwrap();
    assert_eq!(
        store.artifact(&path("a")).await.unwrap(),
        Some(second),
        "those that came again are others"
    );

    store.delete_artifacts(&path("a"), at(20)).await.unwrap();
    assert!(store.condemn(&second, at(20)).await.unwrap());
    store.bury(&second).await.unwrap();
    assert_eq!(store.unused_bytes(at(1_000)).await.unwrap(), [], "they are removed");
    assert_eq!(store.kept_bytes(&second.digest).await.unwrap(), None);
    let third = put(&store, "a", b"bytes", 30).await;
    assert!(
        third.edition > second.edition,
        "a removal that comes late finds nothing"
    );
}

async fn of_a_path_and_a_collection_one_wins(store: Arc<SqlStore>) {
    for round in 0..20 {
        let bytes = format!("bytes {round}");
        let size = bytes.len() as u64;
        // Announced long ago, so that nothing but the path can save them.
        let announced = store
            .announce_bytes(&Digest::of(bytes.as_bytes()), size, at(0))
            .await
            .unwrap();
        let name = path(&format!("file{round}"));
        let putting = {
            let (store, name) = (store.clone(), name.clone());
            tokio::spawn(async move { store.put_artifact(&name, &announced, at(100)).await })
        };
        let condemning = {
            let store = store.clone();
            tokio::spawn(async move { store.condemn(&announced, at(50)).await })
        };
        let (put, condemned) = join(putting, condemning).await;
        let (put, condemned) = (put.unwrap(), condemned.unwrap().unwrap());
        let told = matches!(put, Err(Error::ArtifactBytesCollected(_)));
        assert_eq!((put.is_ok(), told), (!condemned, condemned), "round {round}: {put:?}");
        assert_eq!(store.artifact(&name).await.unwrap().is_some(), !condemned);
    }
}

async fn a_version_and_a_removal_of_its_run_exclude_each_other(store: Arc<SqlStore>) {
    store.create_registered_model("churn", "", &[], at(1)).await.unwrap();
    for round in 0..10 {
        let (_, run) = logged(&store, &format!("{round:032x}")).await;
        store.delete_run(&run.run_id, at(10)).await.unwrap();
        let (new, location) = made_from(&run);
        let registering = {
            let store = store.clone();
            tokio::spawn(async move { store.add_version("churn", &new, &location, at(11)).await })
        };
        let removing = {
            let (store, run) = (store.clone(), run.clone());
            tokio::spawn(async move { store.remove_run(&run, at(10)).await })
        };
        let (registered, removed) = join(registering, removing).await;
        let (registered, removed) = (registered.unwrap(), removed.unwrap().unwrap());
        assert_eq!(registered.is_ok(), !removed, "round {round}: {registered:?}");
    }
}
