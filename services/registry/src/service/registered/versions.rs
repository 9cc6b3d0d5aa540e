//! What can be done to a version of a registered model.

use holdfast_domain::ModelName;

use super::refusal::Refusal;
use super::rules::{self, MAX_DESCRIPTION_CHARS, MAX_ID_CHARS, MAX_LINK_CHARS};
use super::{Found, NewVersion, Others, RegisteredModels, RegisteredVersion, Stage, VersionSearch};
use crate::error::{Error, Result};
use crate::service::imports::{self, Inspected};
use crate::service::tracking::KeyValue;

impl RegisteredModels {
    /// Registers files as the next version of a model.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoModel`]; the database's.
    pub async fn create_version(&self, name: &str, mut new: NewVersion) -> Result<RegisteredVersion> {
        rules::name("name", name)?;
        for (field, text, most) in [
            ("source", &new.source, MAX_LINK_CHARS),
            ("run_link", &new.run_link, MAX_LINK_CHARS),
            ("run_id", &new.run_id, MAX_ID_CHARS),
            ("model_id", &new.model_id, MAX_ID_CHARS),
            ("user_id", &new.user_id, MAX_ID_CHARS),
            ("description", &new.description, MAX_DESCRIPTION_CHARS),
        ] {
            rules::text(field, text, most)?;
        }
        new.tags = rules::tags(new.tags)?;
        self.store.registered_model(name).await?;
        let location = self.resolve(&mut new).await?;
        // In the same transaction as the version, so that none is forgotten.
        new.import = match imports::inspect(&*self.files, &*self.blobs, name, &location).await? {
            Inspected::Model(import) => Some(import),
            Inspected::Nothing(why) => {
                tracing::debug!(name, why, "version is not imported");
                None
            }
        };
        let version = self.store.add_version(name, &new, &location, self.clock.now()).await?;
        tracing::info!(name, version, source = new.source, "version registered");
        self.version(name, version).await
    }

    /// One version.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`]; the stores'.
    pub async fn version(&self, name: &str, version: u32) -> Result<RegisteredVersion> {
        rules::name("name", name)?;
        self.crowned(self.store.registered_version(name, version).await?).await
    }

    /// Changes the description of a version.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`]; the stores'.
    pub async fn describe_version(&self, name: &str, version: u32, description: &str) -> Result<RegisteredVersion> {
        rules::name("name", name)?;
        rules::text("description", description, MAX_DESCRIPTION_CHARS)?;
        self.store
            .describe_version(name, version, description, self.clock.now())
            .await?;
        self.version(name, version).await
    }

    /// Deletes a version, unless it was ever champion or may be soon. Its number is never given out again, and its files stay
    /// where they are.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`], [`Refusal::WasChampion`], [`Refusal::PromotionWaits`],
    /// [`Refusal::OnTrial`]; the stores'.
    pub async fn delete_version(&self, name: &str, version: u32) -> Result<()> {
        rules::name("name", name)?;
        self.store.registered_version(name, version).await?;
        self.refuse_needed(name, version).await?;
        self.store.delete_version(name, version, self.clock.now()).await?;
        tracing::info!(name, version, "version deleted");
        Ok(())
    }

    /// Refuses a version that the champion log names, that is on trial or that waits for approvers.
    async fn refuse_needed(&self, name: &str, version: u32) -> Result<()> {
        let (Some(log), Ok(model)) = (self.log(name), ModelName::parse(name)) else {
            return Ok(());
        };
        let history = log.history().await?;
        let newest = history.iter().rev().find(|stored| stored.entry.version.0 == version);
        if let Some(stored) = newest {
            let refusal = Refusal::WasChampion {
                name: name.to_owned(),
                version,
                generation: stored.entry.generation.0,
            };
            return Err(refusal.into());
        }
        self.refuse_waiting(&model, Some(version)).await?;
        match self.rollouts.newest(&model).await {
            Ok(rollout) if rollout.ending.is_none() && rollout.start.version.0 == version => Err(Refusal::OnTrial {
                name: name.to_owned(),
                version,
                revision: rollout.revision,
            }
            .into()),
            Ok(_) | Err(Error::NoRollout(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Moves a version to a stage.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`]; the stores'.
    pub async fn transition(&self, name: &str, version: u32, stage: &str, others: Others) -> Result<RegisteredVersion> {
        rules::name("name", name)?;
        let to = rules::stage(stage)?;
        if others == Others::AreArchived && !matches!(to, Stage::Staging | Stage::Production) {
            let message = format!(
                "Model version transition cannot archive existing model versions because '{stage}' is not an Active stage. Valid stages are ['Staging', 'Production']"
            );
            return Err(Refusal::field("archive_existing_versions", "stage", message).into());
        }
        self.store
            .set_stage(name, version, to, others, self.clock.now())
            .await?;
        self.version(name, version).await
    }

    /// Versions that a search finds, over all models.
    ///
    /// # Errors
    /// The stores'.
    pub async fn search_versions(&self, mut search: VersionSearch) -> Result<Found<RegisteredVersion>> {
        let (offset, limit) = (search.offset, search.limit);
        search.limit = limit.saturating_add(1);
        let mut found = Found::of(self.store.search_versions(&search).await?, offset, limit);
        self.crown_versions(&mut found.items).await?;
        Ok(found)
    }

    /// Sets a tag of a version.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`]; the database's.
    pub async fn set_version_tag(&self, name: &str, version: u32, tag: &KeyValue) -> Result<()> {
        rules::name("name", name)?;
        rules::tag(tag)?;
        self.store.set_version_tag(name, version, tag, self.clock.now()).await
    }

    /// Removes a tag of a version, if there is one of that key.
    ///
    /// # Errors
    /// [`Refusal::Field`], [`Refusal::NoVersion`]; the database's.
    pub async fn delete_version_tag(&self, name: &str, version: u32, key: &str) -> Result<()> {
        rules::name("name", name)?;
        rules::tag_key(key)?;
        self.store
            .delete_version_tag(name, version, key, self.clock.now())
            .await
    }
}
