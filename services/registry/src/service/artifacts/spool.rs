//! Bytes on their way in: each upload in a file of its own, until it is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_domain::Digest;
use sha2::{Digest as _, Sha256};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;

use crate::error::{Error, Result};

/// The folder of uploads, and how many bytes lie in it.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    folder: PathBuf,
    used: Arc<AtomicU64>,
    max_bytes: u64,
}

/// One upload. Dropped, it leaves nothing.
#[derive(Debug)]
pub(super) struct Spooled {
    spool: Spool,
    file: tokio::fs::File,
    path: TempPath,
    hasher: Sha256,
    bytes: u64,
}

impl Spool {
    /// Empties the folder: what lies in it is of a process that has ended.
    pub(super) fn open(folder: PathBuf, max_bytes: u64) -> Result<Self> {
        let cleared = match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&folder),
        };
        cleared.map_err(|source| Error::Spool {
            path: folder.display().to_string(),
            source,
        })?;
        Ok(Self {
            folder,
            used: Arc::default(),
            max_bytes,
        })
    }

    pub(super) fn begin(&self) -> Result<Spooled> {
        let made = tempfile::Builder::new().prefix("upload-").tempfile_in(&self.folder);
        let (file, path) = made.map_err(|source| self.failed(source))?.into_parts();
        Ok(Spooled {
            spool: self.clone(),
            file: tokio::fs::File::from_std(file),
            path,
            hasher: Sha256::new(),
            bytes: 0,
        })
    }

    fn failed(&self, source: std::io::Error) -> Error {
        let path = self.folder.display().to_string();
        if is_full(&source) {
            Error::DiskFull(path)
        } else {
            Error::Spool { path, source }
        }
    }

    /// Takes room for `more` bytes.
    fn reserve(&self, more: u64) -> Result<()> {
        let room = |used: u64| used.checked_add(more).filter(|used| *used <= self.max_bytes);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, room)
            .map(drop)
            .map_err(|_| Error::SpoolLimit { limit: self.max_bytes })
    }
}

/// Whether the disk, or the user's share of it, is full.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

impl Spooled {
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        let more = chunk.len() as u64;
        self.spool.reserve(more)?;
        self.bytes += more;
        self.hasher.update(chunk);
        let written = self.file.write_all(chunk).await;
        written.map_err(|source| self.spool.failed(source))
    }

    /// The digest of all bytes, which are in the file now.
    pub(super) async fn finish(&mut self) -> Result<Digest> {
        // Not synced: the blob store makes its own copy durable, and a crash before that is an upload that broke off.
        let flushed = self.file.flush().await;
        flushed.map_err(|source| self.spool.failed(source))?;
        Ok(Digest::from_bytes(std::mem::take(&mut self.hasher).finalize().into()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        self.spool.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
