//! A round of trials at work: threads take folds, and what comes back decides about the trials.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use super::super::space::{Point, Space, Value};
use super::super::{pruning, stages};
use super::{Asked, Measured, NoValue, Objective, Search, Trial, TrialState, best_of};

/// What a trial has to reach: the best trial of the rounds before, and the folds' noise.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    best: Vec<f64>,
    noise: f64,
}

impl Mark {
    pub(super) fn of(trials: &[Trial]) -> Option<Self> {
        let best = best_of(trials)?;
        let others: Vec<Vec<f64>> = trials
            .iter()
            .filter(|trial| trial.state == TrialState::Complete && trial.number != best.number)
            .map(Trial::by_fold)
            .collect();
        let best = best.by_fold();
        let noise = pruning::noise(&best, others.iter().map(Vec::as_slice))?;
        Some(Self { best, noise })
    }

    /// The value on its first fold below which a trial is hopeless.
    fn floor(&self, trial: &Trial) -> f64 {
        let best = self.best_as(trial);
        pruning::floor(&best, self.noise)
    }

    /// The best trial's values, in the order in which another takes the folds.
    fn best_as(&self, trial: &Trial) -> Vec<f64> {
        let mut best = self.best.clone();
        best.rotate_left(trial.first_fold.min(self.best.len()));
        best
    }
}

/// A round at work.
pub(super) struct Round<'a> {
    folds: usize,
    mark: Option<Mark>,
    space: &'a Space,
    at_work: Mutex<Vec<AtWork>>,
    /// A fold has ended.
    changed: Condvar,
    go_on: &'a (dyn Fn() -> bool + Sync),
}

/// What came of a fold: its values by stage, and the seconds that it took.
type Outcome = (Result<Measured, NoValue>, f64);

/// A trial at work.
struct AtWork {
    trial: Trial,
    /// Folds that a thread has taken.
    taken: usize,
    /// Stages that the folds after the first are measured at, once that is known.
    limit: Option<usize>,
    /// Values that came out of turn: a fold is looked at only after the ones before it.
    values: Vec<Option<Outcome>>,
    /// Values of the folds that are done, by stage.
    by_stage: Vec<Vec<f64>>,
}

/// Ends the round when a thread panics: the others would wait for its fold for ever. The panic itself goes on when the threads are joined.
struct Leaving<'a>(&'a Round<'a>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for at_work in self.0.lock().iter_mut() {
                at_work.trial.state = TrialState::Failed;
            }
            self.0.changed.notify_all();
        }
    }
}

/// A fold to work on.
struct Piece {
    place: usize,
    /// Which of the trial's folds it is, in the order in which the trial takes them.
    turn: usize,
    fold: usize,
    point: Point,
    upto: Option<usize>,
    floor: Option<f64>,
}

impl<'a> Round<'a> {
    /// A round of these trials.
    pub(super) fn of(search: &Search<'a>, mark: Option<Mark>, begun: Vec<Trial>) -> Self {
        let folds = search.plan.folds;
        let at_work = begun.into_iter().map(|trial| AtWork {
            trial,
            taken: 0,
            limit: None,
            values: vec![None; folds],
            by_stage: Vec::new(),
        });
        Self {
            folds,
            mark,
            space: search.space,
            at_work: Mutex::new(at_work.collect()),
            changed: Condvar::new(),
            go_on: search.go_on,
        }
    }

