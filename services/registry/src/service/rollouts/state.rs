//! Rollouts as the record tells them.

use holdfast_domain::ModelName;
use holdfast_records::rollout::{Change, EndReason, RolloutLog, Start, StoredEntry};
use jiff::Timestamp;

use crate::error::{Error, Result};

/// How a rollout ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Revision of the entry that ended it.
    pub revision: u64,
    /// Why.
    pub reason: EndReason,
    /// Who ended it.
    pub actor: String,
    /// A note in words.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// A trial of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Revision of the entry that began it.
    pub revision: u64,
    /// The model.
    pub model: ModelName,
    /// What it began with.
    pub start: Start,
    /// Who began it.
    pub actor: String,
    /// A note in words.
    pub note: String,
    /// When.
    pub started_at: Timestamp,
    /// How it ended; `None` while it runs.
    pub ending: Option<Ending>,
}

/// What the record says now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Its newest revision, 0 while it is empty.
    pub revision: u64,
    /// The newest rollout.
    pub newest: Option<Rollout>,
}

impl State {
    /// The state right after a start.
    pub(super) fn started(running: Rollout) -> Self {
        Self {
            revision: running.revision,
            newest: Some(running),
        }
    }

    /// What the record says.
    pub(super) async fn read(log: &RolloutLog) -> Result<Self> {
        let Some(head) = log.head_after(0).await? else {
            return Ok(Self::default());
        };
        if head.entry.start().is_some() {
            return Ok(Self::started(Rollout::begun(head)?));
        }
        // An end follows the start that it ends.
        let start = log.entry(head.entry.revision.saturating_sub(1)).await?;
        let ended = Rollout {
            ending: Ending::of(&head),
            ..Rollout::begun(start)?
        };
        Ok(Self {
            revision: head.entry.revision,
            newest: Some(ended),
        })
    }

    /// The rollout that runs.
    pub fn running(&self) -> Option<&Rollout> {
        self.newest.as_ref().filter(|rollout| rollout.ending.is_none())
    }
}

impl Rollout {
    /// The rollout that an entry starts.
    pub(super) fn begun(stored: StoredEntry) -> Result<Self> {
        let entry = stored.entry;
        match entry.change {
            Change::Start(start) => Ok(Self {
                revision: entry.revision,
                model: entry.model,
                start,
                actor: entry.actor,
                note: entry.note,
                started_at: entry.at,
                ending: None,
            }),
            Change::End { .. } => Err(Error::Corrupt(format!(
                "revision {} of the record of rollouts of {} ends nothing",
                entry.revision, entry.model
            ))),
        }
    }
}

impl Ending {
    /// The end that an entry is, if it is one.
    pub(super) fn of(stored: &StoredEntry) -> Option<Self> {
        match &stored.entry.change {
            Change::Start(_) => None,
            Change::End { reason } => Some(Self {
                revision: stored.entry.revision,
                reason: *reason,
                actor: stored.entry.actor.clone(),
                note: stored.entry.note.clone(),
                at: stored.entry.at,
            }),
        }
    }
}

/// The rollouts of these entries, in their order.
pub(super) fn rollouts(entries: Vec<StoredEntry>) -> Result<Vec<Rollout>> {
    let mut rollouts: Vec<Rollout> = Vec::new();
    for stored in entries {
        match rollouts.last_mut().filter(|_| stored.entry.start().is_none()) {
            Some(last) => last.ending = Ending::of(&stored),
            None => rollouts.push(Rollout::begun(stored)?),
        }
    }
    Ok(rollouts)
}
