//! Random forests: bootstrapped rows, features drawn at every split, probabilities from the leaves.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use hessboost::config::{TrainingParams, TreeMethod};
use hessboost::data::{DMatrix, ViewCuts};
use hessboost::objective::{Objective, RegLoss};
use holdfast_domain::Draws;
use holdfast_model::ensemble::MAX_DEPTH;
use holdfast_model::{Aggregation, Comparison, Estimator, Node, Tree, TreeEnsemble};
use serde::{Deserialize, Serialize};

use super::engine::{self, broken, engine_error};
use super::members::Conditions;
use super::sample::Sample;
use super::{TrainError, parallel};

/// Parameters of a random forest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomForestParams {
    /// Number of trees, 1 to 10,000.
    pub trees: usize,
    /// Largest depth of a tree, 1 to 64; absent: as deep as rows allow, 64 at most.
    pub max_depth: Option<usize>,
    /// Least rows of a node that is split, 2 or more.
    pub min_samples_split: usize,
    /// Least rows of a leaf, 1 or more.
    pub min_samples_leaf: usize,
    /// Features drawn at every split.
    pub max_features: MaxFeatures,
    /// Most histogram bins for a column, 2 to 65,535.
    pub max_bin: usize,
}

/// How many of the features are drawn at a split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxFeatures {
    /// Their square root.
    Sqrt,
    /// Their logarithm to base two.
    Log2,
    /// All of them.
    All,
    /// This share of them, above 0 and at most 1.
    Share(f64),
}

impl Default for RandomForestParams {
    fn default() -> Self {
        Self {
            trees: 300,
            max_depth: None,
            min_samples_split: 2,
            min_samples_leaf: 1,
            max_features: MaxFeatures::Sqrt,
            max_bin: 256,
        }
    }
}

impl RandomForestParams {
    /// Every parameter outside its range, as field and sentence.
    pub fn violations(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (field, value, least, most, allowed) in [
            ("trees", self.trees, 1, 10_000, "1 to 10,000"),
            ("max_depth", self.max_depth.unwrap_or(1), 1, 64, "1 to 64, or null"),
            ("min_samples_split", self.min_samples_split, 2, usize::MAX, "2 or more"),
            ("min_samples_leaf", self.min_samples_leaf, 1, usize::MAX, "1 or more"),
            ("max_bin", self.max_bin, 2, 65_535, "2 to 65,535"),
        ] {
            if !(least..=most).contains(&value) {
                found.push((field, format!("is {value}, but must be {allowed}")));
            }
        }
        if let MaxFeatures::Share(share) = self.max_features
            && !(share > 0.0 && share <= 1.0)
        {
            found.push((
                "max_features.share",
                format!("is {share}, but must be above 0 and at most 1"),
            ));
        }
        found
    }
}

/// Fits a random forest.
///
/// The engine grows a tree of squared error from 0 without shrinkage or penalty, so that a leaf is the mean of its labels, and a split lowers the
/// variance most, which for two classes is Gini's measure (Breiman 2001, "Random forests"). Every tree learns from as many rows as there are,
/// drawn with replacement, each with a chance in proportion to its weight.
pub(super) fn fit(
    params: &RandomForestParams,
    sample: &Sample,
    conditions: Conditions<'_>,
) -> Result<Estimator, TrainError> {
    let dense = sample.unweighted()?;
    let rows = Rows::of(sample);
    let mut seeds = Draws::of(conditions.seed);
    let seeds: Vec<u64> = (0..params.trees).map(|_| seeds.seed()).collect();
    let progress = Mutex::new((0_usize, conditions.progress));
    let trees = parallel::map(params.trees, conditions.threads, |index| {
        let tree = grow(params, dense, &rows, seeds[index])?;
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.0 += 1;
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000 trees")]
        let done = progress.0 as f64 / params.trees as f64;
        match (progress.1)(done) {
            ControlFlow::Continue(()) => Ok(tree),
            ControlFlow::Break(()) => Err(TrainError::Cancelled),
        }
    })?;
    TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Mean, 0.0, &trees)
        .map(Estimator::Trees)
        .map_err(|problem| broken(problem.to_string()))
}

