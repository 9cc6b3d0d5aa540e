//! The prediction log: every prediction that was answered, in Parquet segments by the hour.
//!
//! Columns of format 1: `request_id` text, `row_index` uint32, `event_time` timestamp (microseconds, UTC), `customer_key` int64
//! or null, `model` text, `version` uint32, `generation` uint64, the nineteen features as received (float64, or text for
//! categories; null: not sent), `score` float64, `label` bool, `threshold` float64, `latency_us` uint32, `trace_id` text or null.
//! Rows in the order written. A record is named by (`request_id`, `row_index`); the log may hold it more than once (a segment uploaded
//! again after a crash), and readers drop repeats.

mod audit;
mod encoder;
mod objects;
mod verify;
mod window;

use std::sync::{Arc, LazyLock};

use arrow_array::{
    Array, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt32Array,
    UInt64Array,
};
use arrow_schema::{DataType, Field, SchemaRef, TimeUnit};
use bytes::Bytes;
use holdfast_domain::{
    CustomerKey, FEATURE_COUNT, Feature, FeatureKind, FeatureVector, Generation, ModelName, ModelVersion, Schema,
};
use jiff::Timestamp;

use crate::error::FormatError;
use crate::features::{self, FeatureReader, UNLISTED};
use crate::table::{TableFormat, column, full_column};

pub use audit::{AuditReport, FaultKind, LISTED_FAULTS, LogAudit, LogFault, ReplicaSummary, VersionSummary};
pub use encoder::{Received, SegmentEncoder, StoredPrediction};
pub use holdfast_domain::UnlistedCategory;
pub use objects::{LogListing, LogObject, SEQUENCE_BLOCK, list_objects, read_object};
pub use verify::verify_log;
pub use window::{PredictionFilter, ReadCounts, WindowReader, WindowRequest, WindowRows, read_window};

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

const FORMAT: TableFormat = TableFormat {
    kind: "predictions",
    version: FORMAT_VERSION,
    without_dictionary: &["request_id", "event_time", "score", "trace_id"],
    // A segment is encoded beside the predictions of its replica, whose memory it takes.
    row_group_rows: 16_384,
};

static COLUMNS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let before = [
        Field::new("request_id", DataType::Utf8, false),
        Field::new("row_index", DataType::UInt32, false),
        Field::new("event_time", time_type(), false),
        Field::new("customer_key", DataType::Int64, true),
        Field::new("model", DataType::Utf8, false),
        Field::new("version", DataType::UInt32, false),
        Field::new("generation", DataType::UInt64, false),
    ];
    let after = [
        Field::new("score", DataType::Float64, false),
        Field::new("label", DataType::Boolean, false),
        Field::new("threshold", DataType::Float64, false),
        Field::new("latency_us", DataType::UInt32, false),
        Field::new("trace_id", DataType::Utf8, true),
    ];
    Arc::new(arrow_schema::Schema::new(
        before
            .into_iter()
            .chain(features::fields())
            .chain(after)
            .collect::<Vec<_>>(),
    ))
});

/// The type of every time column: microseconds, UTC.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// One answered prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionRecord {
    /// The request it answered.
    pub request_id: String,
    /// Its row within a batch; 0 for a single prediction.
    pub row_index: u32,
    /// When it was answered; stored to the microsecond, a finer part is cut off.
    pub event_time: Timestamp,
    /// The customer, if the caller said.
    pub customer_key: Option<CustomerKey>,
    /// The model that answered.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// The champion's generation.
    pub generation: Generation,
    /// The features as received.
    pub features: FeatureVector,
    /// The text of categories that the schema does not list, where it is known; their code in `features` is
    /// [`UNKNOWN_CATEGORY`](holdfast_domain::UNKNOWN_CATEGORY). One without text is stored as `?`.
    pub unlisted: Vec<UnlistedCategory>,
    /// Probability of attrition, 0 to 1.
    pub score: f64,
    /// Whether it was at or above the threshold.
    pub label: bool,
    /// The threshold, 0 to 1.
    pub threshold: f64,
    /// Time to answer in microseconds.
    pub latency_us: u32,
    /// Trace it belongs to.
    pub trace_id: Option<String>,
}

