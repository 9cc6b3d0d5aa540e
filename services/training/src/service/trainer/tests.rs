use holdfast_domain::{Customer, Feature, split};
use holdfast_model::metrics::roc_auc;
use holdfast_model::{BareModel, Estimator, MissingRule, Node, SplitRule, Tree};

use super::members::Part;
use super::*;
use crate::service::params::Presets;
use crate::service::recipe::CategoryEncoding;

mod stages;

/// Features and labels of simulated customers.
struct Bank {
    features: Vec<FeatureVector>,
    labels: Vec<bool>,
}

impl Bank {
    fn of(count: usize, seed: u64) -> Self {
        let customers: Vec<Customer> = holdfast_simulator::customers(count, seed);
        Self {
            features: customers.iter().map(|customer| customer.features).collect(),
            labels: customers.iter().map(|customer| customer.label == Some(true)).collect(),
        }
    }

    fn rows(&self) -> TrainingRows<'_> {
        TrainingRows {
            features: &self.features,
            labels: &self.labels,
        }
    }
}

fn recipe(name: &str) -> Recipe {
    Presets::load(None).unwrap().get(name).unwrap().recipe.clone()
}

/// A preset with a few small estimators.
fn small(name: &str) -> Recipe {
    let mut recipe = recipe(name);
    for estimator in &mut recipe.estimators {
        match estimator {
            EstimatorParams::BoostedTrees(params) => {
                params.trees = 15;
                params.eta = 0.2;
            }
            EstimatorParams::RandomForest(params) => params.trees = 12,
            EstimatorParams::LogisticRegression(params) => params.max_iterations = 30,
        }
    }
    recipe
}

/// Trees that grow level by level on the bank's own columns, categories as sets.
fn native() -> Recipe {
    let mut recipe = small("default");
    recipe.estimators = vec![EstimatorParams::BoostedTrees(BoostedTreesParams {
        trees: 15,
        eta: 0.2,
        ..BoostedTreesParams::default()
    })];
    recipe.features.engineered.clear();
    recipe.features.drop.clear();
    recipe.features.categories = CategoryEncoding::Native;
    recipe
}

