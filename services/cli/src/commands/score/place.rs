//! Where results go: a file, or an object in S3. Either appears whole or not at all.

use std::fmt;
use std::path::{Path, PathBuf};

use holdfast_sources::S3Object;
use holdfast_storage::{MAX_PUT_BYTES, S3Settings};
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

/// How a table of scores is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TableFormat {
    /// Comma-separated values with a header.
    Csv,
    /// Parquet.
    Parquet,
}

impl TableFormat {
    /// By the ending of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        match Path::new(name).extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// A place for a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// An object in a bucket.
    S3(S3Object),
}

impl Place {
    /// Reads what `flag` was given. The format is that of the ending.
    pub(super) fn parse(flag: &str, text: &str) -> Result<(Self, TableFormat)> {
        let format = TableFormat::of(text).ok_or_else(|| {
            Failure::usage(format!(
                "{flag} {text:?} must end in .csv or .parquet: that says how it is written"
            ))
        })?;
        if text.contains("://") {
            return Ok((Self::S3(S3Object::parse(text)?), format));
        }
        Ok((Self::File(PathBuf::from(text)), format))
    }

    /// The place beside this one with `ending` after its name.
    pub(super) fn beside(&self, ending: &str) -> Self {
        match self {
            Self::File(path) => {
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(ending);
                Self::File(path.with_file_name(name))
            }
            Self::S3(object) => Self::S3(S3Object {
                key: format!("{}{ending}", object.key),
                ..object.clone()
            }),
        }
    }

    /// Where the parts of the work lie unless said otherwise: beside a file, or for an object in the working directory.
    pub(super) fn work_directory(&self) -> PathBuf {
        match self.beside(".part") {
            Self::File(path) => path,
            Self::S3(object) => PathBuf::from(object.key.rsplit('/').next().unwrap_or("score.part")),
        }
    }

    pub(super) fn is_s3(&self) -> bool {
        matches!(self, Self::S3(_))
    }

    /// Brings a finished file into its place; what was there before is replaced. A file must be on the place's own file system.
    pub(super) async fn publish(&self, finished: &Path, s3: &S3Settings) -> Result<()> {
        match self {
            Self::File(path) => {
                let (from, to) = (finished.to_owned(), path.clone());
                let moved = tokio::task::spawn_blocking(move || move_file(&from, &to)).await;
                let moved = moved.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                moved.map_err(|error| self.unwritable(&error))
            }
            Self::S3(object) => {
                let size = tokio::fs::metadata(finished)
                    .await
                    .map_err(|error| self.unwritable(&error))?
                    .len();
                if size > MAX_PUT_BYTES {
                    return Err(
                        Failure::new(format!("{self} would have {size} bytes; S3 takes 5 GiB in one piece"))
                            .hint("write a .parquet file, or fewer reasons, or score to a local file"),
                    );
                }
                let (store, key) = object.open(s3).await?;
                store
                    .put_file(&key, finished)
                    .await
                    .map_err(|error| self.unwritable(&error))
            }
        }
    }

    pub(super) fn unwritable(&self, error: &impl fmt::Display) -> Failure {
        Failure::new(format!("{self} cannot be written: {error}"))
    }
}

/// A move within a file system is one step. Across two of them the file is copied beside its place first.
fn move_file(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Err(error) = std::fs::rename(from, to) {
        if error.kind() != std::io::ErrorKind::CrossesDevices {
            return Err(error);
        }
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(".partial");
        let near = to.with_file_name(name);
        std::fs::copy(from, &near)?;
        std::fs::File::open(&near)?.sync_all()?;
        std::fs::rename(&near, to)?;
    }
    sync_directory(to.parent())
}

/// Makes names in a directory durable.
pub(super) fn sync_directory(directory: Option<&Path>) -> std::io::Result<()> {
    let directory = directory.filter(|path| !path.as_os_str().is_empty());
    std::fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::S3(object) => write!(f, "{object}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_how_a_place_is_written() {
        let (place, format) = Place::parse("--out", "a/scores.parquet").unwrap();
        assert_eq!(format, TableFormat::Parquet);
        assert_eq!(place.beside(".part").to_string(), "a/scores.parquet.part");
        let (place, format) = Place::parse("--out", "s3://bank/monthly/scores.csv").unwrap();
        assert_eq!(format, TableFormat::Csv);
        assert_eq!(
            place.beside(".refused.csv").to_string(),
            "s3://bank/monthly/scores.csv.refused.csv"
        );
        assert_eq!(place.work_directory(), Path::new("scores.csv.part"));
        for wrong in ["scores", "scores.xlsx", "s3://bank", "ftp://bank/a.csv"] {
            assert!(Place::parse("--out", wrong).unwrap_err().usage, "{wrong}");
        }
    }
}
