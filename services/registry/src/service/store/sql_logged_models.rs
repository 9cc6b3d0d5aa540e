//! Logged models in SQL.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::database::{SqlStore, count, micros, timestamp};
use super::logged_models::LoggedModelStore;
use super::sql_experiments;
use super::sql_runs::{list, listed};
use super::statement::{Tx, Value, values};
use crate::error::{Error, Result, Violation};
use crate::service::logged_models::{LoggedModel, LoggedModelSearch, LoggedModelStatus, NewLoggedModel, missing};
use crate::service::tracking::{KeyValue, MeasuredOn, Metric};

/// The tag of a logged model that names the versions made of it.
const VERSIONS_TAG: &str = "mlflow.modelVersions";

/// Of `logged_models l JOIN experiments e`.
pub(super) const COLUMNS: &str = "l.position, l.model_id, l.experiment_id, l.name,
    e.artifact_location || '/models/' || l.model_id || '/artifacts', l.status, l.model_type, l.source_run_id, l.user_id,
    l.created_at_us, l.updated_at_us";
pub(super) const FROM: &str = "logged_models l JOIN experiments e ON e.experiment_id = l.experiment_id";

pub(super) type LoggedRow = (
    i64,
    String,
    i64,
    String,
    String,
    String,
    String,
    String,
    String,
    i64,
    i64,
);

#[async_trait]
impl LoggedModelStore for SqlStore {
    async fn create_logged_model(&self, id: &str, new: &NewLoggedModel, now: Timestamp) -> Result<LoggedModel> {
        let (model_id, new, at) = (id.to_owned(), new.clone(), micros(now));
        self.write(move |mut tx| {
            Box::pin(async move {
                sql_experiments::active(&mut tx, new.experiment_id).await?;
                let sql = "INSERT INTO logged_models (model_id, experiment_id, name, status, lifecycle, model_type,
                               source_run_id, user_id, created_at_us, updated_at_us)
                           VALUES ($1, $2, $3, 'PENDING', 'active', $4, $5, $6, $7, $7) RETURNING position";
                let values = values![
                    &model_id,
                    new.experiment_id,
                    new.name,
                    new.model_type,
                    new.source_run_id,
                    new.user_id,
                    at
                ];
                let (position,): (i64,) = tx.fetch_one(sql, values).await?;
                write_params(&mut tx, (&model_id, position), &new.params).await?;
                write_tags(&mut tx, position, &new.tags).await
            })
        })
        .await?;
        self.logged_model(id).await
    }

    async fn logged_model(&self, id: &str) -> Result<LoggedModel> {
        let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE l.model_id = $1 AND l.lifecycle = 'active'");
        let rows = self.readers.fetch_all(AssertSqlSafe(sql), values![id]).await?;
        self.logged_of(rows).await?.pop().ok_or_else(|| missing(id))
    }

    async fn finalize_logged_model(&self, id: &str, status: LoggedModelStatus, now: Timestamp) -> Result<()> {
        let id = id.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                let position = touch(&mut tx, &id, now).await?;
                let sql = "UPDATE logged_models SET status = $1 WHERE position = $2";
                tx.execute(sql, values![status.as_str(), position]).await?;
                Ok(())
            })
        })
        .await
    }

    async fn delete_logged_model(&self, id: &str, now: Timestamp) -> Result<()> {
        let id = id.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                let position = touch(&mut tx, &id, now).await?;
                let sql = "UPDATE logged_models SET lifecycle = 'deleted', deleted_at_us = $1 WHERE position = $2";
                tx.execute(sql, values![micros(now), position]).await?;
                Ok(())
            })
        })
        .await
    }

    async fn set_logged_model_tags(&self, id: &str, mut tags: Vec<KeyValue>, now: Timestamp) -> Result<()> {
        tags.sort_by(|one, other| one.key.cmp(&other.key));
        let id = id.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                let position = touch(&mut tx, &id, now).await?;
                write_tags(&mut tx, position, &tags).await
            })
        })
        .await
    }

    async fn delete_logged_model_tag(&self, id: &str, key: &str, now: Timestamp) -> Result<()> {
        let (id, key) = (id.to_owned(), key.to_owned());
        self.write(move |mut tx| {
            Box::pin(async move {
                let position = touch(&mut tx, &id, now).await?;
                let sql = "DELETE FROM logged_model_tags WHERE model = $1 AND key = $2";
                if tx.execute(sql, values![position, &key]).await? == 0 {
                    return Err(Error::NoSuchTag {
                        key,
                        of: format!("logged model {id}"),
                    });
                }
                Ok(())
            })
        })
        .await
    }

    async fn log_logged_model_params(&self, id: &str, params: Vec<KeyValue>, now: Timestamp) -> Result<()> {
        let id = id.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                let position = touch(&mut tx, &id, now).await?;
                write_params(&mut tx, (&id, position), &params).await
            })
        })
        .await
    }

    async fn search_logged_models(&self, search: &LoggedModelSearch) -> Result<Vec<LoggedModel>> {
        self.find_logged_models(search).await
    }
}

