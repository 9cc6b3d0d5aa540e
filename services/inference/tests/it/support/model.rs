//! Small artefacts and customers for them.

use holdfast_api::common::v1 as wire;
use holdfast_domain::{Customer, CustomerKey, Feature, FeatureKind, FeatureVector, Schema};
use holdfast_model::{
    Aggregation, Calibration, Comparison, Ensemble, Estimator, Family, Link, MissingRule, Model, ModelDraft, Node,
    Origin, Preprocessing, Provenance, ReferenceProfile, SplitRule, Threshold, Tree, TreeEnsemble,
};

/// A full customer that lies within what training saw.
pub(crate) fn full_row(index: u32) -> FeatureVector {
    let schema = Schema::embedded();
    let mut row = FeatureVector::MISSING;
    for column in schema.columns() {
        let value = match column.kind {
            // The last category of each list is one that training did not see.
            FeatureKind::Categorical => f64::from(index) % (column.categories.len() as f64 - 1.0),
            FeatureKind::Numeric => match column.feature {
                Feature::AvgUtilizationRatio | Feature::TotalAmtChngQ4Q1 | Feature::TotalCtChngQ4Q1 => {
                    0.1 + 0.017 * f64::from(index % 50)
                }
                Feature::CreditLimit | Feature::TotalTransAmt => 2_000.0 + 137.0 * f64::from(index % 50),
                Feature::CustomerAge => 30.0 + f64::from(index % 40),
                _ => f64::from(1 + index % 6),
            },
        };
        row.set(column.feature, value);
    }
    row
}

/// A customer of the wire.
pub(crate) fn customer(index: u32) -> wire::Customer {
    let key = Some(CustomerKey(700_000_000 + i64::from(index)));
    holdfast_api::customer::to_wire(
        &Customer {
            key,
            label: None,
            features: full_row(index),
        },
        Schema::embedded(),
    )
}

/// The first `count` customers.
pub(crate) fn customers(count: u32) -> Vec<wire::Customer> {
    (0..count).map(customer).collect()
}

/// An artefact. Each `flavour` scores differently.
pub(crate) fn artifact(flavour: u32) -> Vec<u8> {
    draft(flavour)
        .encode(&[full_row(0), full_row(7), FeatureVector::MISSING], Schema::embedded())
        .unwrap()
}

/// The artefact as its own scorer.
pub(crate) fn model(flavour: u32) -> Model {
    Model::decode(&artifact(flavour), Schema::embedded()).unwrap()
}

/// An artefact that takes long to score: so many trees, each with a question of its own.
pub(crate) fn heavy_artifact(trees: u32) -> Vec<u8> {
    let trees: Vec<Tree> = (0..trees)
        .map(|index| Tree {
            nodes: vec![
                Node::Split {
                    column: Feature::CreditLimit.index(),
                    rule: SplitRule::Threshold(1_000.0 + 0.5 * f64::from(index)),
                    missing: MissingRule::Left,
                    left: 1,
                    right: 2,
                    cover: 100.0,
                },
                Node::Leaf {
                    value: -0.000_01,
                    cover: 50.0,
                },
                Node::Leaf {
                    value: 0.000_01,
                    cover: 50.0,
                },
            ],
        })
        .collect();
    let ensemble = TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, 0.0, &trees).unwrap();
    let heavy = ModelDraft {
        ensemble: Ensemble::single(Estimator::Trees(ensemble), Link::Logistic),
        ..draft(9)
    };
    heavy.encode(&[full_row(0)], Schema::embedded()).unwrap()
}

fn draft(flavour: u32) -> ModelDraft {
    let schema = Schema::embedded();
    let rows: Vec<FeatureVector> = (0..200).map(full_row).collect();
    let split = |feature: Feature, rule: SplitRule, left: usize, right: usize| Node::Split {
        column: feature.index(),
        rule,
        missing: MissingRule::Left,
        left,
        right,
        cover: 100.0,
    };
    let leaf = |value: f64| Node::Leaf { value, cover: 50.0 };
    let numeric = |feature: Feature, at: f64| Tree {
        nodes: vec![
            split(feature, SplitRule::Threshold(at), 1, 2),
            leaf(-0.7 - 0.01 * f64::from(flavour)),
            split(Feature::AvgUtilizationRatio, SplitRule::Threshold(0.5), 3, 4),
            leaf(0.31),
            leaf(0.93),
        ],
    };
    let categories = Tree {
        nodes: vec![
            split(Feature::Gender, SplitRule::Categories(0b01), 1, 2),
            leaf(0.11),
            leaf(-0.13),
        ],
    };
    let trees = [
        numeric(Feature::CreditLimit, 5_000.0),
        numeric(Feature::TotalTransAmt, 4_000.0),
        categories,
    ];
    let ensemble = TreeEnsemble::new(
        Comparison::LessThanF32,
        Aggregation::Sum,
        0.1 * f64::from(flavour),
        &trees,
    )
    .unwrap();
    ModelDraft {
        preprocessing: Preprocessing::for_trees(&Feature::ALL, schema),
        ensemble: Ensemble::single(Estimator::Trees(ensemble), Link::Logistic),
        calibration: Calibration::None,
        threshold: Threshold::fixed(0.5),
        profile: ReferenceProfile::build(&rows, &[], schema),
        origin: Origin {
            family: Family::BoostedTrees,
            provenance: Provenance::Trained,
            run_id: None,
            training_snapshots: Vec::new(),
            test_snapshots: Vec::new(),
            code_version: "test".to_owned(),
            seed: u64::from(flavour),
            parameters: Vec::new(),
        },
    }
}
