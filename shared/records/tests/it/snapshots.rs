//! Snapshots in a store.

use bytes::Bytes;
use holdfast_domain::Digest;
use holdfast_records::layout::{snapshot_key, snapshot_manifest_key};
use holdfast_records::snapshot::{self, SnapshotSource};
use holdfast_records::{Error, FormatError};

use crate::support::{memory, sample_customers, schema, time};

fn source(name: &str) -> SnapshotSource {
    SnapshotSource {
        source: name.to_owned(),
        query_or_window: None,
        parents: Vec::new(),
        window: None,
        created_at: time("2026-11-23T09:00:00Z"),
    }
}

#[tokio::test]
async fn a_snapshot_reads_back_by_its_digest() {
    let store = memory();
    let manifest = snapshot::write(&*store, &sample_customers(), schema(), source("a.csv"))
        .await
        .unwrap();
    assert_eq!((manifest.rows, manifest.positives), (3, 1));
    let bytes = store.get(&snapshot_key(&manifest.digest)).await.unwrap();
    assert_eq!(
        (Digest::of(&bytes), bytes.len() as u64),
        (manifest.digest, manifest.size_bytes)
    );
    let (read, customers) = snapshot::read(&*store, &manifest.digest, schema()).await.unwrap();
    assert_eq!((read, customers), (manifest.clone(), sample_customers()));
    assert_eq!(snapshot::list(&*store).await.unwrap(), [manifest.digest]);
}

#[tokio::test]
async fn the_same_rows_again_keep_their_first_manifest() {
    let store = memory();
    let first = snapshot::write(&*store, &sample_customers(), schema(), source("a.csv"))
        .await
        .unwrap();
    let again = snapshot::write(&*store, &sample_customers(), schema(), source("b.csv"))
        .await
        .unwrap();
    assert_eq!(again, first);
    assert_eq!(again.source, "a.csv");
}

#[tokio::test]
async fn rows_without_a_manifest_are_no_snapshot() {
    let store = memory();
    let bytes = snapshot::encode(&sample_customers(), schema()).unwrap();
    let digest = Digest::of(&bytes);
    let _ = store.create(&snapshot_key(&digest), bytes).await.unwrap();
    assert!(
        snapshot::read(&*store, &digest, schema())
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(snapshot::list(&*store).await.unwrap().is_empty());
}

#[tokio::test]
async fn damaged_rows_are_named_by_their_key() {
    let store = memory();
    let manifest = snapshot::write(&*store, &sample_customers(), schema(), source("a.csv"))
        .await
        .unwrap();
    let key = snapshot_key(&manifest.digest);
    let mut bytes = store.get(&key).await.unwrap().to_vec();
    bytes[40] ^= 1;
    store.put(&key, bytes.into()).await.unwrap();
    let error = snapshot::read(&*store, &manifest.digest, schema()).await.unwrap_err();
    assert!(error.to_string().contains(key.as_str()), "{error}");
    assert!(
        matches!(
            error,
            Error::Format {
                source: FormatError::Digest { .. },
                ..
            }
        ),
        "{error}"
    );
    let conflict = snapshot::write(&*store, &sample_customers(), schema(), source("a.csv"))
        .await
        .unwrap_err();
    assert!(matches!(conflict, Error::Conflict { .. }), "{conflict}");
}

#[tokio::test]
async fn a_manifest_under_another_digest_is_refused() {
    let store = memory();
    let manifest = snapshot::write(&*store, &sample_customers(), schema(), source("a.csv"))
        .await
        .unwrap();
    let bytes = store.get(&snapshot_manifest_key(&manifest.digest)).await.unwrap();
    let other = Digest::of(b"other");
    store.put(&snapshot_manifest_key(&other), bytes).await.unwrap();
    let error = snapshot::read_manifest(&*store, &other).await.unwrap_err();
    assert!(error.to_string().contains(&manifest.digest.to_string()), "{error}");
}

#[tokio::test]
async fn a_newer_manifest_is_refused_by_its_version() {
    let store = memory();
    let digest = Digest::of(b"x");
    let body = r#"{"format_version":3}"#;
    let sealed = format!(
        "{{\"checksum\":\"{}\",\"format_version\":3}}",
        Digest::of(body.as_bytes())
    );
    store
        .put(&snapshot_manifest_key(&digest), Bytes::from(sealed))
        .await
        .unwrap();
    let error = snapshot::read_manifest(&*store, &digest).await.unwrap_err();
    let unsupported = FormatError::UnsupportedVersion {
        kind: "snapshot manifest",
        found: 3,
        newest: snapshot::MANIFEST_VERSION,
    };
    assert!(
        matches!(&error, Error::Format { source, .. } if *source == unsupported),
        "{error}"
    );
}
