//! Registered models and their versions as MLflow knows them, over the models and versions that training makes.
//!
//! Who is champion is not in here: the alias `champion` is read from the champion log whenever somebody looks, and a stage is
//! a label. What the champion log names cannot be deleted or renamed.
//!
//! Not guaranteed: a promotion that is made while its version is being deleted may win. Then the version is champion and its
//! artefact is there, but it is in no list.

mod models;
mod refusal;
mod rules;
mod source;
mod versions;

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use holdfast_chassis::clock::Clock;
use holdfast_domain::{ModelName, ModelVersion};
use holdfast_records::champion::ChampionLog;
use holdfast_storage::BlobStore;
use jiff::Timestamp;

use super::approvals::PromotionState;
use super::champions::Champions;
use super::imports::NewImport;
use super::rollouts::Rollouts;
use super::search::{Order, RegisteredModelClause, RegisteredModelOrderKey, VersionClause, VersionOrderKey};
use super::store::{ArtifactStore, LoggedModelStore, RegisteredModelStore, TrackingStore};
use super::tracking::KeyValue;
use crate::error::Result;

pub use refusal::Refusal;
pub use rules::{
    CHAMPION, MAX_ALIAS_CHARS, MAX_DESCRIPTION_CHARS, MAX_ID_CHARS, MAX_LINK_CHARS, MAX_NAME_CHARS, MAX_TAG_KEY_CHARS,
    MAX_TAG_VALUE_CHARS,
};

/// Champion logs that are read at once for a page.
const LOGS_AT_ONCE: usize = 16;

/// A stage of MLflow's old kind: a label, which makes nobody champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// None.
    None,
    /// To be tried.
    Staging,
    /// In use.
    Production,
    /// Out of use.
    Archived,
}

impl Stage {
    /// All of them, in MLflow's order.
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }
}

/// A name for a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The version.
    pub version: u32,
}

/// What is there of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// A training has reserved its number and not finished it.
    Reserved,
    /// The files it was made from.
    Files,
    /// An artefact of Holdfast, so that it can be promoted.
    Artifact,
}

/// A model as MLflow knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredModel {
    /// Its name; not always a [`ModelName`].
    pub name: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it or a version of it was changed last.
    pub updated_at: Timestamp,
    /// Description in words.
    pub description: String,
    /// Tags by key.
    pub tags: Vec<KeyValue>,
    /// Aliases by name.
    pub aliases: Vec<Alias>,
    /// The newest version of each stage, oldest first.
    pub latest: Vec<RegisteredVersion>,
    /// Whether a version has an artefact of Holdfast: no other model can have a champion.
    pub has_artifact: bool,
}

/// A version as MLflow knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredVersion {
    /// The model.
    pub model: String,
    /// The number.
    pub version: u32,
    /// What is there of it.
    pub readiness: Readiness,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Who created it; may be empty.
    pub user_id: String,
    /// Its stage.
    pub stage: Stage,
    /// Description in words.
    pub description: String,
    /// What it was made from, as the caller named it.
    pub source: String,
    /// Where its files are within the registry, as `mlflow-artifacts:/…`; else as `source`.
    pub location: String,
    /// The run it comes from; may be empty.
    pub run_id: String,
    /// Page of that run; may be empty.
    pub run_link: String,
    /// The logged model it was made from; may be empty.
    pub model_id: String,
    /// Tags by key.
    pub tags: Vec<KeyValue>,
    /// Names of the aliases that point at it.
    pub aliases: Vec<String>,
    /// How its import stands, in words; empty without one.
    pub import: String,
}

/// What a version is registered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewVersion {
    /// What it is made from.
    pub source: String,
    /// The run it comes from; may be empty.
    pub run_id: String,
    /// Page of that run; may be empty.
    pub run_link: String,
    /// The logged model it is made from; may be empty.
    pub model_id: String,
    /// Description in words.
    pub description: String,
    /// Who registers it; may be empty.
    pub user_id: String,
    /// Tags.
    pub tags: Vec<KeyValue>,
    /// The import that is asked for with it; found out from its files.
    pub import: Option<NewImport>,
}

/// What becomes of the versions that are in a stage when another comes into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They stay.
    Stay,
    /// They are archived.
    AreArchived,
}

/// A search, and which part of what it finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Search<C, K> {
    /// What holds of all that is found.
    pub clauses: Vec<C>,
    /// The order; ties are broken by name, then by version, newest first.
    pub order: Vec<Order<K>>,
    /// So many are left out.
    pub offset: u64,
    /// At most so many.
    pub limit: u32,
}

/// A search for models.
pub type ModelSearch = Search<RegisteredModelClause, RegisteredModelOrderKey>;
/// A search for versions.
pub type VersionSearch = Search<VersionClause, VersionOrderKey>;

/// A page of what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<T> {
    /// The page.
    pub items: Vec<T>,
    /// How many come before the next page; `None` on the last.
    pub next: Option<u64>,
}

