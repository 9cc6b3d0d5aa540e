//! Reading and appending.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_domain::{Generation, ModelName};
use holdfast_storage::{BlobStore, Created};
use jiff::Timestamp;

use super::{
    Appended, BreakCause, BrokenChain, ChampionEntry, FORMAT_VERSION, NewEntry, Nonce, StoredEntry, Verification,
    verify,
};
use crate::error::{Error, FormatError};
use crate::layout::{Location, champion_key};
use crate::stored::LISTED_AT_ONCE;

/// Entries read at once when the whole log is read.
const PARALLEL_READS: usize = 16;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

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

/// A model's champion log in a blob store. Cheap to clone; any number of processes may hold one.
#[derive(Clone, Debug)]
pub struct ChampionLog {
    store: Arc<dyn BlobStore>,
    model: ModelName,
    retry: RetryPolicy,
}

/// What a listing shows.
struct Extent {
    /// The highest generation without a gap below; 0 for none.
    head: Generation,
    /// The lowest generation above a gap.
    beyond_gap: Option<Generation>,
}

impl ChampionLog {
    /// The log of `model`.
    pub fn new(store: Arc<dyn BlobStore>, model: ModelName) -> Self {
        Self {
            store,
            model,
            retry: RetryPolicy::default(),
        }
    }

    /// The same log with another patience.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// The model.
    pub fn model(&self) -> &ModelName {
        &self.model
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
        let extent = self.extent_after(known).await?;
        if extent.head == known {
            return Ok(None);
        }
        self.entry(extent.head).await.map(Some)
    }

    /// The entry of a generation.
    ///
    /// # Errors
    /// The store's `NotFound` when the log does not reach that far; [`Error::BrokenChain`] when the entry is damaged.
    pub async fn entry(&self, generation: Generation) -> Result<StoredEntry, Error> {
        let bytes = self.store.get(&champion_key(&self.model, generation)).await?;
        self.check(generation, &bytes)
            .map_err(|cause| Error::BrokenChain(self.broken(generation, cause)))
    }

    /// Every entry up to the champion, oldest first. It does not follow the chain; [`ChampionLog::verify`] does.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] naming an entry that is damaged; the store's.
    pub async fn history(&self) -> Result<Vec<StoredEntry>, Error> {
        let head = self.extent_after(Generation(0)).await?.head;
        stream::iter((1..=head.0).map(|generation| self.entry(Generation(generation))))
            .buffered(PARALLEL_READS)
            .try_collect()
            .await
    }

    /// The champion at a time: the last entry dated then or before. It reads a handful of entries of even a long log.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] when an entry it looks at is damaged; the store's.
    pub async fn at(&self, time: Timestamp) -> Result<Option<StoredEntry>, Error> {
        // Times never run backwards, so the entries dated `time` or before are a prefix of the log.
        let mut found = None;
        let (mut low, mut high) = (1, self.extent_after(Generation(0)).await?.head.0);
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
        let extent = self.extent_after(Generation(0)).await?;
        let mut chain = verify::Chain::default();
        let mut entries = stream::iter((1..=extent.head.0).map(Generation))
            .map(|generation| async move {
                let bytes = self.store.get(&champion_key(&self.model, generation)).await;
                (generation, bytes)
            })
            .buffered(PARALLEL_READS);
        while let Some((generation, bytes)) = entries.next().await {
            let followed = self.check(generation, &bytes?).and_then(|stored| chain.follow(&stored));
            if let Err(cause) = followed {
                return Ok(Verification::Broken(self.broken(generation, cause)));
            }
        }
        Ok(match (extent.beyond_gap, extent.head.next()) {
            (Some(found), Some(missing)) => Verification::Broken(self.broken(missing, BreakCause::Gap { found })),
            _ => chain.verdict(),
        })
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
        let extent = self.extent_after(Generation(0)).await?;
        if let (Some(found), Some(missing)) = (extent.beyond_gap, extent.head.next()) {
            return Err(self.broken(missing, BreakCause::Gap { found }).into());
        }
        let Some(generation) = expected.next() else {
            return self.lost().await;
        };
        if extent.head != expected {
            return if extent.head > expected {
                self.settle(generation, new.nonce).await
            } else {
                self.lost().await
            };
        }
        let previous = if expected.0 == 0 {
            None
        } else {
            Some(self.entry(expected).await?)
        };
        let entry = ChampionEntry {
            format_version: FORMAT_VERSION,
            generation,
            model: self.model.clone(),
            version: new.version,
            artifact_digest: new.artifact_digest,
            previous_digest: previous.as_ref().map(|stored| stored.digest),
            actor: new.actor,
            reason: new.reason,
            at: previous.as_ref().map_or(new.at, |stored| stored.entry.at.max(new.at)),
            nonce: new.nonce,
        };
        let bytes = entry.encode().map_err(Error::Encode)?;
        self.create(&entry, bytes).await
    }

