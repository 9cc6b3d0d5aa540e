//! The spool as a dead process left it: torn tails are cut, what was acknowledged is kept.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::segment::{self, HeaderError};
use super::shared::Sealed;

/// The segments in `directory`, oldest first, each cut behind its last whole record. Files that hold no record are
/// removed.
///
/// # Errors
/// The file system's. Nothing is removed then that holds a record.
pub(super) fn recover(directory: &Path) -> io::Result<Vec<Sealed>> {
    let mut paths: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if let Some(sequence) = segment::sequence_of(&path) {
            paths.push((sequence, path));
        }
    }
    paths.sort_unstable();
    let mut found = Vec::new();
    for (sequence, path) in paths {
        if let Some(segment) = recover_segment(sequence, &path)? {
            found.push(segment);
        }
    }
    Ok(found)
}

fn recover_segment(sequence: u64, path: &Path) -> io::Result<Option<Sealed>> {
    let content = fs::read(path)?;
    let contents = match segment::scan(&content) {
        Ok(contents) => contents,
        Err(HeaderError::Torn) if content.len() < 512 => {
            tracing::info!(sequence, "removed a segment whose header was never finished");
            fs::remove_file(path)?;
            return Ok(None);
        }
        // The uploader sets it aside and says so.
        Err(_) => {
            return Ok(Some(Sealed {
                sequence,
                bytes: content.len() as u64,
                records: 0,
                since: Instant::now(),
            }));
        }
    };
    let torn = content.len() - contents.whole_bytes;
    if torn > 0 {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(contents.whole_bytes as u64)?;
        file.sync_all()?;
        tracing::warn!(sequence, torn, "cut the torn tail of a segment of the prediction log");
    }
    if contents.frames.is_empty() && contents.damaged == 0 {
        fs::remove_file(path)?;
        return Ok(None);
    }
    let records = (contents.frames.len() + contents.damaged) as u64;
    Ok(Some(Sealed {
        sequence,
        bytes: contents.whole_bytes as u64,
        records,
        since: Instant::now(),
    }))
}
