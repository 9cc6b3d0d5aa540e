//! Experiments and runs in SQL.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::{SqlStore, micros, page_of, timestamp};
use super::statement::{Tx, values};
use super::tracking::TrackingStore;
use super::{Page, PageRequest};
use crate::error::{Error, Result, Violation};
use crate::service::tracking::{
    Batch, Experiment, ExperimentBy, KeyValue, Lifecycle, Metric, Run, RunChange, RunStatus,
};

const EXPERIMENT_COLUMNS: &str = "experiment_id, name, lifecycle, created_at_us";
const RUN_COLUMNS: &str = "position, run_id, experiment_id, name, status, started_at_us, ended_at_us, lifecycle";

type ExperimentRow = (i64, String, String, i64);
type RunRow = (i64, String, i64, String, String, i64, Option<i64>, String);
type MetricRow = (String, i64, i64, Option<f64>);

#[async_trait]
impl TrackingStore for SqlStore {
    async fn create_experiment(&self, name: &str, tags: &[KeyValue], now: Timestamp) -> Result<Experiment> {
        let (name, tags) = (name.to_owned(), tags.to_vec());
        let id = self
            .write(move |mut tx| {
                Box::pin(async move {
                    let sql = "INSERT INTO experiments (name, lifecycle, created_at_us) VALUES ($1, 'active', $2)
                               ON CONFLICT DO NOTHING RETURNING experiment_id";
                    let inserted = tx.fetch_optional(sql, values![&name, micros(now)]).await?;
                    let (id,): (i64,) = inserted.ok_or(Error::ExperimentExists(name))?;
                    for tag in tags {
                        let sql = "INSERT INTO experiment_tags (experiment_id, key, value) VALUES ($1, $2, $3)
                                   ON CONFLICT (experiment_id, key) DO UPDATE SET value = excluded.value";
                        tx.execute(sql, values![id, tag.key, tag.value]).await?;
                    }
                    Ok(id)
                })
            })
            .await?;
        self.experiment(&ExperimentBy::Id(id)).await
    }

    async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        let (column, value) = match by {
            ExperimentBy::Id(id) => ("experiment_id", values![*id]),
            ExperimentBy::Name(name) => ("name", values![name]),
        };
        let sql = format!("SELECT {EXPERIMENT_COLUMNS} FROM experiments WHERE {column} = $1");
        let row = self.readers.fetch_optional(AssertSqlSafe(sql), value).await?;
        let row = row.ok_or_else(|| Error::NoSuchExperiment(by.clone()))?;
        self.experiment_of(row).await
    }

    async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        let sql = format!(
            "SELECT {EXPERIMENT_COLUMNS} FROM experiments
             WHERE lifecycle = 'active' AND experiment_id < $1 ORDER BY experiment_id DESC LIMIT $2"
        );
        let values = values![page.before.unwrap_or(i64::MAX), page.size + 1];
        let mut found = Vec::new();
        for row in self.readers.fetch_all(AssertSqlSafe(sql), values).await? {
            let experiment = self.experiment_of(row).await?;
            found.push((experiment.id, experiment));
        }
        Ok(page_of(found, page.size))
    }

    async fn create_run(
        &self,
        id: &str,
        experiment: i64,
        name: &str,
        tags: &[KeyValue],
        now: Timestamp,
    ) -> Result<Run> {
        let (run, name, tags) = (id.to_owned(), name.to_owned(), tags.to_vec());
        self.write(move |mut tx| {
            Box::pin(async move {
                let sql = "SELECT lifecycle FROM experiments WHERE experiment_id = $1";
                let found = tx.fetch_optional::<(String,)>(sql, values![experiment]).await?;
                match found.as_ref().map(|(lifecycle,)| lifecycle.as_str()) {
                    Some("active") => {}
                    Some(_) => return Err(Error::ExperimentDeleted(experiment)),
                    None => return Err(Error::NoSuchExperiment(ExperimentBy::Id(experiment))),
                }
                let sql = "INSERT INTO runs (run_id, experiment_id, name, status, started_at_us, lifecycle)
                           VALUES ($1, $2, $3, 'running', $4, 'active') ON CONFLICT DO NOTHING";
                let inserted = tx.execute(sql, values![&run, experiment, name, micros(now)]).await?;
                // The same id again is a retry: its tags were written by the call before.
                if inserted == 1 {
                    write_tags(&mut tx, &run, &tags).await?;
                }
                Ok(())
            })
        })
        .await?;
        self.run(id).await
    }

    async fn update_run(&self, run_id: &str, change: &RunChange) -> Result<Run> {
        let values = values![
            change.status.map(status_name),
            change.name.as_deref(),
            change.ended_at.map(micros),
            run_id,
        ];
        let changed = self
            .write(move |mut tx| {
                Box::pin(async move {
                    let sql = "UPDATE runs SET status = coalesce($1, status), name = coalesce($2, name),
                                   ended_at_us = coalesce($3, ended_at_us) WHERE run_id = $4";
                    tx.execute(sql, values).await
                })
            })
            .await?;
        if changed == 0 {
            return Err(Error::NoSuchRun(run_id.to_owned()));
        }
        self.run(run_id).await
    }

    async fn run(&self, run_id: &str) -> Result<Run> {
        let sql = format!("SELECT {RUN_COLUMNS} FROM runs WHERE run_id = $1");
        let row = self.readers.fetch_optional(AssertSqlSafe(sql), values![run_id]).await?;
        let row = row.ok_or_else(|| Error::NoSuchRun(run_id.to_owned()))?;
        Ok(self.run_of(row).await?.1)
    }

    async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        let sql = format!(
            "SELECT {RUN_COLUMNS} FROM runs
             WHERE lifecycle = 'active' AND position < $1 AND ($2 IS NULL OR experiment_id = $2)
             ORDER BY position DESC LIMIT $3"
        );
        let values = values![page.before.unwrap_or(i64::MAX), experiment, page.size + 1];
        let mut found = Vec::new();
        for row in self.readers.fetch_all(AssertSqlSafe(sql), values).await? {
            found.push(self.run_of(row).await?);
        }
        Ok(page_of(found, page.size))
    }

    async fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        let (run, batch) = (run_id.to_owned(), batch.clone());
        self.write(move |mut tx| {
            Box::pin(async move {
                let sql = "SELECT lifecycle FROM runs WHERE run_id = $1";
                let found = tx.fetch_optional::<(String,)>(sql, values![&run]).await?;
                match found.as_ref().map(|(lifecycle,)| lifecycle.as_str()) {
                    Some("active") => {}
                    Some(_) => return Err(Error::RunDeleted(run)),
                    None => return Err(Error::NoSuchRun(run)),
                }
                for (index, param) in batch.params.iter().enumerate() {
                    write_param(&mut tx, &run, index, param).await?;
                }
                for metric in &batch.metrics {
                    write_metric(&mut tx, &run, metric).await?;
                }
                write_tags(&mut tx, &run, &batch.tags).await
            })
        })
        .await
    }

    async fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.run(run_id).await?;
        let sql = "SELECT key, step, measured_at_us, value FROM metrics WHERE run_id = $1 AND key = $2
                   ORDER BY step, measured_at_us";
        let rows = self.readers.fetch_all(sql, values![run_id, key]).await?;
        rows.into_iter().map(metric).collect()
    }
}

