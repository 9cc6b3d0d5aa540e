//! What is kept and told of a search for parameters. Stored as JSON: fields are only added.

use std::collections::BTreeMap;

use holdfast_domain::RunId;
use serde::{Deserialize, Serialize};

use super::TuningObjective;
use super::recipes::RecipeSpace;
use super::search::{Found, Trial, TrialState};
use super::tune::Tuned;

/// One set of parameters tried by cross-validation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Counted from 1.
    pub number: u32,
    /// State.
    pub state: TrialState,
    /// What was tried, by the parameter's name. A number of trees that the trial itself finds is missing before its first fold.
    pub parameters: BTreeMap<String, String>,
    /// Mean of the objective over the folds done; 0 before the first.
    pub value: f64,
    /// Standard error of that mean over the folds; 0 with fewer than two folds.
    pub standard_error: f64,
    /// Folds done.
    pub folds_done: u32,
    /// Mean of the objective over as many folds drawn anew, for the trials between which the search decided in the end.
    #[serde(default)]
    pub value_again: Option<f64>,
    /// The trial's own run in the registry.
    pub run_id: RunId,
    /// Time spent on it by all threads together, in seconds.
    pub duration_seconds: f64,
}

impl TrialRecord {
    /// What is told of a trial.
    pub fn of(trial: &Trial, recipes: &RecipeSpace, run_id: RunId) -> Self {
        Self {
            number: u32::try_from(trial.number).unwrap_or(u32::MAX),
            state: trial.state,
            parameters: recipes.named_of(trial),
            value: trial.mean(),
            standard_error: trial.standard_error(),
            folds_done: u32::try_from(trial.values.len()).unwrap_or(u32::MAX),
            value_again: trial.mean_again(),
            run_id,
            duration_seconds: trial.seconds,
        }
    }

    /// A sentence for the log.
    pub fn in_words(&self, folds: u32) -> String {
        let Self {
            number,
            value,
            standard_error,
            folds_done,
            ..
        } = self;
        if let Some(again) = self.value_again {
            return format!("trial {number} on folds drawn anew: {again:.5}, before {value:.5}");
        }
        match self.state {
            TrialState::Running if *folds_done == 0 => format!("trial {number} begun"),
            TrialState::Running => format!("trial {number}: {value:.5} after {folds_done} of {folds} folds"),
            TrialState::Complete => format!("trial {number}: {value:.5}, standard error {standard_error:.5}"),
            TrialState::Pruned => format!("trial {number} given up after {folds_done} of {folds} folds: {value:.5}"),
            TrialState::Failed => format!("trial {number} could not be fitted"),
        }
    }
}

/// What a search for parameters came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TuningRecord {
    /// What was made as large as possible.
    pub objective: String,
    /// Trials begun.
    pub trials: u32,
    /// Trials given up early.
    pub pruned: u32,
    /// Why the search ended.
    pub stopped_by: String,
    /// The best trial.
    pub best: Option<TrialRecord>,
    /// The parameter set's own parameters, tried first.
    pub first: Option<TrialRecord>,
    /// Share of each parameter in being among the best trials, by name.
    pub importance: BTreeMap<String, f64>,
    /// Nested cross-validation: the objective on each outer fold.
    pub outer_values: Vec<f64>,
}

impl TuningRecord {
    /// What is known of trials; `runs` are their runs in the registry.
    pub fn of(
        objective: TuningObjective,
        found: Option<&Found>,
        recipes: &RecipeSpace,
        runs: &BTreeMap<usize, RunId>,
    ) -> Self {
        let trials = found.map_or(&[][..], |found| &found.trials);
        let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let record = |trial: &Trial| Some(TrialRecord::of(trial, recipes, runs.get(&trial.number)?.clone()));
        Self {
            objective: objective.name().to_owned(),
            trials: counted(trials.len()),
            pruned: counted(trials.iter().filter(|trial| trial.state == TrialState::Pruned).count()),
            stopped_by: found.map_or("", |found| found.stopped_by.name()).to_owned(),
            best: found.and_then(Found::best).and_then(record),
            first: trials.first().and_then(record),
            ..Self::default()
        }
    }

    /// Adds what only a whole search has.
    pub fn complete(&mut self, tuned: &Tuned, recipes: &RecipeSpace) {
        let names = recipes
            .space()
            .parameters()
            .iter()
            .map(|parameter| parameter.name.clone());
        self.importance = names.zip(tuned.importance.iter().copied()).collect();
        self.outer_values = tuned.outer.iter().map(|fold| fold.value).collect();
    }
}
