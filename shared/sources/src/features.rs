//! Reading a table for scoring: features alone, the rules of serving, bad rows set aside and not in the way.
//!
//! [`FeatureReader`] gives chunks of rows as they are stored; [`PendingRows::decode`] makes features of them, which costs more than
//! reading and may happen on any thread. Chunks begin at multiples of the chunk size, whatever the file's own pieces are and wherever reading
//! began.

use std::sync::Arc;

use arrow_array::RecordBatch;
use holdfast_domain::{CustomerKey, FeatureVector, RowBuilder, Schema, Violation};

use crate::columnar;
use crate::error::SourceError;
use crate::header::{Reading, Slot};
use crate::parquet::ParquetSource;
use crate::read::{self, Source};
use crate::rows::Rows;
use crate::spec::SourceSpec;

/// Rows of a table, ready to be scored.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRows {
    /// Number of the first row in the table, counted from 1.
    pub first_row: u64,
    /// How many rows of the table these are, good and bad.
    pub rows: u64,
    /// Numbers of the good rows, in order.
    pub numbers: Vec<u64>,
    /// Key of each good row.
    pub keys: Vec<Option<CustomerKey>>,
    /// Features of each good row.
    pub features: Vec<FeatureVector>,
    /// The bad rows, in order.
    pub refused: Vec<RefusedRow>,
}

/// A row that breaks rules.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedRow {
    /// Its number in the table, counted from 1.
    pub row: u64,
    /// Its key, where that can be read.
    pub key: Option<CustomerKey>,
    /// Every rule it breaks, with the row's number.
    pub violations: Vec<Violation>,
}

impl FeatureRows {
    pub(crate) fn starting_at(first_row: u64) -> Self {
        Self {
            first_row,
            rows: 0,
            numbers: Vec::new(),
            keys: Vec::new(),
            features: Vec::new(),
            refused: Vec::new(),
        }
    }

    /// Keeps a row that was checked value by value.
    pub(crate) fn push(&mut self, number: u64, row: RowBuilder<'_>) {
        let (customer, violations) = row.finish_with_violations();
        if violations.is_empty() {
            self.numbers.push(number);
            self.keys.push(customer.key);
            self.features.push(customer.features);
        } else {
            self.refused.push(RefusedRow {
                row: number,
                key: customer.key,
                violations: violations
                    .into_iter()
                    .map(|violation| violation.in_row(number))
                    .collect(),
            });
        }
    }
}

/// Rows of a table as they are stored.
#[derive(Debug)]
pub struct PendingRows(Pending);

#[derive(Debug)]
enum Pending {
    Checked(FeatureRows),
    Columns {
        first_row: u64,
        batches: Vec<RecordBatch>,
        slots: Arc<[Slot]>,
        schema: Arc<Schema>,
    },
}

impl PendingRows {
    /// How many rows of the table these are.
    pub fn rows(&self) -> u64 {
        match &self.0 {
            Pending::Checked(rows) => rows.rows,
            Pending::Columns { batches, .. } => batches.iter().map(|batch| batch.num_rows() as u64).sum(),
        }
    }

    /// Checks the rows and makes features of them.
    pub fn decode(self) -> FeatureRows {
        match self.0 {
            Pending::Checked(rows) => rows,
            Pending::Columns {
                first_row,
                batches,
                slots,
                schema,
            } => columnar::decode(first_row, &batches, &slots, &schema),
        }
    }
}

/// Goes through a table of any size for scoring, holding one chunk in memory.
pub struct FeatureReader {
    name: String,
    schema: Arc<Schema>,
    /// `None` only after a read that failed.
    source: Option<Kind>,
    chunk_rows: usize,
    rows_read: u64,
    rows_expected: Option<u64>,
}

enum Kind {
    Rows(Box<dyn Source>, Rows),
    Parquet(Box<ParquetSource>, Arc<[Slot]>),
}

