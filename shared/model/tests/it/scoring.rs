//! Scores against a naive walk over the typed trees, which shares no code with the crate's.

use holdfast_domain::{Feature, FeatureVector};
use holdfast_model::preprocess::Row;
use holdfast_model::{
    Aggregation, Calibration, Comparison, Estimator, Link, MissingRule, Model, Node, Preprocessor, SplitRule,
    Threshold, Tree, TreeEnsemble, UnlistedCode,
};
use proptest::prelude::*;

use crate::support::{Kind, draft, draft_of, model, rows, schema};

/// Whether a row goes left, as XGBoost's and LightGBM's documentation word it.
pub(crate) fn goes_left(trees: &TreeEnsemble, node: &Node, row: &[f64]) -> bool {
    let Node::Split {
        column, rule, missing, ..
    } = node
    else {
        panic!("a leaf")
    };
    let x = row[*column];
    let missing_left = matches!(missing, MissingRule::Left | MissingRule::ZeroOrMissingLeft);
    let zero_is_missing = matches!(
        missing,
        MissingRule::ZeroOrMissingLeft | MissingRule::ZeroOrMissingRight
    );
    match rule {
        _ if x.is_nan() => missing_left,
        SplitRule::Categories(set) if (0.0..64.0).contains(&x) => set & (1 << x as u64) != 0,
        SplitRule::Categories(_) => match trees.unlisted_code() {
            UnlistedCode::Left => true,
            UnlistedCode::Right => false,
            UnlistedCode::AsMissing => missing_left,
        },
        SplitRule::Threshold(_) if zero_is_missing && x.abs() <= 1e-35 => missing_left,
        SplitRule::Threshold(value) => match trees.comparison() {
            Comparison::LessThanF32 => (x as f32) < (*value as f32),
            Comparison::LessOrEqualF64 => x <= *value,
        },
    }
}

fn leaf(trees: &TreeEnsemble, tree: &Tree, row: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        match &tree.nodes[at] {
            Node::Leaf { value, .. } => return *value,
            node @ Node::Split { left, right, .. } => at = if goes_left(trees, node, row) { *left } else { *right },
        }
    }
}

fn naive_margin(model: &Model, features: &FeatureVector) -> f64 {
    let preprocessor = Preprocessor::new(model.preprocessing(), schema()).unwrap();
    let row: Row = preprocessor.row(features);
    let mut margin = 0.0;
    for member in &model.ensemble().members {
        let own = match &member.estimator {
            Estimator::Trees(trees) => {
                let mut sum = 0.0;
                for tree in trees.trees() {
                    sum += leaf(trees, &tree, &row);
                }
                let divisor = if trees.aggregation() == Aggregation::Mean {
                    trees.tree_count() as f64
                } else {
                    1.0
                };
                trees.base_margin() + sum / divisor
            }
            Estimator::Logistic(linear) => {
                let mut sum = linear.intercept;
                for (index, coefficient) in linear.coefficients.iter().enumerate() {
                    let x = if row[index].is_nan() {
                        linear.column_means[index]
                    } else {
                        row[index]
                    };
                    sum += coefficient * x;
                }
                sum
            }
        };
        margin += member.weight * own;
    }
    margin
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_kind_of_model_scores_like_a_naive_walk_to_the_bit(seed in any::<u64>(), kind in 0..Kind::ALL.len()) {
        let model = model(Kind::ALL[kind], seed);
        for features in rows(40, seed) {
            prop_assert_eq!(model.margin(&features).to_bits(), naive_margin(&model, &features).to_bits());
        }
    }

    #[test]
    fn a_batch_gives_the_bits_of_single_rows(seed in any::<u64>(), kind in 0..Kind::ALL.len(), count in 0_usize..100) {
        let model = model(Kind::ALL[kind], seed);
        let rows = rows(count, seed);
        let (mut scores, mut margins) = (vec![f64::NAN; count], vec![f64::NAN; count]);
        model.score_batch(&rows, &mut scores);
        model.margin_batch(&rows, &mut margins);
        for (features, (score, margin)) in rows.iter().zip(scores.iter().zip(&margins)) {
            prop_assert_eq!(score.to_bits(), model.score(features).to_bits());
            prop_assert_eq!(margin.to_bits(), model.margin(features).to_bits());
            prop_assert!((0.0..=1.0).contains(score));
        }
    }

    /// Row by row, in words and blocks of rows, padded or not: whichever kernel runs, the bits are those of the naive walk.
    #[test]
    fn every_shape_of_trees_and_every_size_of_batch_gives_the_bits_of_a_naive_walk(
        seed in any::<u64>(),
        kind in 0..Kind::ALL.len(),
        trees in 1_usize..40,
        depth in 0_usize..11,
        count in prop::sample::select(vec![1_usize, 23, 24, 63, 65, 88, 199, 200, 256, 257, 456]),
    ) {
        let model = draft_of(Kind::ALL[kind], trees, depth, seed).preview(schema()).unwrap();
        let rows = rows(count, seed);
        let mut margins = vec![f64::NAN; count];
        model.margin_batch(&rows, &mut margins);
        for (features, margin) in rows.iter().zip(&margins) {
            prop_assert_eq!(margin.to_bits(), naive_margin(&model, features).to_bits());
            prop_assert_eq!(margin.to_bits(), model.margin(features).to_bits());
        }
    }

    #[test]
    fn any_numbers_at_all_score_to_a_probability(values in prop::array::uniform19(any::<f64>()), kind in 0..Kind::ALL.len()) {
        let model = model(Kind::ALL[kind], 3);
        let features = FeatureVector(values);
        prop_assert!((0.0..=1.0).contains(&model.score(&features)));
        let explanation = model.explain(&features);
        prop_assert!(explanation.contributions.iter().all(|part| part.is_finite()));
        let _ = (model.reasons(&features, 19), model.out_of_domain(&features));
    }
}

