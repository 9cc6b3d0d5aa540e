//! What can be done to a registered model.

use holdfast_domain::ModelName;

use super::refusal::Refusal;
use super::rules::{self, MAX_DESCRIPTION_CHARS};
use super::{Found, ModelSearch, Readiness, RegisteredModel, RegisteredModels, RegisteredVersion, Stage};
use crate::error::Result;
use crate::service::tracking::KeyValue;

impl RegisteredModels {
    /// Creates a model without versions.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::ModelExists`]; the database's.
    pub async fn create(&self, name: &str, description: &str, tags: Vec<KeyValue>) -> Result<RegisteredModel> {
        rules::name("name", name)?;
        rules::text("description", description, MAX_DESCRIPTION_CHARS)?;
        let tags = rules::tags(tags)?;
        self.store
            .create_registered_model(name, description, &tags, self.clock.now())
            .await?;
        self.get(name).await
    }

    /// One model with its newest versions.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`]; the stores'.
    pub async fn get(&self, name: &str) -> Result<RegisteredModel> {
        rules::name("name", name)?;
        let mut model = self.store.registered_model(name).await?;
        self.crown_models(std::slice::from_mut(&mut model)).await?;
        Ok(model)
    }

    /// Changes the description.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`]; the stores'.
    pub async fn describe(&self, name: &str, description: &str) -> Result<RegisteredModel> {
        rules::name("name", name)?;
        rules::text("description", description, MAX_DESCRIPTION_CHARS)?;
        self.store
            .describe_registered_model(name, description, self.clock.now())
            .await?;
        self.get(name).await
    }

    /// Gives a model another name. Not one that has, or will have, artefacts of Holdfast: they lie under the name.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`], [`Refusal::ModelExists`], [`Refusal::ChampionLog`],
    /// [`Refusal::NameCarried`], [`Refusal::NameJudged`]; the stores'.
    pub async fn rename(&self, name: &str, new_name: &str) -> Result<RegisteredModel> {
        rules::name("name", name)?;
        rules::name("new_name", new_name)?;
        self.store.registered_model(name).await?;
        for name in [name, new_name] {
            if self.champion(name).await?.is_some() {
                return Err(Refusal::ChampionLog(name.to_owned()).into());
            }
        }
        self.store
            .rename_registered_model(name, new_name, self.clock.now())
            .await?;
        tracing::info!(name, new_name, "registered model renamed");
        self.get(new_name).await
    }

    /// Deletes a model with its versions, unless one was ever champion. Their artefacts stay in the blob store.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`], [`Refusal::ChampionLog`], [`Refusal::PromotionWaits`]; the stores'.
    pub async fn delete(&self, name: &str) -> Result<()> {
        rules::name("name", name)?;
        self.store.registered_model(name).await?;
        if self.champion(name).await?.is_some() {
            return Err(Refusal::ChampionLog(name.to_owned()).into());
        }
        if let Ok(model) = ModelName::parse(name) {
            self.refuse_waiting(&model, None).await?;
        }
        self.store.delete_registered_model(name).await?;
        tracing::info!(name, "registered model deleted");
        Ok(())
    }

    /// Models that a search finds.
    ///
    /// # Errors
    /// The stores'.
    pub async fn search(&self, mut search: ModelSearch) -> Result<Found<RegisteredModel>> {
        let (offset, limit) = (search.offset, search.limit);
        search.limit = limit.saturating_add(1);
        let mut found = Found::of(self.store.search_registered_models(&search).await?, offset, limit);
        self.crown_models(&mut found.items).await?;
        Ok(found)
    }

    /// Sets a tag.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`]; the database's.
    pub async fn set_tag(&self, name: &str, tag: &KeyValue) -> Result<()> {
        rules::name("name", name)?;
        rules::tag(tag)?;
        self.store.set_registered_model_tag(name, tag).await
    }

    /// Removes a tag, if there is one of that key.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`]; the database's.
    pub async fn delete_tag(&self, name: &str, key: &str) -> Result<()> {
        rules::name("name", name)?;
        rules::tag_key(key)?;
        self.store.delete_registered_model_tag(name, key).await
    }

    /// Points an alias at a version. `champion` is none that can be pointed.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`], [`Refusal::ChampionAlias`]; the database's.
    pub async fn set_alias(&self, name: &str, alias: &str, version: u32) -> Result<()> {
        rules::name("name", name)?;
        rules::new_alias(alias)?;
        if rules::is_champion(alias) {
            return Err(Refusal::ChampionAlias(name.to_owned()).into());
        }
        self.store.set_alias(name, alias, version, self.clock.now()).await
    }

    /// Removes an alias, if there is one of that name. `champion` is none that can be removed.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`], [`Refusal::ChampionAlias`]; the database's.
    pub async fn delete_alias(&self, name: &str, alias: &str) -> Result<()> {
        rules::name("name", name)?;
        rules::alias(alias)?;
        if rules::is_champion(alias) {
            return Err(Refusal::ChampionAlias(name.to_owned()).into());
        }
        self.store.delete_alias(name, alias, self.clock.now()).await
    }

    /// The version that an alias points at: `champion` at the newest in the champion log, `latest` at the newest of all.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`], [`Refusal::NoAlias`], [`Refusal::NoLatest`]; the stores'.
    pub async fn by_alias(&self, name: &str, alias: &str) -> Result<RegisteredVersion> {
        rules::name("name", name)?;
        rules::alias(alias)?;
        let model = self.store.registered_model(name).await?;
        if rules::is_champion(alias) {
            return self.champion_version(name, alias).await;
        }
        let version = if alias.eq_ignore_ascii_case(rules::LATEST) {
            let newest = model.latest.iter().map(|version| version.version).max();
            newest.ok_or_else(|| Refusal::NoLatest(name.to_owned()))?
        } else {
            let pointed = model.aliases.iter().find(|pointed| pointed.name == alias);
            pointed.ok_or_else(|| Refusal::NoAlias(alias.to_owned()))?.version
        };
        self.version(name, version).await
    }

    /// The version that is champion. Never one without an artefact: after the loss of the database another may have its number.
    async fn champion_version(&self, name: &str, alias: &str) -> Result<RegisteredVersion> {
        if let Some(champion) = self.champion(name).await? {
            let version = self.version(name, champion.0).await?;
            if version.readiness == Readiness::Artifact {
                return Ok(version);
            }
        }
        Err(Refusal::NoAlias(alias.to_owned()).into())
    }

    /// The newest version of each of these stages that has one; of all stages when none is named.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`]; the stores'.
    pub async fn latest_versions(&self, name: &str, stages: &[String]) -> Result<Vec<RegisteredVersion>> {
        rules::name("name", name)?;
        let stages = stages.iter().map(|text| rules::stage(text));
        let stages = stages.collect::<Result<Vec<Stage>, Refusal>>()?;
        let mut latest = self.store.registered_model(name).await?.latest;
        latest.retain(|version| stages.is_empty() || stages.contains(&version.stage));
        self.crown_versions(&mut latest).await?;
        Ok(latest)
    }
}
