//! What the store of registered models offers.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::error::Result;
use crate::service::registered::{
    ModelSearch, NewVersion, Others, RegisteredModel, RegisteredVersion, Stage, VersionSearch,
};
use crate::service::tracking::KeyValue;

/// Models and versions as MLflow knows them, those of training among them; without the alias `champion`, which is not in the
/// database. Every method that writes is one transaction, durable on return; deliveries to the webhooks that are told of it are in it
/// too. What is missing is refused as
/// [`Refusal::NoModel`](crate::service::registered::Refusal::NoModel) or
/// [`Refusal::NoVersion`](crate::service::registered::Refusal::NoVersion).
#[async_trait]
pub trait RegisteredModelStore: Send + Sync + Debug {
    /// Creates a model without versions. Keys of tags are unique.
    async fn create_registered_model(
        &self,
        name: &str,
        description: &str,
        tags: &[KeyValue],
        now: Timestamp,
    ) -> Result<()>;
    /// One model.
    async fn registered_model(&self, name: &str) -> Result<RegisteredModel>;
    /// Changes the description of a model.
    async fn describe_registered_model(&self, name: &str, description: &str, now: Timestamp) -> Result<()>;
    /// Renames a model with all that is of it, unless a version of it is of training or the gate has judged versions by the
    /// new name.
    async fn rename_registered_model(&self, name: &str, new_name: &str, now: Timestamp) -> Result<()>;
    /// Deletes a model with all that is of it.
    async fn delete_registered_model(&self, name: &str) -> Result<()>;
    /// Models that a search finds.
    async fn search_registered_models(&self, search: &ModelSearch) -> Result<Vec<RegisteredModel>>;
    /// Sets a tag of a model.
    async fn set_registered_model_tag(&self, name: &str, tag: &KeyValue) -> Result<()>;
    /// Removes a tag of a model, if there is one of that key.
    async fn delete_registered_model_tag(&self, name: &str, key: &str) -> Result<()>;
    /// Points an alias at a version.
    async fn set_alias(&self, name: &str, alias: &str, version: u32, now: Timestamp) -> Result<()>;
    /// Removes an alias of a model, if there is one of that name.
    async fn delete_alias(&self, name: &str, alias: &str, now: Timestamp) -> Result<()>;

    /// Adds a version whose files are at `location`; answers its number, which no other ever had or will have. Keys of tags
    /// are unique.
    async fn add_version(&self, name: &str, new: &NewVersion, location: &str, now: Timestamp) -> Result<u32>;
    /// One version.
    async fn registered_version(&self, name: &str, version: u32) -> Result<RegisteredVersion>;
    /// Changes the description of a version.
    async fn describe_version(&self, name: &str, version: u32, description: &str, now: Timestamp) -> Result<()>;
    /// Moves a version to a stage.
    async fn set_stage(&self, name: &str, version: u32, stage: Stage, others: Others, now: Timestamp) -> Result<()>;
    /// Deletes a version with its tags and aliases. The gate's decisions about it stay: they count as uses of their test
    /// snapshots.
    async fn delete_version(&self, name: &str, version: u32, now: Timestamp) -> Result<()>;
    /// Versions that a search finds, over all models.
    async fn search_versions(&self, search: &VersionSearch) -> Result<Vec<RegisteredVersion>>;
    /// Sets a tag of a version.
    async fn set_version_tag(&self, name: &str, version: u32, tag: &KeyValue, now: Timestamp) -> Result<()>;
    /// Removes a tag of a version, if there is one of that key.
    async fn delete_version_tag(&self, name: &str, version: u32, key: &str, now: Timestamp) -> Result<()>;
}
