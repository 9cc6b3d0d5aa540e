//! Sealed Parquet: how tables are stored.
//!
//! A table is plain Parquet that any tool reads. Its footer says what it holds (`holdfast.kind`), in which version
//! (`holdfast.format_version`), and carries a checksum (`holdfast.sha256`): the SHA-256 of the whole object with the 64 digits
//! of the checksum itself read as zeros. It is checked before a decoder sees a byte, because a Parquet decoder may panic or
//! invent values on damaged input. The checksum finds accidents; it is no signature.
//!
//! The same rows give the same bytes: every writer property that matters is fixed here, and the footer names neither the
//! version of the Parquet crate nor the Arrow schema in its own encoding. A newer Parquet crate may still lay pages out otherwise.

mod chunk;
mod columns;
mod hybrid;
mod statistics;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use holdfast_domain::Digest;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowSchemaConverter, ArrowWriter};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnDescPtr, ColumnPath};
use sha2::{Digest as _, Sha256};
use snap::raw::Encoder as Compressor;

use crate::error::FormatError;

pub(crate) use chunk::RowGroup;
pub(crate) use columns::{NumberKind, Numbers, Texts};

/// Rows of a row group of what is in memory as a whole, and of the batches it is built from.
pub(crate) const ROW_GROUP_ROWS: usize = 65_536;
const READ_BATCH_ROWS: usize = 8_192;
const PAGE_BYTES: usize = 1 << 20;
const PAGE_ROWS: usize = 20_000;
const WRITE_BATCH_ROWS: usize = 1_024;
const STATISTICS_BYTES: usize = 64;

const KIND: &str = "holdfast.kind";
const FORMAT_VERSION: &str = "holdfast.format_version";
const CHECKSUM: &str = "holdfast.sha256";
const CHECKSUM_DIGITS: usize = 64;
/// In Thrift's compact protocol: next field of type binary, length 64. What stands between the checksum's name and its digits.
const CHECKSUM_VALUE_HEADER: [u8; 2] = [0x18, 0x40];
const TRAILER_BYTES: usize = 8;

/// A kind of table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableFormat {
    /// Its name in the footer.
    pub(crate) kind: &'static str,
    /// The version written, and the newest one read.
    pub(crate) version: u32,
    /// Columns whose values hardly repeat: a dictionary would only cost.
    pub(crate) without_dictionary: &'static [&'static str],
    /// Rows of a row group. Its writer holds so many, and a reader at least their columns.
    pub(crate) row_group_rows: usize,
}

/// An opened table: its checksum holds and its version is known.
pub(crate) struct Table {
    /// The format version it was written with.
    pub(crate) version: u32,
    /// How many rows it has.
    pub(crate) rows: usize,
    reader: ParquetRecordBatchReader,
}

