//! Gradient-boosted trees by `hessboost`: XGBoost's algorithm and parameters in pure Rust.

use std::ops::ControlFlow;

use hessboost::config::{TrainingParams, TreeMethod};
use hessboost::data::DMatrix;
use hessboost::model::BoostedModel;
use hessboost::objective::{Objective, RegLoss};
use holdfast_domain::{Feature, FeatureVector, Schema};
use holdfast_model::{
    Aggregation, Comparison, Ensemble, Estimator, Family, Link, MissingRule, Node, Preprocessing, SplitRule, Tree,
    TreeEnsemble,
};
use serde::{Deserialize, Serialize};

use super::matrix::Matrix;
use super::{Fitted, Progress, TrainError, Trainer, TrainingRows, check};

const ENGINE: &str = "hessboost";

/// Parameters of boosted trees, named as in XGBoost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoostedTreesParams {
    /// Number of trees, 1 to 10,000.
    pub trees: usize,
    /// Largest depth of a tree, 1 to 16.
    pub max_depth: usize,
    /// Learning rate, above 0 and at most 1.
    pub eta: f64,
    /// Share of rows drawn for each tree, above 0 and at most 1.
    pub subsample: f64,
    /// Share of columns drawn for each tree, above 0 and at most 1.
    pub colsample_bytree: f64,
    /// Least weight (sum of second derivatives) of a leaf, 0 or more.
    pub min_child_weight: f64,
    /// Least gain of a split, 0 or more.
    pub gamma: f64,
    /// L2 penalty on leaf values, 0 or more.
    pub lambda: f64,
    /// L1 penalty on leaf values, 0 or more.
    pub alpha: f64,
    /// Most histogram bins for a column, 2 to 65,535.
    pub max_bin: usize,
    /// Learn each row twice, the second time with the required features only, so that one model answers both well.
    pub mask_optional_features: bool,
}

impl Default for BoostedTreesParams {
    fn default() -> Self {
        Self {
            trees: 400,
            max_depth: 6,
            eta: 0.05,
            subsample: 0.8,
            colsample_bytree: 0.8,
            min_child_weight: 1.0,
            gamma: 0.0,
            lambda: 1.0,
            alpha: 0.0,
            max_bin: 256,
            mask_optional_features: true,
        }
    }
}

impl BoostedTreesParams {
    /// Every parameter outside its range, as field and sentence.
    pub fn violations(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        let mut rule = |field, holds: bool, allowed: &str, value: String| {
            if !holds {
                found.push((field, format!("is {value}, but must be {allowed}")));
            }
        };
        let share = |value: f64| value > 0.0 && value <= 1.0;
        let penalty = |value: f64| value >= 0.0 && value.is_finite();
        rule(
            "trees",
            (1..=10_000).contains(&self.trees),
            "1 to 10,000",
            self.trees.to_string(),
        );
        rule(
            "max_depth",
            (1..=16).contains(&self.max_depth),
            "1 to 16",
            self.max_depth.to_string(),
        );
        rule(
            "max_bin",
            (2..=65_535).contains(&self.max_bin),
            "2 to 65,535",
            self.max_bin.to_string(),
        );
        for (field, value) in [
            ("eta", self.eta),
            ("subsample", self.subsample),
            ("colsample_bytree", self.colsample_bytree),
        ] {
            rule(field, share(value), "above 0 and at most 1", value.to_string());
        }
        for (field, value) in [
            ("min_child_weight", self.min_child_weight),
            ("gamma", self.gamma),
            ("lambda", self.lambda),
            ("alpha", self.alpha),
        ] {
            rule(field, penalty(value), "0 or more", value.to_string());
        }
        found
    }
}

/// The trainer of boosted trees.
#[derive(Clone, Debug, PartialEq)]
pub struct BoostedTrees {
    /// Parameters.
    pub params: BoostedTreesParams,
    /// Seed of row and column sampling.
    pub seed: u64,
    /// Threads; the model does not depend on them.
    pub threads: usize,
}

impl Trainer for BoostedTrees {
    fn family(&self) -> Family {
        Family::BoostedTrees
    }

