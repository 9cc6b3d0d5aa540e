//! Results in files that appear whole or not at all.

use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use crate::failure::{Failure, Result};

/// A file that grows beside its place and moves there when it is whole; dropped before that, it is removed.
#[derive(Debug)]
pub(crate) struct Unfinished {
    target: PathBuf,
    partial: Option<PathBuf>,
    file: tokio::io::BufWriter<tokio::fs::File>,
}

/// Writes a file at once, whole or not at all; one of this name is replaced.
pub(crate) async fn write_whole(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Unfinished::create(target).await?;
    file.write(bytes).await?;
    file.finish().await
}

impl Unfinished {
    /// Opens a file beside `target`, of a name of this process's own.
    pub(crate) async fn create(target: &Path) -> Result<Self> {
        let mut name = target
            .file_name()
            .map(ToOwned::to_owned)
            .ok_or_else(|| Failure::usage("--out names no file"))?;
        name.push(format!(".{}.partial", std::process::id()));
        let partial = target.with_file_name(name);
        let file = tokio::fs::File::create(&partial)
            .await
            .map_err(|error| unwritable(target, &error))?;
        Ok(Self {
            target: target.to_owned(),
            partial: Some(partial),
            file: tokio::io::BufWriter::new(file),
        })
    }

    /// Adds bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .await
            .map_err(|error| unwritable(&self.target, &error))
    }

    /// Brings everything to disk and the file into its place; what was there before is replaced.
    pub(crate) async fn finish(mut self) -> Result<()> {
        let finished = async {
            self.file.flush().await?;
            self.file.get_ref().sync_all().await?;
            if let Some(partial) = &self.partial {
                tokio::fs::rename(partial, &self.target).await?;
            }
            Ok(())
        };
        finished.await.map_err(|error| unwritable(&self.target, &error))?;
        self.partial = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // If it cannot be removed, the failure that led here is the one to hear of.
            let _ = std::fs::remove_file(partial);
        }
    }
}

fn unwritable(target: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("scores.csv");
        let mut dropped = Unfinished::create(&target).await.unwrap();
        dropped.write(b"half").await.unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

        let mut finished = Unfinished::create(&target).await.unwrap();
        finished.write(b"whole").await.unwrap();
        assert!(!target.exists());
        finished.finish().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
