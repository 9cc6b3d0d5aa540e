//! Collections: what nothing refers to any more is looked for, and removed when that is asked for.
//!
//! Who needs what is found from what stays: every version that is registered, every version that has a manifest in the blob store
//! (whatever the champion log, approvals, decisions, rollouts and prediction logs name has one), and every run that is not deleted. Artefacts of
//! versions, manifests, snapshots and logs are never looked at.
//!
//! Order: rows with the paths of their files in one transaction, then paths, then bytes; bytes are condemned in the database before they
//! are removed from the blob store. A crash between two steps leaves garbage, and never a path without bytes. Whoever brings condemned bytes again
//! stores them under another key.

mod plan;

use std::collections::HashMap;
use std::sync::Arc;

use holdfast_chassis::Shutdown;
use holdfast_chassis::clock::Clock;
use holdfast_records::layout;
use holdfast_storage::BlobStore;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use self::plan::{Blob, Plan, Stray};
use super::lineage::Lineage;
use super::store::{DeletedRun, RetentionStore};
use crate::error::{Error, Result, Violation};

/// Most things that an answer lists, of each kind of list.
pub const MOST_LISTED: usize = 1_000;
/// Days after which what was deleted may go, when nobody says otherwise.
pub const USUAL_DAYS: u32 = 30;
/// A hundred years.
const MOST_DAYS: u32 = 36_500;
/// How long bytes wait that no path has yet: longer than any upload is between its announcement and its path.
const UPLOADS_TAKE: SignedDuration = SignedDuration::from_hours(1);
/// After how long without a word a collection counts as broken off.
const LEASE: SignedDuration = SignedDuration::from_mins(5);

/// Kind of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GarbageKind {
    /// A deleted experiment without runs.
    Experiment,
    /// A deleted run with what was logged to it.
    Run,
    /// A deleted logged model.
    LoggedModel,
    /// A path of a file whose owner is gone.
    Artifact,
    /// Bytes that no path has.
    Blob,
}

/// Something that nothing refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// What kind of thing.
    pub kind: GarbageKind,
    /// Its id, path or digest.
    pub id: String,
    /// Bytes that go with it; 0 for rows of the database.
    pub size_bytes: u64,
    /// Why it may go.
    pub reason: &'static str,
}

/// Something deleted that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What kind of thing.
    pub kind: GarbageKind,
    /// Its id, path or digest.
    pub id: String,
    /// What keeps it.
    pub reason: String,
}

/// What a collection found, or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// What went, or would go; the first [`MOST_LISTED`].
    pub garbage: Vec<Garbage>,
    /// How many there were in all.
    pub total: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// What was deleted and stays; the first [`MOST_LISTED`].
    pub kept: Vec<Kept>,
    /// Whether it was removed.
    pub removed: bool,
    /// Only what was deleted, or last referred to, before this moment.
    pub cutoff: Timestamp,
}

impl Collection {
    fn new(cutoff: Timestamp, removed: bool) -> Self {
        Self {
            garbage: Vec::new(),
            total: 0,
            total_bytes: 0,
            kept: Vec::new(),
            removed,
            cutoff,
        }
    }

    fn add(&mut self, kind: GarbageKind, id: impl Into<String>, size_bytes: u64) {
        let reason = match kind {
            GarbageKind::Experiment => "deleted, and it has neither runs nor logged models",
            GarbageKind::Run => "deleted, and nothing that stays was made of it",
            GarbageKind::LoggedModel => "deleted, and no version was made of it",
            GarbageKind::Artifact => "its run or logged model is gone",
            GarbageKind::Blob => "no file has these bytes",
        };
        self.total += 1;
        self.total_bytes += size_bytes;
        if self.garbage.len() < MOST_LISTED {
            let id = id.into();
            self.garbage.push(Garbage {
                kind,
                id,
                size_bytes,
                reason,
            });
        }
    }
}

/// Collections over a database and a blob store.
#[derive(Clone, Debug)]
pub struct Retention {
    store: Arc<dyn RetentionStore>,
    blobs: Arc<dyn BlobStore>,
    lineage: Lineage,
    clock: Arc<dyn Clock>,
    tasks: Shutdown,
}

impl Retention {
    /// Over `store` and `blobs`; `lineage` knows what the records in `blobs` refer to. Collections are among `tasks`.
    pub fn new(
        store: Arc<dyn RetentionStore>,
        blobs: Arc<dyn BlobStore>,
        lineage: Lineage,
        clock: Arc<dyn Clock>,
        tasks: Shutdown,
    ) -> Self {
        Self {
            store,
            blobs,
            lineage,
            clock,
            tasks,
        }
    }

