use holdfast_domain::{Digest, ModelName, RunId};

use super::*;
use crate::service::runs::{Input, Trigger};

fn request(model: &str, key: &str) -> RunRequest {
    RunRequest {
        model: ModelName::parse(model).unwrap(),
        input: Input::Snapshot {
            table: Digest::of(b"table"),
            test: None,
        },
        preset: "default".into(),
        seed: 42,
        test_share: 0.2,
        trigger: Trigger::Manual,
        requested_by: "test".into(),
        report_id: String::new(),
        promote: true,
        idempotency_key: key.into(),
        threshold: None,
        tuning: None,
        import: None,
        target: None,
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn change(step: StepName, state: State, progress: f64) -> StepChange {
    StepChange {
        step,
        state,
        progress,
        message: format!("{} is {}", step.name(), state.name()),
        trial: None,
    }
}

fn done() -> Ending<'static> {
    Ending {
        state: State::Done,
        error: None,
        violations: &[],
        step: None,
    }
}

async fn store() -> (tempfile::TempDir, RunStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = RunStore::open(&dir.path().join("training.db")).await.unwrap();
    (dir, store)
}

#[tokio::test]
async fn a_run_reads_back_as_it_was_written() {
    let (_dir, store) = store().await;
    let id = RunId::generate();
    let asked = request("churn", "");
    assert_eq!(store.create(&id, &asked, at(0)).await.unwrap(), Opened::New);
    store
        .change_step(&id, &change(StepName::Ingest, State::Running, 0.0), at(1))
        .await
        .unwrap();
    assert_eq!(
        store
            .change_step(&id, &change(StepName::Ingest, State::Done, 1.0), at(4))
            .await
            .unwrap(),
        2
    );
    let (training, test) = (Digest::of(b"training"), Digest::of(b"test"));
    store.set_snapshots(&id, &training, &test).await.unwrap();
    let result = RunResult {
        version: Some(3),
        accepted: true,
        metrics: [("test_roc_auc".to_owned(), 0.992_345_678_901_234_5)].into(),
        failed_checks: vec!["calibration: too far off".into()],
        ..RunResult::default()
    };
    store.set_result(&id, &result).await.unwrap();
    store.end(&id, &done(), at(9)).await.unwrap();

    let run = store.run(&id).await.unwrap();
    assert_eq!((run.request, run.state), (asked, State::Done));
    assert_eq!((run.created_at, run.ended_at), (at(0), Some(at(9))));
    assert_eq!(run.result, Some(result));
    assert_eq!((run.training_snapshot, run.test_snapshot), (Some(training), Some(test)));
    assert_eq!(run.steps.len(), StepName::ALL.len());
    let ingest = &run.steps[0];
    assert_eq!((ingest.state, ingest.duration_seconds(at(100))), (State::Done, 3.0));
    assert_eq!(run.steps[1].state, State::Waiting);

    let events = store.events(&id, 0).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(store.events(&id, 1).await.unwrap(), events[1..]);
}

#[tokio::test]
async fn one_run_per_model_is_at_work_at_a_time() {
    let (_dir, store) = store().await;
    let (first, second) = (RunId::generate(), RunId::generate());
    assert_eq!(
        store.create(&first, &request("churn", ""), at(0)).await.unwrap(),
        Opened::New
    );
    let busy = store.create(&second, &request("churn", ""), at(1)).await.unwrap();
    assert_eq!(busy, Opened::Busy(first.clone()));
    assert_eq!(
        store
            .create(&RunId::generate(), &request("other", ""), at(1))
            .await
            .unwrap(),
        Opened::New
    );
    store.end(&first, &done(), at(2)).await.unwrap();
    assert_eq!(
        store.create(&second, &request("churn", ""), at(3)).await.unwrap(),
        Opened::New
    );
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_run_for_ever() {
    let (_dir, store) = store().await;
    let id = RunId::generate();
    store.create(&id, &request("churn", "report-7"), at(0)).await.unwrap();
    let again = store
        .create(&RunId::generate(), &request("churn", "report-7"), at(1))
        .await
        .unwrap();
    assert_eq!(again, Opened::Before(id.clone()));
    store.end(&id, &done(), at(2)).await.unwrap();
    let again = store
        .create(&RunId::generate(), &request("churn", "report-7"), at(3))
        .await
        .unwrap();
    assert_eq!(again, Opened::Before(id));
}

#[tokio::test]
async fn a_run_that_was_at_work_is_failed_at_the_next_start() {
    let (dir, store) = store().await;
    let id = RunId::generate();
    store.create(&id, &request("churn", ""), at(0)).await.unwrap();
    store
        .change_step(&id, &change(StepName::Train, State::Running, 0.4), at(1))
        .await
        .unwrap();
    drop(store);

    let store = RunStore::open(&dir.path().join("training.db")).await.unwrap();
    assert_eq!(
        store
            .fail_interrupted("interrupted by a restart", at(60))
            .await
            .unwrap(),
        std::slice::from_ref(&id)
    );
    let run = store.run(&id).await.unwrap();
    assert_eq!(
        (run.state, run.error.as_deref()),
        (State::Failed, Some("interrupted by a restart"))
    );
    let train = run.steps.iter().find(|step| step.name == StepName::Train).unwrap();
    assert_eq!((train.state, train.progress), (State::Failed, 0.4));
    assert_eq!(store.fail_interrupted("again", at(61)).await.unwrap(), []);
}

#[tokio::test]
async fn runs_come_in_pages_newest_first() {
    let (_dir, store) = store().await;
    let mut ids = Vec::new();
    for second in 0..5 {
        let id = RunId::generate();
        store
            .create(
                &id,
                &request(if second == 2 { "other" } else { "churn" }, ""),
                at(second),
            )
            .await
            .unwrap();
        store.end(&id, &done(), at(second)).await.unwrap();
        ids.push(id);
    }
    let churn = ModelName::parse("churn").unwrap();
    let page = store.runs(Some(&churn), None, 3).await.unwrap();
    let found: Vec<&RunId> = page.runs.iter().map(|run| &run.id).collect();
    assert_eq!(found, [&ids[4], &ids[3], &ids[1]]);
    let rest = store.runs(Some(&churn), page.next, 3).await.unwrap();
    assert_eq!((rest.runs.len(), rest.next), (1, None));
    assert_eq!(store.runs(None, None, 100).await.unwrap().runs.len(), 5);
}

#[tokio::test]
async fn an_unknown_run_is_said_to_be_unknown() {
    let (_dir, store) = store().await;
    assert!(matches!(store.run(&RunId::generate()).await, Err(Error::NoSuchRun(_))));
}

#[tokio::test]
async fn once_the_file_is_made_every_commit_is_synced() {
    let (_dir, store) = store().await;
    let level: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(&store.writer)
        .await
        .unwrap();
    // FULL.
    assert_eq!(level, 2);
}
