//! The trait that the rest of Holdfast stores through.

use std::fmt::Debug;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use backon::BackoffBuilder;
use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::key::Key;

/// Outcome of a create-if-absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Created {
    /// This call created the object.
    Yes,
    /// An object was there before; it is unchanged.
    AlreadyExists,
}

/// What is known of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobMeta {
    /// The object's key.
    pub key: Key,
    /// Length of the body in bytes.
    pub size_bytes: u64,
    /// When the store took the object, by the store's clock and at its precision (whole seconds on S3).
    pub modified: Timestamp,
    /// What S3 calls the ETag: it changes with the body. `None` on backends that have none.
    pub etag: Option<String>,
}

/// The pieces of a body, in order. An error is the last item: what came before it is a part of the body, never the whole.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// An object that is being read.
pub struct BlobBody {
    /// Length of the whole body in bytes.
    pub size_bytes: u64,
    /// Its pieces, of the backend's size; none is empty.
    pub chunks: BodyStream,
}

impl Debug for BlobBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobBody")
            .field("size_bytes", &self.size_bytes)
            .finish_non_exhaustive()
    }
}

/// A store of named, immutable-by-convention byte bodies.
///
/// Calls may be dropped midway (cancelled); a write that had begun may then still take effect. Writes are durable when they return.
#[async_trait]
pub trait BlobStore: Send + Sync + Debug {
    /// Creates the object if the key is free; of any number of callers exactly one gets [`Created::Yes`].
    ///
    /// # Errors
    /// [`Error::Ambiguous`] when a reply was lost: the object may or may not be this call's. [`Error::Contended`] and retryable
    /// [`Error::Backend`] when nothing was created and a later call may succeed.
    async fn create(&self, key: &Key, body: Bytes) -> Result<Created>;

    /// Creates or replaces the object; readers see the old body or the new, never a mixture.
    ///
    /// Not a primitive to build agreement on: of two writers the later wins, and a retried put can land after a newer one.
    ///
    /// # Errors
    /// As the backend fails; may be repeated when [`Error::is_retryable`].
    async fn put(&self, key: &Key, body: Bytes) -> Result<()>;

    /// [`BlobStore::create`] with a file's content as the body, streamed. The file must not change meanwhile. S3 takes up to 5 GiB this way.
    ///
    /// # Errors
    /// As `create`, and [`Error::Io`] when the file cannot be read.
    async fn create_from_file(&self, key: &Key, path: &Path) -> Result<Created>;

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::NotFound`] when no object has the key.
    async fn get(&self, key: &Key) -> Result<Bytes>;

    /// Opens the body to be read piece by piece, so that memory stays bounded whatever its length. A body that breaks off is gone on with where it
    /// broke, as often as the backend's settings say. The pieces add up to `size_bytes`, or the last item is an error.
    ///
    /// # Errors
    /// As `get`; later ones come through the stream.
    async fn open(&self, key: &Key) -> Result<BlobBody>;

    /// Streams the body into a file and answers its length in bytes. The file at `path` is replaced at the end, in one step and synced: a
    /// failed call leaves what was there. Its directory must exist.
    ///
    /// # Errors
    /// As `get`, and [`Error::Io`] when the file cannot be written.
    async fn get_to_file(&self, key: &Key, path: &Path) -> Result<u64>;

    /// Size and time of the object, `None` when there is none.
    ///
    /// # Errors
    /// As the backend fails.
    async fn head(&self, key: &Key) -> Result<Option<BlobMeta>>;

    /// Up to `limit` objects below `prefix` (see [`crate::Prefix`]: a folder, with or without the closing slash; empty for all), in the
    /// order of their keys' bytes, beginning after the key `after`. An answer shorter than `limit` is the end. Pages of the backend are
    /// joined inside.
    ///
    /// # Errors
    /// [`Error::InvalidKey`] for a prefix that is none.
    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<BlobMeta>>;

    /// Removes the object; removing what is not there is no error.
    ///
    /// # Errors
    /// As the backend fails.
    async fn delete(&self, key: &Key) -> Result<()>;

    /// The store in a few words for logs and status pages; holds no secret.
    fn describe(&self) -> String;
}

/// Every object below `prefix`, in key order.
///
/// # Errors
/// As [`BlobStore::list`].
pub async fn list_all(store: &dyn BlobStore, prefix: &str) -> Result<Vec<BlobMeta>> {
    store.list(prefix, None, usize::MAX).await
}

/// [`BlobStore::create`] that settles a lost reply by reading the object back: bytes equal to `body` are reported as [`Created::Yes`].
///
/// Only right where equal bytes mean "mine" or where it does not matter whose they are: the body carries a nonce of this writer, or the
/// key is the digest of the body. For anything else two writers of equal bytes could both be told that they won.
///
/// # Errors
/// As `create`; [`Error::Ambiguous`] when the outcome could not be read back within a few tries either.
pub async fn create_resolving(store: &dyn BlobStore, key: &Key, body: Bytes) -> Result<Created> {
    let mut delays = backon::ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(6)
        .build();
    let mut lost_reply: Option<Error> = None;
    loop {
        match store.create(key, body.clone()).await {
            Ok(Created::Yes) => return Ok(Created::Yes),
            // With no reply lost before, it cannot be ours.
            Ok(Created::AlreadyExists) if lost_reply.is_none() => return Ok(Created::AlreadyExists),
            Ok(Created::AlreadyExists) => {}
            Err(error @ Error::Ambiguous { .. }) => lost_reply = Some(error),
            Err(error) if lost_reply.is_none() || !error.is_retryable() => return Err(lost_reply.unwrap_or(error)),
            Err(_) => {}
        }
        match store.get(key).await {
            Ok(stored) if stored == body => return Ok(Created::Yes),
            Ok(_) => return Ok(Created::AlreadyExists),
            // Not there yet: the lost request may still be on its way, and another create is harmless, for only one of the two can win.
            Err(error) if error.is_not_found() || error.is_retryable() => {}
            Err(error) => return Err(lost_reply.unwrap_or(error)),
        }
        match delays.next() {
            Some(delay) => tokio::time::sleep(delay).await,
            None => {
                let unresolved = || Error::Ambiguous {
                    key: key.clone(),
                    reason: "object could not be read back".to_owned(),
                };
                return Err(lost_reply.unwrap_or_else(unresolved));
            }
        }
    }
}
