//! What a replica of inference saw of a rollout, as it reports it. The registry keeps it and passes it on.

use holdfast_records::rollout::{EndReason, Mode};

/// What a replica does with a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TallyState {
    /// It prepares the challenger.
    Preparing,
    /// The challenger is on trial.
    Running,
    /// The challenger cannot be prepared.
    LoadFailed,
    /// Too many errors.
    ErrorLimit,
    /// Too slow.
    LatencyLimit,
    /// It has ended.
    Ended,
}

impl TallyState {
    /// Why the rollout must end for all, when it must.
    pub fn ends(self) -> Option<EndReason> {
        match self {
            Self::Preparing | Self::Running | Self::Ended => None,
            Self::LoadFailed => Some(EndReason::LoadFailed),
            Self::ErrorLimit => Some(EndReason::ErrorLimit),
            Self::LatencyLimit => Some(EndReason::LatencyLimit),
        }
    }
}

/// What one version did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionTally {
    /// The version.
    pub version: u32,
    /// Requests it scored, or failed to.
    pub requests: u64,
    /// Requests it failed to score.
    pub errors: u64,
    /// Mean time of scoring a request, in milliseconds.
    pub mean_ms: f64,
    /// Median of that time.
    pub median_ms: f64,
    /// 99th percentile of that time.
    pub p99_ms: f64,
}

/// What a replica saw of a rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Tally {
    /// The rollout: the revision that began it.
    pub revision: u64,
    /// Its mode.
    pub mode: Mode,
    /// What the replica does with it.
    pub state: TallyState,
    /// Why, when the challenger is not on trial.
    pub message: String,
    /// The version on trial.
    pub challenger: VersionTally,
    /// The champion beside it.
    pub champion: VersionTally,
    /// Rows scored by both.
    pub compared_rows: u64,
    /// Mean absolute difference of their probabilities.
    pub mean_absolute_delta: f64,
    /// Rows that the two label differently.
    pub label_flips: u64,
    /// Rows by their absolute difference: upper bound and count, ascending.
    pub deltas: Vec<(f64, u64)>,
    /// Requests that were not compared because too many waited.
    pub skipped_requests: u64,
}
