//! Searches for experiments and runs.

use std::sync::Arc;

use holdfast_chassis::clock::SystemClock;
use holdfast_registry::Error;
use holdfast_registry::service::store::{SqlStore, TrackingStore as _};
use holdfast_registry::service::tracking::{
    Batch, KeyValue, LifecycleView, Metric, NewExperiment, NewRun, Place, RunChange, RunStatus, SearchText, Tracking,
};
use jiff::Timestamp;

use super::contract;

contract!(
    runs_pass_filters,
    runs_come_in_order,
    pages_of_runs_follow_each_other,
    views_and_experiments_narrow,
    experiments_are_found,
    what_is_not_in_the_language_is_refused,
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

/// A run with a metric `auc` (none when `None`), the parameter `depth` and the tag `team`, begun at `start`.
async fn run(store: &SqlStore, experiment: i64, id: &str, (auc, start): (Option<f64>, i64), depth: &str) {
    let new = NewRun {
        experiment_id: experiment,
        name: format!("run {id}"),
        user_id: "ada".to_owned(),
        started_at: Some(at(start)),
        ..NewRun::default()
    };
    store.create_run(id, &new).await.unwrap();
    let metric = |key: &str, value| Metric {
        key: key.to_owned(),
        value,
        measured_at: at(start),
        step: 0,
        on: None,
    };
    let metrics = auc.map(|auc| vec![metric("auc", auc), metric("loss/test", 1.0 - auc)]);
    let batch = Batch {
        metrics: metrics.unwrap_or_default(),
        params: vec![pair("depth", depth)],
        tags: vec![pair("team", if start % 2 == 0 { "Even" } else { "odd" })],
    };
    store.log_batch(id, batch).await.unwrap();
}

/// Runs a to f: with a number, with NaN, and without the metric.
async fn filled(store: &Arc<SqlStore>) -> (Tracking, i64) {
    let new = NewExperiment {
        name: "trees".to_owned(),
        ..NewExperiment::default()
    };
    let experiment = store.create_experiment(&new, at(1)).await.unwrap().id;
    run(store, experiment, "a", (Some(0.9), 10), "4").await;
    run(store, experiment, "b", (Some(0.7), 11), "6").await;
    run(store, experiment, "c", (Some(f64::NAN), 12), "6").await;
    run(store, experiment, "d", (None, 13), "8").await;
    run(store, experiment, "e", (Some(0.9), 14), "10").await;
    run(store, experiment, "f", (Some(f64::INFINITY), 15), "4").await;
    (Tracking::new(store.clone(), Arc::new(SystemClock)), experiment)
}

async fn found(tracking: &Tracking, experiment: i64, filter: &str, order: &[&str]) -> String {
    let asked = SearchText {
        filter: filter.to_owned(),
        order_by: order.iter().map(ToString::to_string).collect(),
        view: LifecycleView::Active,
        limit: 100,
    };
    let found = tracking.search_runs(vec![experiment], &asked, Place::default()).await;
    let found = found.map_err(|error| format!("{filter:?} {order:?}: {error}")).unwrap();
    assert!(!found.more);
    found.items.into_iter().map(|(run, _)| run.id).collect()
}

async fn runs_pass_filters(store: Arc<SqlStore>) {
    let (tracking, experiment) = filled(&store).await;
    let ended = RunChange {
        status: Some(RunStatus::Finished),
        ended_at: Some(at(100)),
        ..RunChange::default()
    };
    store.update_run("b", &ended).await.unwrap();
    for (filter, expected) in [
        ("", "fedcba"),
        ("metrics.auc > 0.8", "fea"),
        ("metrics.auc = 0.9 and params.depth = '4'", "a"),
        ("metrics.auc != 0.9", "fcb"),
        ("metrics.auc <= 0.9 AND metrics.auc >= 0.7", "eba"),
        ("metrics.`loss/test` < 0.2", "fea"),
        ("metric.auc > 2", "f"),
        ("params.depth = '6'", "cb"),
        ("params.depth != '6'", "feda"),
        ("params.depth LIKE '1%'", "e"),
        ("params.width IS NULL", "fedcba"),
        ("params.depth IS NOT NULL AND tags.team = 'odd'", "fdb"),
        ("tags.team LIKE 'e%'", ""),
        ("tags.team ILIKE 'e%'", "eca"),
        ("attributes.status = 'FINISHED'", "b"),
        ("attributes.status != 'FINISHED'", "fedca"),
        ("attributes.run_id IN ('a', 'c', 'x')", "ca"),
        ("run_id NOT IN ('a', 'c', 'x')", "fedb"),
        ("attributes.run_name = 'run d'", "d"),
        ("attributes.user_id = 'ada'", "fedcba"),
        ("attributes.start_time >= 12000 AND start_time < 14000", "dc"),
        ("attributes.end_time > 0", "b"),
        ("attributes.end_time != 100000", ""),
        ("attributes.artifact_uri LIKE '%/d/artifacts'", "d"),
    ] {
        assert_eq!(found(&tracking, experiment, filter, &[]).await, expected, "{filter}");
    }
}

async fn runs_come_in_order(store: Arc<SqlStore>) {
    let (tracking, experiment) = filled(&store).await;
    for (filter, order, expected) in [
        ("", &["metrics.auc DESC"][..], "feabcd"),
        ("", &["metrics.auc ASC"], "beafcd"),
        ("", &["metrics.auc"], "beafcd"),
        ("", &["metrics.auc DESC", "start_time ASC"], "faebcd"),
        ("metrics.auc > 0.5", &["metrics.auc ASC"], "beaf"),
        ("metrics.auc > 0.5", &["metrics.`loss/test` ASC"], "feab"),
        ("metrics.auc > 0.8", &["params.depth ASC"], "efa"),
        ("params.depth = '6'", &["metrics.auc DESC"], "bc"),
        ("", &["params.width ASC"], "fedcba"),
        ("", &["params.depth DESC", "metrics.auc ASC"], "dbcafe"),
        ("", &["tags.team ASC", "attributes.start_time ASC"], "acebdf"),
        ("", &["attributes.run_name DESC"], "fedcba"),
        ("", &["attributes.end_time ASC", "start_time ASC"], "abcdef"),
    ] {
        let met = found(&tracking, experiment, filter, order).await;
        assert_eq!(met, expected, "{filter:?} {order:?}");
    }
}

async fn pages_of_runs_follow_each_other(store: Arc<SqlStore>) {
    let (tracking, experiment) = filled(&store).await;
    for (filter, order, expected) in [
        ("", "metrics.auc DESC", "feabcd"),
        ("metrics.auc <= 1000", "metrics.auc ASC", "bea"),
        ("", "start_time ASC", "abcdef"),
    ] {
        for limit in 1..=6 {
            let asked = SearchText {
                filter: filter.to_owned(),
                order_by: vec![order.to_owned()],
                limit,
                ..SearchText::default()
            };
            let (mut from, mut met) = (Place::default(), String::new());
            loop {
                let page = tracking.search_runs(vec![experiment], &asked, from).await.unwrap();
                assert!(page.items.len() <= limit as usize);
                let Some((_, last)) = page.items.last() else { break };
                from = last.to_string().parse().unwrap();
                met.extend(page.items.into_iter().map(|(run, _)| run.id));
                if !page.more {
                    break;
                }
            }
            assert_eq!(met, expected, "{filter:?} {order:?} {limit} a page");
        }
    }
}

async fn views_and_experiments_narrow(store: Arc<SqlStore>) {
    let (tracking, experiment) = filled(&store).await;
    let new = NewExperiment {
        name: "other".to_owned(),
        ..NewExperiment::default()
    };
    let other = store.create_experiment(&new, at(1)).await.unwrap().id;
    run(&store, other, "g", (Some(0.95), 16), "2").await;
    store.delete_run("a", at(50)).await.unwrap();
    let ids = async |experiments: Vec<i64>, view| {
        let asked = SearchText {
            order_by: vec!["metrics.auc DESC".to_owned()],
            view,
            limit: 100,
            ..SearchText::default()
        };
        let found = tracking.search_runs(experiments, &asked, Place::default()).await;
        let ids = found.unwrap().items.into_iter().map(|(run, _)| run.id);
        ids.collect::<String>()
    };
    assert_eq!(ids(vec![experiment], LifecycleView::Active).await, "febcd");
    assert_eq!(ids(vec![experiment], LifecycleView::Deleted).await, "a");
    assert_eq!(ids(vec![experiment], LifecycleView::All).await, "feabcd");
    assert_eq!(ids(vec![other, experiment], LifecycleView::All).await, "fgeabcd");
    assert_eq!(ids(Vec::new(), LifecycleView::All).await, "");
}

async fn experiments_are_found(store: Arc<SqlStore>) {
    for (name, seconds, team) in [("trees", 1, "red"), ("forests", 2, "blue"), ("Lines", 3, "red")] {
        let new = NewExperiment {
            name: name.to_owned(),
            tags: vec![pair("team", team)],
            ..NewExperiment::default()
        };
        store.create_experiment(&new, at(seconds)).await.unwrap();
    }
    let tracking = Tracking::new(store.clone(), Arc::new(SystemClock));
    for (filter, order, expected) in [
        ("creation_time < 1000000", &[][..], "Lines forests trees"),
        ("name LIKE '%re%'", &["name ASC"], "forests trees"),
        ("name ILIKE 'l%'", &[], "Lines"),
        ("tags.team = 'red'", &["name DESC"], "trees Lines"),
        ("tags.team IS NULL", &[], "Default"),
        ("creation_time >= 2000 AND creation_time < 3000", &[], "forests"),
        ("name = 'trees'", &["last_update_time DESC"], "trees"),
    ] {
        let asked = SearchText {
            filter: filter.to_owned(),
            order_by: order.iter().map(ToString::to_string).collect(),
            limit: 10,
            ..SearchText::default()
        };
        let found = tracking.search_experiments(&asked, 0).await.unwrap();
        let names: Vec<_> = found.items.into_iter().map(|(found, _)| found.name).collect();
        assert_eq!(names.join(" "), expected, "{filter:?} {order:?}");
    }
    let asked = SearchText {
        order_by: vec!["name ASC".to_owned()],
        limit: 3,
        ..SearchText::default()
    };
    let first = tracking.search_experiments(&asked, 0).await.unwrap();
    assert!(first.more);
    let second = tracking
        .search_experiments(&asked, first.items[2].1.offset)
        .await
        .unwrap();
    assert_eq!((second.items.len(), second.more), (1, false));
}

async fn what_is_not_in_the_language_is_refused(store: Arc<SqlStore>) {
    let (tracking, experiment) = filled(&store).await;
    for (filter, order, field) in [
        ("metrics.auc > 'much'", "", "filter"),
        ("metrics.auc > 0.5 OR metrics.auc < 0.1", "", "filter"),
        ("attributes.colour = 'red'", "", "filter"),
        ("", "metrics.auc DOWN", "order_by[0]"),
    ] {
        let order_by = Some(order.to_owned()).filter(|order| !order.is_empty());
        let asked = SearchText {
            filter: filter.to_owned(),
            order_by: order_by.into_iter().collect(),
            limit: 10,
            ..SearchText::default()
        };
        let refused = tracking.search_runs(vec![experiment], &asked, Place::default()).await;
        let named = matches!(&refused, Err(Error::Invalid(found)) if found[0].field == field);
        assert!(named, "{filter:?} {order:?}: {refused:?}");
    }
}