impl SqlStore {
    /// Models with everything about them, in the order of the rows: the same few questions for any number of them.
    pub(super) async fn logged_of(&self, rows: Vec<LoggedRow>) -> Result<Vec<LoggedModel>> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let positions: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let (mut params, mut tags, mut metrics, mut registrations) = futures::try_join!(
            self.logged_pairs("logged_model_params", &positions),
            self.logged_pairs("logged_model_tags", &positions),
            self.logged_metrics(&positions),
            self.registrations_of(&positions),
        )?;
        let model = |row: LoggedRow| {
            let (position, id, experiment_id, name, artifact_uri, state, model_type, source_run_id, ..) = row;
            let (.., user_id, created_at, updated_at) = row;
            Ok(LoggedModel {
                status: status(&state)?,
                created_at: timestamp(created_at)?,
                updated_at: timestamp(updated_at)?,
                params: params.remove(&position).unwrap_or_default(),
                tags: tags.remove(&position).unwrap_or_default(),
                metrics: metrics.remove(&position).unwrap_or_default(),
                registrations: registrations.remove(&position).unwrap_or_default(),
                id,
                experiment_id,
                name,
                artifact_uri,
                model_type,
                source_run_id,
                user_id,
            })
        };
        rows.into_iter().map(model).collect()
    }

    async fn logged_pairs(&self, table: &str, positions: &[i64]) -> Result<HashMap<i64, Vec<KeyValue>>> {
        let sql = format!(
            "SELECT model, key, value FROM {table} WHERE model IN ({}) ORDER BY model, key",
            listed(self.dialect())
        );
        let rows = self
            .readers
            .fetch_all(AssertSqlSafe(sql), vec![list(positions)])
            .await?;
        let mut found: HashMap<i64, Vec<_>> = HashMap::new();
        for (model, key, value) in rows {
            found.entry(model).or_default().push(KeyValue { key, value });
        }
        Ok(found)
    }

    async fn logged_metrics(&self, positions: &[i64]) -> Result<HashMap<i64, Vec<(String, Metric)>>> {
        type Row = (i64, String, String, String, String, i64, i64, Option<f64>, String);
        let sql = format!(
            "SELECT m.model, m.key, m.run_id, m.dataset_name, m.dataset_digest, m.step, m.measured_at_us, m.value, l.model_id
             FROM logged_model_metrics m JOIN logged_models l ON l.position = m.model
             WHERE m.model IN ({}) ORDER BY m.model, m.key, m.measured_at_us, m.run_id, m.dataset_name, m.dataset_digest",
            listed(self.dialect())
        );
        let rows = self
            .readers
            .fetch_all::<Row>(AssertSqlSafe(sql), vec![list(positions)])
            .await?;
        let mut found: HashMap<i64, Vec<_>> = HashMap::new();
        for (model, key, run_id, dataset_name, dataset_digest, step, measured_at, value, model_id) in rows {
            let on = MeasuredOn {
                model_id,
                dataset_name,
                dataset_digest,
            };
            let metric = Metric {
                key,
                value: value.unwrap_or(f64::NAN),
                measured_at: timestamp(measured_at)?,
                step,
                on: Some(Box::new(on)),
            };
            found.entry(model).or_default().push((run_id, metric));
        }
        Ok(found)
    }

    async fn registrations_of(&self, positions: &[i64]) -> Result<HashMap<i64, Vec<(String, u32)>>> {
        let sql = format!(
            "SELECT l.position, v.model, v.version FROM model_versions v JOIN logged_models l ON l.model_id = v.model_id
             WHERE v.model_id <> '' AND l.position IN ({}) ORDER BY v.created_at_us, v.model, v.version",
            listed(self.dialect())
        );
        let rows = self
            .readers
            .fetch_all::<(i64, String, i64)>(AssertSqlSafe(sql), vec![list(positions)])
            .await?;
        let mut found: HashMap<i64, Vec<_>> = HashMap::new();
        for (model, name, version) in rows {
            found.entry(model).or_default().push((name, count(version)?));
        }
        Ok(found)
    }
}

