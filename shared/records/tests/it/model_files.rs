//! Model files of other libraries in a store.

use bytes::Bytes;
use holdfast_domain::Digest;
use holdfast_records::layout::model_file_key;
use holdfast_records::{Error, FormatError, model_file};

use crate::support::memory;

#[tokio::test]
async fn a_file_reads_back_by_its_digest_and_is_stored_once() {
    let store = memory();
    let bytes = Bytes::from_static(b"tree\nversion=v4\n");
    let digest = model_file::write(&*store, bytes.clone()).await.unwrap();
    assert_eq!(digest, Digest::of(&bytes));
    assert_eq!(model_file::write(&*store, bytes.clone()).await.unwrap(), digest);
    assert_eq!(model_file::read(&*store, &digest).await.unwrap(), bytes);
    let other = Digest::of(b"other");
    assert!(model_file::read(&*store, &other).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn other_bytes_under_its_name_are_refused() {
    let store = memory();
    let digest = Digest::of(b"tree\n");
    let key = model_file_key(&digest);
    let _ = store.create(&key, Bytes::from_static(b"tree!\n")).await.unwrap();
    let refused = model_file::read(&*store, &digest).await.unwrap_err();
    let Error::Format { key: of, source } = refused else {
        panic!("{refused}");
    };
    assert_eq!(
        (of, source),
        (
            key,
            FormatError::Digest {
                found: Digest::of(b"tree!\n")
            }
        )
    );
    let refused = model_file::write(&*store, Bytes::from_static(b"tree\n"))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
}
