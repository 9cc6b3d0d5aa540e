//! Files of runs and logged models: a path in the database, bytes under their SHA-256 in the blob store.
//!
//! Order of a write: the bytes are spooled and hashed, announced to the database, stored in the blob store, and then the path is given to them in
//! one transaction. A crash between two steps leaves bytes that no path has, for a collection to find, and never a path without bytes. Of two
//! writers of a path the one that ends last wins. No file is opened as anything but bytes.

mod path;
mod reading;
mod spool;
mod versions;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::clock::Clock;
use holdfast_domain::Digest;
use holdfast_records::layout;
use holdfast_storage::{BlobStore, Created, Key};

use self::reading::Verified;
use self::spool::{Spool, Spooled};
use self::versions::VersionFiles;
use super::store::{ArtifactStore, Child, Place, StoredBytes};
use crate::error::{Error, Result, Violation};
use crate::settings::ArtifactSettings;

pub use self::path::{ArtifactPath, MAX_PATH_BYTES};
pub use self::reading::Pieces;

/// Most tries to store bytes; a create under a digest may be repeated whatever became of the one before.
const MAX_STORE_ATTEMPTS: u32 = 4;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);

/// Files over a database and a blob store.
#[derive(Clone, Debug)]
pub struct Artifacts {
    store: Arc<dyn ArtifactStore>,
    blobs: Arc<dyn BlobStore>,
    versions: VersionFiles,
    clock: Arc<dyn Clock>,
    spool: Spool,
    max_file_bytes: u64,
}

/// A file as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its whole path.
    pub path: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Its SHA-256, where it is known without reading it.
    pub digest: Option<Digest>,
}

/// A file that is being read.
pub struct Reading {
    /// What it is.
    pub file: FileInfo,
    /// Its bytes. An error is the last item, and comes before the last bytes: damaged ones are never handed out whole.
    pub pieces: Pieces,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// A page of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Files and folders in it.
    pub children: Vec<Child>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<Place>,
}

/// A file that is being sent. Dropped before [`Upload::finish`], it changes nothing.
#[derive(Debug)]
pub struct Upload {
    artifacts: Artifacts,
    path: ArtifactPath,
    spooled: Spooled,
}

impl Artifacts {
    /// Files in `store` and `blobs`. Uploads at work lie in `spool`; what processes that have ended left there is removed.
    ///
    /// # Errors
    /// [`Error::Spool`] when the folder cannot be used.
    pub fn open(
        store: Arc<dyn ArtifactStore>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        spool: &Path,
        settings: &ArtifactSettings,
    ) -> Result<Self> {
        Ok(Self {
            store,
            versions: VersionFiles::new(Arc::clone(&blobs)),
            blobs,
            clock,
            spool: Spool::open(spool, settings.max_spool_bytes)?,
            max_file_bytes: settings.max_file_bytes,
        })
    }

    /// Begins to take in a file.
    ///
    /// # Errors
    /// [`Error::ReadOnlyPath`] for files of versions; [`Error::DiskFull`] and [`Error::Spool`] when no file can be made.
    pub fn upload(&self, path: ArtifactPath) -> Result<Upload> {
        refuse_versions(&path)?;
        Ok(Upload {
            artifacts: self.clone(),
            path,
            spooled: self.spool.begin()?,
        })
    }

    /// Opens a file. Its bytes are checked on the way.
    ///
    /// # Errors
    /// [`Error::NoSuchArtifact`]; [`Error::ArtifactDamaged`] when the bytes are gone or of another length; the stores'.
    pub async fn read(&self, path: &ArtifactPath) -> Result<Reading> {
        if path.is_of_versions() {
            return self.versions.read(path).await;
        }
        let stored = self.store.artifact(path).await?;
        let stored = stored.ok_or_else(|| Error::NoSuchArtifact(path.to_string()))?;
        let key = layout::artifact_key(&stored.digest, stored.edition);
        let body = match self.blobs.open(&key).await {
            Err(error) if error.is_not_found() => {
                return Err(Error::ArtifactDamaged {
                    path: path.to_string(),
                    problem: format!("there is nothing at {key}"),
                });
            }
            opened => opened?,
        };
        if body.size_bytes != stored.size_bytes {
            return Err(Error::ArtifactDamaged {
                path: path.to_string(),
                problem: format!("{key} has {} bytes and not {}", body.size_bytes, stored.size_bytes),
            });
        }
        Ok(Reading {
            file: FileInfo {
                path: path.to_string(),
                size_bytes: stored.size_bytes,
                digest: Some(stored.digest),
            },
            pieces: Verified::pieces(path, body.chunks, Some(stored.digest)),
        })
    }

    /// A page of what lies directly in a folder, the root without one. A file has nothing in it, and neither has what does not exist. The
    /// folder of versions is not shown in the root.
    ///
    /// # Errors
    /// The stores'.
    pub async fn list(&self, folder: Option<&ArtifactPath>, after: Option<&Place>, size: usize) -> Result<Folder> {
        let mut children = match folder {
            Some(folder) if folder.is_of_versions() => self.versions.children(folder, after, size + 1).await?,
            _ => self.store.artifact_children(folder, after, size + 1).await?,
        };
        let more = children.len() > size;
        children.truncate(size);
        let next = if more { children.last().map(Child::place) } else { None };
        Ok(Folder { children, next })
    }

