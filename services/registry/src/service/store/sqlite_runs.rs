//! Experiments and runs in SQLite.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, Transaction};

use super::sqlite::{SqliteStore, micros, page_of, timestamp};
use super::{Page, PageRequest};
use crate::error::{Error, Result, Violation};
use crate::service::tracking::{
    Batch, Experiment, ExperimentBy, KeyValue, Lifecycle, Metric, Run, RunChange, RunStatus,
};

const RUN_COLUMNS: &str = "position, run_id, experiment_id, name, status, started_at_us, ended_at_us, lifecycle";

impl SqliteStore {
    pub(super) async fn insert_experiment(&self, name: &str, tags: &[KeyValue], now: Timestamp) -> Result<Experiment> {
        let mut tx = self.write().await?;
        let inserted = sqlx::query(
            "INSERT INTO experiments (name, lifecycle, created_at_us) VALUES (?, 'active', ?) ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(Error::ExperimentExists(name.to_owned()));
        }
        let id = inserted.last_insert_rowid();
        for tag in tags {
            sqlx::query("INSERT OR REPLACE INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)")
                .bind(id)
                .bind(&tag.key)
                .bind(&tag.value)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        self.select_experiment(&ExperimentBy::Id(id)).await
    }

    pub(super) async fn select_experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        let row = match by {
            ExperimentBy::Id(id) => {
                sqlx::query(
                    "SELECT experiment_id, name, lifecycle, created_at_us FROM experiments WHERE experiment_id = ?",
                )
                .bind(id)
                .fetch_optional(&self.readers)
                .await?
            }
            ExperimentBy::Name(name) => {
                sqlx::query("SELECT experiment_id, name, lifecycle, created_at_us FROM experiments WHERE name = ?")
                    .bind(name)
                    .fetch_optional(&self.readers)
                    .await?
            }
        };
        let row = row.ok_or_else(|| Error::NoSuchExperiment(by.clone()))?;
        self.experiment_of(&row).await
    }

