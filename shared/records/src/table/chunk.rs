//! Row groups column by column, and a column's pages one after the other.

use std::ops::Range;
use std::slice;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, LevelHistogram, PageEncodingStats};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use snap::raw::Encoder as Compressor;

use super::hybrid::{hybrid, run};

/// Which rows of a column have a value.
#[derive(Default)]
pub(super) struct Presence {
    rows: usize,
    nulls: usize,
    /// 1 for a value and 0 for none; empty as long as every row has one, or none has.
    levels: Vec<u16>,
}

impl Presence {
    pub(super) fn value(&mut self) {
        if self.nulls > 0 {
            self.level(0, 1);
        }
        self.rows += 1;
    }

    pub(super) fn null(&mut self) {
        if self.nulls < self.rows {
            self.level(1, 0);
        }
        self.rows += 1;
        self.nulls += 1;
    }

    /// Adds a level that is not that of all rows before; `before` is, if there is no list yet.
    fn level(&mut self, before: u16, next: u16) {
        if self.levels.is_empty() {
            self.levels.resize(self.rows, before);
        }
        self.levels.push(next);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn nulls(&self) -> usize {
        self.nulls
    }

    pub(super) fn clear(&mut self) {
        (self.rows, self.nulls) = (0, 0);
        self.levels.clear();
    }

    /// Appends the levels of some rows as a page has them.
    fn encode(&self, rows: Range<usize>, out: &mut Vec<u8>) {
        let mut levels = Vec::new();
        match self.levels.get(rows.clone()) {
            Some(some) => hybrid(some, 1, &mut levels),
            None => run(u16::from(self.nulls == 0), rows.len(), 1, &mut levels),
        }
        // There are fewer bytes than rows.
        out.extend_from_slice(&u32::try_from(levels.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.append(&mut levels);
    }
}

/// A row group that columns are written to, in the schema's order.
pub(crate) struct RowGroup<'a> {
    pub(super) group: SerializedRowGroupWriter<'a, Vec<u8>>,
    pub(super) columns: slice::Iter<'a, ColumnDescPtr>,
    pub(super) compressor: &'a mut Compressor,
}

impl<'a> RowGroup<'a> {
    /// The next column.
    pub(super) fn column<'b>(&'b mut self, presence: &'b Presence) -> Result<ColumnChunk<'a, 'b>, ParquetError> {
        let column = self.columns.next();
        let column = column.ok_or_else(|| ParquetError::General("the schema has no such column".to_owned()))?;
        let nullable = column.max_def_level() > 0;
        if presence.nulls > 0 && !nullable {
            return Err(ParquetError::General(format!("{} misses values", column.name())));
        }
        Ok(ColumnChunk {
            group: &mut self.group,
            compressor: self.compressor,
            column,
            presence,
            nullable,
            bytes: TrackedWrite::new(Vec::new()),
            sizes: (0, 0),
            places: (None, None),
            encodings: vec![],
        })
    }
}

/// A column of a row group that pages are written to.
pub(super) struct ColumnChunk<'a, 'b> {
    group: &'b mut SerializedRowGroupWriter<'a, Vec<u8>>,
    compressor: &'b mut Compressor,
    column: &'b ColumnDescPtr,
    presence: &'b Presence,
    nullable: bool,
    bytes: TrackedWrite<Vec<u8>>,
    /// Compressed and not.
    sizes: (usize, usize),
    /// Of the dictionary and of the first page of values.
    places: (Option<u64>, Option<u64>),
    encodings: Vec<PageEncodingStats>,
}

impl ColumnChunk<'_, '_> {
    /// Writes the distinct values, which come before the pages.
    pub(super) fn dictionary(&mut self, plain: &[u8], distinct: usize) -> Result<(), ParquetError> {
        let page = Page::DictionaryPage {
            buf: self.compressed(plain)?,
            num_values: count(distinct)?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let written = self.page(page, plain.len())?;
        self.places.0 = Some(written.offset);
        Ok(())
    }

    /// Writes the values of some rows.
    pub(super) fn values(&mut self, rows: Range<usize>, encoding: Encoding, values: &[u8]) -> Result<(), ParquetError> {
        let num_values = count(rows.len())?;
        let mut levels_and_values = Vec::new();
        let body = if self.nullable {
            self.presence.encode(rows, &mut levels_and_values);
            levels_and_values.extend_from_slice(values);
            levels_and_values.as_slice()
        } else {
            values
        };
        let page = Page::DataPage {
            buf: self.compressed(body)?,
            num_values,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = self.page(page, body.len())?;
        self.places.1.get_or_insert(written.offset);
        Ok(())
    }

    /// Adds the column to its row group. `text_bytes` are the bytes of all texts, for a column of texts.
    pub(super) fn finish(self, statistics: Statistics, text_bytes: Option<usize>) -> Result<(), ParquetError> {
        let rows = i64::from(count(self.presence.rows)?);
        let nulls = i64::from(count(self.presence.nulls)?);
        let levels = self.nullable.then(|| LevelHistogram::from(vec![nulls, rows - nulls]));
        let encodings = self.encodings.iter().map(|page| &page.encoding);
        let metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(Compression::SNAPPY)
            // RLE is how the levels are stored; Parquet names it even where a column has none.
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.chain([&Encoding::RLE])))
            .set_page_encoding_stats(self.encodings.clone())
            .set_total_compressed_size(size(self.sizes.0)?)
            .set_total_uncompressed_size(size(self.sizes.1)?)
            .set_num_values(rows)
            .set_dictionary_page_offset(self.places.0.map(u64::cast_signed))
            .set_data_page_offset(self.places.1.unwrap_or_default().cast_signed())
            .set_statistics(statistics)
            .set_definition_level_histogram(levels)
            .set_unencoded_byte_array_data_bytes(text_bytes.map(size).transpose()?)
            .build()?;
        let close = ColumnCloseResult {
            bytes_written: self.bytes.bytes_written() as u64,
            rows_written: rows.cast_unsigned(),
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        self.group.append_column(&Bytes::from(self.bytes.into_inner()?), close)
    }

    fn page(&mut self, page: Page, uncompressed: usize) -> Result<PageWriteSpec, ParquetError> {
        let (page_type, encoding) = (page.page_type(), page.encoding());
        match self.encodings.last_mut() {
            Some(last) if (last.page_type, last.encoding) == (page_type, encoding) => last.count += 1,
            _ => self.encodings.push(PageEncodingStats {
                page_type,
                encoding,
                count: 1,
            }),
        }
        let page = CompressedPage::new(page, uncompressed);
        let written = SerializedPageWriter::new(&mut self.bytes).write_page(page)?;
        self.sizes.0 += written.compressed_size;
        self.sizes.1 += written.uncompressed_size;
        Ok(written)
    }

    fn compressed(&mut self, bytes: &[u8]) -> Result<Bytes, ParquetError> {
        let compressed = self.compressor.compress_vec(bytes);
        compressed
            .map(Bytes::from)
            .map_err(|error| ParquetError::External(error.into()))
    }
}

fn count(values: usize) -> Result<u32, ParquetError> {
    u32::try_from(values).map_err(|error| ParquetError::External(error.into()))
}

fn size(bytes: usize) -> Result<i64, ParquetError> {
    i64::try_from(bytes).map_err(|error| ParquetError::External(error.into()))
}
