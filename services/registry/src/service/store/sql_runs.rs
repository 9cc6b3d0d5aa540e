//! Runs in SQL.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::{SqlStore, micros, page_of, timestamp};
use super::sql_experiments;
use super::sql_tracking::{lifecycle, pairs, status, status_name};
use super::statement::{Dialect, Tx, Value, values};
use super::{Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::tracking::{KeyValue, Metric, NewRun, Place, RUN_NAME_TAG, Run, RunChange};

/// Of `runs r JOIN experiments e`.
const COLUMNS: &str =
    "r.position, r.run_id, r.experiment_id, r.name, r.user_id, r.status, r.started_at_us, r.ended_at_us,
    r.lifecycle, e.artifact_location || '/' || r.run_id || '/artifacts'";
const FROM: &str = "runs r JOIN experiments e ON e.experiment_id = r.experiment_id";

type RunRow = (
    i64,
    String,
    i64,
    String,
    String,
    String,
    i64,
    Option<i64>,
    String,
    String,
);

/// Everything of so many runs is read at once.
const RUNS_AT_ONCE: usize = 500;

impl SqlStore {
    pub(super) async fn insert_run(&self, id: &str, new: &NewRun) -> Result<Run> {
        let (run, new) = (id.to_owned(), new.clone());
        self.write(move |mut tx| {
            Box::pin(async move {
                sql_experiments::lock(&mut tx, new.experiment_id).await?;
                sql_experiments::active(&mut tx, new.experiment_id).await?;
                let sql = "INSERT INTO runs (run_id, experiment_id, name, user_id, status, started_at_us, lifecycle)
                           VALUES ($1, $2, $3, $4, 'running', $5, 'active') ON CONFLICT DO NOTHING RETURNING position";
                let started_at = new.started_at.map(micros);
                let values = values![&run, new.experiment_id, new.name, new.user_id, started_at];
                // The same id again is a retry: its tags were written by the call before.
                if let Some((position,)) = tx.fetch_optional::<(i64,)>(sql, values).await? {
                    write_tags(&mut tx, position, &new.tags).await?;
                }
                Ok(())
            })
        })
        .await?;
        self.select_run(id).await
    }

    pub(super) async fn change_run(&self, run_id: &str, change: &RunChange) -> Result<Run> {
        let (run, change) = (run_id.to_owned(), change.clone());
        self.write(move |mut tx| {
            Box::pin(async move {
                let ActiveRun { position, .. } = active(&mut tx, &run).await?;
                let sql = "UPDATE runs SET status = coalesce($1, status), name = coalesce($2, name),
                               ended_at_us = coalesce($3, ended_at_us) WHERE position = $4";
                let values = values![
                    change.status.map(status_name),
                    change.name.as_deref(),
                    change.ended_at.map(micros),
                    position
                ];
                tx.execute(sql, values).await?;
                if let Some(value) = change.name {
                    let key = RUN_NAME_TAG.to_owned();
                    write_tags(&mut tx, position, &[KeyValue { key, value }]).await?;
                }
                Ok(())
            })
        })
        .await?;
        self.select_run(run_id).await
    }

    pub(super) async fn select_run(&self, run_id: &str) -> Result<Run> {
        let sql = format!("SELECT {COLUMNS} FROM {FROM} WHERE r.run_id = $1");
        let rows = self.readers.fetch_all(AssertSqlSafe(sql), values![run_id]).await?;
        let found = self.runs_of(rows).await?.pop();
        Ok(found.ok_or_else(|| Error::NoSuchRun(run_id.to_owned()))?.1)
    }

    pub(super) async fn select_runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {FROM}
             WHERE r.lifecycle = 'active' AND r.position < $1 AND ($2 IS NULL OR r.experiment_id = $2)
             ORDER BY r.position DESC LIMIT $3"
        );
        let values = values![page.before.unwrap_or(i64::MAX), experiment, page.size + 1];
        let rows = self.readers.fetch_all(AssertSqlSafe(sql), values).await?;
        Ok(page_of(self.runs_of(rows).await?, page.size))
    }

    /// Runs at these positions, in this order, each with its place.
    pub(super) async fn runs_at(&self, wanted: &[(i64, Place)]) -> Result<Vec<(Run, Place)>> {
        let mut runs = HashMap::with_capacity(wanted.len());
        for some in wanted.chunks(RUNS_AT_ONCE) {
            let positions: Vec<i64> = some.iter().map(|(position, _)| *position).collect();
            let sql = format!(
                "SELECT {COLUMNS} FROM {FROM} WHERE r.position IN ({})",
                listed(self.dialect())
            );
            let rows = self
                .readers
                .fetch_all(AssertSqlSafe(sql), vec![list(&positions)])
                .await?;
            runs.extend(self.runs_of(rows).await?);
        }
        // One that was collected in between is left out.
        let found = wanted
            .iter()
            .filter_map(|(position, place)| Some((runs.remove(position)?, *place)));
        Ok(found.collect())
    }

    pub(super) async fn mark_run_deleted(&self, run_id: &str, now: Timestamp) -> Result<()> {
        let sql = "UPDATE runs SET lifecycle = 'deleted', deleted_at_us = coalesce(deleted_at_us, $1),
                       deleted_with_experiment = 0 WHERE run_id = $2";
        self.change_one(sql, values![micros(now), run_id], run_id).await
    }

    pub(super) async fn take_run_back(&self, run_id: &str) -> Result<()> {
        let sql = "UPDATE runs SET lifecycle = 'active', deleted_at_us = NULL, deleted_with_experiment = 0
                   WHERE run_id = $1";
        self.change_one(sql, values![run_id], run_id).await
    }

    pub(super) async fn remove_run_tag(&self, run_id: &str, key: &str) -> Result<()> {
        let (run, key) = (run_id.to_owned(), key.to_owned());
        self.write(move |mut tx| {
            Box::pin(async move {
                let ActiveRun { position, .. } = active(&mut tx, &run).await?;
                let sql = "DELETE FROM run_tags WHERE run = $1 AND key = $2";
                if tx.execute(sql, values![position, &key]).await? == 0 {
                    return Err(Error::NoSuchTag {
                        key,
                        of: format!("run {run}"),
                    });
                }
                Ok(())
            })
        })
        .await
    }

    async fn change_one(&self, sql: &'static str, values: Vec<Value>, run_id: &str) -> Result<()> {
        let changed = self
            .write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }))
            .await?;
        if changed == 0 {
            return Err(Error::NoSuchRun(run_id.to_owned()));
        }
        Ok(())
    }

    /// Runs with what was logged to them, by their positions: the same few questions for any number of them.
    async fn runs_of(&self, rows: Vec<RunRow>) -> Result<Vec<(i64, Run)>> {
        let positions: Vec<i64> = rows.iter().map(|row| row.0).collect();
        if positions.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = rows.iter().map(|row| row.1.as_str()).collect();
        let (mut params, mut tags, mut metrics, mut links) = futures::try_join!(
            self.pairs_of("params", &positions),
            self.pairs_of("run_tags", &positions),
            self.metrics_of(&positions),
            self.links_of(&ids),
        )?;
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let (position, id, experiment_id, name, user_id, state, started_at, ended_at, stage, artifact_uri) = row;
            let run = Run {
                links: links.remove(&id).unwrap_or_default(),
                id,
                experiment_id,
                name,
                user_id,
                artifact_uri,
                status: status(&state)?,
                started_at: timestamp(started_at)?,
                ended_at: ended_at.map(timestamp).transpose()?,
                lifecycle: lifecycle(&stage)?,
                params: pairs(params.remove(&position).unwrap_or_default()),
                metrics: metrics.remove(&position).unwrap_or_default(),
                tags: pairs(tags.remove(&position).unwrap_or_default()),
            };
            runs.push((position, run));
        }
        Ok(runs)
    }

    async fn pairs_of(&self, table: &str, positions: &[i64]) -> Result<HashMap<i64, Vec<(String, String)>>> {
        let sql = format!(
            "SELECT run, key, value FROM {table} WHERE run IN ({}) ORDER BY run, key",
            listed(self.dialect())
        );
        let rows = self
            .readers
            .fetch_all(AssertSqlSafe(sql), vec![list(positions)])
            .await?;
        let mut found: HashMap<i64, Vec<_>> = HashMap::with_capacity(positions.len());
        for (run, key, value) in rows {
            found.entry(run).or_default().push((key, value));
        }
        Ok(found)
    }

    async fn metrics_of(&self, positions: &[i64]) -> Result<HashMap<i64, Vec<Metric>>> {
        let sql = format!(
            "SELECT run, key, step, measured_at_us, value FROM latest_metrics WHERE run IN ({}) ORDER BY run, key",
            listed(self.dialect())
        );
        type Row = (i64, String, i64, i64, Option<f64>);
        let rows = self
            .readers
            .fetch_all::<Row>(AssertSqlSafe(sql), vec![list(positions)])
            .await?;
        let mut found: HashMap<i64, Vec<Metric>> = HashMap::with_capacity(positions.len());
        for (run, key, step, measured_at, value) in rows {
            found.entry(run).or_default().push(Metric {
                key,
                value: value.unwrap_or(f64::NAN),
                measured_at: timestamp(measured_at)?,
                step,
                on: None,
            });
        }
        Ok(found)
    }
}

