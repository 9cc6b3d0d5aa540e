//! Brings sealed segments into the blob store as Parquet and removes their files.
//!
//! A segment's key follows from its name and its first record, and its Parquet bytes from its records: an upload that
//! is done again, after a lost reply or a crash, finds its own object there and is done. Another object under that key
//! (a spool that was wiped and began to count anew) is found by comparing, and the segment gets another number.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use holdfast_domain::Schema;
use holdfast_records::prediction::{PredictionRecord, SegmentEncoder};
use holdfast_records::{FormatError, layout, prediction};
use holdfast_storage::{BlobStore, Created, Key};
use jiff::Timestamp;

use super::record;
use super::segment::{self, FrameReader, HeaderError};
use super::shared::{Sealed, Shared};
use crate::service::threads::Threads;
use crate::settings::{PredictionLogSettings, waits};

/// Segments that cannot be read are kept here for a person to look at.
const DAMAGED: &str = "damaged";
/// The share of the spool's limit from which on segments are encoded at once.
const URGENT_SHARE: u64 = 8;
/// The share from which on they are encoded without a pause.
const PRESSING_SHARE: u64 = 4;
/// Records that are encoded in one go: some hundred microseconds.
const PIECE: usize = 256;
/// What follows a piece.
const PAUSE: Duration = Duration::from_micros(50);

#[derive(Debug)]
pub(super) struct Uploader {
    pub(crate) shared: Arc<Shared>,
    pub(crate) store: Arc<dyn BlobStore>,
    pub(crate) schema: &'static Schema,
    pub(crate) settings: PredictionLogSettings,
    /// Where segments are encoded when no request leaves the core alone.
    pub(crate) threads: Threads,
}

