//! The prediction log: spool, upload, limits, flush.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use holdfast_api::inference::v1 as wire;
use holdfast_chassis::error::{Code, Fault};
use holdfast_domain::CustomerKey;
use holdfast_storage::Operation;
use holdfast_storage::testing::{Fault as StoreFault, Trigger};
use holdfast_testkit::eventually;

use crate::support::model::model;
use crate::support::{SOON, Sandbox, Service, customer, customers, full_row};

/// Request ids of answered predictions.
async fn predict_many(service: &Service, count: u32) -> BTreeSet<String> {
    let answers = join_all((0..count).map(|index| service.predict(customer(index)))).await;
    answers.into_iter().map(|answer| answer.unwrap().request_id).collect()
}

async fn logged_ids(sandbox: &Sandbox) -> Vec<String> {
    let mut ids: Vec<String> = sandbox
        .records()
        .await
        .into_iter()
        .map(|record| record.request_id)
        .collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn everything_acknowledged_is_in_parquet_once_after_a_flush() {
    let sandbox = Sandbox::with_champion()
        .await
        .set("prediction_log.segment_bytes", 4_000);
    let service = sandbox.serving(1).await;
    let answered = predict_many(&service, 200).await;
    let status = service.flush().await.unwrap();
    assert_eq!(
        (
            status.acknowledged_records,
            status.uploaded_records,
            status.spooled_records
        ),
        (200, 200, 0)
    );
    assert_eq!(status.spooled_bytes, 0);
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
    // Each segment but the last is closed by the request that reaches the size, however requests were grouped.
    let sizes: Vec<usize> = sandbox
        .logged()
        .await
        .into_values()
        .map(|records| records.len())
        .collect();
    assert!(
        sizes.len() > 5 && sizes.iter().all(|size| *size < 30),
        "segments roll by size: {sizes:?}"
    );

    let record = sandbox
        .records()
        .await
        .into_iter()
        .find(|record| record.customer_key.unwrap().0 == 700_000_007)
        .unwrap();
    assert_eq!(record.features, full_row(7));
    assert_eq!(
        (record.version.0, record.generation.0, record.model.as_str()),
        (1, 1, "churn")
    );
    assert_eq!(record.event_time.to_string(), "2026-03-01T10:20:30.5Z");
    assert_eq!(record.label, record.score >= record.threshold);
    service.stop().await;
}

#[tokio::test]
async fn a_batch_is_logged_row_by_row_under_one_id() {
    let sandbox = Sandbox::with_champion().await.set("prediction_log.durability", "fsync");
    let service = sandbox.serving(1).await;
    let request = wire::PredictBatchRequest {
        customers: customers(300).into(),
        request_id: "night".to_owned(),
        explain: false,
    };
    service.client.clone().predict_batch(request).await.unwrap();
    service.flush().await.unwrap();
    let rows: Vec<(String, u32)> = sandbox
        .records()
        .await
        .into_iter()
        .map(|record| (record.request_id, record.row_index))
        .collect();
    assert_eq!(rows, (0..300).map(|row| ("night".to_owned(), row)).collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn a_batch_scored_by_many_threads_is_answered_and_logged_in_its_order() {
    let sandbox = Sandbox::with_champion().await.set("predict.batch_threads", 3);
    let service = sandbox.serving(1).await;
    let rows = 5_000;
    let request = wire::PredictBatchRequest {
        customers: customers(rows).into(),
        request_id: "large".to_owned(),
        ..wire::PredictBatchRequest::default()
    };
    let answer = service
        .client
        .clone()
        .predict_batch(request)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(service.flush().await.unwrap().uploaded_records, u64::from(rows));
    let records = sandbox.records().await;
    assert_eq!((answer.predictions.len(), records.len()), (5_000, 5_000));
    let own = model(1);
    for ((index, prediction), record) in (0..).zip(&answer.predictions).zip(&records) {
        let expected = own.score(&full_row(index)).to_bits();
        assert_eq!((record.request_id.as_str(), record.row_index), ("large", index));
        assert_eq!(
            (prediction.probability.to_bits(), record.score.to_bits()),
            (expected, expected)
        );
        assert_eq!(
            (record.features, record.customer_key),
            (full_row(index), customer(index).customer_key.map(CustomerKey))
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn keys_name_hour_replica_and_sequence() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    predict_many(&service, 3).await;
    service.flush().await.unwrap();
    let keys: Vec<String> = sandbox.logged().await.into_keys().collect();
    assert_eq!(
        keys,
        ["predictions/date=2026-03-01/hour=10/blue-1-00000000000000000001.parquet"]
    );
    service.stop().await;
}

#[tokio::test]
async fn segments_roll_by_age_without_anybody_asking() {
    let sandbox = Sandbox::with_champion().await.set("prediction_log.segment_age_ms", 20);
    let service = sandbox.serving(1).await;
    predict_many(&service, 3).await;
    eventually("the upload", SOON, async || {
        service.log_status().await.uploaded_records == 3
    })
    .await;
    assert_eq!(sandbox.records().await.len(), 3);
    service.stop().await;
}

#[tokio::test]
async fn an_hour_ends_a_segment_and_a_clock_set_back_does_not_break_keys() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let mut answered = BTreeSet::new();
    answered.extend(predict_many(&service, 2).await);
    sandbox.clock.advance(Duration::from_secs(3_600));
    answered.extend(predict_many(&service, 2).await);
    sandbox.clock.set("2026-02-27T23:59:59Z".parse().unwrap());
    answered.extend(predict_many(&service, 2).await);
    sandbox.clock.set("2026-03-01T10:00:00Z".parse().unwrap());
    answered.extend(predict_many(&service, 2).await);
    service.flush().await.unwrap();
    let hours: Vec<String> = sandbox
        .logged()
        .await
        .into_keys()
        .map(|key| key[12..35].to_owned())
        .collect();
    let expected = [
        "date=2026-02-27/hour=23",
        "date=2026-03-01/hour=10",
        "date=2026-03-01/hour=10",
        "date=2026-03-01/hour=11",
    ];
    assert_eq!(hours, expected);
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn with_the_blob_store_away_the_spool_grows_and_drains_later() {
    let sandbox = Sandbox::with_champion()
        .await
        .set("prediction_log.segment_bytes", 2_000);
    let service = sandbox.serving(1).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Create).below("predictions"), StoreFault::Refuse);
    let mut answered = predict_many(&service, 50).await;
    let status = service.log_status().await;
    assert_eq!((status.spooled_records, status.uploaded_records), (50, 0));
    assert!(status.spooled_bytes > 5_000);
    assert_eq!(
        service.metric("holdfast_inference_spool_bytes").await as u64,
        status.spooled_bytes
    );
    let fault = Fault::from_status(&service.flush().await.unwrap_err());
    assert_eq!((fault.code, &*fault.reason), (Code::Unavailable, "BLOB_STORE_AWAY"));
    assert!(
        service
            .metric("holdfast_inference_prediction_log_oldest_segment_age_seconds")
            .await
            > 0.0
    );

    answered.extend(predict_many(&service, 10).await);
    sandbox.store.heal();
    assert_eq!(service.flush().await.unwrap().spooled_records, 0);
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
    assert_eq!(
        std::fs::read_dir(sandbox.spool()).unwrap().count(),
        2,
        "lock and counter"
    );
    assert_eq!(
        service
            .metric("holdfast_inference_prediction_log_oldest_segment_age_seconds")
            .await as u64,
        0
    );
    service.stop().await;
}

#[tokio::test]
async fn at_the_limit_predictions_are_refused_until_there_is_room() {
    let sandbox = Sandbox::with_champion()
        .await
        .set("prediction_log.limit_bytes", 3_000)
        .set("prediction_log.segment_bytes", 1_000);
    let service = sandbox.serving(1).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Create).below("predictions"), StoreFault::Refuse);
    let mut answered = BTreeSet::new();
    let fault = loop {
        match service.predict(customer(1)).await {
            Ok(answer) => answered.insert(answer.request_id),
            Err(status) => break Fault::from_status(&status),
        };
        assert!(answered.len() < 100);
    };
    assert_eq!((fault.code, &*fault.reason), (Code::ResourceExhausted, "SPOOL_FULL"));
    let status = service.log_status().await;
    assert!(status.spooled_bytes <= 3_000 && status.refused_predictions == 1 && status.dropped_records == 0);
    assert_eq!(
        service
            .metric("holdfast_inference_predictions_total{outcome=\"refused\"}")
            .await as u64,
        1
    );

    sandbox.store.heal();
    service.flush().await.unwrap();
    answered.insert(service.predict(customer(2)).await.unwrap().request_id);
    service.flush().await.unwrap();
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn at_the_limit_records_are_dropped_and_counted_when_set_so() {
    let sandbox = Sandbox::with_champion()
        .await
        .set("prediction_log.limit_bytes", 3_000)
        .set("prediction_log.on_full", "drop");
    let service = sandbox.serving(1).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Create).below("predictions"), StoreFault::Refuse);
    predict_many(&service, 40).await;
    let status = service.log_status().await;
    assert_eq!(status.acknowledged_records + status.dropped_records, 40);
    assert!(status.dropped_records > 0 && status.refused_predictions == 0);
    sandbox.store.heal();
    service.flush().await.unwrap();
    assert_eq!(sandbox.records().await.len() as u64, status.acknowledged_records);
    service.stop().await;
}

