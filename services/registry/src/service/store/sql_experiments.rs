//! Experiments in SQL.

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::conditions::{Conditions, direction};
use super::database::{SqlStore, micros, page_of, timestamp};
use super::sql_tracking::{lifecycle, pairs, view};
use super::statement::{Tx, values};
use super::{Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::search::{Direction, ExperimentClause, ExperimentOrderKey, ExperimentTime, IdTest, Order};
use crate::service::tracking::{
    DEFAULT_EXPERIMENT, Experiment, ExperimentBy, ExperimentSearch, KeyValue, NewExperiment,
};

const COLUMNS: &str = "e.experiment_id, e.name, e.lifecycle, e.artifact_location, e.created_at_us, e.updated_at_us";

type ExperimentRow = (i64, String, String, String, i64, i64);

impl SqlStore {
    pub(super) async fn insert_experiment(&self, new: &NewExperiment, now: Timestamp) -> Result<Experiment> {
        let (new, at) = (new.clone(), micros(now));
        let id = self
            .write(move |mut tx| {
                Box::pin(async move {
                    let sql =
                        "INSERT INTO experiments (name, lifecycle, created_at_us, updated_at_us, artifact_location)
                               VALUES ($1, 'active', $2, $2, $3) ON CONFLICT DO NOTHING RETURNING experiment_id";
                    let values = values![&new.name, at, &new.artifact_location];
                    let inserted = tx.fetch_optional(sql, values).await?;
                    let (id,): (i64,) = inserted.ok_or(Error::ExperimentExists(new.name))?;
                    if new.artifact_location.is_empty() {
                        let sql = "UPDATE experiments SET artifact_location = $1 WHERE experiment_id = $2";
                        tx.execute(sql, values![format!("mlflow-artifacts:/{id}"), id]).await?;
                    }
                    for tag in new.tags {
                        write_tag(&mut tx, id, &tag).await?;
                    }
                    Ok(id)
                })
            })
            .await?;
        self.select_experiment(&ExperimentBy::Id(id)).await
    }

    pub(super) async fn select_experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        let (column, value) = match by {
            ExperimentBy::Id(id) => ("e.experiment_id", values![*id]),
            ExperimentBy::Name(name) => ("e.name", values![name]),
        };
        let sql = format!("SELECT {COLUMNS} FROM experiments e WHERE {column} = $1");
        let row = self.readers.fetch_optional(AssertSqlSafe(sql), value).await?;
        let row = row.ok_or_else(|| Error::NoSuchExperiment(by.clone()))?;
        self.experiment_of(row).await
    }

    pub(super) async fn select_experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM experiments e
             WHERE e.lifecycle = 'active' AND e.experiment_id < $1 ORDER BY e.experiment_id DESC LIMIT $2"
        );
        let values = values![page.before.unwrap_or(i64::MAX), page.size + 1];
        let mut found = Vec::new();
        for row in self.readers.fetch_all(AssertSqlSafe(sql), values).await? {
            let experiment = self.experiment_of(row).await?;
            found.push((experiment.id, experiment));
        }
        Ok(page_of(found, page.size))
    }

    pub(super) async fn find_experiments(&self, search: &ExperimentSearch) -> Result<Vec<Experiment>> {
        let mut conditions = Conditions::new(self.dialect());
        if let Some(view) = view(search.view, "e.lifecycle") {
            conditions.push(view);
        }
        for clause in &search.clauses {
            let condition = condition(&mut conditions, clause);
            conditions.push(condition);
        }
        let order = order(&search.order);
        let (sql, values) = conditions.finish(
            &format!("{COLUMNS} FROM experiments e"),
            &order,
            search.limit,
            search.offset,
        );
        let mut found = Vec::new();
        for row in self.readers.fetch_all(AssertSqlSafe(sql), values).await? {
            found.push(self.experiment_of(row).await?);
        }
        Ok(found)
    }

    pub(super) async fn update_experiment_name(&self, id: i64, name: &str, now: Timestamp) -> Result<Experiment> {
        let name = name.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                match active(&mut tx, id).await {
                    Err(Error::ExperimentDeleted(_)) => return Err(Error::RenameDeleted(id)),
                    found => found?,
                }
                let sql = "SELECT experiment_id FROM experiments WHERE name = $1 AND experiment_id <> $2";
                if tx.fetch_optional::<(i64,)>(sql, values![&name, id]).await?.is_some() {
                    return Err(Error::ExperimentExists(name));
                }
                let sql = "UPDATE experiments SET name = $1, updated_at_us = $2 WHERE experiment_id = $3";
                match tx.execute(sql, values![&name, micros(now), id]).await {
                    // Somebody else took it since, which Postgres sees only now.
                    Err(Error::Database(cause)) if is_taken(&cause) => Err(Error::ExperimentExists(name)),
                    done => done.map(drop),
                }
            })
        })
        .await?;
        self.select_experiment(&ExperimentBy::Id(id)).await
    }

    pub(super) async fn mark_experiment_deleted(&self, id: i64, now: Timestamp) -> Result<()> {
        if id == DEFAULT_EXPERIMENT {
            return Err(Error::DefaultExperiment);
        }
        self.write(move |mut tx| {
            Box::pin(async move {
                lock(&mut tx, id).await?;
                match active(&mut tx, id).await {
                    // To who deletes, one that is deleted is gone.
                    Err(Error::ExperimentDeleted(_)) => return Err(Error::NoSuchExperiment(ExperimentBy::Id(id))),
                    found => found?,
                }
                let sql = "UPDATE experiments SET lifecycle = 'deleted', updated_at_us = $1 WHERE experiment_id = $2";
                tx.execute(sql, values![micros(now), id]).await?;
                let sql = "UPDATE runs SET lifecycle = 'deleted', deleted_at_us = $1, deleted_with_experiment = 1
                           WHERE experiment_id = $2 AND lifecycle = 'active'";
                tx.execute(sql, values![micros(now), id]).await?;
                Ok(())
            })
        })
        .await
    }

    pub(super) async fn take_experiment_back(&self, id: i64, now: Timestamp) -> Result<()> {
        self.write(move |mut tx| {
            Box::pin(async move {
                let sql = "UPDATE experiments SET lifecycle = 'active', updated_at_us = $1
                           WHERE experiment_id = $2 AND lifecycle = 'deleted'";
                if tx.execute(sql, values![micros(now), id]).await? == 0 {
                    return Err(Error::NoSuchExperiment(ExperimentBy::Id(id)));
                }
                let sql = "UPDATE runs SET lifecycle = 'active', deleted_at_us = NULL, deleted_with_experiment = 0
                           WHERE experiment_id = $1 AND deleted_with_experiment = 1";
                tx.execute(sql, values![id]).await?;
                Ok(())
            })
        })
        .await
    }

    pub(super) async fn write_experiment_tag(&self, id: i64, tag: &KeyValue, now: Timestamp) -> Result<()> {
        let tag = tag.clone();
        self.write(move |mut tx| {
            Box::pin(async move {
                active(&mut tx, id).await?;
                write_tag(&mut tx, id, &tag).await?;
                touch(&mut tx, id, now).await
            })
        })
        .await
    }

    pub(super) async fn remove_experiment_tag(&self, id: i64, key: &str, now: Timestamp) -> Result<()> {
        let key = key.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                active(&mut tx, id).await?;
                let sql = "DELETE FROM experiment_tags WHERE experiment_id = $1 AND key = $2";
                if tx.execute(sql, values![id, &key]).await? == 0 {
                    return Err(Error::NoSuchTag {
                        key,
                        of: format!("experiment {id}"),
                    });
                }
                touch(&mut tx, id, now).await
            })
        })
        .await
    }

    async fn experiment_of(&self, row: ExperimentRow) -> Result<Experiment> {
        let (id, name, stage, artifact_location, created_at, updated_at) = row;
        let sql = "SELECT key, value FROM experiment_tags WHERE experiment_id = $1 ORDER BY key";
        Ok(Experiment {
            id,
            name,
            lifecycle: lifecycle(&stage)?,
            artifact_location,
            created_at: timestamp(created_at)?,
            updated_at: timestamp(updated_at)?,
            tags: pairs(self.readers.fetch_all(sql, values![id]).await?),
        })
    }
}

