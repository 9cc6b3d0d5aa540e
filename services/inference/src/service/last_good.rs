//! The last good model on local disk: with it a replica starts while registry and blob store are away.
//!
//! `models/{digest}.hfm` are artefacts, written whole or not at all; `models/last_good.json` names the one in service
//! and those kept beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use serde::{Deserialize, Serialize};

use super::identity::write_atomically;
use super::target::Target;

const FORMAT_VERSION: u32 = 1;
const ENTRY: &str = "last_good.json";
const EXTENSION: &str = "hfm";

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    format_version: u32,
    model: ModelName,
    version: ModelVersion,
    artifact_digest: Digest,
    generation: Generation,
    /// Artefacts on disk, the newest first.
    kept: Vec<Digest>,
}

/// The artefacts on local disk.
#[derive(Clone, Debug)]
pub struct LastGood {
    directory: PathBuf,
    keep: usize,
}

impl LastGood {
    /// Those in `directory`, of which `keep` stay.
    ///
    /// # Errors
    /// The file system's, when there can be no such directory.
    pub fn open(directory: &Path, keep: usize) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            keep,
        })
    }

    /// What served last, if it was `model`. An entry that cannot be read counts as none.
    pub fn entry(&self, model: &ModelName) -> Option<Target> {
        let entry = self.read()?;
        (entry.model == *model).then_some(Target {
            model: entry.model,
            version: entry.version,
            artifact_digest: entry.artifact_digest,
            generation: entry.generation,
        })
    }

    /// The bytes of an artefact, if they are here and whole. Damaged ones are removed.
    pub fn artifact(&self, digest: &Digest) -> Option<Bytes> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        if Digest::of(&bytes) == *digest {
            return Some(bytes.into());
        }
        tracing::warn!(%digest, "the copy of an artefact on local disk is damaged and is removed");
        let _ = fs::remove_file(&path);
        None
    }

    /// Keeps an artefact that was prepared and serves; `bytes` are `None` when it is here already. Others beyond the
    /// number to keep are removed.
    ///
    /// # Errors
    /// The file system's; what was kept before is still there.
    pub fn keep(&self, target: &Target, bytes: Option<&[u8]>) -> io::Result<()> {
        let path = self.path(&target.artifact_digest);
        if let Some(bytes) = bytes.filter(|_| !path.exists()) {
            write_atomically(&path, bytes)?;
        }
        let mut kept = vec![target.artifact_digest];
        kept.extend(
            self.read()
                .into_iter()
                .flat_map(|entry| entry.kept)
                .filter(|digest| *digest != target.artifact_digest),
        );
        kept.truncate(self.keep);
        let entry = Entry {
            format_version: FORMAT_VERSION,
            model: target.model.clone(),
            version: target.version,
            artifact_digest: target.artifact_digest,
            generation: target.generation,
            kept,
        };
        let text = serde_json::to_vec_pretty(&entry).map_err(io::Error::other)?;
        write_atomically(&self.directory.join(ENTRY), &text)?;
        self.remove_all_but(&entry.kept)
    }

    fn remove_all_but(&self, kept: &[Digest]) -> io::Result<()> {
        for file in fs::read_dir(&self.directory)? {
            let path = file?.path();
            let is_artifact = path.extension().is_some_and(|extension| extension == EXTENSION);
            if is_artifact && !kept.iter().any(|digest| self.path(digest) == path) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn read(&self) -> Option<Entry> {
        let bytes = fs::read(self.directory.join(ENTRY)).ok()?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        (entry.format_version == FORMAT_VERSION).then_some(entry)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{digest}.{EXTENSION}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(bytes: &[u8], generation: u64) -> Target {
        Target {
            model: ModelName::parse("churn").unwrap(),
            version: ModelVersion(1),
            artifact_digest: Digest::of(bytes),
            generation: Generation(generation),
        }
    }

    #[test]
    fn the_newest_artefacts_are_kept_and_the_others_removed() {
        let directory = tempfile::tempdir().unwrap();
        let disk = LastGood::open(directory.path(), 2).unwrap();
        for (generation, bytes) in [b"one", b"two", b"six"].iter().enumerate() {
            disk.keep(&target(*bytes, generation as u64 + 1), Some(*bytes)).unwrap();
        }
        assert_eq!(disk.artifact(&Digest::of(b"one")), None);
        assert_eq!(disk.artifact(&Digest::of(b"two")).unwrap(), "two");
        assert_eq!(disk.entry(&ModelName::parse("churn").unwrap()), Some(target(b"six", 3)));
        assert_eq!(disk.entry(&ModelName::parse("other").unwrap()), None);
    }

    #[test]
    fn a_damaged_copy_is_no_copy() {
        let directory = tempfile::tempdir().unwrap();
        let disk = LastGood::open(directory.path(), 2).unwrap();
        disk.keep(&target(b"one", 1), Some(b"one")).unwrap();
        fs::write(disk.path(&Digest::of(b"one")), "oneX").unwrap();
        assert_eq!(disk.artifact(&Digest::of(b"one")), None);
        assert!(!disk.path(&Digest::of(b"one")).exists());
    }
}
