//! SHA-256 of bodies in memory and of files too large for it.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Operation, Result};

const CHUNK_BYTES: usize = 256 * 1024;

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(bytes.as_ref()).into()
}

/// The SHA-256 of a file's content, read in pieces so that memory stays bounded.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read.
pub async fn sha256_file(path: &Path) -> Result<[u8; 32]> {
    let path = path.to_owned();
    let shown = path.display().to_string();
    tokio::task::spawn_blocking(move || digest_file(&path))
        .await
        .map_err(|stopped| std::io::Error::other(stopped.to_string()))
        .and_then(|outcome| outcome)
        .map_err(|cause| Error::io(Operation::Get, shown, cause))
}

fn digest_file(path: &PathBuf) -> std::io::Result<[u8; 32]> {
    let mut file = std::fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(chunk.get(..read).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_has_the_digest_of_its_bytes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = vec![7; CHUNK_BYTES * 2 + 1];
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(sha256_file(file.path()).await.unwrap(), sha256(&bytes));
    }

    #[test]
    fn the_digest_is_the_standard_one() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