    /// Creates the entry; repeats with the same bytes while the store's answers are unclear.
    async fn create(&self, entry: &ChampionEntry, bytes: Bytes) -> Result<Appended, Error> {
        let (generation, key) = (entry.generation, champion_key(&self.model, entry.generation));
        let mut pause = self.retry.pause;
        let mut attempt = 1;
        let mut may_be_written = false;
        loop {
            let unclear = match self.store.create(&key, bytes.clone()).await {
                Ok(Created::Yes) => return self.won(generation, &bytes),
                Ok(Created::AlreadyExists) => match self.settle(generation, entry.nonce).await {
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
                return self.last_look(generation, entry.nonce, may_be_written, unclear).await;
            }
            tracing::debug!(model = %self.model, %generation, attempt, error = %unclear, "champion append unclear, trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            attempt += 1;
        }
    }

    /// The attempts are spent. An entry that is there settles it; none there settles nothing, because a write may still arrive.
    async fn last_look(
        &self,
        generation: Generation,
        nonce: Nonce,
        may_be_written: bool,
        unclear: holdfast_storage::Error,
    ) -> Result<Appended, Error> {
        match self.settle(generation, nonce).await {
            Err(error) if error.is_not_found() || error.is_retryable() => Err(if may_be_written {
                Error::Unresolved {
                    generation,
                    source: unclear,
                }
            } else {
                unclear.into()
            }),
            settled => settled,
        }
    }

    /// The generation is taken: by this very attempt, or by somebody else.
    async fn settle(&self, generation: Generation, nonce: Nonce) -> Result<Appended, Error> {
        let stored = self.entry(generation).await?;
        if stored.entry.nonce == nonce {
            Ok(Appended::Won(stored))
        } else {
            self.lost().await
        }
    }

    async fn lost(&self) -> Result<Appended, Error> {
        Ok(Appended::Lost {
            current: self.head().await?,
        })
    }

    fn won(&self, generation: Generation, bytes: &[u8]) -> Result<Appended, Error> {
        let stored = self
            .check(generation, bytes)
            .map_err(|cause| self.broken(generation, cause))?;
        Ok(Appended::Won(stored))
    }

    /// Decodes an entry and checks that it is the one that belongs there.
    fn check(&self, generation: Generation, bytes: &[u8]) -> Result<StoredEntry, BreakCause> {
        let stored = ChampionEntry::decode(bytes).map_err(|error| match error {
            FormatError::Checksum => BreakCause::DigestMismatch,
            other => BreakCause::Undecodable(other.to_string()),
        })?;
        if stored.entry.generation != generation {
            return Err(BreakCause::WrongGeneration {
                found: stored.entry.generation,
            });
        }
        if stored.entry.model != self.model {
            return Err(BreakCause::WrongModel {
                found: stored.entry.model,
            });
        }
        Ok(stored)
    }

    fn broken(&self, generation: Generation, why: BreakCause) -> BrokenChain {
        BrokenChain {
            model: self.model.clone(),
            generation,
            why,
        }
    }

    /// Lists behind `known` and counts how far the log goes without a gap. Names that are no entries are passed over.
    async fn extent_after(&self, known: Generation) -> Result<Extent, Error> {
        let mut head = known;
        let mut after = (known.0 > 0).then(|| champion_key(&self.model, known));
        let prefix = format!("champion/{}", self.model);
        loop {
            let page = self.store.list(&prefix, after.as_ref(), LISTED_AT_ONCE).await?;
            for object in &page {
                let Some(Location::Champion(_, generation)) = Location::parse(&object.key) else {
                    continue;
                };
                if Some(generation) != head.next() {
                    return Ok(Extent {
                        head,
                        beyond_gap: Some(generation),
                    });
                }
                head = generation;
            }
            match page.last() {
                Some(last) if page.len() >= LISTED_AT_ONCE => after = Some(last.key.clone()),
                _ => return Ok(Extent { head, beyond_gap: None }),
            }
        }
    }
}
