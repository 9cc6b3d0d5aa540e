//! Records become a segment's bytes, one at a time, without being kept.

use bytes::Bytes;
use holdfast_domain::{FEATURE_COUNT, Feature, FeatureKind};
use jiff::Timestamp;

use super::{COLUMNS, FORMAT};
use crate::error::FormatError;
use crate::table::{NumberKind, Numbers, TableWriter, Texts};

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
/// Memory: the encoded bytes, and the values of a row group, those that repeat once.
pub struct SegmentEncoder {
    table: TableWriter,
    gathered: usize,
    request_id: Texts,
    row_index: Numbers,
    event_time: Numbers,
    customer_key: Numbers,
    model: Texts,
    version: Numbers,
    generation: Numbers,
    features: Vec<FeatureColumn>,
    score: Numbers,
    label: Numbers,
    threshold: Numbers,
    latency_us: Numbers,
    trace_id: Texts,
}

enum FeatureColumn {
    Numbers(Numbers),
    Categories(Texts),
}

impl SegmentEncoder {
    /// An empty segment.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] when the writer cannot be made.
    pub fn new() -> Result<Self, FormatError> {
        let numbers = |name, kind| Numbers::new(kind, FORMAT.with_dictionary(name));
        let texts = |name| Texts::new(FORMAT.with_dictionary(name));
        let features = Feature::ALL.iter().map(|feature| match feature.kind() {
            FeatureKind::Numeric => FeatureColumn::Numbers(numbers(feature.name(), NumberKind::Float64)),
            FeatureKind::Categorical => FeatureColumn::Categories(texts(feature.name())),
        });
        Ok(Self {
            table: FORMAT.writer(&COLUMNS)?,
            gathered: 0,
            request_id: texts("request_id"),
            row_index: numbers("row_index", NumberKind::UInt32),
            event_time: numbers("event_time", NumberKind::Int64),
            customer_key: numbers("customer_key", NumberKind::Int64),
            model: texts("model"),
            version: numbers("version", NumberKind::UInt32),
            generation: numbers("generation", NumberKind::UInt64),
            features: features.collect(),
            score: numbers("score", NumberKind::Float64),
            label: Numbers::new(NumberKind::Bool, false),
            threshold: numbers("threshold", NumberKind::Float64),
            latency_us: numbers("latency_us", NumberKind::UInt32),
            trace_id: texts("trace_id"),
        })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] when a feature is of another kind than the schema has, or the writer fails.
    pub fn push(&mut self, record: &StoredPrediction<'_>) -> Result<(), FormatError> {
        for ((column, received), feature) in self.features.iter_mut().zip(&record.features).zip(Feature::ALL) {
            match (column, received) {
                (FeatureColumn::Numbers(numbers), Received::Number(number)) => numbers.push(number.to_bits()),
                (FeatureColumn::Numbers(numbers), Received::Missing) => numbers.push_option(None),
                (FeatureColumn::Categories(texts), Received::Category(text)) => texts.push(text),
                (FeatureColumn::Categories(texts), Received::Missing) => texts.push_option(None),
                _ => return Err(FormatError::Unstorable(format!("{feature} is of another kind"))),
            }
        }
        self.request_id.push(record.request_id);
        self.row_index.push(record.row_index.into());
        self.event_time.push(record.event_time.as_microsecond().cast_unsigned());
        self.customer_key
            .push_option(record.customer_key.map(i64::cast_unsigned));
        self.model.push(record.model);
        self.version.push(record.version.into());
        self.generation.push(record.generation);
        self.score.push(record.score.to_bits());
        self.label.push(record.label.into());
        self.threshold.push(record.threshold.to_bits());
        self.latency_us.push(record.latency_us.into());
        self.trace_id.push_option(record.trace_id);
        self.gathered += 1;
        if self.gathered == FORMAT.row_group_rows {
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
        self.table.row_group(|group| {
            self.request_id.write(group)?;
            self.row_index.write(group)?;
            self.event_time.write(group)?;
            self.customer_key.write(group)?;
            self.model.write(group)?;
            self.version.write(group)?;
            self.generation.write(group)?;
            for column in &mut self.features {
                match column {
                    FeatureColumn::Numbers(numbers) => numbers.write(group)?,
                    FeatureColumn::Categories(texts) => texts.write(group)?,
                }
            }
            self.score.write(group)?;
            self.label.write(group)?;
            self.threshold.write(group)?;
            self.latency_us.write(group)?;
            self.trace_id.write(group)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        UInt32Array, UInt64Array,
    };
    use holdfast_domain::Schema;

    use super::*;
    use crate::prediction::decode;

    /// What a record is made of.
    struct Sample {
        id: String,
        category: Option<String>,
        number: Option<f64>,
        value: u32,
    }

    /// Records of which every `nulls`th misses what may be missing, in runs of `run` equal ones.
    fn samples(count: u32, run: u32, distinct: u32, nulls: u32, id_bytes: usize) -> Vec<Sample> {
        let odd = [f64::NAN, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, -1.5];
        let sample = |row: u32| {
            let value = (row / run).wrapping_mul(2_654_435_761) % distinct;
            let known = nulls == 0 || !row.is_multiple_of(nulls);
            Sample {
                id: format!("{value:é>id_bytes$}"),
                category: known.then(|| format!("category {}", value % 300)),
                number: known.then(|| {
                    let odd = odd.get(value as usize % 16).copied();
                    odd.unwrap_or_else(|| f64::from(value) / 4.0)
                }),
                value,
            }
        };
        (0..count).map(sample).collect()
    }

    impl Sample {
        fn stored(&self) -> StoredPrediction<'_> {
            let features = Feature::ALL.map(|feature| match feature.kind() {
                FeatureKind::Numeric => self.number.map_or(Received::Missing, Received::Number),
                FeatureKind::Categorical => self.category.as_deref().map_or(Received::Missing, Received::Category),
            });
            StoredPrediction {
                request_id: &self.id,
                row_index: self.value << 1,
                event_time: Timestamp::from_microsecond(i64::from(self.value) - 50).unwrap(),
                customer_key: self.number.map(|_| i64::from(self.value) - 50),
                model: if self.value.is_multiple_of(7) {
                    "churn-2"
                } else {
                    "churn"
                },
                version: self.value,
                generation: u64::from(self.value) << 33,
                features,
                score: f64::from(self.value) / 3.0,
                label: self.value.is_multiple_of(3),
                threshold: 0.5,
                latency_us: self.value.wrapping_neg(),
                trace_id: self.category.as_ref().map(|_| self.id.as_str()),
            }
        }
    }

    fn encoded(samples: &[Sample]) -> Bytes {
        let mut encoder = SegmentEncoder::new().unwrap();
        for sample in samples {
            encoder.push(&sample.stored()).unwrap();
        }
        encoder.finish().unwrap()
    }

    fn batch(samples: &[Sample]) -> RecordBatch {
        let rows = || samples.iter().map(Sample::stored);
        let times = rows().map(|row| row.event_time.as_microsecond());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows().map(|row| row.request_id))),
            Arc::new(UInt32Array::from_iter_values(rows().map(|row| row.row_index))),
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
            Arc::new(rows().map(|row| row.customer_key).collect::<Int64Array>()),
            Arc::new(StringArray::from_iter_values(rows().map(|row| row.model))),
            Arc::new(UInt32Array::from_iter_values(rows().map(|row| row.version))),
            Arc::new(UInt64Array::from_iter_values(rows().map(|row| row.generation))),
        ];
        for feature in Feature::ALL {
            columns.push(match feature.kind() {
                FeatureKind::Numeric => Arc::new(samples.iter().map(|sample| sample.number).collect::<Float64Array>()),
                FeatureKind::Categorical => {
                    let categories = samples.iter().map(|sample| sample.category.as_deref());
                    Arc::new(categories.collect::<StringArray>())
                }
            });
        }
        columns.push(Arc::new(Float64Array::from_iter_values(rows().map(|row| row.score))));
        columns.push(Arc::new(BooleanArray::from_iter(rows().map(|row| Some(row.label)))));
        columns.push(Arc::new(Float64Array::from_iter_values(
            rows().map(|row| row.threshold),
        )));
        columns.push(Arc::new(UInt32Array::from_iter_values(
            rows().map(|row| row.latency_us),
        )));
        columns.push(Arc::new(rows().map(|row| row.trace_id).collect::<StringArray>()));
        RecordBatch::try_new(Arc::clone(&COLUMNS), columns).unwrap()
    }

    /// A newer Parquet crate may write otherwise; then this says where.
    #[test]
    fn a_segment_has_the_bytes_that_parquets_own_writer_makes() {
        for (count, run, distinct, nulls, id_bytes) in [
            (0, 1, 1, 0, 1),
            (1, 1, 1, 0, 1),
            (9, 1, 9, 2, 36),
            (700, 9, 5, 3, 36),
            (1_024, 1, 1_000, 1, 36),
            (2_000, 20, 1, 2_000, 65),
            (16_384, 1, 1 << 30, 0, 36),
            (16_385, 100, 300, 7, 64),
            // Ids that fill more than a page, and are cut in the statistics.
            (40_000, 1, 1 << 30, 5, 150),
        ] {
            let samples = samples(count, run, distinct, nulls, id_bytes);
            let batches = samples.chunks(1_024).map(|samples| Ok(batch(samples)));
            let expected = FORMAT.encode(Arc::clone(&COLUMNS), batches).unwrap();
            // Not assert_eq, which would print them.
            assert!(encoded(&samples) == expected, "{count} rows of {distinct} values");
        }
    }

    #[test]
    fn what_may_be_missing_may_be_missing_in_all_of_several_row_groups() {
        for nulls in [1, 2] {
            let samples = samples(40_000, 1, 1_000, nulls, 36);
            let records = decode(encoded(&samples), Schema::embedded()).unwrap();
            assert_eq!(records.len(), samples.len());
            for (record, sample) in records.iter().zip(&samples) {
                let sample = sample.stored();
                assert_eq!(record.request_id, sample.request_id);
                assert_eq!(record.customer_key.map(|key| key.0), sample.customer_key);
                assert_eq!(record.trace_id.as_deref(), sample.trace_id);
                for (feature, received) in Feature::ALL.into_iter().zip(sample.features) {
                    let missing = record.features.get(feature).is_none();
                    let expected = match received {
                        Received::Missing => true,
                        Received::Number(number) => number.is_nan(),
                        Received::Category(_) => false,
                    };
                    assert_eq!(missing, expected, "{feature}");
                }
                let unlisted = sample.features.iter().filter_map(|received| match received {
                    Received::Category(text) => Some(*text),
                    _ => None,
                });
                assert!(unlisted.eq(record.unlisted.iter().map(|unlisted| unlisted.text.as_str())));
            }
        }
    }

    #[test]
    fn categories_that_outgrow_a_page_read_back() {
        let mut samples = samples(20_000, 1, 1 << 30, 3, 36);
        for (row, sample) in samples.iter_mut().enumerate() {
            sample.category = Some(format!("{row:x>255}"));
        }
        let records = decode(encoded(&samples), Schema::embedded()).unwrap();
        assert_eq!(records.len(), samples.len());
        for (record, sample) in records.iter().zip(&samples) {
            let texts = record.unlisted.iter().map(|unlisted| unlisted.text.as_str());
            assert!(
                texts.eq(sample
                    .category
                    .as_deref()
                    .into_iter()
                    .cycle()
                    .take(record.unlisted.len()))
            );
            assert!(!record.unlisted.is_empty());
        }
    }

    #[test]
    fn a_feature_of_another_kind_is_refused() {
        let samples = samples(1, 1, 1, 0, 1);
        let mut stored = samples[0].stored();
        stored.features.reverse();
        let refused = SegmentEncoder::new().unwrap().push(&stored).unwrap_err();
        assert!(matches!(refused, FormatError::Unstorable(_)), "{refused}");
    }
}
