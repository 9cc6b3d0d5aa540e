//! Bytes on their way in: each upload in a file of its own, until it is whole.
//!
//! Every process has a folder of its own in the spool's, with a file in it that it holds locked (`flock`) while it lives. The kernel drops the lock
//! with the process, however that ends. Who opens the spool removes the folders whose lock it can take, and judges and makes folders under one more
//! lock, so that a process that is just starting is never taken for dead.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdfast_domain::Digest;
use holdfast_storage::lock_file;
use sha2::{Digest as _, Sha256};
use tempfile::{TempDir, TempPath};
use tokio::io::AsyncWriteExt as _;

use crate::error::{Error, Result};

/// Held while folders are judged and made.
const OPEN_LOCK: &str = "open.lock";
/// In the folder of a process: held locked as long as the process lives.
const ALIVE: &str = "alive.lock";

/// The folder of this process's uploads, and how many bytes lie in it.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    session: Arc<Session>,
    used: Arc<AtomicU64>,
    max_bytes: u64,
}

/// Dropped, it takes its folder along.
#[derive(Debug)]
struct Session {
    folder: TempDir,
    _alive: File,
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
    /// Makes a folder for this process in `parent` and removes those of processes that have ended.
    pub(super) fn open(parent: &Path, max_bytes: u64) -> Result<Self> {
        let session = Session::open(parent).map_err(|source| Error::Spool {
            path: parent.display().to_string(),
            source,
        })?;
        Ok(Self {
            session: Arc::new(session),
            used: Arc::default(),
            max_bytes,
        })
    }

    pub(super) fn begin(&self) -> Result<Spooled> {
        let made = tempfile::Builder::new()
            .prefix("upload-")
            .tempfile_in(self.session.folder.path());
        let (file, path) = made.map_err(|source| self.failed(source))?.into_parts();
        Ok(Spooled {
            spool: self.clone(),
            file: tokio::fs::File::from_std(file),
            path,
            hasher: Sha256::new(),
            bytes: 0,
        })
    }

    fn failed(&self, source: io::Error) -> Error {
        let path = self.session.folder.path().display().to_string();
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

impl Session {
    fn open(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let _judging = lock_file::take(&parent.join(OPEN_LOCK))?;
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() && !lock_file::is_held(&entry.path().join(ALIVE))? {
                fs::remove_dir_all(entry.path())?;
            }
        }
        let folder = tempfile::Builder::new().prefix("session-").tempdir_in(parent)?;
        let alive = lock_file::take(&folder.path().join(ALIVE))?;
        Ok(Self { folder, _alive: alive })
    }
}

/// Whether the disk, or the user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
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
