//! The prediction log checked and replayed by somebody who has nothing but the blobs.

use bytes::Bytes;
use holdfast_domain::Schema;
use holdfast_records::prediction::{decode, encode};
use holdfast_storage::list_all;

use crate::support::{Cluster, customers};

#[tokio::test]
async fn an_untouched_log_is_in_order_and_replays_to_the_bit() {
    let cluster = Cluster::start().await;
    let first = cluster.train(1, &["--preset", "fast"]).await;
    let customers = customers(40);
    let served = cluster.predict_rest(&customers[..30]).await;
    cluster.flush().await;
    cluster.predict_rest(&customers[30..]).await;
    cluster.flush().await;

    let blobs = cluster.file("blobs");
    let blobs = blobs.to_str().unwrap();
    let report = cluster.cli(&["log", "verify", "--blob-store", blobs]).await.json();
    assert_eq!(
        (&report["objects"], &report["rows"]),
        (&2.into(), &40.into()),
        "{report}"
    );
    assert_eq!(report["faults"], serde_json::json!([]));
    let replayed = cluster.cli(&["log", "replay", "--blob-store", blobs]).await.json();
    assert_eq!(
        (&replayed["rows"], &replayed["identical"]),
        (&40.into(), &40.into()),
        "{replayed}"
    );
    assert_eq!(replayed["versions"][0]["artifact_digest"], first["artifact_digest"]);

    let request = served["request_id"].as_str().unwrap();
    let one = cluster
        .cli(&["log", "replay", "--blob-store", blobs, "--request-id", request])
        .await
        .json();
    assert_eq!(one["rows"], 30, "{one}");
    let sampled = cluster
        .cli(&["log", "replay", "--blob-store", blobs, "--sample", "7"])
        .await
        .json();
    assert_eq!(
        (&sampled["rows"], &sampled["identical"]),
        (&7.into(), &7.into()),
        "{sampled}"
    );
    let unknown = cluster
        .cli(&["log", "replay", "--blob-store", blobs, "--request-id", "nobody"])
        .await;
    assert_eq!(unknown.code(), Some(1));
    let none = cluster
        .cli(&["log", "replay", "--blob-store", blobs, "--to", "2020-01-01T00:00:00Z"])
        .await
        .json();
    assert_eq!(none["rows"], 0);

    tampered(&cluster, blobs).await;
}

/// A score that somebody changed is found by replaying, a byte by checking; both name the object.
async fn tampered(cluster: &Cluster, path: &str) {
    let blobs = cluster.blobs().await;
    let objects = list_all(&*blobs, "predictions").await.unwrap();
    let (edited, damaged) = (&objects[0].key, &objects[1].key);
    let mut records = decode(blobs.get(edited).await.unwrap(), Schema::embedded()).unwrap();
    records[4].score = f64::from_bits(records[4].score.to_bits() ^ 1);
    blobs
        .put(edited, encode(&records, Schema::embedded()).unwrap())
        .await
        .unwrap();
    let replayed = cluster.cli(&["log", "replay", "--blob-store", path]).await;
    assert_eq!(replayed.code(), Some(1), "{}", replayed.stderr);
    let replayed = replayed.json_whatever_the_code();
    let differences = replayed["differences"].as_array().unwrap();
    assert_eq!(differences.len(), 1, "{replayed}");
    assert_eq!(
        (&differences[0]["row"], &differences[0]["what"]),
        (&5.into(), &"score".into())
    );
    assert_eq!(differences[0]["object"], edited.as_str());

    let mut bytes = blobs.get(damaged).await.unwrap().to_vec();
    bytes[100] ^= 8;
    blobs.put(damaged, Bytes::from(bytes)).await.unwrap();
    let verified = cluster.cli(&["log", "verify", "--blob-store", path]).await;
    assert_eq!(verified.code(), Some(1));
    let report = verified.json_whatever_the_code();
    assert_eq!(
        (&report["faults"][0]["object"], &report["faults"][0]["kind"]),
        (&damaged.as_str().into(), &"unreadable".into())
    );
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let none = crate::support::run(["log", "verify", "--data-dir", data.to_str().unwrap()]).await;
    assert_eq!((none.code(), none.stdout.as_str()), (Some(1), ""));
    assert!(none.stderr.contains("there is no blob store"), "{}", none.stderr);
    assert!(!data.exists());
}