impl FeatureReader {
    /// Opens a table, to be read from behind its first `skipped` rows, in chunks of `chunk_rows` rows (at least 1; the last chunk may be
    /// shorter).
    ///
    /// # Errors
    /// What keeps the table from being opened, columns that do not fit the schema among it.
    pub async fn open(
        spec: &SourceSpec,
        schema: &Schema,
        chunk_rows: usize,
        skipped: u64,
    ) -> Result<Self, SourceError> {
        let schema = Arc::new(schema.clone());
        let reading = Reading::Features {
            schema: Arc::clone(&schema),
        };
        let name = spec.to_string();
        let (source, rows_expected) = match spec {
            SourceSpec::Parquet { path } => {
                let (file, path) = (name.clone(), path.clone());
                let opened = aside(&name, move || ParquetSource::open(file, &path, &reading, skipped)).await?;
                let slots = opened.slots().into();
                let rows = opened.rows();
                (Kind::Parquet(Box::new(opened), slots), Some(rows))
            }
            _ => {
                let source = pass_over(read::open(spec, reading).await?, skipped).await?;
                (Kind::Rows(source, Rows::features(Arc::clone(&schema), skipped)), None)
            }
        };
        Ok(Self {
            name,
            schema,
            source: Some(source),
            chunk_rows: chunk_rows.max(1),
            rows_read: skipped,
            rows_expected,
        })
    }

    /// Rows read so far, those passed over included.
    pub fn rows_read(&self) -> u64 {
        self.rows_read
    }

    /// How many rows the table has, where it says so before it is read.
    pub fn rows_expected(&self) -> Option<u64> {
        self.rows_expected
    }

    /// The next chunk in row order, or `None` at the end.
    ///
    /// # Errors
    /// What kept the table from being read; nothing more is to be read then. Rows that break rules are no error.
    pub async fn next(&mut self) -> Result<Option<PendingRows>, SourceError> {
        let Some(source) = self.source.take() else {
            return Ok(None);
        };
        let chunk = self.chunk_rows as u64;
        // At most `chunk_rows`, so it fits a usize.
        let limit = usize::try_from(chunk - self.rows_read % chunk).unwrap_or(self.chunk_rows);
        let pending = match source {
            Kind::Parquet(mut opened, slots) => {
                let read = move || opened.take_batches(limit).map(|batches| (opened, batches));
                let (opened, batches) = aside(&self.name, read).await?;
                self.source = Some(Kind::Parquet(opened, Arc::clone(&slots)));
                Pending::Columns {
                    first_row: self.rows_read + 1,
                    batches,
                    slots,
                    schema: Arc::clone(&self.schema),
                }
            }
            Kind::Rows(mut source, mut rows) => {
                let wanted = rows.seen() + limit as u64;
                rows = fill(&mut *source, wanted, rows).await?;
                let taken = rows.take_features();
                self.source = Some(Kind::Rows(source, rows));
                Pending::Checked(taken.unwrap_or_else(|| FeatureRows::starting_at(self.rows_read + 1)))
            }
        };
        let pending = PendingRows(pending);
        self.rows_read += pending.rows();
        Ok((pending.rows() > 0).then_some(pending))
    }
}

/// Reads until `wanted` rows were seen, or to the end.
async fn fill(source: &mut dyn Source, wanted: u64, mut rows: Rows) -> Result<Rows, SourceError> {
    loop {
        let before = rows.seen();
        rows = source
            .fill(usize::try_from(wanted - before).unwrap_or(usize::MAX), rows)
            .await?;
        if rows.seen() == before || rows.seen() >= wanted {
            return Ok(rows);
        }
    }
}

async fn pass_over(mut source: Box<dyn Source>, skipped: u64) -> Result<Box<dyn Source>, SourceError> {
    if skipped > 0 {
        fill(&mut *source, skipped, Rows::counted()).await?;
    }
    Ok(source)
}

/// Runs what reads with blocking calls where it holds up nobody. A panic inside a decoder is a damaged file.
async fn aside<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| SourceError::malformed(name, format!("it could not be decoded: {error}")))?
}

impl std::fmt::Debug for FeatureReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeatureReader")
            .field("name", &self.name)
            .field("chunk_rows", &self.chunk_rows)
            .field("rows_read", &self.rows_read)
            .finish_non_exhaustive()
    }
}