    pub(super) async fn select_experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        let rows = sqlx::query(
            "SELECT experiment_id, name, lifecycle, created_at_us FROM experiments
             WHERE lifecycle = 'active' AND experiment_id < ? ORDER BY experiment_id DESC LIMIT ?",
        )
        .bind(page.before.unwrap_or(i64::MAX))
        .bind(page.size + 1)
        .fetch_all(&self.readers)
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let experiment = self.experiment_of(row).await?;
            found.push((experiment.id, experiment));
        }
        Ok(page_of(found, page.size))
    }

    async fn experiment_of(&self, row: &SqliteRow) -> Result<Experiment> {
        let id: i64 = row.try_get("experiment_id")?;
        let tags = sqlx::query("SELECT key, value FROM experiment_tags WHERE experiment_id = ? ORDER BY key")
            .bind(id)
            .fetch_all(&self.readers)
            .await?;
        Ok(Experiment {
            id,
            name: row.try_get("name")?,
            lifecycle: lifecycle(row.try_get("lifecycle")?)?,
            created_at: timestamp(row.try_get("created_at_us")?)?,
            tags: pairs(&tags)?,
        })
    }

    pub(super) async fn insert_run(
        &self,
        id: &str,
        experiment: i64,
        name: &str,
        tags: &[KeyValue],
        now: Timestamp,
    ) -> Result<Run> {
        let mut tx = self.write().await?;
        let active: Option<String> = sqlx::query_scalar("SELECT lifecycle FROM experiments WHERE experiment_id = ?")
            .bind(experiment)
            .fetch_optional(&mut *tx)
            .await?;
        match active.as_deref() {
            Some("active") => {}
            Some(_) => return Err(Error::ExperimentDeleted(experiment)),
            None => return Err(Error::NoSuchExperiment(ExperimentBy::Id(experiment))),
        }
        let inserted = sqlx::query(
            "INSERT INTO runs (run_id, experiment_id, name, status, started_at_us, lifecycle)
             VALUES (?, ?, ?, 'running', ?, 'active') ON CONFLICT DO NOTHING",
        )
        .bind(id)
        .bind(experiment)
        .bind(name)
        .bind(micros(now))
        .execute(&mut *tx)
        .await?;
        // The same id again is a retry: its tags were written by the call before.
        if inserted.rows_affected() == 1 {
            write_tags(&mut tx, id, tags).await?;
        }
        tx.commit().await?;
        self.select_run(id).await
    }

    pub(super) async fn change_run(&self, run_id: &str, change: &RunChange) -> Result<Run> {
        let changed = sqlx::query(
            "UPDATE runs SET status = coalesce(?, status), name = coalesce(?, name),
                             ended_at_us = coalesce(?, ended_at_us) WHERE run_id = ?",
        )
        .bind(change.status.map(status_name))
        .bind(change.name.as_deref())
        .bind(change.ended_at.map(micros))
        .bind(run_id)
        .execute(&self.writer)
        .await?;
        if changed.rows_affected() == 0 {
            return Err(Error::NoSuchRun(run_id.to_owned()));
        }
        self.select_run(run_id).await
    }

    pub(super) async fn select_run(&self, run_id: &str) -> Result<Run> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {RUN_COLUMNS} FROM runs WHERE run_id = ?"
        )))
        .bind(run_id)
        .fetch_optional(&self.readers)
        .await?
        .ok_or_else(|| Error::NoSuchRun(run_id.to_owned()))?;
        Ok(self.run_of(&row).await?.1)
    }

    pub(super) async fn select_runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {RUN_COLUMNS} FROM runs
             WHERE lifecycle = 'active' AND position < ?1 AND (?2 IS NULL OR experiment_id = ?2)
             ORDER BY position DESC LIMIT ?3"
        )))
        .bind(page.before.unwrap_or(i64::MAX))
        .bind(experiment)
        .bind(page.size + 1)
        .fetch_all(&self.readers)
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(self.run_of(row).await?);
        }
        Ok(page_of(found, page.size))
    }

    async fn run_of(&self, row: &SqliteRow) -> Result<(i64, Run)> {
        let id: String = row.try_get("run_id")?;
        let params = sqlx::query("SELECT key, value FROM params WHERE run_id = ? ORDER BY key")
            .bind(&id)
            .fetch_all(&self.readers)
            .await?;
        let tags = sqlx::query("SELECT key, value FROM run_tags WHERE run_id = ? ORDER BY key")
            .bind(&id)
            .fetch_all(&self.readers)
            .await?;
        let metrics =
            sqlx::query("SELECT key, step, measured_at_us, value FROM latest_metrics WHERE run_id = ? ORDER BY key")
                .bind(&id)
                .fetch_all(&self.readers)
                .await?;
        let ended: Option<i64> = row.try_get("ended_at_us")?;
        let run = Run {
            experiment_id: row.try_get("experiment_id")?,
            name: row.try_get("name")?,
            status: status(row.try_get("status")?)?,
            started_at: timestamp(row.try_get("started_at_us")?)?,
            ended_at: ended.map(timestamp).transpose()?,
            lifecycle: lifecycle(row.try_get("lifecycle")?)?,
            params: pairs(&params)?,
            metrics: metrics.iter().map(metric).collect::<Result<_>>()?,
            tags: pairs(&tags)?,
            id,
        };
        Ok((row.try_get("position")?, run))
    }

    pub(super) async fn insert_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        let mut tx = self.write().await?;
        let lifecycle: Option<String> = sqlx::query_scalar("SELECT lifecycle FROM runs WHERE run_id = ?")
            .bind(run_id)
            .fetch_optional(&mut *tx)
            .await?;
        match lifecycle.as_deref() {
            Some("active") => {}
            Some(_) => return Err(Error::RunDeleted(run_id.to_owned())),
            None => return Err(Error::NoSuchRun(run_id.to_owned())),
        }
        for (index, param) in batch.params.iter().enumerate() {
            write_param(&mut tx, run_id, index, param).await?;
        }
        for metric in &batch.metrics {
            write_metric(&mut tx, run_id, metric).await?;
        }
        write_tags(&mut tx, run_id, &batch.tags).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn select_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.select_run(run_id).await?;
        sqlx::query(
            "SELECT key, step, measured_at_us, value FROM metrics WHERE run_id = ? AND key = ?
             ORDER BY step, measured_at_us",
        )
        .bind(run_id)
        .bind(key)
        .fetch_all(&self.readers)
        .await?
        .iter()
        .map(metric)
        .collect()
    }
}

