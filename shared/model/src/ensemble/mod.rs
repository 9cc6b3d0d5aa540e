//! Estimators as data: trees and linear functions, weighted and linked to a probability.
//!
//! margin = Σ weight × member margin, added up in member order; the raw probability is the [`Link`] of the margin.

mod linear;
mod nodes;
mod trees;
mod validate;
mod wire;

use crate::error::InvalidPart;
use crate::math;
use crate::preprocess::ColumnKind;

pub use linear::LogisticCoefficients;
pub(crate) use nodes::{NodeKind, Nodes};
pub use trees::{Node, SplitRule, Tree, TreeEnsemble};

/// The most estimators in one ensemble.
pub const MAX_MEMBERS: usize = 64;

/// The deepest a tree may be: edges from the root to the deepest leaf.
pub const MAX_DEPTH: usize = 64;

/// The largest absolute leaf value, weight, or coefficient: sums of these can never overflow.
pub const MAX_MAGNITUDE: f64 = 1e30;

/// Whether a number is finite and small enough to be added up.
pub(crate) fn is_bounded(value: f64) -> bool {
    value.abs() <= MAX_MAGNITUDE
}

/// One or several estimators. Averaging of seeds is several members with weights that add up to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    /// From margin to raw probability.
    pub link: Link,
    /// In the order in which margins are added up.
    pub members: Vec<Member>,
}

/// One estimator and its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Finite and above zero.
    pub weight: f64,
    /// The estimator.
    pub estimator: Estimator,
}

/// From columns to a margin.
#[derive(Clone, Debug, PartialEq)]
pub enum Estimator {
    /// Decision trees.
    Trees(TreeEnsemble),
    /// A linear function.
    Logistic(LogisticCoefficients),
}

/// How a margin becomes a raw probability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// 1 / (1 + e^-margin): boosted trees and logistic regression.
    Logistic,
    /// The margin itself, cut to 0..1: random forests, whose leaves hold probabilities.
    Identity,
}

/// How a numeric split compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Left when x, rounded to `f32`, is less than the split value: XGBoost, and the trees we train.
    LessThanF32,
    /// Left when x is less than or equal to the split value, in `f64`: LightGBM, scikit-learn.
    LessOrEqualF64,
}

/// How leaves become a margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// Base margin plus the sum of the leaves: boosted trees.
    Sum,
    /// Base margin plus the mean of the leaves: random forests.
    Mean,
}

/// Where a code that no categorical split lists goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlistedCode {
    /// Always left, as in XGBoost.
    Left,
    /// Always right, as in LightGBM.
    Right,
    /// Where a missing value goes.
    AsMissing,
}

/// Where a missing value goes at a split. Zero counts as missing at numeric splits only: code 0 is a category like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingRule {
    /// Left.
    Left,
    /// Right.
    Right,
    /// Left, and values within 1e-35 of zero count as missing (LightGBM's `zero_as_missing`).
    ZeroOrMissingLeft,
    /// Right, and values within 1e-35 of zero count as missing.
    ZeroOrMissingRight,
}

impl MissingRule {
    /// Whether a missing value goes left.
    pub const fn goes_left(self) -> bool {
        matches!(self, MissingRule::Left | MissingRule::ZeroOrMissingLeft)
    }

    /// Whether zero counts as missing.
    pub const fn zero_is_missing(self) -> bool {
        matches!(self, MissingRule::ZeroOrMissingLeft | MissingRule::ZeroOrMissingRight)
    }
}

impl Link {
    /// The raw probability of a margin.
    pub fn probability(self, margin: f64) -> f64 {
        match self {
            Link::Logistic => math::logistic(margin),
            Link::Identity => margin.clamp(0.0, 1.0),
        }
    }
}

impl Ensemble {
    /// A single estimator of weight 1.
    pub fn single(estimator: Estimator, link: Link) -> Self {
        Self {
            link,
            members: vec![Member { weight: 1.0, estimator }],
        }
    }

    /// Several estimators of equal weight: the same kind of model trained with different seeds.
    pub fn average(estimators: Vec<Estimator>, link: Link) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "at most 64 members")]
        let weight = 1.0 / estimators.len().max(1) as f64;
        Self {
            link,
            members: estimators
                .into_iter()
                .map(|estimator| Member { weight, estimator })
                .collect(),
        }
    }

    /// Checks everything that scoring and explaining rely on, for an estimator of these columns. Encoding a draft checks it as well; whoever
    /// makes an ensemble of somebody else's numbers learns here what is wrong with them.
    ///
    /// # Errors
    /// [`InvalidPart`] names the member, tree and node.
    pub fn validate(&self, columns: &[ColumnKind]) -> Result<(), InvalidPart> {
        if self.members.is_empty() || self.members.len() > MAX_MEMBERS {
            let count = self.members.len();
            return Err(InvalidPart::new(
                "members",
                format!("there are {count}, allowed are 1 to {MAX_MEMBERS}"),
            ));
        }
        for (index, member) in self.members.iter().enumerate() {
            let inside = |error: InvalidPart| error.inside(&format!("members[{index}]"));
            if !(member.weight > 0.0 && member.weight <= MAX_MAGNITUDE) {
                return Err(inside(InvalidPart::new(
                    "weight",
                    format!("{} is not finite and above zero", member.weight),
                )));
            }
            match &member.estimator {
                Estimator::Trees(trees) => trees.validate(columns).map_err(inside)?,
                Estimator::Logistic(linear) => linear.validate(columns.len()).map_err(inside)?,
            }
        }
        Ok(())
    }
}