impl<T> Found<T> {
    /// A page of `limit` from the `limit + 1` that were asked for.
    fn of(mut items: Vec<T>, offset: u64, limit: u32) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        Self {
            items,
            next: more.then(|| offset.saturating_add(limit.into())),
        }
    }
}

/// Registered models over a metadata store; champions are in the blob store.
#[derive(Clone, Debug)]
pub struct RegisteredModels {
    store: Arc<dyn RegisteredModelStore>,
    runs: Arc<dyn TrackingStore>,
    logged: Arc<dyn LoggedModelStore>,
    files: Arc<dyn ArtifactStore>,
    blobs: Arc<dyn BlobStore>,
    champions: Champions,
    rollouts: Rollouts,
    clock: Arc<dyn Clock>,
}

impl RegisteredModels {
    /// Models in `store`, made from what is in `runs`, `logged` and `files`; their champion logs are in `blobs`.
    pub fn new(
        store: Arc<dyn RegisteredModelStore>,
        (runs, logged, files): (
            Arc<dyn TrackingStore>,
            Arc<dyn LoggedModelStore>,
            Arc<dyn ArtifactStore>,
        ),
        blobs: Arc<dyn BlobStore>,
        (champions, rollouts): (Champions, Rollouts),
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            runs,
            logged,
            files,
            blobs,
            champions,
            rollouts,
            clock,
        }
    }

    /// The champion log of a model; `None` when its name is none that can have one.
    fn log(&self, name: &str) -> Option<ChampionLog> {
        let model = ModelName::parse(name).ok()?;
        Some(ChampionLog::new(Arc::clone(&self.blobs), model))
    }

    /// The version that is champion, if one is.
    async fn champion(&self, name: &str) -> Result<Option<ModelVersion>> {
        let Some(log) = self.log(name) else {
            return Ok(None);
        };
        Ok(log.head().await?.map(|stored| stored.entry.version))
    }

    /// Refuses what a promotion waits for that may still be made: of this version, or of any when none is named.
    async fn refuse_waiting(&self, model: &ModelName, version: Option<u32>) -> Result<()> {
        let promotions = self.champions.promotions(model).await?;
        let waiting = promotions.into_iter().find(|promotion| {
            matches!(promotion.state, PromotionState::Waiting | PromotionState::Approved)
                && version.is_none_or(|version| promotion.request.version.0 == version)
        });
        match waiting {
            None => Ok(()),
            Some(promotion) => Err(Refusal::PromotionWaits {
                name: model.to_string(),
                version: promotion.request.version.0,
                promotion: promotion.number,
            }
            .into()),
        }
    }

    /// The champions of these models, those that have none left out.
    async fn champions(&self, names: Vec<String>) -> Result<Vec<(String, u32)>> {
        let found = stream::iter(names)
            .map(|name| async move {
                let champion = self.champion(&name).await?;
                Ok::<_, crate::Error>(champion.map(|version| (name, version.0)))
            })
            .buffered(LOGS_AT_ONCE);
        found
            .try_filter_map(|found| async move { Ok(found) })
            .try_collect()
            .await
    }

    /// Adds the aliases that champions have.
    async fn crown_models(&self, models: &mut [RegisteredModel]) -> Result<()> {
        let names = models.iter().filter(|model| model.has_artifact);
        let names = names.map(|model| model.name.clone()).collect();
        for (name, version) in self.champions(names).await? {
            for model in models.iter_mut().filter(|model| model.name == name) {
                let mut aliases = std::mem::take(&mut model.aliases);
                aliases.push(Alias {
                    name: CHAMPION.to_owned(),
                    version,
                });
                model.aliases = rules::sorted(aliases);
                crown(&mut model.latest, &name, version);
            }
        }
        Ok(())
    }

    /// Adds the alias to those versions that are champions.
    async fn crown_versions(&self, versions: &mut [RegisteredVersion]) -> Result<()> {
        let able = versions
            .iter()
            .filter(|version| version.readiness == Readiness::Artifact);
        let mut names: Vec<String> = able.map(|version| version.model.clone()).collect();
        names.sort_unstable();
        names.dedup();
        for (name, champion) in self.champions(names).await? {
            crown(versions, &name, champion);
        }
        Ok(())
    }

    async fn crowned(&self, mut version: RegisteredVersion) -> Result<RegisteredVersion> {
        self.crown_versions(std::slice::from_mut(&mut version)).await?;
        Ok(version)
    }
}

fn crown(versions: &mut [RegisteredVersion], name: &str, champion: u32) {
    let wearers = versions
        .iter_mut()
        .filter(|version| version.version == champion && version.model == name)
        .filter(|version| version.readiness == Readiness::Artifact);
    for version in wearers {
        version.aliases.push(CHAMPION.to_owned());
        version.aliases.sort_unstable();
    }
}