impl TableFormat {
    fn properties(&self) -> WriterProperties {
        let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
        let mut builder = WriterProperties::builder()
            .set_created_by("holdfast".to_owned())
            .set_writer_version(WriterVersion::PARQUET_1_0)
            .set_compression(Compression::SNAPPY)
            .set_dictionary_enabled(true)
            .set_dictionary_page_size_limit(PAGE_BYTES)
            .set_data_page_size_limit(PAGE_BYTES)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(WRITE_BATCH_ROWS)
            .set_max_row_group_row_count(Some(self.row_group_rows))
            .set_max_row_group_bytes(None)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_statistics_truncate_length(Some(STATISTICS_BYTES))
            .set_offset_index_disabled(true)
            .set_bloom_filter_enabled(false)
            // The checksum stays last: nothing that a caller chose may stand between it and the end of the footer.
            .set_key_value_metadata(Some(vec![
                pair(KIND, self.kind.to_owned()),
                pair(FORMAT_VERSION, self.version.to_string()),
                pair(CHECKSUM, "0".repeat(CHECKSUM_DIGITS)),
            ]));
        for column in self.without_dictionary {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(*column), false);
        }
        builder.build()
    }

    /// The bytes of a table. The batches must have the schema.
    pub(crate) fn encode(
        &self,
        schema: SchemaRef,
        batches: impl Iterator<Item = Result<RecordBatch, FormatError>>,
    ) -> Result<Bytes, FormatError> {
        let mut encoder = self.encoder(schema)?;
        for batch in batches {
            encoder.write(&batch?)?;
        }
        encoder.finish()
    }

    /// A table that is still to be written.
    pub(crate) fn encoder(&self, schema: SchemaRef) -> Result<TableEncoder, FormatError> {
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(unstorable)?;
        Ok(TableEncoder { writer })
    }

    /// Whether the values of a column repeat.
    pub(crate) fn with_dictionary(&self, column: &str) -> bool {
        !self.without_dictionary.contains(&column)
    }

    /// A table whose row groups are written column by column, without Arrow.
    pub(crate) fn writer(&self, schema: &Schema) -> Result<TableWriter, FormatError> {
        let schema = ArrowSchemaConverter::new().convert(schema).map_err(unstorable)?;
        let writer = SerializedFileWriter::new(Vec::new(), schema.root_schema_ptr(), Arc::new(self.properties()))
            .map_err(unstorable)?;
        Ok(TableWriter {
            writer,
            columns: schema.columns().to_vec(),
            compressor: Compressor::new(),
        })
    }

    /// Checks bytes and opens them for reading.
    pub(crate) fn open(&self, bytes: Bytes) -> Result<Table, FormatError> {
        check_seal(&bytes)?;
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder =
            ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options).map_err(FormatError::malformed)?;
        let footer = builder.metadata().file_metadata();
        let value = |name: &str| {
            let pairs = footer.key_value_metadata()?;
            pairs.iter().find(|pair| pair.key == name)?.value.clone()
        };
        let kind = value(KIND).unwrap_or_default();
        if kind != self.kind {
            return Err(FormatError::WrongKind {
                expected: self.kind,
                found: kind,
            });
        }
        let version = value(FORMAT_VERSION).and_then(|text| text.parse::<u32>().ok());
        let version = version.ok_or_else(|| FormatError::malformed("its footer has no format version"))?;
        if version == 0 || version > self.version {
            return Err(FormatError::UnsupportedVersion {
                kind: self.kind,
                found: version,
                newest: self.version,
            });
        }
        let rows = usize::try_from(footer.num_rows()).map_err(FormatError::malformed)?;
        let reader = builder
            .with_batch_size(READ_BATCH_ROWS)
            .build()
            .map_err(FormatError::malformed)?;
        Ok(Table { version, rows, reader })
    }
}

/// A table that batches are written to.
pub(crate) struct TableEncoder {
    writer: ArrowWriter<Vec<u8>>,
}

impl TableEncoder {
    /// Adds a batch, which must have the schema.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), FormatError> {
        self.writer.write(batch).map_err(unstorable)
    }

    /// The bytes, sealed.
    pub(crate) fn finish(self) -> Result<Bytes, FormatError> {
        seal(self.writer.into_inner().map_err(unstorable)?)
    }
}

/// A table that row groups are written to.
pub(crate) struct TableWriter {
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<ColumnDescPtr>,
    compressor: Compressor,
}

impl TableWriter {
    /// Adds a row group, whose columns `write` writes in the schema's order.
    pub(crate) fn row_group(
        &mut self,
        write: impl FnOnce(&mut RowGroup<'_>) -> Result<(), ParquetError>,
    ) -> Result<(), FormatError> {
        let mut group = RowGroup {
            group: self.writer.next_row_group().map_err(unstorable)?,
            columns: self.columns.iter(),
            compressor: &mut self.compressor,
        };
        write(&mut group).map_err(unstorable)?;
        group.group.close().map_err(unstorable)?;
        Ok(())
    }

    /// The bytes, sealed.
    pub(crate) fn finish(self) -> Result<Bytes, FormatError> {
        seal(self.writer.into_inner().map_err(unstorable)?)
    }
}

fn seal(mut bytes: Vec<u8>) -> Result<Bytes, FormatError> {
    let place = checksum_place(&bytes)
        .ok_or_else(|| FormatError::Unstorable("the footer has no place for the checksum".to_owned()))?;
    let checksum = Digest::of(&bytes).to_string();
    bytes[place].copy_from_slice(checksum.as_bytes());
    Ok(bytes.into())
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn unstorable(error: ParquetError) -> FormatError {
    FormatError::Unstorable(error.to_string())
}

impl Iterator for Table {
    type Item = Result<RecordBatch, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.next().map(|batch| batch.map_err(FormatError::malformed))
    }
}

/// A column of a batch, by name and type.
pub(crate) fn column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, FormatError> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| FormatError::Malformed(format!("it has no column {name}")))?;
    column
        .as_any()
        .downcast_ref::<A>()
        .ok_or_else(|| FormatError::Malformed(format!("its column {name} has the type {}", column.data_type())))
}

