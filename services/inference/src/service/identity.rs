//! The replica's name, and small files of local state.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use holdfast_records::Slug;
use uuid::Uuid;

use crate::error::{Error, Result};

/// The name from the settings, else the one kept in `directory`, else a new one, which is kept there.
///
/// # Errors
/// [`Error::LocalState`] when the name can be neither read nor kept; [`Error::Setting`] when it is none.
pub fn replica(configured: Option<&str>, directory: &Path) -> Result<Slug> {
    let slug = |text: &str| {
        Slug::parse(text).map_err(|error| Error::Setting {
            key: "inference.replica",
            problem: error.to_string(),
        })
    };
    if let Some(name) = configured {
        return slug(name);
    }
    let path = directory.join("replica");
    let local = |source| Error::LocalState {
        path: path.clone(),
        source,
    };
    match fs::read_to_string(&path) {
        Ok(name) => slug(name.trim()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The random half of a version 7 id: the first half is the time, which replicas started together share.
            let id = Uuid::now_v7().simple().to_string();
            let name = format!("inference-{}", &id[id.len() - 12..]);
            write_atomically(&path, name.as_bytes()).map_err(local)?;
            slug(&name)
        }
        Err(error) => Err(local(error)),
    }
}

/// Replaces a file in one step; it is on disk when this returns.
///
/// # Errors
/// The file system's; the file is as it was then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_added_extension("new");
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    if written.is_err() {
        // What is left is overwritten by the next attempt.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    sync_directory(path)
}

/// Brings the entry of `path` in its directory to disk.
///
/// # Errors
/// The file system's.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_name_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let first = replica(None, directory.path()).unwrap();
        assert_eq!(replica(None, directory.path()).unwrap(), first);
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(replica(None, elsewhere.path()).unwrap(), first);
        assert_eq!(replica(Some("blue"), directory.path()).unwrap().as_str(), "blue");
        assert!(replica(Some("a/b"), directory.path()).is_err());
    }
}
