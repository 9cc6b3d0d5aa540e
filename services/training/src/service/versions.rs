//! Versions as they are on record: what the registry knows of them, their artefacts, and what their evaluations left.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_domain::{Digest, ModelName, ModelVersion, Schema};
use holdfast_model::Model;
use holdfast_records::evaluation::{self, Evaluation};
use holdfast_records::layout;
use holdfast_records::snapshot::SnapshotManifest;
use holdfast_storage::BlobStore;

use super::registry::{Champion, Registry, RunFacts, VersionFacts};
use super::snapshots::Snapshots;
use crate::error::{Error, Result};

/// What is on record of versions. Clones read the same records.
#[derive(Clone, Debug)]
pub struct Versions {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) blobs: Arc<dyn BlobStore>,
    pub(super) snapshots: Snapshots,
    pub(super) schema: &'static Schema,
}

/// A file that an evaluation left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// An artefact that is the one registered.
#[derive(Debug)]
pub struct RegisteredArtifact {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its bytes.
    pub bytes: Bytes,
    /// The model in them.
    pub model: Model,
}

impl Versions {
    /// What the registry knows of a version.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; the registry's.
    pub async fn facts(&self, model: &ModelName, version: ModelVersion) -> Result<VersionFacts> {
        let found = self.registry.version(model, version).await?;
        found.ok_or_else(|| Error::NoSuchVersion {
            model: model.clone(),
            version,
        })
    }

    /// The run that made a version, when the registry has it.
    ///
    /// # Errors
    /// The registry's.
    pub async fn run(&self, facts: &VersionFacts) -> Result<Option<RunFacts>> {
        Ok(self.registry.run(&facts.run_id).await?)
    }

    /// The champion in force.
    ///
    /// # Errors
    /// The registry's.
    pub async fn champion(&self, model: &ModelName) -> Result<Option<Champion>> {
        Ok(self.registry.champion(model).await?)
    }

    /// A version's artefact.
    ///
    /// # Errors
    /// [`Error::VersionPending`]; [`Error::Damaged`] when it is gone, is not the one registered, or cannot be read; the blob
    /// store's.
    pub async fn artifact(&self, facts: &VersionFacts) -> Result<RegisteredArtifact> {
        let version = facts.version;
        let expected = facts.artifact_digest.ok_or_else(|| Error::VersionPending {
            model: facts.model.clone(),
            version,
        })?;
        let damaged = move |why: String| Error::Damaged { version, why };
        let key = layout::model_key(&facts.model, version);
        let bytes = match self.blobs.get(&key).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Err(damaged(format!("{key} is not in the blob store"))),
            Err(error) => return Err(error.into()),
        };
        let schema = self.schema;
        let read = tokio::task::spawn_blocking(move || {
            let found = Digest::of(&bytes);
            if found != expected {
                return Err(damaged(format!("{key} has the digest {found}, not {expected}")));
            }
            let model = Model::decode(&bytes, schema).map_err(|error| damaged(format!("{key}: {error}")))?;
            Ok(RegisteredArtifact {
                digest: expected,
                bytes,
                model,
            })
        });
        read.await.map_err(|_| Error::Panicked)?
    }

    /// The evaluation of a version; `None` when its run left none.
    ///
    /// # Errors
    /// [`Error::Damaged`]; the blob store's.
    pub async fn evaluation(&self, facts: &VersionFacts) -> Result<Option<Evaluation>> {
        match evaluation::read(&*self.blobs, &facts.run_id).await {
            Ok(evaluation) => Ok(Some(evaluation)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(holdfast_records::Error::Format { key, source }) => Err(Error::Damaged {
                version: facts.version,
                why: format!("{key}: {source}"),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// What is known of a snapshot; `None` when it is not there.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn snapshot(&self, digest: Option<Digest>) -> Result<Option<SnapshotManifest>> {
        let Some(digest) = digest else { return Ok(None) };
        match self.snapshots.get(&digest).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Error::NoSuchSnapshot(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files that a version's evaluation left, by name; none for a version from before there were any.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]; the stores'.
    pub async fn files(&self, model: &ModelName, version: ModelVersion) -> Result<Vec<EvaluationFile>> {
        let facts = self.facts(model, version).await?;
        let files = evaluation::files(&*self.blobs, &facts.run_id).await?;
        Ok(files
            .into_iter()
            .map(|(name, size_bytes)| EvaluationFile {
                content_type: content_type(&name),
                name,
                size_bytes,
            })
            .collect())
    }

    /// One of these files, with its media type.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], [`Error::NoSuchFile`]; the stores'.
    pub async fn file(&self, model: &ModelName, version: ModelVersion, name: &str) -> Result<(Bytes, &'static str)> {
        let facts = self.facts(model, version).await?;
        let none = || Error::NoSuchFile {
            version,
            name: name.chars().take(100).collect(),
        };
        if !evaluation::is_file(name) {
            return Err(none());
        }
        let key = evaluation::file_key(&facts.run_id, name)?;
        match self.blobs.get(&key).await {
            Ok(bytes) => Ok((bytes, content_type(name))),
            Err(error) if error.is_not_found() => Err(none()),
            Err(error) => Err(error.into()),
        }
    }
}

fn content_type(name: &str) -> &'static str {
    if name == evaluation::FILE_NAME {
        "application/json"
    } else {
        "image/svg+xml"
    }
}
