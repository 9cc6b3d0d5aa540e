//! From a version's name to a model that may serve.
//!
//! Prepared is: read (local disk, else blob store), its digest compared with the record's, decoded, its golden rows scored
//! to the bit, and explained once to warm up. Champions and challengers are prepared alike.

use std::sync::Arc;

use bytes::Bytes;
use holdfast_domain::{Digest, Schema};
use holdfast_model::Model;
use holdfast_records::layout;
use holdfast_storage::BlobStore;

use super::last_good::LastGood;
use super::target::Target;
use crate::metrics::Stage;

/// Why a version could not be prepared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LoadError {
    /// Where it failed.
    pub stage: Stage,
    /// Why.
    pub message: String,
}

impl LoadError {
    /// Whether the same artefact may be prepared later without anyone repairing it.
    pub fn may_pass(&self) -> bool {
        self.stage == Stage::Download
    }
}

/// A model that may serve.
#[derive(Debug)]
pub struct PreparedModel {
    /// The model.
    pub model: Arc<Model>,
    /// The artefact, unless it is on local disk already.
    pub fetched: Option<Bytes>,
}

/// Prepares versions.
#[derive(Clone, Debug)]
pub struct Preparer {
    /// Where artefacts come from.
    pub store: Arc<dyn BlobStore>,
    /// Artefacts on local disk.
    pub disk: LastGood,
}

impl Preparer {
    /// Reads and checks a version.
    ///
    /// # Errors
    /// [`LoadError`] says where and why.
    pub async fn prepare(&self, target: &Target) -> Result<PreparedModel, LoadError> {
        let (disk, digest) = (self.disk.clone(), target.artifact_digest);
        let cached = tokio::task::spawn_blocking(move || disk.artifact(&digest))
            .await
            .ok()
            .flatten();
        if let Some(bytes) = cached {
            return Ok(PreparedModel {
                model: verify(bytes, digest).await?,
                fetched: None,
            });
        }
        let key = layout::model_key(&target.model, target.version);
        let bytes = self
            .store
            .get(&key)
            .await
            .map_err(|error| failed(Stage::Download, error.to_string()))?;
        Ok(PreparedModel {
            model: verify(bytes.clone(), digest).await?,
            fetched: Some(bytes),
        })
    }
}

fn failed(stage: Stage, message: String) -> LoadError {
    LoadError { stage, message }
}

/// Checks an artefact as a whole, off the async threads.
///
/// # Errors
/// [`LoadError`] says where and why.
pub async fn verify(bytes: Bytes, expected: Digest) -> Result<Arc<Model>, LoadError> {
    let checking = tokio::task::spawn_blocking(move || {
        let found = Digest::of(&bytes);
        if found != expected {
            let message =
                format!("artefact digest does not match: the record says {expected}, the artefact has {found}");
            return Err(failed(Stage::Digest, message));
        }
        let model =
            Model::decode(&bytes, Schema::embedded()).map_err(|error| failed(Stage::Decode, error.to_string()))?;
        model
            .check_golden()
            .map_err(|error| failed(Stage::Golden, error.to_string()))?;
        if let Some(row) = model.golden_rows().first() {
            std::hint::black_box(model.explain(&row.features));
        }
        Ok(Arc::new(model))
    });
    checking
        .await
        .unwrap_or_else(|stopped| Err(failed(Stage::Decode, format!("checking was cut short: {stopped}"))))
}
