//! Brings challengers in and out.
//!
//! A challenger is prepared exactly as a champion is, then put beside the champion of its generation by one atomic store.
//! It leaves when its rollout ends, when another champion comes (the champion's own swap drops it), or when it broke a
//! limit. A challenger that left by its own fault does not come back in this process; after a restart it may, until the
//! registry has heard of it.

use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::clock::Clock;
use tokio::sync::{Notify, watch};

use super::shadow::ShadowQueue;
use super::tally::{Broken, Tally};
use super::trial::Trial;
use super::{Notice, Notices, Rollout};
use crate::metrics::Metrics;
use crate::service::preparation::{LoadError, Preparer};
use crate::service::serving::{Serving, ServingModel};
use crate::service::status::{ReplicaState, RolloutPhase, RolloutReport, StatusBoard};
use crate::settings::{ChampionSettings, waits};

/// Follows rollouts.
#[derive(Debug)]
pub struct Director {
    /// What is to be tried.
    pub notices: Notices,
    /// What serves, and what is tried beside it.
    pub serving: Arc<Serving>,
    /// What is said about it.
    pub board: StatusBoard,
    /// Prepares challengers.
    pub preparer: Preparer,
    /// Where comparisons wait.
    pub queue: ShadowQueue,
    /// Counts.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Waits between attempts at a challenger that cannot be read.
    pub settings: ChampionSettings,
}

/// What changes for the director.
struct Changes {
    notices: watch::Receiver<Notice>,
    board: watch::Receiver<ReplicaState>,
    broken: Arc<Notify>,
}

impl Changes {
    /// Waits for any of them; `None` at the end of the service.
    async fn next(&mut self) -> Option<()> {
        tokio::select! {
            changed = self.notices.changed() => changed.ok(),
            changed = self.board.changed() => changed.ok(),
            () = self.broken.notified() => Some(()),
        }
    }
}

impl Director {
    /// Follows rollouts, for ever.
    pub async fn run(&self) {
        let mut changes = Changes {
            notices: self.notices.watch(),
            board: self.board.watch(),
            broken: Arc::default(),
        };
        // The rollout whose challenger left by its own fault.
        let mut given_up = 0;
        loop {
            let running = changes.notices.borrow_and_update().running.clone();
            changes.board.mark_unchanged();
            if let Some((trial, broken)) = self.broken() {
                given_up = trial.rollout.revision;
                self.take_back(&trial, broken);
            }
            let serving = self.serving.current();
            let wanted = running.filter(|rollout| {
                let champion = serving.as_ref().map(|serving| serving.target.generation);
                rollout.revision != given_up && champion == Some(rollout.generation())
            });
            let tried = serving.and_then(|serving| serving.trial.clone());
            match (wanted, tried) {
                (Some(wanted), Some(tried)) if wanted.revision == tried.rollout.revision => {}
                (Some(wanted), tried) => {
                    // The end of the one before was missed: it must not answer on while this one is prepared.
                    if let Some(tried) = tried {
                        self.serving.end_trial(tried.rollout.revision);
                        self.left();
                    }
                    if self.bring_in(&wanted, &mut changes).await == Outcome::GivenUp {
                        given_up = wanted.revision;
                    }
                    // What came meanwhile is looked at at once.
                    continue;
                }
                (None, Some(tried)) => {
                    self.serving.end_trial(tried.rollout.revision);
                    self.left();
                    tracing::info!(version = %tried.challenger.target.version, revision = tried.rollout.revision, "trial ended");
                }
                // A champion's swap drops the challenger beside the one before.
                (None, None) => self.left(),
            }
            if changes.next().await.is_none() {
                return;
            }
        }
    }

    fn broken(&self) -> Option<(Arc<Trial>, Broken)> {
        let trial = self.serving.current()?.trial.clone()?;
        let broken = trial.tally.broken()?;
        Some((trial, broken))
    }

