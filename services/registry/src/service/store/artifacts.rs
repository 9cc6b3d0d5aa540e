//! What the store of files' paths offers.

use std::fmt::Debug;

use async_trait::async_trait;
use holdfast_domain::Digest;
use jiff::Timestamp;

use crate::error::Result;
use crate::service::artifacts::ArtifactPath;

/// Bytes in the blob store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredBytes {
    /// Their SHA-256.
    pub digest: Digest,
    /// How many.
    pub size_bytes: u64,
    /// Which edition: part of their key.
    pub edition: u32,
}

/// A file or folder directly in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name within the folder.
    pub name: String,
    /// Size and, where known, digest of a file; `None` for a folder.
    pub file: Option<(u64, Option<Digest>)>,
}

impl Child {
    /// Order of a list, which is that of the paths in it: a folder sorts as if a slash ended its name.
    pub fn place(&self) -> Place {
        Place {
            name: self.name.clone(),
            is_dir: self.file.is_none(),
        }
    }
}

/// Where a list of a folder goes on: behind this child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the child.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
}

/// Paths of files and the bytes that they have. Every method that writes is one transaction, durable on return.
#[async_trait]
pub trait ArtifactStore: Send + Sync + Debug {
    /// Says that bytes are about to be stored, before they are: a collection leaves them alone from now on. Answers them
    /// with the edition to store.
    async fn announce_bytes(&self, digest: &Digest, size_bytes: u64, now: Timestamp) -> Result<StoredBytes>;
    /// Gives a path these bytes, which are in the blob store. [`crate::Error::ArtifactPathTaken`] when a folder has the path or a
    /// file the path of one of its folders; [`crate::Error::ArtifactBytesCollected`] when a collection took the bytes.
    async fn put_artifact(&self, path: &ArtifactPath, bytes: &StoredBytes, now: Timestamp) -> Result<()>;
    /// The bytes of a path.
    async fn artifact(&self, path: &ArtifactPath) -> Result<Option<StoredBytes>>;
    /// At most `limit` children of a folder, the root without one, behind `after`, in the order of [`Child::place`].
    async fn artifact_children(
        &self,
        folder: Option<&ArtifactPath>,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<Child>>;
    /// Removes a file, or a folder with all in it; answers the number of files.
    async fn delete_artifacts(&self, path: &ArtifactPath, now: Timestamp) -> Result<u64>;
}
