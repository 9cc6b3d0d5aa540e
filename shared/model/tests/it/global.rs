//! Global explanations, on models whose truth is known.

use holdfast_domain::{Feature, FeatureVector};
use holdfast_model::explain::partial_dependence;
use holdfast_model::{Aggregation, UnlistedCategory};
use holdfast_model::{
    Comparison, Ensemble, Estimator, Link, LogisticCoefficients, MissingRule, Model, Node, Preprocessing,
    ReferenceProfile, SplitRule, Tree, TreeEnsemble,
};

use crate::support::{Kind, draft, model, ordinal, rows, schema};

fn customer(transactions: f64, limit: f64, card: &str) -> FeatureVector {
    let mut features = FeatureVector::MISSING;
    features.set(Feature::TotalTransCt, transactions);
    features.set(Feature::CreditLimit, limit);
    let code = schema().category_code(Feature::CardCategory, card).unwrap();
    features.set(Feature::CardCategory, code as f64);
    features
}

fn customers() -> Vec<FeatureVector> {
    (0..40)
        .map(|place| {
            let card = ["Blue", "Gold"][place % 2];
            customer(20.0 + 2.0 * (place % 10) as f64, 1_000.0 + 250.0 * place as f64, card)
        })
        .collect()
}

/// Linear in three columns, read as a probability: −0.004 a transaction, +0.00001 a dollar, +0.05 for Gold.
fn linear() -> Model {
    let mut draft = draft(Kind::Logistic, 1);
    draft.preprocessing = Preprocessing {
        steps: vec![ordinal("Card_Category", &["Blue", "Gold"], UnlistedCategory::Missing)],
        columns: ["Total_Trans_Ct", "Credit_Limit", "Card_Category"]
            .map(str::to_owned)
            .to_vec(),
    };
    draft.ensemble = Ensemble::single(
        Estimator::Logistic(LogisticCoefficients {
            intercept: 0.5,
            coefficients: vec![-0.004, 0.000_01, 0.05],
            column_means: vec![29.0, 5_875.0, 0.5],
        }),
        Link::Identity,
    );
    draft.profile = ReferenceProfile::build(&customers(), &[], schema());
    draft.preview(schema()).unwrap()
}

#[test]
fn the_importance_in_a_linear_model_is_coefficient_times_mean_distance() {
    let found = linear().importance(&customers());
    let of = |feature| *found.iter().find(|found| found.feature == feature).unwrap();
    // |x − mean| is 1, 3, 5, 7, 9 transactions: 5 on the mean; 125, 375, … 4,875 dollars: 2,500; one half of a card.
    let expected = [
        (Feature::CreditLimit, 0.025),
        (Feature::CardCategory, 0.025),
        (Feature::TotalTransCt, 0.02),
    ];
    for (feature, value) in expected {
        assert!((of(feature).mean_absolute - value).abs() < 1e-12, "{feature}");
        assert!((of(feature).share - value / 0.07).abs() < 1e-12, "{feature}");
    }
    assert!(of(Feature::CardCategory).standard_error < 1e-12);
    // Standard deviation of 1, 3, 5, 7, 9, each eight times, over √40.
    let deviation = (8.0 * (16.0 + 4.0 + 0.0 + 4.0 + 16.0_f64) / 39.0).sqrt();
    let expected = 0.004 * deviation / 40.0_f64.sqrt();
    assert!((of(Feature::TotalTransCt).standard_error - expected).abs() < 1e-12);
    assert_eq!(found.len(), 19);
    assert!(
        found
            .windows(2)
            .all(|pair| pair[0].mean_absolute >= pair[1].mean_absolute)
    );
    assert_eq!(found[18].mean_absolute, 0.0);
}

