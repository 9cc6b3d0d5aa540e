//! Registered models and their versions in SQL: what changes them. What reads them is in [`super::sql_registered_search`].

use async_trait::async_trait;
use jiff::Timestamp;

use super::database::{SqlStore, count, micros};
use super::registered::RegisteredModelStore;
use super::sql_artifacts::PATHS_LOCK;
use super::sql_retention::ADDRESS;
use super::sql_webhooks::tell;
use super::statement::{Tx, Value, values};
use super::{sql_imports, sql_logged_models};
use crate::error::Result;
use crate::service::registered::{
    ModelSearch, NewVersion, Others, Refusal, RegisteredModel, RegisteredVersion, Stage, VersionSearch,
};
use crate::service::tracking::KeyValue;
use crate::service::webhooks::{Made, RegistryEvent};

#[async_trait]
impl RegisteredModelStore for SqlStore {
    async fn create_registered_model(
        &self,
        name: &str,
        description: &str,
        tags: &[KeyValue],
        now: Timestamp,
    ) -> Result<()> {
        let (name, description, tags) = (name.to_owned(), description.to_owned(), tags.to_vec());
        let model = values![&name, micros(now), &description];
        self.write(move |mut tx| {
            Box::pin(async move {
                let sql = "INSERT INTO models (name, created_at_us, updated_at_us, description) VALUES ($1, $2, $2, $3)
                           ON CONFLICT DO NOTHING";
                if tx.execute(sql, model).await? == 0 {
                    return Err(Refusal::ModelExists(name).into());
                }
                let created = RegistryEvent::model_created(&name, &description, &tags);
                for tag in tags {
                    put_model_tag(&mut tx, &name, tag).await?;
                }
                tell(&mut tx, &created, now).await
            })
        })
        .await?;
        self.bell.notify_one();
        Ok(())
    }

    async fn registered_model(&self, name: &str) -> Result<RegisteredModel> {
        self.select_registered_model(name).await
    }

    async fn describe_registered_model(&self, name: &str, description: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE models SET description = $2, updated_at_us = $3 WHERE name = $1";
        self.change_model(name, sql, values![name, description, micros(now)])
            .await
    }

    async fn rename_registered_model(&self, name: &str, new_name: &str, now: Timestamp) -> Result<()> {
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        self.write(move |mut tx| Box::pin(async move { rename(&mut tx, &name, &new_name, now).await }))
            .await
    }

    async fn delete_registered_model(&self, name: &str) -> Result<()> {
        // Versions, tags and aliases go with it. Its numbers stay in version_numbers.
        self.change_model(name, "DELETE FROM models WHERE name = $1", values![name])
            .await
    }

    async fn search_registered_models(&self, search: &ModelSearch) -> Result<Vec<RegisteredModel>> {
        self.select_registered_models(search).await
    }

    async fn set_registered_model_tag(&self, name: &str, tag: &KeyValue) -> Result<()> {
        let (name, tag) = (name.to_owned(), tag.clone());
        self.write(move |mut tx| {
            Box::pin(async move {
                lock_model(&mut tx, &name).await?;
                put_model_tag(&mut tx, &name, tag).await
            })
        })
        .await
    }

    async fn delete_registered_model_tag(&self, name: &str, key: &str) -> Result<()> {
        let sql = "DELETE FROM model_tags WHERE model = $1 AND key = $2";
        self.change_model(name, sql, values![name, key]).await
    }

    async fn set_alias(&self, name: &str, alias: &str, version: u32, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO model_aliases (model, version, alias) VALUES ($1, $2, $3)
                   ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version";
        let event = RegistryEvent::alias_set(name, alias, version);
        let of = Of::Version(version);
        self.change_and_tell(of, sql, values![name, version, alias], event, now)
            .await
    }