fn is_taken(cause: &sqlx::Error) -> bool {
    cause
        .as_database_error()
        .is_some_and(|cause| cause.is_unique_violation())
}

/// Refuses an experiment that is not there or deleted.
pub(super) async fn active(tx: &mut Tx<'_>, id: i64) -> Result<()> {
    let sql = "SELECT lifecycle FROM experiments WHERE experiment_id = $1";
    let found = tx.fetch_optional::<(String,)>(sql, values![id]).await?;
    match found.as_ref().map(|(lifecycle,)| lifecycle.as_str()) {
        Some("active") => Ok(()),
        Some(_) => Err(Error::ExperimentDeleted(id)),
        None => Err(Error::NoSuchExperiment(ExperimentBy::Id(id))),
    }
}

/// Lets one at a time open a run in an experiment or delete it: no run is to be born active into a deleted one.
pub(super) async fn lock(tx: &mut Tx<'_>, id: i64) -> Result<()> {
    tx.lock(&format!("experiment {id}")).await
}

async fn touch(tx: &mut Tx<'_>, id: i64, now: Timestamp) -> Result<()> {
    let sql = "UPDATE experiments SET updated_at_us = $1 WHERE experiment_id = $2";
    tx.execute(sql, values![micros(now), id]).await?;
    Ok(())
}

