//! Runs that are cancelled, interrupted, asked for twice, or left alone by the registry.

use std::time::Duration;

use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::StepState;
use holdfast_chassis::{Code, health_command};
use holdfast_domain::{Digest, ModelName, RunId};
use holdfast_testkit::eventually;
use holdfast_training::service::runs::{Input, RunRequest, State, StepName, Trigger};
use holdfast_training::service::store::{RunStore, StepChange};
use jiff::Timestamp;

use crate::support::{Bench, Setup, directory, endless_params, fault, of_snapshot, step};

const PATIENCE: Duration = Duration::from_secs(60);

/// A service whose runs train until they are stopped, and a run that is fitting.
async fn fitting(dir: &std::path::Path) -> (Bench, String, String) {
    let mut setup = Setup::new(dir, None);
    setup.settings.params_path = Some(endless_params(dir));
    setup.settings.preset = "default".into();
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(1_000, 3)).await;
    let run_id = bench.start_run(of_snapshot(&snapshot)).await.unwrap();
    eventually("the run is fitting", PATIENCE, async || {
        step(&bench.run(&run_id).await, "train").progress > 0.0
    })
    .await;
    (bench, snapshot, run_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_in_the_middle_of_its_fitting() {
    let dir = directory();
    let (mut bench, snapshot, run_id) = fitting(dir.path()).await;
    let request = wire::CancelRunRequest { run_id: run_id.clone() };
    bench.training.cancel_run(request.clone()).await.unwrap();
    let (events, run) = bench.follow(&run_id).await;
    assert_eq!(
        (run.state(), step(&run, "train").state()),
        (StepState::Cancelled, StepState::Cancelled)
    );
    assert_eq!(step(&run, "evaluate").state(), StepState::Waiting);
    assert_eq!(events.last().unwrap().state(), StepState::Cancelled);
    assert!(run.result.is_none_or(|result| result.version == 0));

    // Cancelling again changes nothing, and the model is free for the next run.
    let again = bench
        .training
        .cancel_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(again.state(), StepState::Cancelled);
    let next = bench.start_run(of_snapshot(&snapshot)).await.unwrap();
    bench
        .training
        .cancel_run(wire::CancelRunRequest { run_id: next.clone() })
        .await
        .unwrap();
    assert_eq!(bench.follow(&next).await.1.state(), StepState::Cancelled);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_of_the_model_is_aborted_with_the_id_of_the_first() {
    let dir = directory();
    let (mut bench, snapshot, run_id) = fitting(dir.path()).await;
    let refused = fault(bench.start_run(of_snapshot(&snapshot)).await);
    assert_eq!((refused.code, refused.reason.as_ref()), (Code::Aborted, "RUN_AT_WORK"));
    assert_eq!(refused.metadata["run_id"], run_id);
    let other = wire::StartRunRequest {
        model: "other".into(),
        ..of_snapshot(&snapshot)
    };
    let other = bench.start_run(other).await.unwrap();
    let listed = bench
        .training
        .list_runs(wire::ListRunsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .runs;
    assert_eq!(
        listed.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(),
        [other.as_str(), run_id.as_str()]
    );
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_answers_the_same_run() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(300, 3)).await;
    let request = wire::StartRunRequest {
        idempotency_key: "report-7".into(),
        ..of_snapshot(&snapshot)
    };
    let first = bench.start_run(request.clone()).await.unwrap();
    assert_eq!(bench.start_run(request.clone()).await.unwrap(), first);
    bench.follow(&first).await;
    assert_eq!(bench.start_run(request).await.unwrap(), first);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_stops_ends_its_run_and_says_so() {
    let dir = directory();
    let (bench, _, run_id) = fitting(dir.path()).await;
    bench.stop().await;
    let mut bench = Setup::new(dir.path(), None).start().await;
    let run = bench.run(&run_id).await;
    assert_eq!(
        (run.state(), run.error.as_str()),
        (StepState::Failed, "interrupted: the service was stopped")
    );
    bench.stop().await;
}

#[tokio::test]
async fn a_run_that_a_dead_process_left_at_work_is_failed_at_the_next_start() {
    let dir = directory();
    let id = RunId::generate();
    let request = RunRequest {
        model: ModelName::parse("churn").unwrap(),
        input: Input::Window {
            window: Digest::of(b"window"),
        },
        preset: "default".into(),
        seed: 1,
        test_share: 0.2,
        trigger: Trigger::Drift,
        requested_by: "monitoring".into(),
        report_id: String::new(),
        promote: true,
        idempotency_key: String::new(),
        threshold: None,
        tuning: None,
        import: None,
        target: None,
    };
    let change = StepChange {
        step: StepName::Train,
        state: State::Running,
        progress: 0.3,
        message: "fitting".into(),
        trial: None,
    };
    let store = RunStore::open(&dir.path().join("training.db")).await.unwrap();
    store.create(&id, &request, Timestamp::now()).await.unwrap();
    store.change_step(&id, &change, Timestamp::now()).await.unwrap();
    drop(store);

    let mut bench = Setup::new(dir.path(), None).start().await;
    let (events, run) = bench.follow(id.as_str()).await;
    assert_eq!(
        (run.state(), run.error.as_str()),
        (StepState::Failed, "interrupted by a restart")
    );
    assert_eq!(step(&run, "train").state(), StepState::Failed);
    assert_eq!(events.last().unwrap().message, "interrupted by a restart");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_registry_the_service_is_ready_and_a_run_says_what_it_lacks() {
    let dir = directory();
    let mut bench = Setup::new(dir.path(), None).start().await;
    let admin = bench.admin();
    let ready = tokio::task::spawn_blocking(move || health_command::check(admin, Duration::from_secs(5)));
    ready.await.unwrap().unwrap();
    let snapshot = bench.import(&holdfast_simulator::customers(500, 3)).await;
    let run_id = bench.start_run(of_snapshot(&snapshot)).await.unwrap();
    let (_, run) = bench.follow(&run_id).await;
    assert_eq!(
        (run.state(), step(&run, "evaluate").state()),
        (StepState::Failed, StepState::Failed)
    );
    assert!(run.error.starts_with("the registry is away: "), "{}", run.error);
    bench.stop().await;
}