#[tokio::test]
async fn a_spool_that_cannot_be_written_refuses() {
    let sandbox = Sandbox::with_champion().await.set("prediction_log.on_full", "drop");
    let service = sandbox.serving(1).await;
    std::fs::rename(sandbox.spool(), sandbox.data_dir.path().join("gone")).unwrap();
    let fault = Fault::from_status(&service.predict(customer(1)).await.unwrap_err());
    assert_eq!(
        (fault.code, &*fault.reason),
        (Code::ResourceExhausted, "SPOOL_WRITE_FAILED")
    );
    std::fs::rename(sandbox.data_dir.path().join("gone"), sandbox.spool()).unwrap();
    let answered = predict_many(&service, 1).await;
    service.flush().await.unwrap();
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn an_upload_whose_reply_was_lost_is_stored_once() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    for fault in [StoreFault::LoseReply, StoreFault::LoseRequest] {
        sandbox
            .store
            .inject(Trigger::on(Operation::Create).below("predictions").times(2), fault);
        predict_many(&service, 4).await;
        service.flush().await.unwrap();
        sandbox.store.heal();
    }
    assert_eq!(sandbox.logged().await.len(), 2);
    let ids = logged_ids(&sandbox).await;
    assert_eq!(ids.len(), 8);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 8);
    assert_eq!(service.log_status().await.uploaded_records, 8);
    assert_eq!(
        service
            .metric("holdfast_inference_prediction_log_upload_failures_total")
            .await as u64,
        4
    );
    service.stop().await;
}

