//! Paths of files.

use std::sync::Arc;

use futures::future::join_all;
use holdfast_domain::Digest;
use holdfast_registry::Error;
use holdfast_registry::service::artifacts::ArtifactPath;
use holdfast_registry::service::store::{ArtifactStore as _, SqlStore, StoredBytes};
use jiff::Timestamp;

use super::contract;

contract!(
    a_path_has_the_bytes_given_to_it,
    children_are_ordered_by_their_bytes,
    a_path_is_a_file_or_a_folder_whoever_comes_first,
);

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn path(text: &str) -> ArtifactPath {
    ArtifactPath::parse(text).unwrap()
}

async fn announced(store: &SqlStore, bytes: &[u8]) -> StoredBytes {
    let size = u64::try_from(bytes.len()).unwrap();
    store.announce_bytes(&Digest::of(bytes), size, NOW).await.unwrap()
}

async fn a_path_has_the_bytes_given_to_it(store: Arc<SqlStore>) {
    let (old, new) = (announced(&store, b"old").await, announced(&store, b"new").await);
    assert_eq!((old.edition, new.size_bytes), (0, 3));
    store.put_artifact(&path("a/b"), &old, NOW).await.unwrap();
    store.put_artifact(&path("a/b"), &new, NOW).await.unwrap();
    assert_eq!(store.artifact(&path("a/b")).await.unwrap(), Some(new));
    let never_announced = StoredBytes {
        digest: Digest::of(b"?"),
        ..old
    };
    let refused = store.put_artifact(&path("c"), &never_announced, NOW).await;
    assert!(matches!(refused, Err(Error::ArtifactBytesCollected(_))));
    assert_eq!(store.delete_artifacts(&path("a"), NOW).await.unwrap(), 1);
    assert_eq!(store.artifact(&path("a/b")).await.unwrap(), None);
}

async fn children_are_ordered_by_their_bytes(store: Arc<SqlStore>) {
    let bytes = announced(&store, b"bytes").await;
    for name in ["f/b", "f/B", "f/a-b", "f/a/x", "f/a/y", "f/a0", "f/é", "g"] {
        store.put_artifact(&path(name), &bytes, NOW).await.unwrap();
    }
    let children = store.artifact_children(Some(&path("f")), None, 100).await.unwrap();
    let names: Vec<_> = children.iter().map(|child| child.name.as_str()).collect();
    assert_eq!(names, ["B", "a-b", "a", "a0", "b", "é"]);
    let after = children.get(2).unwrap().place();
    let rest = store
        .artifact_children(Some(&path("f")), Some(&after), 2)
        .await
        .unwrap();
    assert_eq!(rest, children.get(3..5).unwrap());
}

async fn a_path_is_a_file_or_a_folder_whoever_comes_first(store: Arc<SqlStore>) {
    let bytes = announced(&store, b"bytes").await;
    for round in 0..10 {
        let writing = ["", "/inside"].map(|end| {
            let (store, path) = (store.clone(), path(&format!("round{round}{end}")));
            tokio::spawn(async move { store.put_artifact(&path, &bytes, NOW).await })
        });
        let outcomes = join_all(writing).await;
        let taken = |outcome: &_| matches!(outcome, Ok(Err(Error::ArtifactPathTaken { .. })));
        assert_eq!(outcomes.iter().filter(|outcome| taken(outcome)).count(), 1);
    }
}
