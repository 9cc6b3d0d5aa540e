//! Gradient-boosted trees by `hessboost`: XGBoost's algorithm and parameters in pure Rust.

use std::ops::{ControlFlow, Range};

use hessboost::config::{ExtraTrees, MaxDeltaStep, TrainingParams, TreeMethod};
use hessboost::metric::EvalMetric;
use hessboost::objective::{Objective, RegLoss};
use holdfast_model::{Aggregation, Comparison, Estimator, Tree, TreeEnsemble};
use serde::{Deserialize, Serialize};

use super::TrainError;
use super::engine::{self, broken, engine_error};
use super::members::Conditions;
use super::sample::{Sample, Seen};
use super::watch::Watch;

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
    /// How they are drawn. Recipes without it are those of before there was a choice, and stay as they were written.
    #[serde(default, skip_serializing_if = "SamplingMethod::is_uniform")]
    pub sampling_method: SamplingMethod,
    /// How splits are searched. Recipes without it are those of before there was a choice.
    #[serde(default, skip_serializing_if = "SplitSearch::is_best")]
    pub split_search: SplitSearch,
    /// Columns that this estimator does not see, though others may. Recipes without it are those of before there was a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// Share of columns drawn for each tree, above 0 and at most 1.
    pub colsample_bytree: f64,
    /// Share of these drawn for each level of a tree, above 0 and at most 1.
    pub colsample_bylevel: f64,
    /// Share of these drawn for each split, above 0 and at most 1.
    pub colsample_bynode: f64,
    /// Least weight (sum of second derivatives) of a leaf, 0 or more.
    pub min_child_weight: f64,
    /// Least gain of a split, 0 or more.
    pub gamma: f64,
    /// L2 penalty on leaf values, 0 or more.
    pub lambda: f64,
    /// L1 penalty on leaf values, 0 or more.
    pub alpha: f64,
    /// Largest absolute value of a leaf before the learning rate, above 0; absent: no bound.
    pub max_delta_step: Option<f64>,
    /// Most histogram bins for a column, 2 to 65,535.
    pub max_bin: usize,
    /// The order in which a tree grows.
    pub grow_policy: GrowPolicy,
    /// Most leaves of a tree, 2 to 65,536; absent: as many as the depth allows. Trees that grow by level or symmetrically have no such bound.
    pub max_leaves: Option<usize>,
}

/// How the rows of a tree are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingMethod {
    /// Each with the same probability.
    #[default]
    Uniform,
    /// Those that the trees before are wrong about rather than others, and weighed so that sums stay the same in the mean (minimal variance
    /// sampling, Ibragimov & Gusev 2019).
    GradientBased,
}

impl SamplingMethod {
    fn is_uniform(&self) -> bool {
        *self == Self::Uniform
    }
}

/// How splits are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitSearch {
    /// Every border between bins of a column is tried.
    #[default]
    Best,
    /// One border of each column, drawn at every node: trees that differ more, and each of which fits less (Geurts, Ernst & Wehenkel, "Extremely
    /// randomized trees", 2006).
    Random,
}

impl SplitSearch {
    fn is_best(&self) -> bool {
        *self == Self::Best
    }
}

/// The order in which a tree grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrowPolicy {
    /// Level by level.
    Depthwise,
    /// The leaf with the highest gain first.
    Lossguide,
    /// Level by level, with one and the same split for all nodes of a level.
    Symmetric,
}

