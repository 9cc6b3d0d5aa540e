//! Learning again from a labelled window.

use std::collections::HashSet;

use holdfast_api::training::v1 as wire;
use holdfast_domain::Customer;
use holdfast_simulator::Scenario;

use crate::support::{Registry, Setup, directory, metric, of_snapshot, result};

fn keys(customers: &[Customer]) -> HashSet<i64> {
    customers
        .iter()
        .filter_map(|customer| customer.key)
        .map(|key| key.0)
        .collect()
}

fn of_window(digest: &str) -> wire::StartRunRequest {
    wire::StartRunRequest {
        window_snapshot: digest.into(),
        trigger: wire::RunTrigger::Drift.into(),
        requested_by: "monitoring".into(),
        report_id: "report-1".into(),
        ..wire::StartRunRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_trained_again_on_a_shifted_window_is_better_there_and_becomes_champion() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let bank = holdfast_simulator::customers(4_000, 12);
    let snapshot = bench.import(&bank[..3_000]).await;
    let first = bench.train(of_snapshot(&snapshot)).await;
    assert!(result(&first).promoted);

    // Half of the window's customers are in the champion's tables already, as live traffic is.
    let shifted = holdfast_simulator::apply(&Scenario::Sudden, &bank[2_000..], 1.0, 3);
    let window = bench.import(&shifted).await;
    let run = bench.train(of_window(&window)).await;
    let outcome = result(&run);
    assert!(
        outcome.accepted && outcome.promoted,
        "{:?} {:?}",
        outcome.failed_checks,
        outcome.metrics
    );
    assert_eq!((outcome.version, outcome.generation), (2, 2));
    assert_eq!(run.trigger(), wire::RunTrigger::Drift);
    assert!(metric(&run, "auc_delta") > 0.0);
    assert!(metric(&run, "window_roc_auc") > metric(&run, "window_champion_roc_auc") + 0.01);
    assert_eq!(metric(&run, "window_rows"), 600.0);

    let (train, test) = (
        bench.rows(&run.training_snapshot).await,
        bench.rows(&run.test_snapshot).await,
    );
    assert!(keys(&train).is_disjoint(&keys(&test)));
    assert_eq!((keys(&train).len(), keys(&test).len()), (train.len(), test.len()));
    // The champion was never fitted on a customer that it is compared on.
    let seen_by_champion = bench.rows(&first.training_snapshot).await;
    let held_out = &shifted;
    let untouched = test
        .iter()
        .filter(|row| !held_out.contains(row))
        .copied()
        .collect::<Vec<_>>();
    assert!(keys(&untouched).is_disjoint(&keys(&seen_by_champion)));

    // And again: the base is now what the second champion rests on.
    let next = holdfast_simulator::apply(&Scenario::Gradual, &bank[3_500..], 1.0, 4);
    let window = bench.import(&next).await;
    let again = bench.train(of_window(&window)).await;
    assert_eq!(result(&again).version, 3);
    let customers = metric(&again, "train_rows") + metric(&again, "test_rows");
    assert!(customers <= 4_000.0, "{customers} rows of 4,000 customers");
    assert_eq!(
        registry.champion().await.model.unwrap().version,
        if result(&again).promoted { 3 } else { 2 }
    );
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_without_a_champion_is_refused_with_the_reason() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let window = bench.import(&holdfast_simulator::customers(500, 13)).await;
    let run = bench.train(of_window(&window)).await;
    assert_eq!(run.state(), wire::StepState::Failed);
    assert_eq!(
        run.error,
        "a run on a window needs a champion of model churn, and there is none"
    );
    bench.stop().await;
    registry.stop().await;
}
