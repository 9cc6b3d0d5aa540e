//! The end of a search: the trials that the folds cannot tell apart are measured on folds drawn anew, and the one that is best on both draws is taken.
//!
//! The largest of many means has been lucky with the folds that it was chosen by. On other folds all candidates have the same luck again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::super::pruning;
use super::super::sampler::{self, Seen};
use super::{NoValue, Search, Space, Trial, TrialState, best_of, known};

/// The most candidates.
const CANDIDATES: usize = 5;

/// Nobody waits for the end any more.
pub(super) struct Cancelled;

impl Search<'_> {
    /// Which of these trials is taken; `None` where none can be fitted on the new folds. Each is told to `observer` once it has been measured again.
    pub(super) fn settle(
        &self,
        trials: &mut [Trial],
        candidates: &[usize],
        observer: &mut dyn FnMut(&Trial),
    ) -> Result<Option<usize>, Cancelled> {
        let folds = self.plan.folds;
        let measured = self.measured_again(trials, candidates)?;
        for (place, values) in candidates.iter().zip(measured.chunks(folds)) {
            let trial = &mut trials[*place];
            trial.seconds += values.iter().map(|(_, seconds)| seconds).sum::<f64>();
            // One that cannot be fitted on the new folds is no candidate.
            if let Some(values) = values.iter().map(|(value, _)| *value).collect() {
                trial.again = values;
                observer(trial);
            }
        }
        let settled = candidates
            .iter()
            .copied()
            .filter(|place| !trials[*place].again.is_empty());
        let best = settled.reduce(|best, other| {
            if trials[other].mean_of_both() > trials[best].mean_of_both() {
                other
            } else {
                best
            }
        });
        Ok(best)
    }

    /// Value and seconds of each candidate on each fold; no value where it cannot be fitted.
    fn measured_again(&self, trials: &[Trial], candidates: &[usize]) -> Result<Vec<(Option<f64>, f64)>, Cancelled> {
        let folds = self.plan.folds;
        let next = AtomicUsize::new(0);
        let measured = Mutex::new(vec![None; candidates.len() * folds]);
        let work = || {
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                let Some(place) = candidates.get(piece / folds) else {
                    return;
                };
                let begun = Instant::now();
                let value = match self
                    .objective
                    .measure_again(&trials[*place].point, piece % folds, self.go_on)
                {
                    Ok(value) => Some(value),
                    Err(NoValue::Unfit(_)) => None,
                    Err(NoValue::NotWanted) => return,
                };
                let outcome = (value, begun.elapsed().as_secs_f64());
                measured.lock().unwrap_or_else(PoisonError::into_inner)[piece] = Some(outcome);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.plan.workers.max(1) {
                scope.spawn(work);
            }
        });
        let measured = measured.into_inner().unwrap_or_else(PoisonError::into_inner);
        measured.into_iter().collect::<Option<_>>().ok_or(Cancelled)
    }
}

/// The complete trials that the folds cannot tell from the one with the largest mean: the one that the sampler's model, which has learnt from all
/// trials, expects most of, and those with the largest means. None is worse than what the search began with.
pub(super) fn candidates(space: &Space, trials: &[Trial]) -> Vec<usize> {
    let Some(luckiest) = best_of(trials) else {
        return Vec::new();
    };
    let first = trials.first().filter(|trial| trial.state == TrialState::Complete);
    let least = first.map_or(f64::NEG_INFINITY, Trial::mean);
    let as_good = |place: &usize| {
        let trial = &trials[*place];
        trial.state == TrialState::Complete
            && trial.mean() >= least
            && pruning::is_as_good(&trial.by_fold(), &luckiest.by_fold())
    };
    let mut all: Vec<usize> = (0..trials.len()).filter(as_good).collect();
    let promising = promising(space, trials, &all);
    all.sort_by(|one, other| trials[*other].mean().total_cmp(&trials[*one].mean()));
    // A stable sort, so that the rest keep their order.
    all.sort_by_key(|place| promising != Some(*place));
    all.truncate(CANDIDATES);
    all
}

/// The one of these that the sampler expects most of; `None` while it has nothing to learn from.
fn promising(space: &Space, trials: &[Trial], places: &[usize]) -> Option<usize> {
    let valued: Vec<usize> = (0..trials.len())
        .filter(|place| trials[*place].expected.0.is_finite())
        .collect();
    if valued.len() < sampler::FIRST_POINTS {
        return None;
    }
    let seen: Vec<Seen> = valued.iter().map(|place| known(&trials[*place])).collect();
    let asked: Vec<usize> = (0..valued.len()).filter(|at| places.contains(&valued[*at])).collect();
    sampler::most_promising(space, &seen, &asked).map(|at| valued[at])
}
