//! Learning from a drifted window.

use holdfast_api::training::v1::RunTrigger;
use holdfast_chassis::Code;
use holdfast_domain::{Customer, Feature, Generation, UNKNOWN_CATEGORY, validate_table};
use holdfast_records::snapshot;
use holdfast_simulator::Scenario;

use crate::support::{Behaviour, Sandbox, key, schema, unseen, without_key};

/// A drifted window of `rows` customers, checked, with all outcomes known afterwards. Answers the report's id.
async fn drifted_window(sandbox: &mut Sandbox, rows: u64) -> (String, Vec<Customer>) {
    let customers = Scenario::Sudden.apply(&unseen(0, rows), 1.0, 3);
    sandbox.predict(&customers).await;
    let report = sandbox.check().await.unwrap();
    sandbox.reveal(&customers, "all").await.unwrap();
    (report.report_id, customers)
}

#[tokio::test]
async fn training_gets_the_labelled_window_once_however_often_it_is_triggered() {
    let mut sandbox = Sandbox::with_champion().await;
    let (report_id, customers) = drifted_window(&mut sandbox, 300).await;
    let (first, second) = tokio::join!(sandbox.trigger(&report_id), sandbox.trigger(&report_id));
    let first = first.unwrap();
    assert_eq!(first, second.unwrap());
    assert_eq!(first, sandbox.trigger(&report_id).await.unwrap());
    assert_eq!((first.run_id.as_str(), first.labelled_rows), ("run-1", 300));

    let asked = sandbox.training.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    let asked = &asked[0];
    assert_eq!(asked.trigger(), RunTrigger::Drift);
    assert_eq!((&*asked.model, &*asked.requested_by), ("churn", "ada"));
    assert_eq!((&asked.report_id, &asked.idempotency_key), (&report_id, &report_id));
    assert_eq!(asked.window_snapshot, first.window_snapshot);
    assert!(asked.snapshot.is_empty() && asked.test_snapshot.is_empty());

    let digest = first.window_snapshot.parse().unwrap();
    let (manifest, rows) = snapshot::read(&*sandbox.blobs, &digest, schema()).await.unwrap();
    assert_eq!(
        rows, customers,
        "the customers as they were predicted, with what became of them"
    );
    assert!(manifest.parents.is_empty());
    let window = manifest.window.unwrap();
    assert_eq!((window.model.as_str(), &window.report_id), ("churn", &report_id));
    assert_eq!(window.generations, Some([Generation(1)].into()));
    assert!(manifest.query_or_window.unwrap().contains(&report_id));
    validate_table(&rows, schema()).unwrap();
    sandbox.end().await;
}

#[tokio::test]
async fn a_check_that_finds_drift_asks_for_retraining_when_told_to() {
    let mut sandbox = Sandbox::with_champion().await;
    let (_, _) = drifted_window(&mut sandbox, 300).await;
    let checked = sandbox.check_and(true).await.unwrap();
    assert_eq!(
        (checked.run_id.as_str(), checked.retrain_skipped.as_str()),
        ("run-1", "")
    );
    assert_eq!(sandbox.training.asked()[0].report_id, checked.report.unwrap().report_id);
    sandbox.end().await;
}

#[tokio::test]
async fn a_check_says_why_no_run_was_asked_for() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.predict(&unseen(0, 300)).await;
    let stable = sandbox.check_and(true).await.unwrap();
    assert_eq!(stable.retrain_skipped, "the window is stable");

    let mut sandbox_of_drift = Sandbox::with_champion().await;
    let customers = Scenario::Sudden.apply(&unseen(0, 300), 1.0, 3);
    sandbox_of_drift.predict(&customers).await;
    let drift = sandbox_of_drift.check_and(true).await.unwrap();
    assert!(drift.run_id.is_empty());
    assert!(
        drift.retrain_skipped.contains("0 labelled customers"),
        "{}",
        drift.retrain_skipped
    );
    assert!(sandbox.training.asked().is_empty() && sandbox_of_drift.training.asked().is_empty());
    sandbox.end().await;
    sandbox_of_drift.end().await;
}

#[tokio::test]
async fn too_few_outcomes_are_refused_with_the_numbers() {
    let mut sandbox = Sandbox::with_champion().await;
    let customers = unseen(0, 400);
    sandbox.predict(&customers).await;
    let report = sandbox.check().await.unwrap();
    sandbox.reveal(&customers[..199], "first").await.unwrap();
    let refused = sandbox.trigger(&report.report_id).await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::FailedPrecondition, "TOO_FEW_OUTCOMES")
    );
    assert_eq!(refused.metadata["labelled_rows"], "199");
    assert_eq!(refused.metadata["minimum_labelled_rows"], "200");
    assert!(sandbox.training.asked().is_empty());
    sandbox.end().await;
}

