//! Reading a window of the prediction log in bounded memory.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use holdfast_domain::{Digest, ModelName, ModelVersion, Schema};
use holdfast_storage::{BlobStore, Key};
use jiff::Timestamp;

use super::{PredictionRecord, decode};
use crate::error::Error;
use crate::layout::{Location, PartitionHour, prediction_partition};
use crate::stored::{LISTED_AT_ONCE, decode_aside};

/// A segment lies in the hour of its first record. It may hold records of the hour after, because it is open for a while, and of
/// the hour before, because requests finish in another order than they begin.
pub(super) const SLACK_HOURS: i64 = 1;

/// Which records of a window are wanted. Empty: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredictionFilter {
    /// Of this model.
    pub model: Option<ModelName>,
    /// Of this version.
    pub version: Option<ModelVersion>,
}

impl PredictionFilter {
    /// All records of a model.
    pub fn model(model: ModelName) -> Self {
        Self {
            model: Some(model),
            version: None,
        }
    }

    fn takes(&self, record: &PredictionRecord) -> bool {
        self.model.as_ref().is_none_or(|model| *model == record.model)
            && self.version.is_none_or(|version| version == record.version)
    }
}

/// A window of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowRequest {
    /// First instant in it.
    pub from: Timestamp,
    /// First instant behind it.
    pub to: Timestamp,
    /// Which records are wanted.
    pub filter: PredictionFilter,
    /// At most this many records: the first ones found, partition by partition, not a sample.
    pub row_cap: usize,
}

/// What reading a window took and met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Segments read.
    pub objects: u64,
    /// Segments that were listed and gone when they were to be read.
    pub vanished: u64,
    /// Rows in the segments read.
    pub rows: u64,
    /// Of these, outside the window or not wanted by the filter.
    pub passed_over: u64,
    /// Of these, repeats of a record met before.
    pub repeats: u64,
    /// Of these, given to the caller.
    pub kept: u64,
    /// Whether the row cap ended the reading before the window's end.
    pub capped: bool,
}

/// Reads a window segment by segment, in the order of partitions, replicas and sequence numbers.
///
/// Memory: one segment and the identities of about three hours of records. Repeats are dropped by (`request_id`, `row_index`) among records
/// whose event times are at most two hours apart, which is where copies of one record can lie.
#[derive(Debug)]
pub struct WindowReader {
    store: Arc<dyn BlobStore>,
    schema: Arc<Schema>,
    request: WindowRequest,
    last_partition: PartitionHour,
    after: Option<Key>,
    queue: VecDeque<(PartitionHour, Key)>,
    seen: BTreeMap<PartitionHour, HashSet<[u8; 16]>>,
    counts: ReadCounts,
}

impl WindowReader {
    /// A reader at the start of the window. Nothing is read yet.
    pub fn new(store: Arc<dyn BlobStore>, schema: &Schema, request: WindowRequest) -> Self {
        // Keys of years that have not four digits do not sort by time; no prediction is that old.
        let from = PartitionHour::of(request.from.max(Timestamp::UNIX_EPOCH)).plus(-SLACK_HOURS);
        let last_partition = PartitionHour::of(request.to).plus(SLACK_HOURS);
        Self {
            store,
            schema: Arc::new(schema.clone()),
            last_partition,
            after: Some(prediction_partition(from)),
            queue: VecDeque::new(),
            seen: BTreeMap::new(),
            counts: ReadCounts::default(),
            request,
        }
    }

    /// What it took so far.
    pub fn counts(&self) -> ReadCounts {
        self.counts
    }

    /// The wanted records of the next segment that has any; `None` at the end of the window or at the row cap.
    ///
    /// # Errors
    /// [`Error::Format`], naming the key, for a damaged segment: calling again goes on behind it. The store's: calling again tries the
    /// same segment again.
    pub async fn next(&mut self) -> Result<Option<Vec<PredictionRecord>>, Error> {
        while !self.counts.capped {
            let Some((partition, key)) = self.peek().await? else {
                return Ok(None);
            };
            let bytes = match self.store.get(&key).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => {
                    self.counts.vanished += 1;
                    self.queue.pop_front();
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            self.queue.pop_front();
            let schema = Arc::clone(&self.schema);
            let records = decode_aside(&key, move || decode(bytes, &schema)).await?;
            let kept = self.keep(partition, records);
            if !kept.is_empty() {
                return Ok(Some(kept));
            }
        }
        Ok(None)
    }

    fn keep(&mut self, partition: PartitionHour, mut records: Vec<PredictionRecord>) -> Vec<PredictionRecord> {
        self.counts.objects += 1;
        self.counts.rows += records.len() as u64;
        // A record of hour h lies in the partitions h-1 to h+1, and partitions are read in their order.
        let oldest = partition.plus(-SLACK_HOURS);
        self.seen.retain(|hour, _| *hour >= oldest);
        let (from, to) = (self.request.from, self.request.to);
        records.retain(|record| {
            if self.counts.capped {
                return false;
            }
            if record.event_time < from || record.event_time >= to || !self.request.filter.takes(record) {
                self.counts.passed_over += 1;
                return false;
            }
            let name = identity(record);
            if self.seen.values().any(|names| names.contains(&name)) {
                self.counts.repeats += 1;
                return false;
            }
            if self.counts.kept as usize >= self.request.row_cap {
                self.counts.capped = true;
                return false;
            }
            self.seen
                .entry(PartitionHour::of(record.event_time))
                .or_default()
                .insert(name);
            self.counts.kept += 1;
            true
        });
        records
    }

    /// The next segment, listing a further page when the queue is empty.
    async fn peek(&mut self) -> Result<Option<(PartitionHour, Key)>, Error> {
        loop {
            if let Some(next) = self.queue.front() {
                return Ok(Some(next.clone()));
            }
            let Some(after) = self.after.clone() else {
                return Ok(None);
            };
            let page = self.store.list("predictions", Some(&after), LISTED_AT_ONCE).await?;
            self.after = if page.len() < LISTED_AT_ONCE {
                None
            } else {
                page.last().map(|object| object.key.clone())
            };
            for object in page {
                match Location::parse(&object.key) {
                    Some(Location::Prediction(hour, ..)) if hour <= self.last_partition => {
                        self.queue.push_back((hour, object.key));
                    }
                    // Keys sort by time: what follows is later still.
                    Some(Location::Prediction(..)) => {
                        self.after = None;
                        break;
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Half a SHA-256 of the record's name: a clash of two names is out of reach.
pub(super) fn identity(record: &PredictionRecord) -> [u8; 16] {
    let mut name = Vec::with_capacity(record.request_id.len() + 4);
    name.extend_from_slice(&record.row_index.to_le_bytes());
    name.extend_from_slice(record.request_id.as_bytes());
    let mut half = [0; 16];
    half.copy_from_slice(&Digest::of(&name).as_bytes()[..16]);
    half
}

/// A window in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowRows {
    /// The records, in the order of the log.
    pub records: Vec<PredictionRecord>,
    /// What reading them took.
    pub counts: ReadCounts,
}

/// Reads a whole window; the row cap bounds its memory.
///
/// # Errors
/// As [`WindowReader::next`]; the first error ends it.
pub async fn read_window(
    store: Arc<dyn BlobStore>,
    schema: &Schema,
    request: WindowRequest,
) -> Result<WindowRows, Error> {
    let mut reader = WindowReader::new(store, schema, request);
    let mut records = Vec::new();
    while let Some(more) = reader.next().await? {
        records.extend(more);
    }
    Ok(WindowRows {
        records,
        counts: reader.counts(),
    })
}