#[test]
fn the_shorter_slice_ends_a_batch() {
    let model = model(Kind::Boosted, 1);
    let rows = rows(40, 1);
    let mut out = vec![-1.0; 45];
    model.score_batch(&rows, &mut out);
    assert!(out[..40].iter().all(|score| *score >= 0.0) && out[40..].iter().all(|score| *score < 0.0));
    let mut out = vec![-1.0; 33];
    model.score_batch(&rows, &mut out);
    assert!(out.iter().all(|score| *score >= 0.0));
}

#[test]
fn the_threshold_itself_is_positive() {
    let mut draft = draft(Kind::Boosted, 5);
    draft.threshold = Threshold::fixed(0.5);
    let model = draft.preview(schema()).unwrap();
    assert!(model.label(0.5) && model.label(0.9) && !model.label(0.5_f64.next_down()));
    assert_eq!(model.threshold().to_bits(), 0.5_f64.to_bits());
}

#[test]
fn calibration_acts_on_the_margin_and_the_raw_probability() {
    let mut draft = draft(Kind::Boosted, 6);
    let features = rows(1, 9)[0];
    let raw = draft.preview(schema()).unwrap();
    let margin = raw.margin(&features);
    assert_eq!(
        raw.score(&features).to_bits(),
        Link::Logistic.probability(margin).to_bits()
    );
    assert_eq!(raw.raw_probability(margin).to_bits(), raw.score(&features).to_bits());

    draft.calibration = Calibration::Platt {
        slope: 2.0,
        intercept: -0.25,
    };
    let platt = draft.preview(schema()).unwrap();
    let expected = 1.0 / (1.0 + (-(2.0 * margin - 0.25)).exp());
    assert!((platt.score(&features) - expected).abs() < 1e-15);

    draft.calibration = Calibration::Isotonic {
        raw_probabilities: vec![0.0, 1.0],
        probabilities: vec![0.2, 0.6],
    };
    let isotonic = draft.preview(schema()).unwrap();
    assert!((isotonic.score(&features) - (0.2 + 0.4 * raw.score(&features))).abs() < 1e-15);
}

#[test]
fn an_average_of_equal_members_is_the_member() {
    let mut draft = draft(Kind::Boosted, 8);
    let one = draft.preview(schema()).unwrap();
    let member = draft.ensemble.members[0].estimator.clone();
    draft.ensemble = holdfast_model::Ensemble::average(vec![member; 4], Link::Logistic);
    let four = draft.preview(schema()).unwrap();
    for features in rows(50, 8) {
        assert_eq!(one.margin(&features).to_bits(), four.margin(&features).to_bits());
    }
}

#[test]
fn out_of_domain_names_values_that_training_never_saw() {
    let mut draft = draft(Kind::Boosted, 2);
    let mut training = rows(50, 4);
    let blue = schema().category_code(Feature::CardCategory, "Blue").unwrap() as f64;
    let gold = schema().category_code(Feature::CardCategory, "Gold").unwrap() as f64;
    for features in &mut training {
        features.0 = features.0.map(|value| if value < 0.0 { f64::NAN } else { value });
        features.set(Feature::CardCategory, blue);
        features.set(Feature::CreditLimit, 1_000.0);
        features.set(Feature::MonthsOnBook, f64::NAN);
    }
    training[0].set(Feature::CreditLimit, 2_000.0);
    draft.profile = holdfast_model::ReferenceProfile::build(&training, &[], schema());
    let model = draft.preview(schema()).unwrap();

    let mut inside = training[1];
    assert_eq!(model.out_of_domain(&inside), []);
    inside.set(Feature::CreditLimit, f64::NAN);
    assert_eq!(model.out_of_domain(&inside), []);

    let mut outside = training[1];
    outside.set(Feature::CreditLimit, 2_000.5);
    outside.set(Feature::CardCategory, gold);
    outside.set(Feature::Gender, holdfast_domain::UNKNOWN_CATEGORY);
    outside.set(Feature::MonthsOnBook, 12.0);
    let expected = [
        Feature::Gender,
        Feature::CardCategory,
        Feature::MonthsOnBook,
        Feature::CreditLimit,
    ];
    assert_eq!(model.out_of_domain(&outside), expected);
}
