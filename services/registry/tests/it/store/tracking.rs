//! Experiments and runs.

use std::sync::Arc;

use futures::future::join_all;
use holdfast_registry::Error;
use holdfast_registry::service::store::{PageRequest, SqlStore, TrackingStore as _};
use holdfast_registry::service::tracking::{Batch, ExperimentBy, KeyValue, Metric, RunChange, RunStatus};
use jiff::Timestamp;

use super::contract;

contract!(
    an_experiment_has_a_name_of_its_own,
    pages_follow_each_other,
    a_run_is_created_once,
    a_batch_is_written_whole_or_not_at_all,
    values_come_back_as_they_were,
    many_writers_lose_nothing,
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

fn metric(key: &str, value: f64, step: i64) -> Metric {
    Metric {
        key: key.to_owned(),
        value,
        measured_at: at(1_000),
        step,
    }
}

fn metrics(metrics: Vec<Metric>) -> Batch {
    Batch {
        metrics,
        ..Batch::default()
    }
}

async fn an_experiment_has_a_name_of_its_own(store: Arc<SqlStore>) {
    let tags = [pair("b", "2"), pair("a", "1")];
    let made = store.create_experiment("trees", &tags, at(5)).await.unwrap();
    assert_eq!(made.tags, [pair("a", "1"), pair("b", "2")]);
    assert_eq!(made.created_at, at(5));
    let named = ExperimentBy::Name("trees".to_owned());
    assert_eq!(store.experiment(&named).await.unwrap(), made);
    let again = store.create_experiment("trees", &[], at(6)).await;
    assert!(matches!(again, Err(Error::ExperimentExists(name)) if name == "trees"));
    let other_case = ExperimentBy::Name("Trees".to_owned());
    assert!(matches!(
        store.experiment(&other_case).await,
        Err(Error::NoSuchExperiment(_))
    ));
}

async fn pages_follow_each_other(store: Arc<SqlStore>) {
    for name in ["one", "two", "three"] {
        store.create_experiment(name, &[], at(1)).await.unwrap();
    }
    let mut page = PageRequest { size: 2, before: None };
    let first = store.experiments(&page).await.unwrap();
    page.before = first.next;
    let second = store.experiments(&page).await.unwrap();
    let names: Vec<_> = first
        .items
        .into_iter()
        .chain(second.items)
        .map(|found| found.name)
        .collect();
    assert_eq!(
        names.first_chunk(),
        Some(&["three".to_owned(), "two".to_owned(), "one".to_owned()])
    );
}

async fn a_run_is_created_once(store: Arc<SqlStore>) {
    let experiment = store.create_experiment("trees", &[], at(1)).await.unwrap().id;
    let run = store
        .create_run("r1", experiment, "first", &[pair("k", "v")], at(2))
        .await
        .unwrap();
    let again = store
        .create_run("r1", experiment, "other", &[pair("k", "w")], at(3))
        .await
        .unwrap();
    assert_eq!(again, run);
    let change = RunChange {
        status: Some(RunStatus::Finished),
        name: None,
        ended_at: Some(at(9)),
    };
    let ended = store.update_run("r1", &change).await.unwrap();
    assert_eq!(
        (ended.status, ended.ended_at, ended.name.as_str()),
        (RunStatus::Finished, Some(at(9)), "first")
    );
    assert!(matches!(
        store.update_run("r2", &change).await,
        Err(Error::NoSuchRun(_))
    ));
    let nowhere = store.create_run("r2", 4_711, "lost", &[], at(2)).await;
    assert!(matches!(nowhere, Err(Error::NoSuchExperiment(ExperimentBy::Id(4_711)))));
}

async fn a_batch_is_written_whole_or_not_at_all(store: Arc<SqlStore>) {
    let experiment = store.create_experiment("trees", &[], at(1)).await.unwrap().id;
    store.create_run("r", experiment, "run", &[], at(2)).await.unwrap();
    let params = |depth: &str| Batch {
        params: vec![pair("depth", depth)],
        metrics: vec![metric("auc", 0.9, 0)],
        tags: vec![pair("stage", depth)],
    };
    store.log_batch("r", &params("6")).await.unwrap();
    store.log_batch("r", &params("6")).await.unwrap();
    let changed = store.log_batch("r", &params("8")).await;
    assert!(matches!(changed, Err(Error::Invalid(found)) if found.len() == 1));
    let run = store.run("r").await.unwrap();
    assert_eq!(run.params, [pair("depth", "6")]);
    assert_eq!(run.tags, [pair("stage", "6")]);
    assert_eq!(store.metric_history("r", "auc").await.unwrap().len(), 2);
}

async fn values_come_back_as_they_were(store: Arc<SqlStore>) {
    let experiment = store.create_experiment("trees", &[], at(1)).await.unwrap().id;
    store.create_run("r", experiment, "run", &[], at(2)).await.unwrap();
    let values = [
        f64::MIN_POSITIVE,
        0.1 + 0.2,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MAX,
        f64::NAN,
    ];
    let logged = values
        .iter()
        .zip(0..)
        .map(|(value, step)| metric("m", *value, step))
        .collect();
    store.log_batch("r", &metrics(logged)).await.unwrap();
    let history = store.metric_history("r", "m").await.unwrap();
    let bits = |value: f64| if value.is_nan() { None } else { Some(value.to_bits()) };
    let read: Vec<_> = history.iter().map(|found| bits(found.value)).collect();
    assert_eq!(read, values.map(bits));
    assert!(
        store
            .run("r")
            .await
            .unwrap()
            .metrics
            .iter()
            .all(|last| last.value.is_nan())
    );
}

async fn many_writers_lose_nothing(store: Arc<SqlStore>) {
    let experiment = store.create_experiment("trees", &[], at(1)).await.unwrap().id;
    store.create_run("r", experiment, "run", &[], at(2)).await.unwrap();
    let writers = (0..50).map(|step| {
        let store = store.clone();
        // Every tenth is refused, and takes nothing with it.
        let params = vec![pair("odd", if step % 10 == 9 { "no" } else { "yes" })];
        let batch = Batch {
            params,
            ..metrics(vec![metric("m", 1.0, step)])
        };
        tokio::spawn(async move { store.log_batch("r", &batch).await.is_ok() })
    });
    // Who comes first decides which is allowed, so the first is written before the others start.
    store
        .log_batch(
            "r",
            &Batch {
                params: vec![pair("odd", "yes")],
                ..Batch::default()
            },
        )
        .await
        .unwrap();
    let written = join_all(writers)
        .await
        .into_iter()
        .filter(|done| *done.as_ref().unwrap())
        .count();
    assert_eq!(written, 45);
    assert_eq!(store.metric_history("r", "m").await.unwrap().len(), 45);
}
