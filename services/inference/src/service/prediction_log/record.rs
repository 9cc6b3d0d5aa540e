//! One record of the spool as bytes, format 1.
//!
//! All numbers are little-endian. Categories are kept as text, never as codes: a code means nothing to a later build
//! with another schema.
//!
//! ```text
//! u8  flags: 1 customer key, 2 trace id, 4 label
//! u32 row index   i64 event time, microseconds   [i64 customer key]
//! u32 version     u64 generation    f64 score    f64 threshold    u32 latency, microseconds
//! text request id   text model   [text trace id]              text: u8 length, UTF-8
//! u32 which of the nineteen features are there, bit = feature index
//!     for each of these: f64, or text for a category           "?": not listed, text unknown
//! ```

use holdfast_domain::{
    CustomerKey, FEATURE_COUNT, Feature, FeatureKind, FeatureVector, Generation, ModelName, ModelVersion, Schema,
    UNKNOWN_CATEGORY,
};
use holdfast_records::prediction::{PredictionRecord, Received, StoredPrediction, UnlistedCategory};
use jiff::Timestamp;

const HAS_KEY: u8 = 1;
const HAS_TRACE: u8 = 2;
const LABEL: u8 = 4;
const UNLISTED: &str = "?";
/// Longest text, in bytes; a longer one is cut.
const LONGEST_TEXT: usize = u8::MAX as usize;

/// What the records of one request have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered<'a> {
    /// The request.
    pub(crate) request_id: &'a str,
    /// When it was answered.
    pub(crate) event_time: Timestamp,
    /// The model that answered.
    pub(crate) model: &'a ModelName,
    /// Its version.
    pub(crate) version: ModelVersion,
    /// The champion's generation.
    pub(crate) generation: Generation,
    /// The threshold, 0 to 1.
    pub(crate) threshold: f64,
    /// Time to answer in microseconds.
    pub(crate) latency_us: u32,
    /// Trace it belongs to.
    pub(crate) trace_id: Option<&'a str>,
}

/// What a record has of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Its row within a batch.
    pub(crate) index: u32,
    /// The customer, if the caller said.
    pub(crate) customer_key: Option<CustomerKey>,
    /// What it was scored on.
    pub(crate) features: &'a FeatureVector,
    /// Categories that the schema does not list, as they were sent.
    pub(crate) unlisted: &'a [UnlistedCategory],
    /// Probability of attrition, 0 to 1.
    pub(crate) score: f64,
    /// Whether it was at or above the threshold.
    pub(crate) label: bool,
}

/// Appends a record to `out`.
pub(crate) fn encode(answered: &Answered<'_>, row: &Row<'_>, schema: &Schema, out: &mut Vec<u8>) {
    let mut flags = 0;
    for (bit, set) in [
        (HAS_KEY, row.customer_key.is_some()),
        (HAS_TRACE, answered.trace_id.is_some()),
        (LABEL, row.label),
    ] {
        flags |= if set { bit } else { 0 };
    }
    out.push(flags);
    out.extend(row.index.to_le_bytes());
    out.extend(answered.event_time.as_microsecond().to_le_bytes());
    if let Some(CustomerKey(key)) = row.customer_key {
        out.extend(key.to_le_bytes());
    }
    out.extend(answered.version.0.to_le_bytes());
    out.extend(answered.generation.0.to_le_bytes());
    out.extend(row.score.to_le_bytes());
    out.extend(answered.threshold.to_le_bytes());
    out.extend(answered.latency_us.to_le_bytes());
    text(answered.request_id, out);
    text(answered.model.as_str(), out);
    if let Some(trace) = answered.trace_id {
        text(trace, out);
    }
    let values = Feature::ALL.into_iter().zip(row.features.0);
    let mask = values.clone().fold(0_u32, |mask, (feature, value)| {
        mask | u32::from(!value.is_nan()) << feature.index()
    });
    out.extend(mask.to_le_bytes());
    for (feature, value) in values.filter(|(_, value)| !value.is_nan()) {
        match feature.kind() {
            FeatureKind::Numeric => out.extend(value.to_le_bytes()),
            FeatureKind::Categorical => text(category(row, schema, feature, value), out),
        }
    }
}

fn category<'a>(row: &Row<'a>, schema: &'a Schema, feature: Feature, code: f64) -> &'a str {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "codes are small whole numbers"
    )]
    let name = (code >= 0.0)
        .then(|| schema.category_name(feature, code as usize))
        .flatten();
    let kept = || {
        row.unlisted
            .iter()
            .find(|unlisted| unlisted.feature == feature)
            .map(|unlisted| unlisted.text.as_str())
    };
    name.or_else(kept).unwrap_or(UNLISTED)
}

fn text(text: &str, out: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(text.as_bytes());
}

/// Reads a record as it lies there; `None` for bytes that are none.
pub(crate) fn view(bytes: &[u8]) -> Option<StoredPrediction<'_>> {
    let mut rest = Bytes(bytes);
    let flags = rest.take(1)?[0];
    let row_index = u32::from_le_bytes(rest.array()?);
    let event_time = Timestamp::from_microsecond(i64::from_le_bytes(rest.array()?)).ok()?;
    let customer_key = if flags & HAS_KEY == 0 {
        None
    } else {
        Some(i64::from_le_bytes(rest.array()?))
    };
    let version = u32::from_le_bytes(rest.array()?);
    let generation = u64::from_le_bytes(rest.array()?);
    let score = f64::from_le_bytes(rest.array()?);
    let threshold = f64::from_le_bytes(rest.array()?);
    let latency_us = u32::from_le_bytes(rest.array()?);
    let request_id = rest.text()?;
    let model = rest.text().filter(|name| ModelName::is_valid(name))?;
    let trace_id = if flags & HAS_TRACE == 0 {
        None
    } else {
        Some(rest.text()?)
    };
    let mask = u32::from_le_bytes(rest.array()?);
    let mut features = [Received::Missing; FEATURE_COUNT];
    for (feature, received) in Feature::ALL.into_iter().zip(&mut features) {
        if mask & 1 << feature.index() != 0 {
            *received = match feature.kind() {
                FeatureKind::Numeric => Received::Number(f64::from_le_bytes(rest.array()?)),
                FeatureKind::Categorical => Received::Category(rest.text()?),
            };
        }
    }
    rest.0.is_empty().then_some(StoredPrediction {
        request_id,
        row_index,
        event_time,
        customer_key,
        model,
        version,
        generation,
        features,
        score,
        label: flags & LABEL != 0,
        threshold,
        latency_us,
        trace_id,
    })
}