fn go_on(_: f64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn fit(recipe: &Recipe, bank: &Bank, seed: u64, threads: usize) -> Fitted {
    let trainer = recipe.trainer(threads);
    trainer.fit(bank.rows(), seed, Schema::embedded(), &mut go_on).unwrap()
}

fn margins(fitted: &Fitted, rows: &[FeatureVector]) -> Vec<f64> {
    let model = BareModel::new(&fitted.preprocessing, &fitted.ensemble, Schema::embedded()).unwrap();
    model.margins(rows)
}

fn trees(fitted: &Fitted, member: usize) -> Vec<Tree> {
    match &fitted.ensemble.members[member].estimator {
        Estimator::Trees(trees) => trees.trees().collect(),
        Estimator::Logistic(_) => panic!("trees were fitted"),
    }
}

#[test]
fn no_family_depends_on_the_number_of_threads() {
    let bank = Bank::of(600, 7);
    for name in [
        "default",
        "best",
        "forest",
        "logistic",
        "predecessor_xgboost",
        "predecessor_forest",
    ] {
        let recipe = small(name);
        let one = fit(&recipe, &bank, 5, 1);
        assert_eq!(one, fit(&recipe, &bank, 5, 2), "{name}");
        assert_eq!(one, fit(&recipe, &bank, 5, 5), "{name}");
        if name != "logistic" {
            assert_ne!(one, fit(&recipe, &bank, 6, 1), "{name}");
        }
    }
}

#[test]
fn every_family_ranks_customers_it_has_not_seen() {
    let (bank, unseen) = (Bank::of(2_000, 11), Bank::of(1_000, 12));
    for (name, least) in [("default", 0.93), ("best", 0.93), ("forest", 0.9), ("logistic", 0.8)] {
        let fitted = fit(&small(name), &bank, 5, 2);
        let auc = roc_auc(&unseen.labels, &margins(&fitted, &unseen.features)).unwrap();
        assert!(auc > least, "{name}: {auc}");
        let masked: Vec<FeatureVector> = unseen
            .features
            .iter()
            .map(|row| row.required_only(Schema::embedded()))
            .collect();
        let auc = roc_auc(&unseen.labels, &margins(&fitted, &masked)).unwrap();
        assert!(auc > least - 0.05, "{name}, required features only: {auc}");
    }
}

#[test]
fn seeds_are_averaged_with_equal_weight_and_differ() {
    let bank = Bank::of(500, 7);
    let mut recipe = small("default");
    recipe.seeds = 3;
    recipe.estimators.push(recipe.estimators[0].clone());
    let fitted = fit(&recipe, &bank, 5, 2);
    assert_eq!(fitted.ensemble.members.len(), 6);
    for (place, member) in fitted.ensemble.members.iter().enumerate() {
        assert!((member.weight - 1.0 / 6.0).abs() < 1e-15);
        assert!(
            !fitted.ensemble.members[..place].contains(member),
            "member {place} is new"
        );
    }
    recipe.seeds = 1;
    recipe.estimators.truncate(1);
    let alone = fit(&recipe, &bank, 5, 1);
    assert_eq!(
        alone.ensemble.members[0].estimator,
        fitted.ensemble.members[0].estimator
    );
}

/// A walk written apart from the scorer's.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "as the engine compares"
)]
fn walk(tree: &Tree, row: &[f64]) -> f64 {
    let mut at = 0;
    loop {
        match tree.nodes[at] {
            Node::Leaf { value, .. } => return value,
            Node::Split {
                column,
                rule,
                missing,
                left,
                right,
                ..
            } => {
                let x = row[column];
                let goes_left = match rule {
                    _ if x.is_nan() => missing == MissingRule::Left,
                    SplitRule::Threshold(threshold) => (x as f32) < threshold as f32,
                    SplitRule::Categories(set) => set >> (x as u32) & 1 == 1,
                };
                at = if goes_left { left } else { right };
            }
        }
    }
}

#[test]
fn native_categories_give_the_margins_of_the_engine() {
    let bank = Bank::of(1_500, 7);
    let recipe = native();
    let fitted = fit(&recipe, &bank, 5, 1);
    let forest = trees(&fitted, 0);
    let sets = forest.iter().flat_map(|tree| &tree.nodes).filter(|node| {
        matches!(
            node,
            Node::Split {
                rule: SplitRule::Categories(_),
                ..
            }
        )
    });
    assert!(sets.count() > 5, "categories are split as sets");

    let part = Part::prepare(bank.rows(), &recipe, 5, Schema::embedded()).unwrap();
    let EstimatorParams::BoostedTrees(params) = &recipe.estimators[0] else {
        panic!("boosted trees");
    };
    let engine_params = params.for_engine(5, 1).unwrap();
    let data = part.sample.weighted().unwrap();
    let engine = hessboost::training::train(&engine_params, data, params.trees).unwrap();
    let theirs = engine.predict_margin(data, ..).unwrap();
    let Estimator::Trees(ensemble) = &fitted.ensemble.members[0].estimator else {
        panic!("trees");
    };
    // The second half of the rows has the optional features missing, categories among them.
    for index in 0..part.sample.rows() {
        let row = part.sample.row(index);
        let ours = ensemble.base_margin() + forest.iter().map(|tree| walk(tree, row)).sum::<f64>();
        let engine = f64::from(*theirs.get(index, 0).unwrap());
        assert!((ours - engine).abs() < 1e-5, "row {index}: {ours} and {engine}");
    }
    let scored = margins(&fitted, &bank.features);
    for (index, margin) in scored.iter().enumerate() {
        let engine = f64::from(*theirs.get(index, 0).unwrap());
        assert!((margin - engine).abs() < 1e-5, "row {index}: {margin} and {engine}");
    }
}

