//! Which file among those of a version is its model, by the `MLmodel` beside them.

use holdfast_interchange::{MAX_MLMODEL_BYTES, MLMODEL, MlModel};
use holdfast_records::layout;
use holdfast_storage::BlobStore;

use super::{NewImport, can_have_artifacts};
use crate::error::{Error, Result};
use crate::service::artifacts::ArtifactPath;
use crate::service::store::ArtifactStore;

/// What there is to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) enum Inspected {
    /// A model file.
    Model(NewImport),
    /// Nothing; why, and what to do.
    Nothing(String),
}

/// Looks at the files of a version of `model`, which lie at `location`. Only the description is opened.
pub(in crate::service) async fn inspect(
    files: &dyn ArtifactStore,
    blobs: &dyn BlobStore,
    model: &str,
    location: &str,
) -> Result<Inspected> {
    let nothing = |why: String| Ok(Inspected::Nothing(why));
    if !can_have_artifacts(model) {
        return nothing(format!(
            "only models whose names have 1 to 64 characters of a-z, 0-9, '_' and '-' have artefacts: rename {model:?}, or register the \
             files under another name"
        ));
    }
    let folder = location.strip_prefix("mlflow-artifacts:/").unwrap_or_default();
    let Ok(description) = ArtifactPath::parse(&format!("{folder}/{MLMODEL}")) else {
        return nothing("its files do not lie in the registry: log the model to this server".to_owned());
    };
    if description.is_of_versions() {
        return nothing(
            "it is a copy of an artefact of Holdfast: promote the version that it was made from".to_owned(),
        );
    }
    let Some(stored) = files.artifact(&description).await? else {
        return nothing(format!(
            "there is no file {description}: log it with mlflow.xgboost or mlflow.lightgbm"
        ));
    };
    if stored.size_bytes > MAX_MLMODEL_BYTES as u64 {
        return nothing(format!(
            "{description} has {} bytes, and no MLmodel is so large",
            stored.size_bytes
        ));
    }
    let key = layout::artifact_key(&stored.digest, stored.edition);
    let bytes = match blobs.get(&key).await {
        Err(error) if error.is_not_found() => {
            return Err(Error::ArtifactDamaged {
                path: description.to_string(),
                problem: format!("there is nothing at {key}"),
            });
        }
        bytes => bytes?,
    };
    let read = match MlModel::read(&bytes) {
        Ok(read) => read,
        Err(refused) => return nothing(refused.to_string()),
    };
    let Ok(file) = ArtifactPath::parse(&format!("{folder}/{}", read.file)) else {
        return nothing(format!(
            "its MLmodel names the file {:?}, which is not below it",
            read.file
        ));
    };
    if files.artifact(&file).await?.is_none() {
        return nothing(format!(
            "its MLmodel names the file {file}, and there is none: log the model again"
        ));
    }
    Ok(Inspected::Model(NewImport {
        library: read.library.to_owned(),
        file: file.to_string(),
        columns: read.columns,
        ..NewImport::default()
    }))
}
