//! Fitting the members of ensembles: independent pieces of work, spread over threads.

use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use holdfast_domain::Schema;
use holdfast_model::{Ensemble, Estimator, Preprocessing};

use super::sample::Sample;
use super::{Fitted, Progress, TrainError, TrainingRows, boosted_trees, columns, logistic, parallel, random_forest};
use crate::service::recipe::{EstimatorParams, Recipe};

/// Rows that an ensemble is fitted on, prepared.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) preprocessing: Preprocessing,
    pub(super) sample: Sample,
}

impl Part {
    pub(super) fn prepare(
        rows: TrainingRows<'_>,
        recipe: &Recipe,
        seed: u64,
        schema: &Schema,
    ) -> Result<Self, TrainError> {
        let preprocessing = columns::preprocessing(recipe, rows.features, schema)?;
        let preprocessor = columns::bind(&preprocessing, schema)?;
        let sample = Sample::of(rows, recipe, &preprocessor, seed, schema)?;
        Ok(Self { preprocessing, sample })
    }
}

/// One piece of work.
struct Task<'a> {
    part: &'a Part,
    params: &'a EstimatorParams,
    seed: u64,
}

/// What a family's fit is told beside its parameters and rows.
pub struct Conditions<'a> {
    /// Seed of everything random.
    pub seed: u64,
    /// Threads that it may use.
    pub threads: usize,
    /// Told how far it is.
    pub progress: Progress<'a>,
}

/// Fits the recipe on each part. Members are fitted side by side, each with one thread, as long as there are as many as threads: no family
/// gains as much from a second thread.
pub(super) fn fit(
    parts: &[&Part],
    recipe: &Recipe,
    seed: u64,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Vec<Fitted>, TrainError> {
    let mut tasks = Vec::with_capacity(parts.len() * recipe.members());
    for part in parts {
        for (place, params) in recipe.estimators.iter().enumerate() {
            tasks.extend((0..recipe.seeds).map(|repeat| Task {
                part,
                params,
                seed: member_seed(seed, place * recipe.seeds + repeat),
            }));
        }
    }
    let mut estimators = run(&tasks, threads, progress)?.into_iter();
    let fitted = parts.iter().map(|part| Fitted {
        preprocessing: part.preprocessing.clone(),
        ensemble: Ensemble::average(estimators.by_ref().take(recipe.members()).collect(), recipe.link()),
    });
    Ok(fitted.collect())
}

/// The first member takes the seed itself, the others far away ones (`SplitMix64`, Steele, Lea & Flood 2014).
fn member_seed(seed: u64, member: usize) -> u64 {
    if member == 0 {
        return seed;
    }
    let mut mixed = seed.wrapping_add((member as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Where all tasks stand together.
struct Board<'a> {
    /// How far each task is, 0 to 1, and who is told.
    state: Mutex<(Vec<f64>, Progress<'a>)>,
}

impl Board<'_> {
    /// Notes how far a task is, and says whether to go on.
    #[expect(clippy::cast_precision_loss, reason = "a few hundred tasks")]
    fn note(&self, task: usize, done: f64) -> ControlFlow<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (of_task, progress) = &mut *state;
        of_task[task] = done;
        progress(of_task.iter().sum::<f64>() / of_task.len() as f64)
    }
}

fn run(tasks: &[Task<'_>], threads: usize, progress: Progress<'_>) -> Result<Vec<Estimator>, TrainError> {
    let workers = threads.clamp(1, tasks.len().max(1));
    let board = Board {
        state: Mutex::new((vec![0.0; tasks.len()], progress)),
    };
    parallel::map(tasks.len(), workers, |index| {
        let mut note = |done| board.note(index, done);
        if note(0.0).is_break() {
            return Err(TrainError::Cancelled);
        }
        let task = &tasks[index];
        let conditions = Conditions {
            seed: task.seed,
            threads: (threads / workers).max(1),
            progress: &mut note,
        };
        let sample = &task.part.sample;
        match task.params {
            EstimatorParams::BoostedTrees(params) => boosted_trees::fit(params, sample, conditions),
            EstimatorParams::RandomForest(params) => random_forest::fit(params, sample, conditions),
            EstimatorParams::LogisticRegression(params) => logistic::fit(params, sample, conditions),
        }
    })
}
