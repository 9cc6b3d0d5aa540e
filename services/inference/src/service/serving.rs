//! The model in service, and the version on trial beside it. A request takes both once and keeps them to its end, so that
//! it sees one state; a swap is one atomic store.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use holdfast_domain::{Digest, Generation};
use holdfast_model::Model;
use jiff::Timestamp;

use super::rollout::trial::Trial;
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
    /// The version that is tried beside it, if one is.
    pub trial: Option<Arc<Trial>>,
}

impl ServingModel {
    /// A checked model under its name.
    pub fn new(model: Arc<Model>, target: Target, since: Timestamp) -> Self {
        Self {
            model,
            digest_text: target.artifact_digest.to_string(),
            target,
            since,
            trial: None,
        }
    }

    fn beside(&self, trial: Option<Arc<Trial>>) -> Self {
        Self {
            model: Arc::clone(&self.model),
            target: self.target.clone(),
            digest_text: self.digest_text.clone(),
            since: self.since,
            trial,
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

    /// Puts a version on trial beside the champion of its generation. False when another champion serves: nothing is
    /// changed then.
    pub fn begin_trial(&self, trial: &Arc<Trial>) -> bool {
        let generation: Generation = trial.rollout.generation();
        let of_it = |serving: &ServingModel| serving.target.generation == generation;
        let before = self.0.rcu(|current| match current {
            Some(serving) if of_it(serving) => Some(Arc::new(serving.beside(Some(Arc::clone(trial))))),
            other => other.clone(),
        });
        before.as_deref().is_some_and(of_it)
    }

    /// Takes the version of this rollout off trial. Requests that run keep it, and it is freed with the last of them.
    pub fn end_trial(&self, revision: u64) {
        self.0.rcu(|current| match current {
            Some(serving)
                if serving
                    .trial
                    .as_ref()
                    .is_some_and(|trial| trial.rollout.revision == revision) =>
            {
                Some(Arc::new(serving.beside(None)))
            }
            other => other.clone(),
        });
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
