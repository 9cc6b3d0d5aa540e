//! The fixtures of `tests/fixtures/interchange`, and models made of them.

use std::path::PathBuf;

use holdfast_domain::{Feature, FeatureKind, FeatureVector, Schema, UNKNOWN_CATEGORY};
use holdfast_interchange::{BindOptions, Bound, Imported, Rounds, bind, import};
use holdfast_model::{
    Calibration, Ensemble, Family, Model, ModelDraft, Origin, Preprocessing, Provenance, ReferenceProfile, Threshold,
    ThresholdPolicy,
};
use serde_json::Value;

pub(crate) fn schema() -> &'static Schema {
    Schema::embedded()
}

pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fixtures/interchange")
        .join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

/// The rows that every model scores. A name that the schema does not list would be an unknown category; the schema lists them all.
pub(crate) fn rows() -> Vec<FeatureVector> {
    let stored = json("rows.json");
    let columns: Vec<Feature> = texts(&stored["columns"])
        .iter()
        .map(|name| Feature::from_name(name).unwrap())
        .collect();
    let row = |values: &Value| {
        let mut features = FeatureVector::MISSING;
        for (feature, value) in columns.iter().zip(values.as_array().unwrap()) {
            let value = match (feature.kind(), value) {
                (_, Value::Null) => f64::NAN,
                (FeatureKind::Numeric, value) => value.as_f64().unwrap(),
                (FeatureKind::Categorical, value) => schema()
                    .category_code(*feature, value.as_str().unwrap())
                    .map_or(UNKNOWN_CATEGORY, |code| code as f64),
            };
            features.set(*feature, value);
        }
        features
    };
    stored["rows"].as_array().unwrap().iter().map(row).collect()
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

/// What a library says of the rows.
pub(crate) struct Expected {
    pub(crate) margin: Vec<f64>,
    pub(crate) probability: Vec<f64>,
    /// One a column, and the base value last.
    pub(crate) contributions: Vec<Vec<f64>>,
}

pub(crate) fn expected(name: &str) -> Expected {
    let stored = json(name);
    Expected {
        margin: numbers(&stored["margin"]),
        probability: numbers(&stored["probability"]),
        contributions: stored["contributions"]
            .as_array()
            .unwrap()
            .iter()
            .map(numbers)
            .collect(),
    }
}

pub(crate) fn imported(file: &str) -> Imported {
    import(&bytes(&format!("models/{file}")), Rounds::Best).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A model around an ensemble.
pub(crate) fn model(preprocessing: Preprocessing, ensemble: Ensemble, calibration: Calibration) -> Model {
    let draft = ModelDraft {
        preprocessing,
        ensemble,
        calibration,
        threshold: Threshold {
            value: 0.25,
            policy: ThresholdPolicy::Fixed,
        },
        profile: ReferenceProfile::build(&rows(), &[], schema()),
        origin: Origin {
            family: Family::BoostedTrees,
            provenance: Provenance::Trained,
            run_id: None,
            training_snapshots: Vec::new(),
            test_snapshots: Vec::new(),
            code_version: "0.1.0".to_owned(),
            seed: 0,
            parameters: Vec::new(),
        },
    };
    let bytes = draft.encode(&rows(), schema()).unwrap();
    let model = Model::decode(&bytes, schema()).unwrap();
    model.check_golden().unwrap();
    model
}

pub(crate) fn bound_model(bound: Bound) -> Model {
    model(bound.preprocessing, bound.ensemble, Calibration::None)
}

/// How far margins, probabilities and contributions may be off.
const SCORE: f64 = 1e-6;
const CONTRIBUTION: f64 = 1e-5;

/// The model answers what the library did; the library's margins and contributions are multiplied by `scale` first.
pub(crate) fn assert_answers(model: &Model, expected: &Expected, scale: f64, what: &str) {
    let rows = rows();
    assert_eq!(rows.len(), expected.margin.len(), "{what}");
    for (row, features) in rows.iter().enumerate() {
        let near = |found: f64, expected: f64, tolerance: f64, part: &str| {
            let off = (found - expected).abs();
            assert!(
                off <= tolerance,
                "{what}, row {row}, {part}: {found} is not {expected} ({off:e} off)"
            );
        };
        let margin = model.margin(features);
        let size = margin.abs().max(1.0);
        near(margin, scale * expected.margin[row], SCORE * size, "margin");
        near(model.score(features), expected.probability[row], SCORE, "probability");
        let (base, of_columns) = expected.contributions[row].split_last().unwrap();
        let explanation = model.explain(features);
        near(explanation.base, scale * base, CONTRIBUTION, "base value");
        let found = model.explain_columns(features);
        assert_eq!(found.len(), of_columns.len(), "{what}");
        for (found, (of_column, name)) in found.iter().zip(of_columns.iter().zip(model.columns())) {
            near(*found, scale * of_column, CONTRIBUTION, name);
        }
        near(
            explanation.base + found.iter().sum::<f64>(),
            margin,
            SCORE * size,
            "sum of contributions",
        );
    }
}

/// A file, imported and bound, answers what its library did.
pub(crate) fn assert_file(file: &str, expected_name: &str, options: &BindOptions, scale: f64) {
    let bound = bind(&imported(file), options, schema()).unwrap_or_else(|error| panic!("{file}: {error}"));
    let expected = expected(&format!("expected/{expected_name}.json"));
    assert_answers(&bound_model(bound), &expected, scale, file);
}

pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The columns of the fixtures that are trained on numbers.
pub(crate) const NUMBERS: [&str; 9] = [
    "Customer_Age",
    "Total_Relationship_Count",
    "Months_Inactive_12_mon",
    "Credit_Limit",
    "Total_Revolving_Bal",
    "Total_Amt_Chng_Q4_Q1",
    "Total_Trans_Amt",
    "Total_Trans_Ct",
    "Avg_Utilization_Ratio",
];

/// The orders in which pandas has the names of the fixtures, where a file does not say so.
pub(crate) fn pandas_orders() -> Vec<(String, Vec<String>)> {
    let orders: [(&str, &[&str]); 4] = [
        ("Gender", &["F", "M"]),
        (
            "Education_Level",
            &[
                "College",
                "Graduate",
                "High School",
                "Post-Graduate",
                "Uneducated",
                "Unknown",
            ],
        ),
        (
            "Income_Category",
            &[
                "$120K +",
                "$40K - $60K",
                "$60K - $80K",
                "$80K - $120K",
                "Less than $40K",
                "Unknown",
            ],
        ),
        ("Card_Category", &["Blue", "Gold", "Silver"]),
    ];
    orders
        .into_iter()
        .map(|(column, names)| (column.to_owned(), owned(names)))
        .collect()
}
