//! Experiments and runs.

use std::sync::Arc;

use futures::future::join_all;
use holdfast_registry::Error;
use holdfast_registry::service::store::{PageRequest, SqlStore, TrackingStore as _};
use holdfast_registry::service::tracking::{
    Batch, ExperimentBy, KeyValue, Lifecycle, Metric, NewExperiment, NewRun, RunChange, RunStatus,
};
use jiff::Timestamp;

use super::contract;

contract!(
    an_experiment_has_a_name_of_its_own,
    pages_follow_each_other,
    a_run_is_created_once,
    a_batch_is_written_whole_or_not_at_all,
    values_come_back_as_they_were,
    many_values_come_back_as_few_do,
    many_writers_lose_nothing,
    calls_at_once_are_answered_each_for_itself,
    deleting_an_experiment_takes_its_runs_along,
    an_experiment_is_renamed_while_it_is_active,
    tags_come_and_go,
    a_name_and_its_tag_are_one_thing,
    a_deleted_run_takes_nothing,
    the_latest_value_is_of_the_highest_step,
    histories_are_read_in_pages_and_samples,
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
        on: None,
    }
}

fn named(name: &str) -> NewExperiment {
    NewExperiment {
        name: name.to_owned(),
        ..NewExperiment::default()
    }
}

