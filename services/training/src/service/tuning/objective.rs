//! What is made as large as possible: ROC-AUC on held-out folds of the training rows. The rows of the test take no part.

use std::ops::ControlFlow;

use holdfast_domain::split::Split;
use holdfast_domain::{Schema, split};
use holdfast_model::metrics::roc_auc;
use serde::{Deserialize, Serialize};

use super::coarseness::Coarseness;
use super::recipes::RecipeSpace;
use super::search::{Asked, Measured, NoValue, Objective};
use super::space::Value;
use super::stages::{self, Patience};
use crate::service::recipe::Recipe;
use crate::service::trainer::{Conditions, Folds, HeldOutMargins, StageWatch, Stages, TrainError, TrainingRows};

/// The seed of the draw of folds is the run's, moved. It is another than that of the calibration's folds: the folds that parameters were chosen by
/// should not choose the calibration as well.
const FOLD_DRAW: u64 = 3;
/// The same for the folds that decide in the end.
const DRAW_ANEW: u64 = 5;
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
    /// Made once: what trees are grown on is the same in every trial. A fit of a recipe on a fold is the fit that a run does on the same rows, with
    /// the same seed, to the last bit.
    folds: Folds,
    labels: Vec<Vec<bool>>,
    recipes: &'a RecipeSpace,
    coarseness: Coarseness,
}

impl<'a> CrossValidation<'a> {
    /// Draws the folds and prepares them, and behind them as many others.
    ///
    /// # Errors
    /// [`TrainError::Rows`] when a fold cannot be learnt from.
    pub fn prepare(self, rows: TrainingRows<'_>, recipes: &'a RecipeSpace) -> Result<CrossValidated<'a>, TrainError> {
        let drawn = |draw| split::stratified_k_fold(rows.labels, self.folds, self.seed.wrapping_add(draw));
        let both = [drawn(FOLD_DRAW), drawn(DRAW_ANEW)].concat();
        self.with(&both, rows, recipes)
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
            coarseness: Coarseness::of(recipes),
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
            .of_recipe(recipe, 0, go_on)
    }
}