#[tokio::test]
async fn a_spool_that_was_wiped_does_not_take_its_new_segments_for_old_ones() {
    let sandbox = Sandbox::with_champion().await;
    let mut answered = BTreeSet::new();
    for _ in 0..3 {
        // The same replica name, hour and sequence number, and other records.
        let empty = tempfile::tempdir().unwrap();
        let service = sandbox.start_in(empty.path()).await;
        service.serves(1).await;
        answered.extend(predict_many(&service, 5).await);
        service.flush().await.unwrap();
        service.stop().await;
    }
    assert_eq!(sandbox.logged().await.len(), 3);
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn an_ordered_end_leaves_nothing_behind() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let answered = predict_many(&service, 20).await;
    service.stop().await;
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_not_uploaded_at_the_end_is_uploaded_at_the_next_start() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Create).below("predictions"), StoreFault::Refuse);
    let answered = predict_many(&service, 20).await;
    service.stop().await;
    sandbox.store.heal();
    assert!(sandbox.logged().await.is_empty());
    let service = sandbox.serving(1).await;
    eventually("the upload", SOON, async || {
        service.log_status().await.uploaded_records == 20
    })
    .await;
    assert_eq!(logged_ids(&sandbox).await, answered.into_iter().collect::<Vec<_>>());
    service.stop().await;
}

#[tokio::test]
async fn two_processes_cannot_share_a_spool() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let again = std::panic::AssertUnwindSafe(sandbox.start());
    let error = futures::FutureExt::catch_unwind(again).await.map(drop).unwrap_err();
    let text = error.downcast_ref::<String>().unwrap();
    assert!(text.contains("InUse"), "{text}");
    service.stop().await;
}
