//! Parquet files that name their columns as the schema does. Numbers may be stored as any integer, float or decimal, text plain or as a
//! dictionary.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, BooleanArray, Decimal128Array, Float32Array, Float64Array, LargeStringArray, PrimitiveArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow_schema::DataType;
use holdfast_domain::{FieldValue, Rule, Violation};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use crate::blocking::BlockingSource;
use crate::error::{SourceError, require_file};
use crate::header::{self, Reading, Slot};
use crate::rows::Rows;

/// Rows decoded at a time; bounds the memory, whatever the file's row groups are.
const BATCH_ROWS: usize = 8_192;

pub(crate) struct ParquetSource {
    name: String,
    reader: ParquetRecordBatchReader,
    column_names: Vec<String>,
    /// One per column that is read.
    slots: Vec<Slot>,
    rows: u64,
    /// What is left of the last batch.
    rest: Option<RecordBatch>,
}

impl ParquetSource {
    /// Opens a file, to be read from behind its first `skipped` rows.
    pub(crate) fn open(name: String, path: &Path, reading: &Reading, skipped: u64) -> Result<Self, SourceError> {
        require_file(&name, path)?;
        let file = File::open(path).map_err(|error| SourceError::io(&name, "opening", error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| SourceError::malformed(&name, format!("it is not a readable Parquet file: {error}")))?;
        let fields = builder.schema().fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let mut slots =
            header::resolve(&names, reading).map_err(|violations| SourceError::columns(&name, violations))?;
        let odd: Vec<usize> = (0..slots.len())
            .filter(|index| slots[*index].is_some() && !is_readable(fields[*index].data_type(), reading))
            .collect();
        match reading {
            Reading::Customers { .. } | Reading::Features { .. } if !odd.is_empty() => {
                let violations = odd.iter().map(|index| unreadable(&fields[*index])).collect();
                return Err(SourceError::columns(&name, violations));
            }
            // A raw table says of every cell of such a column that it cannot be read.
            _ => odd.iter().for_each(|index| slots[*index] = None),
        }
        let column_names = names.into_iter().map(str::to_owned).collect();
        let read: Vec<usize> = (0..slots.len()).filter(|index| slots[*index].is_some()).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read);
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        let builder = match usize::try_from(skipped.min(rows)) {
            Ok(0) | Err(_) => builder,
            Ok(skipped) => builder.with_offset(skipped),
        };
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| SourceError::malformed(&name, format!("it is not a readable Parquet file: {error}")))?;
        Ok(Self {
            name,
            reader,
            column_names,
            slots: slots.into_iter().flatten().collect(),
            rows,
            rest: None,
        })
    }

    /// How many rows the file says it has.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// What each column of a batch is for.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The next `limit` rows as they are stored, in one batch or more; fewer at the file's end.
    pub(crate) fn take_batches(&mut self, limit: usize) -> Result<Vec<RecordBatch>, SourceError> {
        let mut batches = Vec::new();
        let mut left = limit;
        while left > 0
            && let Some(batch) = self.take_batch(left)?
        {
            left -= batch.num_rows();
            batches.push(batch);
        }
        Ok(batches)
    }

    /// The next rows, at most `limit`; `None` at the end.
    fn take_batch(&mut self, limit: usize) -> Result<Option<RecordBatch>, SourceError> {
        let Some(batch) = self.next_batch()? else {
            return Ok(None);
        };
        if batch.num_rows() <= limit {
            return Ok(Some(batch));
        }
        self.rest = Some(batch.slice(limit, batch.num_rows() - limit));
        Ok(Some(batch.slice(0, limit)))
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, SourceError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let batch = self.reader.next().transpose();
        batch.map_err(|error| SourceError::malformed(&self.name, format!("it is damaged or not supported: {error}")))
    }
}

impl BlockingSource for ParquetSource {
    fn column_names(&self) -> &[String] {
        &self.column_names
    }

    fn fill(&mut self, limit: usize, rows: &mut Rows) -> Result<(), SourceError> {
        let mut left = limit;
        while left > 0
            && let Some(batch) = self.take_batch(left)?
        {
            left -= batch.num_rows();
            let cells: Vec<Cells<'_>> = batch.columns().iter().map(|column| cells(column.as_ref())).collect();
            for row in 0..batch.num_rows() {
                rows.push(
                    self.slots
                        .iter()
                        .zip(&cells)
                        .map(|(slot, cells)| (*slot, Ok(cells.get(row)))),
                );
            }
        }
        Ok(())
    }
}

