//! Rows, stores and strategies that the tests share.

use std::sync::Arc;

use holdfast_domain::{
    Customer, CustomerKey, Digest, FEATURE_COUNT, Feature, FeatureKind, FeatureVector, Generation, ModelName,
    ModelVersion, Schema, UNKNOWN_CATEGORY,
};
use holdfast_records::champion::{ChampionReason, NewEntry, Nonce};
use holdfast_records::outcome::OutcomeRecord;
use holdfast_records::prediction::{PredictionRecord, UnlistedCategory};
use holdfast_records::rollout::{self, Change, Limits, Mode, Start};
use holdfast_records::shadow::ShadowRecord;
use holdfast_storage::{BlobStore, MemoryStore};
use jiff::Timestamp;
use proptest::prelude::*;

pub(crate) fn schema() -> &'static Schema {
    Schema::embedded()
}

pub(crate) fn memory() -> Arc<dyn BlobStore> {
    Arc::new(MemoryStore::new())
}

pub(crate) fn model() -> ModelName {
    ModelName::parse("churn").unwrap()
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A category of each categorical feature, by name: samples outlive the order of the schema's lists.
fn category(feature: Feature) -> &'static str {
    match feature {
        Feature::Gender => "F",
        Feature::EducationLevel => "Graduate",
        Feature::MaritalStatus => "Married",
        Feature::IncomeCategory => "$60K - $80K",
        _ => "Blue",
    }
}

/// A vector whose numbers all differ.
pub(crate) fn features(seed: u32) -> FeatureVector {
    let mut vector = FeatureVector::MISSING;
    for feature in Feature::ALL {
        let place = u32::try_from(feature.index()).unwrap();
        let value = match feature.kind() {
            FeatureKind::Numeric => f64::from(seed) + f64::from(place) / 16.0,
            FeatureKind::Categorical => {
                let code = schema().category_code(feature, category(feature)).unwrap();
                f64::from(u32::try_from(code).unwrap())
            }
        };
        vector.set(feature, value);
    }
    vector
}

pub(crate) fn customer(key: i64, label: bool) -> Customer {
    let features = features(u32::try_from(key.rem_euclid(1_000)).unwrap());
    Customer {
        key: Some(CustomerKey(key)),
        label: Some(label),
        features,
    }
}

/// Three customers that use everything the format has: missing key, label and values, an unlisted category, both labels.
pub(crate) fn sample_customers() -> Vec<Customer> {
    let mut sparse = customer(700_000_002, true);
    sparse.key = None;
    sparse.label = None;
    sparse.features.set(Feature::CreditLimit, f64::NAN);
    sparse.features.set(Feature::Gender, f64::NAN);
    sparse.features.set(Feature::CardCategory, UNKNOWN_CATEGORY);
    vec![customer(700_000_000, true), customer(700_000_001, false), sparse]
}

pub(crate) fn prediction(request: &str, row: u32, key: Option<i64>, at: Timestamp) -> PredictionRecord {
    PredictionRecord {
        request_id: request.to_owned(),
        row_index: row,
        event_time: at,
        customer_key: key.map(CustomerKey),
        model: model(),
        version: ModelVersion(3),
        generation: Generation(7),
        features: features(row),
        unlisted: Vec::new(),
        score: 0.25,
        label: false,
        threshold: 0.5,
        latency_us: 120,
        trace_id: None,
    }
}

pub(crate) fn sample_predictions() -> Vec<PredictionRecord> {
    let at = time("2026-11-23T09:59:59.123456Z");
    let mut full = prediction("0193a-1", 0, Some(700_000_000), at);
    full.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned());
    full.features.set(Feature::CardCategory, UNKNOWN_CATEGORY);
    full.unlisted = vec![UnlistedCategory {
        feature: Feature::CardCategory,
        text: "Obsidian".to_owned(),
    }];
    let mut sparse = prediction("0193a-2", 4, None, time("2026-11-23T10:00:00.000001Z"));
    sparse.features = sparse.features.required_only(schema());
    sparse.label = true;
    sparse.score = 0.875;
    let mut unknown = prediction("0193a-2", 5, None, time("2026-11-23T10:00:00.000002Z"));
    unknown.features.set(Feature::Gender, UNKNOWN_CATEGORY);
    vec![full, sparse, unknown]
}

pub(crate) fn outcome(key: i64, label: bool, event: &str, recorded: &str) -> OutcomeRecord {
    OutcomeRecord {
        customer_key: CustomerKey(key),
        label,
        event_time: time(event),
        recorded_at: time(recorded),
    }
}

pub(crate) fn sample_outcomes() -> Vec<OutcomeRecord> {
    vec![
        outcome(700_000_000, true, "2026-11-30T00:00:00Z", "2026-12-01T08:00:00.000001Z"),
        outcome(
            700_000_001,
            false,
            "2026-11-30T00:00:00Z",
            "2026-12-01T08:00:00.000001Z",
        ),
    ]
}