/// The bytes of a segment: a function of the records and their order alone.
///
/// # Errors
/// [`FormatError::Unstorable`] when a record has a category code that the schema does not list.
pub fn encode(records: &[PredictionRecord], schema: &Schema) -> Result<Bytes, FormatError> {
    let mut encoder = SegmentEncoder::new()?;
    for record in records {
        encoder.push(&record.stored(schema)?)?;
    }
    encoder.finish()
}

impl PredictionRecord {
    /// The record as it is stored: categories by their names.
    fn stored<'a>(&'a self, schema: &'a Schema) -> Result<StoredPrediction<'a>, FormatError> {
        let mut features = [Received::Missing; FEATURE_COUNT];
        for (feature, received) in Feature::ALL.into_iter().zip(&mut features) {
            *received = match (self.features.get(feature), feature.kind()) {
                (None, _) => Received::Missing,
                (Some(number), FeatureKind::Numeric) => Received::Number(number),
                (Some(code), FeatureKind::Categorical) => {
                    let kept = || self.unlisted.iter().find(|unlisted| unlisted.feature == feature);
                    let name = features::category_name(schema, feature, code)?;
                    Received::Category(name.unwrap_or_else(|| kept().map_or(UNLISTED, |unlisted| &unlisted.text)))
                }
            };
        }
        Ok(StoredPrediction {
            request_id: &self.request_id,
            row_index: self.row_index,
            event_time: self.event_time,
            customer_key: self.customer_key.map(|key| key.0),
            model: self.model.as_str(),
            version: self.version.0,
            generation: self.generation.0,
            features,
            score: self.score,
            label: self.label,
            threshold: self.threshold,
            latency_us: self.latency_us,
            trace_id: self.trace_id.as_deref(),
        })
    }
}

/// The records of a segment, in their order.
///
/// # Errors
/// [`FormatError`] for bytes that are damaged, of another kind or of a newer version. Never panics.
pub fn decode(bytes: Bytes, schema: &Schema) -> Result<Vec<PredictionRecord>, FormatError> {
    let table = FORMAT.open(bytes)?;
    match table.version {
        1 => {
            let mut records = Vec::with_capacity(table.rows);
            for batch in table {
                decode_v1(&batch?, schema, &mut records)?;
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

fn decode_v1(batch: &RecordBatch, schema: &Schema, records: &mut Vec<PredictionRecord>) -> Result<(), FormatError> {
    let request_ids = full_column::<StringArray>(batch, "request_id")?;
    let row_indices = full_column::<UInt32Array>(batch, "row_index")?;
    let times = full_column::<TimestampMicrosecondArray>(batch, "event_time")?;
    let keys = column::<Int64Array>(batch, "customer_key")?;
    let models = full_column::<StringArray>(batch, "model")?;
    let versions = full_column::<UInt32Array>(batch, "version")?;
    let generations = full_column::<UInt64Array>(batch, "generation")?;
    let features = FeatureReader::new(batch, schema)?;
    let scores = full_column::<Float64Array>(batch, "score")?;
    let labels = full_column::<BooleanArray>(batch, "label")?;
    let thresholds = full_column::<Float64Array>(batch, "threshold")?;
    let latencies = full_column::<UInt32Array>(batch, "latency_us")?;
    let traces = column::<StringArray>(batch, "trace_id")?;
    let mut model: Option<ModelName> = None;
    for row in 0..batch.num_rows() {
        // A segment hardly ever holds more than one model, so its name is checked where it changes.
        let name = match model.take() {
            Some(known) if known.as_str() == models.value(row) => known,
            _ => ModelName::parse(models.value(row)).map_err(FormatError::malformed)?,
        };
        let (features, unlisted) = features.row(row);
        records.push(PredictionRecord {
            request_id: request_ids.value(row).to_owned(),
            row_index: row_indices.value(row),
            event_time: Timestamp::from_microsecond(times.value(row)).map_err(FormatError::malformed)?,
            customer_key: keys.is_valid(row).then(|| CustomerKey(keys.value(row))),
            model: name.clone(),
            version: ModelVersion(versions.value(row)),
            generation: Generation(generations.value(row)),
            features,
            unlisted,
            score: scores.value(row),
            label: labels.value(row),
            threshold: thresholds.value(row),
            latency_us: latencies.value(row),
            trace_id: traces.is_valid(row).then(|| traces.value(row).to_owned()),
        });
        model = Some(name);
    }
    Ok(())
}
