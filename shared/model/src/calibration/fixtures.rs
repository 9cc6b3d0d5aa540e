//! Reads the fixtures that scikit-learn wrote; see `tests/fixtures/calibration/README.md` at the root of the workspace.

use serde_json::Value;

const CALIBRATION: &str = include_str!("../../../../tests/fixtures/calibration/calibration.json");

pub(super) struct Case {
    pub(super) name: String,
    pub(super) labels: Vec<bool>,
    pub(super) margins: Vec<f64>,
    pub(super) value: Value,
}

pub(super) fn cases() -> Vec<Case> {
    let all: Value = serde_json::from_str(CALIBRATION).unwrap();
    let cases = all["cases"].as_array().unwrap().iter().map(|value| Case {
        name: value["name"].as_str().unwrap().to_owned(),
        labels: value["labels"].as_str().unwrap().chars().map(|c| c == '1').collect(),
        margins: floats(&value["margins"]),
        value: value.clone(),
    });
    cases.collect()
}

pub(super) fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}
