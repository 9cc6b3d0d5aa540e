//! Writes the spool. All requests that wait are written in one go (and one sync).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use holdfast_records::PartitionHour;
use tokio::sync::oneshot;

use super::shared::{Sealed, Shared};
use super::{AppendError, Frames, segment};
use crate::service::identity::sync_directory;
use crate::settings::{Durability, OnFull, PredictionLogSettings};

/// A group is written when it has this many bytes, even if more requests wait.
const GROUP_BYTES: usize = 1 << 20;
/// What is this large is written by itself: copying it costs more than another call of the system.
const LARGE_PIECE: usize = 1 << 16;
/// How long there is nothing to do while no segment is open.
const IDLE: Duration = Duration::from_secs(3_600);

pub(super) enum Job {
    /// Boxed: the queue has room for thousands, made once for all.
    Append(Box<Append>),
    /// Close the open segment; answers [`Shared::mark`].
    Seal(oneshot::Sender<u64>),
    /// Close the open segment and end.
    Close,
}

/// The records of one request.
#[derive(Debug)]
pub(super) struct Append {
    pub(crate) frames: Frames,
    pub(crate) reply: oneshot::Sender<Result<(), AppendError>>,
}

#[derive(Debug)]
pub(super) struct Writer {
    pub(crate) settings: PredictionLogSettings,
    pub(crate) shared: Arc<Shared>,
    /// What every segment begins with.
    pub(crate) header: Vec<u8>,
    pub(crate) open: Option<Open>,
    /// Reused between groups, as is the list of a group's requests.
    pub(crate) buffer: Vec<u8>,
    pub(crate) group: Vec<Append>,
    /// Held locked for as long as the writer lives: two processes must not share a spool.
    pub(crate) _lock: File,
}

/// What [`Writer::drain`] did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Drained {
    /// Jobs done.
    pub(crate) jobs: usize,
    /// The last one was to end.
    pub(crate) closed: bool,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    path: PathBuf,
    sequence: u64,
    hour: PartitionHour,
    /// Whole bytes.
    bytes: u64,
    records: u64,
    since: Instant,
}

impl Open {
    /// Whether records of this hour belong here. Those of the hour before may come late: requests finish in another order
    /// than they begin, and readers expect that.
    fn takes(&self, hour: PartitionHour) -> bool {
        self.hour == hour || self.hour.plus(-1) == hour
    }
}

impl Writer {
    /// Does the jobs that wait, in groups up to a size, and says how many they were; stops behind [`Job::Close`].
    pub(super) fn drain(&mut self, jobs: &Receiver<Job>) -> Drained {
        let mut drained = Drained::default();
        // The list is used again and again: a group is often a request or two.
        let mut group = std::mem::take(&mut self.group);
        while !drained.closed {
            let mut bytes = 0;
            while bytes < GROUP_BYTES
                && let Ok(job) = jobs.try_recv()
            {
                drained.jobs += 1;
                match job {
                    Job::Append(append) => {
                        bytes += append.frames.len();
                        group.push(*append);
                    }
                    Job::Seal(reply) => {
                        self.commit(&mut group);
                        self.seal();
                        // Whoever asked may have gone away.
                        let _ = reply.send(self.shared.mark());
                    }
                    Job::Close => {
                        drained.closed = true;
                        break;
                    }
                }
            }
            let more = bytes >= GROUP_BYTES;
            self.commit(&mut group);
            if !more {
                break;
            }
        }
        self.group = group;
        drained
    }

    /// Seals the open segment if it is old enough, and says how long the next one has until then.
    pub(super) fn seal_aged(&mut self) -> Duration {
        if self.patience().is_zero() {
            self.seal();
        }
        self.patience()
    }

