//! Snapshots: tables taken in, checked as a whole and stored under the digest of their bytes.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use holdfast_chassis::clock::Clock;
use holdfast_domain::{Customer, Digest, Schema, Strictness, validate_table};
use holdfast_records::snapshot::{self, SnapshotManifest, SnapshotSource};
use holdfast_sources::{SourceError, SourceSpec};
use holdfast_storage::BlobStore;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt as _;

use super::runs::Violations;
use crate::error::{Error, Result};
use crate::metrics::{ImportOutcome, Metrics};

/// Manifests read at once for a list.
const READ_AHEAD: usize = 16;

/// How the bytes of an import are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Parquet with the schema's columns.
    Parquet,
}

/// A snapshot that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What is known of it.
    pub manifest: SnapshotManifest,
    /// Columns of the import that the schema says to drop.
    pub dropped_columns: Vec<String>,
}

/// One page of snapshots, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotPage {
    /// The snapshots.
    pub snapshots: Vec<SnapshotManifest>,
    /// The last one of this page, where the next page begins; `None` on the last page.
    pub next: Option<Digest>,
}

/// Snapshots in a blob store.
#[derive(Clone, Debug)]
pub struct Snapshots {
    blobs: Arc<dyn BlobStore>,
    schema: &'static Schema,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    incoming: PathBuf,
    max_bytes: u64,
}

/// A table that is being sent: bytes go to a file of their own, which goes with this value.
#[derive(Debug)]
pub struct Upload {
    snapshots: Snapshots,
    file: tokio::fs::File,
    path: TempPath,
    format: TableFormat,
    source: String,
    bytes: u64,
}

impl Snapshots {
    /// Snapshots in `blobs`; tables that are being sent lie in `incoming`, which is emptied: what lies there is of a process that has ended.
    ///
    /// # Errors
    /// [`Error::LocalState`] when the directory cannot be used.
    pub fn open(
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        incoming: PathBuf,
        max_bytes: u64,
    ) -> Result<Self> {
        let cleared = match std::fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&incoming),
        };
        cleared.map_err(|source| Error::LocalState {
            path: incoming.clone(),
            source,
        })?;
        Ok(Self {
            blobs,
            schema: Schema::embedded(),
            clock,
            metrics,
            incoming,
            max_bytes,
        })
    }

    /// Begins to take in a table. `source` says for people where it comes from.
    ///
    /// # Errors
    /// [`Error::LocalState`] when no file can be made.
    pub fn upload(&self, format: TableFormat, source: &str) -> Result<Upload> {
        let suffix = match format {
            TableFormat::Csv => ".csv",
            TableFormat::Parquet => ".parquet",
        };
        let made = tempfile::Builder::new()
            .prefix("import-")
            .suffix(suffix)
            .tempfile_in(&self.incoming);
        let (file, path) = made.map_err(|source| self.local(source))?.into_parts();
        Ok(Upload {
            snapshots: self.clone(),
            file: tokio::fs::File::from_std(file),
            path,
            format,
            source: if source.is_empty() {
                "upload".to_owned()
            } else {
                source.to_owned()
            },
            bytes: 0,
        })
    }

    fn local(&self, source: std::io::Error) -> Error {
        Error::LocalState {
            path: self.incoming.clone(),
            source,
        }
    }

    /// Checks a whole table and stores it. The same rows again are the snapshot that is there.
    ///
    /// # Errors
    /// [`Error::Table`] with what is wrong; the blob store's.
    pub async fn store(&self, table: &str, customers: Vec<Customer>) -> Result<SnapshotManifest> {
        let schema = self.schema;
        let (customers, checked) = aside(move || {
            let checked = validate_table(&customers, schema).map(drop);
            (customers, checked)
        })
        .await?;
        checked.map_err(|found| Error::Table {
            table: table.to_owned(),
            violations: Violations::new(found, 0),
        })?;
        let source = SnapshotSource {
            source: table.to_owned(),
            query_or_window: None,
            parents: Vec::new(),
            window: None,
            created_at: self.clock.now(),
        };
        Ok(snapshot::write(&*self.blobs, &customers, schema, source).await?)
    }

    /// What is known of a snapshot.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`]; the blob store's.
    pub async fn get(&self, digest: &Digest) -> Result<SnapshotManifest> {
        snapshot::read_manifest(&*self.blobs, digest).await.map_err(|error| {
            if error.is_not_found() {
                Error::NoSuchSnapshot(*digest)
            } else {
                error.into()
            }
        })
    }

    /// Snapshots, newest first; `after` is the last one of the page before.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn list(&self, size: usize, after: Option<Digest>) -> Result<SnapshotPage> {
        let digests = snapshot::list(&*self.blobs).await?;
        let reads = digests.into_iter().map(|digest| {
            let blobs = Arc::clone(&self.blobs);
            async move { snapshot::read_manifest(&*blobs, &digest).await }
        });
        let mut snapshots: Vec<SnapshotManifest> = stream::iter(reads).buffered(READ_AHEAD).try_collect().await?;
        snapshots.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.digest.cmp(&b.digest)));
        if let Some(after) = after {
            let seen = snapshots.iter().position(|manifest| manifest.digest == after);
            let seen =
                seen.ok_or_else(|| Error::field("page_token", "page_token", "must be a token of an earlier answer"))?;
            snapshots.drain(..=seen);
        }
        let more = snapshots.len() > size;
        snapshots.truncate(size);
        let next = if more {
            snapshots.last().map(|manifest| manifest.digest)
        } else {
            None
        };
        Ok(SnapshotPage { snapshots, next })
    }
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limit; [`Error::LocalState`] when they cannot be written.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.snapshots.max_bytes {
            self.snapshots.metrics.import_ended(ImportOutcome::Refused);
            return Err(Error::TooLarge {
                limit: self.snapshots.max_bytes,
            });
        }
        self.file
            .write_all(bytes)
            .await
            .map_err(|source| self.snapshots.local(source))
    }

    /// All bytes are there: checks the table and stores it.
    ///
    /// # Errors
    /// [`Error::Table`] with every violation, [`Error::Unreadable`] when the bytes are no table; the stores'.
    pub async fn finish(mut self) -> Result<Imported> {
        let outcome = self.take_in().await;
        let metrics = &self.snapshots.metrics;
        match &outcome {
            Ok(imported) => {
                metrics.import_ended(ImportOutcome::Stored);
                metrics.imported_rows.inc_by(imported.manifest.rows);
                tracing::info!(
                    snapshot = %imported.manifest.digest, source = self.source, rows = imported.manifest.rows,
                    bytes = self.bytes, "snapshot imported"
                );
            }
            Err(Error::Table { .. } | Error::Unreadable { .. }) => metrics.import_ended(ImportOutcome::Refused),
            Err(_) => metrics.import_ended(ImportOutcome::Failed),
        }
        outcome
    }

    async fn take_in(&mut self) -> Result<Imported> {
        self.file.flush().await.map_err(|source| self.snapshots.local(source))?;
        let path = self.path.to_path_buf();
        let spec = match self.format {
            TableFormat::Csv => SourceSpec::Csv { path: path.clone() },
            TableFormat::Parquet => SourceSpec::Parquet { path: path.clone() },
        };
        let customers = read_table(&spec, &self.source, self.snapshots.schema).await?;
        let (format, schema) = (self.format, self.snapshots.schema);
        let dropped_columns = aside(move || dropped_columns(format, &path, schema)).await?;
        let manifest = self.snapshots.store(&self.source, customers).await?;
        Ok(Imported {
            manifest,
            dropped_columns,
        })
    }
}

