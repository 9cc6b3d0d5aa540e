//! The prediction log: every answered prediction, first in a spool of segment files on local disk, then as Parquet in
//! the blob store.
//!
//! [`PredictionLog::append`] returns when the records are in the open segment (and synced, by setting): only then is a
//! prediction answered. One request writes, for all that wait at once. Segments are sealed by size, age and
//! hour, uploaded off the request path, and removed when they are in the blob store. They are encoded on a thread that
//! requests go before, until the spool fills or a flush is waited for. A spool left by a dead process is recovered at
//! the start.
//!
//! Promised: an acknowledged record reaches the blob store, once in each object, however often the process dies (with
//! `durability: fsync`, the machine too). Not promised: that a record which was *not* acknowledged is absent; a caller
//! that went away may find its record there.

mod group_commit;
mod record;
mod recovery;
mod segment;
mod sequence;
mod shared;
mod uploader;
mod writer;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::mpsc::TrySendError;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use holdfast_domain::Schema;
use holdfast_records::prediction::PredictionRecord;
use holdfast_records::{PartitionHour, Slug};
use holdfast_storage::BlobStore;
use jiff::Timestamp;
use tokio::sync::{oneshot, watch};

use super::threads::{Threads, Urgency};
use crate::metrics::LogMetrics;
use crate::settings::PredictionLogSettings;
use group_commit::GroupCommit;
pub(crate) use record::{Answered, Row};
use sequence::Sequence;
use shared::Shared;
use uploader::Uploader;
use writer::{Append, Job, Writer};

/// Failed uploads after which a flush gives up.
const FLUSH_ATTEMPTS: u64 = 3;
/// What a full record with its frame takes, about.
const FRAME_BYTES: usize = 288;

/// Why records were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The spool has reached its limit, and the setting says to refuse.
    #[error("the prediction log is full: {limit_bytes} bytes wait for the blob store")]
    SpoolFull {
        /// The limit.
        limit_bytes: u64,
    },
    /// The spool could not be written.
    #[error("the prediction log cannot be written: {reason}")]
    Write {
        /// The operating system's words.
        reason: String,
    },
    /// More requests wait than the writer can take.
    #[error("too many predictions wait for the prediction log")]
    Overloaded,
    /// The service ends.
    #[error("the prediction log is closed")]
    Closed,
}

/// Why a flush did not end well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The blob store does not take the segments; they stay in the spool.
    #[error("the prediction log stays in the spool: {reason}")]
    StoreAway {
        /// Why the last upload failed.
        reason: String,
    },
    /// The service ends.
    #[error("the prediction log is closed")]
    Closed,
}

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("the spool {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The file system failed.
    #[error("cannot use the spool {}: {source}", path.display())]
    Io {
        /// The spool.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Counts of the log since the process started, and what is on local disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStatus {
    /// Records acknowledged.
    pub acknowledged_records: u64,
    /// Records brought into the blob store.
    pub uploaded_records: u64,
    /// Records on local disk.
    pub spooled_records: u64,
    /// Bytes on local disk.
    pub spooled_bytes: u64,
    /// Records dropped at the limit.
    pub dropped_records: u64,
    /// Records whose predictions were refused.
    pub refused_records: u64,
}

/// Records of one request as they are written, made off the writer's thread.
#[derive(Debug)]
pub struct Frames {
    bytes: Vec<u8>,
    /// What comes behind: the records of other rows of the same request, as they were made.
    more: Vec<Vec<u8>>,
    records: u32,
    hour: PartitionHour,
}

impl Frames {
    /// Whole records, all of the hour of the first; `None` for none.
    pub fn encode(records: &[PredictionRecord], schema: &Schema) -> Option<Self> {
        let mut frames = Self::of(records.first()?.event_time, records.len());
        for record in records {
            let (answered, row) = record::parts(record);
            frames.push(&answered, &row, schema);
        }
        Some(frames)
    }

    /// Room for so many records. They belong to the hour of `event_time`.
    pub(crate) fn of(event_time: Timestamp, records: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(records * FRAME_BYTES),
            more: Vec::new(),
            records: 0,
            hour: PartitionHour::of(event_time),
        }
    }

    /// Adds a record.
    pub(crate) fn push(&mut self, answered: &Answered<'_>, row: &Row<'_>, schema: &Schema) {
        segment::frame(answered, row, schema, &mut self.bytes);
        self.records += 1;
    }

    /// Adds the records of other rows of the same request.
    pub(crate) fn append(&mut self, other: Self) {
        self.more.push(other.bytes);
        self.more.extend(other.more);
        self.records += other.records;
    }

    /// Their bytes, piece by piece.
    fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.bytes).chain(&self.more).map(Vec::as_slice)
    }

    /// How many bytes they are.
    fn len(&self) -> usize {
        self.pieces().map(<[u8]>::len).sum()
    }
}

/// The log of one replica.
#[derive(Debug)]
pub struct PredictionLog {
    commit: Arc<GroupCommit>,
    shared: Arc<Shared>,
    uploader: Uploader,
    writer: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Receiver<bool>,
}