async fn write_param(tx: &mut Transaction<'_, Sqlite>, run_id: &str, index: usize, param: &KeyValue) -> Result<()> {
    sqlx::query("INSERT INTO params (run_id, key, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(run_id)
        .bind(&param.key)
        .bind(&param.value)
        .execute(&mut **tx)
        .await?;
    let stored: String = sqlx::query_scalar("SELECT value FROM params WHERE run_id = ? AND key = ?")
        .bind(run_id)
        .bind(&param.key)
        .fetch_one(&mut **tx)
        .await?;
    if stored == param.value {
        return Ok(());
    }
    let rule = format!(
        "parameter {} of run {run_id} is {stored:?} and cannot become {:?}",
        param.key, param.value
    );
    Err(Violation::new(&format!("params[{index}].value"), "immutable", &rule).into())
}

/// The latest value is that of the highest step, then the latest time, then the largest value: MLflow's rule.
async fn write_metric(tx: &mut Transaction<'_, Sqlite>, run_id: &str, metric: &Metric) -> Result<()> {
    sqlx::query("INSERT INTO metrics (run_id, key, step, measured_at_us, value) VALUES (?, ?, ?, ?, ?)")
        .bind(run_id)
        .bind(&metric.key)
        .bind(metric.step)
        .bind(micros(metric.measured_at))
        .bind(metric.value)
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "INSERT INTO latest_metrics (run_id, key, step, measured_at_us, value) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (run_id, key) DO UPDATE SET step = excluded.step, measured_at_us = excluded.measured_at_us,
                                                 value = excluded.value
         WHERE (excluded.step, excluded.measured_at_us) > (step, measured_at_us)
            OR ((excluded.step, excluded.measured_at_us) = (step, measured_at_us)
                AND (value IS NULL OR excluded.value > value))",
    )
    .bind(run_id)
    .bind(&metric.key)
    .bind(metric.step)
    .bind(micros(metric.measured_at))
    .bind(metric.value)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn write_tags(tx: &mut Transaction<'_, Sqlite>, run_id: &str, tags: &[KeyValue]) -> Result<()> {
    for tag in tags {
        sqlx::query("INSERT OR REPLACE INTO run_tags (run_id, key, value) VALUES (?, ?, ?)")
            .bind(run_id)
            .bind(&tag.key)
            .bind(&tag.value)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

fn pairs(rows: &[SqliteRow]) -> Result<Vec<KeyValue>> {
    rows.iter()
        .map(|row| {
            Ok(KeyValue {
                key: row.try_get("key")?,
                value: row.try_get("value")?,
            })
        })
        .collect()
}

fn metric(row: &SqliteRow) -> Result<Metric> {
    let value: Option<f64> = row.try_get("value")?;
    Ok(Metric {
        key: row.try_get("key")?,
        value: value.unwrap_or(f64::NAN),
        measured_at: timestamp(row.try_get("measured_at_us")?)?,
        step: row.try_get("step")?,
    })
}

fn lifecycle(name: &str) -> Result<Lifecycle> {
    match name {
        "active" => Ok(Lifecycle::Active),
        "deleted" => Ok(Lifecycle::Deleted),
        other => Err(Error::Corrupt(format!("lifecycle {other:?}"))),
    }
}

fn status_name(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Running => "running",
        RunStatus::Scheduled => "scheduled",
        RunStatus::Finished => "finished",
        RunStatus::Failed => "failed",
        RunStatus::Killed => "killed",
    }
}

fn status(name: &str) -> Result<RunStatus> {
    match name {
        "running" => Ok(RunStatus::Running),
        "scheduled" => Ok(RunStatus::Scheduled),
        "finished" => Ok(RunStatus::Finished),
        "failed" => Ok(RunStatus::Failed),
        "killed" => Ok(RunStatus::Killed),
        other => Err(Error::Corrupt(format!("run status {other:?}"))),
    }
}
