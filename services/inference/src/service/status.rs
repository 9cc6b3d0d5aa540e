//! What this replica says about itself: to callers of `GetReplicaStatus` and to the registry.

use std::sync::Arc;
use std::time::Duration;

use holdfast_domain::Generation;
use jiff::Timestamp;
use tokio::sync::watch;

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

/// The replica's state.
#[derive(Clone, Debug, PartialEq)]
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
