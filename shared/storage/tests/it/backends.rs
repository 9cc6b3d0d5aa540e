//! One contract, every backend.

mod memory {
    use std::sync::Arc;

    use holdfast_storage::{BlobStore, MemoryStore};

    async fn open() -> (Arc<dyn BlobStore>, ()) {
        (Arc::new(MemoryStore::new()), ())
    }

    holdfast_storage::blob_store_contract!(open);
}

mod directory {
    use std::sync::Arc;

    use holdfast_storage::{BlobStore, DirectoryStore};
    use tempfile::TempDir;

    async fn open() -> (Arc<dyn BlobStore>, TempDir) {
        let directory = tempfile::tempdir().unwrap();
        (
            Arc::new(DirectoryStore::open(directory.path().join("blobs")).await.unwrap()),
            directory,
        )
    }

    holdfast_storage::blob_store_contract!(open);
}

/// A store that is wrapped to fail is the store as long as it need not fail.
mod faulty_without_faults {
    use std::sync::Arc;

    use holdfast_storage::testing::FaultyStore;
    use holdfast_storage::{BlobStore, MemoryStore};

    async fn open() -> (Arc<dyn BlobStore>, ()) {
        (Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()))), ())
    }

    holdfast_storage::blob_store_contract!(open);
}

/// On a real server.
mod s3 {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use holdfast_storage::{BlobStore, BlobStoreKind, BlobStoreSettings, Key, S3Settings, Secret};
    use holdfast_testkit::SeaweedS3;

    static STORES: AtomicUsize = AtomicUsize::new(0);

    fn settings(server: &SeaweedS3, prefix: String) -> BlobStoreSettings {
        let s3 = S3Settings {
            bucket: server.bucket().to_owned(),
            prefix,
            endpoint: Some(server.endpoint().to_owned()),
            path_style: true,
            access_key_id: Some(server.access_key_id().to_owned()),
            secret_access_key: Some(Secret::new(server.secret_access_key())),
            // A shared and busy machine is no reason for a test to fail.
            timeout_ms: 60_000,
            ..S3Settings::default()
        };
        BlobStoreSettings {
            kind: BlobStoreKind::S3,
            s3,
            ..BlobStoreSettings::default()
        }
    }

    async fn open() -> (Arc<dyn BlobStore>, ()) {
        let server = SeaweedS3::shared().await;
        let prefix = format!("contract/{}", STORES.fetch_add(1, Ordering::Relaxed));
        (settings(server, prefix).open(Path::new("unused")).await.unwrap(), ())
    }

    holdfast_storage::blob_store_contract!(open, on a server that keeps a tree);

    #[tokio::test]
    async fn stores_below_different_prefixes_of_a_bucket_do_not_meet() {
        let server = SeaweedS3::shared().await;
        let near = settings(server, "tenants/a".to_owned())
            .open(Path::new("unused"))
            .await
            .unwrap();
        let far = settings(server, "tenants/ab".to_owned())
            .open(Path::new("unused"))
            .await
            .unwrap();
        near.put(&Key::parse("x").unwrap(), "near".into()).await.unwrap();
        far.put(&Key::parse("x").unwrap(), "far".into()).await.unwrap();
        assert_eq!(near.get(&Key::parse("x").unwrap()).await.unwrap(), "near");
        assert_eq!(near.list("", None, 10).await.unwrap().len(), 1);
        assert_eq!(far.get(&Key::parse("x").unwrap()).await.unwrap(), "far");
    }

    #[tokio::test]
    async fn a_wrong_secret_is_refused_for_good_and_not_shown() {
        let server = SeaweedS3::shared().await;
        let mut wrong = settings(server, String::new());
        wrong.s3.secret_access_key = Some(Secret::new("guessed"));
        let store = wrong.open(Path::new("unused")).await.unwrap();
        let error = store.create(&Key::parse("x").unwrap(), "x".into()).await.unwrap_err();
        assert!(!error.is_retryable(), "{error:?}");
        assert!(!format!("{error:?} {error} {store:?} {wrong:?}").contains("guessed"));
    }

    #[tokio::test]
    async fn a_missing_bucket_is_an_error_and_not_an_absent_object() {
        let server = SeaweedS3::shared().await;
        let mut elsewhere = settings(server, String::new());
        elsewhere.s3.bucket = "no-such-bucket".to_owned();
        let store = elsewhere.open(Path::new("unused")).await.unwrap();
        let error = store.get(&Key::parse("x").unwrap()).await.unwrap_err();
        assert!(
            !error.is_not_found() && error.to_string().contains("NoSuchBucket"),
            "{error}"
        );
    }
}
