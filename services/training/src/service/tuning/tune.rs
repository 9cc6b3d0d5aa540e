//! A whole search for the parameters of a recipe: the trials, the nested cross-validation around them, what they came to.

use holdfast_domain::split::Split;
use holdfast_domain::{FeatureVector, Schema};

use super::importance;
use super::objective::{CrossValidation, TuningObjective};
use super::recipes::RecipeSpace;
use super::search::{Found, Plan, Search, StoppedBy, Trial, TrialState};
use crate::service::recipe::Recipe;
use crate::service::trainer::{TrainError, TrainingRows};

/// What a search is to do.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The recipes to search among.
    pub recipes: &'a RecipeSpace,
    /// How long and how widely.
    pub plan: Plan,
    /// Outer folds of a nested cross-validation; 0 for none.
    pub outer_folds: usize,
    /// What is made as large as possible.
    pub objective: TuningObjective,
    /// Threads of all workers together.
    pub threads: usize,
    /// The schema of the rows.
    pub schema: &'a Schema,
    /// Whether to go on; asked often, from all threads.
    pub go_on: &'a (dyn Fn() -> bool + Sync),
}

/// What happens while a search is at work.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening<'a> {
    /// A trial changed.
    Trial(&'a Trial),
    /// A trial of the search on the training part of an outer fold, counted from 1, changed.
    OuterTrial(usize, &'a Trial),
    /// The recipe that was found on the training part of an outer fold was measured on its held-out part.
    Outer(&'a OuterFold),
}

/// What tuning was worth on one outer fold.
#[derive(Clone, Debug, PartialEq)]
pub struct OuterFold {
    /// Counted from 1.
    pub number: usize,
    /// The best trial on the fold's training part.
    pub best: Trial,
    /// The objective on the fold's held-out part.
    pub value: f64,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// The recipe of the best trial.
    pub recipe: Recipe,
    /// The best trial.
    pub best: Trial,
    /// The trials.
    pub found: Found,
    /// Share of each parameter in being among the best trials, in the space's order; empty with too few trials.
    pub importance: Vec<f64>,
    /// The outer folds, when they were asked for.
    pub outer: Vec<OuterFold>,
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// Somebody said stop.
    #[error("the search for parameters was cancelled")]
    Cancelled(Found),
    /// No trial came to its end.
    #[error("no trial came to its end; the first one: {}", first_error(.0))]
    NoTrial(Found),
    /// The rows, or a recipe that could be fitted before.
    #[error(transparent)]
    Train(TrainError),
}

impl TuneError {
    /// The trials there were.
    pub fn found(&self) -> Option<&Found> {
        match self {
            Self::Cancelled(found) | Self::NoTrial(found) => Some(found),
            Self::Train(_) => None,
        }
    }
}

/// Searches.
///
/// # Errors
/// [`TuneError`] says why nothing was found.
pub fn tune(
    rows: TrainingRows<'_>,
    wanted: Wanted<'_>,
    observer: &mut dyn FnMut(Happening<'_>),
) -> Result<Tuned, TuneError> {
    let found = search(rows, wanted, &mut |trial| observer(Happening::Trial(trial)))?;
    let best = best_of(&found)?;
    let mut outer = Vec::new();
    if wanted.outer_folds > 0 {
        for (number, split) in (1..).zip(how(wanted).outer_splits(rows.labels, wanted.outer_folds)) {
            let fold = outer_fold(number, &split, rows, wanted, observer);
            outer.push(fold.map_err(|error| match error {
                TuneError::Cancelled(_) => TuneError::Cancelled(found.clone()),
                other => other,
            })?);
        }
    }
    let recipe = wanted
        .recipes
        .recipe(&best.point)
        .map_err(|problem| TuneError::Train(TrainError::Rows(problem)))?;
    Ok(Tuned {
        recipe,
        best,
        importance: importance_of(wanted.recipes, &found),
        found,
        outer,
    })
}

fn search(rows: TrainingRows<'_>, wanted: Wanted<'_>, observer: &mut dyn FnMut(&Trial)) -> Result<Found, TuneError> {
    let folds = how(wanted).prepare(rows, wanted.recipes).map_err(TuneError::Train)?;
    let search = Search {
        space: wanted.recipes.space(),
        first: wanted.recipes.first(),
        plan: wanted.plan,
        objective: &folds,
        go_on: wanted.go_on,
    };
    Ok(search.run(observer))
}

fn how(wanted: Wanted<'_>) -> CrossValidation<'_> {
    CrossValidation {
        folds: wanted.plan.folds,
        seed: wanted.plan.seed,
        threads: (wanted.threads / wanted.plan.workers.max(1)).max(1),
        objective: wanted.objective,
        schema: wanted.schema,
    }
}

fn best_of(found: &Found) -> Result<Trial, TuneError> {
    if found.stopped_by == StoppedBy::Cancelled {
        return Err(TuneError::Cancelled(found.clone()));
    }
    found.best().cloned().ok_or_else(|| TuneError::NoTrial(found.clone()))
}

fn first_error(found: &Found) -> &str {
    let errors = found.trials.iter().filter_map(|trial| trial.error.as_deref());
    errors.into_iter().next().unwrap_or("there was none")
}

/// The same search, by the rows of an outer fold's training part alone, and what it found, on the rows held out.
fn outer_fold(
    number: usize,
    split: &Split,
    rows: TrainingRows<'_>,
    wanted: Wanted<'_>,
    observer: &mut dyn FnMut(Happening<'_>),
) -> Result<OuterFold, TuneError> {
    let features: Vec<FeatureVector> = split.train.iter().map(|row| rows.features[*row]).collect();
    let labels: Vec<bool> = split.train.iter().map(|row| rows.labels[*row]).collect();
    let inner = TrainingRows {
        features: &features,
        labels: &labels,
    };
    let found = search(inner, wanted, &mut |trial| {
        observer(Happening::OuterTrial(number, trial));
    })?;
    let best = best_of(&found)?;
    let recipe = wanted
        .recipes
        .recipe(&best.point)
        .map_err(|problem| TuneError::Train(TrainError::Rows(problem)))?;
    let all_threads = CrossValidation {
        threads: wanted.threads,
        ..how(wanted)
    };
    let value = all_threads.on_held_out(split, rows, wanted.recipes, &recipe, wanted.go_on);
    let value = value.map_err(|error| match error {
        TrainError::Cancelled => TuneError::Cancelled(found),
        other => TuneError::Train(other),
    })?;
    let outer = OuterFold { number, best, value };
    observer(Happening::Outer(&outer));
    Ok(outer)
}

/// From all trials that have a value, given-up ones included: they are what the good ones differ from, and what their means were expected to be is
/// far enough below the good ones for that.
fn importance_of(recipes: &RecipeSpace, found: &Found) -> Vec<f64> {
    let valued = found
        .trials
        .iter()
        .filter(|trial| matches!(trial.state, TrialState::Complete | TrialState::Pruned));
    let (points, values): (Vec<_>, Vec<_>) = valued.map(|trial| (trial.point.clone(), trial.expected.0)).unzip();
    importance::shares(recipes.space(), &points, &values)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    fn recipes() -> RecipeSpace {
        let ranges = "{eta: {kind: real, from: 0.05, to: 0.5, scale: log}, max_depth: {kind: integer, from: 2, to: 4, scale: linear}}";
        fixtures::recipes("fast", 8, ranges)
    }

    fn tuned(
        recipes: &RecipeSpace,
        rows: usize,
        workers: usize,
        outer_folds: usize,
        trials: usize,
    ) -> Result<Tuned, TuneError> {
        let customers = holdfast_simulator::customers(rows, 4);
        let features: Vec<FeatureVector> = customers.iter().map(|customer| customer.features).collect();
        let labels: Vec<bool> = customers.iter().map(|customer| customer.label == Some(true)).collect();
        let rows = TrainingRows {
            features: &features,
            labels: &labels,
        };
        let wanted = Wanted {
            recipes,
            plan: Plan {
                trials,
                folds: 3,
                workers,
                early_stop: false,
                seed: 5,
            },
            outer_folds,
            objective: TuningObjective::RocAuc,
            threads: workers,
            schema: Schema::embedded(),
            go_on: &|| true,
        };
        tune(rows, wanted, &mut |_| {})
    }

    fn values(tuned: &Tuned) -> Vec<(TrialState, Vec<f64>)> {
        tuned
            .found
            .trials
            .iter()
            .map(|trial| (trial.state, trial.values.clone()))
            .collect()
    }

    #[test]
    fn real_fits_are_the_same_trials_with_one_worker_and_with_two() {
        let recipes = recipes();
        let one = tuned(&recipes, 500, 1, 0, 12).unwrap();
        let two = tuned(&recipes, 500, 2, 0, 12).unwrap();
        assert_eq!(values(&one), values(&two));
        assert_eq!((&one.recipe, &one.importance), (&two.recipe, &two.importance));
        assert!(one.outer.is_empty());
        // The recipe found is the first one with other parameters, and never worth less.
        assert!(one.best.mean() >= one.found.trials[0].mean());
        let same_but_estimators = Recipe {
            estimators: one.recipe.estimators.clone(),
            ..recipes.recipe(recipes.first()).unwrap()
        };
        assert_eq!(one.recipe, same_but_estimators);
    }

    #[test]
    fn a_nested_cross_validation_measures_on_rows_that_its_search_has_not_seen() {
        let found = tuned(&recipes(), 600, 2, 3, 4).unwrap();
        assert_eq!(
            found.outer.iter().map(|fold| fold.number).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        for fold in &found.outer {
            assert!((0.5..1.0).contains(&fold.value), "{}", fold.value);
            // Another search on fewer rows: its trials are not those of the whole search.
            assert_ne!(fold.best.values, found.best.values);
        }
    }

    #[test]
    fn rows_that_cannot_be_learnt_from_are_said_to_be_such() {
        // Three folds of a handful of customers who left are none.
        let Err(TuneError::Train(error)) = tuned(&recipes(), 4, 1, 0, 4) else {
            panic!("four customers are no training rows");
        };
        assert!(matches!(error, TrainError::Rows(_)), "{error}");
    }
}