/// A column that may not have missing values.
pub(crate) fn full_column<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Result<&'a A, FormatError> {
    let column = column::<A>(batch, name)?;
    if column.null_count() > 0 {
        return Err(FormatError::Malformed(format!("its column {name} misses values")));
    }
    Ok(column)
}

fn check_seal(bytes: &[u8]) -> Result<(), FormatError> {
    let Some(place) = checksum_place(bytes) else {
        return Err(FormatError::malformed(
            "it is not a sealed Parquet table, or its footer is damaged",
        ));
    };
    let mut hash = Sha256::new();
    hash.update(&bytes[..place.start]);
    hash.update([b'0'; CHECKSUM_DIGITS]);
    hash.update(&bytes[place.end..]);
    let actual = Digest::from_bytes(hash.finalize().into());
    if actual.to_string().as_bytes() == &bytes[place] {
        Ok(())
    } else {
        Err(FormatError::Checksum)
    }
}

/// Where the digits of the checksum stand: behind the last place in the footer that looks like it, which is the real one,
/// because what callers chose (statistics of text columns) comes before.
fn checksum_place(bytes: &[u8]) -> Option<Range<usize>> {
    let body = bytes.len().checked_sub(TRAILER_BYTES)?;
    let (length, magic) = bytes[body..].split_at(4);
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let footer_start = body.checked_sub(length)?;
    if magic != b"PAR1" {
        return None;
    }
    let needle = [CHECKSUM.as_bytes(), &CHECKSUM_VALUE_HEADER].concat();
    let found = bytes[footer_start..body]
        .windows(needle.len())
        .rposition(|window| window == needle)?;
    let start = footer_start + found + needle.len();
    let end = start.checked_add(CHECKSUM_DIGITS).filter(|end| *end <= body)?;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::StringArray;
    use arrow_schema::{DataType, Field, Schema};

    use super::*;

    const FORMAT: TableFormat = TableFormat {
        kind: "sample",
        version: 2,
        without_dictionary: &["text"],
        row_group_rows: ROW_GROUP_ROWS,
    };

    fn encode(format: &TableFormat, texts: &[&str]) -> Bytes {
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false)]));
        let column = Arc::new(StringArray::from(texts.to_vec()));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
        format.encode(schema, std::iter::once(Ok(batch))).unwrap()
    }

    fn read(bytes: Bytes) -> Result<Vec<String>, FormatError> {
        let mut texts = Vec::new();
        for batch in FORMAT.open(bytes)? {
            let batch = batch?;
            texts.extend(
                full_column::<StringArray>(&batch, "text")?
                    .iter()
                    .flatten()
                    .map(str::to_owned),
            );
        }
        Ok(texts)
    }

    #[test]
    fn the_same_rows_give_the_same_bytes_and_read_back() {
        let bytes = encode(&FORMAT, &["a", "b"]);
        assert_eq!(bytes, encode(&FORMAT, &["a", "b"]));
        assert_eq!(read(bytes).unwrap(), ["a", "b"]);
    }

    #[test]
    fn every_flipped_byte_and_every_cut_is_found_before_decoding() {
        let bytes = encode(&FORMAT, &["a", "b"]);
        for position in 0..bytes.len() {
            assert!(read(bytes.slice(..position)).is_err());
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[position] ^= 1 << bit;
                assert!(read(flipped.into()).is_err(), "bit {bit} of byte {position}");
            }
        }
    }

    #[test]
    fn text_that_looks_like_a_checksum_does_not_mislead() {
        let decoy = format!("{CHECKSUM}\u{18}@{}", "1".repeat(64));
        let bytes = encode(&FORMAT, &[&decoy, CHECKSUM]);
        assert_eq!(read(bytes).unwrap(), [decoy.as_str(), CHECKSUM]);
    }

    #[test]
    fn another_kind_and_a_newer_version_are_named() {
        let other = encode(
            &TableFormat {
                kind: "other",
                ..FORMAT
            },
            &["a"],
        );
        assert_eq!(
            read(other).unwrap_err(),
            FormatError::WrongKind {
                expected: "sample",
                found: "other".to_owned()
            }
        );
        let newer = encode(&TableFormat { version: 3, ..FORMAT }, &["a"]);
        let unsupported = FormatError::UnsupportedVersion {
            kind: "sample",
            found: 3,
            newest: 2,
        };
        assert_eq!(read(newer).unwrap_err(), unsupported);
        assert_eq!(
            FORMAT
                .open(encode(&TableFormat { version: 1, ..FORMAT }, &["a"]))
                .unwrap()
                .version,
            1
        );
    }
}