impl SqlStore {
    async fn experiment_of(&self, row: ExperimentRow) -> Result<Experiment> {
        let (id, name, stage, created_at) = row;
        let sql = "SELECT key, value FROM experiment_tags WHERE experiment_id = $1 ORDER BY key";
        Ok(Experiment {
            id,
            name,
            lifecycle: lifecycle(&stage)?,
            created_at: timestamp(created_at)?,
            tags: pairs(self.readers.fetch_all(sql, values![id]).await?),
        })
    }

    async fn run_of(&self, row: RunRow) -> Result<(i64, Run)> {
        let (position, id, experiment_id, name, state, started_at, ended_at, stage) = row;
        let sql = "SELECT key, value FROM params WHERE run_id = $1 ORDER BY key";
        let params = self.readers.fetch_all(sql, values![&id]).await?;
        let sql = "SELECT key, value FROM run_tags WHERE run_id = $1 ORDER BY key";
        let tags = self.readers.fetch_all(sql, values![&id]).await?;
        let sql = "SELECT key, step, measured_at_us, value FROM latest_metrics WHERE run_id = $1 ORDER BY key";
        let metrics = self.readers.fetch_all(sql, values![&id]).await?;
        let run = Run {
            id,
            experiment_id,
            name,
            status: status(&state)?,
            started_at: timestamp(started_at)?,
            ended_at: ended_at.map(timestamp).transpose()?,
            lifecycle: lifecycle(&stage)?,
            params: pairs(params),
            metrics: metrics.into_iter().map(metric).collect::<Result<_>>()?,
            tags: pairs(tags),
        };
        Ok((position, run))
    }
}

async fn write_param(tx: &mut Tx<'_>, run_id: &str, index: usize, param: &KeyValue) -> Result<()> {
    let sql = "INSERT INTO params (run_id, key, value) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.execute(sql, values![run_id, &param.key, &param.value]).await?;
    let sql = "SELECT value FROM params WHERE run_id = $1 AND key = $2";
    let (stored,): (String,) = tx.fetch_one(sql, values![run_id, &param.key]).await?;
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
async fn write_metric(tx: &mut Tx<'_>, run_id: &str, metric: &Metric) -> Result<()> {
    let value = if metric.value.is_nan() {
        None
    } else {
        Some(metric.value)
    };
    let values = values![run_id, &metric.key, metric.step, micros(metric.measured_at), value];
    let sql = "INSERT INTO metrics (run_id, key, step, measured_at_us, value) VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, values.clone()).await?;
    let sql = "INSERT INTO latest_metrics (run_id, key, step, measured_at_us, value) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (run_id, key) DO UPDATE SET step = excluded.step,
                   measured_at_us = excluded.measured_at_us, value = excluded.value
               WHERE (excluded.step, excluded.measured_at_us) > (latest_metrics.step, latest_metrics.measured_at_us)
                  OR ((excluded.step, excluded.measured_at_us) = (latest_metrics.step, latest_metrics.measured_at_us)
                      AND (latest_metrics.value IS NULL OR excluded.value > latest_metrics.value))";
    tx.execute(sql, values).await?;
    Ok(())
}

async fn write_tags(tx: &mut Tx<'_>, run_id: &str, tags: &[KeyValue]) -> Result<()> {
    for tag in tags {
        let sql = "INSERT INTO run_tags (run_id, key, value) VALUES ($1, $2, $3)
                   ON CONFLICT (run_id, key) DO UPDATE SET value = excluded.value";
        tx.execute(sql, values![run_id, &tag.key, &tag.value]).await?;
    }
    Ok(())
}

fn pairs(rows: Vec<(String, String)>) -> Vec<KeyValue> {
    rows.into_iter().map(|(key, value)| KeyValue { key, value }).collect()
}

fn metric((key, step, measured_at, value): MetricRow) -> Result<Metric> {
    Ok(Metric {
        key,
        value: value.unwrap_or(f64::NAN),
        measured_at: timestamp(measured_at)?,
        step,
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
