//! Paths of files in SQL.

use async_trait::async_trait;
use holdfast_domain::Digest;
use jiff::Timestamp;

use super::artifacts::{ArtifactStore, Child, Place, StoredBytes};
use super::database::{SqlStore, digest as stored_digest, micros};
use super::statement::{Tx, values};
use crate::error::{Error, Result};
use crate::service::artifacts::ArtifactPath;

/// Rows read at once while the children of a folder are looked for.
const SCAN_ROWS: i64 = 256;
/// Above every path.
const BEYOND: &str = "\u{10FFFF}";
/// Held by who gives paths away or takes them: a path is a file or a folder, whoever writes beside it.
pub(super) const PATHS_LOCK: &str = "artifact paths";

#[async_trait]
impl ArtifactStore for SqlStore {
    async fn announce_bytes(&self, digest: &Digest, size_bytes: u64, now: Timestamp) -> Result<StoredBytes> {
        let values = values![digest.to_string(), stored_size(size_bytes)?, micros(now)];
        let edition = self
            .write(move |mut tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO artifact_blobs (digest, size_bytes, edition, touched_at_us, condemned)
                               VALUES ($1, $2, 0, $3, 0)
                               ON CONFLICT (digest) DO UPDATE SET touched_at_us = excluded.touched_at_us,
                                   edition = artifact_blobs.edition + artifact_blobs.condemned, condemned = 0
                               RETURNING edition";
                    let (edition,): (i64,) = tx.fetch_one(sql, values).await?;
                    edition_of(edition)
                })
            })
            .await?;
        Ok(StoredBytes {
            digest: *digest,
            size_bytes,
            edition,
        })
    }

    async fn put_artifact(&self, path: &ArtifactPath, bytes: &StoredBytes, now: Timestamp) -> Result<()> {
        let (path, bytes) = (path.clone(), *bytes);
        let size = stored_size(bytes.size_bytes)?;
        self.write(move |mut tx| {
            Box::pin(async move {
                tx.lock(PATHS_LOCK).await?;
                refuse_taken(&mut tx, &path).await?;
                let sql = "UPDATE artifact_blobs SET touched_at_us = $2
                           WHERE digest = (SELECT digest FROM artifacts WHERE path = $1)";
                tx.execute(sql, values![path.as_str(), micros(now)]).await?;
                let sql = "UPDATE artifact_blobs SET touched_at_us = $3
                           WHERE digest = $1 AND edition = $2 AND condemned = 0";
                let digest = bytes.digest.to_string();
                let live = tx.execute(sql, values![&digest, bytes.edition, micros(now)]).await?;
                if live == 0 {
                    return Err(Error::ArtifactBytesCollected(path.to_string()));
                }
                let sql = "INSERT INTO artifacts (path, digest, size_bytes, created_at_us, updated_at_us)
                           VALUES ($1, $2, $3, $4, $4)
                           ON CONFLICT (path) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes,
                               updated_at_us = excluded.updated_at_us";
                tx.execute(sql, values![path.as_str(), digest, size, micros(now)])
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn artifact(&self, path: &ArtifactPath) -> Result<Option<StoredBytes>> {
        let sql = "SELECT artifacts.digest, artifacts.size_bytes, artifact_blobs.edition FROM artifacts
                   JOIN artifact_blobs ON artifact_blobs.digest = artifacts.digest WHERE artifacts.path = $1";
        let row = self
            .readers
            .fetch_optional::<(String, i64, i64)>(sql, values![path.as_str()])
            .await?;
        row.map(|(digest, size, edition)| {
            Ok(StoredBytes {
                digest: stored_digest(&digest)?,
                size_bytes: size_of(size)?,
                edition: edition_of(edition)?,
            })
        })
        .transpose()
    }

    async fn artifact_children(
        &self,
        folder: Option<&ArtifactPath>,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<Child>> {
        let (below, end) = match folder {
            None => (String::new(), BEYOND.to_owned()),
            Some(folder) => (format!("{folder}/"), behind_folder(folder.as_str())),
        };
        let mut from = match after {
            None => below.clone(),
            Some(place) => format!("{below}{}", behind(place)),
        };
        let mut children = Vec::new();
        // A folder is passed over in one step, so that a list costs what it shows and not what lies deeper.
        'scan: while children.len() < limit {
            let sql =
                "SELECT path, digest, size_bytes FROM artifacts WHERE path >= $1 AND path < $2 ORDER BY path LIMIT $3";
            let values = values![&from, &end, SCAN_ROWS];
            let rows = self.readers.fetch_all::<(String, String, i64)>(sql, values).await?;
            if rows.is_empty() {
                break;
            }
            for (path, digest, size) in rows {
                if children.len() == limit {
                    break 'scan;
                }
                let name = path.strip_prefix(&below).unwrap_or(&path);
                let child = match name.split_once('/') {
                    Some((folder, _)) => Child {
                        name: folder.to_owned(),
                        file: None,
                    },
                    None => Child {
                        name: name.to_owned(),
                        file: Some((size_of(size)?, Some(stored_digest(&digest)?))),
                    },
                };
                from = format!("{below}{}", behind(&child.place()));
                let passes_over = child.file.is_none();
                children.push(child);
                if passes_over {
                    continue 'scan;
                }
            }
        }
        Ok(children)
    }

    async fn delete_artifacts(&self, path: &ArtifactPath, now: Timestamp) -> Result<u64> {
        let inside = format!("{path}/");
        let (path, behind) = (path.to_string(), behind_folder(path.as_str()));
        self.write(move |mut tx| {
            Box::pin(async move {
                tx.lock(PATHS_LOCK).await?;
                let sql = "UPDATE artifact_blobs SET touched_at_us = $4 WHERE digest IN
                               (SELECT digest FROM artifacts WHERE path = $1 OR (path > $2 AND path < $3))";
                tx.execute(sql, values![&path, &inside, &behind, micros(now)]).await?;
                let sql = "DELETE FROM artifacts WHERE path = $1 OR (path > $2 AND path < $3)";
                tx.execute(sql, values![path, inside, behind]).await
            })
        })
        .await
    }
}

/// The smallest text that is above a folder and all in it: `0` is the character after `/`.
pub(super) fn behind_folder(folder: &str) -> String {
    format!("{folder}0")
}

/// The smallest text that is above a child and, if it is a folder, all in it. No path has a control character.
fn behind(place: &Place) -> String {
    if place.is_dir {
        behind_folder(&place.name)
    } else {
        format!("{}\u{1}", place.name)
    }
}

/// A path is a file or a folder, never both: who downloads a folder writes files into it.
async fn refuse_taken(tx: &mut Tx<'_>, path: &ArtifactPath) -> Result<()> {
    for folder in path.folders() {
        let sql = "SELECT path FROM artifacts WHERE path = $1";
        if tx.fetch_optional::<(String,)>(sql, values![folder]).await?.is_some() {
            return Err(Error::ArtifactPathTaken {
                path: path.to_string(),
                by: format!("{folder:?} is a file"),
            });
        }
    }
    let sql = "SELECT path FROM artifacts WHERE path > $1 AND path < $2 LIMIT 1";
    let inside = values![format!("{path}/"), behind_folder(path.as_str())];
    if tx.fetch_optional::<(String,)>(sql, inside).await?.is_some() {
        return Err(Error::ArtifactPathTaken {
            path: path.to_string(),
            by: "it is a folder".to_owned(),
        });
    }
    Ok(())
}

fn stored_size(bytes: u64) -> Result<i64> {
    i64::try_from(bytes).map_err(|_| Error::Corrupt(format!("size of {bytes} bytes")))
}

pub(super) fn size_of(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| Error::Corrupt(format!("size of {stored} bytes")))
}

pub(super) fn edition_of(stored: i64) -> Result<u32> {
    u32::try_from(stored).map_err(|_| Error::Corrupt(format!("edition {stored}")))
}
