//! TreeSHAP against the definition of Shapley values, and the sums it promises.

use holdfast_domain::{Feature, FeatureVector};
use holdfast_model::{
    Aggregation, Ensemble, Estimator, Link, Node, Preprocessing, Preprocessor, ReferenceProfile, Tree, TreeEnsemble,
};
use proptest::prelude::*;

use crate::scoring::goes_left;
use crate::support::{Kind, Random, draft, draft_of, model, rows, schema, trees};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn contributions_add_up_to_the_margin(seed in any::<u64>(), kind in 0..Kind::ALL.len()) {
        let model = model(Kind::ALL[kind], seed);
        let rows = rows(20, seed);
        for (features, batch) in rows.iter().zip(model.explain_batch(&rows)) {
            let explanation = model.explain(features);
            prop_assert_eq!(&explanation, &batch);
            prop_assert_eq!(explanation.margin.to_bits(), model.margin(features).to_bits());
            let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
            prop_assert!((sum - explanation.margin).abs() < 1e-6 * explanation.margin.abs().max(1.0), "{} {}", sum, explanation.margin);
            let columns: f64 = model.explain_columns(features).iter().sum();
            prop_assert!((explanation.base + columns - explanation.margin).abs() < 1e-6 * explanation.margin.abs().max(1.0));
        }
    }

    #[test]
    fn tree_shap_is_the_shapley_value_of_the_cover_weighted_expectation(seed in any::<u64>(), lightgbm in any::<bool>()) {
        let kind = if lightgbm { Kind::LightGbm } else { Kind::Forest };
        let features = [Feature::CustomerAge, Feature::Gender, Feature::IncomeCategory, Feature::CreditLimit, Feature::TotalTransCt];
        let preprocessing = Preprocessing::for_trees(&features, schema());
        let preprocessor = Preprocessor::new(&preprocessing, schema()).unwrap();
        let ensemble = trees(kind, 4, 6, &preprocessor, &mut Random::new(seed));
        let mut draft = draft(kind, seed);
        draft.preprocessing = preprocessing;
        draft.ensemble = Ensemble::single(Estimator::Trees(ensemble.clone()), Link::Identity);
        let model = draft.preview(schema()).unwrap();
        for row in rows(5, seed) {
            let found = model.explain_columns(&row);
            let (base, expected) = shapley(&ensemble, &preprocessor.row(&row)[..features.len()]);
            prop_assert!((model.explain(&row).base - base).abs() < 1e-12);
            for (found, expected) in found.iter().zip(&expected) {
                prop_assert!((found - expected).abs() < 1e-10, "{} {}", found, expected);
            }
        }
    }
}

/// Shapley values by the definition: the mean gain over all orders, by subsets.
fn shapley(trees: &TreeEnsemble, row: &[f64]) -> (f64, Vec<f64>) {
    let count = row.len();
    let values: Vec<f64> = (0..1_usize << count).map(|known| value(trees, row, known)).collect();
    let factorial = |n: usize| (1..=n).map(|k| k as f64).product::<f64>();
    let contribution = |column: usize| {
        let others = (0..1_usize << count).filter(|known| known & (1 << column) == 0);
        others.fold(0.0, |sum, known| {
            let size = known.count_ones() as usize;
            let weight = factorial(size) * factorial(count - size - 1) / factorial(count);
            sum + weight * (values[known | 1 << column] - values[known])
        })
    };
    (values[0], (0..count).map(contribution).collect())
}

/// The expected margin when only the columns in the bit set are known.
fn value(trees: &TreeEnsemble, row: &[f64], known: usize) -> f64 {
    let sum: f64 = trees.trees().map(|tree| expectation(trees, &tree, 0, row, known)).sum();
    let divisor = if trees.aggregation() == Aggregation::Mean {
        trees.tree_count() as f64
    } else {
        1.0
    };
    trees.base_margin() + sum / divisor
}

fn expectation(trees: &TreeEnsemble, tree: &Tree, at: usize, row: &[f64], known: usize) -> f64 {
    let node = &tree.nodes[at];
    let cover = |at: usize| match &tree.nodes[at] {
        Node::Leaf { cover, .. } | Node::Split { cover, .. } => *cover,
    };
    match node {
        Node::Leaf { value, .. } => *value,
        Node::Split {
            column, left, right, ..
        } if known & (1 << column) != 0 => expectation(
            trees,
            tree,
            if goes_left(trees, node, row) { *left } else { *right },
            row,
            known,
        ),
        Node::Split { left, right, .. } => {
            let of = |child: usize| cover(child) / cover(at) * expectation(trees, tree, child, row, known);
            of(*left) + of(*right)
        }
    }
}

