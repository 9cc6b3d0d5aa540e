//! The search itself: rounds of trials, each trial fold by fold, on several threads, with the same trials for any number of them.
//!
//! A round's points are chosen from the rounds before it, and a trial is given up by its own folds and the best trial of the rounds before it. Which
//! thread finished first decides nothing.

use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::pruning::{self, FoldValues};
use super::sampler::{self, Seen};
use super::space::{Point, Space, Value};

/// Trials of a round. Not the number of workers: the trials must not depend on it. More workers than this take folds of the same trial.
pub const ROUND: usize = 4;

/// What is made as large as possible, fold by fold.
pub trait Objective: Sync {
    /// The value of a point on a fold, counted from 0. The same point and fold give the same value. When `wanted` says no, nobody waits for the
    /// value any more.
    ///
    /// # Errors
    /// [`NoValue`] says why there is none.
    fn value(&self, point: &[Value], fold: usize, wanted: &(dyn Fn() -> bool + Sync)) -> Result<f64, NoValue>;
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
    /// Values of the folds that are done, in their order.
    pub values: Vec<f64>,
    /// What its mean over all folds is expected to be, and the variance of that: from its own folds and those of the best trial before it.
    pub expected: (f64, f64),
    /// Time spent on these folds by all threads together, in seconds.
    pub seconds: f64,
    /// Why it failed.
    pub error: Option<String>,
}

impl Trial {
    fn begun(number: usize, point: Point) -> Self {
        Self {
            number,
            point,
            state: TrialState::Running,
            values: Vec::new(),
            expected: (f64::NEG_INFINITY, 0.0),
            seconds: 0.0,
            error: None,
        }
    }

    /// Mean of the values of the folds that are done; 0 before the first.
    #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
    pub fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len().max(1) as f64
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
}

impl Found {
    /// The complete trial with the largest mean, the first of equals. `None` when none is complete.
    pub fn best(&self) -> Option<&Trial> {
        best_of(&self.trials)
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
        let stopped_by = loop {
            if !(self.go_on)() {
                break StoppedBy::Cancelled;
            }
            if trials.len() >= plan.trials {
                break StoppedBy::Trials;
            }
            if plan.early_stop && is_exhausted(&trials) {
                break StoppedBy::NoGain;
            }
            let count = ROUND.min(plan.trials - trials.len());
            let points = sampler::next_points(self.space, self.first, &seen(&trials), trials.len(), count, plan.seed);
            let numbers = trials.len() + 1..;
            let begun = numbers.zip(points).map(|(number, point)| Trial::begun(number, point));
            let ended = self.round(begun.collect(), Mark::of(&trials), observer);
            trials.extend(ended);
        };
        Found { trials, stopped_by }
    }

    /// Runs the trials of a round to their ends.
    fn round(&self, begun: Vec<Trial>, mark: Option<Mark>, observer: &mut dyn FnMut(&Trial)) -> Vec<Trial> {
        begun.iter().for_each(&mut *observer);
        let at_work = begun.into_iter().map(|trial| AtWork {
            trial,
            taken: 0,
            values: vec![None; self.plan.folds],
        });
        let round = Round {
            folds: self.plan.folds,
            mark,
            at_work: Mutex::new(at_work.collect()),
            go_on: self.go_on,
        };
        std::thread::scope(|scope| {
            let (sender, changes) = mpsc::channel();
            for _ in 0..self.plan.workers.max(1) {
                let (round, sender) = (&round, sender.clone());
                scope.spawn(move || round.work(self.objective, &sender));
            }
            drop(sender);
            changes.iter().for_each(|trial| observer(&trial));
        });
        let ended = round.at_work.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.into_iter().map(|at_work| at_work.trial).collect()
    }
}

fn is_exhausted(trials: &[Trial]) -> bool {
    let before = trials
        .len()
        .checked_sub(pruning::PATIENCE)
        .map(|count| &trials[..count]);
    match (best_of(trials), before.and_then(best_of)) {
        (Some(best), Some(before)) => pruning::is_exhausted(&best.values, &before.values, trials.len()),
        _ => false,
    }
}

/// What the sampler learns from. A failed trial counts as the worst that was seen, so that its neighbourhood is left.
fn seen(trials: &[Trial]) -> Vec<Seen> {
    let values = trials.iter().filter(|trial| trial.state != TrialState::Failed);
    let worst = values.map(|trial| trial.expected.0).fold(f64::INFINITY, f64::min);
    let known = trials.iter().map(|trial| {
        let (value, variance) = match trial.state {
            TrialState::Failed => (worst, 0.0),
            _ => trial.expected,
        };
        Seen {
            point: trial.point.clone(),
            value,
            variance,
        }
    });
    known.filter(|seen| seen.value.is_finite()).collect()
}

