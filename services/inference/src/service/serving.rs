//! The model in service. A request takes it once and keeps it to its end, so that it sees one version; the swap is one
//! atomic store.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use holdfast_domain::Digest;
use holdfast_model::Model;
use jiff::Timestamp;

use super::target::Target;

/// A model with its name, ready to answer. Model, threshold and version label travel together.
#[derive(Debug)]
pub struct ServingModel {
    /// The model. Two generations of the same artefact share it.
    pub model: Arc<Model>,
    /// What it is.
    pub target: Target,
    /// The digest as callers see it.
    pub digest_text: String,
    /// Since when it serves.
    pub since: Timestamp,
}

impl ServingModel {
    /// A checked model under its name.
    pub fn new(model: Arc<Model>, target: Target, since: Timestamp) -> Self {
        Self {
            model,
            digest_text: target.artifact_digest.to_string(),
            target,
            since,
        }
    }
}

/// Where requests find the model.
#[derive(Debug, Default)]
pub struct Serving(ArcSwapOption<ServingModel>);

impl Serving {
    /// The model in service now.
    pub fn current(&self) -> Option<Arc<ServingModel>> {
        self.0.load_full()
    }

    /// Puts a model in service. Requests that run keep the one before, which is freed with the last of them.
    pub fn swap(&self, model: Arc<ServingModel>) {
        self.0.store(Some(model));
    }

    /// The model in service, if its artefact has this digest.
    pub fn with_digest(&self, digest: &Digest) -> Option<Arc<Model>> {
        let current = self.0.load();
        let current = current
            .as_ref()
            .filter(|serving| serving.target.artifact_digest == *digest)?;
        Some(Arc::clone(&current.model))
    }
}