#[test]
fn a_category_that_training_did_not_know_goes_the_way_of_missing_values() {
    let bank = Bank::of(800, 7);
    let recipe = native();
    let fitted = fit(&recipe, &bank, 5, 1);
    let mut unknown = bank.features[..50].to_vec();
    let mut missing = unknown.clone();
    for (unknown, missing) in unknown.iter_mut().zip(&mut missing) {
        unknown.set(Feature::IncomeCategory, holdfast_domain::UNKNOWN_CATEGORY);
        missing.set(Feature::IncomeCategory, f64::NAN);
    }
    assert_eq!(margins(&fitted, &unknown), margins(&fitted, &missing));
}

#[test]
fn trees_grow_by_leaf_and_symmetrically_as_well() {
    let bank = Bank::of(800, 7);
    let mut recipe = small("default");
    let mut grown = |policy, max_leaves| {
        let EstimatorParams::BoostedTrees(params) = &mut recipe.estimators[0] else {
            panic!("boosted trees");
        };
        params.grow_policy = policy;
        params.max_leaves = max_leaves;
        assert!(recipe.violations().is_empty(), "{:?}", recipe.violations());
        trees(&fit(&recipe, &bank, 5, 1), 0)
    };
    let leaves = |tree: &Tree| {
        tree.nodes
            .iter()
            .filter(|node| matches!(node, Node::Leaf { .. }))
            .count()
    };
    let by_leaf = grown(GrowPolicy::Lossguide, Some(5));
    assert!(by_leaf.iter().all(|tree| leaves(tree) <= 5) && by_leaf.iter().any(|tree| leaves(tree) == 5));
    // At the second level both nodes look at the same column.
    for tree in grown(GrowPolicy::Symmetric, None) {
        let column = |index: usize| match tree.nodes[index] {
            Node::Split { column, .. } => Some(column),
            Node::Leaf { .. } => None,
        };
        if let Node::Split { left, right, .. } = tree.nodes[0]
            && let (Some(a), Some(b)) = (column(left), column(right))
        {
            assert_eq!(a, b);
        }
    }
}

#[test]
fn a_column_without_any_value_breaks_no_family() {
    let mut bank = Bank::of(400, 3);
    for features in &mut bank.features {
        features.set(Feature::CustomerAge, f64::NAN);
        features.set(Feature::Gender, f64::NAN);
    }
    for (row, features) in bank.features.iter_mut().enumerate() {
        if row % 3 == 0 {
            features.set(Feature::TotalTransCt, f64::NAN);
        }
    }
    for name in ["default", "best", "forest", "logistic", "predecessor_forest"] {
        let fitted = fit(&small(name), &bank, 5, 1);
        assert!(
            margins(&fitted, &bank.features).iter().all(|margin| margin.is_finite()),
            "{name}"
        );
    }
}

#[test]
fn a_cancelled_training_gives_nothing_and_ends_at_once() {
    let bank = Bank::of(500, 7);
    for name in ["default", "forest", "logistic"] {
        for threads in [1, 2] {
            let recipe = small(name);
            let trainer = recipe.trainer(threads);
            let mut after = 0;
            let outcome = trainer.fit(bank.rows(), 5, Schema::embedded(), &mut |done| {
                if done < 0.2 {
                    return ControlFlow::Continue(());
                }
                after += 1;
                ControlFlow::Break(())
            });
            assert!(matches!(outcome, Err(TrainError::Cancelled)), "{name}");
            assert!(after <= threads, "{name}: {after} steps after the end");
        }
    }
}

#[test]
fn progress_grows_to_one() {
    let bank = Bank::of(400, 7);
    for name in ["best", "forest", "logistic"] {
        let mut seen = Vec::new();
        let recipe = small(name);
        let fitted = recipe.trainer(2).fit(bank.rows(), 5, Schema::embedded(), &mut |done| {
            seen.push(done);
            ControlFlow::Continue(())
        });
        assert!(fitted.is_ok());
        assert!(
            seen.is_sorted() && seen.last().is_some_and(|last| (last - 1.0).abs() < 1e-12),
            "{name}: {seen:?}"
        );
    }
}