impl PredictionLog {
    /// Opens the spool in `directory`, recovers what is there and starts the writer. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        directory: &Path,
        replica: &Slug,
        settings: &PredictionLogSettings,
        store: Arc<dyn BlobStore>,
        metrics: &LogMetrics,
    ) -> Result<Self, OpenError> {
        let io = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        fs::create_dir_all(directory).map_err(io)?;
        let lock = File::create(directory.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse(directory.to_owned())),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let found = recovery::recover(directory).map_err(io)?;
        let sequence = Sequence::open(directory, found.last().map(|segment| segment.sequence)).map_err(io)?;
        let shared = Arc::new(Shared::new(directory.to_owned(), sequence, metrics.clone()));
        if !found.is_empty() {
            let records: u64 = found.iter().map(|segment| segment.records).sum();
            tracing::info!(segments = found.len(), records, "recovered the prediction log");
        }
        found.into_iter().for_each(|segment| shared.found(segment));

        let (end, ended) = watch::channel(false);
        let writer = Writer {
            settings: settings.clone(),
            shared: Arc::clone(&shared),
            header: segment::header(replica),
            open: None,
            buffer: Vec::new(),
            group: Vec::new(),
            _lock: lock,
        };
        let commit = Arc::new(GroupCommit::new(writer));
        let (working, thread) = (Arc::clone(&commit), std::thread::Builder::new());
        let thread = thread.name("prediction-log".to_owned()).spawn(move || {
            // Dropped when the thread ends, by a panic too: whoever watches is told.
            let _end = end;
            working.run();
        });
        let uploader = Uploader {
            shared: Arc::clone(&shared),
            store,
            schema: Schema::embedded(),
            settings: settings.clone(),
            threads: Threads::start("segments", 1, Urgency::Idle).map_err(io)?,
        };
        Ok(Self {
            commit,
            shared,
            uploader,
            writer: Mutex::new(Some(thread.map_err(io)?)),
            ended,
        })
    }

    /// Writes the records of one request; when this returns they are in the spool, or dropped and counted if the
    /// settings say so.
    ///
    /// # Errors
    /// [`AppendError`]; none of them is in the log then.
    pub async fn append(&self, frames: Frames) -> Result<(), AppendError> {
        let (reply, answer) = oneshot::channel();
        let refused = u64::from(frames.records);
        let append = Box::new(Append { frames, reply });
        let submitted = self.commit.submit(Job::Append(append)).await;
        submitted.map_err(|error| match error {
            TrySendError::Full(()) => {
                self.shared.metrics.refused.inc_by(refused);
                AppendError::Overloaded
            }
            TrySendError::Disconnected(()) => AppendError::Closed,
        })?;
        answer.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Seals the open segment and returns when everything acknowledged before the call is in the blob store.
    ///
    /// # Errors
    /// [`FlushError::StoreAway`] after a few failed uploads; trying goes on in the background.
    pub async fn flush(&self) -> Result<(), FlushError> {
        let _waiting = self.shared.flushing();
        let (reply, answer) = oneshot::channel();
        self.commit
            .hand_over(Job::Seal(reply))
            .map_err(|_| FlushError::Closed)?;
        let mark = answer.await.map_err(|_| FlushError::Closed)?;
        let mut progress = self.shared.progress.subscribe();
        let failures_before = progress.borrow_and_update().failures;
        loop {
            // A look before each wait: the last segment may have gone in between.
            if !self.shared.waits_before(mark) {
                return Ok(());
            }
            self.shared.kick.notify_one();
            if progress.changed().await.is_err() {
                return Err(FlushError::Closed);
            }
            let now = progress.borrow_and_update();
            if now.failures >= failures_before + FLUSH_ATTEMPTS {
                return Err(FlushError::StoreAway {
                    reason: now.last_failure.clone(),
                });
            }
        }
    }

    /// Uploads sealed segments, for ever: a background task, dropped when the service ends.
    pub async fn upload(&self) {
        self.uploader.run().await;
    }

    /// Waits for the writer's end, which only [`PredictionLog::close`] should bring about.
    pub async fn writer_ended(&self) {
        let mut ended = self.ended.clone();
        // The sender never sends; it is dropped with the thread.
        while ended.changed().await.is_ok() {}
    }

    /// Counts.
    pub fn status(&self) -> LogStatus {
        let metrics = &self.shared.metrics;
        let (spooled_bytes, spooled_records) = self.shared.spooled();
        LogStatus {
            acknowledged_records: metrics.acknowledged.get(),
            uploaded_records: metrics.uploaded.get(),
            spooled_records,
            spooled_bytes,
            dropped_records: metrics.dropped.get(),
            refused_records: metrics.refused.get(),
        }
    }

    /// Seals the open segment, ends the writer, and tries for `patience` to upload what is left. What does not get
    /// through stays in the spool for the next start. Call it when no request runs and [`PredictionLog::upload`] has
    /// ended.
    pub async fn close(&self, patience: Duration) {
        let _waiting = self.shared.flushing();
        // A full queue empties: the writer is alive, or the queue is disconnected.
        while let Err(TrySendError::Full(())) = self.commit.hand_over(Job::Close) {
            tokio::task::yield_now().await;
        }
        self.writer_ended().await;
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the writer of the prediction log panicked");
        }
        if tokio::time::timeout(patience, self.uploader.run_once()).await.is_err() {
            tracing::warn!("the prediction log was not uploaded in time and stays in the spool");
        }
        let left = self.status();
        tracing::info!(
            records = left.spooled_records,
            bytes = left.spooled_bytes,
            "prediction log closed"
        );
    }
}
