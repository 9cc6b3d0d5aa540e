//! The prediction log by itself: a spool cut at every byte, and the frozen sample of its format.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_domain::{CustomerKey, Feature, Generation, ModelName, ModelVersion, Schema, UNKNOWN_CATEGORY};
use holdfast_inference::Settings;
use holdfast_inference::metrics::Metrics;
use holdfast_inference::service::prediction_log::{AppendError, Frames, PredictionLog};
use holdfast_inference::settings::PredictionLogSettings;
use holdfast_records::Slug;
use holdfast_records::prediction::{self, PredictionRecord, UnlistedCategory};
use holdfast_storage::{BlobStore, MemoryStore, list_all};
use holdfast_testkit::workspace_root;
use jiff::Timestamp;

use crate::support::full_row;

fn settings() -> PredictionLogSettings {
    let sources = holdfast_chassis::SettingsSources::default();
    holdfast_chassis::settings::load::<Settings>(&sources)
        .unwrap()
        .1
        .prediction_log
}

fn open(directory: &Path, store: &Arc<MemoryStore>) -> PredictionLog {
    let metrics = Metrics::register(&MetricsRegistry::new("inference")).log;
    let store: Arc<dyn BlobStore> = store.clone();
    PredictionLog::open(directory, &Slug::parse("blue-1").unwrap(), &settings(), store, &metrics).unwrap()
}

fn record(index: u32) -> PredictionRecord {
    let mut features = full_row(index);
    features.set(Feature::CardCategory, UNKNOWN_CATEGORY);
    PredictionRecord {
        request_id: format!("request-{index}"),
        row_index: index,
        event_time: Timestamp::from_microsecond(1_772_360_430_500_000 + i64::from(index)).unwrap(),
        customer_key: index.is_multiple_of(2).then_some(CustomerKey(768_805_383)),
        model: ModelName::parse("churn").unwrap(),
        version: ModelVersion(3),
        generation: Generation(5),
        features,
        unlisted: vec![UnlistedCategory {
            feature: Feature::CardCategory,
            text: "Titanium".to_owned(),
        }],
        score: 0.1 + 0.01 * f64::from(index),
        label: index.is_multiple_of(3),
        threshold: 0.5,
        latency_us: 137,
        trace_id: index
            .is_multiple_of(2)
            .then(|| "4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    }
}

async fn append(log: &PredictionLog, index: u32) -> Result<(), AppendError> {
    log.append(Frames::encode(&[record(index)], Schema::embedded()).unwrap())
        .await
}

/// Flushes, with the uploader running meanwhile.
async fn flush(log: &PredictionLog) {
    tokio::select! {
        flushed = log.flush() => flushed.unwrap(),
        () = log.upload() => panic!("the uploader ended"),
    }
}

async fn stored(store: &MemoryStore) -> Vec<PredictionRecord> {
    let mut records = Vec::new();
    for meta in list_all(store, "predictions").await.unwrap() {
        let bytes = store.get(&meta.key).await.unwrap();
        records.extend(prediction::decode(bytes, Schema::embedded()).unwrap());
    }
    records
}

/// A spool as the process leaves it that has acknowledged three records and dies: its one segment, and the segment's
/// length at each acknowledgement.
async fn three_acknowledged() -> (Vec<u8>, Vec<usize>) {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path(), &Arc::new(MemoryStore::new()));
    let path = directory.path().join("00000000000000000001.seg");
    let mut lengths = Vec::new();
    for index in 0..3 {
        append(&log, index).await.unwrap();
        lengths.push(fs::read(&path).unwrap().len());
    }
    (fs::read(&path).unwrap(), lengths)
}

#[tokio::test]
async fn a_spool_cut_at_any_byte_loses_nothing_that_was_acknowledged() {
    let (bytes, lengths) = three_acknowledged().await;
    assert_eq!(bytes.len(), lengths[2]);
    for cut in 0..=bytes.len() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("00000000000000000001.seg");
        fs::write(&path, &bytes[..cut]).unwrap();
        let store = Arc::new(MemoryStore::new());
        let log = open(directory.path(), &store);
        flush(&log).await;
        let acknowledged = lengths.iter().filter(|length| **length <= cut).count();
        let expected: Vec<PredictionRecord> = (0..).take(acknowledged).map(record).collect();
        assert_eq!(stored(&store).await, expected, "cut at byte {cut}");
        assert!(!path.exists(), "cut at byte {cut}");
        assert_eq!(log.status().spooled_bytes, 0, "cut at byte {cut}");
    }
}

#[tokio::test]
async fn a_damaged_record_in_the_middle_costs_that_record_and_is_kept_for_a_person() {
    let (mut bytes, lengths) = three_acknowledged().await;
    bytes[lengths[1] - 5] ^= 1;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("00000000000000000001.seg"), &bytes).unwrap();
    let store = Arc::new(MemoryStore::new());
    let log = open(directory.path(), &store);
    flush(&log).await;
    assert_eq!(stored(&store).await, [record(0), record(2)]);
    assert_eq!(
        fs::read(directory.path().join("damaged/00000000000000000001.seg")).unwrap(),
        bytes
    );
}

#[tokio::test]
async fn a_file_that_is_no_segment_is_set_aside_and_the_rest_goes_on() {
    let (bytes, _) = three_acknowledged().await;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("00000000000000000001.seg"), vec![b'x'; 700]).unwrap();
    fs::write(directory.path().join("00000000000000000002.seg"), &bytes).unwrap();
    let store = Arc::new(MemoryStore::new());
    let log = open(directory.path(), &store);
    append(&log, 9).await.unwrap();
    flush(&log).await;
    assert_eq!(stored(&store).await, [record(0), record(1), record(2), record(9)]);
    assert!(directory.path().join("damaged/00000000000000000001.seg").exists());
    assert_eq!(log.status().spooled_bytes, 0);
}

/// `tests/samples/spool-v1.seg` was written once and is never written again: a spool of an older build must be read for
/// ever.
#[tokio::test]
async fn the_frozen_sample_of_the_format_is_read() {
    let sample = workspace_root().join("services/inference/tests/samples/spool-v1.seg");
    let bytes = fs::read(&sample).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("00000000000000000001.seg"), &bytes).unwrap();
    let store = Arc::new(MemoryStore::new());
    let log = open(directory.path(), &store);
    flush(&log).await;
    assert_eq!(stored(&store).await, [record(0), record(1), record(2)]);
    // And today's build still writes the same bytes.
    assert_eq!(three_acknowledged().await.0, bytes);
}
