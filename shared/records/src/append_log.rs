//! Append-only logs in a blob store, of which every model has one: numbered entries, each written with *create if absent*.
//!
//! Entry N+1 can be created once, so exactly one of many writers wins it. Each entry carries the digest of the stored bytes
//! of the entry before (a hash chain), a checksum of itself, and a nonce by which a writer whose reply was lost knows its own
//! entry again. The head is the highest entry that is reached from 1 without a gap. Times never run backwards: an entry is
//! dated no earlier than the entry before, whatever the writer's clock says.
//!
//! The champion log, the record of rollouts and that of approvals are such logs; what an entry says is theirs.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::{Digest, Generation, ModelName};
use holdfast_storage::{BlobStore, Created, Key};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, FormatError};
use crate::layout::{Location, approval_key, champion_key, rollout_key};
use crate::stored::LISTED_AT_ONCE;
use crate::verify::{self, BreakCause, BrokenChain, Verification};

/// Entries read at once when the whole log is read.
const PARALLEL_READS: usize = 16;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Which of a model's logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogKind {
    /// Who is champion.
    Champion,
    /// Which version is tried beside it.
    Rollout,
    /// Who asked for a promotion, and who said what to it.
    Approval,
}

impl LogKind {
    /// The log in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion log",
            Self::Rollout => "record of rollouts",
            Self::Approval => "record of approvals",
        }
    }

    /// What an entry's number is called.
    pub const fn place_name(self) -> &'static str {
        match self {
            Self::Champion => "generation",
            Self::Rollout | Self::Approval => "revision",
        }
    }

    fn prefix(self, model: &ModelName) -> String {
        match self {
            Self::Champion => format!("champion/{model}"),
            Self::Rollout => format!("rollouts/{model}"),
            Self::Approval => format!("approvals/{model}"),
        }
    }

    fn key(self, model: &ModelName, place: Generation) -> Key {
        match self {
            Self::Champion => champion_key(model, place),
            Self::Rollout => rollout_key(model, place.0),
            Self::Approval => approval_key(model, place.0),
        }
    }

    fn place(self, key: &Key) -> Option<Generation> {
        match (self, Location::parse(key)?) {
            (Self::Champion, Location::Champion(_, generation)) => Some(generation),
            (Self::Rollout, Location::Rollout(_, revision)) | (Self::Approval, Location::Approval(_, revision)) => {
                Some(Generation(revision))
            }
            _ => None,
        }
    }
}

/// What tells one writer's attempt from all others. Appending again with the same nonce never makes a second entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(Uuid);

impl Nonce {
    /// A nonce nobody else has.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The nonce that belongs to a digest: whoever carries on what a stored object began uses that object's, so that of many
    /// who do, all write the same entry.
    pub fn of(digest: &Digest) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.as_bytes()[..16]);
        Self(Uuid::from_bytes(bytes))
    }

    /// The nonce of these bytes, for tests and for callers that must find their own attempt again after a restart.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

/// An entry of a log, as far as the log must know it.
pub(crate) trait LogEntry: Clone + fmt::Debug + PartialEq + Send + Sync + Sized {
    /// The log it belongs to.
    const KIND: LogKind;

    /// The stored bytes.
    fn encode(&self) -> Result<Bytes, FormatError>;
    /// The entry in stored bytes.
    fn decode(bytes: &[u8]) -> Result<Self, FormatError>;
    /// Its place, counted from 1.
    fn place(&self) -> Generation;
    /// The model.
    fn model(&self) -> &ModelName;
    /// Digest of the entry before.
    fn previous_digest(&self) -> Option<Digest>;
    /// When it was written.
    fn at(&self) -> Timestamp;
    /// The writer's nonce.
    fn nonce(&self) -> Nonce;
}

/// An entry as it lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry<E = crate::champion::ChampionEntry> {
    /// What it says.
    pub entry: E,
    /// SHA-256 of its stored bytes: what the next entry refers to.
    pub digest: Digest,
}

/// How an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended<E = crate::champion::ChampionEntry> {
    /// The entry is in the log, durably.
    Won(StoredEntry<E>),
    /// Somebody else was first, or the caller did not know the newest entry. Nothing was written.
    Lost {
        /// The newest entry now; none while there is none.
        current: Option<StoredEntry<E>>,
    },
}

/// How long an append goes on when the store gives no clear answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// Pause after the first attempt; it doubles from one to the next, up to two seconds.
    pub pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            pause: Duration::from_millis(50),
        }
    }
}

/// Where a new entry stands: the log gives it to whoever writes the entry.
#[derive(Debug)]
pub(crate) struct Place<'a, E> {
    /// Its number.
    pub(crate) place: Generation,
    /// The entry before; none for the first.
    pub(crate) previous: Option<&'a StoredEntry<E>>,
}

