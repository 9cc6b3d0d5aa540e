//! What became of customers, taken once.

use holdfast_api::monitoring::v1::Outcome;
use holdfast_chassis::Code;
use holdfast_domain::CustomerKey;
use holdfast_records::outcome::read_window;
use jiff::Timestamp;

use crate::support::{Sandbox, key, noon, unseen};

async fn stored(sandbox: &Sandbox) -> Vec<CustomerKey> {
    let rows = read_window(&*sandbox.blobs, Timestamp::UNIX_EPOCH, Timestamp::MAX)
        .await
        .unwrap();
    rows.records.iter().map(|record| record.customer_key).collect()
}

#[tokio::test]
async fn the_same_key_again_stores_nothing_twice() {
    let sandbox = Sandbox::with_champion().await;
    let customers = unseen(0, 50);
    assert_eq!(sandbox.reveal(&customers, "feed-17").await.unwrap(), 50);
    sandbox.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(sandbox.reveal(&customers, "feed-17").await.unwrap(), 0);
    assert_eq!(stored(&sandbox).await.len(), 50);
    // Another key is another word about the same customers.
    assert_eq!(sandbox.reveal(&customers, "feed-18").await.unwrap(), 50);
    assert_eq!(stored(&sandbox).await.len(), 100);
    sandbox.end().await;
}

#[tokio::test]
async fn a_retry_completes_what_a_crash_left_half_done() {
    let sandbox = Sandbox::with_champion().await;
    let customers = unseen(0, 5);
    sandbox.reveal(&customers, "feed").await.unwrap();
    // As if the process had died between its note and the batch.
    for object in holdfast_storage::list_all(&*sandbox.blobs, "outcomes").await.unwrap() {
        if object.key.as_str().ends_with(".parquet") {
            sandbox.blobs.delete(&object.key).await.unwrap();
        }
    }
    assert!(stored(&sandbox).await.is_empty());
    assert_eq!(sandbox.reveal(&customers, "feed").await.unwrap(), 5);
    assert_eq!(stored(&sandbox).await.len(), 5);
    sandbox.end().await;
}

#[tokio::test]
async fn a_key_used_for_other_outcomes_is_refused() {
    let sandbox = Sandbox::with_champion().await;
    sandbox.reveal(&unseen(0, 5), "feed").await.unwrap();
    let refused = sandbox.reveal(&unseen(0, 6), "feed").await.unwrap_err();
    assert_eq!(
        (refused.code, &*refused.reason),
        (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED")
    );
    assert_eq!(stored(&sandbox).await.len(), 5);
    sandbox.end().await;
}

#[tokio::test]
async fn calls_without_a_key_are_calls_of_their_own() {
    let sandbox = Sandbox::with_champion().await;
    let outcome = Outcome {
        customer_key: 1,
        attrited: true,
        event_time: None,
    };
    assert_eq!(sandbox.record(vec![outcome], "").await.unwrap(), 1);
    sandbox.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(sandbox.record(vec![outcome], "").await.unwrap(), 1);
    let rows = read_window(&*sandbox.blobs, Timestamp::UNIX_EPOCH, Timestamp::MAX)
        .await
        .unwrap();
    assert_eq!(
        rows.records[0].event_time,
        noon(),
        "when it was recorded, for want of a better time"
    );
    sandbox.end().await;
}

#[tokio::test]
async fn bad_outcomes_are_refused_whole_with_their_place() {
    let sandbox = Sandbox::with_champion().await;
    let good = |customer_key| Outcome {
        customer_key,
        attrited: false,
        event_time: None,
    };
    let none = sandbox.record(Vec::new(), "").await.unwrap_err();
    assert_eq!(none.violations[0].rule, "required");
    let many = sandbox.record((0..10_001).map(good).collect(), "").await.unwrap_err();
    assert_eq!(
        (many.violations[0].field.as_str(), many.violations[0].rule.as_str()),
        ("outcomes", "too_many")
    );
    let twice = sandbox.record(vec![good(4), good(5), good(4)], "").await.unwrap_err();
    assert_eq!(twice.violations[0].field, "outcomes[2].customer_key");
    let mut late = good(9);
    late.event_time = Some(holdfast_api::time::to_wire(noon()));
    late.event_time.as_mut().unwrap().seconds = i64::MAX;
    let beyond = sandbox.record(vec![good(8), late], "").await.unwrap_err();
    assert_eq!(beyond.violations[0].field, "outcomes[1].event_time");
    assert!(stored(&sandbox).await.is_empty());
    sandbox.end().await;
}

#[tokio::test]
async fn a_report_counts_the_customers_whose_outcome_is_known() {
    let mut sandbox = Sandbox::with_champion().await;
    let customers = unseen(0, 200);
    sandbox.predict(&customers).await;
    sandbox.reveal(&customers[..30], "known").await.unwrap();
    sandbox.reveal(&unseen(5_000, 10), "strangers").await.unwrap();
    assert_eq!(sandbox.check().await.unwrap().labelled_rows, 30);
    assert!(key(&customers[0]).0 > 0);
    sandbox.end().await;
}
