//! Windows of the prediction log.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_domain::{ModelName, ModelVersion};
use holdfast_records::layout::prediction_key;
use holdfast_records::prediction::{
    PredictionFilter, PredictionRecord, WindowReader, WindowRequest, encode, read_window,
};
use holdfast_records::{Error, Slug};
use holdfast_storage::{BlobStore, DirectoryStore, Key};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::support::{memory, prediction, schema, time};

async fn upload(store: &Arc<dyn BlobStore>, replica: &str, sequence: u64, records: &[PredictionRecord]) -> Key {
    let key = prediction_key(records[0].event_time, &Slug::parse(replica).unwrap(), sequence);
    store.put(&key, encode(records, schema()).unwrap()).await.unwrap();
    key
}

fn request(from: &str, to: &str) -> WindowRequest {
    WindowRequest {
        from: time(from),
        to: time(to),
        filter: PredictionFilter::default(),
        row_cap: 1_000,
    }
}

fn names(records: &[PredictionRecord]) -> Vec<&str> {
    records.iter().map(|record| record.request_id.as_str()).collect()
}

fn at(text: &str, name: &str) -> PredictionRecord {
    prediction(name, 0, None, time(text))
}

#[tokio::test]
async fn a_window_holds_its_first_instant_and_not_its_last() {
    let store = memory();
    let records = [
        at("2026-11-23T09:59:59.999999Z", "before"),
        at("2026-11-23T10:00:00Z", "first"),
        at("2026-11-23T10:59:59.999999Z", "last"),
        at("2026-11-23T11:00:00Z", "behind"),
    ];
    upload(&store, "a", 1, &records).await;
    let read = read_window(store, schema(), request("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"))
        .await
        .unwrap();
    assert_eq!(names(&read.records), ["first", "last"]);
    assert_eq!(
        (
            read.counts.objects,
            read.counts.rows,
            read.counts.passed_over,
            read.counts.kept
        ),
        (1, 4, 2, 2)
    );
}

#[tokio::test]
async fn only_the_hours_that_can_hold_the_window_are_read() {
    let store = memory();
    for (hour, name) in [
        ("07", "too early"),
        ("08", "early"),
        ("09", "in"),
        ("10", "slack"),
        ("11", "too late"),
    ] {
        // Each segment spans the border to the next hour.
        let first = at(&format!("2026-11-23T{hour}:50:00Z"), name);
        let mut second = first.clone();
        second.row_index = 1;
        second.event_time = second.event_time.saturating_add(SignedDuration::from_mins(20)).unwrap();
        upload(&store, "a", 1, &[first, second]).await;
    }
    let read = read_window(store, schema(), request("2026-11-23T09:00:00Z", "2026-11-23T10:00:00Z"))
        .await
        .unwrap();
    let mut found: Vec<_> = read
        .records
        .iter()
        .map(|record| (record.request_id.as_str(), record.row_index))
        .collect();
    found.sort_unstable();
    // The partitions 08 to 11 are read: one hour of slack on both sides of the hours 09 and 10 that the window touches.
    assert_eq!(found, [("early", 1), ("in", 0)]);
    assert_eq!(read.counts.objects, 4);
}