    /// Nothing is on trial any more, by nobody's fault.
    fn left(&self) {
        self.metrics.rollout.active.set(0);
        let took_part =
            |report: &RolloutReport| matches!(report.phase, RolloutPhase::Preparing | RolloutPhase::Running);
        if self.board.now().rollout.as_ref().is_some_and(took_part) {
            self.board.change(|state| {
                if let Some(report) = &mut state.rollout {
                    report.phase = RolloutPhase::Ended;
                }
            });
        }
    }

    fn take_back(&self, trial: &Trial, broken: Broken) {
        self.serving.end_trial(trial.rollout.revision);
        self.metrics.rollout.active.set(0);
        let (phase, message) = (RolloutPhase::Broken(broken), trial.verdict(broken));
        self.say(&trial.rollout, &trial.tally, phase, message);
    }

    /// Prepares a challenger and puts it beside its champion. A change ends the attempts.
    async fn bring_in(&self, rollout: &Arc<Rollout>, changes: &mut Changes) -> Outcome {
        let tally = Arc::<Tally>::default();
        self.say(rollout, &tally, RolloutPhase::Preparing, String::new());
        changes.board.mark_unchanged();
        let mut pauses = waits(self.settings.retry_initial_ms, self.settings.retry_max_ms);
        loop {
            let error = match self.prepare(rollout).await {
                Ok(challenger) => {
                    self.begin(rollout, &tally, challenger, &changes.broken);
                    return Outcome::Begun;
                }
                Err(error) => error,
            };
            let pause = pauses.next().unwrap_or_default();
            self.failed(rollout, &tally, &error, pause);
            changes.board.mark_unchanged();
            if !error.may_pass() {
                return Outcome::GivenUp;
            }
            tokio::select! {
                _ = changes.next() => return Outcome::Begun,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn prepare(&self, rollout: &Rollout) -> Result<Arc<ServingModel>, LoadError> {
        let target = rollout.target();
        let model = match self.serving.with_digest(&target.artifact_digest) {
            // The champion's own artefact under another version.
            Some(model) => model,
            None => self.preparer.prepare(&target).await?.model,
        };
        Ok(Arc::new(ServingModel::new(model, target, self.clock.now())))
    }

    fn begin(&self, rollout: &Arc<Rollout>, tally: &Arc<Tally>, challenger: Arc<ServingModel>, broken: &Arc<Notify>) {
        let trial = Arc::new(Trial {
            rollout: Arc::clone(rollout),
            challenger,
            tally: Arc::clone(tally),
            queue: self.queue.clone(),
            metrics: self.metrics.rollout.clone(),
            broken: Arc::clone(broken),
        });
        // Another champion came meanwhile: the rollout is none of its.
        if !self.serving.begin_trial(&trial) {
            return;
        }
        self.metrics.rollout.active.set(1);
        let start = &rollout.start;
        tracing::info!(version = %start.version, revision = rollout.revision, mode = ?start.mode, share = start.share, "version on trial");
        self.say(rollout, tally, RolloutPhase::Running, String::new());
    }

    fn failed(&self, rollout: &Arc<Rollout>, tally: &Arc<Tally>, error: &LoadError, pause: Duration) {
        self.metrics.rollout.load_failures.inc();
        let phase = if error.may_pass() {
            tracing::warn!(%error, version = %rollout.start.version, retry_in_ms = pause.as_millis(), "cannot read the version to try");
            RolloutPhase::Preparing
        } else {
            tracing::error!(%error, stage = error.stage.name(), version = %rollout.start.version, "the version to try cannot be prepared; the champion answers everything");
            RolloutPhase::LoadFailed
        };
        self.say(rollout, tally, phase, error.message.clone());
    }

    fn say(&self, rollout: &Arc<Rollout>, tally: &Arc<Tally>, phase: RolloutPhase, message: String) {
        let report = RolloutReport {
            rollout: Arc::clone(rollout),
            tally: Arc::clone(tally),
            phase,
            message,
        };
        self.board.change(|state| state.rollout = Some(report));
    }
}

/// How bringing in a challenger ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It is on trial, or something changed and all is to be looked at again.
    Begun,
    /// It cannot be prepared, however often it is tried.
    GivenUp,
}
