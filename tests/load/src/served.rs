//! A model to serve, in a blob store that a replica takes its champion from.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use holdfast_domain::{Customer, Digest, Generation, ModelName, ModelVersion, Schema};
use holdfast_model::Model;
use holdfast_records::champion::{ChampionLog, ChampionReason, NewEntry, Nonce};
use holdfast_records::layout;
use holdfast_storage::{BlobStore, DirectoryStore};
use holdfast_training::service::fitting::{self, Plan};
use holdfast_training::service::params::Presets;
use holdfast_training::service::recipe::Recipe;
use jiff::Timestamp;
use serde_json::json;

const SEED: u64 = 42;

/// The built-in recipe, engineered columns and masked copies included, with the trees of the comparisons: 400 of depth 6.
///
/// # Errors
/// When the built-in recipe cannot be read.
pub fn recipe() -> Result<Recipe> {
    let mut recipe = Presets::load(None)?.get("default")?.recipe.clone();
    let trees = json!({
        "trees": 400,
        "max_depth": 6,
        "eta": 0.05,
        "subsample": 0.8,
        "sampling_method": "uniform",
        "colsample_bytree": 0.8,
        "grow_policy": "depthwise",
    });
    recipe.estimators = crate::recipes::boosted_trees(&trees)?.estimators;
    Ok(recipe)
}

/// Learns a model of these customers.
///
/// # Errors
/// When there is none to be made of them.
pub fn learn(customers: &[Customer]) -> Result<(Vec<u8>, Model)> {
    let plan = Plan {
        recipe: &recipe()?,
        seed: SEED,
        threads: 1,
        training_snapshot: Digest::of(b"the bank's customers"),
        test_snapshot: Digest::of(b"nobody"),
    };
    let candidate = fitting::fit(customers, &plan, Schema::embedded(), &mut |_| ControlFlow::Continue(()))?;
    Ok((candidate.artifact, candidate.model))
}

/// Makes an artefact champion of the model `churn` in a data directory.
///
/// # Errors
/// When the directory cannot be written.
pub async fn crown(data_dir: &Path, artifact: Vec<u8>) -> Result<()> {
    let blobs = data_dir.join("blobs");
    let store: Arc<dyn BlobStore> = Arc::new(DirectoryStore::open(&blobs).await?);
    let (model, version) = (ModelName::parse("churn")?, ModelVersion(1));
    let artifact_digest = Digest::of(&artifact);
    store.put(&layout::model_key(&model, version), artifact.into()).await?;
    let entry = NewEntry {
        version,
        artifact_digest,
        actor: "benchmark".to_owned(),
        reason: ChampionReason::Override {
            note: "to be measured".to_owned(),
        },
        approval: None,
        at: Timestamp::now(),
        nonce: Nonce::generate(),
    };
    let log = ChampionLog::new(store, model);
    log.append(Generation(0), entry).await.context("the champion log")?;
    Ok(())
}