fn grow(params: &RandomForestParams, dense: &DMatrix, rows: &Rows, seed: u64) -> Result<Tree, TrainError> {
    let mut draws = Draws::of(seed);
    let drawn = rows.draw(&mut draws);
    let view = dense
        .select_rows_with_cuts(&drawn, ViewCuts::Source)
        .map_err(engine_error)?;
    let engine_params = params.for_engine(dense.n_cols(), draws.seed()).map_err(engine_error)?;
    let model = hessboost::training::train(&engine_params, &view, 1).map_err(engine_error)?;
    let grown = model
        .trees()
        .first()
        .ok_or_else(|| broken("no tree was grown".to_owned()))?;
    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    let least = params.min_samples_split as f64;
    Ok(without_splits_below(least, &engine::tree(grown, |column| column)?))
}

impl RandomForestParams {
    #[expect(clippy::cast_precision_loss, reason = "row and column counts are small")]
    fn for_engine(&self, columns: usize, seed: u64) -> hessboost::error::Result<TrainingParams> {
        let drawn = self.max_features.of(columns);
        let share = if drawn >= columns {
            1.0
        } else {
            // The engine rounds down: in the middle between this many and one more.
            (drawn as f64 + 0.5) / columns as f64
        };
        TrainingParams::builder()
            .objective(Objective::SquaredError(RegLoss::default()))
            .base_score(0.0)
            .tree_method(TreeMethod::Hist)
            .seed(seed)
            .nthread(1)
            .max_depth(self.max_depth.unwrap_or(MAX_DEPTH))
            .eta(1.0)
            .lambda(0.0)
            .alpha(0.0)
            .gamma(0.0)
            .min_child_weight(self.min_samples_leaf as f64)
            .colsample_bynode(share)
            .max_bin(self.max_bin)
            .build()
    }
}

impl MaxFeatures {
    /// How many of so many columns, at least one, rounded down.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 64 columns"
    )]
    fn of(self, columns: usize) -> usize {
        let all = columns as f64;
        let drawn = match self {
            MaxFeatures::Sqrt => all.sqrt(),
            MaxFeatures::Log2 => all.log2(),
            MaxFeatures::All => all,
            MaxFeatures::Share(share) => all * share,
        };
        (drawn as usize).clamp(1, columns.max(1))
    }
}

/// The rows to draw from.
struct Rows {
    /// Running sums of the weights; `None` when all weigh the same.
    sums: Option<Vec<f64>>,
    count: usize,
}

impl Rows {
    fn of(sample: &Sample) -> Self {
        let sums = sample.weights.as_ref().map(|weights| {
            let running = weights.iter().scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            });
            running.collect()
        });
        Self {
            sums,
            count: sample.rows(),
        }
    }

    /// As many rows as there are, with replacement, ascending: the engine is faster on rows that lie side by side.
    fn draw(&self, draws: &mut Draws) -> Vec<usize> {
        let one = |draws: &mut Draws| match &self.sums {
            None => draws.below(self.count),
            Some(sums) => {
                let total = sums.last().copied().unwrap_or(0.0);
                let place = draws.unit() * total;
                sums.partition_point(|sum| *sum <= place).min(self.count - 1)
            }
        };
        let mut drawn: Vec<usize> = (0..self.count).map(|_| one(draws)).collect();
        drawn.sort_unstable();
        drawn
    }
}

