//! The recipe of a model: everything that determines an artefact beside the rows and the seed.
//!
//! A parameter set of `config/params.yaml` is a recipe with a name and a description; tuning makes new ones of it. An artefact carries its
//! recipe in its origin, so that it can be made again.

mod checks;
mod parameters;

use holdfast_model::Family;
use serde::{Deserialize, Serialize};

use super::trainer::{BoostedTreesParams, LogisticParams, RandomForestParams};

pub use parameters::{NoRecipe, from_flat, to_flat};

/// The most estimators that a recipe lists.
pub const MAX_ESTIMATORS: usize = 8;
/// The most seeds that each is fitted with.
pub const MAX_SEEDS: usize = 16;
/// The most engineered features.
pub const MAX_ENGINEERED: usize = 24;
/// The most members of the ensemble.
pub const MAX_MEMBERS: usize = 64;

/// How a model is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What is fitted, 1 to 8 of them; several are averaged with equal weight.
    pub estimators: Vec<EstimatorParams>,
    /// How often each is fitted, each time with another seed; all are averaged. 1 to 16, and 64 members in all at most.
    pub seeds: usize,
    /// What the estimators see.
    pub features: FeaturePlan,
    /// How one model learns to answer rows with the required features only.
    pub optional_features: OptionalFeatures,
    /// What is done about customers who leave being few.
    pub imbalance: Imbalance,
    /// How probabilities are calibrated.
    pub calibration: CalibrationPlan,
    /// How the threshold is chosen.
    pub threshold: ThresholdRule,
    /// The logistic regression that the candidate must beat.
    pub baseline: LogisticParams,
}

impl Recipe {
    /// Members of the ensemble: estimators times seeds.
    pub fn members(&self) -> usize {
        self.estimators.len() * self.seeds
    }

    /// The family that the model is called by: the first estimator's.
    pub fn family(&self) -> Family {
        self.estimators
            .first()
            .map_or(Family::BoostedTrees, EstimatorParams::family)
    }

    /// Whether one of the estimators is a logistic regression, which needs numbers standardised and categories in columns of their own.
    pub fn has_logistic(&self) -> bool {
        self.estimators
            .iter()
            .any(|estimator| estimator.family() == Family::LogisticRegression)
    }
}

/// A family and its parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "family", rename_all = "snake_case")]
pub enum EstimatorParams {
    /// Gradient-boosted trees.
    BoostedTrees(BoostedTreesParams),
    /// A random forest.
    RandomForest(RandomForestParams),
    /// Logistic regression.
    LogisticRegression(LogisticParams),
}

impl EstimatorParams {
    /// The family.
    pub const fn family(&self) -> Family {
        match self {
            Self::BoostedTrees(_) => Family::BoostedTrees,
            Self::RandomForest(_) => Family::RandomForest,
            Self::LogisticRegression(_) => Family::LogisticRegression,
        }
    }
}

/// What the estimators see of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeaturePlan {
    /// Columns made of others, in order; 24 at most.
    pub engineered: Vec<EngineeredFeature>,
    /// Features and engineered columns that no estimator sees. Engineered columns may still be made of them.
    pub drop: Vec<String>,
    /// How categories become columns. Logistic regression always takes one column a category.
    pub categories: CategoryEncoding,
    /// How numbers are scaled. Logistic regression always takes standardised ones.
    pub scaling: Scaling,
}

/// A column made of others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineeredFeature {
    /// Its name.
    pub name: String,
    /// What it is.
    pub formula: Formula,
}

/// How an engineered column is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Formula {
    /// Numerator / denominator; 0 where the denominator is 0, missing where either is missing.
    Ratio {
        /// A numeric column.
        numerator: String,
        /// A numeric column.
        denominator: String,
    },
    /// The product of two or more numeric columns; missing where one is.
    Product(Vec<String>),
}

impl Formula {
    /// The columns that it is made of.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        let (pair, factors) = match self {
            Self::Ratio { numerator, denominator } => (Some([numerator, denominator]), None),
            Self::Product(factors) => (None, Some(factors)),
        };
        let all = pair.into_iter().flatten().chain(factors.into_iter().flatten());
        all.map(String::as_str)
    }
}

/// How categories become columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryEncoding {
    /// Trees split sets of categories.
    Native,
    /// A category is its place in the schema, a number.
    Codes,
    /// A column of 0 and 1 for each category.
    OneHot,
}

/// How numbers are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// As they are.
    None,
    /// To mean 0 and standard deviation 1.
    Standard,
}

/// How one model learns to answer rows with the required features only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionalFeatures {
    /// Learn each row a second time with the optional features missing.
    pub masked_copies: bool,
    /// Weight of these second rows beside the first ones' 1; above 0 and at most 10.
    pub masked_weight: f64,
}

/// What is done about customers who leave being few. Whatever it is, probabilities are calibrated afterwards on untouched rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Imbalance {
    /// Nothing.
    None,
    /// Rows of customers who left weigh more.
    ClassWeights {
        /// Their weight beside the others' 1, above 0; absent: as many times as there are more of the others.
        positive_weight: Option<f64>,
    },
    /// Synthetic minority rows, made of the rows learnt from and of nothing else.
    Smote {
        /// Neighbours that a synthetic row is drawn towards, 1 to 50.
        neighbours: usize,
        /// Rows of the minority for each of the majority afterwards, above 0 and at most 1.
        ratio: f64,
    },
}

/// How probabilities are calibrated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPlan {
    /// How.
    pub method: CalibrationMethod,
    /// Folds whose held-out scores calibration and threshold are fitted on, 2 to 20.
    pub folds: usize,
}

/// A way to calibrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationMethod {
    /// Platt or isotonic, whichever has the smaller log-loss on folds it was not fitted on.
    Best,
    /// Platt scaling.
    Platt,
    /// Isotonic regression.
    Isotonic,
    /// The model's own probabilities. No parameter set can ask for it: it is what `best` comes to for an imported model that is calibrated already.
    #[serde(skip)]
    None,
}

/// How the decision threshold is chosen, on calibrated scores of held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum ThresholdRule {
    /// The best F1.
    BestF1,
    /// The highest expected profit of making an offer.
    Cost {
        /// Cost of one offer, US dollars, 0 or more.
        offer_cost: f64,
        /// Margin lost with a customer who leaves, US dollars, 0 or more.
        lost_margin: f64,
        /// Share of leaving customers whom an offer keeps, 0 to 1.
        success_rate: f64,
    },
    /// As many customers as can be called.
    Capacity {
        /// Customers that can be called in a period, at least 1.
        calls: u64,
        /// Customers scored in a period, at least `calls`.
        population: u64,
    },
}

#[cfg(test)]
mod tests;
