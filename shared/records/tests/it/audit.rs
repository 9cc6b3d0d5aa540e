//! What the check of a prediction log finds.

use std::sync::Arc;

use holdfast_domain::{Digest, Generation, ModelVersion, RunId};
use holdfast_records::Slug;
use holdfast_records::champion::{Appended, ChampionLog};
use holdfast_records::layout::{model_key, prediction_key};
use holdfast_records::model_manifest::{self, ModelManifest};
use holdfast_records::prediction::{
    AuditReport, FaultKind, PredictionRecord, SEQUENCE_BLOCK, encode, list_objects, read_object, verify_log,
};
use holdfast_storage::{BlobStore, Key};
use jiff::SignedDuration;

use crate::support::{memory, model, new_entry, prediction, schema, time};

const NOON: &str = "2026-11-23T12:10:00Z";

/// A store with one version, champion of generation 1.
async fn store() -> Arc<dyn BlobStore> {
    let store = memory();
    let artifact = bytes::Bytes::from_static(b"artefact");
    let version = ModelVersion(1);
    model_manifest::write_artifact(&*store, &model(), version, artifact.clone())
        .await
        .unwrap();
    let manifest = ModelManifest {
        format_version: model_manifest::FORMAT_VERSION,
        model: model(),
        version,
        artifact_digest: Digest::of(&artifact),
        size_bytes: artifact.len() as u64,
        run_id: RunId::from_parts(1_764_000_000_000, &[7; 10]),
        snapshots: [].into(),
        family: "boosted_trees".to_owned(),
        created_at: time("2026-11-23T10:00:00Z"),
        created_by: "test".to_owned(),
        metrics: [].into(),
    };
    let _ = model_manifest::write(&*store, &manifest).await.unwrap();
    let mut entry = new_entry(1, "2026-11-23T11:00:00Z", 1);
    entry.artifact_digest = manifest.artifact_digest;
    let log = ChampionLog::new(Arc::clone(&store), model());
    assert!(matches!(
        log.append(Generation(0), entry).await.unwrap(),
        Appended::Won(_)
    ));
    store
}

fn record(name: &str, minutes: i64) -> PredictionRecord {
    let at = time(NOON).checked_add(SignedDuration::from_mins(minutes)).unwrap();
    let mut record = prediction(name, 0, None, at);
    (record.version, record.generation) = (ModelVersion(1), Generation(1));
    record
}

async fn upload(store: &Arc<dyn BlobStore>, sequence: u64, records: &[PredictionRecord]) -> Key {
    let key = prediction_key(records[0].event_time, &Slug::parse("a").unwrap(), sequence);
    store.put(&key, encode(records, schema()).unwrap()).await.unwrap();
    key
}

async fn verify(store: &Arc<dyn BlobStore>) -> AuditReport {
    verify_log(store, schema(), (None, None), |_, _| {}).await.unwrap()
}

fn kinds(report: &AuditReport) -> Vec<(FaultKind, Option<u64>)> {
    report.faults.iter().map(|fault| (fault.kind, fault.row)).collect()
}

#[tokio::test]
async fn a_log_as_replicas_write_it_has_no_fault() {
    let store = store().await;
    upload(&store, 1, &[record("a", 0), record("b", 1)]).await;
    upload(&store, 2, &[record("c", 2)]).await;
    // A segment may run into the next hour, a crash may leave a copy, and a restart leaves numbers out.
    upload(
        &store,
        SEQUENCE_BLOCK + 1,
        &[record("d", 3), record("e", 70), record("b", 1)],
    )
    .await;
    let report = verify(&store).await;
    assert_eq!(kinds(&report), []);
    assert_eq!((report.objects, report.rows, report.repeats), (3, 6, 1));
    let replica = &report.replicas[0];
    assert_eq!((replica.first_sequence, replica.last_sequence), (1, SEQUENCE_BLOCK + 1));
    assert_eq!(replica.restart_gaps, SEQUENCE_BLOCK - 2);
    assert_eq!((report.versions[0].version, report.versions[0].rows), (1, 6));
}

