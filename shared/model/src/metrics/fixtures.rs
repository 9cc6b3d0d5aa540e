//! Reads the fixtures that scikit-learn wrote; see `tests/fixtures/statistics/README.md` at the root of the workspace.

use serde_json::Value;

const METRICS: &str = include_str!("../../../../tests/fixtures/statistics/metrics.json");

pub(super) struct Case {
    pub(super) name: String,
    pub(super) labels: Vec<bool>,
    pub(super) scores: Vec<f64>,
    /// Scores of another model on the same rows.
    pub(super) second: Vec<f64>,
    pub(super) value: Value,
}

impl Case {
    pub(super) fn number(&self, key: &str) -> f64 {
        self.value[key].as_f64().unwrap()
    }
}

pub(super) fn cases() -> Vec<Case> {
    let floats = |value: &Value| value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    section("cases")
        .into_iter()
        .map(|value| Case {
            name: value["name"].as_str().unwrap().to_owned(),
            labels: value["labels"].as_str().unwrap().chars().map(|c| c == '1').collect(),
            scores: floats(&value["scores"]),
            second: floats(&value["second"]),
            value,
        })
        .collect()
}

pub(super) fn section(key: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(METRICS).unwrap();
    let found = all[key].as_array().unwrap().clone();
    assert!(!found.is_empty());
    found
}

/// Relative agreement, or absolute below 1e-300.
pub(super) fn assert_close(actual: f64, expected: f64, tolerance: f64, what: &str) {
    let close = (actual - expected).abs() <= tolerance * expected.abs().max(1e-300);
    assert!(close, "{what}: {actual:e} is not {expected:e}");
}