#[test]
fn rows_that_cannot_be_learnt_from_are_refused() {
    let mut bank = Bank::of(100, 1);
    bank.labels.fill(false);
    let recipe = small("default");
    let outcome = recipe.trainer(1).fit(bank.rows(), 5, Schema::embedded(), &mut go_on);
    assert!(matches!(outcome, Err(TrainError::Rows(_))));
    bank.labels.pop();
    let outcome = recipe.trainer(1).fit(bank.rows(), 5, Schema::embedded(), &mut go_on);
    assert!(matches!(outcome, Err(TrainError::Rows(_))));
}

#[test]
fn class_weights_push_every_family_towards_those_who_leave() {
    let bank = Bank::of(1_000, 7);
    let mean = |recipe: &Recipe| {
        let fitted = fit(recipe, &bank, 5, 1);
        let all = margins(&fitted, &bank.features);
        #[expect(clippy::cast_precision_loss, reason = "a thousand rows")]
        let count = all.len() as f64;
        all.iter().map(|margin| recipe.link().probability(*margin)).sum::<f64>() / count
    };
    for name in ["default", "forest", "logistic"] {
        let mut recipe = small(name);
        let plain = mean(&recipe);
        recipe.imbalance = Imbalance::ClassWeights { positive_weight: None };
        let weighted = mean(&recipe);
        assert!(weighted > plain + 0.02, "{name}: {plain} and {weighted}");
        recipe.imbalance = Imbalance::ClassWeights {
            positive_weight: Some(1.0),
        };
        assert!((mean(&recipe) - plain).abs() < 1e-12, "{name}: a weight of 1 is none");
    }
}

#[test]
fn folds_hold_out_what_they_score_and_share_their_columns_between_recipes() {
    let bank = Bank::of(600, 7);
    let splits = split::stratified_k_fold(&bank.labels, 3, 4);
    let recipe = small("default");
    let schema = Schema::embedded();
    let folds = Folds::prepare(bank.rows(), &splits, &recipe, 5, schema).unwrap();
    assert_eq!((folds.len(), folds.is_empty()), (3, false));
    let (beside, whole) = folds
        .fit_beside(bank.rows(), &recipe, 5, 2, schema, &mut go_on)
        .unwrap();
    assert_eq!(whole, fit(&recipe, &bank, 5, 1));
    for (index, split) in splits.iter().enumerate() {
        let alone = folds.fit(index, &recipe, 5, 1, schema, &mut go_on).unwrap();
        assert_eq!(alone, beside[index]);
        assert_eq!(alone.rows, split.test);
        let training = Bank {
            features: split.train.iter().map(|row| bank.features[*row]).collect(),
            labels: split.train.iter().map(|row| bank.labels[*row]).collect(),
        };
        let held_out: Vec<FeatureVector> = split.test.iter().map(|row| bank.features[*row]).collect();
        assert_eq!(alone.full, margins(&fit(&recipe, &training, 5, 1), &held_out));
    }
    // Another number of bins and back again: what is kept between recipes is not mixed up.
    let mut coarse = recipe.clone();
    let EstimatorParams::BoostedTrees(params) = &mut coarse.estimators[0] else {
        panic!("boosted trees");
    };
    params.max_bin = 8;
    assert_ne!(folds.fit(0, &coarse, 5, 1, schema, &mut go_on).unwrap(), beside[0]);
    assert_eq!(folds.fit(0, &recipe, 5, 1, schema, &mut go_on).unwrap(), beside[0]);
    assert!(folds.fit(3, &recipe, 5, 1, schema, &mut go_on).is_err());
}

#[test]
fn synthetic_rows_of_a_fold_are_made_of_its_training_part_alone() {
    let bank = Bank::of(600, 7);
    let splits = split::stratified_k_fold(&bank.labels, 3, 4);
    let schema = Schema::embedded();
    let recipe = small("predecessor_xgboost");
    assert!(matches!(recipe.imbalance, Imbalance::Smote { .. }));
    let plain = Recipe {
        imbalance: Imbalance::None,
        ..recipe.clone()
    };
    let folds = Folds::prepare(bank.rows(), &splits, &recipe, 5, schema).unwrap();
    for (index, split) in splits.iter().enumerate() {
        let training = Bank {
            features: split.train.iter().map(|row| bank.features[*row]).collect(),
            labels: split.train.iter().map(|row| bank.labels[*row]).collect(),
        };
        let held_out: Vec<FeatureVector> = split.test.iter().map(|row| bank.features[*row]).collect();
        let of_fold = folds.fit(index, &recipe, 5, 1, schema, &mut go_on).unwrap().full;
        assert_eq!(of_fold, margins(&fit(&recipe, &training, 5, 1), &held_out));
        assert_ne!(of_fold, margins(&fit(&plain, &training, 5, 1), &held_out));
    }
}

