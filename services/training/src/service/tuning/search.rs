//! The search itself: rounds of trials, each trial fold by fold, on several threads, with the same trials for any number of them.
//!
//! A round's points are chosen from the rounds before it, and a trial is given up by its own folds and the best trial of the rounds before it. Which
//! thread finished first decides nothing.

use std::sync::mpsc;

use serde::{Deserialize, Serialize};

use super::pruning;
use super::sampler::{Sampler, Seen};
use super::space::{Point, Space, Value};

mod round;
mod settling;

use round::{Mark, Round};
use settling::Cancelled;

/// Trials of a round. Not the number of workers: the trials must not depend on it. More workers than this take folds of the same trial.
pub const ROUND: usize = 4;
/// The first round is smaller: it has nothing to give a trial up by.
const FIRST_ROUND: usize = 2;

/// What is made as large as possible, fold by fold.
pub trait Objective: Sync {
    /// What a point is worth on a fold: one value. The same point and fold give the same.
    ///
    /// Where the space has a parameter that is passed through ([`Space::passing`]), there are several, one for each of its stages, from the first on.
    ///
    /// # Errors
    /// [`NoValue`] says why there is none.
    fn measure(&self, point: &[Value], asked: Asked<'_>) -> Result<Measured, NoValue>;

    /// What a point, as it is, is worth on a fold of another draw, in which there are as many.
    ///
    /// # Errors
    /// [`NoValue`] says why there is none.
    fn measure_again(&self, point: &[Value], fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue>;
}

/// What is asked of an objective beside a point.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The fold, counted from 0.
    pub fold: usize,
    /// At how many stages; without it at as many as the objective finds worth the time.
    pub upto: Option<usize>,
    /// The trial is given up if none of the stages is worth so much: with that in sight nothing more needs to be measured.
    pub floor: Option<f64>,
    /// When it says no, nobody waits for an answer any more.
    pub wanted: &'a (dyn Fn() -> bool + Sync),
}

/// What an objective answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What each stage is worth.
    pub values: Vec<f64>,
    /// What it cost, in units of the objective's own; the same for the same point, fold and question. 0 where nothing is known of it.
    pub work: f64,
}

/// Why a point has no value on a fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoValue {
    /// It was given up because nobody wanted it any more.
    NotWanted,
    /// The point cannot be fitted.
    Unfit(String),
}

/// How long and how widely is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Most trials.
    pub trials: usize,
    /// Folds of the objective.
    pub folds: usize,
    /// Threads.
    pub workers: usize,
    /// Whether it ends when gains have sunk under the folds' noise.
    pub early_stop: bool,
    /// Seed of every draw of points.
    pub seed: u64,
}

/// State of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// Some folds are done.
    Running,
    /// All folds are done.
    Complete,
    /// Given up: it had no hope of becoming the best.
    Pruned,
    /// It could not be fitted.
    Failed,
}

/// A point that is tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Counted from 1.
    pub number: usize,
    /// The point.
    pub point: Point,
    /// State.
    pub state: TrialState,
    /// The fold that it begins with, counted from 0; the others follow in their order, and after the last comes the first. Trials begin with other
    /// folds, so that what is given up early is not given up by the same rows every time.
    pub first_fold: usize,
    /// Values of the folds that are done, in the order in which the trial takes them. Where a parameter is passed through, those at the stage with the
    /// best mean.
    pub values: Vec<f64>,
    /// Its values on folds drawn anew, for those between which the search decided in the end.
    pub again: Vec<f64>,
    /// What its mean over all folds is expected to be, and the variance of that: from its own folds and those of the best trial before it.
    pub expected: (f64, f64),
    /// What the first fold cost, in the objective's units; `None` while it is not known what all of it would cost.
    pub work: Option<f64>,
    /// Time spent on these folds by all threads together, in seconds.
    pub seconds: f64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Trial {
    fn begun(number: usize, point: Point, folds: usize) -> Self {
        Self {
            number,
            point,
            first_fold: (number - 1) % folds.max(1),
            state: TrialState::Running,
            values: Vec::new(),
            again: Vec::new(),
            expected: (f64::NEG_INFINITY, 0.0),
            work: None,
            seconds: 0.0,
            error: None,
        }
    }

    /// The values of a trial that has done all folds, in the folds' own order.
    pub fn by_fold(&self) -> Vec<f64> {
        let mut values = self.values.clone();
        values.rotate_right(self.first_fold.min(self.values.len()));
        values
    }

    /// Mean of the values of the folds that are done; 0 before the first.
    pub fn mean(&self) -> f64 {
        mean(&self.values).unwrap_or(0.0)
    }

    /// Mean of the values on folds drawn anew, where there are any.
    pub fn mean_again(&self) -> Option<f64> {
        mean(&self.again)
    }

    /// Mean over both draws of folds, or over the one that there is.
    pub fn mean_of_both(&self) -> f64 {
        self.mean_again()
            .map_or(self.mean(), |again| f64::midpoint(self.mean(), again))
    }

    /// Standard error of the mean over the folds; 0 with fewer than two.
    #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
    pub fn standard_error(&self) -> f64 {
        let count = self.values.len() as f64;
        if self.values.len() < 2 {
            return 0.0;
        }
        let mean = self.mean();
        let squares: f64 = self.values.iter().map(|value| (value - mean) * (value - mean)).sum();
        (squares / (count - 1.0) / count).sqrt()
    }
}

