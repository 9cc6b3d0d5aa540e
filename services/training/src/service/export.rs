//! A version as a file: its artefact, or its trees for another library.

use bytes::Bytes;
use holdfast_domain::{ModelName, ModelVersion};
use holdfast_interchange::{ExportError, export_xgboost_json};

use super::versions::Versions;
use crate::error::{Error, Result};

impl Versions {
    /// A version's artefact, byte for byte as registered.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`], [`Error::VersionPending`], [`Error::Damaged`]; the stores'.
    pub async fn artifact_bytes(&self, model: &ModelName, version: ModelVersion) -> Result<Bytes> {
        let facts = self.facts(model, version).await?;
        Ok(self.artifact(&facts).await?.bytes)
    }

    /// A version's trees as XGBoost JSON. They answer the raw probability; calibration and threshold stand in the file's attributes.
    ///
    /// # Errors
    /// [`Error::NotExportable`] names the part that XGBoost has no counterpart for; [`Error::NoSuchVersion`], [`Error::VersionPending`],
    /// [`Error::Damaged`]; the stores'.
    pub async fn xgboost_json(&self, model: &ModelName, version: ModelVersion) -> Result<Vec<u8>> {
        let facts = self.facts(model, version).await?;
        let registered = self.artifact(&facts).await?;
        let written = tokio::task::spawn_blocking(move || export_xgboost_json(&registered.model));
        written
            .await
            .map_err(|_| Error::Panicked)?
            .map_err(|error| match error {
                ExportError::Json(_) => Error::Corrupt(error.to_string()),
                other => Error::NotExportable {
                    version,
                    why: other.to_string(),
                },
            })
    }
}