    async fn delete_alias(&self, name: &str, alias: &str, now: Timestamp) -> Result<()> {
        let sql = "DELETE FROM model_aliases WHERE model = $1 AND alias = $2";
        let event = RegistryEvent::alias_deleted(name, alias);
        self.change_and_tell(Of::Model, sql, values![name, alias], event, now)
            .await
    }

    async fn add_version(&self, name: &str, new: &NewVersion, location: &str, now: Timestamp) -> Result<u32> {
        let (name, new, location) = (name.to_owned(), new.clone(), location.to_owned());
        let version = self
            .write(move |mut tx| Box::pin(async move { add(&mut tx, name, new, location, now).await }))
            .await?;
        self.bell.notify_one();
        Ok(version)
    }

    async fn registered_version(&self, name: &str, version: u32) -> Result<RegisteredVersion> {
        self.select_registered_version(name, version).await
    }

    async fn describe_version(&self, name: &str, version: u32, description: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE model_versions SET description = $3, updated_at_us = $4 WHERE model = $1 AND version = $2";
        self.change_of_version(name, version, sql, values![name, version, description, micros(now)])
            .await
    }

    async fn set_stage(&self, name: &str, version: u32, stage: Stage, others: Others, now: Timestamp) -> Result<()> {
        let name = name.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                lock_version(&mut tx, &name, version).await?;
                if others == Others::AreArchived {
                    let sql = "UPDATE model_versions SET stage = $4, updated_at_us = $5
                               WHERE model = $1 AND version <> $2 AND stage = $3";
                    let archived = Stage::Archived.as_str();
                    let values = values![&name, version, stage.as_str(), archived, micros(now)];
                    tx.execute(sql, values).await?;
                }
                let sql = "UPDATE model_versions SET stage = $3, updated_at_us = $4 WHERE model = $1 AND version = $2";
                tx.execute(sql, values![&name, version, stage.as_str(), micros(now)])
                    .await?;
                touch_model(&mut tx, &name, now).await
            })
        })
        .await
    }

    async fn delete_version(&self, name: &str, version: u32, now: Timestamp) -> Result<()> {
        let name = name.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                lock_version(&mut tx, &name, version).await?;
                let sql = "DELETE FROM model_versions WHERE model = $1 AND version = $2";
                tx.execute(sql, values![&name, version]).await?;
                touch_model(&mut tx, &name, now).await
            })
        })
        .await
    }

    async fn search_versions(&self, search: &VersionSearch) -> Result<Vec<RegisteredVersion>> {
        self.select_registered_versions(search).await
    }

    async fn set_version_tag(&self, name: &str, version: u32, tag: &KeyValue, now: Timestamp) -> Result<()> {
        let sql = "INSERT INTO model_version_tags (model, version, key, value) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value";
        let event = RegistryEvent::version_tag_set(name, version, tag);
        let values = values![name, version, &tag.key, &tag.value];
        self.change_and_tell(Of::Version(version), sql, values, event, now)
            .await
    }

    async fn delete_version_tag(&self, name: &str, version: u32, key: &str, now: Timestamp) -> Result<()> {
        let sql = "DELETE FROM model_version_tags WHERE model = $1 AND version = $2 AND key = $3";
        let event = RegistryEvent::version_tag_deleted(name, version, key);
        self.change_and_tell(Of::Version(version), sql, values![name, version, key], event, now)
            .await
    }
}

