//! The model that scores: of a running stack, or of a file.

use std::path::{Path, PathBuf};

use clap::Args;
use holdfast_domain::{Digest, Schema};
use holdfast_model::Model;
use serde::Deserialize;

use crate::commands::DEFAULT_MODEL;
use crate::failure::{Failure, Result};
use crate::rest::Rest;

/// Which model.
#[derive(Args, Debug)]
pub(super) struct ModelArgs {
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
    /// The version; without it, the champion. With --model-file it is the number written into the version column
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// An artefact, model.hfm, as `holdfast models export --format holdfast` writes it: then nothing is asked of a running stack
    #[arg(long, value_name = "FILE.hfm")]
    model_file: Option<PathBuf>,
}

/// A model, ready to score, and what it is called.
#[derive(Debug)]
pub(super) struct Scorer {
    /// The model's name.
    pub(super) name: String,
    /// Its version, where it is known.
    pub(super) version: Option<u32>,
    /// SHA-256 of the artefact.
    pub(super) digest: Digest,
    /// The model.
    pub(super) model: Model,
}

/// The part of a version or a champion that names its artefact.
#[derive(Debug, Deserialize)]
struct Registered {
    version: u32,
    artifact_digest: Option<String>,
}

impl ModelArgs {
    /// Gets the artefact, checks it against the digest it is registered with, and runs its golden rows.
    pub(super) async fn load(&self, rest: &Rest) -> Result<Scorer> {
        let (version, bytes) = match &self.model_file {
            Some(path) => (self.version, read(path).await?),
            None => {
                let registered = self.registered(rest).await?;
                (Some(registered.version), self.download(&registered, rest).await?)
            }
        };
        let name = self.model.clone();
        let decoded = tokio::task::spawn_blocking(move || {
            let model = Model::decode(&bytes, Schema::embedded()).map_err(|error| error.to_string())?;
            model.check_golden().map_err(|error| error.to_string())?;
            Ok::<_, String>((Digest::of(&bytes), model))
        });
        let (digest, model) = decoded
            .await
            .map_err(|error| error.to_string())
            .flatten()
            .map_err(|error| Failure::new(format!("the model cannot be used: {error}")))?;
        Ok(Scorer {
            name,
            version,
            digest,
            model,
        })
    }

    async fn registered(&self, rest: &Rest) -> Result<Registered> {
        match self.version {
            Some(version) => {
                rest.get_as(&format!("api/v1/models/{}/versions/{version}", self.model), &[])
                    .await
            }
            None => {
                rest.get_as(&format!("api/v1/models/{}/champion", self.model), &[])
                    .await
            }
        }
    }

    async fn download(&self, registered: &Registered, rest: &Rest) -> Result<Vec<u8>> {
        let (model, version) = (&self.model, registered.version);
        let Some(expected) = &registered.artifact_digest else {
            return Err(Failure::new(format!(
                "version {version} of {model} has no artefact yet"
            )));
        };
        let path = format!("api/v1/models/{model}/versions/{version}/export");
        let bytes = rest.download(&path, &[("format", "holdfast")]).await?;
        let found = Digest::of(&bytes).to_string();
        if found != *expected {
            return Err(Failure::new(format!(
                "the artefact of version {version} arrived with the digest {found} and is registered with {expected}"
            ))
            .hint("run the command again; if it stays so, the blob store is damaged"));
        }
        Ok(bytes)
    }
}

async fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = tokio::fs::read(path).await;
    bytes.map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}
