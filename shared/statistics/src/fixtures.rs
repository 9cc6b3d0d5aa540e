//! Reads the fixtures that scipy wrote; see `tests/fixtures/statistics/README.md` at the root of the workspace.

use serde_json::Value;

const KS: &str = include_str!("../../../tests/fixtures/statistics/ks.json");
const KOLMOGOROV: &str = include_str!("../../../tests/fixtures/statistics/kolmogorov.json");
const ASSOCIATIONS: &str = include_str!("../../../tests/fixtures/statistics/associations.json");
const DISTANCES: &str = include_str!("../../../tests/fixtures/statistics/distances.json");

/// Relative agreement; down to 1e-290, where doubles begin to lose digits.
pub(super) fn assert_close(actual: f64, expected: f64, tolerance: f64, what: &str) {
    let close = (actual - expected).abs() <= tolerance * expected.abs().max(1e-290);
    assert!(close, "{what}: {actual:e} is not {expected:e}");
}

pub(super) struct KsCase {
    pub(super) name: String,
    pub(super) first: Vec<f64>,
    pub(super) second: Vec<f64>,
    pub(super) statistic: f64,
    /// Location and sign, where only one place is the furthest.
    pub(super) furthest: Option<(f64, i64)>,
    pub(super) exact: Option<f64>,
    pub(super) exact_switched: bool,
    pub(super) asymptotic: Option<f64>,
    pub(super) auto: Option<f64>,
    pub(super) auto_switched: bool,
}

pub(super) fn ks_cases() -> Vec<KsCase> {
    let read = |case: &Value| KsCase {
        name: case["name"].as_str().unwrap().to_owned(),
        first: generated(&case["first"]),
        second: generated(&case["second"]),
        statistic: case["statistic"].as_f64().unwrap(),
        furthest: case["location"].as_f64().zip(case["sign"].as_i64()),
        exact: case["exact"].as_f64(),
        exact_switched: case["exact_switched"].as_bool().unwrap(),
        asymptotic: case["asymp"].as_f64(),
        auto: case["auto"].as_f64(),
        auto_switched: case["auto_switched"].as_bool().unwrap(),
    };
    parsed(KS)["cases"].as_array().unwrap().iter().map(read).collect()
}

/// The generator that the README describes.
fn generated(spec: &Value) -> Vec<f64> {
    let mut state = spec["seed"].as_u64().unwrap();
    let modulus = spec["modulus"].as_u64().unwrap();
    let (scale, shift) = (spec["scale"].as_f64().unwrap(), spec["shift"].as_f64().unwrap());
    (0..spec["n"].as_u64().unwrap())
        .map(|_| {
            state = (1_103_515_245 * state + 12_345) % (1 << 31);
            ((state >> 8) % modulus) as f64 * scale + shift
        })
        .collect()
}

/// Rows of numbers about the one-sample distribution.
pub(super) fn numbers(key: &str) -> Vec<Vec<f64>> {
    rows_of(&parsed(KOLMOGOROV)[key])
}

/// Rows of numbers about the other statistics.
pub(super) fn numbers_of_distances(key: &str) -> Vec<Vec<f64>> {
    rows_of(&parsed(DISTANCES)[key])
}

/// Rows of numbers about associations.
pub(super) fn numbers_of_associations(key: &str) -> Vec<Vec<f64>> {
    rows_of(&parsed(ASSOCIATIONS)[key])
}

pub(super) struct Case(Value);

pub(super) fn distances(key: &str) -> Vec<Case> {
    cases(DISTANCES, key)
}

pub(super) fn associations(key: &str) -> Vec<Case> {
    cases(ASSOCIATIONS, key)
}

fn cases(text: &str, key: &str) -> Vec<Case> {
    let cases: Vec<Case> = parsed(text)[key]
        .as_array()
        .unwrap()
        .iter()
        .cloned()
        .map(Case)
        .collect();
    assert!(!cases.is_empty());
    cases
}

impl Case {
    pub(super) fn name(&self) -> String {
        self.0["name"].as_str().unwrap().to_owned()
    }

    pub(super) fn number(&self, key: &str) -> f64 {
        self.0[key].as_f64().unwrap()
    }

    pub(super) fn list(&self, key: &str) -> Vec<f64> {
        list(&self.0[key])
    }

    pub(super) fn table(&self, key: &str) -> Vec<Vec<u64>> {
        let rows = self.0[key].as_array().unwrap().iter();
        rows.map(|row| row.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect())
            .collect()
    }

    pub(super) fn counts(&self, key: &str) -> Vec<u64> {
        self.0[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_u64().unwrap())
            .collect()
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn rows_of(value: &Value) -> Vec<Vec<f64>> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(list).collect();
    assert!(!rows.is_empty());
    rows
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}
