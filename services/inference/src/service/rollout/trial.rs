//! A challenger beside the champion, as a request finds it.

use std::sync::Arc;
use std::time::Duration;

use holdfast_records::rollout::Mode;
use tokio::sync::Notify;

use super::Rollout;
use super::choice::{Known, chosen};
use super::shadow::{Comparison, ShadowQueue};
use super::tally::{Broken, Tally};
use crate::metrics::RolloutMetrics;
use crate::service::serving::ServingModel;

/// What a request does with the challenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Nothing: the champion answers.
    None,
    /// The champion answers, and its time is counted beside the challenger's.
    Measured,
    /// The champion answers, and the challenger scores the same rows afterwards.
    Shadow,
    /// The challenger answers.
    Canary,
}

/// A challenger on trial. It travels with the champion that it is tried beside, so that a request sees both or neither.
#[derive(Debug)]
pub struct Trial {
    /// What is tried and how.
    pub rollout: Arc<Rollout>,
    /// The version on trial, prepared as a champion is.
    pub challenger: Arc<ServingModel>,
    /// What both did.
    pub tally: Arc<Tally>,
    /// Where comparisons wait.
    pub queue: ShadowQueue,
    /// Counts.
    pub metrics: RolloutMetrics,
    /// Told when a limit is broken.
    pub broken: Arc<Notify>,
}

impl Trial {
    /// What a request does with the challenger. Once a limit is broken: nothing, from the next request on.
    pub fn part(&self, known: Known<'_>) -> Part {
        if self.tally.broken().is_some() {
            return Part::None;
        }
        let taken = chosen(self.rollout.revision, known, self.rollout.start.share);
        match (self.rollout.start.mode, taken) {
            (Mode::Canary, true) => Part::Canary,
            (Mode::Canary, false) => Part::Measured,
            (Mode::Shadow, true) => Part::Shadow,
            (Mode::Shadow, false) => Part::None,
        }
    }

    /// Counts a request that the challenger scored.
    pub fn scored(&self, took: Duration) {
        self.tally.challenger.scored(took);
        self.metrics.challenger_requests.inc();
        self.judge();
    }

    /// Counts a request that the challenger failed to score.
    pub fn failed(&self) {
        self.tally.challenger.failed();
        self.metrics.challenger_requests.inc();
        self.metrics.errors.inc();
        self.judge();
    }

    /// Counts a request that the champion scored beside the challenger.
    pub fn champion_scored(&self, took: Duration) {
        self.tally.champion.scored(took);
        self.metrics.champion_requests.inc();
    }

    /// Hands over rows to be compared; one request too many is passed over.
    pub fn compare(&self, comparison: Comparison) {
        if !self.queue.offer(comparison) {
            self.tally.skip();
            self.metrics.skipped.inc();
        }
    }

    fn judge(&self) {
        let Some(broken) = self.tally.judge(&self.rollout.start.limits) else {
            return;
        };
        self.metrics.returned(broken);
        tracing::warn!(
            version = %self.challenger.target.version,
            revision = self.rollout.revision,
            why = self.verdict(broken),
            "the version on trial broke a limit; the champion answers everything"
        );
        self.broken.notify_one();
    }

    /// A broken limit in words, with the numbers.
    pub fn verdict(&self, broken: Broken) -> String {
        let (champion, challenger) = (self.tally.champion.summary(), self.tally.challenger.summary());
        let limits = &self.rollout.start.limits;
        match broken {
            Broken::Errors => format!(
                "failed to score {} of {} requests, allowed is a share of {}",
                challenger.errors, challenger.requests, limits.max_error_rate
            ),
            Broken::Latency => format!(
                "takes {:.1} us for a request where the champion takes {:.1} (medians), allowed is a ratio of {}",
                challenger.latency.median.as_secs_f64() * 1e6,
                champion.latency.median.as_secs_f64() * 1e6,
                limits.max_latency_ratio
            ),
        }
    }
}
