//! What is made as large as possible: ROC-AUC on held-out folds of the training rows. The rows of the test take no part.

use std::ops::ControlFlow;

use holdfast_domain::split::Split;
use holdfast_domain::{Schema, split};
use holdfast_model::metrics::roc_auc;
use serde::{Deserialize, Serialize};

use super::recipes::RecipeSpace;
use super::search::{NoValue, Objective};
use super::space::Value;
use crate::service::recipe::Recipe;
use crate::service::trainer::{Folds, TrainError, TrainingRows};

/// The seed of the draw of folds is the run's, moved. It is another than that of the calibration's folds: the folds that parameters were chosen by
/// should not choose the calibration as well.
const FOLD_DRAW: u64 = 3;
/// The same for the outer folds of a nested cross-validation.
const OUTER_DRAW: u64 = 4;

/// What is measured on a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TuningObjective {
    /// ROC-AUC on full rows.
    #[default]
    RocAuc,
    /// The mean of the ROC-AUC on full rows and that on the same rows with the required features only.
    RocAucFullAndRequired,
}

impl TuningObjective {
    /// The name in settings and results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RocAuc => "roc_auc",
            Self::RocAucFullAndRequired => "roc_auc_full_and_required",
        }
    }
}

/// How a cross-validation is done.
#[derive(Clone, Copy, Debug)]
pub struct CrossValidation<'a> {
    /// Folds.
    pub folds: usize,
    /// Seed of the folds and of every fit.
    pub seed: u64,
    /// Threads of one fit.
    pub threads: usize,
    /// What is measured.
    pub objective: TuningObjective,
    /// The schema of the rows.
    pub schema: &'a Schema,
}

/// Folds at hand, to try recipes on.
#[derive(Debug)]
pub struct CrossValidated<'a> {
    how: CrossValidation<'a>,
    /// Made once: what trees are grown on is the same in every trial. A fit on a fold is the fit that a run does on the same rows, with the same
    /// seed, to the last bit; nothing is approximated.
    folds: Folds,
    labels: Vec<Vec<bool>>,
    recipes: &'a RecipeSpace,
}

impl<'a> CrossValidation<'a> {
    /// Draws the folds and prepares them.
    ///
    /// # Errors
    /// [`TrainError::Rows`] when a fold cannot be learnt from.
    pub fn prepare(self, rows: TrainingRows<'_>, recipes: &'a RecipeSpace) -> Result<CrossValidated<'a>, TrainError> {
        let splits = split::stratified_k_fold(rows.labels, self.folds, self.seed.wrapping_add(FOLD_DRAW));
        self.with(&splits, rows, recipes)
    }

    fn with(
        self,
        splits: &[Split],
        rows: TrainingRows<'_>,
        recipes: &'a RecipeSpace,
    ) -> Result<CrossValidated<'a>, TrainError> {
        let start = recipes.recipe(recipes.first()).map_err(TrainError::Rows)?;
        let held_out = splits
            .iter()
            .map(|split| split.test.iter().map(|row| rows.labels[*row]).collect());
        Ok(CrossValidated {
            how: self,
            folds: Folds::prepare(rows, splits, &start, self.seed, self.schema)?,
            labels: held_out.collect(),
            recipes,
        })
    }

    /// The outer folds of a nested cross-validation.
    pub fn outer_splits(&self, labels: &[bool], count: usize) -> Vec<Split> {
        split::stratified_k_fold(labels, count, self.seed.wrapping_add(OUTER_DRAW))
    }

    /// What a recipe is worth on the rows that a split holds out, fitted on its other rows.
    ///
    /// # Errors
    /// [`TrainError`] says why it could not be fitted.
    pub fn on_held_out(
        self,
        split: &Split,
        rows: TrainingRows<'_>,
        recipes: &'a RecipeSpace,
        recipe: &Recipe,
        go_on: &(dyn Fn() -> bool + Sync),
    ) -> Result<f64, TrainError> {
        self.with(std::slice::from_ref(split), rows, recipes)?
            .measure(recipe, 0, go_on)
    }
}

impl CrossValidated<'_> {
    fn measure(&self, recipe: &Recipe, fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, TrainError> {
        let CrossValidation {
            seed,
            threads,
            objective,
            schema,
            ..
        } = self.how;
        let mut progress = |_| {
            if wanted() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let margins = self.folds.fit(fold, recipe, seed, threads, schema, &mut progress)?;
        // Calibration keeps the order of margins, and with it the ROC-AUC.
        let area = |margins: &[f64]| {
            roc_auc(&self.labels[fold], margins).map_err(|problem| TrainError::Rows(problem.to_string()))
        };
        Ok(match objective {
            TuningObjective::RocAuc => area(&margins.full)?,
            TuningObjective::RocAucFullAndRequired => {
                f64::midpoint(area(&margins.full)?, area(&margins.required_only)?)
            }
        })
    }
}

impl Objective for CrossValidated<'_> {
    fn value(&self, point: &[Value], fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
        let recipe = self.recipes.recipe(point).map_err(NoValue::Unfit)?;
        self.measure(&recipe, fold, wanted).map_err(|error| match error {
            TrainError::Cancelled => NoValue::NotWanted,
            other => NoValue::Unfit(other.to_string()),
        })
    }
}
