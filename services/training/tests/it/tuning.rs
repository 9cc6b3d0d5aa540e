//! Runs that search for parameters: what is told while they do, what the registry keeps, what becomes of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdfast_api::registry::v1 as registry_wire;
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::{StepState, TrialState};
use holdfast_testkit::eventually;
use holdfast_training::service::params::Presets;
use tokio_stream::StreamExt as _;

use crate::cable::Cable;
use crate::support::{Bench, Registry, Setup, directory, endless_params, of_snapshot, result, step};

const PATIENCE: Duration = Duration::from_secs(60);
const TRIALS: u32 = 10;

/// The built-in parameter sets, with a search space of trees that are fitted in a moment.
fn params(directory: &Path) -> PathBuf {
    let built_in = holdfast_training::service::params::EMBEDDED;
    let (sets, _) = built_in.split_once("\nsearch_space:").unwrap();
    let space = "search_space:
  boosted_trees:
    trees: {kind: integer, from: 5, to: 40, scale: log}
    max_depth: {kind: integer, from: 2, to: 6, scale: linear}
    eta: {kind: real, from: 0.05, to: 0.5, scale: log}
";
    let path = directory.join("params.yaml");
    std::fs::write(&path, format!("{sets}\n{space}")).unwrap();
    path
}

fn tuned(snapshot: &str, tuning: wire::Tuning) -> wire::StartRunRequest {
    wire::StartRunRequest {
        tuning: Some(tuning),
        ..of_snapshot(snapshot)
    }
}

fn ten_trials() -> wire::Tuning {
    wire::Tuning {
        trials: TRIALS,
        folds: 3,
        workers: 2,
        early_stop: Some(false),
        ..wire::Tuning::default()
    }
}

async fn tracked_runs(registry: &mut Registry) -> Vec<registry_wire::Run> {
    let request = registry_wire::ListRunsRequest {
        page_size: 1_000,
        ..registry_wire::ListRunsRequest::default()
    };
    registry.tracking.list_runs(request).await.unwrap().into_inner().runs
}

fn tag<'r>(run: &'r registry_wire::Run, key: &str) -> Option<&'r str> {
    run.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
}

/// The last that was told of each trial.
fn last_of_each(events: &[wire::RunEvent]) -> BTreeMap<u32, wire::Trial> {
    let trials = events.iter().filter_map(|event| event.trial.clone());
    trials.map(|trial| (trial.number, trial)).collect()
}

/// Each trial is a run of its own, a child of the run that searches, and says what the log says.
fn assert_children(runs: &[registry_wire::Run], parent: &str, trials: &BTreeMap<u32, wire::Trial>) {
    for trial in trials.values() {
        let child = runs.iter().find(|run| run.run_id == trial.run_id).unwrap();
        assert_eq!(tag(child, "mlflow.parentRunId"), Some(parent));
        assert_eq!(child.user_id, "test");
        let ended = match trial.state() {
            TrialState::Complete => registry_wire::RunStatus::Finished,
            _ => registry_wire::RunStatus::Killed,
        };
        assert_eq!(child.status(), ended, "trial {}", trial.number);
        let mean = child
            .metrics
            .iter()
            .find(|metric| metric.key == "mean_roc_auc")
            .unwrap();
        assert_eq!(mean.value.to_bits(), trial.value.to_bits());
        assert_eq!(child.params.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_are_in_the_log_and_child_runs_and_the_best_becomes_the_version() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.settings.params_path = Some(params(dir.path()));
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_500, 7)).await;
    let run_id = bench.start_run(tuned(&snapshot, ten_trials())).await.unwrap();
    let (events, run) = bench.follow(&run_id).await;
    assert_eq!(step(&run, "tune").state(), StepState::Done);

    let trials = last_of_each(&events);
    assert_eq!(
        trials.keys().copied().collect::<Vec<_>>(),
        (1..=TRIALS).collect::<Vec<_>>()
    );
    let found = result(&run).tuning.as_ref().unwrap();
    assert_eq!(
        (found.trials, found.stopped_by.as_str(), found.objective.as_str()),
        (TRIALS, "trials", "roc_auc")
    );
    let (best, first) = (found.best.as_ref().unwrap(), found.first.as_ref().unwrap());
    // The first trial is the parameter set as it is.
    let presets = Presets::load(None).unwrap();
    let own: BTreeMap<String, String> = presets
        .get("fast")
        .unwrap()
        .recipe
        .to_parameters()
        .into_iter()
        .collect();
    assert_eq!(
        (first.number, &first.parameters["trees"]),
        (1, &own["estimators.0.trees"])
    );
    // What is taken need not be the luckiest trial, but it came to its end.
    let taken = &trials[&best.number];
    assert_eq!(taken.state(), TrialState::Complete);
    assert_eq!(best.value.to_bits(), taken.value.to_bits());
    assert!(best.value >= first.value);
    assert!(
        (found.importance.values().sum::<f64>() - 1.0).abs() < 1e-9,
        "{:?}",
        found.importance
    );

    let runs = tracked_runs(&mut registry).await;
    let parent = runs.iter().find(|run| run.run_id == run_id).unwrap();
    assert_eq!(parent.status(), registry_wire::RunStatus::Finished);
    let param = |key: &str| {
        parent
            .params
            .iter()
            .find(|param| param.key == key)
            .map(|param| param.value.as_str())
    };
    for (name, value) in &best.parameters {
        assert_eq!(param(&format!("estimators.0.{name}")), Some(value.as_str()), "{name}");
    }
    assert_children(&runs, &run_id, &trials);
    // The test rows were answered once, by the finished version.
    let request = registry_wire::GetModelVersionRequest {
        model: "churn".into(),
        version: 1,
    };
    let version = registry
        .models
        .get_model_version(request)
        .await
        .unwrap()
        .into_inner()
        .version
        .unwrap();
    assert_eq!(version.decisions[0].test_snapshot_uses, 1);
    let message = &step(&run, "gate").message;
    assert!(
        message.ends_with("; the first version judged on these test rows"),
        "{message}"
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nested_cross_validation_has_a_child_run_and_a_value_for_each_outer_fold() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.settings.params_path = Some(params(dir.path()));
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_200, 9)).await;
    let tuning = wire::Tuning {
        trials: 3,
        folds: 2,
        outer_folds: 2,
        ..wire::Tuning::default()
    };
    let run = bench.train(tuned(&snapshot, tuning)).await;
    let found = result(&run).tuning.as_ref().unwrap();
    assert_eq!(found.outer_values.len(), 2);
    let runs = tracked_runs(&mut registry).await;
    let mut outer: Vec<_> = runs.iter().filter_map(|run| tag(run, "holdfast.outer_fold")).collect();
    outer.sort_unstable();
    assert_eq!(outer, ["1", "2"]);
    bench.stop().await;
    registry.stop().await;
}

