//! What this replica is to serve.

use std::time::Instant;

use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_records::champion::ChampionEntry;
use tokio::sync::watch;

/// A champion, as the registry or the champion log names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The model.
    pub model: ModelName,
    /// Its version.
    pub version: ModelVersion,
    /// SHA-256 of the artefact.
    pub artifact_digest: Digest,
    /// Place in the champion log.
    pub generation: Generation,
}

impl From<&ChampionEntry> for Target {
    fn from(entry: &ChampionEntry) -> Self {
        Self {
            model: entry.model.clone(),
            version: entry.version,
            artifact_digest: entry.artifact_digest,
            generation: entry.generation,
        }
    }
}

/// A target and when this replica heard of it.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What to serve.
    pub target: Target,
    /// When it was heard of.
    pub at: Instant,
    /// Whether registry or champion log said so in the life of this process. What the local disk remembers is not
    /// confirmed.
    pub confirmed: bool,
}

/// The newest target; every part that learns of a champion tells it here, and the loader follows.
#[derive(Clone, Debug)]
pub struct Targets(watch::Sender<Option<Notice>>);

impl Targets {
    /// No target yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Takes a champion named by registry or champion log. One that is not newer is dropped, except that the first one
    /// heard of may correct whatever the local disk remembered: the champion log may have been made anew. Answers
    /// whether it was taken.
    pub fn offer(&self, target: Target) -> bool {
        self.0.send_if_modified(|known| {
            let taken = match known {
                None => true,
                Some(notice) if !notice.confirmed => {
                    notice.confirmed = true;
                    notice.target != target
                }
                Some(notice) => notice.target.generation < target.generation,
            };
            if taken {
                *known = Some(Notice {
                    target,
                    at: Instant::now(),
                    confirmed: true,
                });
            }
            taken
        })
    }

    /// Takes what the local disk remembers; only while nothing else is known.
    pub fn remember(&self, target: Target) {
        self.0.send_if_modified(|known| {
            let taken = known.is_none();
            if taken {
                *known = Some(Notice {
                    target,
                    at: Instant::now(),
                    confirmed: false,
                });
            }
            taken
        });
    }

    /// The newest generation that registry or champion log named, 0 for none.
    pub fn confirmed_generation(&self) -> Generation {
        let known = self.0.borrow();
        known
            .as_ref()
            .filter(|notice| notice.confirmed)
            .map_or(Generation(0), |notice| notice.target.generation)
    }

    /// The target as it changes.
    pub fn watch(&self) -> watch::Receiver<Option<Notice>> {
        self.0.subscribe()
    }
}

impl Default for Targets {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(generation: u64, version: u32) -> Target {
        Target {
            model: ModelName::parse("churn").unwrap(),
            version: ModelVersion(version),
            artifact_digest: Digest::of(&version.to_le_bytes()),
            generation: Generation(generation),
        }
    }

    #[test]
    fn only_a_newer_generation_is_taken() {
        let targets = Targets::new();
        assert!(targets.offer(target(3, 1)));
        assert!(!targets.offer(target(3, 2)));
        assert!(!targets.offer(target(2, 2)));
        assert!(targets.offer(target(4, 2)));
        assert_eq!(targets.confirmed_generation(), Generation(4));
    }

    #[test]
    fn the_first_word_from_outside_corrects_what_the_disk_remembers() {
        let targets = Targets::new();
        targets.remember(target(9, 7));
        assert_eq!(targets.confirmed_generation(), Generation(0));
        assert!(targets.offer(target(1, 1)), "the log was made anew");
        targets.remember(target(9, 7));
        assert_eq!(targets.confirmed_generation(), Generation(1));
    }

    #[test]
    fn a_remembered_target_that_is_confirmed_is_not_loaded_again() {
        let targets = Targets::new();
        targets.remember(target(9, 7));
        let mut watch = targets.watch();
        watch.mark_unchanged();
        assert!(!targets.offer(target(9, 7)));
        assert!(!watch.has_changed().unwrap());
        assert_eq!(targets.confirmed_generation(), Generation(9));
        assert!(!targets.offer(target(8, 6)));
    }
}
