//! The record of rollouts: which version is tried beside the champion, how, and why it ended.
//!
//! Append-only, with the champion log's rules ([`crate::champion`]): revision N+1 is written with *create if absent*, so
//! exactly one of many writers wins it; entries form a hash chain; a nonce tells a writer its own entry. An entry starts a
//! rollout or ends the one that the entry before started, so at most one runs. The highest entry without a gap is the state.
//!
//! A rollout never says who is champion. It names the generation of the champion that it is tried beside, and under another
//! champion it does not run, whether or not somebody has come round to ending it.

use bytes::Bytes;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::append_log::LogEntry;
use crate::error::{Error, FormatError};
use crate::revision_log::RevisionLog;
use crate::sealed_json;

pub use crate::append_log::{LogKind, Nonce, RetryPolicy};
pub use crate::verify::{BreakCause, BrokenChain, Verification};

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

/// An entry as it lies in the store.
pub type StoredEntry = crate::append_log::StoredEntry<RolloutEntry>;
/// How an append ended.
pub type Appended = crate::append_log::Appended<RolloutEntry>;

/// How a version is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The champion answers; the challenger scores the same rows afterwards.
    Shadow,
    /// The challenger answers a share of the requests.
    Canary,
}

/// When a replica takes the challenger off by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Highest share of requests that the challenger may fail to score, 0 to 1.
    pub max_error_rate: f64,
    /// Highest ratio of the challenger's median time of scoring a request to the champion's, above 1.
    pub max_latency_ratio: f64,
    /// Requests of the challenger before it is judged, at least 1.
    pub min_requests: u64,
}

/// What a rollout begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The version on trial.
    pub version: ModelVersion,
    /// SHA-256 of its artefact.
    pub artifact_digest: Digest,
    /// How it is tried.
    pub mode: Mode,
    /// Share of the requests: above 0, at most 0.5 in a canary and 1 in a shadow.
    pub share: f64,
    /// When it ends by itself.
    pub limits: Limits,
    /// Generation of the champion that it is tried beside.
    pub champion_generation: Generation,
    /// Version of that champion.
    pub champion_version: ModelVersion,
    /// Digest of the evaluation that the gate accepted; none for a shadow and for a person's word.
    pub evaluation_digest: Option<Digest>,
}

/// Why a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody ended it.
    Stopped,
    /// Its challenger became champion.
    Promoted,
    /// Another version became champion.
    ChampionReplaced,
    /// The challenger failed to score too many requests.
    ErrorLimit,
    /// The challenger was too slow.
    LatencyLimit,
    /// A replica could not prepare the challenger.
    LoadFailed,
}

impl EndReason {
    /// Every reason there is.
    pub const ALL: [Self; 6] = [
        Self::Stopped,
        Self::Promoted,
        Self::ChampionReplaced,
        Self::ErrorLimit,
        Self::LatencyLimit,
        Self::LoadFailed,
    ];
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// It starts a rollout.
    Start(Start),
    /// It ends the one that the entry before started.
    End {
        /// Why.
        reason: EndReason,
    },
}

/// One entry of the record, as written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutEntry {
    /// Version of this entry's format.
    pub format_version: u32,
    /// Its place in the record, counted from 1 without gaps. The revision of its start names a rollout.
    pub revision: u64,
    /// The model.
    pub model: ModelName,
    /// What it does.
    pub change: Change,
    /// SHA-256 of the stored bytes of the entry before; none for the first.
    pub previous_digest: Option<Digest>,
    /// Who did it: a person's, a service's or a replica's name.
    pub actor: String,
    /// A note in words; may be empty.
    pub note: String,
    /// When. Never before the entry before.
    pub at: Timestamp,
    /// The writer's nonce.
    pub nonce: Nonce,
}

impl RolloutEntry {
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
        sealed_json::decode(bytes, "rollout entry", FORMAT_VERSION)
    }

    /// What it starts, if it starts something.
    pub fn start(&self) -> Option<&Start> {
        match &self.change {
            Change::Start(start) => Some(start),
            Change::End { .. } => None,
        }
    }
}

impl LogEntry for RolloutEntry {
    const KIND: LogKind = LogKind::Rollout;

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
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// What it does.
    pub change: Change,
    /// Who does it.
    pub actor: String,
    /// A note in words; may be empty.
    pub note: String,
    /// The writer's clock. The entry gets the time of the entry before when that is later.
    pub at: Timestamp,
    /// [`Nonce::generate`], or the nonce of the attempt that this one repeats.
    pub nonce: Nonce,
}

/// A model's record of rollouts in a blob store.
pub type RolloutLog = RevisionLog<RolloutEntry>;

impl RolloutLog {
    /// Writes `new` behind revision `expected`, the newest that the caller saw (0: none). Exactly one writer wins a revision.
    /// A start while a rollout runs, and an end while none does, are as lost: nothing is written.
    ///
    /// # Errors
    /// As [`ChampionLog::append`](crate::champion::ChampionLog::append). After an error, appending again with the same nonce
    /// is safe.
    pub async fn append(&self, expected: u64, new: NewEntry) -> Result<Appended, Error> {
        let model = self.model().clone();
        let append = self.0.append(Generation(expected), new.nonce, |place| {
            let runs = place.previous.is_some_and(|stored| stored.entry.start().is_some());
            let starts = matches!(new.change, Change::Start(_));
            (runs != starts).then(|| RolloutEntry {
                format_version: FORMAT_VERSION,
                revision: place.place.0,
                model,
                change: new.change,
                previous_digest: place.previous_digest(),
                actor: new.actor,
                note: new.note,
                at: place.dated(new.at),
                nonce: new.nonce,
            })
        });
        append.await
    }
}
