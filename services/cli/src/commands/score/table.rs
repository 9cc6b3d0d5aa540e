//! The table of scores: its columns, its parts as CSV or Parquet, and the parts made one file.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, UInt32Array};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use holdfast_domain::CustomerKey;
use holdfast_model::Reason;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;

use super::place::TableFormat;

/// The columns of the CSV file, in the order that scripts rely on. The Parquet file has them, too.
const COLUMNS: [&str; 5] = ["CLIENTNUM", "probability", "label", "version", "reasons"];

/// The version of the columns, in the Parquet file's footer.
const FORMAT_VERSION: u32 = 1;

/// A reason as the Parquet file has it.
static REASON_FIELDS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("code", DataType::Utf8, false),
        Field::new("text", DataType::Utf8, false),
    ])
});

static REASON_FIELD: LazyLock<Arc<Field>> =
    LazyLock::new(|| Arc::new(Field::new("element", DataType::Struct(REASON_FIELDS.clone()), false)));

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new(COLUMNS[0], DataType::Int64, true),
        Field::new(COLUMNS[1], DataType::Float64, false),
        Field::new(COLUMNS[2], DataType::Boolean, false),
        Field::new(COLUMNS[3], DataType::UInt32, true),
        Field::new(COLUMNS[4], DataType::List(Arc::clone(&REASON_FIELD)), false),
    ]))
});

/// Scored rows before they are written.
#[derive(Debug)]
pub(super) struct Scores<'a> {
    /// Keys.
    pub(super) keys: &'a [Option<CustomerKey>],
    /// Probabilities of attrition, 0 to 1.
    pub(super) probabilities: &'a [f64],
    /// Labels.
    pub(super) labels: &'a [bool],
    /// The model's version.
    pub(super) version: Option<u32>,
    /// Reasons of each row; none at all when none are wanted.
    pub(super) reasons: Option<&'a [Vec<Reason>]>,
}

/// Scored rows in the form of the file.
#[derive(Debug)]
pub(super) enum Encoded {
    Csv(Vec<u8>),
    Parquet(RecordBatch),
}

/// Texts of reasons in one cell.
pub(super) fn in_words(reasons: &[Reason]) -> String {
    let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
    texts.join("; ")
}

impl Scores<'_> {
    /// The rows in a format.
    ///
    /// # Errors
    /// None in fact: memory takes everything.
    pub(super) fn encode(&self, format: TableFormat) -> io::Result<Encoded> {
        match format {
            TableFormat::Csv => self.csv().map(Encoded::Csv),
            TableFormat::Parquet => self.batch().map(Encoded::Parquet),
        }
    }

    fn csv(&self) -> io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::with_capacity(self.keys.len() * 64));
        let version = self.version.map(|version| version.to_string()).unwrap_or_default();
        for (row, key) in self.keys.iter().enumerate() {
            writer.write_field(key.map(|key| key.to_string()).unwrap_or_default())?;
            writer.write_field(self.probabilities[row].to_string())?;
            writer.write_field(if self.labels[row] { "1" } else { "0" })?;
            writer.write_field(&version)?;
            writer.write_field(self.reasons.map(|reasons| in_words(&reasons[row])).unwrap_or_default())?;
            writer.write_record(None::<&[u8]>)?;
        }
        writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }

    fn batch(&self) -> io::Result<RecordBatch> {
        let rows = self.keys.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.keys.iter().map(|key| key.map(|key| key.0)).collect::<Int64Array>()),
            Arc::new(Float64Array::from(self.probabilities.to_vec())),
            Arc::new(BooleanArray::from(self.labels.to_vec())),
            Arc::new(std::iter::repeat_n(self.version, rows).collect::<UInt32Array>()),
            self.reason_lists(),
        ];
        RecordBatch::try_new(Arc::clone(&SCHEMA), columns).map_err(io::Error::other)
    }

    fn reason_lists(&self) -> ArrayRef {
        let builder = StructBuilder::from_fields(REASON_FIELDS.clone(), 0);
        let mut lists = ListBuilder::new(builder).with_field(Arc::clone(&REASON_FIELD));
        for row in 0..self.keys.len() {
            for reason in self.reasons.map(|reasons| reasons[row].as_slice()).unwrap_or_default() {
                let entry = lists.values();
                for (place, text) in [reason.code(), reason.text.clone()].into_iter().enumerate() {
                    if let Some(column) = entry.field_builder::<StringBuilder>(place) {
                        column.append_value(text);
                    }
                }
                entry.append(true);
            }
            lists.append(true);
        }
        Arc::new(lists.finish())
    }
}

/// A part of the table while it is written.
pub(super) enum PartTable {
    Csv(BufWriter<File>),
    Parquet(Box<ArrowWriter<File>>),
}