impl SqlStore {
    /// Runs a statement that changes something of a model, which must be there.
    async fn change_model(&self, name: &str, sql: &'static str, values: Vec<Value>) -> Result<()> {
        let name = name.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                lock_model(&mut tx, &name).await?;
                tx.execute(sql, values).await?;
                Ok(())
            })
        })
        .await
    }

    /// Runs a statement that changes something of a model or a version, which must be there, and tells the event if it did.
    async fn change_and_tell(
        &self,
        of: Of,
        sql: &'static str,
        values: Vec<Value>,
        event: RegistryEvent,
        now: Timestamp,
    ) -> Result<()> {
        self.write(move |mut tx| {
            Box::pin(async move {
                match of {
                    Of::Model => lock_model(&mut tx, &event.model).await?,
                    Of::Version(version) => lock_version(&mut tx, &event.model, version).await?,
                }
                match tx.execute(sql, values).await? {
                    0 => Ok(()),
                    _ => tell(&mut tx, &event, now).await,
                }
            })
        })
        .await?;
        self.bell.notify_one();
        Ok(())
    }

    /// Runs a statement that changes something of a version, which must be there.
    async fn change_of_version(&self, name: &str, version: u32, sql: &'static str, values: Vec<Value>) -> Result<()> {
        let name = name.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                lock_version(&mut tx, &name, version).await?;
                tx.execute(sql, values).await?;
                Ok(())
            })
        })
        .await
    }
}

/// What an event is of.
#[derive(Clone, Copy)]
enum Of {
    Model,
    Version(u32),
}

/// The next number under a model's name. Nobody ever gets it again, unless the transaction fails.
pub(super) async fn next_version(tx: &mut Tx<'_>, name: &str) -> Result<u32> {
    let sql = "INSERT INTO version_numbers (model, last) VALUES ($1, 1)
               ON CONFLICT (model) DO UPDATE SET last = version_numbers.last + 1 RETURNING last";
    let (number,): (i64,) = tx.fetch_one(sql, values![name]).await?;
    u32::try_from(number).map_err(|_| Refusal::NumbersUsedUp(name.to_owned()).into())
}

/// The lock that whoever changes the versions of a model holds on Postgres.
pub(super) async fn lock_versions(tx: &mut Tx<'_>, name: &str) -> Result<()> {
    tx.lock(&format!("versions of {name}")).await
}

/// Keeps others from changing or deleting a model, which must be there.
async fn lock_model(tx: &mut Tx<'_>, name: &str) -> Result<()> {
    lock_versions(tx, name).await?;
    let found = tx
        .fetch_optional::<(String,)>("SELECT name FROM models WHERE name = $1", values![name])
        .await?;
    match found {
        Some(_) => Ok(()),
        None => Err(Refusal::NoModel(name.to_owned()).into()),
    }
}

/// Keeps others from changing or deleting a version, which must be there.
pub(super) async fn lock_version(tx: &mut Tx<'_>, name: &str, version: u32) -> Result<()> {
    lock_versions(tx, name).await?;
    let sql = "SELECT version FROM model_versions WHERE model = $1 AND version = $2";
    match tx.fetch_optional::<(i64,)>(sql, values![name, version]).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::NoVersion {
            name: name.to_owned(),
            version,
        }
        .into()),
    }
}

pub(super) async fn touch_model(tx: &mut Tx<'_>, name: &str, now: Timestamp) -> Result<()> {
    let sql = "UPDATE models SET updated_at_us = $2 WHERE name = $1";
    tx.execute(sql, values![name, micros(now)]).await?;
    Ok(())
}

async fn put_model_tag(tx: &mut Tx<'_>, name: &str, tag: KeyValue) -> Result<()> {
    let sql = "INSERT INTO model_tags (model, key, value) VALUES ($1, $2, $3)
               ON CONFLICT (model, key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, values![name, tag.key, tag.value]).await?;
    Ok(())
}

/// A collection removes the files of a deleted run or logged model under the same lock, unless a version needs them: one of the two is first.
async fn refuse_removed(tx: &mut Tx<'_>, new: &NewVersion, location: &str) -> Result<()> {
    let lies_in = |owner: &str| !owner.is_empty() && location.contains(&format!("/{owner}/artifacts"));
    let owners = [
        ("SELECT run_id FROM runs WHERE run_id = $1", &new.run_id),
        ("SELECT model_id FROM logged_models WHERE model_id = $1", &new.model_id),
    ];
    for (sql, owner) in owners {
        if location.starts_with(ADDRESS) && lies_in(owner) {
            tx.lock(PATHS_LOCK).await?;
            if tx.fetch_optional::<(String,)>(sql, values![owner]).await?.is_none() {
                return Err(Refusal::SourceGone(new.source.clone()).into());
            }
        }
    }
    Ok(())
}

