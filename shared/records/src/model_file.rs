//! Model files of other libraries, as they were sent, named by the digest of their bytes.
//!
//! They are foreign formats: nothing of ours is in them, and nothing says which version a file became. A version's artefact names its file.

use bytes::Bytes;
use holdfast_domain::Digest;
use holdfast_storage::{BlobStore, Created};

use crate::error::FormatError;
use crate::layout::model_file_key;
use crate::stored::{create_same, decode_aside, encode_aside};

/// Stores a file and answers its name. The same bytes again are the file that is there.
///
/// # Errors
/// The store's; [`Error::Conflict`](crate::Error::Conflict) when other bytes lie under this name.
pub async fn write(store: &dyn BlobStore, bytes: Bytes) -> crate::Result<Digest> {
    let hashed = bytes.clone();
    let digest = encode_aside(move || Ok(Digest::of(&hashed))).await?;
    // Stored now, or before: it is the same file.
    let (Created::Yes | Created::AlreadyExists) = create_same(store, &model_file_key(&digest), bytes).await?;
    Ok(digest)
}

/// A file's bytes, checked against its name.
///
/// # Errors
/// The store's, not found among them; [`FormatError::Digest`] when the bytes are others.
pub async fn read(store: &dyn BlobStore, digest: &Digest) -> crate::Result<Bytes> {
    let key = model_file_key(digest);
    let bytes = store.get(&key).await?;
    let expected = *digest;
    decode_aside(&key, move || match Digest::of(&bytes) {
        found if found == expected => Ok(bytes),
        found => Err(FormatError::Digest { found }),
    })
    .await
}
