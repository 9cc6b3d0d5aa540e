//! What inference replicas said last: what they serve, and what they could not load.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_domain::{Generation, ModelName, ModelVersion};
use jiff::{SignedDuration, Timestamp};

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

/// A replica that has been silent for so long is forgotten: it was scaled away or renamed.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// Loads remembered for each model; the oldest generations are forgotten first.
const REMEMBERED_LOADS: usize = 1_000;

/// What became of a replica's attempt at a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadOutcome {
    /// It has served it.
    Served,
    /// It could not load it, and has not served it since.
    Failed {
        /// Why.
        message: String,
        /// When it said so.
        at: Timestamp,
    },
}

/// Whether a replica still reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It has reported within the time that the settings allow.
    Reporting,
    /// It has been silent for longer: what it said may no longer hold.
    Silent,
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
    /// Since when it says the same of what it serves and prepares, as far as this registry has heard.
    pub since: Timestamp,
    /// When the registry heard of it.
    pub reported_at: Timestamp,
}

impl Replica {
    /// Whether it still reports, at a time.
    pub fn presence(&self, now: Timestamp, patience: SignedDuration) -> Presence {
        if now.duration_since(self.reported_at) > patience {
            Presence::Silent
        } else {
            Presence::Reporting
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        (self.serving, self.target, self.state) == (other.serving, other.target, other.state)
    }
}

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<(ModelName, String), Replica>,
    loads: BTreeMap<ModelName, BTreeMap<(Generation, String), LoadOutcome>>,
}

/// The replicas known to this registry. Held in memory: a replica reports again when it subscribes again, so after a restart
/// what it serves and what it cannot load now is known within one report; what it could not load before that is not.
#[derive(Clone, Debug, Default)]
pub struct Replicas {
    known: Arc<Mutex<Known>>,
}

impl Replicas {
    /// Takes a report. `since` of the report is the time of the report itself.
    pub fn report(&self, mut replica: Replica) {
        let mut known = self.lock();
        let now = replica.reported_at;
        known
            .by_name
            .retain(|_, known| now.duration_since(known.reported_at) <= FORGOTTEN_AFTER);
        let loads = known.loads.entry(replica.model.clone()).or_default();
        if let Some((generation, _)) = replica.serving {
            loads.insert((generation, replica.replica.clone()), LoadOutcome::Served);
        }
        if replica.state == ReplicaState::LoadFailed {
            let failed = LoadOutcome::Failed {
                message: replica.message.clone(),
                at: now,
            };
            loads.insert((replica.target, replica.replica.clone()), failed);
        }
        while loads.len() > REMEMBERED_LOADS {
            loads.pop_first();
        }
        let key = (replica.model.clone(), replica.replica.clone());
        if let Some(before) = known.by_name.get(&key).filter(|before| before.is_as(&replica)) {
            replica.since = before.since;
        }
        known.by_name.insert(key, replica);
    }

    /// What the replicas of a model said last, by name.
    pub fn of(&self, model: &ModelName) -> Vec<Replica> {
        self.lock()
            .by_name
            .values()
            .filter(|replica| replica.model == *model)
            .cloned()
            .collect()
    }

    /// What became of the loads of these generations, the newest of each replica, by the replica's name.
    pub fn loads(&self, model: &ModelName, generations: &BTreeSet<Generation>) -> BTreeMap<String, LoadOutcome> {
        let known = self.lock();
        let loads = known.loads.get(model).into_iter().flatten();
        let wanted = loads.filter(|((generation, _), _)| generations.contains(generation));
        // In the order of generations, so that a later one takes the place of an earlier.
        wanted
            .map(|((_, replica), outcome)| (replica.clone(), outcome.clone()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Both maps are whole at every point where a holder could panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
