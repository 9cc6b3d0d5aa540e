//! From rows to estimators. The engines (`hessboost`, `linfa`) end here: what leaves is data of `holdfast_model`.
//!
//! [`RecipeTrainer`] fits a whole recipe. It makes columns of the rows ([`columns`]), puts them into a [`Sample`](sample::Sample) with the
//! recipe's weights, copies and synthetic rows ([`sample`], [`smote`]), and fits every member of the ensemble on it, one family a file. [`Folds`]
//! does the same on the parts of a cross-validation and scores what was held out.

mod boosted_trees;
mod columns;
mod engine;
mod folds;
mod logistic;
mod members;
pub(super) mod parallel;
mod random_forest;
mod sample;
mod smote;
mod watch;

use std::borrow::Cow;
use std::ops::ControlFlow;

use holdfast_domain::{FeatureVector, Schema};
use holdfast_model::{Ensemble, Family, Link, Preprocessing};

use super::recipe::{EstimatorParams, Imbalance, OptionalFeatures, Recipe};

pub(super) use columns::engineered as engineered_step;

pub use boosted_trees::{BoostedTreesParams, GrowPolicy, SamplingMethod, SplitSearch};
pub use folds::{Folds, HeldOutMargins, StageWatch, Staged, Stages};
pub use logistic::LogisticParams;
pub use members::Conditions;
pub use random_forest::{MaxFeatures, RandomForestParams};

/// What a trainer learns from: one label a row, `true` for customers who left.
#[derive(Clone, Copy, Debug)]
pub struct TrainingRows<'a> {
    /// The rows.
    pub features: &'a [FeatureVector],
    /// As many labels.
    pub labels: &'a [bool],
}

/// Estimators and the preprocessing they were trained behind.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// From features to columns.
    pub preprocessing: Preprocessing,
    /// From columns to a margin.
    pub ensemble: Ensemble,
}

/// Told how far training is, 0 to 1; answers whether to go on.
pub type Progress<'a> = &'a mut (dyn FnMut(f64) -> ControlFlow<()> + Send);

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The caller said to stop.
    #[error("training was cancelled")]
    Cancelled,
    /// There is nothing to learn from.
    #[error("the rows cannot be learnt from: {0}")]
    Rows(String),
    /// The engine refused or failed.
    #[error("{engine} failed: {message}")]
    Engine {
        /// Name of the engine.
        engine: &'static str,
        /// What it said.
        message: String,
    },
}

/// What can be trained. The same rows and seed give the same estimators, whatever the number of threads.
pub trait Trainer: Send + Sync {
    /// The family that the model is called by.
    fn family(&self) -> Family;

    /// Learns.
    ///
    /// # Errors
    /// [`TrainError`] says why nothing was learnt.
    fn fit(
        &self,
        rows: TrainingRows<'_>,
        seed: u64,
        schema: &Schema,
        progress: Progress<'_>,
    ) -> Result<Fitted, TrainError>;
}

/// Fits all estimators of a recipe with all its seeds, and averages them.
#[derive(Clone, Debug)]
pub struct RecipeTrainer<'a> {
    recipe: Cow<'a, Recipe>,
    threads: usize,
}

impl Recipe {
    /// The trainer of this recipe. `threads` changes how long training takes, and nothing else.
    pub fn trainer(&self, threads: usize) -> RecipeTrainer<'_> {
        RecipeTrainer {
            recipe: Cow::Borrowed(self),
            threads,
        }
    }

    /// The trainer of the logistic regression that the candidate must beat. It sees the same columns, and each row once.
    pub fn baseline_trainer(&self) -> RecipeTrainer<'static> {
        RecipeTrainer {
            recipe: Cow::Owned(self.baseline_recipe()),
            threads: 1,
        }
    }

    pub(super) fn baseline_recipe(&self) -> Recipe {
        Recipe {
            estimators: vec![EstimatorParams::LogisticRegression(self.baseline.clone())],
            seeds: 1,
            optional_features: OptionalFeatures {
                masked_copies: false,
                masked_weight: 1.0,
            },
            imbalance: Imbalance::None,
            ..self.clone()
        }
    }

    /// What the margins of this recipe's estimators are.
    pub fn link(&self) -> Link {
        match self.family() {
            Family::RandomForest => Link::Identity,
            Family::BoostedTrees | Family::LogisticRegression => Link::Logistic,
        }
    }
}

impl Trainer for RecipeTrainer<'_> {
    fn family(&self) -> Family {
        self.recipe.family()
    }

    fn fit(
        &self,
        rows: TrainingRows<'_>,
        seed: u64,
        schema: &Schema,
        progress: Progress<'_>,
    ) -> Result<Fitted, TrainError> {
        let part = members::Part::prepare(rows, &self.recipe, seed, schema)?;
        let fitted = members::fit(&[&part], &self.recipe, seed, self.threads, progress)?;
        fitted.into_iter().next().ok_or(TrainError::Cancelled)
    }
}

fn check(rows: TrainingRows<'_>) -> Result<(), TrainError> {
    if rows.features.len() != rows.labels.len() {
        let message = format!("{} rows and {} labels", rows.features.len(), rows.labels.len());
        return Err(TrainError::Rows(message));
    }
    let positives = rows.labels.iter().filter(|label| **label).count();
    if positives == 0 || positives == rows.labels.len() {
        return Err(TrainError::Rows("all rows have the same label".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