/// Why an upload is to be tried again.
#[derive(Debug, thiserror::Error)]
enum Retry {
    #[error(transparent)]
    Store(#[from] holdfast_storage::Error),
    #[error("cannot use the spool: {0}")]
    Spool(#[from] io::Error),
    #[error("encoding was cut short")]
    Ending,
}

/// A segment as it is to be stored.
struct Prepared {
    key: Key,
    body: Bytes,
    records: usize,
    damaged: usize,
}

/// What became of reading a segment.
enum Reading {
    Ready(Prepared),
    /// There is no record in it.
    Nothing {
        damaged: usize,
    },
    /// It cannot be stored, and trying again would not help.
    Unusable(String),
}

impl Uploader {
    /// Uploads whatever is sealed, for ever.
    pub(crate) async fn run(&self) {
        let mut failed: Option<u64> = None;
        let mut pauses = self.pauses();
        loop {
            let Some((id, segment)) = self.shared.pending_after(failed) else {
                self.shared.sealed.notified().await;
                continue;
            };
            match self.upload(id, &segment).await {
                Ok(()) => {
                    failed = None;
                    pauses = self.pauses();
                }
                Err(error) => {
                    let pause = pauses.next().unwrap_or_default();
                    tracing::warn!(%error, sequence = segment.sequence, retry_in_ms = pause.as_millis(), "cannot upload a segment of the prediction log");
                    self.shared.failed(error.to_string());
                    // Another segment may fare better.
                    failed = Some(id);
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.shared.kick.notified() => {}
                    }
                }
            }
        }
    }

    /// Uploads what is sealed now, each segment once.
    pub(crate) async fn run_once(&self) {
        let mark = self.shared.mark();
        let mut last = None;
        while let Some((id, segment)) = self.shared.pending_after(last) {
            if last.is_some_and(|last| id <= last) || id >= mark {
                return;
            }
            last = Some(id);
            if let Err(error) = self.upload(id, &segment).await {
                tracing::warn!(%error, sequence = segment.sequence, "a segment of the prediction log stays in the spool");
                self.shared.failed(error.to_string());
            }
        }
    }

    fn pauses(&self) -> impl Iterator<Item = std::time::Duration> + Send + use<> {
        waits(self.settings.retry_initial_ms, self.settings.retry_max_ms)
    }

    async fn upload(&self, id: u64, segment: &Sealed) -> Result<(), Retry> {
        let mut sequence = segment.sequence;
        loop {
            let prepared = match self.read(sequence, segment.bytes).await? {
                Reading::Ready(prepared) => prepared,
                Reading::Nothing { damaged } => return self.finish(id, segment, sequence, 0, damaged),
                Reading::Unusable(why) => return self.set_aside(id, segment, sequence, &why),
            };
            let Prepared {
                key,
                body,
                records,
                damaged,
            } = prepared;
            match self.store.create(&key, body.clone()).await? {
                Created::Yes => return self.finish(id, segment, sequence, records, damaged),
                Created::AlreadyExists if self.is_ours(&key, &body, (sequence, segment.bytes)).await? => {
                    return self.finish(id, segment, sequence, records, damaged);
                }
                Created::AlreadyExists => sequence = self.renumber(id, sequence, &key)?,
            }
        }
    }

    /// Reads and encodes a segment, off the async threads. Requests go first, unless somebody waits for a flush or so much has piled up that it could
    /// reach the limit: then it has the same right to the processor as they.
    async fn read(&self, sequence: u64, bytes: u64) -> Result<Reading, Retry> {
        let path = segment::path(&self.shared.directory, sequence);
        let (shared, limit) = (Arc::clone(&self.shared), self.settings.limit_bytes);
        // A thread that the kernel has chosen once, however low its priority, runs on until the next tick of the clock, milliseconds, while
        // threads that have something to answer are ready to run: whoever sleeps between lets them.
        let breathe = move || {
            if !shared.is_flushing() && !shared.holds_more_than(limit / PRESSING_SHARE) {
                thread::sleep(PAUSE);
            }
        };
        let reading = move || read_segment(&path, sequence, bytes, breathe);
        let urgent = self.shared.is_flushing() || self.shared.holds_more_than(limit / URGENT_SHARE);
        let read = if urgent {
            tokio::task::spawn_blocking(reading).await.ok()
        } else {
            self.threads.run(reading).await.ok()
        };
        Ok(read.ok_or(Retry::Ending)??)
    }

    /// Whether the object under the key holds these very records: an upload whose reply was lost, or whose process died
    /// before it could remove the file. Another build may have written other bytes for the same records.
    async fn is_ours(&self, key: &Key, body: &Bytes, (sequence, bytes): (u64, u64)) -> Result<bool, Retry> {
        let there = self.store.get(key).await?;
        if there == *body {
            return Ok(true);
        }
        let path = segment::path(&self.shared.directory, sequence);
        let schema = self.schema;
        let comparing = tokio::task::spawn_blocking(move || -> io::Result<bool> {
            let content = read_whole(&path, bytes)?;
            let Ok(contents) = segment::scan(&content) else {
                return Ok(false);
            };
            let decoded = |frame: &Range<usize>| record::decode(&content[frame.clone()], schema);
            let records: Vec<PredictionRecord> = contents.frames.iter().filter_map(decoded).collect();
            Ok(prediction::decode(there, schema).is_ok_and(|there| there == records))
        });
        Ok(comparing.await.map_err(|_| Retry::Ending)??)
    }

    /// Somebody else's object lies there: the segment gets a number of its own.
    fn renumber(&self, id: u64, sequence: u64, key: &Key) -> io::Result<u64> {
        let fresh = self.shared.take_sequence()?;
        fs::rename(
            segment::path(&self.shared.directory, sequence),
            segment::path(&self.shared.directory, fresh),
        )?;
        self.shared.renumbered(id, fresh);
        tracing::error!(%key, sequence = fresh, "another segment lies under this key; is a second replica using this name?");
        Ok(fresh)
    }

    fn finish(&self, id: u64, segment: &Sealed, sequence: u64, records: usize, damaged: usize) -> Result<(), Retry> {
        let path = segment::path(&self.shared.directory, sequence);
        if damaged > 0 {
            tracing::error!(
                sequence,
                damaged,
                "records of the prediction log were damaged on local disk"
            );
            self.shared.metrics.damaged.inc_by(damaged as u64);
            self.keep_damaged(&path)?;
        }
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        self.shared.metrics.uploaded.inc_by(records as u64);
        self.shared.gone(id);
        tracing::debug!(
            sequence,
            records,
            bytes = segment.bytes,
            "segment of the prediction log uploaded"
        );
        Ok(())
    }

    fn set_aside(&self, id: u64, segment: &Sealed, sequence: u64, why: &str) -> Result<(), Retry> {
        tracing::error!(
            sequence,
            why,
            records = segment.records,
            "segment of the prediction log cannot be stored and is set aside"
        );
        let path = segment::path(&self.shared.directory, sequence);
        if path.exists() {
            self.keep_damaged(&path)?;
            fs::remove_file(&path)?;
        }
        self.shared.metrics.damaged.inc_by(segment.records);
        self.shared.gone(id);
        Ok(())
    }

    fn keep_damaged(&self, path: &Path) -> io::Result<()> {
        let directory = self.shared.directory.join(DAMAGED);
        fs::create_dir_all(&directory)?;
        if let Some(name) = path.file_name() {
            fs::copy(path, directory.join(name))?;
        }
        Ok(())
    }
}

fn read_segment(path: &Path, sequence: u64, bytes: u64, breathe: impl Fn()) -> io::Result<Reading> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Reading::Unusable("its file is gone".to_owned()));
        }
        Err(error) => return Err(error),
    };
    // What lies behind the whole bytes was refused.
    let (frames, replica) = match FrameReader::open(file.take(bytes))? {
        Ok(opened) => opened,
        Err(error @ (HeaderError::Torn | HeaderError::Foreign | HeaderError::Newer(_))) => {
            return Ok(Reading::Unusable(error.to_string()));
        }
    };
    let Encoded {
        body,
        records,
        damaged,
        first,
    } = match encoded(frames, breathe)? {
        Ok(encoded) => encoded,
        Err(error @ FormatError::Unstorable(_)) => return Ok(Reading::Unusable(error.to_string())),
        Err(error) => return Ok(Reading::Unusable(format!("it cannot be encoded: {error}"))),
    };
    Ok(match first {
        None => Reading::Nothing { damaged },
        Some(first) => Reading::Ready(Prepared {
            key: layout::prediction_key(first, &replica, sequence),
            body,
            records,
            damaged,
        }),
    })
}

