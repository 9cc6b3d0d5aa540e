//! The artefacts of Holdfast's own versions as files: `models/{model}/{version}/…`, as they lie in the blob store. Read-only.

use std::sync::Arc;

use holdfast_records::layout::Location;
use holdfast_records::model_manifest;
use holdfast_storage::{BlobMeta, BlobStore, Key};

use super::{ArtifactPath, FileInfo, Reading, Verified};
use crate::error::{Error, Result};
use crate::service::store::{Child, Place};

/// Keys asked for at once.
const PAGE_KEYS: usize = 1_000;

/// Files of versions in a blob store.
#[derive(Clone, Debug)]
pub(super) struct VersionFiles {
    blobs: Arc<dyn BlobStore>,
}

impl VersionFiles {
    pub(super) fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs }
    }

    /// Opens a file of a version. An artefact is checked against its manifest.
    pub(super) async fn read(&self, path: &ArtifactPath) -> Result<Reading> {
        let missing = || Error::NoSuchArtifact(path.to_string());
        let key = Key::parse(path.as_str()).map_err(|_| missing())?;
        let digest = match Location::parse(&key) {
            Some(Location::Model(model, version)) => {
                match model_manifest::read(&*self.blobs, &model, version).await {
                    Ok(manifest) => Some(manifest.artifact_digest),
                    // Written last: without one the version is not whole yet.
                    Err(error) if error.is_not_found() => return Err(missing()),
                    Err(error) => return Err(error.into()),
                }
            }
            Some(Location::ModelManifest(..) | Location::Decision(..)) => None,
            _ => return Err(missing()),
        };
        let body = match self.blobs.open(&key).await {
            Err(error) if error.is_not_found() => return Err(missing()),
            opened => opened?,
        };
        Ok(Reading {
            file: FileInfo {
                path: path.to_string(),
                size_bytes: body.size_bytes,
                digest,
            },
            pieces: Verified::pieces(path, body.chunks, digest),
        })
    }

    /// At most `limit` children of a folder behind `after`.
    pub(super) async fn children(
        &self,
        folder: &ArtifactPath,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<Child>> {
        // Too long for a key, or with a segment too long: there is no such folder.
        let Ok(prefix) = Key::parse(folder.as_str()) else {
            return Ok(Vec::new());
        };
        let below = format!("{folder}/");
        let mut children: Vec<Child> = Vec::new();
        let mut last: Option<Key> = None;
        loop {
            let page = self.blobs.list(prefix.as_str(), last.as_ref(), PAGE_KEYS).await?;
            let ends = page.len() < PAGE_KEYS;
            last = page.last().map(|meta| meta.key.clone());
            for meta in page {
                let Some(child) = child(&below, &meta) else { continue };
                let seen = after.is_some_and(|after| order(&child.place()) <= order(after));
                if seen || children.last() == Some(&child) {
                    continue;
                }
                if children.len() == limit {
                    return Ok(children);
                }
                children.push(child);
            }
            if ends {
                return Ok(children);
            }
        }
    }
}

/// The child that a key lies in or is; `None` for keys that are no file of a version.
fn child(below: &str, meta: &BlobMeta) -> Option<Child> {
    if !matches!(
        Location::parse(&meta.key)?,
        Location::Model(..) | Location::ModelManifest(..) | Location::Decision(..)
    ) {
        return None;
    }
    let name = meta.key.as_str().strip_prefix(below)?;
    Some(match name.split_once('/') {
        Some((folder, _)) => Child {
            name: folder.to_owned(),
            file: None,
        },
        None => Child {
            name: name.to_owned(),
            file: Some((meta.size_bytes, None)),
        },
    })
}

/// The order of the keys.
fn order(place: &Place) -> String {
    let slash = if place.is_dir { "/" } else { "" };
    format!("{}{slash}", place.name)
}