fn opened(experiment_id: i64, name: &str) -> NewRun {
    NewRun {
        experiment_id,
        name: name.to_owned(),
        started_at: Some(at(2)),
        ..NewRun::default()
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
    let made = store
        .create_experiment(
            &NewExperiment {
                tags: tags.to_vec(),
                ..named("trees")
            },
            at(5),
        )
        .await
        .unwrap();
    assert_eq!(made.tags, [pair("a", "1"), pair("b", "2")]);
    assert_eq!(made.created_at, at(5));
    let by_name = ExperimentBy::Name("trees".to_owned());
    assert_eq!(store.experiment(&by_name).await.unwrap(), made);
    let again = store.create_experiment(&named("trees"), at(6)).await;
    assert!(matches!(again, Err(Error::ExperimentExists(name)) if name == "trees"));
    let other_case = ExperimentBy::Name("Trees".to_owned());
    assert!(matches!(
        store.experiment(&other_case).await,
        Err(Error::NoSuchExperiment(_))
    ));
}

async fn pages_follow_each_other(store: Arc<SqlStore>) {
    for name in ["one", "two", "three"] {
        store.create_experiment(&named(name), at(1)).await.unwrap();
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
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    let run = store
        .create_run(
            "r1",
            &NewRun {
                tags: vec![pair("k", "v")],
                ..opened(experiment, "first")
            },
        )
        .await
        .unwrap();
    let again = store
        .create_run(
            "r1",
            &NewRun {
                tags: vec![pair("k", "w")],
                ..opened(experiment, "other")
            },
        )
        .await
        .unwrap();
    assert_eq!(again, run);
    let change = RunChange {
        status: Some(RunStatus::Finished),
        ended_at: Some(at(9)),
        ..RunChange::default()
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
    let nowhere = store.create_run("r2", &opened(4_711, "lost")).await;
    assert!(matches!(nowhere, Err(Error::NoSuchExperiment(ExperimentBy::Id(4_711)))));
}

async fn a_batch_is_written_whole_or_not_at_all(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
    let params = |depth: &str| Batch {
        params: vec![pair("depth", depth)],
        metrics: vec![metric("auc", 0.9, 0)],
        tags: vec![pair("stage", depth)],
    };
    store.log_batch("r", params("6")).await.unwrap();
    store.log_batch("r", params("6")).await.unwrap();
    let changed = store.log_batch("r", params("8")).await;
    assert!(matches!(changed, Err(Error::Invalid(found)) if found.len() == 1));
    let run = store.run("r").await.unwrap();
    assert_eq!(run.params, [pair("depth", "6")]);
    assert_eq!(run.tags, [pair("stage", "6")]);
    // The same point twice is a retry.
    assert_eq!(store.metric_history("r", "auc", 1_000, 0).await.unwrap().len(), 1);
}

async fn values_come_back_as_they_were(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
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
    store.log_batch("r", metrics(logged)).await.unwrap();
    let history = store.metric_history("r", "m", 1_000, 0).await.unwrap();
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

async fn many_values_come_back_as_few_do(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
    let values = [0.1 + 0.2, f64::INFINITY, f64::NEG_INFINITY, f64::MIN, -0.5, f64::NAN];
    let logged: Vec<Metric> = (0..1_500)
        .map(|number: usize| metric(["m", "ü\n\""][number % 2], values[number / 2 % 6], number as i64 / 2))
        .collect();
    store.log_batch("r", metrics(logged.clone())).await.unwrap();
    let bits = |value: f64| if value.is_nan() { None } else { Some(value.to_bits()) };
    for key in ["m", "ü\n\""] {
        let history = store.metric_history("r", key, 1_000, 0).await.unwrap();
        let read: Vec<_> = history.iter().map(|found| (found.step, bits(found.value))).collect();
        let sent: Vec<_> = (0..750).map(|step| (step as i64, bits(values[step % 6]))).collect();
        assert_eq!(read, sent);
    }
    // A retry, which knows some more.
    let more = logged.into_iter().chain([metric("m", 7.0, 750)]).collect();
    store.log_batch("r", metrics(more)).await.unwrap();
    assert_eq!(store.metric_history("r", "m", 1_000, 0).await.unwrap().len(), 751);
    let last: Vec<_> = store.run("r").await.unwrap().metrics;
    let last: Vec<_> = last.iter().map(|last| (last.key.as_str(), last.step)).collect();
    assert_eq!(last, [("m", 750), ("ü\n\"", 749)]);
}

async fn many_writers_lose_nothing(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
    let writers = (0..50).map(|step| {
        let store = store.clone();
        // Every tenth is refused, and takes nothing with it.
        let params = vec![pair("odd", if step % 10 == 9 { "no" } else { "yes" })];
        let batch = Batch {
            params,
            ..metrics(vec![metric("m", 1.0, step)])
        };
        tokio::spawn(async move { store.log_batch("r", batch).await.is_ok() })
    });
    // Who comes first decides which is allowed, so the first is written before the others start.
    store
        .log_batch(
            "r",
            Batch {
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
    assert_eq!(store.metric_history("r", "m", 1_000, 0).await.unwrap().len(), 45);
}

/// Calls that wait together may be written together: what is wrong with one must not meet the others.
async fn calls_at_once_are_answered_each_for_itself(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    for run in ["one", "two", "deleted"] {
        store.create_run(run, &opened(experiment, run)).await.unwrap();
    }
    store.delete_run("deleted", at(3)).await.unwrap();
    let calls = (0..120).map(|number: i32| {
        let run = ["one", "two", "deleted", "mis\"\\sing"][number as usize % 4];
        // Every point is sent by two calls, and twice by each; every call knows a later step than the one before.
        let step = i64::from(number / 8);
        let mut logged = vec![metric("m", 0.5, step); 2];
        logged.push(metric(run, 1.0, 0));
        if number % 20 < 4 {
            logged.extend((0..300).map(|point| metric("n", 0.25, step * 1_000 + point)));
        }
        let batch = metrics(logged);
        let store = store.clone();
        tokio::spawn(async move { (run, store.log_batch(run, batch).await) })
    });
    for call in join_all(calls).await {
        let (run, outcome) = call.unwrap();
        let right = match run {
            "deleted" => matches!(outcome, Err(Error::RunDeleted(_))),
            "mis\"\\sing" => matches!(outcome, Err(Error::NoSuchRun(_))),
            _ => outcome.is_ok(),
        };
        assert!(right, "{run}: {outcome:?}");
    }
    for run in ["one", "two"] {
        assert_eq!(store.metric_history(run, "m", 1_000, 0).await.unwrap().len(), 15);
        let last: Vec<_> = store.run(run).await.unwrap().metrics;
        let last: Vec<_> = last.iter().map(|last| (last.key.as_str(), last.step)).collect();
        assert_eq!(last, [("m", 14), ("n", 12_299), (run, 0)]);
    }
}

async fn deleting_an_experiment_takes_its_runs_along(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    for run in ["gone before", "gone with it", "there"] {
        store.create_run(run, &opened(experiment, run)).await.unwrap();
    }
    store.delete_run("gone before", at(3)).await.unwrap();
    store.delete_experiment(experiment, at(4)).await.unwrap();
    let by = ExperimentBy::Id(experiment);
    let deleted = store.experiment(&by).await.unwrap();
    assert_eq!((deleted.lifecycle, deleted.updated_at), (Lifecycle::Deleted, at(4)));
    assert_eq!(store.run("there").await.unwrap().lifecycle, Lifecycle::Deleted);
    let refused = store.create_run("late", &opened(experiment, "late")).await;
    assert!(matches!(refused, Err(Error::ExperimentDeleted(id)) if id == experiment));
    let again = store.delete_experiment(experiment, at(5)).await;
    assert!(matches!(again, Err(Error::NoSuchExperiment(_))));
    let taken = store.create_experiment(&named("trees"), at(5)).await;
    assert!(matches!(taken, Err(Error::ExperimentExists(_))));

    store.restore_experiment(experiment, at(6)).await.unwrap();
    assert_eq!(store.run("there").await.unwrap().lifecycle, Lifecycle::Active);
    let before = store.run("gone before").await.unwrap();
    assert_eq!(before.lifecycle, Lifecycle::Deleted, "it was deleted by itself");
    let again = store.restore_experiment(experiment, at(7)).await;
    assert!(matches!(again, Err(Error::NoSuchExperiment(_))));
    let default = store.delete_experiment(0, at(8)).await;
    assert!(matches!(default, Err(Error::DefaultExperiment)));
}

async fn an_experiment_is_renamed_while_it_is_active(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap();
    let location = format!("mlflow-artifacts:/{}", experiment.id);
    assert_eq!(experiment.artifact_location, location);
    store.create_experiment(&named("forests"), at(1)).await.unwrap();
    let renamed = store.rename_experiment(experiment.id, "woods", at(2)).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.updated_at), ("woods", at(2)));
    let taken = store.rename_experiment(experiment.id, "forests", at(3)).await;
    assert!(matches!(taken, Err(Error::ExperimentExists(name)) if name == "forests"));
    store.delete_experiment(experiment.id, at(4)).await.unwrap();
    let refused = store.rename_experiment(experiment.id, "trees", at(5)).await;
    assert!(matches!(refused, Err(Error::RenameDeleted(_))));
}

async fn tags_come_and_go(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    let by = ExperimentBy::Id(experiment);
    store
        .set_experiment_tag(experiment, &pair("k", "v"), at(2))
        .await
        .unwrap();
    store
        .set_experiment_tag(experiment, &pair("k", "w"), at(3))
        .await
        .unwrap();
    let tagged = store.experiment(&by).await.unwrap();
    assert_eq!((tagged.tags, tagged.updated_at), (vec![pair("k", "w")], at(3)));
    store.delete_experiment_tag(experiment, "k", at(4)).await.unwrap();
    let missing = store.delete_experiment_tag(experiment, "k", at(5)).await;
    assert!(matches!(missing, Err(Error::NoSuchTag { key, .. }) if key == "k"));

    let new = NewRun {
        tags: vec![pair("k", "v")],
        ..opened(experiment, "run")
    };
    store.create_run("r", &new).await.unwrap();
    store.delete_tag("r", "k").await.unwrap();
    let missing = store.delete_tag("r", "k").await;
    assert!(matches!(missing, Err(Error::NoSuchTag { key, .. }) if key == "k"));
}

async fn a_name_and_its_tag_are_one_thing(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "first")).await.unwrap();
    let tags = Batch {
        tags: vec![pair("mlflow.runName", "second")],
        ..Batch::default()
    };
    store.log_batch("r", tags).await.unwrap();
    assert_eq!(store.run("r").await.unwrap().name, "second");
    let change = RunChange {
        name: Some("third".to_owned()),
        ..RunChange::default()
    };
    let renamed = store.update_run("r", &change).await.unwrap();
    assert_eq!(renamed.name, "third");
    assert_eq!(renamed.tags, [pair("mlflow.runName", "third")]);
}

async fn a_deleted_run_takes_nothing(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
    store.delete_run("r", at(3)).await.unwrap();
    store.delete_run("r", at(4)).await.unwrap();
    let logged = store.log_batch("r", metrics(vec![metric("m", 1.0, 0)])).await;
    assert!(matches!(logged, Err(Error::RunDeleted(_))));
    let changed = store.update_run("r", &RunChange::default()).await;
    assert!(matches!(changed, Err(Error::RunDeleted(_))));
    assert!(matches!(store.delete_tag("r", "k").await, Err(Error::RunDeleted(_))));
    store.restore_run("r").await.unwrap();
    store.log_batch("r", metrics(vec![metric("m", 1.0, 0)])).await.unwrap();
    assert!(matches!(store.restore_run("q").await, Err(Error::NoSuchRun(_))));
}

async fn the_latest_value_is_of_the_highest_step(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
    let later = Metric {
        measured_at: at(2_000),
        ..metric("m", 0.3, 7)
    };
    // More than one statement's rows, in no order; a number beats NaN at the same point, and the larger the smaller.
    let mut logged: Vec<Metric> = (0..250)
        .map(|step| metric("other", f64::from(step), step.into()))
        .rev()
        .collect();
    logged.extend([metric("m", 0.9, 7), later, metric("m", 0.5, 3), metric("n", 1.0, 0)]);
    logged.extend([metric("n", f64::NAN, 0), metric("n", 2.0, 0), metric("n", f64::NAN, 0)]);
    store.log_batch("r", metrics(logged)).await.unwrap();
    store
        .log_batch("r", metrics(vec![metric("m", 0.8, 5), metric("n", 1.5, 0)]))
        .await
        .unwrap();
    let found: Vec<_> = store.run("r").await.unwrap().metrics;
    let found: Vec<_> = found
        .iter()
        .map(|last| (last.key.as_str(), last.value, last.step))
        .collect();
    assert_eq!(found, [("m", 0.3, 7), ("n", 2.0, 0), ("other", 249.0, 249)]);
    assert_eq!(store.metric_history("r", "other", 1_000, 0).await.unwrap().len(), 250);
    let nan = store.metric_history("r", "n", 1_000, 0).await.unwrap();
    assert_eq!(nan.len(), 4, "the same point twice is one");
}

async fn histories_are_read_in_pages_and_samples(store: Arc<SqlStore>) {
    let experiment = store.create_experiment(&named("trees"), at(1)).await.unwrap().id;
    store.create_run("r", &opened(experiment, "run")).await.unwrap();
    let logged = (0..101).map(|step| metric("m", f64::from(step), step.into()));
    store.log_batch("r", metrics(logged.collect())).await.unwrap();
    let steps = |found: Vec<Metric>| found.iter().map(|metric| metric.step).collect::<Vec<_>>();
    let page = store.metric_history("r", "m", 3, 50).await.unwrap();
    assert_eq!(steps(page), [50, 51, 52]);
    let sample = store.sample_metric_history("r", "m", None, 5).await.unwrap();
    assert_eq!(steps(sample), [0, 25, 50, 75, 100]);
    let range = store.sample_metric_history("r", "m", Some((10, 12)), 5).await.unwrap();
    assert_eq!(steps(range), [10, 11, 12]);
    let last = store.sample_metric_history("r", "m", None, 1).await.unwrap();
    assert_eq!(steps(last), [100]);
    assert!(matches!(
        store.metric_history("q", "m", 3, 0).await,
        Err(Error::NoSuchRun(_))
    ));
}
