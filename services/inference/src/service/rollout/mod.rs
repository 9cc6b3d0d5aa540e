//! A version on trial beside the champion.
//!
//! [`director`] brings challengers in and out; [`trial`] is what a request finds beside the champion, [`choice`] who meets
//! the challenger, [`tally`] what both versions did and when that is too much, [`shadow`] the comparison off the callers'
//! path, and [`recorder`] what becomes of its rows.
//!
//! The champion never depends on any of it: a challenger that cannot be prepared, fails, or is too slow leaves the champion
//! answering everything, and no caller sees a failure by a challenger.

pub mod choice;
pub mod director;
pub mod latency;
pub mod recorder;
pub mod shadow;
pub mod tally;
pub mod trial;

use std::sync::Arc;

use holdfast_domain::{Generation, ModelName};
use holdfast_records::rollout::Start;
use tokio::sync::watch;

use super::target::Target;

/// A rollout that runs, as the registry or the record in the blob store names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The revision that began it.
    pub revision: u64,
    /// The model.
    pub model: ModelName,
    /// What it began with.
    pub start: Start,
}

impl Rollout {
    /// The challenger, under the generation of the champion it is tried beside.
    pub fn target(&self) -> Target {
        Target {
            model: self.model.clone(),
            version: self.start.version,
            artifact_digest: self.start.artifact_digest,
            generation: self.start.champion_generation,
        }
    }

    /// The generation of the champion it is tried beside.
    pub fn generation(&self) -> Generation {
        self.start.champion_generation
    }
}

/// What the record of rollouts says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notice {
    /// Its newest revision, 0 while it is empty.
    pub revision: u64,
    /// The rollout that runs.
    pub running: Option<Arc<Rollout>>,
}

/// The newest notice; every part that learns of a rollout tells it here, and the director follows.
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<watch::Sender<Notice>>);

impl Notices {
    /// Takes a notice unless it is not newer. Answers whether it was taken.
    pub fn offer(&self, notice: Notice) -> bool {
        self.0.send_if_modified(|known| {
            let newer = known.revision < notice.revision;
            if newer {
                *known = notice;
            }
            newer
        })
    }

    /// The newest revision told.
    pub fn revision(&self) -> u64 {
        self.0.borrow().revision
    }

    /// The notice as it changes.
    pub fn watch(&self) -> watch::Receiver<Notice> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_revision_is_taken() {
        let notices = Notices::default();
        let notice = |revision| Notice {
            revision,
            running: None,
        };
        assert!(
            !notices.offer(notice(0)),
            "a registry that knows no rollouts says nothing"
        );
        assert!(notices.offer(notice(3)));
        assert!(!notices.offer(notice(3)));
        assert!(!notices.offer(notice(2)));
        assert!(notices.offer(notice(4)));
        assert_eq!(notices.revision(), 4);
    }
}
