//! Outcomes in a store, and predictions joined with them.

use holdfast_domain::CustomerKey;
use holdfast_records::layout::outcome_key;
use holdfast_records::outcome::{self, LatestPredictions};
use holdfast_storage::Created;

use crate::support::{features, memory, outcome, prediction, time};

#[tokio::test]
async fn a_window_of_outcomes_is_what_was_recorded_in_it() {
    let store = memory();
    let early = outcome(1, true, "2026-11-01T00:00:00Z", "2026-12-01T23:59:59.999999Z");
    let late = outcome(2, false, "2026-11-01T00:00:00Z", "2026-12-02T00:00:00Z");
    let later = outcome(3, false, "2026-11-01T00:00:00Z", "2026-12-09T00:00:00Z");
    let stored = outcome::write(&*store, &[late, later, early]).await.unwrap();
    assert_eq!(stored.len(), 3);
    let window = |from: &str, to: &str| {
        let (store, from, to) = (store.clone(), time(from), time(to));
        async move { outcome::read_window(&*store, from, to).await.unwrap() }
    };
    let both = window("2026-12-01T12:00:00Z", "2026-12-03T00:00:00Z").await;
    assert_eq!((both.records, both.objects, both.rows), (vec![early, late], 2, 2));
    assert_eq!(
        window("2026-12-02T00:00:00Z", "2026-12-02T00:00:00.000001Z")
            .await
            .records,
        [late]
    );
    assert!(
        window("2026-12-03T00:00:00Z", "2026-12-09T00:00:00Z")
            .await
            .records
            .is_empty()
    );
}

#[tokio::test]
async fn a_batch_delivered_twice_is_stored_once() {
    let store = memory();
    let records = [outcome(1, true, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")];
    assert_eq!(
        outcome::write(&*store, &records).await.unwrap()[0].created,
        Created::Yes
    );
    let again = outcome::write(&*store, &records).await.unwrap();
    assert_eq!((again[0].rows, again.len()), (1, 1));
    let all = outcome::read_window(&*store, jiff::Timestamp::MIN, jiff::Timestamp::MAX)
        .await
        .unwrap();
    assert_eq!((all.records.as_slice(), all.objects), (&records[..], 1));
}

#[tokio::test]
async fn a_damaged_batch_is_named_by_its_key() {
    let store = memory();
    let records = [outcome(1, true, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")];
    let key = outcome::write(&*store, &records).await.unwrap().remove(0).key;
    let bytes = store.get(&key).await.unwrap();
    store.put(&key, bytes.slice(..bytes.len() - 1)).await.unwrap();
    let error = outcome::read_window(&*store, time("2026-12-01T00:00:00Z"), time("2026-12-02T00:00:00Z"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains(key.as_str()), "{error}");
    let elsewhere = outcome_key(
        jiff::civil::date(2027, 1, 1),
        &holdfast_domain::Digest::of(b"elsewhere"),
    );
    store.put(&elsewhere, bytes).await.unwrap();
    let error = outcome::read_window(&*store, time("2027-01-01T00:00:00Z"), time("2027-01-02T00:00:00Z"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("digest"), "{error}");
}

#[test]
fn each_customers_latest_prediction_meets_the_last_word_about_the_customer() {
    let at = |hour: &str| time(&format!("2026-11-23T{hour}:00:00Z"));
    let predictions = vec![
        prediction("late", 2, Some(1), at("10")),
        prediction("early", 1, Some(1), at("09")),
        prediction("only", 3, Some(2), at("09")),
        prediction("waiting", 4, Some(3), at("09")),
        prediction("nobody", 5, None, at("09")),
        prediction("after", 6, Some(5), at("12")),
    ];
    let outcomes = [
        outcome(1, false, "2026-11-30T00:00:00Z", "2026-12-02T00:00:00Z"),
        outcome(1, true, "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
        outcome(2, true, "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
        outcome(4, true, "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"),
        outcome(5, true, "2026-11-23T11:00:00Z", "2026-12-01T00:00:00Z"),
    ];
    let joined = outcome::join(predictions.clone(), &outcomes);
    let rows: Vec<_> = joined
        .customers()
        .iter()
        .map(|row| (row.key.unwrap().0, row.label.unwrap()))
        .collect();
    assert_eq!(rows, [(1, false), (2, true), (5, true)]);
    assert_eq!(joined.rows[0].prediction.request_id, "late");
    assert_eq!(joined.rows[0].customer().features, features(2));
    assert_eq!(
        (joined.without_outcome, joined.without_prediction, joined.without_key),
        (1, 1, 1)
    );
    assert_eq!(joined.predicted_after_event, 1);

    let mut pieces = LatestPredictions::default();
    pieces.extend(predictions.into_iter().rev());
    assert_eq!(pieces.customers(), 4);
    let reversed: Vec<_> = outcomes.iter().rev().copied().collect();
    assert_eq!(pieces.join(&reversed), joined);
    assert_eq!(joined.rows[1].outcome.customer_key, CustomerKey(2));
}
