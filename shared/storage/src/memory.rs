//! Objects in a map: for tests and throw-away runs. Gone with the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;

use crate::error::{Error, Operation, Result};
use crate::key::{Key, Prefix};
use crate::landing::Landing;
use crate::store::{BlobBody, BlobMeta, BlobStore, Created};

const CHUNK_BYTES: usize = 256 * 1024;

#[derive(Debug, Clone)]
struct Object {
    body: Bytes,
    modified: Timestamp,
}

/// A blob store that lives as long as its value does.
#[derive(Default)]
pub struct MemoryStore {
    objects: Mutex<BTreeMap<Key, Object>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic elsewhere cannot leave the map half changed: every change is one call on it.
    fn objects(&self) -> MutexGuard<'_, BTreeMap<Key, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, key: &Key) -> Result<Object> {
        self.objects()
            .get(key)
            .cloned()
            .ok_or_else(|| Error::NotFound { key: key.clone() })
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore")
            .field("objects", &self.objects().len())
            .finish()
    }
}

#[async_trait]
impl BlobStore for MemoryStore {
    async fn create(&self, key: &Key, body: Bytes) -> Result<Created> {
        let mut objects = self.objects();
        if objects.contains_key(key) {
            return Ok(Created::AlreadyExists);
        }
        objects.insert(
            key.clone(),
            Object {
                body,
                modified: Timestamp::now(),
            },
        );
        Ok(Created::Yes)
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.objects().insert(
            key.clone(),
            Object {
                body,
                modified: Timestamp::now(),
            },
        );
        Ok(())
    }

    async fn create_from_file(&self, key: &Key, path: &Path) -> Result<Created> {
        let body = tokio::fs::read(path)
            .await
            .map_err(|cause| Error::io(Operation::Create, path.display().to_string(), cause))?;
        self.create(key, body.into()).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        Ok(self.object(key)?.body)
    }

    async fn open(&self, key: &Key) -> Result<BlobBody> {
        let body = self.object(key)?.body;
        let size_bytes = body.len() as u64;
        let mut chunks = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            chunks.push(Ok(rest.split_to(rest.len().min(CHUNK_BYTES))));
        }
        Ok(BlobBody {
            size_bytes,
            chunks: Box::pin(futures::stream::iter(chunks)),
        })
    }

    async fn get_to_file(&self, key: &Key, path: &Path) -> Result<u64> {
        let object = self.object(key)?;
        let mut landing = Landing::open(path).await?;
        landing.write(&object.body).await?;
        landing.finish().await
    }

    async fn head(&self, key: &Key) -> Result<Option<BlobMeta>> {
        Ok(self.objects().get(key).map(|object| meta(key, object)))
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<BlobMeta>> {
        let prefix = Prefix::parse(prefix)?;
        let from = match (after, prefix.folder()) {
            (Some(after), Some(folder)) if after < folder => Bound::Included(folder),
            (Some(after), _) => Bound::Excluded(after),
            (None, Some(folder)) => Bound::Included(folder),
            (None, None) => Bound::Unbounded,
        };
        Ok(self
            .objects()
            .range::<Key, _>((from, Bound::Unbounded))
            // Keys below a folder are not one range (`a-b` sorts between `a` and `a/b`), but all of them begin with its name.
            .take_while(|(key, _)| {
                prefix
                    .folder()
                    .is_none_or(|folder| key.as_str().starts_with(folder.as_str()))
            })
            .filter(|(key, _)| prefix.holds(key.as_str()))
            .take(limit)
            .map(|(key, object)| meta(key, object))
            .collect())
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.objects().remove(key);
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

fn meta(key: &Key, object: &Object) -> BlobMeta {
    BlobMeta {
        key: key.clone(),
        size_bytes: object.body.len() as u64,
        modified: object.modified,
        etag: None,
    }
}
