//! What only the directory backend promises: several openers, crashed writers, foreign files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use holdfast_storage::{BlobStore, Created, DirectoryStore, Error, Key, list_all};

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn incoming(root: &Path) -> Vec<String> {
    let names = fs::read_dir(root.join(".incoming"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.ends_with(".lock")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn openers_of_one_directory_race_to_one_winner() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..50 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let store = DirectoryStore::open(directory.path()).await.unwrap();
            writers.spawn(async move {
                store
                    .create(&key(&format!("deep/er/{round}")), Bytes::from(format!("{writer}")))
                    .await
                    .unwrap()
            });
        }
        let winners = writers
            .join_all()
            .await
            .into_iter()
            .filter(|created| *created == Created::Yes)
            .count();
        assert_eq!(winners, 1, "round {round}");
    }
    assert_eq!(incoming(directory.path()), [""; 0]);
}

#[tokio::test]
async fn what_is_stored_is_there_when_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).await.unwrap();
    assert_eq!(store.create(&key("a/b"), "kept".into()).await.unwrap(), Created::Yes);
    drop(store);
    let store = DirectoryStore::open(directory.path()).await.unwrap();
    assert_eq!(store.get(&key("a/b")).await.unwrap(), "kept");
    assert_eq!(
        store.create(&key("a/b"), "again".into()).await.unwrap(),
        Created::AlreadyExists
    );
}

#[tokio::test]
async fn files_of_crashed_writers_are_never_listed_and_removed_at_the_next_opening() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).await.unwrap();
    // What a process leaves that is killed while it writes: its file, and its lock file that nobody holds.
    for name in [
        "0193a1c0ffee-0",
        "0193a1c0ffee-17",
        "0193a1c0ffee.lock",
        "of-an-older-version",
    ] {
        fs::write(directory.path().join(".incoming").join(name), "half a bo").unwrap();
    }
    assert!(list_all(&store, "").await.unwrap().is_empty());
    let _second = DirectoryStore::open(directory.path()).await.unwrap();
    assert_eq!(incoming(directory.path()), [""; 0]);
    assert!(!directory.path().join(".incoming/0193a1c0ffee.lock").exists());
}

#[tokio::test]
async fn files_of_living_writers_stay_when_another_opens() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).await.unwrap();
    let mut locks = fs::read_dir(directory.path().join(".incoming"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let session = locks
        .find_map(|name| {
            name.strip_suffix(".lock")
                .filter(|name| *name != "open")
                .map(str::to_owned)
        })
        .unwrap();
    let half = directory.path().join(".incoming").join(format!("{session}-99"));
    fs::write(&half, "being writ").unwrap();
    let second = DirectoryStore::open(directory.path()).await.unwrap();
    assert!(half.exists());
    drop(store);
    drop(second);
    let _third = DirectoryStore::open(directory.path()).await.unwrap();
    assert!(!half.exists());
}

#[tokio::test]
async fn foreign_files_and_links_are_not_objects() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).await.unwrap();
    store.put(&key("a/b"), "x".into()).await.unwrap();
    fs::write(directory.path().join("README.txt"), "by hand").unwrap();
    fs::write(directory.path().join("a/.DS_Store"), "by a desktop").unwrap();
    fs::create_dir(directory.path().join("empty")).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", directory.path().join("a/link.blob")).unwrap();
    let listed: Vec<String> = list_all(&store, "")
        .await
        .unwrap()
        .into_iter()
        .map(|meta| meta.key.to_string())
        .collect();
    assert_eq!(listed, ["a/b"]);
}

#[tokio::test]
async fn a_folder_removed_by_hand_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = DirectoryStore::open(directory.path()).await.unwrap();
    store.put(&key("a/b/c"), "x".into()).await.unwrap();
    fs::remove_dir_all(directory.path().join("a")).unwrap();
    assert_eq!(store.create(&key("a/b/c"), "y".into()).await.unwrap(), Created::Yes);
    assert_eq!(store.get(&key("a/b/c")).await.unwrap(), "y");
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DirectoryStore::open(file.join("blobs")).await.unwrap_err();
    assert!(
        matches!(&error, Error::Io { .. }) && error.to_string().contains("file/blobs"),
        "{error}"
    );
}

#[tokio::test]
async fn the_description_names_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn BlobStore> = Arc::new(DirectoryStore::open(directory.path()).await.unwrap());
    assert_eq!(
        store.describe(),
        format!("directory {}", directory.path().canonicalize().unwrap().display())
    );
}
