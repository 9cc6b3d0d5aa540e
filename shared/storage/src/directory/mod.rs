//! Objects as files below a local directory, safe among any number of processes of one machine.
//!
//! A write goes to a file of its own in `.incoming` first and is synced there; `create` then hard-links it to its place (the link call fails
//! when the place is taken: the one winner is decided by the file system), `put` renames it over; then the directory is synced. So an
//! object is whole or absent after a crash, and durable once the call has returned. A reader can see an object a moment before it is durable.
//!
//! Not promised: network file systems without hard links or `flock`. Directories left empty by deletes stay.

mod incoming;
mod names;
mod tree;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use jiff::Timestamp;

use self::incoming::{Incoming, Written};
use crate::error::{Error, Operation, Result};
use crate::key::{Key, Prefix};
use crate::landing::Landing;
use crate::store::{BlobBody, BlobMeta, BlobStore, Created};

/// A blob store in a local directory. Cheap to clone; clones share one session.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    incoming: Incoming,
    /// Directories whose own entry is known to be on disk, so that a write syncs only what it adds.
    synced: Mutex<HashSet<PathBuf>>,
}

impl DirectoryStore {
    /// Opens, and where needed makes, the directory; removes what crashed writers left in `.incoming`. Writers of other processes that are
    /// alive are not disturbed.
    ///
    /// # Errors
    /// [`Error::Io`] when the directory cannot be made or written.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let shown = root.display().to_string();
        run(Operation::Open, shown, move || {
            fs::create_dir_all(&root)?;
            let root = root.canonicalize()?;
            let incoming = Incoming::open(&root)?;
            sync_directory(&root)?;
            if let Some(parent) = root.parent() {
                // Not ours to require: the parent may be closed to us, and then its entry was there before.
                let _ = sync_directory(parent);
            }
            let synced = Mutex::new(HashSet::from([root.clone()]));
            Ok(Self {
                inner: Arc::new(Inner { root, incoming, synced }),
            })
        })
        .await
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    async fn on_key<T, F>(&self, operation: Operation, key: &Key, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Inner, PathBuf) -> io::Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let path = names::path_of(&inner.root, key);
        let outcome = run(operation, key.to_string(), move || work(&inner, path)).await;
        match outcome {
            // Only of a read: a write that misses a file lacks its source or the store's directory, not the object.
            Err(Error::Io { cause, .. })
                if cause.kind() == ErrorKind::NotFound && matches!(operation, Operation::Get | Operation::Head) =>
            {
                Err(Error::NotFound { key: key.clone() })
            }
            outcome => outcome,
        }
    }
}

#[async_trait]
impl BlobStore for DirectoryStore {
    async fn create(&self, key: &Key, body: Bytes) -> Result<Created> {
        self.on_key(Operation::Create, key, move |inner, path| {
            inner.create(&path, |incoming| incoming.write(&body))
        })
        .await
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.on_key(Operation::Put, key, move |inner, path| inner.put(&path, &body))
            .await
    }

    async fn create_from_file(&self, key: &Key, source: &Path) -> Result<Created> {
        let source = source.to_owned();
        self.on_key(Operation::Create, key, move |inner, path| {
            inner.create(&path, |incoming| incoming.copy(&source))
        })
        .await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.on_key(Operation::Get, key, |_, path| fs::read(path).map(Bytes::from))
            .await
    }

    async fn open(&self, key: &Key) -> Result<BlobBody> {
        let opened = self.on_key(Operation::Get, key, |_, path| {
            let file = File::open(path)?;
            let size_bytes = file.metadata()?.len();
            Ok((file, size_bytes))
        });
        // The file stays whole while it is open, whatever replaces or removes its name.
        let (file, size_bytes) = opened.await?;
        let key = key.clone();
        let chunks = stream::try_unfold(
            (tokio::fs::File::from_std(file), size_bytes),
            move |(mut file, left)| {
                let key = key.clone();
                async move {
                    if left == 0 {
                        return Ok(None);
                    }
                    let failed = |cause| Error::io(Operation::Get, key.to_string(), cause);
                    let wanted = usize::try_from(left).map_or(COPY_CHUNK_BYTES, |left| left.min(COPY_CHUNK_BYTES));
                    let mut chunk = bytes::BytesMut::with_capacity(wanted);
                    let mut limited = tokio::io::AsyncReadExt::take(&mut file, left);
                    match tokio::io::AsyncReadExt::read_buf(&mut limited, &mut chunk).await {
                        Ok(0) => Err(failed(ErrorKind::UnexpectedEof.into())),
                        Ok(read) => Ok(Some((chunk.freeze(), (file, left - read as u64)))),
                        Err(cause) => Err(failed(cause)),
                    }
                }
            },
        );
        Ok(BlobBody {
            size_bytes,
            chunks: Box::pin(chunks),
        })
    }

