//! Model manifests in a store.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_domain::{Digest, ModelVersion, RunId};
use holdfast_records::layout::{model_key, model_manifest_key};
use holdfast_records::model_manifest::{self, ModelManifest};
use holdfast_records::{Error, FormatError};
use holdfast_storage::Created;

use crate::support::{memory, model, time};

fn manifest(version: u32) -> ModelManifest {
    ModelManifest {
        format_version: model_manifest::FORMAT_VERSION,
        model: model(),
        version: ModelVersion(version),
        artifact_digest: Digest::of(b"artefact"),
        size_bytes: 8,
        run_id: RunId::from_parts(1, &[1; 10]),
        snapshots: BTreeMap::new(),
        family: "boosted_trees".to_owned(),
        created_at: time("2026-11-23T09:00:00Z"),
        created_by: "ada".to_owned(),
        metrics: BTreeMap::from([("test_roc_auc".to_owned(), 0.99)]),
    }
}

#[tokio::test]
async fn a_version_exists_once_its_manifest_does() {
    let store = memory();
    for version in [10, 2, 1] {
        let artifact = Bytes::from_static(b"artefact");
        let digest = model_manifest::write_artifact(&*store, &model(), ModelVersion(version), artifact)
            .await
            .unwrap();
        assert_eq!(digest, Digest::of(b"artefact"));
        assert_eq!(
            model_manifest::write(&*store, &manifest(version)).await.unwrap(),
            Created::Yes
        );
    }
    let artifact = Bytes::from_static(b"artefact");
    model_manifest::write_artifact(&*store, &model(), ModelVersion(3), artifact)
        .await
        .unwrap();
    let versions = model_manifest::versions(&*store, &model()).await.unwrap();
    assert_eq!(versions, [ModelVersion(1), ModelVersion(2), ModelVersion(10)]);
    let read = model_manifest::read(&*store, &model(), ModelVersion(2)).await.unwrap();
    assert_eq!(read, manifest(2));
    assert_eq!(
        model_manifest::read_artifact(&*store, &read).await.unwrap(),
        Bytes::from_static(b"artefact")
    );
}

#[tokio::test]
async fn a_manifest_needs_its_artefact() {
    let store = memory();
    assert!(
        model_manifest::write(&*store, &manifest(1))
            .await
            .unwrap_err()
            .is_not_found()
    );
    store
        .put(&model_key(&model(), ModelVersion(1)), Bytes::from_static(b"another!"))
        .await
        .unwrap();
    let error = model_manifest::write(&*store, &manifest(1)).await.unwrap_err();
    assert!(error.to_string().contains("models/churn/1/model.hfm"), "{error}");
    assert!(model_manifest::versions(&*store, &model()).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_written_once_is_never_written_over() {
    let store = memory();
    let version = ModelVersion(1);
    let write = |bytes: &'static [u8]| {
        let store = store.clone();
        async move { model_manifest::write_artifact(&*store, &model(), version, Bytes::from_static(bytes)).await }
    };
    write(b"artefact").await.unwrap();
    write(b"artefact").await.unwrap();
    assert!(matches!(write(b"other").await.unwrap_err(), Error::Conflict { .. }));
    assert_eq!(
        model_manifest::write(&*store, &manifest(1)).await.unwrap(),
        Created::Yes
    );
    assert_eq!(
        model_manifest::write(&*store, &manifest(1)).await.unwrap(),
        Created::AlreadyExists
    );
    let other = ModelManifest {
        created_by: "eve".to_owned(),
        ..manifest(1)
    };
    assert!(matches!(
        model_manifest::write(&*store, &other).await.unwrap_err(),
        Error::Conflict { .. }
    ));
}

#[tokio::test]
async fn a_damaged_manifest_is_named_by_its_key() {
    let store = memory();
    let key = model_manifest_key(&model(), ModelVersion(1));
    let mut bytes = manifest(1).encode().unwrap().to_vec();
    let place = bytes.windows(4).position(|window| window == b"0.99").unwrap();
    bytes[place + 2] = b'8';
    store.put(&key, bytes.into()).await.unwrap();
    let error = model_manifest::read(&*store, &model(), ModelVersion(1))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Format { key: named, source: FormatError::Checksum } if *named == key),
        "{error}"
    );
    store.put(&key, manifest(2).encode().unwrap()).await.unwrap();
    assert!(
        model_manifest::read(&*store, &model(), ModelVersion(1)).await.is_err(),
        "another version's manifest"
    );
}

#[test]
fn a_metric_that_is_no_number_is_refused() {
    let mut unfit = manifest(1);
    unfit.metrics.insert("test_pr_auc".to_owned(), f64::NAN);
    assert!(matches!(unfit.encode().unwrap_err(), FormatError::Unstorable(why) if why.contains("test_pr_auc")));
}