pub(crate) fn new_entry(version: u32, at: &str, nonce: u8) -> NewEntry {
    NewEntry {
        version: ModelVersion(version),
        artifact_digest: Digest::of(&version.to_le_bytes()),
        actor: "ada".to_owned(),
        reason: ChampionReason::Override {
            note: format!("try {version}"),
        },
        approval: None,
        at: time(at),
        nonce: Nonce::from_bytes([nonce; 16]),
    }
}

/// A start of a canary of this version.
pub(crate) fn start(version: u32) -> Start {
    Start {
        version: ModelVersion(version),
        artifact_digest: Digest::of(&version.to_le_bytes()),
        mode: Mode::Canary,
        share: 0.05,
        limits: Limits {
            max_error_rate: 0.01,
            max_latency_ratio: 2.0,
            min_requests: 200,
        },
        champion_generation: Generation(7),
        champion_version: ModelVersion(3),
        evaluation_digest: Some(Digest::of(b"evaluation")),
    }
}

pub(crate) fn rollout_change(change: Change, at: &str, nonce: u8) -> rollout::NewEntry {
    rollout::NewEntry {
        change,
        actor: "ada".to_owned(),
        note: String::new(),
        at: time(at),
        nonce: Nonce::from_bytes([nonce; 16]),
    }
}

pub(crate) fn sample_shadows() -> Vec<ShadowRecord> {
    let first = ShadowRecord {
        request_id: "0193a-1".to_owned(),
        row_index: 0,
        event_time: time("2026-11-23T09:59:59.123456Z"),
        customer_key: Some(CustomerKey(700_000_000)),
        model: model(),
        rollout_revision: 5,
        champion_version: ModelVersion(3),
        challenger_version: ModelVersion(4),
        champion_score: 0.25,
        challenger_score: 0.625,
        champion_label: false,
        challenger_label: true,
    };
    let second = ShadowRecord {
        row_index: 1,
        customer_key: None,
        champion_score: 0.1 + 0.2,
        ..first.clone()
    };
    vec![first, second]
}

fn value(feature: Feature) -> BoxedStrategy<f64> {
    match feature.kind() {
        FeatureKind::Numeric => prop_oneof![4 => any::<f64>(), 1 => Just(f64::NAN)].boxed(),
        FeatureKind::Categorical => {
            let codes = u32::try_from(schema().column(feature).categories.len()).unwrap();
            prop_oneof![4 => (0..codes).prop_map(f64::from), 1 => Just(UNKNOWN_CATEGORY), 1 => Just(f64::NAN)].boxed()
        }
    }
}

pub(crate) fn any_features() -> impl Strategy<Value = FeatureVector> {
    Feature::ALL
        .into_iter()
        .map(value)
        .collect::<Vec<_>>()
        .prop_map(|values| {
            let values: [f64; FEATURE_COUNT] = values.try_into().unwrap();
            FeatureVector(values)
        })
}

pub(crate) fn any_customer() -> impl Strategy<Value = Customer> {
    (any::<Option<i64>>(), any::<Option<bool>>(), any_features()).prop_map(|(key, label, features)| Customer {
        key: key.map(CustomerKey),
        label,
        features,
    })
}

/// A time between the years 1 and 9998, to the microsecond.
pub(crate) fn any_time() -> impl Strategy<Value = Timestamp> + Clone {
    (-62_000_000_000_000_000_i64..253_000_000_000_000_000)
        .prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

pub(crate) fn any_prediction() -> impl Strategy<Value = PredictionRecord> {
    let name = (any::<String>(), any::<u32>(), any_time(), any::<Option<i64>>());
    let of = ("[a-z0-9][a-z0-9_-]{0,20}", 1_u32.., any::<u64>());
    let answer = (
        any::<f64>(),
        any::<bool>(),
        any::<f64>(),
        any::<u32>(),
        any::<Option<String>>(),
    );
    (name, of, any_features(), answer, "[A-Z]{1,9}").prop_map(|(name, of, features, answer, text)| {
        let kept = Feature::ALL.into_iter().filter(|feature| {
            feature.kind() == FeatureKind::Categorical && features.get(*feature) == Some(UNKNOWN_CATEGORY)
        });
        // Of the first unlisted category the text is known, of others not.
        let unlisted = kept.take(1).map(|feature| UnlistedCategory {
            feature,
            text: format!("unlisted {text}"),
        });
        PredictionRecord {
            request_id: name.0,
            row_index: name.1,
            event_time: name.2,
            customer_key: name.3.map(CustomerKey),
            model: ModelName::parse(&of.0).unwrap(),
            version: ModelVersion(of.1),
            generation: Generation(of.2),
            unlisted: unlisted.collect(),
            features,
            score: if answer.0.is_nan() { 0.5 } else { answer.0 },
            label: answer.1,
            threshold: if answer.2.is_nan() { 0.5 } else { answer.2 },
            latency_us: answer.3,
            trace_id: answer.4,
        }
    })
}

pub(crate) fn any_outcome() -> impl Strategy<Value = OutcomeRecord> {
    (any::<i64>(), any::<bool>(), any_time(), any_time()).prop_map(|(key, label, event_time, recorded_at)| {
        OutcomeRecord {
            customer_key: CustomerKey(key),
            label,
            event_time,
            recorded_at,
        }
    })
}