    async fn get_to_file(&self, key: &Key, target: &Path) -> Result<u64> {
        let mut source = tokio::fs::File::from_std(self.on_key(Operation::Get, key, |_, path| File::open(path)).await?);
        let mut landing = Landing::open(target).await?;
        let mut chunk = bytes::BytesMut::with_capacity(COPY_CHUNK_BYTES);
        loop {
            chunk.clear();
            let read = tokio::io::AsyncReadExt::read_buf(&mut source, &mut chunk).await;
            match read.map_err(|cause| Error::io(Operation::Get, key.to_string(), cause))? {
                0 => return landing.finish().await,
                _ => landing.write(&chunk).await?,
            }
        }
    }

    async fn head(&self, key: &Key) -> Result<Option<BlobMeta>> {
        let of = key.clone();
        match self
            .on_key(Operation::Head, key, move |_, path| meta(of, &fs::metadata(path)?))
            .await
        {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<BlobMeta>> {
        let prefix = Prefix::parse(prefix)?;
        let after = after.cloned();
        let inner = Arc::clone(&self.inner);
        run(Operation::List, format!("{prefix}*"), move || {
            tree::list(&inner.root, &prefix, after.as_ref(), limit)
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.on_key(Operation::Delete, key, |inner, path| inner.delete(&path))
            .await
    }

    fn describe(&self) -> String {
        format!("directory {}", self.inner.root.display())
    }
}

const COPY_CHUNK_BYTES: usize = 256 * 1024;

impl Inner {
    fn create(&self, path: &Path, write: impl FnOnce(&Incoming) -> io::Result<Written>) -> io::Result<Created> {
        if path.try_exists()? {
            return self.lost_to_another(path);
        }
        let written = write(&self.incoming)?;
        match self.place(path, || fs::hard_link(written.path(), path)) {
            Ok(()) => Ok(Created::Yes),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.lost_to_another(path),
            Err(error) => Err(error),
        }
    }

    /// The winner may not have synced yet, and who is told "already exists" builds on it: sync on the winner's behalf.
    fn lost_to_another(&self, path: &Path) -> io::Result<Created> {
        let parent = parent_of(path)?;
        self.make_parents(parent)?;
        sync_directory(parent)?;
        Ok(Created::AlreadyExists)
    }

    fn put(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let written = self.incoming.write(body)?;
        self.place(path, || fs::rename(written.path(), path))
    }

    /// Makes the parents, moves the file in, syncs its directory.
    fn place(&self, path: &Path, step: impl Fn() -> io::Result<()>) -> io::Result<()> {
        let parent = parent_of(path)?;
        self.make_parents(parent)?;
        match step() {
            // Somebody removed a directory that was there: what is known of them no longer holds.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.synced().retain(|known| *known == self.root);
                self.make_parents(parent)?;
                step()?;
            }
            outcome => outcome?,
        }
        sync_directory(parent)
    }

    fn make_parents(&self, parent: &Path) -> io::Result<()> {
        if self.synced().contains(parent) {
            return Ok(());
        }
        let mut missing: Vec<&Path> = parent
            .ancestors()
            .take_while(|ancestor| !self.synced().contains(*ancestor))
            .collect();
        while let Some(directory) = missing.pop() {
            match fs::create_dir(directory) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => sync_directory(parent_of(directory)?)?,
            }
            self.synced().insert(directory.to_owned());
        }
        Ok(())
    }

    fn delete(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Ok(()) => sync_directory(parent_of(path)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    // A panic elsewhere cannot leave the set half changed: every change is one call on it.
    fn synced(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parent_of(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("path has no parent"))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn meta(key: Key, metadata: &fs::Metadata) -> io::Result<BlobMeta> {
    let modified = Timestamp::try_from(metadata.modified()?).map_err(io::Error::other)?;
    Ok(BlobMeta {
        key,
        size_bytes: metadata.len(),
        modified,
        etag: None,
    })
}

async fn run<T, F>(operation: Operation, target: String, work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|stopped| io::Error::other(stopped.to_string()))
        .and_then(|outcome| outcome)
        .map_err(|cause| Error::io(operation, target, cause))
}