    /// Whether no segment is open.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none()
    }

    fn longest_age(&self) -> Duration {
        Duration::from_millis(self.settings.segment_age_ms)
    }

    fn patience(&self) -> Duration {
        self.open
            .as_ref()
            .map_or(IDLE, |open| self.longest_age().saturating_sub(open.since.elapsed()))
    }

    /// Writes a group and answers it; the list is empty then.
    fn commit(&mut self, group: &mut Vec<Append>) {
        match group.as_slice() {
            [] => {}
            [first, ..] if self.takes_at_once(group) => self.commit_part(first.frames.hour, group),
            _ => self.commit_by_hour(group),
        }
    }

    /// Whether a group is of one hour, and goes into one segment as a whole: nearly all are and do.
    fn takes_at_once(&self, group: &[Append]) -> bool {
        let [before @ .., last] = group else { return true };
        let hour = last.frames.hour;
        let bytes = before.iter().map(|append| append.frames.len() as u64).sum::<u64>();
        let open = self.open.as_ref().filter(|open| open.takes(hour));
        let begun = open.map_or(self.header.len() as u64, |open| open.bytes);
        before.iter().all(|append| append.frames.hour == hour)
            && (before.is_empty() || begun + bytes < self.settings.segment_bytes)
            && self.shared.spooled().0 + bytes + last.frames.len() as u64 <= self.settings.limit_bytes
    }

    fn commit_by_hour(&mut self, group: &mut Vec<Append>) {
        group.sort_by_key(|append| append.frames.hour);
        let mut rest = group.drain(..).peekable();
        while let Some(first) = rest.next() {
            let hour = first.frames.hour;
            let mut run = vec![first];
            while let Some(append) = rest.next_if(|append| append.frames.hour == hour) {
                run.push(append);
            }
            self.commit_hour(hour, run);
        }
    }

    fn commit_hour(&mut self, hour: PartitionHour, run: Vec<Append>) {
        let (mut spooled, _) = self.shared.spooled();
        let mut admitted = Vec::with_capacity(run.len());
        for append in run {
            let grown = spooled + append.frames.len() as u64;
            if grown <= self.settings.limit_bytes {
                spooled = grown;
                admitted.push(append);
            } else {
                self.refuse_or_drop(append);
            }
        }
        let mut rest = admitted.into_iter().peekable();
        while rest.peek().is_some() {
            let mut part = self.fill_segment(hour, &mut rest);
            self.commit_part(hour, &mut part);
        }
    }

    /// As many requests as the segment takes: the one that reaches its size is the last, however large the group is.
    fn fill_segment(&self, hour: PartitionHour, rest: &mut impl Iterator<Item = Append>) -> Vec<Append> {
        let open = self.open.as_ref().filter(|open| open.takes(hour));
        let mut bytes = open.map_or(self.header.len() as u64, |open| open.bytes);
        let mut part = Vec::new();
        while bytes < self.settings.segment_bytes || part.is_empty() {
            let Some(append) = rest.next() else { break };
            bytes += append.frames.len() as u64;
            part.push(append);
        }
        part
    }

    /// Writes what belongs into one segment, in one go, and answers it.
    fn commit_part(&mut self, hour: PartitionHour, part: &mut Vec<Append>) {
        match self.write(hour, part) {
            Ok(()) => {
                for append in part.drain(..) {
                    self.shared
                        .metrics
                        .acknowledged
                        .inc_by(u64::from(append.frames.records));
                    // A caller that has gone away still has its record: it was written.
                    let _ = append.reply.send(Ok(()));
                }
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::error!(error = reason, requests = part.len(), "cannot write the prediction log");
                for append in part.drain(..) {
                    self.shared.metrics.refused.inc_by(u64::from(append.frames.records));
                    let _ = append.reply.send(Err(AppendError::Write { reason: reason.clone() }));
                }
            }
        }
    }

    fn refuse_or_drop(&self, append: Append) {
        let records = u64::from(append.frames.records);
        let limit_bytes = self.settings.limit_bytes;
        let answer = match self.settings.on_full {
            OnFull::Refuse => {
                self.shared.metrics.refused.inc_by(records);
                Err(AppendError::SpoolFull { limit_bytes })
            }
            OnFull::Drop => {
                self.shared.metrics.dropped.inc_by(records);
                Ok(())
            }
        };
        let _ = append.reply.send(answer);
    }

    fn write(&mut self, hour: PartitionHour, run: &[Append]) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| !open.takes(hour)) {
            self.seal();
        }
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin(hour)?,
        };
        let records: u64 = run.iter().map(|append| u64::from(append.frames.records)).sum();
        let bytes: u64 = run.iter().map(|append| append.frames.len() as u64).sum();
        let pieces = run.iter().flat_map(|append| append.frames.pieces());
        let written = write_pieces(pieces, &mut open.file, &mut self.buffer).and_then(|()| self.sync(&open.file));
        if let Err(error) = written {
            // Nothing of a refused request may stay. After a failed sync the file cannot be trusted with more; so too
            // if it cannot be cut.
            let cut = open.file.set_len(open.bytes);
            let spent = cut.is_err() || self.settings.durability == Durability::Fsync;
            self.open = Some(open);
            if spent {
                self.seal();
            }
            return Err(error);
        }
        open.bytes += bytes;
        open.records += records;
        self.shared.wrote(bytes, records, open.since);
        let full = open.bytes >= self.settings.segment_bytes;
        self.open = Some(open);
        if full {
            self.seal();
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.settings.durability == Durability::Fsync {
            file.sync_data()
        } else {
            Ok(())
        }
    }

    /// Begins a segment.
    fn begin(&self, hour: PartitionHour) -> io::Result<Open> {
        let sequence = self.shared.take_sequence()?;
        let path = segment::path(&self.shared.directory, sequence);
        let mut file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        let begun = file
            .write_all(&self.header)
            .and_then(|()| match self.settings.durability {
                Durability::Os => Ok(()),
                Durability::Fsync => file.sync_all().and_then(|()| sync_directory(&path)),
            });
        if let Err(error) = begun {
            // What cannot be removed is removed at the next start: it holds no record.
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        let (bytes, since) = (self.header.len() as u64, Instant::now());
        self.shared.wrote(bytes, 0, since);
        Ok(Open {
            file,
            path,
            sequence,
            hour,
            bytes,
            records: 0,
            since,
        })
    }

    /// Closes the open segment and hands it to the uploader.
    pub(super) fn seal(&mut self) {
        let Some(open) = self.open.take() else { return };
        if open.records == 0 {
            let _ = std::fs::remove_file(&open.path);
            self.shared.discard(open.bytes);
            return;
        }
        self.shared.seal(Sealed {
            sequence: open.sequence,
            bytes: open.bytes,
            records: open.records,
            since: open.since,
        });
    }
}