#[tokio::test]
async fn a_window_in_which_hardly_anybody_left_cannot_be_learnt_from() {
    let mut sandbox = Sandbox::with_champion().await;
    let (left, stayed): (Vec<Customer>, Vec<Customer>) = unseen(0, 600)
        .into_iter()
        .partition(|customer| customer.label == Some(true));
    let lopsided = [&left[..19], &stayed[..300]].concat();
    sandbox.predict(&lopsided).await;
    let report = sandbox.check().await.unwrap();
    sandbox.reveal(&lopsided, "all").await.unwrap();
    let refused = sandbox.trigger(&report.report_id).await.unwrap_err();
    assert_eq!(&*refused.reason, "TOO_FEW_OUTCOMES");
    assert_eq!(refused.metadata["labelled_rows"], "319");
    assert_eq!(refused.metadata["attrited_rows"], "19");
    assert_eq!(refused.metadata["minimum_rows_per_class"], "20");
    sandbox.end().await;
}

#[tokio::test]
async fn a_customer_counts_once_with_the_latest_prediction_and_the_last_word() {
    let mut sandbox = Sandbox::with_champion().await;
    let early = unseen(0, 250);
    let late = Scenario::Sudden.apply(&early, 1.0, 3);
    let mut old = sandbox.records(&early);
    for record in &mut old {
        record.event_time -= jiff::SignedDuration::from_hours(2);
    }
    sandbox.log(&old).await;
    sandbox.predict(&late).await;
    let report = sandbox.check().await.unwrap();
    let mut wrong = late.clone();
    for customer in &mut wrong {
        customer.label = customer.label.map(|label| !label);
    }
    sandbox.reveal(&wrong, "wrong").await.unwrap();
    sandbox.clock.advance(std::time::Duration::from_secs(60));
    sandbox.reveal(&late, "corrected").await.unwrap();
    let answer = sandbox.trigger(&report.report_id).await.unwrap();
    let digest = answer.window_snapshot.parse().unwrap();
    let (_, rows) = snapshot::read(&*sandbox.blobs, &digest, schema()).await.unwrap();
    assert_eq!(rows, late);
    sandbox.end().await;
}

#[tokio::test]
async fn rows_that_training_would_refuse_cost_only_themselves() {
    let mut sandbox = Sandbox::with_champion().await;
    let mut customers = unseen(0, 320);
    for customer in &mut customers[..40] {
        customer.features.set(Feature::CardCategory, UNKNOWN_CATEGORY);
    }
    for customer in &mut customers[40..60] {
        customer.features = customer.features.required_only(schema());
    }
    sandbox.predict(&customers).await;
    // Nobody can say what became of a caller without a name.
    let nameless: Vec<Customer> = unseen(400, 30).into_iter().map(without_key).collect();
    sandbox.predict(&nameless).await;
    let report = sandbox.check().await.unwrap();
    sandbox.reveal(&customers, "all").await.unwrap();
    let answer = sandbox.trigger(&report.report_id).await.unwrap();
    assert_eq!(answer.labelled_rows, 280);
    let digest = answer.window_snapshot.parse().unwrap();
    let (_, rows) = snapshot::read(&*sandbox.blobs, &digest, schema()).await.unwrap();
    assert!(rows.iter().all(|row| key(row) != key(&customers[0])));
    validate_table(&rows, schema()).unwrap();
    sandbox.end().await;
}

#[tokio::test]
async fn a_training_service_that_hangs_is_a_deadline_error_and_a_retry_asks_for_the_same() {
    let mut sandbox = Sandbox::start(|settings| settings.training_timeout_ms = 100).await;
    sandbox.promote(1).await;
    let (report_id, _) = drifted_window(&mut sandbox, 300).await;
    sandbox.training.behave(Behaviour::Hangs);
    let late = sandbox.trigger(&report_id).await.unwrap_err();
    assert_eq!(late.code, Code::DeadlineExceeded);

    sandbox.training.behave(Behaviour::Busy);
    let busy = sandbox.trigger(&report_id).await.unwrap_err();
    assert_eq!(busy.code, Code::Aborted);
    assert!(busy.message.contains("run-0 is at work"), "{}", busy.message);

    // More is known by now; but training may have heard of the first rows already.
    sandbox.reveal(&unseen(0, 10), "news").await.unwrap();
    sandbox.training.behave(Behaviour::Answers);
    let answer = sandbox.trigger(&report_id).await.unwrap();
    assert_eq!(answer.run_id, "run-3");
    let asked = sandbox.training.asked();
    assert!(asked.iter().all(|request| *request == asked[0]), "{asked:?}");
    sandbox.end().await;
}

#[tokio::test]
async fn an_unknown_report_cannot_be_learnt_from() {
    let sandbox = Sandbox::with_champion().await;
    let unknown = sandbox
        .trigger("0198a000-0000-7000-8000-000000000000")
        .await
        .unwrap_err();
    assert_eq!((unknown.code, &*unknown.reason), (Code::NotFound, "NO_SUCH_REPORT"));
    sandbox.end().await;
}
