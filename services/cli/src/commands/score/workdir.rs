//! The directory in which a result grows: finished parts, and what they are parts of.
//!
//! ```text
//! OUT.part/lock                 one process at a time
//! OUT.part/plan.json            written first: what the run is about
//! OUT.part/part-00000.table     rows of the result     .refused  bad rows     .calls  whom to call
//! OUT.part/part-00000.json      written last: the part is whole, and what is in it
//! ```
//!
//! A part counts when its `.json` is there, which follows the part's own bytes to the disk. So a run that ended anyhow, killed or without
//! power, goes on behind its last whole part, and the result is the same byte for byte.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::place::sync_directory;
use super::plan::Plan;
use crate::failure::{Failure, Result};

const LOCK: &str = "lock";
const PLAN: &str = "plan.json";

/// What a finished part holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartFacts {
    /// Rows of the source that it stands for.
    pub(super) rows_read: u64,
    /// Rows scored.
    pub(super) rows: u64,
    /// Of these, expected to leave.
    pub(super) expected_to_leave: u64,
    /// Rows that break a rule.
    pub(super) refused: u64,
    /// Size of its piece of the table.
    pub(super) table_bytes: u64,
    /// Whether the source ended in it.
    pub(super) last: bool,
}

/// One of a part's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Table,
    Refused,
    Calls,
}

/// The directory, locked for this process.
#[derive(Debug)]
pub(super) struct WorkDirectory {
    path: PathBuf,
    parts: Vec<PartFacts>,
    _lock: File,
}

impl WorkDirectory {
    /// Opens the directory for a plan, makes it when it is not there, and finds the parts that are finished. `restart` throws away
    /// what is there.
    ///
    /// # Errors
    /// Another process works in it, it belongs to another plan, or it is none of this command's.
    pub(super) fn open(path: &Path, plan: &Plan, restart: bool) -> Result<Self> {
        let failed =
            |error: io::Error| Failure::new(format!("the work directory {} cannot be used: {error}", path.display()));
        let was_there = path.is_dir();
        if !was_there {
            fs::create_dir(path).map_err(failed)?;
        }
        if was_there && !path.join(PLAN).exists() && !only_ours(path).map_err(failed)? {
            return Err(Failure::new(format!(
                "{} is in the way: it is no work directory of this command",
                path.display()
            ))
            .hint("move it away, or name another with --work-dir"));
        }
        let lock = File::create(path.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(format!(
                    "another process is working in {}",
                    path.display()
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut directory = Self {
            path: path.to_owned(),
            parts: Vec::new(),
            _lock: lock,
        };
        match fs::read(path.join(PLAN)) {
            Ok(bytes) if !restart => {
                directory.find_parts().map_err(failed)?;
                match directory.must_be_of(plan, &bytes) {
                    Ok(()) => {}
                    // Nothing would be lost.
                    Err(_) if directory.parts.is_empty() => directory.begin(plan).map_err(failed)?,
                    Err(failure) => return Err(failure),
                }
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => directory.begin(plan).map_err(failed)?,
        }
        Ok(directory)
    }

    /// The finished parts, first to last.
    pub(super) fn parts(&self) -> &[PartFacts] {
        &self.parts
    }

    /// Whether the source was read to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.parts.last().is_some_and(|part| part.last)
    }

    /// A file of a part.
    pub(super) fn piece(&self, part: usize, piece: Piece) -> PathBuf {
        piece_path(&self.path, part, piece)
    }

    /// A file of the run as a whole.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks again which parts are finished.
    pub(super) fn refresh(&mut self) -> Result<()> {
        self.find_parts()
            .map_err(|error| Failure::new(format!("{} cannot be read: {error}", self.path.display())))
    }

    /// Removes the directory with all that is in it.
    pub(super) fn remove(self) -> io::Result<()> {
        fs::remove_dir_all(&self.path)
    }

    fn must_be_of(&self, plan: &Plan, bytes: &[u8]) -> Result<()> {
        let begun: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let differences = plan.differences(&begun);
        if differences.is_empty() {
            return Ok(());
        }
        let hint = match plan.other_version(&begun) {
            Some(version) => format!("go on with --version {version}, or begin anew with --restart"),
            None => "ask for the same again to go on, or begin anew with --restart".to_owned(),
        };
        let what = differences.join("; ");
        let path = self.path.display();
        Err(Failure::new(format!("{path} holds the parts of another run: {what}")).hint(hint))
    }

    fn begin(&mut self, plan: &Plan) -> io::Result<()> {
        // The plan goes first: without it, what is left is nobody's parts.
        for name in [PLAN].into_iter().map(PathBuf::from).chain(self.leftovers()?) {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let text = serde_json::to_vec_pretty(plan)?;
        write_durably(&self.path, PLAN, &text)
    }

    fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if name != LOCK && is_ours(&name) {
                names.push(PathBuf::from(name));
            }
        }
        Ok(names)
    }

    fn find_parts(&mut self) -> io::Result<()> {
        self.parts.clear();
        loop {
            let number = self.parts.len();
            let facts = match fs::read(self.path.join(facts_name(number))) {
                Ok(bytes) => serde_json::from_slice::<PartFacts>(&bytes)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            let size = fs::metadata(self.piece(number, Piece::Table)).map_or(0, |metadata| metadata.len());
            // A part that lost bytes, and all behind it, are made again.
            if size != facts.table_bytes {
                return Ok(());
            }
            self.parts.push(facts);
            if facts.last {
                return Ok(());
            }
        }
    }
}

/// A file of a part.
pub(super) fn piece_path(directory: &Path, part: usize, piece: Piece) -> PathBuf {
    let ending = match piece {
        Piece::Table => "table",
        Piece::Refused => "refused",
        Piece::Calls => "calls",
    };
    directory.join(format!("part-{part:05}.{ending}"))
}

/// Says that a part is whole. Its files must be on the disk.
pub(super) fn finish_part(directory: &Path, part: usize, facts: &PartFacts) -> io::Result<()> {
    write_durably(directory, &facts_name(part), &serde_json::to_vec(facts)?)
}

fn facts_name(part: usize) -> String {
    format!("part-{part:05}.json")
}

/// Writes a file that is there whole or not at all, even when the machine loses power.
fn write_durably(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (partial, whole) = (directory.join(format!("{name}.partial")), directory.join(name));
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(partial, whole)?;
    sync_directory(Some(directory))
}

/// Whether a directory without a plan holds nothing that this command has not put there: a run may have ended between two steps.
fn only_ours(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if !is_ours(&entry?.file_name()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let whole = ["source", "table", "refused"];
    name == LOCK
        || whole.contains(&&*name)
        || ["part-", "plan.json", "calls"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_this_command_are_taken_for_its_own() {
        for name in [
            "lock",
            "plan.json",
            "plan.json.partial",
            "part-00012.table",
            "source",
            "calls-0-3",
        ] {
            assert!(is_ours(OsStr::new(name)), "{name}");
        }
        for name in ["notes.txt", "sources", "table.csv", "my-part-1"] {
            assert!(!is_ours(OsStr::new(name)), "{name}");
        }
    }
}