/// Reads a record back; `None` for bytes that are none.
pub(crate) fn decode(bytes: &[u8], schema: &Schema) -> Option<PredictionRecord> {
    let stored = view(bytes)?;
    let mut features = FeatureVector::MISSING;
    let mut unlisted = Vec::new();
    for (feature, received) in Feature::ALL.into_iter().zip(stored.features) {
        let value = match received {
            Received::Missing => continue,
            Received::Number(number) => number,
            Received::Category(name) => match schema.category_code(feature, name) {
                #[expect(clippy::cast_precision_loss, reason = "a schema lists a handful of categories")]
                Some(code) => code as f64,
                None => {
                    if name != UNLISTED {
                        unlisted.push(UnlistedCategory {
                            feature,
                            text: name.to_owned(),
                        });
                    }
                    UNKNOWN_CATEGORY
                }
            },
        };
        features.set(feature, value);
    }
    Some(PredictionRecord {
        request_id: stored.request_id.to_owned(),
        row_index: stored.row_index,
        event_time: stored.event_time,
        customer_key: stored.customer_key.map(CustomerKey),
        model: ModelName::parse(stored.model).ok()?,
        version: ModelVersion(stored.version),
        generation: Generation(stored.generation),
        features,
        unlisted,
        score: stored.score,
        label: stored.label,
        threshold: stored.threshold,
        latency_us: stored.latency_us,
        trace_id: stored.trace_id.map(str::to_owned),
    })
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.take(1)?[0]);
        std::str::from_utf8(self.take(length)?).ok()
    }
}

/// A whole record as [`encode`] takes it.
pub(super) fn parts(record: &PredictionRecord) -> (Answered<'_>, Row<'_>) {
    let answered = Answered {
        request_id: &record.request_id,
        event_time: record.event_time,
        model: &record.model,
        version: record.version,
        generation: record.generation,
        threshold: record.threshold,
        latency_us: record.latency_us,
        trace_id: record.trace_id.as_deref(),
    };
    let row = Row {
        index: record.row_index,
        customer_key: record.customer_key,
        features: &record.features,
        unlisted: &record.unlisted,
        score: record.score,
        label: record.label,
    };
    (answered, row)
}

#[cfg(test)]
pub(super) fn sample(row: u32, schema: &Schema) -> PredictionRecord {
    let mut features = FeatureVector::MISSING;
    features.set(Feature::CreditLimit, 12_691.0 + f64::from(row));
    features.set(
        Feature::Gender,
        schema.category_code(Feature::Gender, "F").unwrap() as f64,
    );
    features.set(Feature::CardCategory, UNKNOWN_CATEGORY);
    features.set(Feature::AvgUtilizationRatio, 0.061);
    PredictionRecord {
        request_id: format!("request-{row}"),
        row_index: row,
        event_time: Timestamp::from_microsecond(1_700_000_000_123_456 + i64::from(row)).unwrap(),
        customer_key: row.is_multiple_of(2).then_some(CustomerKey(768_805_383)),
        model: ModelName::parse("churn").unwrap(),
        version: ModelVersion(3),
        generation: Generation(5),
        features,
        unlisted: vec![UnlistedCategory {
            feature: Feature::CardCategory,
            text: "Titanium".to_owned(),
        }],
        score: 0.1 + 0.2,
        label: row.is_multiple_of(3),
        threshold: 0.5,
        latency_us: 137,
        trace_id: row
            .is_multiple_of(2)
            .then(|| "4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(record: &PredictionRecord, schema: &Schema, out: &mut Vec<u8>) {
        let (answered, row) = parts(record);
        super::encode(&answered, &row, schema, out);
    }

    #[test]
    fn a_record_reads_back_as_it_was() {
        let schema = Schema::embedded();
        for row in 0..6 {
            let record = sample(row, schema);
            let mut bytes = Vec::new();
            encode(&record, schema, &mut bytes);
            assert_eq!(decode(&bytes, schema), Some(record));
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_none() {
        let schema = Schema::embedded();
        let mut bytes = Vec::new();
        encode(&sample(0, schema), schema, &mut bytes);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], schema), None);
        }
        bytes.push(0);
        assert_eq!(decode(&bytes, schema), None, "and with bytes behind it");
    }

    #[test]
    fn a_record_whose_model_has_no_such_name_is_none() {
        let schema = Schema::embedded();
        let mut bytes = Vec::new();
        encode(&sample(0, schema), schema, &mut bytes);
        let place = bytes.windows(5).position(|window| window == b"churn").unwrap();
        bytes[place] = b'/';
        assert_eq!(view(&bytes), None);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let schema = Schema::embedded();
        let mut record = sample(0, schema);
        record.unlisted[0].text = "ü".repeat(200);
        let mut bytes = Vec::new();
        encode(&record, schema, &mut bytes);
        assert_eq!(decode(&bytes, schema).unwrap().unlisted[0].text, "ü".repeat(127));
    }
}
