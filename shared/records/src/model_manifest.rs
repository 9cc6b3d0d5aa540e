//! Model manifests: what is known about a version, written after its artefact and once only.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};
use holdfast_storage::{BlobStore, Created};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, FormatError};
use crate::layout::{Location, model_key, model_manifest_key};
use crate::sealed_json;
use crate::stored::create_same;

/// The format version written today.
pub const FORMAT_VERSION: u32 = 1;

/// What is known about a version of a model. A version exists once its manifest does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// Version of this manifest's format: [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// SHA-256 of the artefact.
    pub artifact_digest: Digest,
    /// Size of the artefact in bytes.
    pub size_bytes: u64,
    /// The run that made it.
    pub run_id: RunId,
    /// Snapshots it rests on, by what they were for: `training`, `test`, …
    pub snapshots: BTreeMap<String, Digest>,
    /// Family of the estimator: `boosted_trees`, `logistic_regression`, …
    pub family: String,
    /// When the version was finished.
    pub created_at: Timestamp,
    /// Who asked for it.
    pub created_by: String,
    /// Quality by metric name, for lists; the gate's evidence is stored elsewhere. Finite numbers only.
    pub metrics: BTreeMap<String, f64>,
}

impl ModelManifest {
    /// The stored bytes.
    ///
    /// # Errors
    /// [`FormatError::Unstorable`] for a metric that is not finite.
    pub fn encode(&self) -> Result<Bytes, FormatError> {
        if let Some((name, value)) = self.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(FormatError::Unstorable(format!("metric {name} is {value}")));
        }
        sealed_json::encode(self)
    }

    /// The manifest in stored bytes.
    ///
    /// # Errors
    /// [`FormatError`] for bytes that are damaged or of a newer version.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        sealed_json::decode(bytes, "model manifest", FORMAT_VERSION)
    }
}

/// Stores an artefact and returns its digest. Storing the same bytes again is fine.
///
/// # Errors
/// [`Error::Conflict`] when the version has another artefact; the store's.
pub async fn write_artifact(
    store: &dyn BlobStore,
    model: &ModelName,
    version: ModelVersion,
    bytes: Bytes,
) -> Result<Digest, Error> {
    let digest = Digest::of(&bytes);
    let (Created::Yes | Created::AlreadyExists) = create_same(store, &model_key(model, version), bytes).await?;
    Ok(digest)
}

/// Makes a version exist: checks that its artefact is in the store with the digest and size stated, then writes the manifest.
/// Writing the same manifest again is fine.
///
/// # Errors
/// The store's `NotFound` when the artefact is missing, [`Error::Format`] when it is not the one stated, [`Error::Conflict`] when
/// the version has another manifest.
pub async fn write(store: &dyn BlobStore, manifest: &ModelManifest) -> Result<Created, Error> {
    let bytes = manifest.encode().map_err(Error::Encode)?;
    read_artifact(store, manifest).await?;
    create_same(store, &model_manifest_key(&manifest.model, manifest.version), bytes).await
}

/// The manifest of a version.
///
/// # Errors
/// The store's `NotFound` when there is no such version; [`Error::Format`] when the manifest is damaged or another version's.
pub async fn read(store: &dyn BlobStore, model: &ModelName, version: ModelVersion) -> Result<ModelManifest, Error> {
    let key = model_manifest_key(model, version);
    let manifest = ModelManifest::decode(&store.get(&key).await?).map_err(|error| error.at(&key))?;
    if manifest.model != *model || manifest.version != version {
        let why = format!(
            "it is the manifest of version {} of {}",
            manifest.version, manifest.model
        );
        return Err(FormatError::Malformed(why).at(&key));
    }
    Ok(manifest)
}

/// The artefact a manifest names, checked against its digest.
///
/// # Errors
/// The store's `NotFound` when it is missing; [`Error::Format`] when it is not the one named.
pub async fn read_artifact(store: &dyn BlobStore, manifest: &ModelManifest) -> Result<Bytes, Error> {
    let key = model_key(&manifest.model, manifest.version);
    let bytes = store.get(&key).await?;
    let found = Digest::of(&bytes);
    if found != manifest.artifact_digest || bytes.len() as u64 != manifest.size_bytes {
        let why = format!(
            "it has {} bytes and the digest {found}, but its manifest says {} and {}",
            bytes.len(),
            manifest.size_bytes,
            manifest.artifact_digest
        );
        return Err(FormatError::Malformed(why).at(&key));
    }
    Ok(bytes)
}

/// The versions of a model that have a manifest, lowest first.
///
/// # Errors
/// The store's.
pub async fn versions(store: &dyn BlobStore, model: &ModelName) -> Result<Vec<ModelVersion>, Error> {
    let objects = holdfast_storage::list_all(store, &format!("models/{model}")).await?;
    let mut versions: Vec<ModelVersion> = objects
        .iter()
        .filter_map(|object| match Location::parse(&object.key) {
            Some(Location::ModelManifest(_, version)) => Some(version),
            _ => None,
        })
        .collect();
    versions.sort_unstable();
    Ok(versions)
}