/// Reads a table for training; `name` is what messages call it.
///
/// # Errors
/// [`Error::Table`] with what is wrong, [`Error::Unreadable`] for what is no table.
pub(super) async fn read_table(spec: &SourceSpec, name: &str, schema: &Schema) -> Result<Vec<Customer>> {
    holdfast_sources::read(spec, schema, Strictness::Training)
        .await
        .map_err(|error| {
            let table = name.to_owned();
            match error {
                SourceError::Invalid { violations, more, .. } => Error::Table {
                    table,
                    violations: Violations::new(violations, more),
                },
                SourceError::Malformed { reason, .. }
                | SourceError::Unsupported { reason, .. }
                | SourceError::InvalidSpec { reason, .. }
                | SourceError::Io { reason, .. } => Error::Unreadable { table, reason },
                SourceError::NotFound { .. } => Error::Unreadable {
                    table,
                    reason: "there is no such file".to_owned(),
                },
            }
        })
}

/// The columns of a table that was read before which the schema leaves out; in the table's order.
fn dropped_columns(format: TableFormat, path: &Path, schema: &Schema) -> Vec<String> {
    let names = match format {
        TableFormat::Csv => csv_columns(path),
        TableFormat::Parquet => parquet_columns(path),
    };
    let mut seen = HashSet::new();
    let dropped = names.unwrap_or_default().into_iter();
    dropped
        .filter(|name| schema.dropped(name) && seen.insert(name.clone()))
        .collect()
}

fn csv_columns(path: &Path) -> Option<Vec<String>> {
    let mut reader = csv::Reader::from_path(path).ok()?;
    Some(reader.headers().ok()?.iter().map(str::to_owned).collect())
}

fn parquet_columns(path: &Path) -> Option<Vec<String>> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).ok()?).ok()?;
    let fields = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .root_schema()
        .get_fields()
        .iter();
    Some(fields.map(|field| field.name().to_owned()).collect())
}

/// Work that would hold up other tasks.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        if error.is_panic() {
            Error::Panicked
        } else {
            Error::Ending
        }
    })
}
