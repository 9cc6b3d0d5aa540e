//! What writer, uploader and callers of the log know together.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::sequence::Sequence;
use crate::metrics::LogMetrics;

/// A segment that is closed and waits for its upload.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    /// Its number, in its name and its key.
    pub(crate) sequence: u64,
    /// Bytes of the file that are whole.
    pub(crate) bytes: u64,
    /// Records in it.
    pub(crate) records: u64,
    /// When it was opened, or found at the start.
    pub(crate) since: Instant,
}

/// What the uploader achieved, for whoever waits for a flush.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// Attempts that failed since the start.
    pub(crate) failures: u64,
    /// Why the last one did.
    pub(crate) last_failure: String,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) sequence: Mutex<Sequence>,
    pub(crate) metrics: LogMetrics,
    /// A segment was sealed.
    pub(crate) sealed: Notify,
    /// Somebody wants the waiting to end.
    pub(crate) kick: Notify,
    pub(crate) progress: watch::Sender<Progress>,
    /// Those who wait for a flush.
    flushing: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the order in which they were sealed.
    pending: BTreeMap<u64, Sealed>,
    next_id: u64,
    open_since: Option<Instant>,
    bytes: u64,
    records: u64,
}

/// Somebody who waits for a flush.
pub(super) struct Flushing<'a>(&'a AtomicUsize);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    pub(crate) fn new(directory: PathBuf, sequence: Sequence, metrics: LogMetrics) -> Self {
        Self {
            directory,
            sequence: Mutex::new(sequence),
            metrics,
            sealed: Notify::new(),
            kick: Notify::new(),
            progress: watch::Sender::default(),
            flushing: AtomicUsize::new(0),
            state: Mutex::default(),
        }
    }

    /// Bytes and records on local disk.
    pub(crate) fn spooled(&self) -> (u64, u64) {
        let state = self.lock();
        (state.bytes, state.records)
    }

    /// Whether more than so many bytes are on local disk. It takes no lock: a thread of low priority may ask in passing.
    pub(crate) fn holds_more_than(&self, bytes: u64) -> bool {
        u64::try_from(self.metrics.spool_bytes.get()).is_ok_and(|held| held > bytes)
    }

    /// The next number for a segment.
    pub(crate) fn take_sequence(&self) -> std::io::Result<u64> {
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Something was written to the open segment, which is open since then.
    pub(crate) fn wrote(&self, bytes: u64, records: u64, open_since: Instant) {
        let mut state = self.lock();
        state.bytes += bytes;
        state.records += records;
        state.open_since = Some(open_since);
        self.show(&state);
    }

    /// A segment that was written (and counted by [`Shared::wrote`]) waits for its upload.
    pub(crate) fn seal(&self, segment: Sealed) {
        let mut state = self.lock();
        state.open_since = None;
        let id = state.next_id;
        state.next_id += 1;
        state.pending.insert(id, segment);
        self.show(&state);
        self.sealed.notify_one();
    }

    /// The open segment had no record and is gone, with its bytes.
    pub(crate) fn discard(&self, bytes: u64) {
        let mut state = self.lock();
        state.open_since = None;
        state.bytes = state.bytes.saturating_sub(bytes);
        self.show(&state);
    }

    /// A segment that was found at the start.
    pub(crate) fn found(&self, segment: Sealed) {
        self.wrote(segment.bytes, segment.records, segment.since);
        self.seal(segment);
    }

    /// Notes that somebody waits for a flush, until the guard goes.
    pub(crate) fn flushing(&self) -> Flushing<'_> {
        self.flushing.fetch_add(1, Ordering::Relaxed);
        Flushing(&self.flushing)
    }

    /// Whether anybody waits for a flush.
    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing.load(Ordering::Relaxed) > 0
    }

    /// Everything sealed up to now has an id below this one.
    pub(crate) fn mark(&self) -> u64 {
        self.lock().next_id
    }

    /// Whether a segment sealed before `mark` still waits.
    pub(crate) fn waits_before(&self, mark: u64) -> bool {
        self.lock().pending.range(..mark).next().is_some()
    }

    /// The next segment behind `id`, or from the start when there is none behind it.
    pub(crate) fn pending_after(&self, id: Option<u64>) -> Option<(u64, Sealed)> {
        let state = self.lock();
        let behind = id.and_then(|id| state.pending.range((Bound::Excluded(id), Bound::Unbounded)).next());
        behind
            .or_else(|| state.pending.first_key_value())
            .map(|(id, segment)| (*id, segment.clone()))
    }

    /// The segment got another number.
    pub(crate) fn renumbered(&self, id: u64, sequence: u64) {
        if let Some(segment) = self.lock().pending.get_mut(&id) {
            segment.sequence = sequence;
        }
    }

    /// The segment's file is gone.
    pub(crate) fn gone(&self, id: u64) {
        let mut state = self.lock();
        if let Some(segment) = state.pending.remove(&id) {
            state.bytes = state.bytes.saturating_sub(segment.bytes);
            state.records = state.records.saturating_sub(segment.records);
        }
        self.show(&state);
        drop(state);
        self.progress.send_modify(|_| {});
    }

    /// An upload failed.
    pub(crate) fn failed(&self, why: String) {
        self.metrics.upload_failures.inc();
        self.progress.send_modify(|progress| {
            progress.failures += 1;
            progress.last_failure = why;
        });
    }

    fn show(&self, state: &State) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.metrics.spool_bytes.set(gauge(state.bytes));
        self.metrics.spooled.set(gauge(state.records));
        let oldest = state
            .pending
            .values()
            .map(|segment| segment.since)
            .chain(state.open_since)
            .min();
        self.metrics.oldest.since(oldest);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The counts are whole at every point where a holder could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
