//! Files being written, and the removal of those whose writer died.
//!
//! Every open store has a session: a lock file `{session}.lock` in `.incoming` that it holds locked (`flock`) for its lifetime; its files are
//! named `{session}-{number}`. The kernel drops the lock with the process, however that ends. Opening a store takes the lock on `open.lock`,
//! announces the session and removes the files of every session whose lock it can take: those are dead. Because sessions are announced
//! and judged under the one lock, a session that is just starting is never taken for dead.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::lock_file;

const DIRECTORY: &str = ".incoming";
const OPEN_LOCK: &str = "open.lock";
const LOCK_SUFFIX: &str = ".lock";

#[derive(Debug)]
pub(super) struct Incoming {
    directory: PathBuf,
    session: String,
    next: AtomicU64,
    /// Held locked, never written: the sign of life.
    _alive: File,
}

impl Incoming {
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        let directory = root.join(DIRECTORY);
        fs::create_dir_all(&directory)?;
        let _judging = lock_file::take(&directory.join(OPEN_LOCK))?;
        let session = Uuid::now_v7().simple().to_string();
        let alive = lock_file::take(&directory.join(format!("{session}{LOCK_SUFFIX}")))?;
        let removed = remove_leftovers(&directory)?;
        if removed > 0 {
            tracing::info!(directory = %directory.display(), removed, "removed files of crashed writers");
        }
        Ok(Self {
            directory,
            session,
            next: AtomicU64::new(0),
            _alive: alive,
        })
    }

    /// A new file with these bytes, synced.
    pub(super) fn write(&self, body: &[u8]) -> io::Result<Written> {
        self.fill(|file| file.write_all(body))
    }

    /// A new file with the content of `source`, synced.
    pub(super) fn copy(&self, source: &Path) -> io::Result<Written> {
        let mut from = File::open(source)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", source.display())))?;
        self.fill(|file| io::copy(&mut from, file).map(drop))
    }

    fn fill(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<Written> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{}-{number}", self.session));
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let written = Written { path };
        write(&mut file)?;
        file.sync_all()?;
        Ok(written)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Best effort: the next opener removes it otherwise.
        let _ = fs::remove_file(self.directory.join(format!("{}{LOCK_SUFFIX}", self.session)));
    }
}

/// A complete file that is not in its place yet; removed on drop (after a rename there is nothing left to remove).
pub(super) struct Written {
    path: PathBuf,
}

impl Written {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Must be called with `open.lock` held. Answers how many files (lock files not counted) were removed.
fn remove_leftovers(directory: &Path) -> io::Result<usize> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string().ok().filter(|name| name != OPEN_LOCK));
    }
    let mut alive = HashSet::new();
    for session in names.iter().filter_map(|name| name.strip_suffix(LOCK_SUFFIX)) {
        if lock_file::is_held(&directory.join(format!("{session}{LOCK_SUFFIX}")))? {
            alive.insert(session);
        }
    }
    let mut removed = 0;
    for name in &names {
        let session = name
            .strip_suffix(LOCK_SUFFIX)
            .or_else(|| name.rsplit_once('-').map(|(session, _)| session));
        if session.is_some_and(|session| alive.contains(session)) {
            continue;
        }
        match fs::remove_file(directory.join(name)) {
            Ok(()) => removed += usize::from(!name.ends_with(LOCK_SUFFIX)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