impl CrossValidated<'_> {
    /// The recipe that is fitted at a point.
    fn tried(&self, point: &[Value]) -> Result<Recipe, NoValue> {
        let recipe = self.recipes.recipe(point).map_err(NoValue::Unfit)?;
        Ok(self.coarseness.recipe(recipe))
    }

    fn of_recipe(&self, recipe: &Recipe, fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, TrainError> {
        let CrossValidation {
            seed, threads, schema, ..
        } = self.how;
        let mut progress = |_| {
            if wanted() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let margins = self.folds.fit(fold, recipe, seed, threads, schema, &mut progress)?;
        self.worth(fold, &margins)
    }

    /// Calibration keeps the order of margins, and with it the ROC-AUC.
    fn worth(&self, fold: usize, margins: &HeldOutMargins) -> Result<f64, TrainError> {
        let area = |margins: &[f64]| {
            roc_auc(&self.labels[fold], margins).map_err(|problem| TrainError::Rows(problem.to_string()))
        };
        Ok(match self.how.objective {
            TuningObjective::RocAuc => area(&margins.full)?,
            TuningObjective::RocAucFullAndRequired => {
                f64::midpoint(area(&margins.full)?, area(&margins.required_only)?)
            }
        })
    }

    /// What the first trees of one fit are worth, for each of `counts` that it comes to. One that is `watched` ends when more trees bring nothing.
    fn in_stages(
        &self,
        recipe: &Recipe,
        fold: usize,
        counts: &[usize],
        patience: Option<Patience>,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Measured, TrainError> {
        let mut progress = |_| {
            if wanted() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let conditions = Conditions {
            seed: self.how.seed,
            threads: self.how.threads,
            progress: &mut progress,
        };
        let watched = patience.is_some();
        let mut patience = patience.unwrap_or_default();
        let mut look = |trees, value| {
            if patience.goes_on(trees, value) {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        };
        let watch = watched.then(|| StageWatch {
            required_too: self.how.objective == TuningObjective::RocAucFullAndRequired,
            look: &mut look,
        });
        let stages = Stages { counts, watch };
        let staged = self
            .folds
            .fit_in_stages(fold, recipe, stages, self.how.schema, conditions)?;
        let work = staged.work;
        let values = staged.margins.iter().map(|margins| self.worth(fold, margins));
        Ok(Measured {
            values: values.collect::<Result<_, _>>()?,
            work,
        })
    }
}

impl Objective for CrossValidated<'_> {
    fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue> {
        let Asked {
            fold,
            upto,
            floor,
            wanted,
        } = asked;
        let recipe = self.tried(point)?;
        let measured = match self.recipes.space().passed() {
            Some((place, from, to)) => {
                let counts = match point.get(place) {
                    // The parameters of the set are tried as they are.
                    Some(Value::Integer(own)) if point == self.recipes.first().as_slice() => vec![*own],
                    _ => stages::stages(from, to),
                };
                let counts: Vec<usize> = counts
                    .into_iter()
                    .filter_map(|count| usize::try_from(count).ok())
                    .map(|count| self.coarseness.trees(count))
                    .take(upto.unwrap_or(usize::MAX))
                    .collect();
                let last = counts.last().copied().unwrap_or_default();
                let patience = (upto.is_none() && counts.len() > 1).then(|| Patience::new(floor, last));
                self.in_stages(&recipe, fold, &counts, patience, wanted)
            }
            None => self.of_recipe(&recipe, fold, wanted).map(|value| Measured {
                values: vec![value],
                work: 0.0,
            }),
        };
        measured.map_err(no_value)
    }

    fn measure_again(&self, point: &[Value], fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue> {
        let recipe = self.tried(point)?;
        self.of_recipe(&recipe, self.how.folds + fold, wanted).map_err(no_value)
    }
}

fn no_value(error: TrainError) -> NoValue {
    match error {
        TrainError::Cancelled => NoValue::NotWanted,
        other => NoValue::Unfit(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use holdfast_domain::FeatureVector;

    use super::super::fixtures;
    use super::*;

    fn recipes(preset: &str, trees: usize, (from, to): (u32, u32)) -> RecipeSpace {
        let ranges = format!(
            "{{eta: {{kind: real, from: 0.05, to: 0.5, scale: log}}, trees: {{kind: integer, from: {from}, to: {to}, scale: linear}}}}"
        );
        fixtures::recipes(preset, trees, &ranges)
    }

    /// More trees than the range has: the set's own parameters are tried as they are.
    #[test]
    fn what_a_trial_passes_through_is_worth_what_its_recipe_is() {
        passes_through_what_its_recipes_are_worth(&recipes("fast", 20, (4, 12)));
    }

    #[test]
    fn it_is_with_longer_steps_as_well() {
        let recipes = recipes("fast", 200, (60, 180));
        assert_eq!(Coarseness::of(&recipes).trees(180), 60);
        passes_through_what_its_recipes_are_worth(&recipes);
    }

    fn passes_through_what_its_recipes_are_worth(recipes: &RecipeSpace) {
        let customers = holdfast_simulator::customers(600, 4);
        let features: Vec<FeatureVector> = customers.iter().map(|customer| customer.features).collect();
        let labels: Vec<bool> = customers.iter().map(|customer| customer.label == Some(true)).collect();
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let how = CrossValidation {
            folds: 3,
            seed: 5,
            threads: 1,
            objective: TuningObjective::RocAucFullAndRequired,
            schema: Schema::embedded(),
        };
        let folds = how.prepare(rows, recipes).unwrap();
        let worth = |point: &[Value]| {
            let recipe = folds.tried(point).unwrap();
            folds.of_recipe(&recipe, 1, &|| true).unwrap()
        };
        let measured = |point: &[Value], upto, floor| {
            let wanted = &|| true;
            let asked = Asked {
                fold: 1,
                upto,
                floor,
                wanted,
            };
            folds.measure(point, asked).unwrap()
        };
        let own = measured(recipes.first(), None, None);
        assert_eq!(own.values, [worth(recipes.first())]);

        let space = recipes.space();
        let (place, from, to) = space.passed().unwrap();
        let mut point = space.at(&vec![0.7; space.parameters().len()]);
        let all = stages::stages(from, to);
        let passed = measured(&point, Some(all.len()), None).values;
        assert_eq!(passed.len(), all.len());
        for (trees, value) in all.iter().zip(&passed) {
            point[place] = Value::Integer(*trees);
            assert!((worth(&point) - value).abs() < 1e-12, "{trees} trees");
        }
        // One that is watched comes to the same, as far as it comes.
        let watched = measured(&point, None, None);
        assert_eq!(watched.values, passed[..watched.values.len()]);
        let fewer = measured(&point, Some(3), None);
        assert_eq!(fewer.values, passed[..3]);
        // Work is nodes of trees: fewer trees, fewer nodes.
        assert!(0.0 < fewer.work && fewer.work < watched.work);
        // With a floor that nothing comes to, it ends as soon as that is in sight.
        let hopeless = measured(&point, None, Some(1.5)).values;
        assert_eq!(hopeless, passed[..hopeless.len()]);
        assert!(hopeless.len() < watched.values.len());
    }

    #[test]
    fn a_set_of_several_members_searches_the_number_of_trees_like_any_other_parameter() {
        assert_eq!(recipes("best", 20, (4, 12)).space().passed(), None);
    }
}
