//! A table in, a champion out.

use holdfast_api::registry::v1 as registry_wire;
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::StepState;

use crate::support::{Registry, Setup, directory, metric, of_snapshot, result, step};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_model_is_trained_accepted_and_promoted() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(4_000, 7)).await;
    let run_id = bench.start_run(of_snapshot(&snapshot)).await.unwrap();
    let (events, run) = bench.follow(&run_id).await;

    let auc = metric(&run, "test_roc_auc");
    assert!((0.96..=0.998).contains(&auc), "{auc}");
    let required_only = metric(&run, "test_roc_auc_required_only");
    assert!(
        required_only > auc - 0.03,
        "{required_only} on the required features, {auc} on all"
    );
    assert!(metric(&run, "baseline_roc_auc") < auc);
    assert_eq!(
        (metric(&run, "train_rows"), metric(&run, "test_rows")),
        (3_200.0, 800.0)
    );
    for name in [
        "test_pr_auc",
        "test_f1",
        "test_log_loss",
        "test_brier",
        "test_pr_auc_required_only",
        "threshold",
    ] {
        assert!((0.0..=1.0).contains(&metric(&run, name)), "{name}");
    }
    let outcome = result(&run);
    assert!(outcome.accepted && outcome.promoted, "{:?}", outcome.failed_checks);
    assert_eq!((outcome.version, outcome.generation), (1, 1));
    for step in &run.steps {
        let expected = if step.name == "tune" {
            StepState::Skipped
        } else {
            StepState::Done
        };
        assert_eq!(step.state(), expected, "{}", step.name);
    }
    assert_eq!(bench.rows(&run.training_snapshot).await.len(), 3_200);
    assert_eq!(bench.rows(&run.test_snapshot).await.len(), 800);

    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
    let fitting: Vec<f64> = events
        .iter()
        .filter(|event| event.step == "train")
        .map(|event| event.progress)
        .collect();
    assert!(fitting.len() > 2 && fitting.is_sorted(), "{fitting:?}");

    let champion = registry.champion().await;
    assert_eq!((champion.generation, champion.actor.as_str()), (1, "training"));
    assert_eq!(champion.model.unwrap().artifact_digest, outcome.artifact_digest);
    assert_tracked(&mut registry, run_id, auc).await;
    bench.stop().await;
    registry.stop().await;
}