async fn add(tx: &mut Tx<'_>, name: String, new: NewVersion, location: String, now: Timestamp) -> Result<u32> {
    lock_model(tx, &name).await?;
    refuse_removed(tx, &new, &location).await?;
    let version = next_version(tx, &name).await?;
    let sql = "INSERT INTO model_versions (model, version, status, run_id, created_at_us, created_by, origin,
                                           updated_at_us, description, source, location, run_link, model_id)
               VALUES ($1, $2, 'pending', $3, $4, $5, 'registered', $4, $6, $7, $8, $9, $10)";
    let values = values![
        &name,
        version,
        &new.run_id,
        micros(now),
        &new.user_id,
        &new.description,
        &new.source,
        location,
        &new.run_link,
        &new.model_id,
    ];
    tx.execute(sql, values).await?;
    let made = Made {
        source: &new.source,
        run_id: &new.run_id,
        tags: &new.tags,
        description: &new.description,
    };
    tell(tx, &RegistryEvent::version_created(&name, version, &made), now).await?;
    for tag in new.tags {
        let sql = "INSERT INTO model_version_tags (model, version, key, value) VALUES ($1, $2, $3, $4)";
        tx.execute(sql, values![&name, version, tag.key, tag.value]).await?;
    }
    if !new.model_id.is_empty() {
        sql_logged_models::note_version(tx, &new.model_id, (&name, version), now).await?;
    }
    if let Some(import) = &new.import {
        sql_imports::ask(tx, &name, version, import, now).await?;
    }
    touch_model(tx, &name, now).await?;
    Ok(version)
}

async fn rename(tx: &mut Tx<'_>, name: &str, new_name: &str, now: Timestamp) -> Result<()> {
    // In one order, so that two renames never wait for each other.
    let mut names = [name, new_name];
    names.sort_unstable();
    for name in names {
        lock_versions(tx, name).await?;
    }
    lock_model(tx, name).await?;
    let of_training = "SELECT min(version) FROM model_versions
                       WHERE model = $1 AND (origin = 'training' OR artifact_digest IS NOT NULL)";
    let (carried,): (Option<i64>,) = tx.fetch_one(of_training, values![name]).await?;
    if let Some(version) = carried {
        return Err(Refusal::NameCarried {
            name: name.to_owned(),
            version: count(version)?,
        }
        .into());
    }
    let taken = "SELECT name FROM models WHERE name = $1";
    if tx
        .fetch_optional::<(String,)>(taken, values![new_name])
        .await?
        .is_some()
    {
        return Err(Refusal::ModelExists(new_name.to_owned()).into());
    }
    // Versions are known to the gate by name and number: none may come by the decisions about another.
    let judged = "SELECT min(version) FROM gate_decisions WHERE model = $1";
    if let (Some(_),) = tx.fetch_one::<(Option<i64>,)>(judged, values![new_name]).await? {
        return Err(Refusal::NameJudged(new_name.to_owned()).into());
    }
    let sql = "UPDATE models SET name = $2, updated_at_us = $3 WHERE name = $1";
    tx.execute(sql, values![name, new_name, micros(now)]).await?;
    let sql = "UPDATE model_versions SET updated_at_us = $2 WHERE model = $1";
    tx.execute(sql, values![new_name, micros(now)]).await?;
    let last = "SELECT last FROM version_numbers WHERE model = $1";
    if let Some((last,)) = tx.fetch_optional::<(i64,)>(last, values![name]).await? {
        let sql = "INSERT INTO version_numbers (model, last) VALUES ($1, $2)
                   ON CONFLICT (model) DO UPDATE SET last = excluded.last WHERE version_numbers.last < excluded.last";
        tx.execute(sql, values![new_name, last]).await?;
    }
    Ok(())
}