#[test]
fn rows_drawn_by_gradient_give_other_trees_than_rows_drawn_by_chance() {
    let bank = Bank::of(800, 7);
    let mut recipe = small("default");
    let mut fitted = |method| {
        let EstimatorParams::BoostedTrees(params) = &mut recipe.estimators[0] else {
            panic!("boosted trees");
        };
        params.sampling_method = method;
        fit(&recipe, &bank, 5, 1)
    };
    let by_gradient = fitted(SamplingMethod::GradientBased);
    assert_ne!(by_gradient, fitted(SamplingMethod::Uniform));
    assert_eq!(by_gradient, fitted(SamplingMethod::GradientBased));
}

#[test]
fn borders_that_are_drawn_give_other_trees_for_every_seed_and_the_same_for_one() {
    let bank = Bank::of(800, 7);
    let mut recipe = small("predecessor_xgboost");
    let mut fitted = |search, seed, threads| {
        let EstimatorParams::BoostedTrees(params) = &mut recipe.estimators[0] else {
            panic!("boosted trees");
        };
        // Nothing else is drawn.
        (params.subsample, params.colsample_bytree) = (1.0, 1.0);
        params.split_search = search;
        recipe.imbalance = Imbalance::None;
        fit(&recipe, &bank, seed, threads)
    };
    let drawn = fitted(SplitSearch::Random, 5, 1);
    assert_ne!(drawn, fitted(SplitSearch::Best, 5, 1));
    assert_ne!(drawn, fitted(SplitSearch::Random, 6, 1));
    assert_eq!(drawn, fitted(SplitSearch::Random, 5, 2));
}

#[test]
fn a_column_that_an_estimator_drops_is_seen_by_the_others_alone() {
    let bank = Bank::of(800, 7);
    let schema = Schema::embedded();
    for categories in [CategoryEncoding::Codes, CategoryEncoding::OneHot] {
        let mut recipe = small("best");
        recipe.features.categories = categories;
        let hidden = ["Total_Trans_Ct", "Income_Category"].map(str::to_owned);
        let EstimatorParams::BoostedTrees(params) = &mut recipe.estimators[0] else {
            panic!("boosted trees");
        };
        params.drop.extend(hidden.clone());
        assert!(recipe.violations().is_empty(), "{:?}", recipe.violations());
        let fitted = fit(&recipe, &bank, 5, 1);
        let names = &fitted.preprocessing.columns;
        let splits_on_hidden = |member: usize| {
            let trees = trees(&fitted, member);
            let splits = trees.iter().flat_map(|tree| &tree.nodes).filter(|node| match node {
                Node::Split { column, .. } => hidden.iter().any(|name| names[*column].starts_with(name.as_str())),
                Node::Leaf { .. } => false,
            });
            splits.count()
        };
        assert_eq!(splits_on_hidden(0), 0);
        assert!(splits_on_hidden(1) > 0);
        // Hidden from all is dropped: the same columns in the same order, and so the same trees.
        let mut alone = recipe.clone();
        alone.estimators.truncate(1);
        let mut dropped = alone.clone();
        let EstimatorParams::BoostedTrees(params) = &mut dropped.estimators[0] else {
            panic!("boosted trees");
        };
        dropped.features.drop.append(&mut params.drop);
        let margins_of = |recipe: &Recipe| {
            let fitted = fit(recipe, &bank, 5, 1);
            let model = BareModel::new(&fitted.preprocessing, &fitted.ensemble, schema).unwrap();
            model.margins(&bank.features)
        };
        assert_eq!(margins_of(&alone), margins_of(&dropped));
    }
}
