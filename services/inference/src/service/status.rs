//! What this replica says about itself: to callers of `GetReplicaStatus` and to the registry.

use std::sync::Arc;
use std::time::Duration;

use holdfast_domain::Generation;
use jiff::Timestamp;
use tokio::sync::watch;

use super::rollout::Rollout;
use super::rollout::tally::{Broken, Tally};
use super::target::Target;

/// A champion that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadFailure {
    /// What was to be loaded.
    pub target: Target,
    /// Why not.
    pub message: String,
    /// When it was tried last.
    pub failed_at: Timestamp,
}

/// What the replica does with the champion it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadState {
    /// It serves it, or was told of none.
    Settled,
    /// It prepares it.
    Loading,
    /// It could not prepare it and serves on with the one before.
    Failed,
}

/// What the replica does with a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutPhase {
    /// It prepares the challenger.
    Preparing,
    /// The challenger is on trial.
    Running,
    /// The challenger cannot be prepared.
    LoadFailed,
    /// A limit was broken.
    Broken(Broken),
    /// It has ended for another reason.
    Ended,
}

/// The rollout that the replica takes part in, or took part in last.
#[derive(Clone, Debug)]
pub struct RolloutReport {
    /// Which.
    pub rollout: Arc<Rollout>,
    /// What was counted.
    pub tally: Arc<Tally>,
    /// What is done with it.
    pub phase: RolloutPhase,
    /// Why, when the challenger is not on trial.
    pub message: String,
}

/// The replica's state.
#[derive(Clone, Debug)]
pub struct ReplicaState {
    /// What serves, and since when.
    pub serving: Option<(Target, Timestamp)>,
    /// The generation told last.
    pub target_generation: Generation,
    /// What is done with it.
    pub load: LoadState,
    /// From the notice of the champion in service to its service; zero when it came with the start.
    pub last_reload: Duration,
    /// The last failed load, until a later one succeeds.
    pub last_failure: Option<LoadFailure>,
    /// Whether the subscription to the registry stands.
    pub registry_connected: bool,
    /// The rollout beside the champion, or the last one.
    pub rollout: Option<RolloutReport>,
}

/// The state, shared; clones are the same board.
#[derive(Clone, Debug)]
pub struct StatusBoard(Arc<watch::Sender<ReplicaState>>);

impl StatusBoard {
    /// A replica that serves nothing yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(ReplicaState {
            serving: None,
            target_generation: Generation(0),
            load: LoadState::Settled,
            last_reload: Duration::ZERO,
            last_failure: None,
            registry_connected: false,
            rollout: None,
        })))
    }

    /// The state now.
    pub fn now(&self) -> ReplicaState {
        self.0.borrow().clone()
    }

    /// Changes the state; whoever watches is woken.
    pub fn change(&self, change: impl FnOnce(&mut ReplicaState)) {
        self.0.send_modify(change);
    }

    /// The state as it changes.
    pub fn watch(&self) -> watch::Receiver<ReplicaState> {
        self.0.subscribe()
    }
}

impl Default for StatusBoard {
    fn default() -> Self {
        Self::new()
    }
}
