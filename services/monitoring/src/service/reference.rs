//! The champion and its reference profile.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_domain::{Digest, ModelName, Schema};
use holdfast_model::Model;
use holdfast_records::champion::{ChampionEntry, ChampionLog};
use holdfast_records::layout::model_key;
use holdfast_storage::BlobStore;

use crate::error::{Error, Result};

/// Artefacts kept decoded.
const CACHED_MODELS: usize = 4;

/// A champion with its artefact.
#[derive(Clone, Debug)]
pub struct Champion {
    /// Its entry in the champion log.
    pub entry: ChampionEntry,
    /// Its artefact, decoded.
    pub model: Arc<Model>,
}

/// Champions by the blob store alone: no other service need be there.
#[derive(Clone, Debug)]
pub struct Champions {
    blobs: Arc<dyn BlobStore>,
    schema: &'static Schema,
    /// By digest, most recently used last. An artefact never changes, so nothing in here goes stale.
    cached: Arc<Mutex<Cache>>,
}

type Cache = VecDeque<(Digest, Arc<Model>)>;

impl Champions {
    /// Champions in `blobs`.
    pub fn new(blobs: Arc<dyn BlobStore>, schema: &'static Schema) -> Self {
        Self {
            blobs,
            schema,
            cached: Arc::default(),
        }
    }

    /// The champion now.
    ///
    /// # Errors
    /// [`Error::NoChampion`], [`Error::ArtifactMissing`], [`Error::ArtifactDamaged`]; the blob store's.
    pub async fn current(&self, model: &ModelName) -> Result<Champion> {
        let log = ChampionLog::new(Arc::clone(&self.blobs), model.clone());
        let entry = log.head().await?.ok_or_else(|| Error::NoChampion(model.clone()))?.entry;
        let digest = entry.artifact_digest;
        if let Some(model) = self.cached(digest) {
            return Ok(Champion { entry, model });
        }
        let model = Arc::new(self.load(&entry).await?);
        self.cache(digest, Arc::clone(&model));
        Ok(Champion { entry, model })
    }

    async fn load(&self, entry: &ChampionEntry) -> Result<Model> {
        let key = model_key(&entry.model, entry.version);
        let bytes = match self.blobs.get(&key).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Err(Error::ArtifactMissing(key)),
            Err(error) => return Err(error.into()),
        };
        let (schema, expected) = (self.schema, entry.artifact_digest);
        let decoded = tokio::task::spawn_blocking(move || {
            let found = Digest::of(&bytes);
            if found != expected {
                return Err(format!("its digest is {found}, the champion log says {expected}"));
            }
            Model::decode(&bytes, schema).map_err(|error| error.to_string())
        });
        decoded.await?.map_err(|why| Error::ArtifactDamaged { key, why })
    }

    fn cached(&self, digest: Digest) -> Option<Arc<Model>> {
        let mut cached = self.lock();
        let at = cached.iter().position(|(known, _)| *known == digest)?;
        let found = cached.remove(at)?;
        let model = Arc::clone(&found.1);
        cached.push_back(found);
        Some(model)
    }

    fn cache(&self, digest: Digest, model: Arc<Model>) {
        let mut cached = self.lock();
        cached.retain(|(known, _)| *known != digest);
        if cached.len() >= CACHED_MODELS {
            cached.pop_front();
        }
        cached.push_back((digest, model));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Cache> {
        // The queue is whole at every point where a holder could panic.
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