    /// Looks for garbage, and removes it when told to. Dropped, it goes on all the same: a caller that leaves would else keep others
    /// from collecting until the lease runs out.
    ///
    /// # Errors
    /// [`Error::CollectionAtWork`]; [`Error::Invalid`]; the stores'. What was removed until then stays removed.
    pub async fn collect(&self, remove: bool, older_than_days: Option<u32>) -> Result<Collection> {
        let (ended, end) = oneshot::channel();
        let this = self.clone();
        self.tasks.spawn("collection", async move {
            if let Err(Err(error)) = ended.send(this.collect_now(remove, older_than_days).await) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "collection failed after its caller had left"
                );
            }
        });
        // The service ends, and what was being removed is ended by the next collection.
        end.await.map_err(|_| Error::WriterGone)?
    }

    async fn collect_now(&self, remove: bool, older_than_days: Option<u32>) -> Result<Collection> {
        let days = older_than_days.unwrap_or(USUAL_DAYS);
        if days > MOST_DAYS {
            return Err(Violation::new("older_than_days", "above_maximum", "must be at most 36,500").into());
        }
        let now = self.clock.now();
        if !self.store.begin_collection(now, now + LEASE).await? {
            return Err(Error::CollectionAtWork);
        }
        let cutoff = now - SignedDuration::from_hours(24 * i64::from(days));
        let collected = self
            .collect_before(cutoff, cutoff.min(now - UPLOADS_TAKE), remove)
            .await;
        // Told whatever became of it, and for the next one only: a failure to do so costs the lease.
        self.store.keep_collection(Timestamp::UNIX_EPOCH).await?;
        let collection = collected?;
        tracing::info!(
            removed = remove,
            total = collection.total,
            total_bytes = collection.total_bytes,
            kept = collection.kept.len(),
            older_than_days = days,
            "collection ended"
        );
        Ok(collection)
    }

    async fn collect_before(&self, cutoff: Timestamp, bytes_cutoff: Timestamp, remove: bool) -> Result<Collection> {
        let makers = self.lineage.made_by_runs().await?;
        let plan = plan::make(&*self.store, &makers, (cutoff, bytes_cutoff)).await?;
        let mut collection = Collection::new(cutoff, remove);
        let Plan {
            models,
            runs,
            strays,
            experiments,
            blobs,
            mut kept,
        } = plan;
        kept.truncate(MOST_LISTED);
        collection.kept = kept;
        for model in models {
            if !remove || self.store.remove_logged_model(&model, cutoff).await? {
                collection.add(GarbageKind::LoggedModel, model.model_id, 0);
            }
        }
        for run in runs {
            if !remove || self.remove_run(&run, cutoff).await? {
                collection.add(GarbageKind::Run, run.run_id, 0);
            }
        }
        for Stray { path, owner, folder } in strays {
            if !remove || self.store.remove_stray(&path, &owner, &folder, cutoff).await? {
                collection.add(GarbageKind::Artifact, path, 0);
            }
        }
        for id in experiments {
            if !remove || self.store.remove_experiment(id, cutoff).await? {
                collection.add(GarbageKind::Experiment, id.to_string(), 0);
            }
        }
        for Blob { bytes } in blobs {
            if !remove || self.remove_bytes(&bytes, bytes_cutoff).await? {
                collection.add(GarbageKind::Blob, bytes.digest.to_string(), bytes.size_bytes);
            }
        }
        Ok(collection)
    }

    async fn remove_run(&self, run: &DeletedRun, cutoff: Timestamp) -> Result<bool> {
        self.store.keep_collection(self.clock.now() + LEASE).await?;
        self.store.remove_run(run, cutoff).await
    }

    async fn remove_bytes(&self, bytes: &super::store::StoredBytes, cutoff: Timestamp) -> Result<bool> {
        self.store.keep_collection(self.clock.now() + LEASE).await?;
        if !self.store.condemn(bytes, cutoff).await? {
            return Ok(false);
        }
        // Only a clear answer ends it: else it stays condemned, and the next collection removes it again.
        self.blobs
            .delete(&layout::artifact_key(&bytes.digest, bytes.edition))
            .await?;
        self.store.bury(bytes).await?;
        Ok(true)
    }
}

/// Versions by the run that made them, as their manifests in the blob store say.
pub(super) type Makers = HashMap<String, String>;
