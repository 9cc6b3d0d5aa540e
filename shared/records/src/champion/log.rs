//! Reading and appending.

use std::sync::Arc;

use holdfast_domain::{Generation, ModelName};
use holdfast_storage::BlobStore;
use jiff::Timestamp;

use super::{Appended, ChampionEntry, NewEntry, RetryPolicy, StoredEntry, Verification};
use crate::append_log::AppendLog;
use crate::error::Error;

/// A model's champion log in a blob store. Cheap to clone; any number of processes may hold one.
#[derive(Clone, Debug)]
pub struct ChampionLog(AppendLog<ChampionEntry>);

impl ChampionLog {
    /// The log of `model`.
    pub fn new(store: Arc<dyn BlobStore>, model: ModelName) -> Self {
        Self(AppendLog::new(store, model))
    }

    /// The same log with another patience.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self(self.0.with_retry(retry))
    }

    /// The model.
    pub fn model(&self) -> &ModelName {
        self.0.model()
    }

    /// The champion: the highest entry that is reached without a gap. One listing and one read.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] when that entry is damaged; the store's.
    pub async fn head(&self) -> Result<Option<StoredEntry>, Error> {
        self.head_after(Generation(0)).await
    }

    /// The champion if it is newer than `known`, a generation that was champion once. What a poll calls: the listing starts
    /// behind `known`, and nothing is read when nothing is new.
    ///
    /// # Errors
    /// As [`ChampionLog::head`].
    pub async fn head_after(&self, known: Generation) -> Result<Option<StoredEntry>, Error> {
        self.0.head_after(known).await
    }

    /// The generation of the champion; 0 for an empty log. The listing starts behind `known`, a generation that was champion
    /// once, and no entry is read.
    ///
    /// # Errors
    /// The store's.
    pub async fn length_after(&self, known: Generation) -> Result<Generation, Error> {
        self.0.length_after(known).await
    }

    /// The entry of a generation.
    ///
    /// # Errors
    /// The store's `NotFound` when the log does not reach that far; [`Error::BrokenChain`] when the entry is damaged.
    pub async fn entry(&self, generation: Generation) -> Result<StoredEntry, Error> {
        self.0.entry(generation).await
    }

    /// Every entry up to the champion, oldest first. It does not follow the chain; [`ChampionLog::verify`] does.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] naming an entry that is damaged; the store's.
    pub async fn history(&self) -> Result<Vec<StoredEntry>, Error> {
        self.0.history().await
    }

    /// The champion at a time: the last entry dated then or before. It reads a handful of entries of even a long log.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] when an entry it looks at is damaged; the store's.
    pub async fn at(&self, time: Timestamp) -> Result<Option<StoredEntry>, Error> {
        // Times never run backwards, so the entries dated `time` or before are a prefix of the log.
        let mut found = None;
        let (mut low, mut high) = (1, self.0.length().await?.0);
        while low <= high {
            let middle = low + (high - low) / 2;
            let stored = self.entry(Generation(middle)).await?;
            if stored.entry.at <= time {
                found = Some(stored);
                low = middle + 1;
            } else {
                high = middle - 1;
            }
        }
        Ok(found)
    }

    /// Reads the whole log and checks it: no gap, every checksum, every link of the chain, times in order. The verdict names the
    /// first generation that is broken and how.
    ///
    /// # Errors
    /// The store's alone; a broken log is a verdict.
    pub async fn verify(&self) -> Result<Verification, Error> {
        self.0.verify().await
    }

    /// The entries before whatever is broken, oldest first, and the verdict of [`ChampionLog::verify`], from one read.
    ///
    /// # Errors
    /// The store's alone; a broken log is a verdict.
    pub async fn audit(&self) -> Result<(Vec<StoredEntry>, Verification), Error> {
        self.0.audit().await
    }

    /// Makes `new` champion after `expected`, the generation the caller saw last (0: none). Exactly one writer wins a generation.
    ///
    /// An unclear answer of the store is cleared up by looking: an entry with the caller's own nonce means that the write went
    /// through. Times are clamped: the entry is dated `new.at` or as the entry before, whichever is later.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] when the entry to follow is damaged or entries lie beyond a gap; [`Error::Unresolved`] when the store
    /// stays unclear; the store's. After an error, appending again with the same nonce is safe.
    pub async fn append(&self, expected: Generation, new: NewEntry) -> Result<Appended, Error> {
        let model = self.model().clone();
        let append = self.0.append(expected, new.nonce, |place| {
            Some(ChampionEntry {
                format_version: ChampionEntry::version_for(new.approval.as_ref()),
                generation: place.place,
                model,
                version: new.version,
                artifact_digest: new.artifact_digest,
                previous_digest: place.previous_digest(),
                actor: new.actor,
                reason: new.reason,
                approval: new.approval,
                at: place.dated(new.at),
                nonce: new.nonce,
            })
        });
        append.await
    }
}
