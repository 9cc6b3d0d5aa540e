//! A download that appears at its path whole and synced, or not at all.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use crate::error::{Error, Operation, Result};

/// A temporary file beside the target; removed when dropped before [`Landing::finish`].
pub(crate) struct Landing {
    path: PathBuf,
    temporary: tempfile::TempPath,
    file: tokio::fs::File,
    written: u64,
}

impl Landing {
    pub(crate) async fn open(path: &Path) -> Result<Self> {
        let target = path.to_owned();
        let temporary = blocking(path, move || {
            let parent = target
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
                .unwrap_or(Path::new("."));
            tempfile::Builder::new()
                .prefix(".download-")
                // The usual mode of a new file (the umask still applies), not the private one of temporary files.
                .permissions(Permissions::from_mode(0o666))
                .tempfile_in(parent)
        })
        .await?;
        let (file, temporary) = temporary.into_parts();
        Ok(Self {
            path: path.to_owned(),
            temporary,
            file: tokio::fs::File::from_std(file),
            written: 0,
        })
    }

    pub(crate) async fn write(&mut self, chunk: &[u8]) -> Result<()> {
        self.file
            .write_all(chunk)
            .await
            .map_err(|cause| failed(&self.path, cause))?;
        self.written += chunk.len() as u64;
        Ok(())
    }

    /// Syncs and moves the file into place; answers the bytes written.
    pub(crate) async fn finish(mut self) -> Result<u64> {
        let path = self.path.clone();
        self.file.flush().await.map_err(|cause| failed(&path, cause))?;
        self.file.sync_all().await.map_err(|cause| failed(&path, cause))?;
        drop(self.file);
        let (temporary, target) = (self.temporary, self.path);
        blocking(&path, move || temporary.persist(target).map_err(|error| error.error)).await?;
        Ok(self.written)
    }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|stopped| std::io::Error::other(stopped.to_string()))
        .and_then(|outcome| outcome)
        .map_err(|cause| failed(path, cause))
}

fn failed(path: &Path, cause: std::io::Error) -> Error {
    Error::io(Operation::Get, path.display().to_string(), cause)
}