/// The position of a model that is there, which is changed now.
async fn touch(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<i64> {
    touched(tx, id, now).await?.ok_or_else(|| missing(id))
}

/// The position of a model, if it is there; it is changed now.
async fn touched(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<Option<i64>> {
    let sql =
        "UPDATE logged_models SET updated_at_us = $1 WHERE model_id = $2 AND lifecycle = 'active' RETURNING position";
    let found = tx.fetch_optional::<(i64,)>(sql, values![micros(now), id]).await?;
    Ok(found.map(|(position,)| position))
}

async fn write_tags(tx: &mut Tx<'_>, position: i64, tags: &[KeyValue]) -> Result<()> {
    for tag in tags {
        let sql = "INSERT INTO logged_model_tags (model, key, value) VALUES ($1, $2, $3)
                   ON CONFLICT (model, key) DO UPDATE SET value = excluded.value";
        tx.execute(sql, values![position, &tag.key, &tag.value]).await?;
    }
    Ok(())
}

/// Writes into a logged model's tag which version was made of it, as MLflow's server does; its pages read the tag. A logged model that is gone has none.
pub(super) async fn note_version(
    tx: &mut Tx<'_>,
    id: &str,
    (name, version): (&str, u32),
    now: Timestamp,
) -> Result<()> {
    let Some(position) = touched(tx, id, now).await? else {
        return Ok(());
    };
    let sql = "SELECT value FROM logged_model_tags WHERE model = $1 AND key = $2";
    let before = tx
        .fetch_optional::<(String,)>(sql, values![position, VERSIONS_TAG])
        .await?;
    // Anybody may have written anything there.
    let before = before.and_then(|(text,)| serde_json::from_str::<Vec<serde_json::Value>>(&text).ok());
    let mut versions = before.unwrap_or_default();
    versions.push(json!({"name": name, "version": version}));
    let tag = KeyValue {
        key: VERSIONS_TAG.to_owned(),
        value: serde_json::Value::Array(versions).to_string(),
    };
    write_tags(tx, position, &[tag]).await
}

async fn write_params(tx: &mut Tx<'_>, (id, position): (&str, i64), params: &[KeyValue]) -> Result<()> {
    for (index, param) in params.iter().enumerate() {
        let sql = "INSERT INTO logged_model_params (model, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        tx.execute(sql, values![position, &param.key, &param.value]).await?;
        let sql = "SELECT value FROM logged_model_params WHERE model = $1 AND key = $2";
        let (stored,): (String,) = tx.fetch_one(sql, values![position, &param.key]).await?;
        if stored != param.value {
            let rule = format!(
                "parameter {:?} of logged model {id} is {stored:?} and cannot become {:?}",
                param.key, param.value
            );
            return Err(Violation::new(&format!("params[{index}].value"), "immutable", &rule).into());
        }
    }
    Ok(())
}

/// Keeps the last value of what a run has measured on logged models.
pub(super) async fn write_metrics(tx: &mut Tx<'_>, run_id: &str, metrics: &[Metric]) -> Result<()> {
    let mut measured: Vec<(usize, &Metric, &MeasuredOn)> = Vec::new();
    for (index, metric) in metrics.iter().enumerate() {
        if let Some(on) = metric.on.as_deref()
            && !on.model_id.is_empty()
        {
            measured.push((index, metric, on));
        }
    }
    measured.sort_by(|(_, one, of_one), (_, other, of_other)| {
        let of = |on: &MeasuredOn| (on.model_id.clone(), on.dataset_name.clone(), on.dataset_digest.clone());
        (of(of_one), &one.key).cmp(&(of(of_other), &other.key))
    });
    for (index, metric, on) in measured {
        let sql = "SELECT position FROM logged_models WHERE model_id = $1 AND lifecycle = 'active'";
        let Some((position,)) = tx.fetch_optional::<(i64,)>(sql, values![&on.model_id]).await? else {
            let rule = format!("{:?} is no logged model", on.model_id);
            return Err(Violation::new(&format!("metrics[{index}].model_id"), "logged_model", &rule).into());
        };
        let value = if metric.value.is_nan() {
            None
        } else {
            Some(metric.value)
        };
        let values: Vec<Value> = values![
            position,
            &metric.key,
            run_id,
            &on.dataset_name,
            &on.dataset_digest,
            metric.step,
            micros(metric.measured_at),
            value
        ];
        tx.execute(KEEP_LATEST, values).await?;
    }
    Ok(())
}

/// As for runs: the highest step, then the latest time, then the largest value.
const KEEP_LATEST: &str = "INSERT INTO logged_model_metrics AS held
        (model, key, run_id, dataset_name, dataset_digest, step, measured_at_us, value)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (model, key, run_id, dataset_name, dataset_digest) DO UPDATE SET step = excluded.step,
        measured_at_us = excluded.measured_at_us, value = excluded.value
    WHERE (excluded.step, excluded.measured_at_us) > (held.step, held.measured_at_us)
       OR ((excluded.step, excluded.measured_at_us) = (held.step, held.measured_at_us)
           AND (held.value IS NULL OR excluded.value > held.value))";

fn status(name: &str) -> Result<LoggedModelStatus> {
    match name {
        "PENDING" => Ok(LoggedModelStatus::Pending),
        "READY" => Ok(LoggedModelStatus::Ready),
        "FAILED" => Ok(LoggedModelStatus::Failed),
        other => Err(Error::Corrupt(format!("logged model status {other:?}"))),
    }
}