    /// The trials, when nobody works any more.
    pub(super) fn ended(self) -> Vec<Trial> {
        let ended = self.at_work.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.into_iter().map(|at_work| at_work.trial).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<AtWork>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes folds until all trials have ended.
    pub(super) fn work(&self, objective: &dyn Objective, changes: &mpsc::Sender<Trial>) {
        let _leaving = Leaving(self);
        while let Some(Piece {
            place,
            turn,
            fold,
            point,
            upto,
            floor,
        }) = self.take()
        {
            let wanted = || (self.go_on)() && self.lock()[place].trial.state == TrialState::Running;
            let begun = Instant::now();
            let asked = Asked {
                fold,
                upto,
                floor,
                wanted: &wanted,
            };
            let measured = objective.measure(&point, asked);
            self.put((place, turn), (measured, begun.elapsed().as_secs_f64()), changes);
        }
    }

    /// A fold to work on: of a trial that nobody works at, if there is one, of the trial with the fewest folds begun. A fold of a trial that
    /// somebody works at is taken before it is known whether it will be needed, rather than that a thread stands idle; but not before the first
    /// fold says how many stages the others need.
    fn take(&self) -> Option<Piece> {
        let mut at_work = self.lock();
        loop {
            if !(self.go_on)() {
                return None;
            }
            let is_open = |at_work: &AtWork| at_work.trial.state == TrialState::Running && at_work.taken < self.folds;
            let ready = at_work
                .iter_mut()
                .enumerate()
                .filter(|(_, at_work)| is_open(at_work) && (at_work.taken == 0 || at_work.limit.is_some()));
            let chosen = ready.min_by_key(|(_, at_work)| (at_work.taken - at_work.trial.values.len(), at_work.taken));
            if let Some((place, chosen)) = chosen {
                let turn = chosen.taken;
                chosen.taken += 1;
                let mark = self.mark.as_ref().filter(|_| turn == 0);
                return Some(Piece {
                    floor: mark.map(|mark| mark.floor(&chosen.trial)),
                    place,
                    turn,
                    fold: (chosen.trial.first_fold + turn) % self.folds,
                    point: chosen.trial.point.clone(),
                    upto: chosen.limit,
                });
            }
            if !at_work.iter().any(is_open) {
                return None;
            }
            at_work = self.changed.wait(at_work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts a fold's outcome to its trial, decides as far as the folds are known in their order, and tells the trial after each decision: with the
    /// lock held, so that no other thread tells a later one first.
    fn put(&self, (place, turn): (usize, usize), outcome: Outcome, changes: &mpsc::Sender<Trial>) {
        let mut at_work = self.lock();
        let at_place = &mut at_work[place];
        if turn == 0
            && let Ok(first) = &outcome.0
        {
            at_place.limit = Some(stages::horizon(&first.values));
            let floor = self.mark.as_ref().map(|mark| mark.floor(&at_place.trial));
            let reached = first.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            // One that was given up half-way does not say what all of it costs.
            at_place.trial.work =
                (floor.is_none_or(|floor| reached >= floor) && first.work > 0.0).then_some(first.work);
        }
        at_place.values[turn] = Some(outcome);
        while at_place.trial.state == TrialState::Running
            && let Some((measured, seconds)) = at_place.values.get_mut(at_place.by_stage.len()).and_then(Option::take)
        {
            let trial = &mut at_place.trial;
            trial.seconds += seconds;
            match measured {
                Ok(Measured { values, .. }) => {
                    at_place.by_stage.push(values);
                    self.decide(at_place);
                }
                Err(NoValue::Unfit(why)) => {
                    trial.state = TrialState::Failed;
                    trial.error = Some(why);
                }
                Err(NoValue::NotWanted) => break,
            }
            // Nobody listens any more when the search is torn down.
            let _ = changes.send(at_place.trial.clone());
        }
        drop(at_work);
        self.changed.notify_all();
    }

    fn decide(&self, at_work: &mut AtWork) {
        let AtWork { trial, by_stage, .. } = at_work;
        let stage = stages::best_of_mean(by_stage);
        trial.values = by_stage.iter().map(|fold| fold[stage]).collect();
        if by_stage.iter().all(|fold| fold.len() > 1)
            && let Some((place, from, to)) = self.space.passed()
        {
            trial.point[place] = Value::Integer(stages::stages(from, to)[stage]);
        }
        if trial.values.len() == self.folds {
            trial.state = TrialState::Complete;
            trial.expected = (trial.mean(), 0.0);
            return;
        }
        let Some(mark) = &self.mark else {
            return;
        };
        let best = mark.best_as(trial);
        if pruning::is_hopeless(&trial.values, &best, mark.noise) {
            trial.state = TrialState::Pruned;
            let gap = pruning::mean_difference(&trial.values, &best);
            #[expect(clippy::cast_precision_loss, reason = "20 folds at most")]
            let mean = best.iter().sum::<f64>() / self.folds as f64;
            let variance = pruning::variance_left(mark.noise, trial.values.len(), self.folds);
            trial.expected = (mean + gap, variance);
        }
    }
}
