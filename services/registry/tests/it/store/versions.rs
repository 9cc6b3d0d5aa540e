//! Model versions.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_registry::Error;
use holdfast_registry::service::models::{FinishedVersion, VersionStatus};
use holdfast_registry::service::store::{PageRequest, SqlStore, VersionStore as _};
use jiff::Timestamp;

use super::contract;

contract!(
    a_version_of_a_run_is_reserved_once,
    many_reserve_different_versions,
    a_version_is_finished_once,
);

fn model() -> ModelName {
    "churn".parse().unwrap()
}

fn facts(bytes: &[u8]) -> FinishedVersion {
    FinishedVersion {
        run_id: RunId::from_parts(1_790_000_000_000, &[7; 10]),
        artifact_digest: Digest::of(bytes),
        artifact_size_bytes: u64::try_from(bytes.len()).unwrap(),
        family: "boosted_trees".to_owned(),
        training_snapshot: String::new(),
        test_snapshot: String::new(),
    }
}

async fn a_version_of_a_run_is_reserved_once(store: Arc<SqlStore>) {
    let now = Timestamp::UNIX_EPOCH;
    let first = store.reserve_version(&model(), "r1", "ada", now).await.unwrap();
    assert_eq!(store.reserve_version(&model(), "r1", "bob", now).await.unwrap(), first);
    let second = store.reserve_version(&model(), "r2", "ada", now).await.unwrap();
    assert_eq!((first.version, second.version), (ModelVersion(1), ModelVersion(2)));
    assert_eq!(store.models().await.unwrap(), [(model(), 2, ModelVersion(2))]);
    let page = store
        .versions(&model(), &PageRequest { size: 1, before: None })
        .await
        .unwrap();
    assert_eq!((page.items, page.next), (vec![second], Some(2)));
}

async fn many_reserve_different_versions(store: Arc<SqlStore>) {
    let reserving = (0..20).map(|run| {
        let store = store.clone();
        tokio::spawn(async move {
            let run = format!("r{run}");
            store
                .reserve_version(&model(), &run, "ada", Timestamp::UNIX_EPOCH)
                .await
        })
    });
    let reserved = join_all(reserving).await;
    let versions: BTreeSet<_> = reserved
        .into_iter()
        .map(|done| done.unwrap().unwrap().version.0)
        .collect();
    assert_eq!(versions, (1..=20).collect());
}

async fn a_version_is_finished_once(store: Arc<SqlStore>) {
    let version = store
        .reserve_version(&model(), "r1", "ada", Timestamp::UNIX_EPOCH)
        .await
        .unwrap()
        .version;
    let ready = store.finish_version(&model(), version, &facts(b"bytes")).await.unwrap();
    assert_eq!(
        (ready.status, ready.artifact_digest),
        (VersionStatus::Ready, Some(Digest::of(b"bytes")))
    );
    assert_eq!(
        store.finish_version(&model(), version, &facts(b"bytes")).await.unwrap(),
        ready
    );
    let other = store.finish_version(&model(), version, &facts(b"others")).await;
    assert!(matches!(other, Err(Error::VersionIsOther { .. })));
    assert_eq!(store.version(&model(), version).await.unwrap(), ready);
    let unknown = store.version(&model(), ModelVersion(9)).await;
    assert!(matches!(unknown, Err(Error::NoSuchVersion { .. })));
}