#[test]
fn deep_trees_still_add_up() {
    let mut draft = draft_of(Kind::Forest, 3, 12, 77);
    let mut nodes = Vec::new();
    // A chain 40 deep over all columns: the longest paths TreeSHAP has to carry.
    let columns = draft.preprocessing.columns.len();
    for depth in 0..40 {
        let cover = 2_f64.powi(40 - depth);
        let at = nodes.len();
        let column = [0, 2, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20][depth as usize % 16].min(columns - 1);
        let rule = holdfast_model::SplitRule::Threshold(f64::from(depth * 8));
        nodes.push(Node::Split {
            column,
            rule,
            missing: holdfast_model::MissingRule::Right,
            left: at + 1,
            right: at + 2,
            cover,
        });
        nodes.push(Node::Leaf {
            value: f64::from(depth) / 40.0,
            cover: cover / 2.0,
        });
    }
    nodes.push(Node::Leaf { value: 1.0, cover: 1.0 });
    let chain = Tree { nodes };
    let trees = TreeEnsemble::new(
        holdfast_model::Comparison::LessOrEqualF64,
        Aggregation::Sum,
        0.0,
        &[chain],
    )
    .unwrap();
    draft.ensemble = Ensemble::single(Estimator::Trees(trees), Link::Identity);
    let model = draft.preview(schema()).unwrap();
    for features in rows(200, 5).iter().chain([&FeatureVector::MISSING]) {
        let explanation = model.explain(features);
        let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
        assert!((sum - explanation.margin).abs() < 1e-9, "{sum} {}", explanation.margin);
    }
}

#[test]
fn an_engineered_column_is_credited_in_equal_shares_to_its_inputs() {
    let mut draft = draft(Kind::Boosted, 1);
    draft.preprocessing.columns = vec!["Customer_Value".to_owned(), "Total_Trans_Ct".to_owned()];
    let leaf = |value| Node::Leaf { value, cover: 1.0 };
    let rule = holdfast_model::SplitRule::Threshold(100.0);
    let split = Node::Split {
        column: 0,
        rule,
        missing: holdfast_model::MissingRule::Left,
        left: 1,
        right: 2,
        cover: 2.0,
    };
    let tree = Tree {
        nodes: vec![split, leaf(3.0), leaf(9.0)],
    };
    let trees = TreeEnsemble::new(holdfast_model::Comparison::LessThanF32, Aggregation::Sum, 0.5, &[tree]).unwrap();
    draft.ensemble = Ensemble::single(Estimator::Trees(trees), Link::Logistic);
    draft.profile = ReferenceProfile::build(&rows(20, 1), &[], schema());
    let model = draft.preview(schema()).unwrap();
    let mut features = FeatureVector::MISSING;
    features.set(Feature::TotalRevolvingBal, 1_000.0);
    features.set(Feature::AvgUtilizationRatio, 0.5);
    features.set(Feature::CreditLimit, 2_000.0);
    let explanation = model.explain(&features);
    assert!((explanation.base - 6.5).abs() < 1e-12);
    assert!((explanation.margin - 9.5).abs() < 1e-12);
    for feature in Feature::ALL {
        let expected = match feature {
            Feature::TotalRevolvingBal | Feature::AvgUtilizationRatio | Feature::CreditLimit => 1.0,
            _ => 0.0,
        };
        assert!(
            (explanation.contribution(feature) - expected).abs() < 1e-12,
            "{feature}"
        );
    }
    assert_eq!(model.explain_columns(&features).len(), 2);
    // Only what the columns are made of is part of the model.
    assert!(!model.signature().input(Feature::Gender).unwrap().used);
    assert!(model.signature().input(Feature::CreditLimit).unwrap().used);
}

#[test]
fn a_linear_model_is_explained_from_its_column_means() {
    let model = model(Kind::Logistic, 4);
    let Estimator::Logistic(linear) = &model.ensemble().members[0].estimator else {
        panic!("not linear")
    };
    let features = rows(1, 11)[0];
    let preprocessor = Preprocessor::new(model.preprocessing(), schema()).unwrap();
    let row = preprocessor.row(&features);
    for (index, contribution) in model.explain_columns(&features).iter().enumerate() {
        let expected = linear.coefficients[index] * (row[index] - linear.column_means[index]);
        assert!((contribution - expected).abs() < 1e-15);
    }
    let gender: f64 = (0..preprocessor.columns().len())
        .filter(|index| preprocessor.columns()[*index].starts_with("Gender="))
        .map(|index| model.explain_columns(&features)[index])
        .sum();
    assert!((model.explain(&features).contribution(Feature::Gender) - gender).abs() < 1e-12);
}