/// The bytes of a segment's file that are whole. What lies behind was refused.
fn read_whole(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut content = fs::read(path)?;
    content.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    Ok(content)
}

/// The records of a segment as they are stored.
struct Encoded {
    body: Bytes,
    records: usize,
    damaged: usize,
    /// Time of the first; none when there is no record.
    first: Option<Timestamp>,
}

/// Encodes the frames that are records, and calls `breathe` after every [`PIECE`] of them.
fn encoded(mut frames: FrameReader<impl Read>, breathe: impl Fn()) -> io::Result<Result<Encoded, FormatError>> {
    let mut encoder = match SegmentEncoder::new() {
        Ok(encoder) => encoder,
        Err(error) => return Ok(Err(error)),
    };
    let (mut records, mut unreadable, mut first) = (0, 0, None);
    while let Some(frame) = frames.read()? {
        let Some(record) = record::view(frame) else {
            unreadable += 1;
            continue;
        };
        first.get_or_insert(record.event_time);
        records += 1;
        if let Err(error) = encoder.push(&record) {
            return Ok(Err(error));
        }
        if records % PIECE == 0 {
            breathe();
        }
    }
    let damaged = frames.damaged + unreadable;
    Ok(encoder.finish().map(|body| Encoded {
        body,
        records,
        damaged,
        first,
    }))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use holdfast_records::Slug;

    use super::*;

    #[test]
    fn a_segment_is_encoded_piece_by_piece_and_what_is_no_record_is_counted() {
        let schema = Schema::embedded();
        let mut bytes = segment::header(&Slug::parse("blue-1").unwrap());
        let header = bytes.len();
        let records: Vec<_> = (0..2 * PIECE as u32 + 1)
            .map(|row| record::sample(row, schema))
            .collect();
        for record in &records {
            let (answered, row) = record::parts(record);
            segment::frame(&answered, &row, schema, &mut bytes);
        }
        // Within the first record.
        bytes[header + 40] ^= 1;
        let breaths = Cell::new(0);
        let (frames, _) = FrameReader::open(bytes.as_slice()).unwrap().unwrap();
        let encoded = encoded(frames, || breaths.set(breaths.get() + 1)).unwrap().unwrap();
        assert_eq!((encoded.records, encoded.damaged, breaths.get()), (2 * PIECE, 1, 2));
        assert_eq!(encoded.first, Some(records[1].event_time));
        assert_eq!(prediction::decode(encoded.body, schema).unwrap(), records[1..]);
    }
}
