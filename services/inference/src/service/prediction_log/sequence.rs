//! Numbers of segments: never given twice by one spool, whatever happens to the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use holdfast_records::prediction::SEQUENCE_BLOCK;

use crate::service::identity::write_atomically;

const FILE: &str = "sequence";
/// Numbers reserved at once: one sync for so many segments. A restart leaves a gap, by whose end `holdfast log verify` knows it.
const RESERVED: u64 = SEQUENCE_BLOCK;

/// The counter. What is on disk is always above every number given.
#[derive(Debug)]
pub(crate) struct Sequence {
    path: PathBuf,
    next: u64,
    reserved: u64,
}

impl Sequence {
    /// The counter kept in `directory`; `newest` is the highest number among the segments there, in case the counter is
    /// lost.
    ///
    /// # Errors
    /// The file system's, other than that there is no counter yet. One that cannot be parsed counts as lost.
    pub(crate) fn open(directory: &Path, newest: Option<u64>) -> io::Result<Self> {
        let path = directory.join(FILE);
        let kept = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        let next = kept.max(newest.map_or(0, |newest| newest.saturating_add(1))).max(1);
        Ok(Self {
            path,
            next,
            reserved: next,
        })
    }

    /// The next number.
    ///
    /// # Errors
    /// The file system's, when no more numbers can be reserved; no number is given then.
    pub(crate) fn take(&mut self) -> io::Result<u64> {
        if self.next == self.reserved {
            let reserved = self.next.saturating_add(RESERVED);
            write_atomically(&self.path, reserved.to_string().as_bytes())?;
            self.reserved = reserved;
        }
        let taken = self.next;
        self.next += 1;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_given_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut last = 0;
        for restart in 0..5 {
            let mut sequence = Sequence::open(directory.path(), None).unwrap();
            for _ in 0..=restart * 40 {
                let taken = sequence.take().unwrap();
                assert!(taken > last);
                last = taken;
            }
        }
        fs::remove_file(directory.path().join(FILE)).unwrap();
        assert!(Sequence::open(directory.path(), Some(last)).unwrap().take().unwrap() > last);
        fs::write(directory.path().join(FILE), "damaged").unwrap();
        assert!(Sequence::open(directory.path(), Some(last)).unwrap().take().unwrap() > last);
    }
}