    fn parameters(&self) -> Vec<(String, String)> {
        let p = &self.params;
        [
            ("trees", p.trees.to_string()),
            ("max_depth", p.max_depth.to_string()),
            ("eta", p.eta.to_string()),
            ("subsample", p.subsample.to_string()),
            ("colsample_bytree", p.colsample_bytree.to_string()),
            ("min_child_weight", p.min_child_weight.to_string()),
            ("gamma", p.gamma.to_string()),
            ("lambda", p.lambda.to_string()),
            ("alpha", p.alpha.to_string()),
            ("max_bin", p.max_bin.to_string()),
            ("mask_optional_features", p.mask_optional_features.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    fn fit(&self, rows: TrainingRows<'_>, schema: &Schema, progress: Progress<'_>) -> Result<Fitted, TrainError> {
        check(rows)?;
        let preprocessing = Preprocessing::for_trees(&Feature::ALL, schema);
        let matrix = self.matrix(rows, &preprocessing, schema)?;
        let params = self.engine_params().map_err(engine)?;
        let mut cancelled = false;
        #[expect(clippy::cast_precision_loss, reason = "at most 10,000 trees")]
        let trained = hessboost::training::Trainer::new(&params, &matrix, self.params.trees)
            .on_round(|round| {
                let done = (round.iteration() + 1) as f64 / self.params.trees as f64;
                cancelled = progress(done).is_break();
                if cancelled {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .train()
            .map_err(engine)?;
        if cancelled {
            return Err(TrainError::Cancelled);
        }
        let trees = flatten(&trained.model)?;
        Ok(Fitted {
            preprocessing,
            ensemble: Ensemble::single(Estimator::Trees(trees), Link::Logistic),
        })
    }
}

impl BoostedTrees {
    fn engine_params(&self) -> hessboost::error::Result<TrainingParams> {
        let p = &self.params;
        TrainingParams::builder()
            .objective(Objective::BinaryLogistic(RegLoss::default()))
            .tree_method(TreeMethod::Hist)
            .seed(self.seed)
            .nthread(self.threads)
            .max_depth(p.max_depth)
            .eta(p.eta)
            .subsample(p.subsample)
            .colsample_bytree(p.colsample_bytree)
            .min_child_weight(p.min_child_weight)
            .gamma(p.gamma)
            .lambda(p.lambda)
            .alpha(p.alpha)
            .max_bin(p.max_bin)
            .build()
    }

    /// All rows, and once more with the optional features missing when that is asked for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the trees compare in f32, at training and at scoring"
    )]
    fn matrix(
        &self,
        rows: TrainingRows<'_>,
        preprocessing: &Preprocessing,
        schema: &Schema,
    ) -> Result<DMatrix, TrainError> {
        let mut all: Vec<FeatureVector> = rows.features.to_vec();
        let mut labels: Vec<f32> = rows.labels.iter().map(|label| f32::from(u8::from(*label))).collect();
        if self.params.mask_optional_features {
            all.extend(rows.features.iter().map(|row| row.required_only(schema)));
            labels.extend_from_within(..);
        }
        let matrix = Matrix::of(all.iter(), preprocessing, schema)?;
        let values = matrix.values.iter().map(|value| *value as f32).collect();
        DMatrix::from_dense_vec(values, matrix.rows, matrix.columns)
            .and_then(|dense| dense.with_labels(&labels))
            .map_err(engine)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "an argument of map_err")]
fn engine(error: hessboost::error::HessboostError) -> TrainError {
    TrainError::Engine {
        engine: ENGINE,
        message: error.to_string(),
    }
}

/// The engine's trees as ours. Its margin is the base score (in log-odds) plus the leaves.
fn flatten(model: &BoostedModel) -> Result<TreeEnsemble, TrainError> {
    let trees = model.trees().iter().map(|tree| {
        let nodes = tree.nodes().iter().map(|node| {
            if node.is_leaf() {
                return Ok(Node::Leaf {
                    value: f64::from(node.leaf_value),
                    cover: f64::from(node.sum_hess),
                });
            }
            Ok(Node::Split {
                column: node.split_feature as usize,
                rule: SplitRule::Threshold(f64::from(node.split_cond)),
                missing: if node.default_left {
                    MissingRule::Left
                } else {
                    MissingRule::Right
                },
                left: child(node.left)?,
                right: child(node.right)?,
                cover: f64::from(node.sum_hess),
            })
        });
        Ok(Tree {
            nodes: nodes.collect::<Result<_, TrainError>>()?,
        })
    });
    let trees = trees.collect::<Result<Vec<_>, TrainError>>()?;
    TreeEnsemble::new(
        Comparison::LessThanF32,
        Aggregation::Sum,
        f64::from(model.base_score()),
        &trees,
    )
    .map_err(|problem| TrainError::Engine {
        engine: ENGINE,
        message: problem.to_string(),
    })
}

fn child(index: i32) -> Result<usize, TrainError> {
    usize::try_from(index).map_err(|_| TrainError::Engine {
        engine: ENGINE,
        message: format!("a split has the child {index}"),
    })
}

#[cfg(test)]
mod tests {
    use holdfast_domain::Customer;

    use super::*;

    fn rows(count: usize) -> (Vec<FeatureVector>, Vec<bool>) {
        let customers: Vec<Customer> = holdfast_simulator::customers(count, 7);
        let labels = customers.iter().map(|customer| customer.label == Some(true)).collect();
        (customers.iter().map(|customer| customer.features).collect(), labels)
    }

    fn trainer(threads: usize) -> BoostedTrees {
        let params = BoostedTreesParams {
            trees: 20,
            ..BoostedTreesParams::default()
        };
        BoostedTrees {
            params,
            seed: 5,
            threads,
        }
    }

    fn go_on(_: f64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn the_estimator_does_not_depend_on_the_number_of_threads() {
        let (features, labels) = rows(1_000);
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let schema = Schema::embedded();
        let one = trainer(1).fit(rows, schema, &mut go_on).unwrap();
        let two = trainer(2).fit(rows, schema, &mut go_on).unwrap();
        assert_eq!(one, two);
    }

    #[test]
    fn our_trees_give_the_margins_of_the_engine() {
        let (features, labels) = rows(1_000);
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let schema = Schema::embedded();
        let trainer = trainer(1);
        let preprocessing = Preprocessing::for_trees(&Feature::ALL, schema);
        let matrix = trainer.matrix(rows, &preprocessing, schema).unwrap();
        let params = trainer.engine_params().unwrap();
        let engine = hessboost::training::train(&params, &matrix, trainer.params.trees).unwrap();
        let theirs = engine.predict_margin(&matrix, ..).unwrap();
        let Estimator::Trees(trees) = &trainer.fit(rows, schema, &mut go_on).unwrap().ensemble.members[0]
            .estimator
            .clone()
        else {
            panic!("trees were trained");
        };
        let forest: Vec<Tree> = trees.trees().collect();
        let plain = Matrix::of(features.iter(), &preprocessing, schema).unwrap();
        for (index, row) in plain.values.chunks_exact(plain.columns).enumerate() {
            let ours = trees.base_margin() + forest.iter().map(|tree| walk(tree, row)).sum::<f64>();
            let engine = f64::from(*theirs.get(index, 0).unwrap());
            assert!((ours - engine).abs() < 1e-5, "row {index}: {ours} and {engine}");
        }
    }

    /// A walk written apart from the scorer's.
    #[expect(clippy::cast_possible_truncation, reason = "as the engine compares")]
    fn walk(tree: &Tree, row: &[f64]) -> f64 {
        let mut at = 0;
        loop {
            match tree.nodes[at] {
                Node::Leaf { value, .. } => return value,
                Node::Split {
                    column,
                    rule: SplitRule::Threshold(threshold),
                    missing,
                    left,
                    right,
                    ..
                } => {
                    let x = row[column] as f32;
                    let goes_left = if x.is_nan() {
                        missing.goes_left()
                    } else {
                        x < threshold as f32
                    };
                    at = if goes_left { left } else { right };
                }
                Node::Split { .. } => panic!("a numeric split"),
            }
        }
    }

    #[test]
    fn a_cancelled_training_gives_nothing() {
        let (features, labels) = rows(500);
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let mut seen = 0;
        let outcome = trainer(1).fit(rows, Schema::embedded(), &mut |_| {
            seen += 1;
            if seen == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(outcome, Err(TrainError::Cancelled)));
        assert_eq!(seen, 3);
    }

    #[test]
    fn rows_of_one_class_are_refused() {
        let (features, _) = rows(100);
        let labels = vec![false; 100];
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        assert!(matches!(
            trainer(1).fit(rows, Schema::embedded(), &mut go_on),
            Err(TrainError::Rows(_))
        ));
    }

    #[test]
    fn parameters_outside_their_range_are_named() {
        let params = BoostedTreesParams {
            eta: 0.0,
            max_depth: 99,
            ..BoostedTreesParams::default()
        };
        let fields: Vec<_> = params.violations().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["max_depth", "eta"]);
    }
}