async fn write_tag(tx: &mut Tx<'_>, id: i64, tag: &KeyValue) -> Result<()> {
    let sql = "INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3)
               ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value";
    tx.execute(sql, values![id, &tag.key, &tag.value]).await?;
    Ok(())
}

fn condition(conditions: &mut Conditions, clause: &ExperimentClause) -> String {
    match clause {
        ExperimentClause::Id(IdTest::In(ids)) => {
            format!("e.experiment_id IN ({})", conditions.bind_all(ids.iter().copied()))
        }
        ExperimentClause::Id(IdTest::NotIn(ids)) => {
            format!("e.experiment_id NOT IN ({})", conditions.bind_all(ids.iter().copied()))
        }
        ExperimentClause::Name(test) => conditions.text("e.name", test),
        ExperimentClause::Time { attribute, test } => conditions.time(time(*attribute), test),
        ExperimentClause::Tag { key, test } => {
            conditions.pair("experiment_tags t WHERE t.experiment_id = e.experiment_id", key, test)
        }
    }
}

fn time(attribute: ExperimentTime) -> &'static str {
    match attribute {
        ExperimentTime::CreatedAt => "e.created_at_us",
        ExperimentTime::UpdatedAt => "e.updated_at_us",
    }
}

/// MLflow's: newest first unless asked otherwise, and ties by id, newest first.
fn order(order: &[Order<ExperimentOrderKey>]) -> String {
    let newest_first = [Order {
        by: ExperimentOrderKey::Time(ExperimentTime::CreatedAt),
        direction: Direction::Descending,
    }];
    let wanted = if order.is_empty() { &newest_first } else { order };
    let mut keys: Vec<String> = Vec::new();
    for key in wanted {
        let column = match key.by {
            ExperimentOrderKey::Id => "e.experiment_id",
            ExperimentOrderKey::Name => "e.name",
            ExperimentOrderKey::Time(attribute) => time(attribute),
        };
        keys.push(format!("{column} {}", direction(key.direction)));
    }
    keys.push("e.experiment_id DESC".to_owned());
    keys.join(", ")
}
