//! Paths of files in SQLite.

use async_trait::async_trait;
use holdfast_domain::Digest;
use jiff::Timestamp;
use sqlx::{Sqlite, Transaction};

use super::artifacts::{ArtifactStore, Child, Place, StoredBytes};
use super::sqlite::{SqliteStore, micros};
use crate::error::{Error, Result};
use crate::service::artifacts::ArtifactPath;

/// Rows read at once while the children of a folder are looked for.
const SCAN_ROWS: i64 = 256;
/// Above every path.
const BEYOND: &str = "\u{10FFFF}";

#[async_trait]
impl ArtifactStore for SqliteStore {
    async fn announce_bytes(&self, digest: &Digest, size_bytes: u64, now: Timestamp) -> Result<StoredBytes> {
        let mut tx = self.write().await?;
        let (edition,): (u32,) = sqlx::query_as(
            "INSERT INTO artifact_blobs (digest, size_bytes, edition, touched_at_us, condemned) VALUES ($1, $2, 0, $3, 0)
             ON CONFLICT (digest) DO UPDATE SET touched_at_us = excluded.touched_at_us,
                 edition = artifact_blobs.edition + artifact_blobs.condemned, condemned = 0
             RETURNING edition",
        )
        .bind(digest.to_string())
        .bind(stored_size(size_bytes)?)
        .bind(micros(now))
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(StoredBytes {
            digest: *digest,
            size_bytes,
            edition,
        })
    }

    async fn put_artifact(&self, path: &ArtifactPath, bytes: &StoredBytes, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        refuse_taken(&mut tx, path).await?;
        let replaced: Option<(String,)> = sqlx::query_as("SELECT digest FROM artifacts WHERE path = $1")
            .bind(path.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some((digest,)) = replaced {
            sqlx::query("UPDATE artifact_blobs SET touched_at_us = $2 WHERE digest = $1")
                .bind(digest)
                .bind(micros(now))
                .execute(&mut *tx)
                .await?;
        }
        let live = sqlx::query(
            "UPDATE artifact_blobs SET touched_at_us = $3 WHERE digest = $1 AND edition = $2 AND condemned = 0",
        )
        .bind(bytes.digest.to_string())
        .bind(bytes.edition)
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        if live.rows_affected() == 0 {
            return Err(Error::ArtifactBytesCollected(path.to_string()));
        }
        sqlx::query(
            "INSERT INTO artifacts (path, digest, size_bytes, created_at_us, updated_at_us) VALUES ($1, $2, $3, $4, $4)
             ON CONFLICT (path) DO UPDATE SET digest = excluded.digest, size_bytes = excluded.size_bytes,
                 updated_at_us = excluded.updated_at_us",
        )
        .bind(path.as_str())
        .bind(bytes.digest.to_string())
        .bind(stored_size(bytes.size_bytes)?)
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    async fn artifact(&self, path: &ArtifactPath) -> Result<Option<StoredBytes>> {
        let row: Option<(String, i64, u32)> = sqlx::query_as(
            "SELECT artifacts.digest, artifacts.size_bytes, artifact_blobs.edition FROM artifacts
             JOIN artifact_blobs ON artifact_blobs.digest = artifacts.digest WHERE artifacts.path = $1",
        )
        .bind(path.as_str())
        .fetch_optional(&self.readers)
        .await?;
        row.map(|(digest, size, edition)| {
            Ok(StoredBytes {
                digest: digest_of(&digest)?,
                size_bytes: size_of(size)?,
                edition,
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
            let rows: Vec<(String, String, i64)> = sqlx::query_as(
                "SELECT path, digest, size_bytes FROM artifacts WHERE path >= $1 AND path < $2 ORDER BY path LIMIT $3",
            )
            .bind(&from)
            .bind(&end)
            .bind(SCAN_ROWS)
            .fetch_all(&self.readers)
            .await?;
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
                        file: Some((size_of(size)?, Some(digest_of(&digest)?))),
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
        let mut tx = self.write().await?;
        sqlx::query(
            "UPDATE artifact_blobs SET touched_at_us = $4 WHERE digest IN
                 (SELECT digest FROM artifacts WHERE path = $1 OR (path > $2 AND path < $3))",
        )
        .bind(path.as_str())
        .bind(format!("{path}/"))
        .bind(behind_folder(path.as_str()))
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        let removed = sqlx::query("DELETE FROM artifacts WHERE path = $1 OR (path > $2 AND path < $3)")
            .bind(path.as_str())
            .bind(format!("{path}/"))
            .bind(behind_folder(path.as_str()))
            .execute(&mut *tx)
            .await?
            .rows_affected();
        tx.commit().await?;
        Ok(removed)
    }
}

/// The smallest text that is above a folder and all in it: `0` is the character after `/`.
fn behind_folder(folder: &str) -> String {
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
async fn refuse_taken(tx: &mut Transaction<'static, Sqlite>, path: &ArtifactPath) -> Result<()> {
    for folder in path.folders() {
        let file: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM artifacts WHERE path = $1")
            .bind(folder)
            .fetch_optional(&mut **tx)
            .await?;
        if file.is_some() {
            return Err(Error::ArtifactPathTaken {
                path: path.to_string(),
                by: format!("{folder:?} is a file"),
            });
        }
    }
    let inside: Option<(i64,)> = sqlx::query_as("SELECT 1 FROM artifacts WHERE path > $1 AND path < $2 LIMIT 1")
        .bind(format!("{path}/"))
        .bind(behind_folder(path.as_str()))
        .fetch_optional(&mut **tx)
        .await?;
    if inside.is_some() {
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

fn size_of(stored: i64) -> Result<u64> {
    u64::try_from(stored).map_err(|_| Error::Corrupt(format!("size of {stored} bytes")))
}

fn digest_of(text: &str) -> Result<Digest> {
    text.parse().map_err(|_| Error::Corrupt(format!("digest {text:?}")))
}