impl Default for BoostedTreesParams {
    fn default() -> Self {
        Self {
            trees: 400,
            max_depth: 6,
            eta: 0.05,
            subsample: 0.8,
            sampling_method: SamplingMethod::Uniform,
            split_search: SplitSearch::Best,
            drop: Vec::new(),
            colsample_bytree: 0.8,
            colsample_bylevel: 1.0,
            colsample_bynode: 1.0,
            min_child_weight: 1.0,
            gamma: 0.0,
            lambda: 1.0,
            alpha: 0.0,
            max_delta_step: None,
            max_bin: 256,
            grow_policy: GrowPolicy::Depthwise,
            max_leaves: None,
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
        for (field, value, least, most, allowed) in [
            ("trees", self.trees, 1, 10_000, "1 to 10,000"),
            ("max_depth", self.max_depth, 1, 16, "1 to 16"),
            ("max_bin", self.max_bin, 2, 65_535, "2 to 65,535"),
        ] {
            rule(field, (least..=most).contains(&value), allowed, value.to_string());
        }
        for (field, share) in [
            ("eta", self.eta),
            ("subsample", self.subsample),
            ("colsample_bytree", self.colsample_bytree),
            ("colsample_bylevel", self.colsample_bylevel),
            ("colsample_bynode", self.colsample_bynode),
        ] {
            rule(
                field,
                share > 0.0 && share <= 1.0,
                "above 0 and at most 1",
                share.to_string(),
            );
        }
        for (field, penalty) in [
            ("min_child_weight", self.min_child_weight),
            ("gamma", self.gamma),
            ("lambda", self.lambda),
            ("alpha", self.alpha),
        ] {
            rule(
                field,
                (0.0..=1e9).contains(&penalty),
                "0 to 1,000,000,000",
                penalty.to_string(),
            );
        }
        if let Some(bound) = self.max_delta_step {
            let holds = (1e-9..=1e9).contains(&bound);
            rule(
                "max_delta_step",
                holds,
                "0.000000001 to 1,000,000,000, or null",
                bound.to_string(),
            );
        }
        if let Some(leaves) = self.max_leaves {
            let holds = (2..=65_536).contains(&leaves);
            rule("max_leaves", holds, "2 to 65,536, or null", leaves.to_string());
            let fits = self.grow_policy == GrowPolicy::Lossguide;
            rule(
                "max_leaves",
                fits,
                "null unless grow_policy is lossguide",
                leaves.to_string(),
            );
        }
        if self.split_search == SplitSearch::Random {
            let fits = self.grow_policy != GrowPolicy::Symmetric;
            rule(
                "split_search",
                fits,
                "best where grow_policy is symmetric",
                "random".to_owned(),
            );
        }
        found
    }

    pub(super) fn for_engine(&self, seed: u64, threads: usize) -> hessboost::error::Result<TrainingParams> {
        let builder = TrainingParams::builder()
            .objective(Objective::BinaryLogistic(RegLoss::default()))
            .tree_method(TreeMethod::Hist)
            // Where rows are watched the engine wants a measure of its own: the cheapest.
            .eval_metric(EvalMetric::Error)
            .seed(seed)
            .nthread(engine_threads(threads))
            .max_depth(self.max_depth)
            .eta(self.eta)
            .subsample(self.subsample)
            .sampling_method(match self.sampling_method {
                SamplingMethod::Uniform => hessboost::config::SamplingMethod::Uniform,
                SamplingMethod::GradientBased => hessboost::config::SamplingMethod::GradientBased,
            })
            .colsample_bytree(self.colsample_bytree)
            .colsample_bylevel(self.colsample_bylevel)
            .colsample_bynode(self.colsample_bynode)
            .min_child_weight(self.min_child_weight)
            .gamma(self.gamma)
            .lambda(self.lambda)
            .alpha(self.alpha)
            .max_delta_step(
                self.max_delta_step
                    .map_or(MaxDeltaStep::Unbounded, MaxDeltaStep::Bounded),
            )
            .max_bin(self.max_bin)
            .grow_policy(match self.grow_policy {
                GrowPolicy::Depthwise => hessboost::config::GrowPolicy::DepthWise,
                GrowPolicy::Lossguide => hessboost::config::GrowPolicy::LossGuide,
                GrowPolicy::Symmetric => hessboost::config::GrowPolicy::Symmetric,
            });
        let builder = match self.split_search {
            SplitSearch::Best => builder,
            // What is drawn depends on the seed of the fit as well.
            SplitSearch::Random => builder.extra_trees(ExtraTrees::default()),
        };
        match self.max_leaves {
            Some(leaves) => builder.max_leaves(leaves),
            None => builder,
        }
        .build()
    }
}

/// How many threads the engine gets where `threads` cores are free. The steps of a tree take a tenth of a millisecond, and a thread that has gone to
/// sleep between two of them takes as long to wake: with one to spare another is still awake. The trees are the same for any number.
const fn engine_threads(threads: usize) -> usize {
    if threads > 1 { threads + 1 } else { threads }
}

/// Fits boosted trees.
pub(super) fn fit(
    params: &BoostedTreesParams,
    sample: &Sample,
    conditions: Conditions<'_>,
) -> Result<Estimator, TrainError> {
    grow(params, sample, conditions, None)?.estimator()
}

/// Trees in the order in which they were grown. The engine's margin is its base score, in log-odds, plus the leaves.
pub(super) struct Grown {
    base: f64,
    trees: Vec<Tree>,
}

impl Grown {
    /// How many trees there are.
    pub(super) fn len(&self) -> usize {
        self.trees.len()
    }

    /// How many nodes they have together.
    pub(super) fn nodes(&self) -> usize {
        self.trees.iter().map(|tree| tree.nodes.len()).sum()
    }

    /// All of them.
    fn estimator(&self) -> Result<Estimator, TrainError> {
        self.part(0..self.len())
    }

    /// The trees of `range`; those from the first on bring the base with them.
    pub(super) fn part(&self, range: Range<usize>) -> Result<Estimator, TrainError> {
        let base = if range.start == 0 { self.base } else { 0.0 };
        TreeEnsemble::new(Comparison::LessThanF32, Aggregation::Sum, base, &self.trees[range])
            .map(Estimator::Trees)
            .map_err(|problem| broken(problem.to_string()))
    }
}

/// Grows trees. With a `watch` fewer than the parameters say, when it has seen enough of them.
pub(super) fn grow(
    params: &BoostedTreesParams,
    sample: &Sample,
    conditions: Conditions<'_>,
    watch: Option<Watch<'_>>,
) -> Result<Grown, TrainError> {
    let engine_params = params
        .for_engine(conditions.seed, conditions.threads)
        .map_err(engine_error)?;
    let seen = sample.without(&params.drop)?;
    let progress = conditions.progress;
    let mut cancelled = false;
    let watched = watch.as_ref().map_or(&[][..], |watch| watch.rows);
    let watched: Vec<Seen<'_>> = watched
        .iter()
        .map(|rows| rows.without(&params.drop))
        .collect::<Result<_, _>>()?;
    let mut trainer = hessboost::training::Trainer::new(&engine_params, seen.weighted()?, params.trees);
    for rows in &watched {
        trainer = trainer.eval(rows.weighted()?, "held out");
    }
    let mut watch = watch;
    if let Some(watch) = &watch {
        trainer = trainer.custom_metric(Box::new(watch.metric()));
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 trees")]
    let trained = trainer
        .on_round(|round| {
            let trees = round.iteration() + 1;
            cancelled = progress(trees as f64 / params.trees as f64).is_break();
            let enough = watch
                .as_mut()
                .is_some_and(|watch| watch.has_enough(trees, round.values()));
            if cancelled || enough {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .train()
        .map_err(engine_error)?;
    if cancelled {
        return Err(TrainError::Cancelled);
    }
    let trees = trained
        .model
        .trees()
        .iter()
        .map(|tree| engine::tree(tree, |column| seen.column(column)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Grown {
        base: f64::from(trained.model.base_score()),
        trees,
    })
}
