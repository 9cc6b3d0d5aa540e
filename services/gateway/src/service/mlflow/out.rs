//! JSON as MLflow's server writes it: whole numbers as numbers, what is no number as a text, nothing where nothing is.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::service::convert::promised;

/// An object on its way.
#[derive(Default)]
pub(super) struct Out(Map<String, Value>);

impl Out {
    /// A field.
    pub(super) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    /// A text, left out when empty.
    pub(super) fn text(self, name: &str, value: String) -> Self {
        if value.is_empty() {
            return self;
        }
        self.set(name, value)
    }

    /// A list, left out when empty.
    pub(super) fn list<T>(self, name: &str, items: Vec<T>, write: impl FnMut(T) -> Value) -> Self {
        if items.is_empty() {
            return self;
        }
        self.set(name, Value::Array(items.into_iter().map(write).collect()))
    }

    /// A point in time in milliseconds, left out when absent.
    pub(super) fn time(self, name: &str, at: Option<Timestamp>) -> Self {
        match at {
            Some(at) => self.set(name, millis(&at)),
            None => self,
        }
    }

    /// The object.
    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// An answer that says nothing but that it is done.
pub(super) fn done() -> Value {
    Value::Object(Map::new())
}

/// `{name: write(part)}` of an answer whose part the contract promises.
pub(super) fn wrapped<T>(part: Option<T>, name: &'static str, write: impl FnOnce(T) -> Value) -> Result<Value, Fault> {
    Ok(json!({ name: write(promised(part, name)?) }))
}

/// Milliseconds since 1970.
pub(super) fn millis(at: &Timestamp) -> i64 {
    let within = i64::from(at.nanos / 1_000_000);
    at.seconds.saturating_mul(1_000).saturating_add(within)
}

/// A point in time from its milliseconds; the registry refuses those outside of its calendar.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    Timestamp {
        seconds: millis.div_euclid(1_000),
        #[expect(clippy::cast_possible_truncation, reason = "below 1,000,000,000")]
        nanos: (millis.rem_euclid(1_000) * 1_000_000) as i32,
    }
}

/// A number; what JSON has no number for is a text.
pub(super) fn real(value: f64) -> Value {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 {
            "Infinity".into()
        } else {
            "-Infinity".into()
        }
    } else {
        value.into()
    }
}

/// A tag, of whatever.
pub(super) fn tag(wire::Tag { key, value }: wire::Tag) -> Value {
    json!({"key": key, "value": value})
}

/// A parameter.
pub(super) fn param(wire::Param { key, value }: wire::Param) -> Value {
    json!({"key": key, "value": value})
}

/// A measured value, of a run that is named where it is not plain whose it is.
pub(super) fn metric(metric: wire::Metric, run_id: Option<String>) -> Value {
    let out = Out::default()
        .set("key", metric.key)
        .set("value", real(metric.value))
        .time("timestamp", metric.measured_at)
        .set("step", metric.step)
        .text("model_id", metric.model_id)
        .text("dataset_name", metric.dataset_name)
        .text("dataset_digest", metric.dataset_digest);
    out.text("run_id", run_id.unwrap_or_default()).done()
}

/// Active or deleted.
pub(super) fn lifecycle(stage: wire::LifecycleStage) -> &'static str {
    match stage {
        wire::LifecycleStage::Deleted => "deleted",
        wire::LifecycleStage::Active | wire::LifecycleStage::Unspecified => "active",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        for moment in [0, 1, -1, 999, -999, 1_795_456_530_474, i64::MAX, i64::MIN] {
            let back = millis(&timestamp(moment));
            // Beyond the calendar by far, where saturation costs less than a second.
            assert!(back == moment || moment.unsigned_abs() > 1 << 62, "{moment}: {back}");
        }
        assert_eq!(
            timestamp(-1),
            Timestamp {
                seconds: -1,
                nanos: 999_000_000
            }
        );
    }

    #[test]
    fn what_is_no_number_is_a_text() {
        assert_eq!(real(f64::NAN), "NaN");
        assert_eq!(real(f64::INFINITY), "Infinity");
        assert_eq!(real(f64::NEG_INFINITY), "-Infinity");
        assert_eq!(real(0.5), 0.5);
    }
}
