//! Files in S3: fetched into a local file, then read as one.
//!
//! A Parquet reader jumps about in its file and a CSV reader goes through it once; on a local copy both do it at the disk's speed, an
//! interrupted download is begun again by the store, and what bounds the size is the disk and not the memory.

use std::path::Path;

use holdfast_storage::{BlobMeta, BlobStore as _, Key, S3Settings, S3Store};

use crate::error::SourceError;
use crate::spec::{ObjectFormat, S3Object, SourceSpec};

/// A local copy of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The copy as a source.
    pub spec: SourceSpec,
    /// What S3 said of the object before it was copied.
    pub object: BlobMeta,
}

impl S3Object {
    /// The bucket, by the settings of the services' own store but for bucket and folder, and the key in it.
    ///
    /// # Errors
    /// A name that is no key, settings that cannot be used.
    pub async fn open(&self, settings: &S3Settings) -> Result<(S3Store, Key), SourceError> {
        let name = self.to_string();
        let key = Key::parse(self.key.as_str()).map_err(|error| SourceError::InvalidSpec {
            text: name.clone(),
            reason: error.to_string(),
        })?;
        let settings = S3Settings {
            bucket: self.bucket.clone(),
            prefix: String::new(),
            ..settings.clone()
        };
        let store = S3Store::open(&settings).await;
        let store = store.map_err(|error| SourceError::unsupported(name, error.to_string()))?;
        Ok((store, key))
    }

    /// What S3 says of the object.
    ///
    /// # Errors
    /// [`SourceError::NotFound`]; what kept S3 from being asked.
    pub async fn head(&self, settings: &S3Settings) -> Result<BlobMeta, SourceError> {
        let (store, key) = self.open(settings).await?;
        let found = store.head(&key).await.map_err(|error| self.failed(&error))?;
        found.ok_or_else(|| SourceError::NotFound { name: self.to_string() })
    }

    /// A local file of this object's format.
    pub fn local(&self, path: &Path) -> SourceSpec {
        let path = path.to_owned();
        match self.format {
            ObjectFormat::Csv => SourceSpec::Csv { path },
            ObjectFormat::Parquet => SourceSpec::Parquet { path },
        }
    }

    pub(crate) fn failed(&self, error: &holdfast_storage::Error) -> SourceError {
        if error.is_not_found() {
            return SourceError::NotFound { name: self.to_string() };
        }
        SourceError::Io {
            name: self.to_string(),
            reason: error.to_string(),
            cause: None,
        }
    }
}

/// Copies an object into the file at `path`, which is replaced in one step.
///
/// # Errors
/// [`SourceError::NotFound`]; what kept S3 from being read or the file from being written.
pub async fn fetch(object: &S3Object, settings: &S3Settings, path: &Path) -> Result<Fetched, SourceError> {
    let (store, key) = object.open(settings).await?;
    let found = store.head(&key).await.map_err(|error| object.failed(&error))?;
    let meta = found.ok_or_else(|| SourceError::NotFound {
        name: object.to_string(),
    })?;
    let copied = store
        .get_to_file(&key, path)
        .await
        .map_err(|error| object.failed(&error))?;
    if copied != meta.size_bytes {
        return Err(SourceError::Io {
            name: object.to_string(),
            reason: format!(
                "it was replaced while it was fetched: {} bytes became {copied}",
                meta.size_bytes
            ),
            cause: None,
        });
    }
    Ok(Fetched {
        spec: object.local(path),
        object: meta,
    })
}
