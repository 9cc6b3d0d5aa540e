//! Experiments and runs.

use holdfast_api::registry::v1 as wire;
use holdfast_domain::RunId;
use tonic::Code;

use crate::support::{Registry, reason, violated};

async fn experiment(registry: &mut Registry, name: &str) -> wire::Experiment {
    let request = wire::CreateExperimentRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    registry
        .tracking
        .create_experiment(request)
        .await
        .unwrap()
        .into_inner()
        .experiment
        .unwrap()
}

async fn run(registry: &mut Registry, experiment: &wire::Experiment) -> wire::Run {
    let request = wire::CreateRunRequest {
        experiment_id: experiment.experiment_id.clone(),
        ..Default::default()
    };
    registry
        .tracking
        .create_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap()
}

fn metric(key: &str, value: f64, step: i64) -> wire::Metric {
    wire::Metric {
        key: key.to_owned(),
        value,
        measured_at: Some(prost_types::Timestamp {
            seconds: 1_000 + step,
            nanos: 0,
        }),
        step,
        ..Default::default()
    }
}

fn param(key: &str, value: &str) -> wire::Param {
    wire::Param {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let first = experiment(&mut registry, "churn").await;
    let again = wire::CreateExperimentRequest {
        name: "churn".to_owned(),
        ..Default::default()
    };
    let refused = registry.tracking.create_experiment(again).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "EXPERIMENT_EXISTS")
    );
    let by_name = wire::GetExperimentRequest {
        by: Some(wire::get_experiment_request::By::Name("churn".to_owned())),
    };
    let found = registry
        .tracking
        .get_experiment(by_name)
        .await
        .unwrap()
        .into_inner()
        .experiment
        .unwrap();
    assert_eq!(found, first);
    registry.stop().await;
}

#[tokio::test]
async fn what_is_logged_reads_back_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let experiment = experiment(&mut registry, "churn").await;
    let opened = run(&mut registry, &experiment).await;
    let batch = wire::LogBatchRequest {
        run_id: opened.run_id.clone(),
        metrics: vec![
            metric("loss", 0.5, 1),
            metric("loss", 0.3, 2),
            metric("nan", f64::NAN, 0),
            metric("inf", f64::INFINITY, 0),
        ],
        params: vec![param("eta", "0.05")],
        tags: vec![wire::Tag {
            key: "team".to_owned(),
            value: "churn".to_owned(),
        }],
    };
    registry.tracking.log_batch(batch).await.unwrap();
    registry.stop().await;

    let mut registry = Registry::start(dir.path()).await;
    let request = wire::GetRunRequest {
        run_id: opened.run_id.clone(),
    };
    let read = registry
        .tracking
        .get_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(read.params, [param("eta", "0.05")]);
    let value = |key: &str| read.metrics.iter().find(|metric| metric.key == key).unwrap().value;
    assert!((value("loss") - 0.3).abs() < f64::EPSILON);
    assert!(value("nan").is_nan());
    assert!(value("inf").is_infinite());
    let request = wire::GetMetricHistoryRequest {
        run_id: opened.run_id,
        key: "loss".to_owned(),
        ..Default::default()
    };
    let history = registry
        .tracking
        .get_metric_history(request)
        .await
        .unwrap()
        .into_inner()
        .metrics;
    assert_eq!(history.iter().map(|metric| metric.step).collect::<Vec<_>>(), [1, 2]);
    registry.stop().await;
}

#[tokio::test]
async fn a_parameter_never_changes_and_a_batch_is_all_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let experiment = experiment(&mut registry, "churn").await;
    let opened = run(&mut registry, &experiment).await;
    let batch = |params, metrics| wire::LogBatchRequest {
        run_id: opened.run_id.clone(),
        params,
        metrics,
        tags: Vec::new(),
    };
    registry
        .tracking
        .log_batch(batch(vec![param("eta", "0.05")], Vec::new()))
        .await
        .unwrap();
    registry
        .tracking
        .log_batch(batch(vec![param("eta", "0.05")], Vec::new()))
        .await
        .unwrap();
    let changed = batch(
        vec![param("depth", "6"), param("eta", "0.1")],
        vec![metric("loss", 1.0, 0)],
    );
    let refused = registry.tracking.log_batch(changed).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        violated(&refused),
        [("params[1].value".to_owned(), "immutable".to_owned())]
    );
    let request = wire::GetRunRequest {
        run_id: opened.run_id.clone(),
    };
    let read = registry
        .tracking
        .get_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(read.params, [param("eta", "0.05")]);
    assert!(read.metrics.is_empty());
    registry.stop().await;
}

#[tokio::test]
async fn every_broken_limit_is_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let experiment = experiment(&mut registry, "churn").await;
    let opened = run(&mut registry, &experiment).await;
    let batch = wire::LogBatchRequest {
        run_id: opened.run_id,
        metrics: vec![metric("", 1.0, 0)],
        params: vec![param(&"k".repeat(251), &"v".repeat(6_001))],
        tags: (0..101)
            .map(|index| wire::Tag {
                key: index.to_string(),
                value: String::new(),
            })
            .collect(),
    };
    let refused = registry.tracking.log_batch(batch).await.unwrap_err();
    let expected = [
        ("tags", "too_many"),
        ("metrics[0].key", "required"),
        ("params[0].key", "too_long"),
        ("params[0].value", "too_long"),
    ];
    let expected = expected.map(|(field, rule)| (field.to_owned(), rule.to_owned()));
    assert_eq!(violated(&refused), expected);
    registry.stop().await;
}

#[tokio::test]
async fn opening_a_run_again_by_its_id_answers_the_same_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let experiment = experiment(&mut registry, "churn").await;
    let request = wire::CreateRunRequest {
        experiment_id: experiment.experiment_id.clone(),
        run_id: RunId::generate().to_string(),
        ..Default::default()
    };
    let first = registry
        .tracking
        .create_run(request.clone())
        .await
        .unwrap()
        .into_inner()
        .run;
    let second = registry.tracking.create_run(request).await.unwrap().into_inner().run;
    assert_eq!(first, second);
    registry.stop().await;
}

#[tokio::test]
async fn runs_are_listed_page_by_page_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let experiment = experiment(&mut registry, "churn").await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(run(&mut registry, &experiment).await.run_id);
    }
    made.reverse();
    let mut listed = Vec::new();
    let mut token = String::new();
    loop {
        let request = wire::ListRunsRequest {
            experiment_id: experiment.experiment_id.clone(),
            page_size: 2,
            page_token: token,
        };
        let page = registry.tracking.list_runs(request).await.unwrap().into_inner();
        listed.extend(page.runs.into_iter().map(|run| run.run_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, made);
    registry.stop().await;
}

#[tokio::test]
async fn a_run_that_ends_is_given_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let experiment = experiment(&mut registry, "churn").await;
    let opened = run(&mut registry, &experiment).await;
    assert!(opened.ended_at.is_none());
    let request = wire::UpdateRunRequest {
        run_id: opened.run_id,
        status: wire::RunStatus::Finished.into(),
        ..Default::default()
    };
    let ended = registry
        .tracking
        .update_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(ended.status(), wire::RunStatus::Finished);
    assert!(ended.ended_at.is_some());
    let unknown = wire::GetRunRequest {
        run_id: "nobody".to_owned(),
    };
    assert_eq!(
        registry.tracking.get_run(unknown).await.unwrap_err().code(),
        Code::NotFound
    );
    registry.stop().await;
}
