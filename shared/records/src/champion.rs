//! The champion log: the one record of who is champion, who was, and by whose word.
//!
//! Generation N+1 is written with *create if absent*, so exactly one of many writers wins. Each entry carries the digest of the
//! stored bytes of the entry before (a hash chain), a checksum of itself, and a nonce by which a writer whose reply was lost
//! knows its own entry again. The champion is the highest entry that is reached from generation 1 without a gap.
//!
//! Times never run backwards: an entry is dated no earlier than the entry before, whatever the writer's clock says.
//!
//! Not guaranteed: whoever can write to the bucket can forge a whole chain; the chain proves damage and tampering with single
//! entries, not authorship. Two writers' order is the store's, not their clocks'.

mod log;

use bytes::Bytes;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, RunId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::append_log::LogEntry;
use crate::error::FormatError;
use crate::sealed_json;

pub use crate::append_log::{Appended, LogKind, Nonce, RetryPolicy, StoredEntry};
pub use crate::verify::{BreakCause, BrokenChain, Verification};
pub use log::ChampionLog;

/// The newest format version. Entries without an approval are written as version 1, which readers of before know.
pub const FORMAT_VERSION: u32 = 2;

/// Why the champion changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ChampionReason {
    /// The gate accepted it.
    Promotion {
        /// Digest of the evaluation it was accepted on.
        evaluation_digest: Digest,
        /// The run that made it; none for a model brought from elsewhere.
        run_id: Option<RunId>,
        /// A note in words; may be empty.
        note: String,
    },
    /// Back to an earlier champion.
    Rollback {
        /// A note in words; may be empty.
        note: String,
    },
    /// A person's word against or without the gate.
    Override {
        /// A note in words.
        note: String,
    },
}

impl ChampionReason {
    /// The note in words; may be empty.
    pub fn note(&self) -> &str {
        match self {
            ChampionReason::Promotion { note, .. }
            | ChampionReason::Rollback { note }
            | ChampionReason::Override { note } => note,
        }
    }
}

/// The yes of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// Who.
    pub actor: String,
    /// A note in words; may be empty.
    pub note: String,
    /// When.
    pub at: Timestamp,
}

/// By whose word a promotion was made that needed approvers.
///
/// The words themselves lie in the record of approvals ([`crate::approval`]). The entry names the one that completed the
/// promotion by its digest, and that one names all before it: who changes a word breaks this chain too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The promotion: the revision of its request in the record of approvals.
    pub promotion: u64,
    /// Who asked for it.
    pub requested_by: String,
    /// Who started the run that made the version.
    pub run_started_by: String,
    /// Who said yes, in the order of their word.
    pub approvers: Vec<Approver>,
    /// The revision of the word that completed it.
    pub completed_revision: u64,
    /// SHA-256 of the stored bytes of that word.
    pub completed_digest: Digest,
}

/// One entry of the log, as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChampionEntry {
    /// Version of this entry's format.
    pub format_version: u32,
    /// Its place in the log, counted from 1 without gaps.
    pub generation: Generation,
    /// The model.
    pub model: ModelName,
    /// The version that is champion since this entry.
    pub version: ModelVersion,
    /// SHA-256 of that version's artefact.
    pub artifact_digest: Digest,
    /// SHA-256 of the stored bytes of the entry before; none for the first.
    pub previous_digest: Option<Digest>,
    /// Who did it: a person's or a service's name.
    pub actor: String,
    /// Why.
    pub reason: ChampionReason,
    /// By whose word, where approvers were needed. Since version 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// When. Never before the entry before.
    pub at: Timestamp,
    /// The writer's nonce.
    pub nonce: Nonce,
}

impl ChampionEntry {
    /// The version to write an entry with: the oldest that can say what it says.
    pub(crate) fn version_for(approval: Option<&Approval>) -> u32 {
        if approval.is_some() { 2 } else { 1 }
    }

    /// The stored bytes.
    ///
    /// # Errors
    /// None in fact; encoding shares one signature.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        sealed_json::encode(self)
    }

    /// The entry in stored bytes, with their digest.
    ///
    /// # Errors
    /// [`FormatError`] for bytes that are damaged or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<StoredEntry, FormatError> {
        let opened = sealed_json::open(bytes)?;
        let entry: Self = match opened.version {
            1 | 2 => serde_json::from_value(opened.body).map_err(FormatError::malformed)?,
            found => {
                return Err(FormatError::UnsupportedVersion {
                    kind: "champion entry",
                    found,
                    newest: FORMAT_VERSION,
                });
            }
        };
        if entry.format_version != Self::version_for(entry.approval.as_ref()) {
            return Err(FormatError::malformed(format!(
                "an entry of version {} {} an approval",
                entry.format_version,
                if entry.approval.is_some() { "has" } else { "lacks" }
            )));
        }
        Ok(StoredEntry {
            entry,
            digest: Digest::of(bytes),
        })
    }
}

impl LogEntry for ChampionEntry {
    const KIND: LogKind = LogKind::Champion;

    fn encode(&self) -> Result<Bytes, FormatError> {
        self.encode()
    }

    fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::decode(bytes).map(|stored| stored.entry)
    }

    fn place(&self) -> Generation {
        self.generation
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

/// What a writer wants to add; the log adds place, chain and format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The version that is to be champion.
    pub version: ModelVersion,
    /// SHA-256 of its artefact.
    pub artifact_digest: Digest,
    /// Who does it.
    pub actor: String,
    /// Why.
    pub reason: ChampionReason,
    /// By whose word, where approvers were needed.
    pub approval: Option<Approval>,
    /// The writer's clock. The entry gets the time of the entry before when that is later.
    pub at: Timestamp,
    /// [`Nonce::generate`], or the nonce of the attempt that this one repeats.
    pub nonce: Nonce,
}