/// The registry shows the run with its parameters and this ROC-AUC.
async fn assert_tracked(registry: &mut Registry, run_id: String, auc: f64) {
    let request = registry_wire::GetRunRequest { run_id };
    let tracked = registry
        .tracking
        .get_run(request)
        .await
        .unwrap()
        .into_inner()
        .run
        .unwrap();
    assert_eq!(
        (tracked.status(), tracked.user_id.as_str()),
        (registry_wire::RunStatus::Finished, "test")
    );
    let param = |key: &str| {
        tracked
            .params
            .iter()
            .find(|param| param.key == key)
            .unwrap()
            .value
            .clone()
    };
    assert_eq!(
        (param("estimators.0.trees"), param("preset"), param("seed")),
        ("130".into(), "fast".into(), "42".into())
    );
    let logged = tracked
        .metrics
        .iter()
        .find(|metric| metric.key == "test_roc_auc")
        .unwrap();
    assert_eq!(logged.value.to_bits(), auc.to_bits());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_run_again_gives_the_same_artefact_and_is_rejected_as_no_better() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.settings.threads = 1;
    let mut bench = setup.start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 8)).await;
    let first = bench.train(of_snapshot(&snapshot)).await;
    bench.stop().await;

    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.settings.threads = 2;
    let mut bench = setup.start().await;
    let second = bench.train(of_snapshot(&snapshot)).await;
    assert_eq!(result(&first).artifact_digest, result(&second).artifact_digest);
    assert_eq!((result(&second).version, result(&second).accepted), (2, false));
    let checks = &result(&second).failed_checks;
    assert!(
        checks.iter().any(|check| check.starts_with("better_than_champion: ")),
        "{checks:?}"
    );
    assert_eq!(metric(&second, "auc_delta"), 0.0);
    assert_eq!(metric(&second, "champion_roc_auc"), metric(&first, "test_roc_auc"));
    assert!(
        step(&second, "gate").message.starts_with("version 2 is rejected"),
        "{}",
        step(&second, "gate").message
    );
    assert_eq!(registry.champion().await.generation, 1);

    let other = wire::StartRunRequest {
        seed: Some(43),
        ..of_snapshot(&snapshot)
    };
    let other = bench.train(other).await;
    assert_ne!(result(&other).artifact_digest, result(&first).artifact_digest);
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_not_to_promote_leaves_the_champion_alone() {
    let dir = directory();
    let mut registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let snapshot = bench.import(&holdfast_simulator::customers(2_500, 9)).await;
    let request = wire::StartRunRequest {
        promote: Some(false),
        ..of_snapshot(&snapshot)
    };
    let run = bench.train(request).await;
    assert!(result(&run).accepted && !result(&run).promoted);
    let request = registry_wire::GetChampionRequest {
        model: "churn".into(),
        at: None,
    };
    let none = registry.champions.get_champion(request).await.unwrap_err();
    assert_eq!(none.code(), tonic::Code::NotFound);
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_test_table_is_not_split_and_must_hold_other_customers() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let bank = holdfast_simulator::customers(3_000, 10);
    let train = bench.import(&bank[..2_400]).await;
    let test = bench.import(&bank[2_400..]).await;
    let request = wire::StartRunRequest {
        test_snapshot: test.clone(),
        ..of_snapshot(&train)
    };
    let run = bench.train(request.clone()).await;
    assert_eq!((&run.training_snapshot, &run.test_snapshot), (&train, &test));
    assert_eq!(
        (metric(&run, "train_rows"), metric(&run, "test_rows")),
        (2_400.0, 600.0)
    );

    let overlapping = bench.import(&bank[2_000..]).await;
    let request = wire::StartRunRequest {
        test_snapshot: overlapping,
        ..request
    };
    let run = bench.train(request).await;
    assert_eq!(run.state(), StepState::Failed);
    assert_eq!(step(&run, "validate").state(), StepState::Failed);
    assert_eq!(run.violations.len(), 100);
    assert_eq!(
        (run.violations[0].row, run.violations[0].rule.as_str()),
        (1, "duplicate_key")
    );
    assert!(run.error.contains("400 rules are broken"), "{}", run.error);
    bench.stop().await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_snapshot_the_configured_database_is_read() {
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let database = dir.path().join("bank.db");
    let spec = holdfast_sources::SourceSpec::parse(&format!("sqlite://{}?table=clients", database.display())).unwrap();
    let schema = holdfast_domain::Schema::embedded();
    holdfast_sources::write(&spec, &holdfast_simulator::customers(2_000, 11), schema)
        .await
        .unwrap();

    let mut setup = Setup::new(dir.path(), Some(&registry));
    setup.common.database.kind = Some(holdfast_chassis::settings::DatabaseKind::Sqlite);
    setup.common.database.name = Some(database.display().to_string());
    setup.common.database.table = "clients".into();
    let mut bench = setup.start().await;
    let run = bench.train(wire::StartRunRequest::default()).await;
    assert!(result(&run).accepted);
    // The table itself is a snapshot too, and both parts name it.
    let request = wire::GetSnapshotRequest {
        digest: run.training_snapshot.clone(),
    };
    let training = bench
        .training
        .get_snapshot(request)
        .await
        .unwrap()
        .into_inner()
        .snapshot
        .unwrap();
    let request = wire::GetSnapshotRequest {
        digest: training.parents[0].clone(),
    };
    let whole = bench
        .training
        .get_snapshot(request)
        .await
        .unwrap()
        .into_inner()
        .snapshot
        .unwrap();
    assert_eq!(
        (whole.rows, whole.source.as_str()),
        (2_000, "sqlite://bank.db?table=clients")
    );
    bench.stop().await;
    registry.stop().await;
}
