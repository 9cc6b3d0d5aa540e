//! Records become a segment's bytes, one at a time, without being kept.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder, UInt32Builder,
    UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use bytes::Bytes;
use holdfast_domain::{FEATURE_COUNT, Feature, FeatureKind};
use jiff::Timestamp;

use super::{COLUMNS, FORMAT};
use crate::error::FormatError;
use crate::table::TableEncoder;

/// Rows that are gathered before they are encoded: few enough for the caches. What the Parquet writer takes at once, or a multiple of it, so that it does
/// not matter for the bytes.
const BATCH_ROWS: usize = 1_024;

/// A feature as it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Received<'a> {
    /// Not sent.
    #[default]
    Missing,
    /// A number.
    Number(f64),
    /// The text of a category; `?` where it was not listed and its text not kept.
    Category(&'a str),
}

/// One answered prediction as it is stored; [`PredictionRecord`](super::PredictionRecord) says what its fields mean.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredPrediction<'a> {
    /// The request it answered.
    pub request_id: &'a str,
    /// Its row within a batch.
    pub row_index: u32,
    /// When it was answered; stored to the microsecond.
    pub event_time: Timestamp,
    /// The customer, if the caller said.
    pub customer_key: Option<i64>,
    /// The model that answered.
    pub model: &'a str,
    /// Its version.
    pub version: u32,
    /// The champion's generation.
    pub generation: u64,
    /// The features in the order of [`Feature::ALL`].
    pub features: [Received<'a>; FEATURE_COUNT],
    /// Probability of attrition, 0 to 1.
    pub score: f64,
    /// Whether it was at or above the threshold.
    pub label: bool,
    /// The threshold, 0 to 1.
    pub threshold: f64,
    /// Time to answer in microseconds.
    pub latency_us: u32,
    /// Trace it belongs to.
    pub trace_id: Option<&'a str>,
}

/// Makes a segment of records that come one by one. Its bytes are a function of the records and their order alone.
///
/// Memory: the encoded bytes, and some thousand rows.
pub struct SegmentEncoder {
    table: TableEncoder,
    gathered: usize,
    request_id: StringBuilder,
    row_index: UInt32Builder,
    event_time: TimestampMicrosecondBuilder,
    customer_key: Int64Builder,
    model: StringBuilder,
    version: UInt32Builder,
    generation: UInt64Builder,
    features: Vec<FeatureBuilder>,
    score: Float64Builder,
    label: BooleanBuilder,
    threshold: Float64Builder,
    latency_us: UInt32Builder,
    trace_id: StringBuilder,
}

enum FeatureBuilder {
    Numbers(Float64Builder),
    Categories(StringBuilder),
}

impl SegmentEncoder {
    /// An empty segment.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] when the writer cannot be made.
    pub fn new() -> Result<Self, FormatError> {
        let features = Feature::ALL.iter().map(|feature| match feature.kind() {
            FeatureKind::Numeric => FeatureBuilder::Numbers(Float64Builder::new()),
            FeatureKind::Categorical => FeatureBuilder::Categories(StringBuilder::new()),
        });
        Ok(Self {
            table: FORMAT.encoder(Arc::clone(&COLUMNS))?,
            gathered: 0,
            request_id: StringBuilder::new(),
            row_index: UInt32Builder::new(),
            event_time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            customer_key: Int64Builder::new(),
            model: StringBuilder::new(),
            version: UInt32Builder::new(),
            generation: UInt64Builder::new(),
            features: features.collect(),
            score: Float64Builder::new(),
            label: BooleanBuilder::new(),
            threshold: Float64Builder::new(),
            latency_us: UInt32Builder::new(),
            trace_id: StringBuilder::new(),
        })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] when a feature is of another kind than the schema has, or the writer fails.
    pub fn push(&mut self, record: &StoredPrediction<'_>) -> Result<(), FormatError> {
        for ((builder, received), feature) in self.features.iter_mut().zip(&record.features).zip(Feature::ALL) {
            match (builder, received) {
                (FeatureBuilder::Numbers(numbers), Received::Number(number)) => numbers.append_value(*number),
                (FeatureBuilder::Numbers(numbers), Received::Missing) => numbers.append_null(),
                (FeatureBuilder::Categories(texts), Received::Category(text)) => texts.append_value(text),
                (FeatureBuilder::Categories(texts), Received::Missing) => texts.append_null(),
                _ => return Err(FormatError::Unstorable(format!("{feature} is of another kind"))),
            }
        }
        self.request_id.append_value(record.request_id);
        self.row_index.append_value(record.row_index);
        self.event_time.append_value(record.event_time.as_microsecond());
        self.customer_key.append_option(record.customer_key);
        self.model.append_value(record.model);
        self.version.append_value(record.version);
        self.generation.append_value(record.generation);
        self.score.append_value(record.score);
        self.label.append_value(record.label);
        self.threshold.append_value(record.threshold);
        self.latency_us.append_value(record.latency_us);
        self.trace_id.append_option(record.trace_id);
        self.gathered += 1;
        if self.gathered == BATCH_ROWS {
            self.encode_gathered()?;
        }
        Ok(())
    }

    /// The segment's bytes.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] when the writer fails.
    pub fn finish(mut self) -> Result<Bytes, FormatError> {
        if self.gathered > 0 {
            self.encode_gathered()?;
        }
        self.table.finish()
    }

    fn encode_gathered(&mut self) -> Result<(), FormatError> {
        self.gathered = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.request_id.finish()),
            Arc::new(self.row_index.finish()),
            Arc::new(self.event_time.finish()),
            Arc::new(self.customer_key.finish()),
            Arc::new(self.model.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.generation.finish()),
        ];
        for builder in &mut self.features {
            columns.push(match builder {
                FeatureBuilder::Numbers(numbers) => Arc::new(numbers.finish()),
                FeatureBuilder::Categories(texts) => Arc::new(texts.finish()),
            });
        }
        columns.push(Arc::new(self.score.finish()));
        columns.push(Arc::new(self.label.finish()));
        columns.push(Arc::new(self.threshold.finish()));
        columns.push(Arc::new(self.latency_us.finish()));
        columns.push(Arc::new(self.trace_id.finish()));
        let batch = RecordBatch::try_new(Arc::clone(&COLUMNS), columns)
            .map_err(|error| FormatError::Unstorable(error.to_string()))?;
        self.table.write(&batch)
    }
}
