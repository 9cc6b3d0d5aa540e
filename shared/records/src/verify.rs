//! The verdict on a log, and what can be wrong with it.

use holdfast_domain::{Digest, Generation, ModelName};
use jiff::Timestamp;

use crate::append_log::{LogEntry, LogKind, StoredEntry};

/// How an entry breaks the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BreakCause {
    /// Bytes of the entry were changed.
    #[error("its bytes do not match its own checksum")]
    DigestMismatch,
    /// The entry is missing, though later ones are there.
    #[error("it is missing, but {found} exists")]
    Gap {
        /// The next one that exists.
        found: Generation,
    },
    /// It follows another entry than the one that is stored before it: one of the two was replaced.
    #[error("it follows an entry with the digest {recorded:?}, but the one before it has {actual:?}")]
    WrongPrevious {
        /// What the entry says.
        recorded: Option<Digest>,
        /// The digest of the stored bytes before it.
        actual: Option<Digest>,
    },
    /// Not an entry at all, or of a newer format.
    #[error("it cannot be read: {0}")]
    Undecodable(String),
    /// The entry of another place in the log lies there.
    #[error("its key is that one's, but the entry says {found}")]
    WrongGeneration {
        /// What the entry says.
        found: Generation,
    },
    /// The entry of another model's log lies there.
    #[error("the entry says model {found}")]
    WrongModel {
        /// What the entry says.
        found: ModelName,
    },
    /// It is dated before the entry before it.
    #[error("it is dated {at}, before the entry before it ({previous})")]
    TimeWentBack {
        /// Its time.
        at: Timestamp,
        /// The time of the entry before.
        previous: Timestamp,
    },
}

/// Where a log is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} of {model} is broken at {} {generation}: {why}", log.name(), log.place_name())]
pub struct BrokenChain {
    /// Which log.
    pub log: LogKind,
    /// Whose log.
    pub model: ModelName,
    /// Place of the entry at fault: its generation in the champion log, its revision in the record of rollouts.
    pub generation: Generation,
    /// What is wrong with it.
    pub why: BreakCause,
}

/// The verdict on a whole log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Every entry is there, unchanged and in its place.
    Intact {
        /// How many entries there are.
        entries: u64,
        /// The digest of the last one, which stands for the whole log; none for an empty log.
        head_digest: Option<Digest>,
    },
    /// The first thing that is wrong.
    Broken(BrokenChain),
}

/// Follows the chain entry by entry.
#[derive(Default)]
pub(crate) struct Chain {
    entries: u64,
    last: Option<(Digest, Timestamp)>,
}

impl Chain {
    /// Checks that `stored` follows what came before.
    pub(crate) fn follow<E: LogEntry>(&mut self, stored: &StoredEntry<E>) -> Result<(), BreakCause> {
        let actual = self.last.map(|(digest, _)| digest);
        let (recorded, at) = (stored.entry.previous_digest(), stored.entry.at());
        if recorded != actual {
            return Err(BreakCause::WrongPrevious { recorded, actual });
        }
        if let Some((_, previous)) = self.last.filter(|(_, previous)| at < *previous) {
            return Err(BreakCause::TimeWentBack { at, previous });
        }
        self.entries += 1;
        self.last = Some((stored.digest, at));
        Ok(())
    }

    pub(crate) fn verdict(&self) -> Verification {
        Verification::Intact {
            entries: self.entries,
            head_digest: self.last.map(|(digest, _)| digest),
        }
    }
}