/// Where a run is.
pub(super) struct ActiveRun {
    /// Its position.
    pub(super) position: i64,
    /// Its experiment.
    pub(super) experiment_id: i64,
}

/// An active run; refuses one that is not there or deleted.
pub(super) async fn active(tx: &mut Tx<'_>, run_id: &str) -> Result<ActiveRun> {
    let sql = "SELECT position, experiment_id, lifecycle FROM runs WHERE run_id = $1";
    match tx.fetch_optional::<(i64, i64, String)>(sql, values![run_id]).await? {
        Some((position, experiment_id, lifecycle)) if lifecycle == "active" => Ok(ActiveRun {
            position,
            experiment_id,
        }),
        Some(_) => Err(Error::RunDeleted(run_id.to_owned())),
        None => Err(Error::NoSuchRun(run_id.to_owned())),
    }
}

/// Sets tags. The tag of the name changes the name.
pub(super) async fn write_tags(tx: &mut Tx<'_>, position: i64, tags: &[KeyValue]) -> Result<()> {
    for tag in tags {
        let sql = "INSERT INTO run_tags (run, key, value) VALUES ($1, $2, $3)
                   ON CONFLICT (run, key) DO UPDATE SET value = excluded.value";
        tx.execute(sql, values![position, &tag.key, &tag.value]).await?;
        if tag.key == RUN_NAME_TAG {
            let sql = "UPDATE runs SET name = $1 WHERE position = $2";
            tx.execute(sql, values![&tag.value, position]).await?;
        }
    }
    Ok(())
}

/// The numbers of the list `$1`, as rows. One text for lists of any length, so that it is prepared once.
pub(super) fn listed(dialect: Dialect) -> &'static str {
    dialect.pick(
        "SELECT value FROM json_each($1)",
        "SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST($1 AS JSON))",
    )
}

/// Such a list.
pub(super) fn list(numbers: &[i64]) -> Value {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    Value::from(format!("[{}]", texts.join(",")))
}