    /// Removes a file, or a folder with all in it, and answers the number of files. Their bytes stay until a collection.
    ///
    /// # Errors
    /// [`Error::ReadOnlyPath`] for files of versions; [`Error::NoSuchArtifact`] when there is none; the database's.
    pub async fn delete(&self, path: &ArtifactPath) -> Result<u64> {
        refuse_versions(path)?;
        match self.store.delete_artifacts(path, self.clock.now()).await? {
            0 => Err(Error::NoSuchArtifact(path.to_string())),
            files => Ok(files),
        }
    }

    /// Stores spooled bytes under their digest, unless they are there.
    async fn store_bytes(&self, path: &ArtifactPath, bytes: &StoredBytes, file: &Path) -> Result<()> {
        let key = layout::artifact_key(&bytes.digest, bytes.edition);
        let mut delay = FIRST_RETRY_DELAY;
        for attempt in 1.. {
            match self.blobs.create_from_file(&key, file).await {
                Ok(Created::Yes) => return Ok(()),
                Ok(Created::AlreadyExists) => return self.check_length(path, bytes, &key).await,
                Err(holdfast_storage::Error::Io { cause, .. }) if spool::is_full(&cause) => {
                    return Err(Error::DiskFull(self.blobs.describe()));
                }
                Err(error) => {
                    let unclear = matches!(error, holdfast_storage::Error::Ambiguous { .. });
                    if attempt >= MAX_STORE_ATTEMPTS || !(unclear || error.is_retryable()) {
                        return Err(error.into());
                    }
                    tracing::debug!(%key, attempt, %error, "bytes will be stored again");
                    tokio::time::sleep(delay).await;
                    delay *= 2;
                }
            }
        }
        Ok(())
    }

    /// The key is the digest: whoever created it, the bytes are these. Only their length can be looked at for little, and an object that is
    /// damaged so is not acknowledged as the file that was sent.
    async fn check_length(&self, path: &ArtifactPath, bytes: &StoredBytes, key: &Key) -> Result<()> {
        let Some(meta) = self.blobs.head(key).await? else {
            // It was there a moment ago.
            return Err(Error::ArtifactBytesCollected(path.to_string()));
        };
        let found = meta.size_bytes;
        if found == bytes.size_bytes {
            return Ok(());
        }
        Err(Error::ArtifactDamaged {
            path: path.to_string(),
            problem: format!(
                "equal bytes were stored before, and {key} has {found} bytes and not {}",
                bytes.size_bytes
            ),
        })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::ArtifactTooLarge`], [`Error::SpoolLimit`], [`Error::DiskFull`], [`Error::Spool`].
    pub async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let limit = self.artifacts.max_file_bytes;
        if self.spooled.bytes().saturating_add(chunk.len() as u64) > limit {
            return Err(Error::ArtifactTooLarge {
                path: self.path.to_string(),
                limit,
            });
        }
        self.spooled.write(chunk).await
    }

    /// Stores the file. `claimed`, if there is one, must be the SHA-256 of all bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another digest than claimed; [`Error::ArtifactPathTaken`]; the stores'.
    pub async fn finish(mut self, claimed: Option<Digest>) -> Result<FileInfo> {
        let size_bytes = self.spooled.bytes();
        let digest = self.spooled.finish().await?;
        if claimed.is_some_and(|claimed| claimed != digest) {
            let problem = format!("must be the digest of what came, {digest}");
            return Err(Violation::new("end.sha256", "digest", &problem).into());
        }
        let mut attempt = 1;
        while let Err(error) = self.store_as(&digest, size_bytes).await {
            // A collection took equal bytes for nobody's. Those that are announced now lie under another key.
            if attempt == MAX_STORE_ATTEMPTS || !matches!(error, Error::ArtifactBytesCollected(_)) {
                return Err(error);
            }
            attempt += 1;
        }
        tracing::debug!(path = %self.path, size_bytes, %digest, "artefact stored");
        Ok(FileInfo {
            path: self.path.to_string(),
            size_bytes,
            digest: Some(digest),
        })
    }

    /// Announces the bytes, stores them, and gives them to the path.
    async fn store_as(&self, digest: &Digest, size_bytes: u64) -> Result<()> {
        let artifacts = &self.artifacts;
        let now = artifacts.clock.now();
        let bytes = artifacts.store.announce_bytes(digest, size_bytes, now).await?;
        artifacts.store_bytes(&self.path, &bytes, self.spooled.path()).await?;
        let put = artifacts.store.put_artifact(&self.path, &bytes, artifacts.clock.now());
        let put = put.await;
        if matches!(put, Err(Error::ArtifactBytesCollected(_))) {
            // Perhaps stored after the collection has removed them: nobody else would. Their edition is never used again.
            let key = layout::artifact_key(&bytes.digest, bytes.edition);
            if let Err(error) = artifacts.blobs.delete(&key).await {
                tracing::warn!(%key, error = &error as &dyn std::error::Error, "bytes that no path has stay in the blob store");
            }
        }
        put
    }
}

fn refuse_versions(path: &ArtifactPath) -> Result<()> {
    if path.is_of_versions() {
        return Err(Error::ReadOnlyPath(path.to_string()));
    }
    Ok(())
}