/// A column of a batch, its type looked at once and not for every cell.
pub(crate) enum Cells<'a> {
    Missing,
    Boolean(&'a BooleanArray),
    Float64(&'a Float64Array),
    Float32(&'a Float32Array),
    Decimal(&'a Decimal128Array, f64),
    Integer(Box<dyn Fn(usize) -> FieldValue<'a> + 'a>),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Dictionary {
        array: &'a dyn Array,
        keys: Vec<usize>,
        values: Box<Cells<'a>>,
    },
}

impl<'a> Cells<'a> {
    pub(crate) fn get(&self, row: usize) -> FieldValue<'a> {
        match self {
            Cells::Missing => FieldValue::Missing,
            Cells::Boolean(array) if array.is_valid(row) => {
                FieldValue::Text(if array.value(row) { "true" } else { "false" })
            }
            Cells::Float64(array) if array.is_valid(row) => number(array.value(row)),
            Cells::Float32(array) if array.is_valid(row) => number(f64::from(array.value(row))),
            Cells::Decimal(array, scale) if array.is_valid(row) => number(array.value(row) as f64 / scale),
            Cells::Integer(get) => get(row),
            Cells::Text(array) if array.is_valid(row) => FieldValue::Text(array.value(row)),
            Cells::LargeText(array) if array.is_valid(row) => FieldValue::Text(array.value(row)),
            Cells::TextView(array) if array.is_valid(row) => FieldValue::Text(array.value(row)),
            Cells::Dictionary { array, keys, values } if array.is_valid(row) => values.get(keys[row]),
            _ => FieldValue::Missing,
        }
    }
}

/// NaN is how data frames store "no value" in a float column, so here, and only here, it is one.
fn number<'a>(value: f64) -> FieldValue<'a> {
    if value.is_nan() {
        FieldValue::Missing
    } else {
        FieldValue::Number(value)
    }
}

fn integer<'a, T>(array: &'a PrimitiveArray<T>) -> Cells<'a>
where
    T: arrow_array::types::ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    Cells::Integer(Box::new(move |row| {
        if array.is_null(row) {
            return FieldValue::Missing;
        }
        let value: i128 = array.value(row).into();
        i64::try_from(value).map_or(FieldValue::Number(value as f64), FieldValue::Integer)
    }))
}

pub(crate) fn cells(array: &dyn Array) -> Cells<'_> {
    match array.data_type() {
        DataType::Boolean => Cells::Boolean(array.as_boolean()),
        DataType::Float64 => Cells::Float64(array.as_primitive::<Float64Type>()),
        DataType::Float32 => Cells::Float32(array.as_primitive::<Float32Type>()),
        DataType::Decimal128(_, scale) => {
            Cells::Decimal(array.as_primitive::<Decimal128Type>(), 10_f64.powi(i32::from(*scale)))
        }
        DataType::Int8 => integer(array.as_primitive::<Int8Type>()),
        DataType::Int16 => integer(array.as_primitive::<Int16Type>()),
        DataType::Int32 => integer(array.as_primitive::<Int32Type>()),
        DataType::Int64 => integer(array.as_primitive::<Int64Type>()),
        DataType::UInt8 => integer(array.as_primitive::<UInt8Type>()),
        DataType::UInt16 => integer(array.as_primitive::<UInt16Type>()),
        DataType::UInt32 => integer(array.as_primitive::<UInt32Type>()),
        DataType::UInt64 => integer(array.as_primitive::<UInt64Type>()),
        DataType::Utf8 => Cells::Text(array.as_string::<i32>()),
        DataType::LargeUtf8 => Cells::LargeText(array.as_string::<i64>()),
        DataType::Utf8View => Cells::TextView(array.as_string_view()),
        DataType::Dictionary(_, _) => dictionary(array),
        _ => Cells::Missing,
    }
}

fn dictionary(array: &dyn Array) -> Cells<'_> {
    match array.as_any_dictionary_opt() {
        // Arrow's normalized_keys refuses a dictionary without values, which is what a column of nulls has.
        Some(dictionary) if !dictionary.values().is_empty() => {
            let values = Box::new(cells(dictionary.values().as_ref()));
            Cells::Dictionary {
                array,
                keys: dictionary.normalized_keys(),
                values,
            }
        }
        _ => Cells::Missing,
    }
}

fn is_readable(data_type: &DataType, reading: &Reading) -> bool {
    match data_type {
        // No feature is a truth value, but a column that gives the target away may well be.
        DataType::Boolean => matches!(reading, Reading::Raw),
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Decimal128(_, _) => true,
        DataType::Float32 | DataType::Float64 => true,
        DataType::Dictionary(_, values) => {
            !matches!(**values, DataType::Dictionary(_, _)) && is_readable(values, reading)
        }
        other => other.is_integer(),
    }
}

fn unreadable(field: &arrow_schema::Field) -> Violation {
    let name = field.name();
    let message = format!(
        "{name} is stored as {}; a column of numbers or text is needed",
        field.data_type()
    );
    Violation::new(name, Rule::NotANumber, message)
}