#[tokio::test]
async fn a_record_uploaded_twice_is_given_once() {
    let store = memory();
    let records = [at("2026-11-23T10:59:00Z", "a"), at("2026-11-23T11:01:00Z", "b")];
    upload(&store, "replica-1", 1, &records).await;
    upload(&store, "replica-1", 2, &records[1..]).await;
    let mut other_row = records[0].clone();
    other_row.row_index = 1;
    upload(&store, "replica-2", 1, &[other_row, records[0].clone()]).await;
    let read = read_window(store, schema(), request("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!(names(&read.records), ["a", "b", "a"]);
    assert_eq!((read.counts.rows, read.counts.repeats, read.counts.kept), (5, 2, 3));
}

#[tokio::test]
async fn a_filter_takes_one_models_version() {
    let store = memory();
    let mut records = vec![
        at("2026-11-23T10:00:00Z", "ours"),
        at("2026-11-23T10:00:01Z", "older"),
        at("2026-11-23T10:00:02Z", "other"),
    ];
    records[1].version = ModelVersion(2);
    records[2].model = ModelName::parse("upsell").unwrap();
    upload(&store, "a", 1, &records).await;
    let mut wanted = request("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z");
    wanted.filter = PredictionFilter::model(crate::support::model());
    let read = read_window(store.clone(), schema(), wanted.clone()).await.unwrap();
    assert_eq!(names(&read.records), ["ours", "older"]);
    wanted.filter.version = Some(ModelVersion(2));
    assert_eq!(
        names(&read_window(store, schema(), wanted).await.unwrap().records),
        ["older"]
    );
}

#[tokio::test]
async fn the_row_cap_ends_the_reading_and_says_so() {
    let store = memory();
    for hour in 0..5 {
        let start = time("2026-11-23T00:00:00Z")
            .saturating_add(SignedDuration::from_hours(hour))
            .unwrap();
        let records: Vec<_> = (0..10)
            .map(|row| prediction(&format!("r{hour}"), row, None, start))
            .collect();
        upload(&store, "a", hour.unsigned_abs(), &records).await;
    }
    let mut wanted = request("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z");
    wanted.row_cap = 25;
    let read = read_window(store.clone(), schema(), wanted.clone()).await.unwrap();
    assert_eq!(
        (read.records.len(), read.counts.objects, read.counts.capped),
        (25, 3, true)
    );
    wanted.row_cap = 50;
    let read = read_window(store, schema(), wanted).await.unwrap();
    assert_eq!((read.records.len(), read.counts.capped), (50, false));
}

#[tokio::test]
async fn a_damaged_segment_is_named_and_can_be_passed_over() {
    let store = memory();
    upload(&store, "a", 1, &[at("2026-11-23T10:00:00Z", "first")]).await;
    let damaged = upload(&store, "a", 2, &[at("2026-11-23T10:10:00Z", "lost")]).await;
    upload(&store, "a", 3, &[at("2026-11-23T10:20:00Z", "third")]).await;
    let mut bytes = store.get(&damaged).await.unwrap().to_vec();
    bytes[100] ^= 4;
    store.put(&damaged, bytes.into()).await.unwrap();
    let mut reader = WindowReader::new(store, schema(), request("2026-11-23T10:00:00Z", "2026-11-23T11:00:00Z"));
    assert_eq!(names(&reader.next().await.unwrap().unwrap()), ["first"]);
    let error = reader.next().await.unwrap_err();
    assert!(
        matches!(&error, Error::Format { key, .. } if *key == damaged),
        "{error}"
    );
    assert_eq!(names(&reader.next().await.unwrap().unwrap()), ["third"]);
    assert_eq!(reader.next().await.unwrap(), None);
    assert_eq!(reader.counts().objects, 2);
}

#[tokio::test]
async fn a_directory_gives_the_same_window_as_memory() {
    let directory = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn BlobStore>; 2] = [
        memory(),
        Arc::new(DirectoryStore::open(directory.path()).await.unwrap()),
    ];
    let mut windows = Vec::new();
    for store in stores {
        for (place, day) in ["2026-10-31", "2026-11-01", "2026-11-02"].into_iter().enumerate() {
            for hour in ["00", "13", "23"] {
                let record = at(&format!("{day}T{hour}:30:00Z"), &format!("{day} {hour}"));
                upload(&store, "a", place as u64, &[record]).await;
            }
        }
        windows.push(
            read_window(store, schema(), request("2026-10-31T23:00:00Z", "2026-11-01T14:00:00Z"))
                .await
                .unwrap(),
        );
    }
    assert_eq!(
        names(&windows[0].records),
        ["2026-10-31 23", "2026-11-01 00", "2026-11-01 13"]
    );
    assert_eq!(windows[0], windows[1]);
}

#[tokio::test]
async fn the_widest_window_there_is_reads_everything() {
    let store = memory();
    upload(&store, "a", 1, &[at("2026-11-23T10:00:00Z", "one")]).await;
    upload(&store, "a", 1, &[at("1970-01-01T00:00:00Z", "two")]).await;
    let all = WindowRequest {
        from: Timestamp::MIN,
        to: Timestamp::MAX,
        filter: PredictionFilter::default(),
        row_cap: 9,
    };
    assert_eq!(
        names(&read_window(store, schema(), all).await.unwrap().records),
        ["two", "one"]
    );
}

fn segments() -> impl Strategy<Value = Vec<(i64, Vec<i64>)>> {
    // Minute of the first record, and how many minutes after it (or shortly before it) each further record lies.
    proptest::collection::vec((0_i64..600, proptest::collection::vec(-30_i64..60, 0..6)), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_window_holds_exactly_the_distinct_records_of_its_time(segments in segments(), from in 0_i64..600, length in 0_i64..300) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let start = time("2026-11-23T20:00:00Z");
        let minute = |minute: i64| start.saturating_add(SignedDuration::from_mins(minute)).unwrap();
        let read = runtime.block_on(async {
            let store = memory();
            for (sequence, (first, others)) in segments.iter().enumerate() {
                let minutes = std::iter::once(*first).chain(others.iter().map(|offset| first + offset));
                // The minute is the record's name, so segments repeat each other's records.
                let records: Vec<_> = minutes.map(|place| prediction(&place.to_string(), 0, None, minute(place))).collect();
                upload(&store, "a", sequence as u64, &records).await;
            }
            let request = WindowRequest { from: minute(from), to: minute(from + length), filter: PredictionFilter::default(), row_cap: 1_000 };
            read_window(store, schema(), request).await.unwrap()
        });
        let all = segments.iter().flat_map(|(first, others)| std::iter::once(*first).chain(others.iter().map(move |offset| first + offset)));
        let expected: HashSet<String> = all.filter(|place| (from..from + length).contains(place)).map(|place| place.to_string()).collect();
        let found: Vec<String> = read.records.iter().map(|record| record.request_id.clone()).collect();
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
        let counts = read.counts;
        prop_assert_eq!(counts.rows, counts.kept + counts.repeats + counts.passed_over);
    }
}