impl PartTable {
    pub(super) fn create(path: &Path, format: TableFormat, part_rows: u64) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(match format {
            TableFormat::Csv => Self::Csv(BufWriter::with_capacity(1 << 20, file)),
            TableFormat::Parquet => {
                let options = ArrowWriterOptions::new()
                    .with_properties(properties(part_rows, None)?)
                    .with_skip_arrow_metadata(true);
                let writer = ArrowWriter::try_new_with_options(file, Arc::clone(&SCHEMA), options);
                Self::Parquet(Box::new(writer.map_err(unwritten)?))
            }
        })
    }

    pub(super) fn write(&mut self, rows: &Encoded) -> io::Result<()> {
        match (self, rows) {
            (Self::Csv(file), Encoded::Csv(bytes)) => file.write_all(bytes),
            (Self::Parquet(writer), Encoded::Parquet(batch)) => writer.write(batch).map_err(unwritten),
            _ => Err(io::Error::other("rows of another format")),
        }
    }

    /// Brings the part to the disk and answers its size.
    pub(super) fn finish(self) -> io::Result<u64> {
        let file = match self {
            Self::Csv(file) => file.into_inner().map_err(io::IntoInnerError::into_error)?,
            Self::Parquet(writer) => writer.into_inner().map_err(unwritten)?,
        };
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// How Parquet is written: one row group a part, and nothing that would differ between two runs.
fn properties(part_rows: u64, metadata: Option<Vec<KeyValue>>) -> io::Result<WriterProperties> {
    let rows = usize::try_from(part_rows).map_err(io::Error::other)?;
    let level = ZstdLevel::try_new(1).map_err(unwritten)?;
    Ok(WriterProperties::builder()
        .set_created_by("holdfast".to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(rows))
        .set_max_row_group_bytes(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_column_dictionary_enabled(ColumnPath::from(COLUMNS[0]), false)
        .set_key_value_metadata(metadata)
        .build())
}

/// What a Parquet result says of itself.
#[derive(Clone, Debug)]
pub(super) struct TableFacts {
    pub(super) model: String,
    pub(super) version: Option<u32>,
    pub(super) artifact_digest: String,
    pub(super) threshold: f64,
    pub(super) source: String,
    /// Rows of a row group.
    pub(super) part_rows: u64,
}

impl TableFacts {
    fn pairs(&self) -> Vec<KeyValue> {
        let pair = |name: &str, value: String| KeyValue::new(format!("holdfast.{name}"), value);
        vec![
            pair("kind", "scores".to_owned()),
            pair("format_version", FORMAT_VERSION.to_string()),
            pair("model", self.model.clone()),
            pair(
                "version",
                self.version.map(|version| version.to_string()).unwrap_or_default(),
            ),
            pair("artifact_sha256", self.artifact_digest.clone()),
            pair("threshold", self.threshold.to_string()),
            pair("source", self.source.clone()),
        ]
    }
}

/// Makes one file of the parts. Columns are copied as they are stored.
pub(super) fn join(parts: &[PathBuf], format: TableFormat, facts: &TableFacts, target: &Path) -> io::Result<()> {
    match format {
        TableFormat::Csv => join_csv(&[COLUMNS.join(",").as_bytes(), b"\n"].concat(), parts, target),
        TableFormat::Parquet => join_parquet(parts, facts, target),
    }
}

/// Makes one file of a header and parts that have none.
pub(super) fn join_csv(header: &[u8], parts: &[PathBuf], target: &Path) -> io::Result<()> {
    let mut file = File::create(target)?;
    file.write_all(header)?;
    for part in parts {
        io::copy(&mut File::open(part)?, &mut file)?;
    }
    file.sync_all()
}

fn join_parquet(parts: &[PathBuf], facts: &TableFacts, target: &Path) -> io::Result<()> {
    let root = parquet::arrow::ArrowSchemaConverter::new()
        .convert(&SCHEMA)
        .map_err(unwritten)?
        .root_schema_ptr();
    let properties = Arc::new(properties(facts.part_rows, Some(facts.pairs()))?);
    let file = BufWriter::with_capacity(1 << 20, File::create(target)?);
    let mut writer = SerializedFileWriter::new(file, root, properties).map_err(unwritten)?;
    for part in parts {
        let input = File::open(part)?;
        let metadata = SerializedFileReader::new(input.try_clone()?)
            .map_err(unwritten)?
            .metadata()
            .clone();
        for group in metadata.row_groups() {
            let mut joined = writer.next_row_group().map_err(unwritten)?;
            for column in group.columns() {
                let close = ColumnCloseResult {
                    bytes_written: u64::try_from(column.compressed_size()).map_err(io::Error::other)?,
                    rows_written: u64::try_from(group.num_rows()).map_err(io::Error::other)?,
                    metadata: column.clone(),
                    bloom_filter: None,
                    column_index: None,
                    offset_index: None,
                };
                joined.append_column(&input, close).map_err(unwritten)?;
            }
            joined.close().map_err(unwritten)?;
        }
    }
    let file = writer.into_inner().map_err(unwritten)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// The operating system's own error where there is one: a full disk must be told as such.
fn unwritten(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(other) => io::Error::other(other),
        },
        other => io::Error::other(other),
    }
}
