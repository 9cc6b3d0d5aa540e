//! Ways of writing and reading that every record shares.

use bytes::Bytes;
use holdfast_domain::Digest;
use holdfast_storage::{BlobStore, Created, Key, create_resolving};

use crate::error::{Error, FormatError};

/// Objects listed at once: what one page of S3 holds.
pub(crate) const LISTED_AT_ONCE: usize = 1_000;

/// Creates an object. An object that is there already must have the same bytes: writing the same thing twice is no error.
pub(crate) async fn create_same(store: &dyn BlobStore, key: &Key, bytes: Bytes) -> Result<Created, Error> {
    let digest = Digest::of(&bytes);
    let created = create_resolving(store, key, bytes).await?;
    if created == Created::AlreadyExists && Digest::of(&store.get(key).await?) != digest {
        return Err(Error::Conflict { key: key.clone() });
    }
    Ok(created)
}

/// Runs a decoder where it does not hold up other tasks of the runtime.
pub(crate) async fn decode_aside<T: Send + 'static>(
    key: &Key,
    decode: impl FnOnce() -> Result<T, FormatError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(decode).await {
        Ok(decoded) => decoded.map_err(|error| error.at(key)),
        // The checksum held, and yet the decoder panicked: an object that somebody sealed without being this crate.
        Err(error) if error.is_panic() => Err(FormatError::malformed("the decoder gave up on it").at(key)),
        Err(error) => Err(Error::Interrupted(error.to_string())),
    }
}

/// Runs an encoder where it does not hold up other tasks of the runtime.
pub(crate) async fn encode_aside<T: Send + 'static>(
    encode: impl FnOnce() -> Result<T, FormatError> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(encode).await {
        Ok(encoded) => encoded.map_err(Error::Encode),
        Err(error) => Err(Error::Interrupted(error.to_string())),
    }
}
