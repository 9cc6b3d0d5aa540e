//! What the logs beside the champion log share: entries that are numbered by revision.

use std::sync::Arc;

use holdfast_domain::{Generation, ModelName};
use holdfast_storage::BlobStore;

use crate::append_log::{AppendLog, LogEntry, RetryPolicy, StoredEntry};
use crate::error::Error;
use crate::verify::Verification;

/// A model's record in a blob store, by revision. Cheap to clone; any number of processes may hold one.
#[derive(Clone, Debug)]
pub struct RevisionLog<E>(pub(crate) AppendLog<E>);

#[expect(private_bounds, reason = "what an entry must know is this crate's own")]
impl<E: LogEntry> RevisionLog<E> {
    /// The record of `model`.
    pub fn new(store: Arc<dyn BlobStore>, model: ModelName) -> Self {
        Self(AppendLog::new(store, model))
    }

    /// The same record with another patience.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self(self.0.with_retry(retry))
    }

    /// The model.
    pub fn model(&self) -> &ModelName {
        self.0.model()
    }

    /// The newest entry if it is above revision `known`, which was there once; 0 asks for whatever is newest. The listing
    /// starts behind `known`, and nothing is read when nothing is new.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] when that entry is damaged; the store's.
    pub async fn head_after(&self, known: u64) -> Result<Option<StoredEntry<E>>, Error> {
        self.0.head_after(Generation(known)).await
    }

    /// The entry of a revision.
    ///
    /// # Errors
    /// The store's `NotFound` when the record does not reach that far; [`Error::BrokenChain`] when the entry is damaged.
    pub async fn entry(&self, revision: u64) -> Result<StoredEntry<E>, Error> {
        self.0.entry(Generation(revision)).await
    }

    /// Every entry, oldest first. It does not follow the chain; [`RevisionLog::audit`] does.
    ///
    /// # Errors
    /// [`Error::BrokenChain`] naming an entry that is damaged; the store's.
    pub async fn history(&self) -> Result<Vec<StoredEntry<E>>, Error> {
        self.0.history().await
    }

    /// Reads the whole record and checks it, as [`ChampionLog::verify`](crate::champion::ChampionLog::verify) does.
    ///
    /// # Errors
    /// The store's alone; a broken record is a verdict.
    pub async fn verify(&self) -> Result<Verification, Error> {
        self.0.verify().await
    }

    /// The entries before whatever is broken, oldest first, and the verdict of [`RevisionLog::verify`], from one read.
    ///
    /// # Errors
    /// The store's alone; a broken record is a verdict.
    pub async fn audit(&self) -> Result<(Vec<StoredEntry<E>>, Verification), Error> {
        self.0.audit().await
    }
}