#[test]
fn the_dependence_of_a_linear_model_is_its_line() {
    let (model, rows) = (linear(), customers());
    let base = 0.5 + 0.000_01 * 5_875.0 + 0.05 * 0.5;
    let line = partial_dependence(&model, &rows, Feature::TotalTransCt, 5);
    let values: Vec<f64> = line.iter().map(|point| point.value).collect();
    assert_eq!(values, [20.0, 24.0, 28.0, 34.0, 38.0]);
    for point in &line {
        assert!((point.mean - (base - 0.004 * point.value)).abs() < 1e-12, "{point:?}");
        assert!(point.lower < point.mean && point.mean < point.upper);
    }
    assert_eq!((line[0].rows_share, line[4].rows_share), (0.1, 1.0));

    let cards = partial_dependence(&model, &rows, Feature::CardCategory, 5);
    let base = 0.5 - 0.004 * 29.0 + 0.000_01 * 5_875.0;
    assert_eq!(cards.len(), 2);
    for (point, step) in cards.iter().zip([0.0, 0.05]) {
        assert!((point.mean - (base + step)).abs() < 1e-12, "{point:?}");
        assert_eq!(point.rows_share, 0.5);
    }
}

#[test]
fn the_band_holds_the_middle_of_the_individual_curves() {
    let (model, rows) = (linear(), customers());
    let point = partial_dependence(&model, &rows, Feature::TotalTransCt, 2)[0];
    let mut own: Vec<f64> = rows
        .iter()
        .map(|row| {
            let mut moved = *row;
            moved.set(Feature::TotalTransCt, 20.0);
            model.score(&moved)
        })
        .collect();
    own.sort_unstable_by(f64::total_cmp);
    assert_eq!((point.lower, point.upper), (own[4], own[35]));
}

#[test]
fn the_dependence_of_a_tree_is_a_step_at_its_split() {
    let mut draft = draft(Kind::Boosted, 1);
    draft.preprocessing = Preprocessing {
        steps: Vec::new(),
        columns: vec!["Total_Trans_Ct".to_owned(), "Credit_Limit".to_owned()],
    };
    let tree = Tree {
        nodes: vec![
            Node::Split {
                column: 0,
                rule: SplitRule::Threshold(27.0),
                missing: MissingRule::Left,
                left: 1,
                right: 2,
                cover: 40.0,
            },
            Node::Leaf {
                value: 0.8,
                cover: 16.0,
            },
            Node::Leaf {
                value: 0.1,
                cover: 24.0,
            },
        ],
    };
    let trees = TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Mean, 0.0, &[tree]).unwrap();
    draft.ensemble = Ensemble::single(Estimator::Trees(trees), Link::Identity);
    draft.calibration = holdfast_model::Calibration::None;
    let model = draft.preview(schema()).unwrap();
    for point in partial_dependence(&model, &customers(), Feature::TotalTransCt, 10) {
        let expected = if point.value < 27.0 { 0.8 } else { 0.1 };
        assert_eq!((point.lower, point.upper), (expected, expected));
        assert!((point.mean - expected).abs() < 1e-12);
    }
    for point in partial_dependence(&model, &customers(), Feature::CreditLimit, 4) {
        assert!((point.mean - (0.8 * 0.4 + 0.1 * 0.6)).abs() < 1e-12, "{point:?}");
    }
    let found = model.importance(&customers());
    assert_eq!((found[0].feature, found[0].share), (Feature::TotalTransCt, 1.0));
}

#[test]
fn nothing_is_said_about_no_rows_and_no_values() {
    let model = model(Kind::Boosted, 3);
    assert!(model.importance(&[]).is_empty());
    assert!(partial_dependence(&model, &[], Feature::CreditLimit, 5).is_empty());
    let missing = [FeatureVector::MISSING; 3];
    assert!(partial_dependence(&model, &missing, Feature::CreditLimit, 5).is_empty());
    assert!(partial_dependence(&model, &missing, Feature::Gender, 5).is_empty());
}

#[test]
fn dependence_of_any_model_stays_within_the_range_of_probabilities() {
    for kind in Kind::ALL {
        let model = model(kind, 9);
        for feature in [Feature::CreditLimit, Feature::IncomeCategory] {
            let points = partial_dependence(&model, &rows(50, 2), feature, 8);
            assert!(points.len() > 3);
            for point in points {
                let ordered = point.lower <= point.mean + 1.0 && point.lower <= point.upper;
                assert!(ordered && (0.0..=1.0).contains(&point.mean), "{kind:?} {point:?}");
            }
        }
    }
}