#[tokio::test]
async fn a_record_that_does_not_fit_is_named_by_object_and_row() {
    let store = store().await;
    let mut wrong: Vec<PredictionRecord> = (0..7).map(|place| record(&format!("r{place}"), place)).collect();
    wrong[1].label = true;
    wrong[2].score = 1.5;
    wrong[2].label = true;
    wrong[3].generation = Generation(9);
    wrong[4].version = ModelVersion(2);
    wrong[5].event_time = record("", 200).event_time;
    wrong[6].request_id = "r0".to_owned();
    let key = upload(&store, 1, &wrong).await;
    let report = verify(&store).await;
    let expected = [
        (FaultKind::Label, Some(2)),
        (FaultKind::Score, Some(3)),
        (FaultKind::UnknownGeneration, Some(4)),
        (FaultKind::OtherVersion, Some(5)),
        (FaultKind::FarFromHour, Some(6)),
        (FaultKind::ConflictingRecord, Some(7)),
        (FaultKind::UnknownVersion, None),
    ];
    assert_eq!(kinds(&report), expected);
    assert!(report.faults[..6].iter().all(|fault| fault.object == key.to_string()));
    assert_eq!(report.faults[6].object, "models/churn/2/model.hfm");
}

#[tokio::test]
async fn objects_that_are_damaged_missing_or_foreign_are_named() {
    let store = store().await;
    let first = upload(&store, 1, &[record("a", 0)]).await;
    upload(&store, 3, &[record("b", 1)]).await;
    upload(&store, 4, &[record("c", 60)]).await;
    let twice = prediction_key(record("", 60).event_time, &Slug::parse("a").unwrap(), 3);
    store
        .put(&twice, encode(&[record("d", 0)], schema()).unwrap())
        .await
        .unwrap();
    let foreign = Key::parse("predictions/notes.txt").unwrap();
    store.put(&foreign, "notes".into()).await.unwrap();
    let mut bytes = store.get(&first).await.unwrap().to_vec();
    bytes[40] ^= 1;
    store.put(&first, bytes.into()).await.unwrap();

    let report = verify(&store).await;
    let expected = [
        (FaultKind::ForeignName, None),
        (FaultKind::Unreadable, None),
        (FaultKind::SequenceRepeated, None),
        (FaultKind::WrongHour, Some(1)),
        (FaultKind::SequenceGap, None),
    ];
    assert_eq!(kinds(&report), expected);
    assert_eq!(report.faults[1].object, first.to_string());
    assert!(
        report.faults[4].detail.contains("between 1 and 3"),
        "{}",
        report.faults[4].detail
    );
}

#[tokio::test]
async fn an_artefact_that_was_not_made_champion_is_named() {
    let store = store().await;
    upload(&store, 1, &[record("a", 0)]).await;
    store
        .put(&model_key(&model(), ModelVersion(1)), "another".into())
        .await
        .unwrap();
    assert_eq!(kinds(&verify(&store).await), [(FaultKind::UnknownVersion, None)]);
}

#[tokio::test]
async fn only_the_hours_asked_for_are_listed() {
    let store = store().await;
    for (sequence, minutes) in [(1, 0), (2, 60), (3, 120)] {
        upload(&store, sequence, &[record("a", minutes)]).await;
    }
    let listed = async |from: Option<&str>, to: Option<&str>| {
        let listing = list_objects(&*store, from.map(time), to.map(time)).await.unwrap();
        listing.objects.iter().map(|object| object.sequence).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None).await, [1, 2, 3]);
    assert_eq!(listed(Some("2026-11-23T13:59:00Z"), None).await, [2, 3]);
    assert_eq!(
        listed(Some("2026-11-23T13:00:00Z"), Some("2026-11-23T13:30:00Z")).await,
        [2]
    );
}

#[tokio::test]
async fn the_frozen_sample_is_read() {
    let store = memory();
    let bytes = std::fs::read("tests/samples/predictions.v1.parquet").unwrap();
    let key = Key::parse("predictions/date=2026-11-23/hour=09/a-00000000000000000001.parquet").unwrap();
    store.put(&key, bytes.into()).await.unwrap();
    let listing = list_objects(&*store, None, None).await.unwrap();
    let records = read_object(&*store, &listing.objects[0].key, &Arc::new(schema().clone()))
        .await
        .unwrap();
    assert_eq!(records.len(), 3);
    // Nothing is wrong with it but that this store knows none of its champions.
    let kinds: Vec<FaultKind> = verify(&store).await.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(
        kinds,
        [
            FaultKind::UnknownGeneration,
            FaultKind::UnknownGeneration,
            FaultKind::UnknownGeneration,
            FaultKind::UnknownVersion
        ]
    );
}