impl<E: LogEntry> Place<'_, E> {
    /// What the entry must name as the one before.
    pub(crate) fn previous_digest(&self) -> Option<Digest> {
        self.previous.map(|stored| stored.digest)
    }

    /// The writer's time, or that of the entry before when it is later.
    pub(crate) fn dated(&self, at: Timestamp) -> Timestamp {
        self.previous.map_or(at, |stored| stored.entry.at().max(at))
    }
}

/// A model's log. Cheap to clone; any number of processes may hold one.
#[derive(Clone, Debug)]
pub(crate) struct AppendLog<E> {
    store: Arc<dyn BlobStore>,
    model: ModelName,
    retry: RetryPolicy,
    entries: PhantomData<fn() -> E>,
}

/// What a listing shows.
struct Extent {
    /// The highest place without a gap below; 0 for none.
    head: Generation,
    /// The lowest place above a gap.
    beyond_gap: Option<Generation>,
}

impl<E: LogEntry> AppendLog<E> {
    pub(crate) fn new(store: Arc<dyn BlobStore>, model: ModelName) -> Self {
        Self {
            store,
            model,
            retry: RetryPolicy::default(),
            entries: PhantomData,
        }
    }

    pub(crate) fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    pub(crate) fn model(&self) -> &ModelName {
        &self.model
    }

    /// The head if it is above `known`, an entry that was there once: the listing starts behind `known`, and nothing is read
    /// when nothing is new.
    pub(crate) async fn head_after(&self, known: Generation) -> Result<Option<StoredEntry<E>>, Error> {
        let extent = self.extent_after(known).await?;
        if extent.head == known {
            return Ok(None);
        }
        self.entry(extent.head).await.map(Some)
    }

    /// The place of the head; 0 for an empty log.
    pub(crate) async fn length(&self) -> Result<Generation, Error> {
        self.length_after(Generation(0)).await
    }

    /// The place of the head, where the entry `known` was the head once.
    pub(crate) async fn length_after(&self, known: Generation) -> Result<Generation, Error> {
        Ok(self.extent_after(known).await?.head)
    }

    pub(crate) async fn entry(&self, place: Generation) -> Result<StoredEntry<E>, Error> {
        let bytes = self.store.get(&self.key(place)).await?;
        self.check(place, &bytes)
            .map_err(|cause| self.broken(place, cause).into())
    }

    /// Every entry up to the head, oldest first. It does not follow the chain; [`AppendLog::verify`] does.
    pub(crate) async fn history(&self) -> Result<Vec<StoredEntry<E>>, Error> {
        let head = self.length().await?;
        stream::iter((1..=head.0).map(|place| self.entry(Generation(place))))
            .buffered(PARALLEL_READS)
            .try_collect()
            .await
    }

    /// Reads the whole log and checks it: no gap, every checksum, every link of the chain, times in order. The verdict names
    /// the first place that is broken and how; the entries are those before it, oldest first.
    pub(crate) async fn audit(&self) -> Result<(Vec<StoredEntry<E>>, Verification), Error> {
        let extent = self.extent_after(Generation(0)).await?;
        let mut chain = verify::Chain::default();
        let mut whole = Vec::new();
        let mut entries = stream::iter((1..=extent.head.0).map(Generation))
            .map(|place| async move {
                let bytes = self.store.get(&self.key(place)).await;
                (place, bytes)
            })
            .buffered(PARALLEL_READS);
        while let Some((place, bytes)) = entries.next().await {
            let followed = self.check(place, &bytes?).and_then(|stored| {
                chain.follow(&stored)?;
                Ok(stored)
            });
            match followed {
                Ok(stored) => whole.push(stored),
                Err(cause) => return Ok((whole, Verification::Broken(self.broken(place, cause)))),
            }
        }
        let verdict = match (extent.beyond_gap, extent.head.next()) {
            (Some(found), Some(missing)) => Verification::Broken(self.broken(missing, BreakCause::Gap { found })),
            _ => chain.verdict(),
        };
        Ok((whole, verdict))
    }

    /// The verdict of [`AppendLog::audit`] alone.
    pub(crate) async fn verify(&self) -> Result<Verification, Error> {
        Ok(self.audit().await?.1)
    }