/// A run whose first trials are at work, and will be for long.
async fn searching(setup: Setup, directory: &Path) -> (Bench, String) {
    let mut setup = setup;
    setup.settings.params_path = Some(endless_params(directory));
    setup.settings.preset = "default".into();
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_000, 3)).await;
    let run_id = bench.start_run(tuned(&snapshot, ten_trials())).await.unwrap();
    eventually("trials are at work", PATIENCE, async || {
        step(&bench.run(&run_id).await, "tune").state() == StepState::Running
    })
    .await;
    (bench, run_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_cancelled_in_the_middle_and_the_registry_hears_of_it() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let (mut bench, run_id) = searching(Setup::new(dir.path(), Some(&registry)), dir.path()).await;
    eventually("the registry knows of trials", PATIENCE, async || {
        tracked_runs(&mut registry).await.len() > 1
    })
    .await;
    let request = wire::CancelRunRequest { run_id: run_id.clone() };
    bench.training.cancel_run(request).await.unwrap();
    let (_, run) = bench.follow(&run_id).await;
    assert_eq!(
        (run.state(), step(&run, "tune").state()),
        (StepState::Cancelled, StepState::Cancelled)
    );
    assert_eq!(run.result.unwrap().tuning.unwrap().stopped_by, "cancelled");
    // The registry is told after the run's log has its end.
    eventually("parent and trials are killed there", PATIENCE, async || {
        let runs = tracked_runs(&mut registry).await;
        runs.iter().all(|run| run.status() == registry_wire::RunStatus::Killed)
    })
    .await;
    bench.stop().await;
    registry.stop().await;
}

/// Reads the run's log until it says of each trial how it ended.
async fn all_trials_end(bench: &mut Bench, run_id: &str) {
    let request = wire::WatchRunRequest {
        run_id: run_id.into(),
        after_sequence: 0,
    };
    let mut stream = bench.training.watch_run(request).await.unwrap().into_inner();
    let mut ended = 0;
    while ended < TRIALS {
        let event = stream.next().await.unwrap().unwrap().event.unwrap();
        let trial = event.trial.filter(|trial| trial.state() != TrialState::Running);
        ended += u32::from(trial.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trials_wait_for_a_registry_that_is_away_and_the_search_does_not() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let cable = Cable::to(&registry.url).await;
    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.common.peers.registry = cable.url.clone();
    setup.settings.registry_patience_ms = 60_000;
    setup.settings.params_path = Some(params(dir.path()));
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(800, 5)).await;
    cable.cut();
    let run_id = bench.start_run(tuned(&snapshot, ten_trials())).await.unwrap();
    all_trials_end(&mut bench, &run_id).await;
    assert!(tracked_runs(&mut registry).await.is_empty());

    cable.mend();
    let (events, run) = bench.follow(&run_id).await;
    assert_eq!(result(&run).version, 1);
    let runs = tracked_runs(&mut registry).await;
    for trial in last_of_each(&events).values() {
        let child = runs.iter().find(|run| run.run_id == trial.run_id).unwrap();
        assert_eq!(tag(child, "mlflow.parentRunId"), Some(run_id.as_str()));
        assert_ne!(child.status(), registry_wire::RunStatus::Running);
    }
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_goes_on_without_the_registry_and_the_run_says_what_it_lacks() {
    let dir = directory();
    let mut setup = Setup::new(dir.path(), None);
    setup.settings.params_path = Some(params(dir.path()));
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(800, 5)).await;
    let run_id = bench.start_run(tuned(&snapshot, ten_trials())).await.unwrap();
    let (events, run) = bench.follow(&run_id).await;
    assert_eq!(
        (run.state(), step(&run, "tune").state()),
        (StepState::Failed, StepState::Failed)
    );
    assert!(run.error.starts_with("the registry is away: "), "{}", run.error);
    let trials = last_of_each(&events);
    assert_eq!(trials.len(), TRIALS as usize);
    assert!(trials.values().all(|trial| trial.state() != TrialState::Running));
    assert_eq!(run.result.unwrap().tuning.unwrap().trials, TRIALS);
    bench.stop().await;
}
