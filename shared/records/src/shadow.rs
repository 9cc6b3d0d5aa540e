//! What a shadow showed: rows that champion and challenger both scored, in Parquet objects by the hour.
//!
//! Columns of format 1: `request_id` text, `row_index` uint32, `event_time` timestamp (microseconds, UTC), `customer_key` int64
//! or null, `model` text, `rollout_revision` uint64, `champion_version` and `challenger_version` uint32, `champion_score` and
//! `challenger_score` float64, `champion_label` and `challenger_label` bool. Rows in the order scored. A row is named by
//! (`request_id`, `row_index`) as in the prediction log, which has its features.
//!
//! Best effort: the log of predictions is the promise, this is not. A replica that dies or cannot reach the blob store loses
//! the rows it holds, and counts those it gives up.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field, SchemaRef};
use bytes::Bytes;
use holdfast_domain::{CustomerKey, ModelName, ModelVersion};
use jiff::Timestamp;

use crate::error::FormatError;
use crate::prediction::time_type;
use crate::table::{ROW_GROUP_ROWS, TableFormat, column, full_column};

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT: TableFormat = TableFormat {
    kind: "shadows",
    version: FORMAT_VERSION,
    without_dictionary: &["request_id", "event_time", "champion_score", "challenger_score"],
    row_group_rows: ROW_GROUP_ROWS,
};

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(arrow_schema::Schema::new(vec![
        Field::new("request_id", DataType::Utf8, false),
        Field::new("row_index", DataType::UInt32, false),
        Field::new("event_time", time_type(), false),
        Field::new("customer_key", DataType::Int64, true),
        Field::new("model", DataType::Utf8, false),
        Field::new("rollout_revision", DataType::UInt64, false),
        Field::new("champion_version", DataType::UInt32, false),
        Field::new("challenger_version", DataType::UInt32, false),
        Field::new("champion_score", DataType::Float64, false),
        Field::new("challenger_score", DataType::Float64, false),
        Field::new("champion_label", DataType::Boolean, false),
        Field::new("challenger_label", DataType::Boolean, false),
    ]))
});

/// One row that both versions scored.
#[derive(Clone, Debug, PartialEq)]
pub struct ShadowRecord {
    /// The request that the champion answered.
    pub request_id: String,
    /// Its row within a batch; 0 for a single prediction.
    pub row_index: u32,
    /// When the champion answered, about; stored to the microsecond.
    pub event_time: Timestamp,
    /// The customer, if the caller said.
    pub customer_key: Option<CustomerKey>,
    /// The model.
    pub model: ModelName,
    /// The rollout: the revision that began it.
    pub rollout_revision: u64,
    /// The version that answered.
    pub champion_version: ModelVersion,
    /// The version on trial.
    pub challenger_version: ModelVersion,
    /// The champion's probability of attrition, 0 to 1.
    pub champion_score: f64,
    /// The challenger's, 0 to 1.
    pub challenger_score: f64,
    /// Whether the champion's is at or above the champion's threshold.
    pub champion_label: bool,
    /// Whether the challenger's is at or above the challenger's threshold.
    pub challenger_label: bool,
}

/// The bytes of an object: a function of the records and their order alone.
///
/// # Errors
/// None in fact; encoding shares one signature.
pub fn encode(records: &[ShadowRecord]) -> Result<Bytes, FormatError> {
    FORMAT.encode(Arc::clone(&COLUMNS), records.chunks(ROW_GROUP_ROWS).map(batch))
}

fn batch(rows: &[ShadowRecord]) -> Result<RecordBatch, FormatError> {
    let times = rows.iter().map(|row| row.event_time.as_microsecond());
    let numbers = |of: fn(&ShadowRecord) -> f64| Float64Array::from_iter_values(rows.iter().map(of));
    let versions =
        |of: fn(&ShadowRecord) -> ModelVersion| UInt32Array::from_iter_values(rows.iter().map(|row| of(row).0));
    let labels = |of: fn(&ShadowRecord) -> bool| rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>();
    let keys = rows.iter().map(|row| row.customer_key.map(|key| key.0));
    let revisions = rows.iter().map(|row| row.rollout_revision);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.request_id))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.row_index))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
        Arc::new(keys.collect::<Int64Array>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.model.as_str()))),
        Arc::new(UInt64Array::from_iter_values(revisions)),
        Arc::new(versions(|row| row.champion_version)),
        Arc::new(versions(|row| row.challenger_version)),
        Arc::new(numbers(|row| row.champion_score)),
        Arc::new(numbers(|row| row.challenger_score)),
        Arc::new(labels(|row| row.champion_label)),
        Arc::new(labels(|row| row.challenger_label)),
    ];
    RecordBatch::try_new(Arc::clone(&COLUMNS), columns).map_err(|error| FormatError::Unstorable(error.to_string()))
}

/// The records of an object, in their order.
///
/// # Errors
/// [`FormatError`] for bytes that are damaged, of another kind or of a newer version. Never panics.
pub fn decode(bytes: Bytes) -> Result<Vec<ShadowRecord>, FormatError> {
    let table = FORMAT.open(bytes)?;
    match table.version {
        1 => {
            let mut records = Vec::with_capacity(table.rows);
            for batch in table {
                decode_v1(&batch?, &mut records)?;
            }
            Ok(records)
        }
        found => Err(FormatError::UnsupportedVersion {
            kind: FORMAT.kind,
            found,
            newest: FORMAT_VERSION,
        }),
    }
}

fn decode_v1(batch: &RecordBatch, records: &mut Vec<ShadowRecord>) -> Result<(), FormatError> {
    let request_ids = full_column::<StringArray>(batch, "request_id")?;
    let row_indices = full_column::<UInt32Array>(batch, "row_index")?;
    let times = full_column::<TimestampMicrosecondArray>(batch, "event_time")?;
    let keys = column::<Int64Array>(batch, "customer_key")?;
    let models = full_column::<StringArray>(batch, "model")?;
    let revisions = full_column::<UInt64Array>(batch, "rollout_revision")?;
    let champions = full_column::<UInt32Array>(batch, "champion_version")?;
    let challengers = full_column::<UInt32Array>(batch, "challenger_version")?;
    let champion_scores = full_column::<Float64Array>(batch, "champion_score")?;
    let challenger_scores = full_column::<Float64Array>(batch, "challenger_score")?;
    let champion_labels = full_column::<BooleanArray>(batch, "champion_label")?;
    let challenger_labels = full_column::<BooleanArray>(batch, "challenger_label")?;
    for row in 0..batch.num_rows() {
        records.push(ShadowRecord {
            request_id: request_ids.value(row).to_owned(),
            row_index: row_indices.value(row),
            event_time: Timestamp::from_microsecond(times.value(row)).map_err(FormatError::malformed)?,
            customer_key: (!keys.is_null(row)).then(|| CustomerKey(keys.value(row))),
            model: models.value(row).parse().map_err(FormatError::malformed)?,
            rollout_revision: revisions.value(row),
            champion_version: ModelVersion(champions.value(row)),
            challenger_version: ModelVersion(challengers.value(row)),
            champion_score: champion_scores.value(row),
            challenger_score: challenger_scores.value(row),
            champion_label: champion_labels.value(row),
            challenger_label: challenger_labels.value(row),
        });
    }
    Ok(())
}
