//! A segment file of the spool: a header, then frames.
//!
//! ```text
//! header  "HFSPOOL\n"  u32 format version  u8 length, replica  u32 CRC-32C of all of this
//! frame   u32 length of the payload  u32 CRC-32C of the length's four bytes and the payload   payload: one record
//! ```
//!
//! The file's name is its sequence number. A frame that the process died over has a length or a checksum that does not
//! hold: that is where a torn segment is cut.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use holdfast_domain::Schema;
use holdfast_records::Slug;

use super::record::{self, Answered, Row};

/// The format written today.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"HFSPOOL\n";
const FRAME_HEADER_BYTES: usize = 8;
/// No record comes near this; a length above it is damage.
const LONGEST_PAYLOAD: usize = 1 << 16;
const LONGEST_FRAME: usize = FRAME_HEADER_BYTES + LONGEST_PAYLOAD;
/// Bytes read at a time.
const READ_BYTES: usize = 1 << 16;
const EXTENSION: &str = "seg";

/// The path of a segment.
pub(crate) fn path(directory: &Path, sequence: u64) -> PathBuf {
    directory.join(format!("{sequence:020}.{EXTENSION}"))
}

/// The sequence number in a segment's path; `None` for any other file.
pub(crate) fn sequence_of(path: &Path) -> Option<u64> {
    let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
    let stem = path.file_stem()?.to_str()?;
    (is_segment && stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit())).then(|| stem.parse().ok())?
}

/// The header of a replica's segment.
pub(crate) fn header(replica: &Slug) -> Vec<u8> {
    let name = replica.as_str().as_bytes();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(FORMAT_VERSION.to_le_bytes());
    bytes.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    bytes.extend(name);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Appends a record's frame.
pub(crate) fn frame(answered: &Answered<'_>, row: &Row<'_>, schema: &Schema, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend([0; FRAME_HEADER_BYTES]);
    record::encode(answered, row, schema, out);
    let length = u32::try_from(out.len() - start - FRAME_HEADER_BYTES)
        .unwrap_or(u32::MAX)
        .to_le_bytes();
    let checksum = checksum(length, &out[start + FRAME_HEADER_BYTES..]);
    out[start..start + 4].copy_from_slice(&length);
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&length), payload)
}

/// What a segment holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contents {
    /// Who wrote it.
    pub(crate) replica: Slug,
    /// Payloads of its whole frames, as ranges of the bytes.
    pub(crate) frames: Vec<std::ops::Range<usize>>,
    /// Up to here it is whole: header and frames, damaged ones that others follow included.
    pub(crate) whole_bytes: usize,
    /// Frames that are damaged and followed by whole ones: not a torn tail, but a fault of the disk.
    pub(crate) damaged: usize,
}

/// Why bytes are not a segment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The process died before the header was written; nothing was acknowledged.
    #[error("its header is torn")]
    Torn,
    /// It is something else.
    #[error("it is not a segment of the spool")]
    Foreign,
    /// Written by a newer build.
    #[error("it has format version {0}; this build reads up to {FORMAT_VERSION}")]
    Newer(u32),
}

/// Reads the frames of a segment, whatever state it is in.
///
/// # Errors
/// [`HeaderError`] when it does not begin like one.
pub(crate) fn scan(bytes: &[u8]) -> Result<Contents, HeaderError> {
    let (replica, start) = read_header(bytes)?;
    let mut contents = Contents {
        replica,
        frames: Vec::new(),
        whole_bytes: start,
        damaged: 0,
    };
    let mut passed_over = 0;
    let mut at = start;
    while let Some((payload, intact)) = next_frame(bytes, at) {
        at = payload.end;
        if intact {
            contents.frames.push(payload);
            contents.damaged += std::mem::take(&mut passed_over);
            contents.whole_bytes = at;
        } else {
            passed_over += 1;
        }
    }
    Ok(contents)
}

/// Reads the frames of a segment as [`scan`] does, holding a few of them at a time.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    source: R,
    buffer: Vec<u8>,
    /// What is still to be looked at begins here.
    at: usize,
    has_ended: bool,
    passed_over: usize,
    /// As [`Contents::damaged`], up to the frame read last.
    pub(crate) damaged: usize,
}

impl<R: Read> FrameReader<R> {
    /// Reads the header: the reader of what follows, and who wrote the segment.
    ///
    /// # Errors
    /// The source's; [`HeaderError`] when it does not begin like a segment.
    pub(crate) fn open(source: R) -> io::Result<Result<(Self, Slug), HeaderError>> {
        let mut reader = Self {
            source,
            buffer: Vec::with_capacity(READ_BYTES + LONGEST_FRAME),
            at: 0,
            has_ended: false,
            passed_over: 0,
            damaged: 0,
        };
        reader.read_more()?;
        Ok(read_header(&reader.buffer).map(|(replica, start)| {
            reader.at = start;
            (reader, replica)
        }))
    }

    /// The payload of the next whole frame; `None` behind the last one.
    ///
    /// # Errors
    /// The source's.
    pub(crate) fn read(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let Some((payload, intact)) = next_frame(&self.buffer, self.at) else {
                // A frame that is not there as a whole even now never will be: its length is damage.
                if self.has_ended || self.buffer.len() - self.at >= LONGEST_FRAME {
                    return Ok(None);
                }
                self.read_more()?;
                continue;
            };
            self.at = payload.end;
            if intact {
                self.damaged += std::mem::take(&mut self.passed_over);
                return Ok(Some(&self.buffer[payload]));
            }
            self.passed_over += 1;
        }
    }

    /// Reads on, behind what is still to be looked at.
    fn read_more(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let read = self
            .source
            .by_ref()
            .take(READ_BYTES as u64)
            .read_to_end(&mut self.buffer)?;
        self.has_ended = read == 0;
        Ok(())
    }
}

