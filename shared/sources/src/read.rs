//! Reading: a whole table, or chunk by chunk.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use holdfast_domain::{Customer, Schema, Strictness};

use crate::blocking::Blocking;
use crate::error::SourceError;
use crate::header::Reading;
use crate::raw::RawTable;
use crate::rows::Rows;
use crate::spec::SourceSpec;
use crate::{csv, mysql, parquet, postgres, sqlite};

/// Rows that one step of [`read`] asks for.
const STEP_ROWS: usize = 8_192;

/// A table that is read from its first row to its last. Each kind of source implements it in a module of its own.
#[async_trait]
pub trait Source: Send {
    /// The names of its columns, in its own order.
    fn column_names(&self) -> &[String];

    /// Reads up to `limit` more rows into `rows` and gives it back; at the table's end it comes back as it was.
    ///
    /// Rows that break rules are no error here: `rows` keeps account of them.
    ///
    /// # Errors
    /// Failures of the file or the database. Nothing more is to be read after one.
    async fn fill(&mut self, limit: usize, rows: Rows) -> Result<Rows, SourceError>;
}

// Boxed, so that the code of every kind of source is generated once, here, and not again in every crate that waits for it.
pub(crate) fn open(spec: &SourceSpec, reading: Reading) -> BoxFuture<'_, Result<Box<dyn Source>, SourceError>> {
    Box::pin(opened(spec, reading))
}

async fn opened(spec: &SourceSpec, reading: Reading) -> Result<Box<dyn Source>, SourceError> {
    let name = spec.to_string();
    match spec.clone() {
        SourceSpec::Csv { path } => {
            let file = name.clone();
            Blocking::open(&name, move || csv::CsvSource::open(file, &path, &reading)).await
        }
        SourceSpec::Parquet { path } => {
            let file = name.clone();
            Blocking::open(&name, move || parquet::ParquetSource::open(file, &path, &reading, 0)).await
        }
        SourceSpec::Sqlite { path, table } => Ok(Box::new(
            sqlite::SqliteSource::open(name, &path, &table, &reading).await?,
        )),
        SourceSpec::S3(_) => Err(SourceError::unsupported(
            name,
            "an object of S3 is fetched before it is read, and this command does not do that",
        )),
        SourceSpec::MySql(url) => mysql::open(&url),
        SourceSpec::Postgres(url) => postgres::open(&url),
    }
}

/// Reads a whole table into memory, in its own row order.
///
/// # Errors
/// [`SourceError::Invalid`] with the violations of *all* rows (the first hundred listed, the rest counted), or what kept the table
/// from being read.
pub async fn read(spec: &SourceSpec, schema: &Schema, strictness: Strictness) -> Result<Vec<Customer>, SourceError> {
    let schema = Arc::new(schema.clone());
    let mut source = open(spec, customers(&schema, strictness)).await?;
    let mut rows = Rows::customers(schema, strictness);
    loop {
        let before = rows.seen();
        rows = source.fill(STEP_ROWS, rows).await?;
        if rows.seen() == before {
            return rows.take(&spec.to_string());
        }
    }
}

/// Reads a whole table into memory as it is: every column, dropped and unknown ones as well, and nothing checked. `progress` is told
/// the number of rows read so far.
///
/// # Errors
/// What kept the table from being read. Rows and cells that break rules do not.
pub async fn read_raw(spec: &SourceSpec, mut progress: impl FnMut(u64)) -> Result<RawTable, SourceError> {
    let mut source = open(spec, Reading::Raw).await?;
    let mut rows = Rows::raw(RawTable::new(spec.to_string(), source.column_names()));
    loop {
        let before = rows.seen();
        rows = source.fill(STEP_ROWS, rows).await?;
        progress(rows.seen());
        if rows.seen() == before {
            break;
        }
    }
    rows.into_raw()
        .ok_or_else(|| SourceError::malformed(&spec.to_string(), "it was not read as it is"))
}

fn customers(schema: &Arc<Schema>, strictness: Strictness) -> Reading {
    Reading::Customers {
        schema: Arc::clone(schema),
        strictness,
    }
}

/// Goes through a table of any size, holding one chunk in memory.
pub struct ChunkReader {
    name: String,
    /// `None` after the end and after an error.
    state: Option<(Box<dyn Source>, Rows)>,
    chunk_rows: usize,
    rows_read: u64,
}

impl ChunkReader {
    /// Opens a table, to be read in chunks of `chunk_rows` rows (at least 1; the last chunk may be shorter).
    ///
    /// # Errors
    /// What keeps the table from being opened, columns that do not fit the schema among it.
    pub async fn open(
        spec: &SourceSpec,
        schema: &Schema,
        strictness: Strictness,
        chunk_rows: usize,
    ) -> Result<Self, SourceError> {
        let schema = Arc::new(schema.clone());
        let source = open(spec, customers(&schema, strictness)).await?;
        let state = Some((source, Rows::customers(schema, strictness)));
        Ok(Self {
            name: spec.to_string(),
            state,
            chunk_rows: chunk_rows.max(1),
            rows_read: 0,
        })
    }

    /// The next chunk in row order, or `None` at the end.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] with the violations of this chunk, their rows counted from the table's start; or what kept it from
    /// being read. After an error there is nothing more to read.
    pub async fn next_chunk(&mut self) -> Result<Option<Vec<Customer>>, SourceError> {
        let Some((mut source, mut rows)) = self.state.take() else {
            return Ok(None);
        };
        let wanted = rows.seen() + self.chunk_rows as u64;
        loop {
            let before = rows.seen();
            // What is left of the chunk is at most `chunk_rows`, so it fits a usize.
            let left = usize::try_from(wanted - before).unwrap_or(self.chunk_rows);
            rows = source.fill(left, rows).await?;
            if rows.seen() == before || rows.seen() == wanted {
                break;
            }
        }
        self.rows_read = rows.seen();
        let chunk = rows.take(&self.name)?;
        if chunk.is_empty() {
            return Ok(None);
        }
        self.state = Some((source, rows));
        Ok(Some(chunk))
    }

    /// Rows read so far.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }
}

impl std::fmt::Debug for ChunkReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkReader")
            .field("name", &self.name)
            .field("chunk_rows", &self.chunk_rows)
            .field("rows_read", &self.rows_read)
            .finish_non_exhaustive()
    }
}