    /// Writes the entry behind `expected`, the place the caller saw last (0: none). Exactly one writer wins a place. `write`
    /// answers `None` when there can be no such entry behind the one before; that is as lost.
    ///
    /// An unclear answer of the store is cleared up by looking: an entry with the caller's own nonce means that the write went
    /// through.
    pub(crate) async fn append(
        &self,
        expected: Generation,
        nonce: Nonce,
        write: impl FnOnce(Place<'_, E>) -> Option<E> + Send,
    ) -> Result<Appended<E>, Error> {
        let extent = self.extent_after(Generation(0)).await?;
        if let (Some(found), Some(missing)) = (extent.beyond_gap, extent.head.next()) {
            return Err(self.broken(missing, BreakCause::Gap { found }).into());
        }
        let Some(place) = expected.next() else {
            return self.lost().await;
        };
        if extent.head != expected {
            return if extent.head > expected {
                self.settle(place, nonce).await
            } else {
                self.lost().await
            };
        }
        let previous = if expected.0 == 0 {
            None
        } else {
            Some(self.entry(expected).await?)
        };
        let entry = write(Place {
            place,
            previous: previous.as_ref(),
        });
        let Some(entry) = entry else {
            return Ok(Appended::Lost { current: previous });
        };
        let bytes = entry.encode().map_err(Error::Encode)?;
        self.create(&entry, bytes).await
    }

    /// Creates the entry; repeats with the same bytes while the store's answers are unclear.
    async fn create(&self, entry: &E, bytes: Bytes) -> Result<Appended<E>, Error> {
        let (place, key) = (entry.place(), self.key(entry.place()));
        let mut pause = self.retry.pause;
        let mut attempt = 1;
        let mut may_be_written = false;
        loop {
            let unclear = match self.store.create(&key, bytes.clone()).await {
                Ok(Created::Yes) => return self.won(place, &bytes),
                Ok(Created::AlreadyExists) => match self.settle(place, entry.nonce()).await {
                    Err(Error::Storage(unclear)) if unclear.is_retryable() => unclear,
                    settled => return settled,
                },
                // Creating the same bytes again is safe even while a lost request is under way: only one of the two can land,
                // and both are ours.
                Err(ambiguous @ holdfast_storage::Error::Ambiguous { .. }) => {
                    may_be_written = true;
                    ambiguous
                }
                Err(refused) if refused.is_retryable() => refused,
                Err(error) => return Err(error.into()),
            };
            if attempt >= self.retry.attempts {
                return self.last_look(place, entry.nonce(), may_be_written, unclear).await;
            }
            tracing::debug!(model = %self.model, log = E::KIND.name(), %place, attempt, error = %unclear, "append unclear, trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    /// The attempts are spent. An entry that is there settles it; none there settles nothing, because a write may still arrive.
    async fn last_look(
        &self,
        place: Generation,
        nonce: Nonce,
        may_be_written: bool,
        unclear: holdfast_storage::Error,
    ) -> Result<Appended<E>, Error> {
        match self.settle(place, nonce).await {
            Err(error) if error.is_not_found() || error.is_retryable() => Err(if may_be_written {
                Error::Unresolved {
                    log: E::KIND,
                    generation: place,
                    source: unclear,
                }
            } else {
                unclear.into()
            }),
            settled => settled,
        }
    }

    /// The place is taken: by this very attempt, or by somebody else.
    async fn settle(&self, place: Generation, nonce: Nonce) -> Result<Appended<E>, Error> {
        let stored = self.entry(place).await?;
        if stored.entry.nonce() == nonce {
            Ok(Appended::Won(stored))
        } else {
            self.lost().await
        }
    }

    async fn lost(&self) -> Result<Appended<E>, Error> {
        Ok(Appended::Lost {
            current: self.head_after(Generation(0)).await?,
        })
    }

    fn won(&self, place: Generation, bytes: &[u8]) -> Result<Appended<E>, Error> {
        let stored = self.check(place, bytes).map_err(|cause| self.broken(place, cause))?;
        Ok(Appended::Won(stored))
    }

    /// Decodes an entry and checks that it is the one that belongs there.
    fn check(&self, place: Generation, bytes: &[u8]) -> Result<StoredEntry<E>, BreakCause> {
        let entry = E::decode(bytes).map_err(|error| match error {
            FormatError::Checksum => BreakCause::DigestMismatch,
            other => BreakCause::Undecodable(other.to_string()),
        })?;
        if entry.place() != place {
            return Err(BreakCause::WrongGeneration { found: entry.place() });
        }
        if *entry.model() != self.model {
            return Err(BreakCause::WrongModel {
                found: entry.model().clone(),
            });
        }
        Ok(StoredEntry {
            entry,
            digest: Digest::of(bytes),
        })
    }

    fn broken(&self, place: Generation, why: BreakCause) -> BrokenChain {
        BrokenChain {
            log: E::KIND,
            model: self.model.clone(),
            generation: place,
            why,
        }
    }

    fn key(&self, place: Generation) -> Key {
        E::KIND.key(&self.model, place)
    }

    /// Lists behind `known` and counts how far the log goes without a gap. Names that are no entries are passed over.
    async fn extent_after(&self, known: Generation) -> Result<Extent, Error> {
        let mut head = known;
        let mut after = (known.0 > 0).then(|| self.key(known));
        let prefix = E::KIND.prefix(&self.model);
        loop {
            let page = self.store.list(&prefix, after.as_ref(), LISTED_AT_ONCE).await?;
            for object in &page {
                let Some(place) = E::KIND.place(&object.key) else {
                    continue;
                };
                if Some(place) != head.next() {
                    return Ok(Extent {
                        head,
                        beyond_gap: Some(place),
                    });
                }
                head = place;
            }
            match page.last() {
                Some(last) if page.len() >= LISTED_AT_ONCE => after = Some(last.key.clone()),
                _ => return Ok(Extent { head, beyond_gap: None }),
            }
        }
    }
}
