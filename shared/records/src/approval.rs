//! The record of approvals: which promotions were asked for where the setting wants approvers, and who said what to them.
//!
//! Append-only, with the champion log's rules ([`crate::champion`]): revision N+1 is written with *create if absent*, so
//! exactly one of many writers wins it and every word is said after all words before it; entries form a hash chain; a nonce
//! tells a writer its own entry. An entry asks for a promotion, which its revision names from then on, or it is one
//! person's word about one.
//!
//! What became of a promotion is not written here: it follows from the words, their times and the champion log. A promotion
//! that is complete is an entry of the champion log, which names the completing word by its digest.

use bytes::Bytes;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::append_log::{LogEntry, Place};
use crate::champion::ChampionReason;
use crate::error::{Error, FormatError};
use crate::revision_log::RevisionLog;
use crate::sealed_json;

pub use crate::append_log::{LogKind, Nonce, RetryPolicy};
pub use crate::verify::{BreakCause, BrokenChain, Verification};

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

/// An entry as it lies in the store.
pub type StoredEntry = crate::append_log::StoredEntry<ApprovalEntry>;
/// How an append ended.
pub type Appended = crate::append_log::Appended<ApprovalEntry>;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The version that is to be champion.
    pub version: ModelVersion,
    /// SHA-256 of its artefact.
    pub artifact_digest: Digest,
    /// The generation it would follow; 0 when there was no champion.
    pub expected_generation: Generation,
    /// What the entry of the champion log will say: a promotion with its evidence, or an override.
    pub reason: ChampionReason,
    /// Who started the run that made the version.
    pub run_started_by: String,
    /// How many have to say yes.
    pub needed: u32,
    /// From when on no word counts.
    pub expires_at: Timestamp,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It may become champion.
    Approved,
    /// It may not.
    Rejected,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Statement {
    /// Somebody asks for a promotion.
    Request(Request),
    /// Somebody says yes or no to one.
    Word {
        /// The revision of the request.
        promotion: u64,
        /// Yes or no.
        verdict: Verdict,
    },
}

/// One entry of the record, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalEntry {
    /// Version of this entry's format.
    pub format_version: u32,
    /// Its place in the record, counted from 1 without gaps. The revision of its request names a promotion.
    pub revision: u64,
    /// The model.
    pub model: ModelName,
    /// What it says.
    pub statement: Statement,
    /// SHA-256 of the stored bytes of the entry before; none for the first.
    pub previous_digest: Option<Digest>,
    /// Who says it: a person's or a service's name.
    pub actor: String,
    /// A note in words; may be empty.
    pub note: String,
    /// When. Never before the entry before.
    pub at: Timestamp,
    /// The writer's nonce.
    pub nonce: Nonce,
}

impl ApprovalEntry {
    /// The stored bytes.
    ///
    /// # Errors
    /// None in fact; encoding shares one signature.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        sealed_json::encode(self)
    }

    /// The entry in stored bytes.
    ///
    /// # Errors
    /// [`FormatError`] for bytes that are damaged or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        sealed_json::decode(bytes, "approval entry", FORMAT_VERSION)
    }
}

impl LogEntry for ApprovalEntry {
    const KIND: LogKind = LogKind::Approval;

    fn encode(&self) -> Result<Bytes, FormatError> {
        self.encode()
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::decode(bytes)
    }

    fn place(&self) -> Generation {
        Generation(self.revision)
    }

    fn model(&self) -> &ModelName {
        &self.model
    }

    fn previous_digest(&self) -> Option<Digest> {
        self.previous_digest
    }

    fn at(&self) -> Timestamp {
        self.at
    }

    fn nonce(&self) -> Nonce {
        self.nonce
    }
}

/// What a writer wants to add; the record adds place, chain and format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// What it says.
    pub statement: Statement,
    /// Who says it.
    pub actor: String,
    /// A note in words; may be empty.
    pub note: String,
    /// The writer's clock. The entry gets the time of the entry before when that is later.
    pub at: Timestamp,
    /// The entry is written only when its time is before this one; at it or later is as lost.
    pub before: Option<Timestamp>,
    /// [`Nonce::generate`], or the nonce of the attempt that this one repeats.
    pub nonce: Nonce,
}

/// A model's record of approvals in a blob store.
pub type ApprovalLog = RevisionLog<ApprovalEntry>;

impl ApprovalLog {
    /// Writes `new` behind revision `expected`, the newest that the caller saw (0: none). Exactly one writer wins a revision.
    ///
    /// # Errors
    /// As [`ChampionLog::append`](crate::champion::ChampionLog::append). After an error, appending again with the same nonce
    /// is safe.
    pub async fn append(&self, expected: u64, new: NewEntry) -> Result<Appended, Error> {
        let model = self.model().clone();
        let write = |place: Place<'_, ApprovalEntry>| {
            let at = place.dated(new.at);
            new.before.is_none_or(|end| at < end).then(|| ApprovalEntry {
                format_version: FORMAT_VERSION,
                revision: place.place.0,
                model,
                statement: new.statement,
                previous_digest: place.previous_digest(),
                actor: new.actor,
                note: new.note,
                at,
                nonce: new.nonce,
            })
        };
        self.0.append(Generation(expected), new.nonce, write).await
    }
}