/// Writes large pieces as they are, and small ones together.
fn write_pieces<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    out: &mut impl io::Write,
    together: &mut Vec<u8>,
) -> io::Result<()> {
    together.clear();
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none();
        if together.is_empty() && (is_last || piece.len() >= LARGE_PIECE) {
            out.write_all(piece)?;
            continue;
        }
        together.extend_from_slice(piece);
        if is_last || together.len() >= LARGE_PIECE {
            out.write_all(together)?;
            together.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is written, call by call.
    #[derive(Default)]
    struct Calls(Vec<Vec<u8>>);

    impl io::Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn pieces_are_written_in_their_order_small_ones_together_and_large_ones_alone() {
        for (sizes, calls) in [
            (&[][..], &[][..]),
            (&[5], &[5]),
            (&[5, 6, 7], &[18]),
            (&[LARGE_PIECE, LARGE_PIECE + 1], &[LARGE_PIECE, LARGE_PIECE + 1]),
            (
                &[LARGE_PIECE, 3, 4, LARGE_PIECE, 5, 6],
                &[LARGE_PIECE, LARGE_PIECE + 7, 11],
            ),
        ] {
            let pieces: Vec<Vec<u8>> = (1..).zip(sizes).map(|(byte, size)| vec![byte; *size]).collect();
            // What was left by a write that failed.
            let (mut written, mut together) = (Calls::default(), vec![99; 3]);
            write_pieces(pieces.iter().map(Vec::as_slice), &mut written, &mut together).unwrap();
            assert!(written.0.iter().map(Vec::len).eq(calls.iter().copied()), "{sizes:?}");
            assert!(written.0.concat() == pieces.concat(), "{sizes:?}");
        }
    }
}