#[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoppedBy {
    /// All trials are used up.
    Trials,
    /// Gains have sunk under the folds' noise.
    NoGain,
    /// Somebody said stop.
    Cancelled,
}

impl StoppedBy {
    /// The name in results.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trials => "trials",
            Self::NoGain => "no_gain",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Every trial that was begun, in order.
    pub trials: Vec<Trial>,
    /// Why it ended.
    pub stopped_by: StoppedBy,
    /// The place of the trial that is taken.
    best: Option<usize>,
}

impl Found {
    /// The complete trial that is taken. `None` when none is complete.
    ///
    /// Not the one with the largest mean, which is the luckiest among equals: of those that the folds cannot tell from it, the one that is best when
    /// folds drawn anew are counted as well.
    pub fn best(&self) -> Option<&Trial> {
        self.trials.get(self.best?)
    }
}

fn best_of(trials: &[Trial]) -> Option<&Trial> {
    let complete = trials.iter().filter(|trial| trial.state == TrialState::Complete);
    complete.reduce(|best, trial| if trial.mean() > best.mean() { trial } else { best })
}

/// A search, ready to begin.
pub struct Search<'a> {
    /// What is searched.
    pub space: &'a Space,
    /// What is tried first.
    pub first: &'a Point,
    /// How long and how widely.
    pub plan: Plan,
    /// What is made as large as possible.
    pub objective: &'a dyn Objective,
    /// Whether to go on; asked often, from all threads.
    pub go_on: &'a (dyn Fn() -> bool + Sync),
}

impl Search<'_> {
    /// Searches. Every change of a trial is told to `observer`, from this thread.
    pub fn run(&self, observer: &mut dyn FnMut(&Trial)) -> Found {
        let plan = self.plan;
        let mut trials: Vec<Trial> = Vec::new();
        let mut stopped_by = loop {
            if !(self.go_on)() {
                break StoppedBy::Cancelled;
            }
            if trials.len() >= plan.trials {
                break StoppedBy::Trials;
            }
            if plan.early_stop && is_exhausted(&trials) {
                break StoppedBy::NoGain;
            }
            let round = if trials.is_empty() { FIRST_ROUND } else { ROUND };
            let count = round.min(plan.trials - trials.len());
            let sampler = Sampler {
                space: self.space,
                first: self.first,
                seed: plan.seed,
            };
            let points = sampler.next_points(&seen(&trials), trials.len(), count);
            let numbers = trials.len() + 1..;
            let begun = numbers
                .zip(points)
                .map(|(number, point)| Trial::begun(number, point, plan.folds));
            let ended = self.round(begun.collect(), Mark::of(&trials), observer);
            trials.extend(ended);
        };
        let candidates = settling::candidates(self.space, &trials);
        let mut best = candidates.first().copied();
        if stopped_by != StoppedBy::Cancelled && !candidates.is_empty() {
            match self.settle(&mut trials, &candidates, observer) {
                // One that cannot be fitted on other folds is still the best that there is.
                Ok(settled) => best = settled.or(best),
                Err(Cancelled) => stopped_by = StoppedBy::Cancelled,
            }
        }
        Found {
            trials,
            stopped_by,
            best,
        }
    }

    /// Runs the trials of a round to their ends.
    fn round(&self, begun: Vec<Trial>, mark: Option<Mark>, observer: &mut dyn FnMut(&Trial)) -> Vec<Trial> {
        begun.iter().for_each(&mut *observer);
        let round = Round::of(self, mark, begun);
        std::thread::scope(|scope| {
            let (sender, changes) = mpsc::channel();
            for _ in 0..self.plan.workers.max(1) {
                let (round, sender) = (&round, sender.clone());
                scope.spawn(move || round.work(self.objective, &sender));
            }
            drop(sender);
            changes.iter().for_each(|trial| observer(&trial));
        });
        round.ended()
    }
}

fn is_exhausted(trials: &[Trial]) -> bool {
    let before = trials
        .len()
        .checked_sub(pruning::PATIENCE)
        .map(|count| &trials[..count]);
    match (best_of(trials), before.and_then(best_of)) {
        (Some(best), Some(before)) => pruning::is_exhausted(&best.by_fold(), &before.by_fold(), trials.len()),
        _ => false,
    }
}

/// What the sampler learns of a trial.
fn known(trial: &Trial) -> Seen {
    let (value, variance) = trial.expected;
    Seen {
        point: trial.point.clone(),
        value,
        variance,
        work: trial.work,
    }
}

/// What the sampler learns from. A failed trial counts as the worst that was seen, so that its neighbourhood is left.
fn seen(trials: &[Trial]) -> Vec<Seen> {
    let values = trials.iter().filter(|trial| trial.state != TrialState::Failed);
    let worst = values.map(|trial| trial.expected.0).fold(f64::INFINITY, f64::min);
    let all = trials.iter().map(|trial| match trial.state {
        TrialState::Failed => Seen {
            value: worst,
            variance: 0.0,
            ..known(trial)
        },
        _ => known(trial),
    });
    all.filter(|seen| seen.value.is_finite()).collect()
}

#[cfg(test)]
mod tests;
