//! What inference replicas said last: what they serve, and what they could not load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_domain::{Generation, ModelName, ModelVersion};
use jiff::Timestamp;

use super::tally::Tally;

/// What a replica does with the champion it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// It serves it.
    Serving,
    /// It prepares it.
    Loading,
    /// It could not prepare it and serves on with the one before.
    LoadFailed,
}

/// A replica's last word.
#[derive(Clone, Debug, PartialEq)]
pub struct Replica {
    /// Its name.
    pub replica: String,
    /// The model it serves.
    pub model: ModelName,
    /// The generation and version it serves.
    pub serving: Option<(Generation, ModelVersion)>,
    /// The generation it was told last.
    pub target: Generation,
    /// What it does with that one.
    pub state: ReplicaState,
    /// Why it failed, when it did.
    pub message: String,
    /// Duration of the last prepare-and-swap in milliseconds.
    pub reload_ms: f64,
    /// What it saw of the rollout it takes part in, or took part in last.
    pub rollout: Option<Tally>,
    /// When the registry heard of it.
    pub reported_at: Timestamp,
}

/// The replicas known to this registry. Held in memory: a replica reports again when it subscribes again.
#[derive(Clone, Debug, Default)]
pub struct Replicas {
    by_name: Arc<Mutex<BTreeMap<(ModelName, String), Replica>>>,
}

impl Replicas {
    /// Takes a report.
    pub fn report(&self, replica: Replica) {
        let key = (replica.model.clone(), replica.replica.clone());
        self.lock().insert(key, replica);
    }

    /// What the replicas of a model said last, by name.
    pub fn of(&self, model: &ModelName) -> Vec<Replica> {
        self.lock()
            .values()
            .filter(|replica| replica.model == *model)
            .cloned()
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(ModelName, String), Replica>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