fn read_header(bytes: &[u8]) -> Result<(Slug, usize), HeaderError> {
    let shared = bytes.len().min(MAGIC.len());
    if bytes[..shared] != MAGIC[..shared] {
        return Err(HeaderError::Foreign);
    }
    let version = bytes
        .get(8..12)
        .and_then(|four| four.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or(HeaderError::Torn)?;
    if version != FORMAT_VERSION {
        return Err(HeaderError::Newer(version));
    }
    let end = 13 + usize::from(*bytes.get(12).ok_or(HeaderError::Torn)?);
    let stored = bytes
        .get(end..end + 4)
        .and_then(|four| four.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or(HeaderError::Torn)?;
    if crc32c::crc32c(&bytes[..end]) != stored {
        return Err(HeaderError::Torn);
    }
    let name = std::str::from_utf8(&bytes[13..end]).map_err(|_| HeaderError::Foreign)?;
    Ok((Slug::parse(name).map_err(|_| HeaderError::Foreign)?, end + 4))
}

/// The payload's range of the frame at `at`, and whether its checksum holds; `None` when no frame fits there.
fn next_frame(bytes: &[u8], at: usize) -> Option<(std::ops::Range<usize>, bool)> {
    let length: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    let stored = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
    let start = at + FRAME_HEADER_BYTES;
    let end = start
        + usize::try_from(u32::from_le_bytes(length))
            .ok()
            .filter(|length| *length <= LONGEST_PAYLOAD)?;
    let payload = bytes.get(start..end)?;
    Some((start..end, checksum(length, payload) == stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(records: u32) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(&Slug::parse("blue-1").unwrap());
        let mut ends = vec![bytes.len()];
        for row in 0..records {
            let record = record::sample(row, Schema::embedded());
            let (answered, row) = record::parts(&record);
            frame(&answered, &row, Schema::embedded(), &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// What the reader of single frames finds: payloads and damaged ones, as [`scan`] has to.
    fn one_by_one(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), HeaderError> {
        let (mut reader, _) = FrameReader::open(bytes).unwrap()?;
        let mut frames = Vec::new();
        while let Some(frame) = reader.read().unwrap() {
            frames.push(frame.to_vec());
        }
        Ok((frames, reader.damaged))
    }

    fn at_once(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, usize), HeaderError> {
        let contents = scan(bytes)?;
        let frames = contents.frames.iter().map(|frame| bytes[frame.clone()].to_vec());
        Ok((frames.collect(), contents.damaged))
    }

    #[test]
    fn a_segment_of_many_reads_is_read_whole() {
        let (bytes, ends) = segment(10_000);
        assert!(bytes.len() > 3 * READ_BYTES);
        assert_eq!(one_by_one(&bytes), at_once(&bytes));
        let mut flipped = bytes.clone();
        flipped[ends[2_000] + 20] ^= 1;
        assert_eq!(one_by_one(&flipped), at_once(&flipped));
        assert_eq!(one_by_one(&flipped).unwrap().1, 1);
    }

    #[test]
    fn a_segment_cut_at_any_byte_keeps_every_whole_record_and_nothing_else() {
        let (bytes, ends) = segment(5);
        for cut in 0..=bytes.len() {
            assert_eq!(one_by_one(&bytes[..cut]), at_once(&bytes[..cut]));
            match scan(&bytes[..cut]) {
                Err(error) => {
                    assert_eq!(error, HeaderError::Torn);
                    assert!(cut < ends[0]);
                }
                Ok(contents) => {
                    let whole = ends.iter().filter(|end| **end <= cut).count() - 1;
                    assert_eq!(
                        (contents.frames.len(), contents.whole_bytes, contents.damaged),
                        (whole, ends[whole], 0)
                    );
                }
            }
        }
    }

    #[test]
    fn a_flipped_byte_costs_one_record_at_most_unless_it_breaks_the_chain_of_lengths() {
        let (bytes, ends) = segment(5);
        for at in ends[0]..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            assert_eq!(one_by_one(&flipped), at_once(&flipped));
            let contents = scan(&flipped).unwrap();
            let frame = ends.iter().filter(|end| **end <= at).count() - 1;
            let in_length = at < ends[frame] + 4;
            let expected = if in_length { contents.frames.len() } else { 4 };
            assert_eq!(contents.frames.len(), expected);
            assert!(contents.frames.len() >= frame);
        }
    }

    #[test]
    fn zeros_behind_the_last_record_are_a_torn_tail() {
        let (mut bytes, ends) = segment(2);
        bytes.extend([0; 100]);
        let contents = scan(&bytes).unwrap();
        assert_eq!(
            (contents.frames.len(), contents.whole_bytes, contents.damaged),
            (2, ends[2], 0)
        );
    }

    #[test]
    fn other_files_and_newer_formats_are_told_apart() {
        let (mut bytes, _) = segment(1);
        bytes[8] = 9;
        assert_eq!(scan(&bytes), Err(HeaderError::Newer(9)));
        assert_eq!(scan(b"PAR1 and so on"), Err(HeaderError::Foreign));
        assert_eq!(sequence_of(&path(Path::new("/spool"), 42)), Some(42));
        assert_eq!(sequence_of(Path::new("/spool/sequence")), None);
        assert_eq!(sequence_of(Path::new("/spool/42.seg")), None);
    }
}