/// What a trial has to reach: the best trial of the rounds before, and the folds' noise.
#[derive(Clone, Debug)]
struct Mark {
    best: Vec<f64>,
    noise: f64,
}

impl Mark {
    fn of(trials: &[Trial]) -> Option<Self> {
        let best = best_of(trials)?;
        let others = trials
            .iter()
            .filter(|trial| trial.state == TrialState::Complete && trial.number != best.number);
        let others: Vec<&FoldValues> = others.map(|trial| trial.values.as_slice()).collect();
        Some(Self {
            noise: pruning::noise(&best.values, others)?,
            best: best.values.clone(),
        })
    }
}

/// A round at work.
struct Round<'a> {
    folds: usize,
    mark: Option<Mark>,
    at_work: Mutex<Vec<AtWork>>,
    go_on: &'a (dyn Fn() -> bool + Sync),
}

/// A trial at work.
struct AtWork {
    trial: Trial,
    /// Folds that a thread has taken.
    taken: usize,
    /// Values that came out of turn: a fold is looked at only after the ones before it.
    values: Vec<Option<(Result<f64, NoValue>, f64)>>,
}

impl Round<'_> {
    fn lock(&self) -> MutexGuard<'_, Vec<AtWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes folds as long as there are any. A thread that finds none can go: none is ever added.
    fn work(&self, objective: &dyn Objective, changes: &mpsc::Sender<Trial>) {
        while let Some((place, fold, point)) = self.take() {
            let wanted = || (self.go_on)() && self.lock()[place].trial.state == TrialState::Running;
            let begun = Instant::now();
            let value = objective.value(&point, fold, &wanted);
            for changed in self.put(place, fold, value, begun.elapsed().as_secs_f64()) {
                // Nobody listens any more when the search is torn down.
                let _ = changes.send(changed);
            }
        }
    }

    /// A fold to work on: of a trial that nobody works at, if there is one, of the trial with the fewest folds begun. A fold of a trial that
    /// somebody works at is taken before it is known whether it will be needed, rather than that a thread stands idle.
    fn take(&self) -> Option<(usize, usize, Point)> {
        if !(self.go_on)() {
            return None;
        }
        let mut at_work = self.lock();
        let open = at_work
            .iter_mut()
            .enumerate()
            .filter(|(_, at_work)| at_work.trial.state == TrialState::Running && at_work.taken < self.folds);
        let (place, chosen) =
            open.min_by_key(|(_, at_work)| (at_work.taken - at_work.trial.values.len(), at_work.taken))?;
        let fold = chosen.taken;
        chosen.taken += 1;
        Some((place, fold, chosen.trial.point.clone()))
    }

    /// Puts a fold's value to its trial and decides as far as the folds are known in their order; answers the trial after each decision.
    fn put(&self, place: usize, fold: usize, value: Result<f64, NoValue>, seconds: f64) -> Vec<Trial> {
        let mut at_work = self.lock();
        let AtWork { trial, values, .. } = &mut at_work[place];
        values[fold] = Some((value, seconds));
        let mut changes = Vec::new();
        while trial.state == TrialState::Running
            && let Some((value, seconds)) = values.get_mut(trial.values.len()).and_then(Option::take)
        {
            trial.seconds += seconds;
            match value {
                Ok(value) => {
                    trial.values.push(value);
                    self.decide(trial);
                }
                Err(NoValue::Unfit(why)) => {
                    trial.state = TrialState::Failed;
                    trial.error = Some(why);
                }
                Err(NoValue::NotWanted) => break,
            }
            changes.push(trial.clone());
        }
        changes
    }

    fn decide(&self, trial: &mut Trial) {
        if trial.values.len() == self.folds {
            trial.state = TrialState::Complete;
            trial.expected = (trial.mean(), 0.0);
        } else if let Some(mark) = &self.mark
            && pruning::is_hopeless(&trial.values, &mark.best, mark.noise)
        {
            trial.state = TrialState::Pruned;
            let gap = pruning::mean_difference(&trial.values, &mark.best);
            #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
            let best = mark.best.iter().sum::<f64>() / self.folds as f64;
            let variance = pruning::variance_left(mark.noise, trial.values.len(), self.folds);
            trial.expected = (best + gap, variance);
        }
    }
}

#[cfg(test)]
mod tests;