/// The tree without the splits of nodes that hold fewer rows than `least`, of which the engine knows nothing. Growing top down, a tree that
/// never made them is the same otherwise.
fn without_splits_below(least: f64, tree: &Tree) -> Tree {
    let mut kept = Vec::new();
    let mut waiting = VecDeque::from([0_usize]);
    // Breadth first: a node's place is known when its parent is written.
    let mut next = 1;
    while let Some(index) = waiting.pop_front() {
        match tree.nodes[index] {
            Node::Split { cover, .. } if cover < least => kept.push(Node::Leaf {
                value: mean(tree, index),
                cover,
            }),
            Node::Split {
                column,
                rule,
                missing,
                left,
                right,
                cover,
            } => {
                waiting.extend([left, right]);
                kept.push(Node::Split {
                    column,
                    rule,
                    missing,
                    left: next,
                    right: next + 1,
                    cover,
                });
                next += 2;
            }
            leaf @ Node::Leaf { .. } => kept.push(leaf),
        }
    }
    Tree { nodes: kept }
}

/// Mean of the leaves below a node, by their covers.
fn mean(tree: &Tree, from: usize) -> f64 {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mut waiting = vec![from];
    while let Some(index) = waiting.pop() {
        match tree.nodes[index] {
            Node::Leaf { value, cover } => {
                sum += value * cover;
                weight += cover;
            }
            Node::Split { left, right, .. } => waiting.extend([right, left]),
        }
    }
    if weight > 0.0 { sum / weight } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::params::Presets;
    use crate::service::recipe::{EstimatorParams, Recipe};
    use crate::service::trainer::members::Part;
    use crate::service::trainer::{Trainer as _, TrainingRows};
    use holdfast_domain::{FeatureVector, Schema};
    use holdfast_model::{MissingRule, SplitRule};

    fn bank(count: usize) -> (Vec<FeatureVector>, Vec<bool>) {
        let customers = holdfast_simulator::customers(count, 5);
        let labels = customers.iter().map(|customer| customer.label == Some(true)).collect();
        (customers.iter().map(|customer| customer.features).collect(), labels)
    }

    fn recipe(params: RandomForestParams) -> Recipe {
        let mut recipe = Presets::load(None).unwrap().get("forest").unwrap().recipe.clone();
        recipe.estimators = vec![EstimatorParams::RandomForest(params)];
        recipe.optional_features.masked_copies = false;
        recipe
    }

    fn grown(params: RandomForestParams, count: usize) -> Vec<Tree> {
        let (features, labels) = bank(count);
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let trainer = recipe(params);
        let fitted = trainer
            .trainer(1)
            .fit(rows, 3, Schema::embedded(), &mut |_| ControlFlow::Continue(()))
            .unwrap();
        match &fitted.ensemble.members[0].estimator {
            Estimator::Trees(trees) => {
                assert_eq!((trees.aggregation(), trees.base_margin()), (Aggregation::Mean, 0.0));
                trees.trees().collect()
            }
            Estimator::Logistic(_) => panic!("trees were fitted"),
        }
    }

    fn few() -> RandomForestParams {
        RandomForestParams {
            trees: 6,
            ..RandomForestParams::default()
        }
    }

    #[test]
    fn leaves_hold_shares_of_leaving_customers_and_full_trees_are_pure() {
        for tree in grown(few(), 500) {
            let mut rows = 0.0;
            for node in &tree.nodes {
                if let Node::Leaf { value, cover } = node {
                    assert!(value.abs() < 1e-6 || (value - 1.0).abs() < 1e-6, "{value}");
                    rows += cover;
                }
            }
            assert!((rows - 500.0).abs() < 1e-3, "as many rows as there are: {rows}");
        }
    }

    #[test]
    fn small_nodes_are_neither_split_nor_made() {
        let params = RandomForestParams {
            min_samples_split: 60,
            min_samples_leaf: 10,
            max_depth: Some(4),
            ..few()
        };
        let trees = grown(params, 800);
        let mut depths = Vec::new();
        for tree in &trees {
            let mut depth = vec![0; tree.nodes.len()];
            for (index, node) in tree.nodes.iter().enumerate() {
                match *node {
                    Node::Leaf { value, cover } => {
                        assert!(cover >= 10.0 && (-1e-6..=1.0 + 1e-6).contains(&value));
                        depths.push(depth[index]);
                    }
                    Node::Split { left, right, cover, .. } => {
                        assert!(cover >= 60.0);
                        depth[left] = depth[index] + 1;
                        depth[right] = depth[index] + 1;
                    }
                }
            }
        }
        assert_eq!(depths.iter().max(), Some(&4));
    }

    #[test]
    fn columns_are_drawn_at_every_split() {
        // With one column a split, a tree that kept its columns would know one alone.
        let params = RandomForestParams {
            max_features: MaxFeatures::Share(0.01),
            ..few()
        };
        for tree in grown(params, 500) {
            let columns = tree.nodes.iter().filter_map(|node| match node {
                Node::Split { column, .. } => Some(*column),
                Node::Leaf { .. } => None,
            });
            let different: std::collections::BTreeSet<usize> = columns.collect();
            assert!(different.len() > 5, "{different:?}");
        }
    }

    #[test]
    fn so_many_columns_are_drawn_as_the_rule_says() {
        for (rule, drawn) in [
            (MaxFeatures::Sqrt, 4),
            (MaxFeatures::Log2, 4),
            (MaxFeatures::All, 19),
            (MaxFeatures::Share(0.5), 9),
            (MaxFeatures::Share(0.001), 1),
        ] {
            assert_eq!(rule.of(19), drawn, "{rule:?}");
            let share = RandomForestParams {
                max_features: rule,
                ..few()
            }
            .for_engine(19, 1)
            .unwrap()
            .colsample_bynode;
            // As the engine counts.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 19")]
            let engine = ((share as f32) * 19.0) as usize;
            assert_eq!(engine, drawn, "{rule:?}");
        }
        assert_eq!((MaxFeatures::Log2.of(1), MaxFeatures::Sqrt.of(1)), (1, 1));
    }

    #[test]
    fn a_node_below_the_limit_becomes_a_leaf_with_the_mean_of_its_rows() {
        let leaf = |value, cover| Node::Leaf { value, cover };
        let split = |left, right, cover| Node::Split {
            column: 0,
            rule: SplitRule::Threshold(1.0),
            missing: MissingRule::Left,
            left,
            right,
            cover,
        };
        let tree = Tree {
            nodes: vec![
                split(2, 1, 20.0),
                split(3, 4, 8.0),
                split(5, 6, 12.0),
                leaf(1.0, 2.0),
                leaf(0.0, 6.0),
                leaf(0.5, 4.0),
                leaf(0.0, 8.0),
            ],
        };
        let expected = Tree {
            nodes: vec![
                split(1, 2, 20.0),
                split(3, 4, 12.0),
                leaf(0.25, 8.0),
                leaf(0.5, 4.0),
                leaf(0.0, 8.0),
            ],
        };
        assert_eq!(without_splits_below(9.0, &tree), expected);
        let root = Tree {
            nodes: vec![leaf(0.2, 20.0)],
        };
        assert_eq!(without_splits_below(21.0, &tree), root);
    }

    #[test]
    fn heavier_rows_are_drawn_as_much_more_often() {
        let (features, labels) = bank(400);
        let mut recipe = recipe(few());
        recipe.imbalance = crate::service::recipe::Imbalance::ClassWeights {
            positive_weight: Some(9.0),
        };
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let part = Part::prepare(rows, &recipe, 1, Schema::embedded()).unwrap();
        let rows = Rows::of(&part.sample);
        let mut draws = Draws::of(1);
        let drawn: Vec<usize> = (0..50).flat_map(|_| rows.draw(&mut draws)).collect();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand rows")]
        let share = drawn.iter().filter(|row| labels[**row]).count() as f64 / drawn.len() as f64;
        #[expect(clippy::cast_precision_loss, reason = "400 rows")]
        let positives = labels.iter().filter(|label| **label).count() as f64;
        let expected = 9.0 * positives / (9.0 * positives + 400.0 - positives);
        assert!((share - expected).abs() < 0.01, "{share} and {expected}");
    }
}
