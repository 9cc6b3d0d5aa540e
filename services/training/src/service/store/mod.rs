//! The memory of runs: SQLite in WAL mode, one writing connection, every commit synced to disk.
//!
//! A run that was at work when the process ended cannot go on; [`RunStore::fail_interrupted`] says so at the next start.

mod decode;

use std::path::Path;
use std::time::Duration;

use holdfast_domain::{Digest, ModelName, RunId};
use jiff::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, Sqlite, SqlitePool, Transaction};

use super::runs::{Run, RunEvent, RunRequest, RunResult, State, StepName, TableViolation};
use super::tuning::TrialRecord;
use crate::error::{Error, Result};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "runs", include_str!("../../../migrations/0001_runs.sql")),
    (2, "trials", include_str!("../../../migrations/0002_trials.sql")),
];

/// Version of the JSON in the columns `request`, `result`, `violations` and `trial`.
const FORMAT_VERSION: i64 = 1;

/// How long a writer waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 4;

/// The runs in one SQLite file. Clones share it.
#[derive(Clone, Debug)]
pub struct RunStore {
    /// One connection, so that writers queue here and not on SQLite's lock.
    writer: SqlitePool,
    readers: SqlitePool,
}

/// What became of a wish for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The run is new, and at work.
    New,
    /// The idempotency key has started this run before.
    Before(RunId),
    /// The model has this run at work already.
    Busy(RunId),
}

/// A change of a step; it becomes a line of the run log.
#[derive(Clone, Debug, PartialEq)]
pub struct StepChange {
    /// The step.
    pub step: StepName,
    /// Its state from now on.
    pub state: State,
    /// Progress, 0 to 1.
    pub progress: f64,
    /// A sentence.
    pub message: String,
    /// In the step "tune": the trial that changed.
    pub trial: Option<TrialRecord>,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending<'a> {
    /// Its last state.
    pub state: State,
    /// Why, when it failed.
    pub error: Option<&'a str>,
    /// What was wrong with the input.
    pub violations: &'a [TableViolation],
    /// The step that ended it.
    pub step: Option<StepChange>,
}

/// One page of runs, newest first.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<Run>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<i64>,
}

impl RunStore {
    /// Opens the file, creates it when absent and applies the migrations it lacks.
    ///
    /// # Errors
    /// [`Error::Database`] when the file cannot be opened, [`Error::Migration`] when it was written by a newer version.
    pub async fn open(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await?;
        // A step that a loss of power takes back is taken again at the next start: none of them needs to wait for the disk. The first write syncs them all.
        sqlx::query("PRAGMA synchronous = NORMAL").execute(&writer).await?;
        migrator().run(&writer).await.map_err(Error::Migration)?;
        sqlx::query("PRAGMA synchronous = FULL").execute(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { writer, readers })
    }

    async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Opens a run, unless its idempotency key has opened one before or its model has one at work.
    ///
    /// # Errors
    /// The database's.
    pub async fn create(&self, id: &RunId, request: &RunRequest, now: Timestamp) -> Result<Opened> {
        let mut tx = self.write().await?;
        let key = (!request.idempotency_key.is_empty()).then_some(request.idempotency_key.as_str());
        let before: Option<String> = sqlx::query_scalar("SELECT run_id FROM runs WHERE idempotency_key = ?")
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(before) = before {
            return Ok(Opened::Before(decode::run_id(&before)?));
        }
        let busy: Option<String> = sqlx::query_scalar("SELECT run_id FROM runs WHERE model = ? AND state = 'running'")
            .bind(request.model.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        if let Some(busy) = busy {
            return Ok(Opened::Busy(decode::run_id(&busy)?));
        }
        sqlx::query(
            "INSERT INTO runs (run_id, model, state, format_version, request, idempotency_key, created_at_us)
             VALUES (?, ?, 'running', ?, ?, ?, ?)",
        )
        .bind(id.as_str())
        .bind(request.model.as_str())
        .bind(FORMAT_VERSION)
        .bind(decode::to_json(request)?)
        .bind(key)
        .bind(now.as_microsecond())
        .execute(&mut *tx)
        .await?;
        for (position, step) in (0_i64..).zip(StepName::ALL) {
            sqlx::query("INSERT INTO steps (run_id, position, name, state) VALUES (?, ?, ?, 'waiting')")
                .bind(id.as_str())
                .bind(position)
                .bind(step.name())
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(Opened::New)
    }

    /// Changes a step and writes the line of the log; answers the line's number.
    ///
    /// # Errors
    /// The database's.
    pub async fn change_step(&self, id: &RunId, change: &StepChange, now: Timestamp) -> Result<u64> {
        let mut tx = self.write().await?;
        let sequence = record(&mut tx, id.as_str(), change, now).await?;
        tx.commit().await?;
        decode::sequence(sequence)
    }

    /// Notes the snapshots that a run learns from and tests on.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_snapshots(&self, id: &RunId, training: &Digest, test: &Digest) -> Result<()> {
        sqlx::query("UPDATE runs SET training_snapshot = ?, test_snapshot = ? WHERE run_id = ?")
            .bind(training.to_string())
            .bind(test.to_string())
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Notes what a run has come to so far.
    ///
    /// # Errors
    /// The database's.
    pub async fn set_result(&self, id: &RunId, result: &RunResult) -> Result<()> {
        sqlx::query("UPDATE runs SET result = ? WHERE run_id = ?")
            .bind(decode::to_json(result)?)
            .bind(id.as_str())
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Ends a run.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(&self, id: &RunId, ending: &Ending<'_>, now: Timestamp) -> Result<()> {
        let mut tx = self.write().await?;
        if let Some(change) = &ending.step {
            record(&mut tx, id.as_str(), change, now).await?;
        }
        sqlx::query("UPDATE runs SET state = ?, error = ?, violations = ?, ended_at_us = ? WHERE run_id = ?")
            .bind(ending.state.name())
            .bind(ending.error)
            .bind(decode::to_json(ending.violations)?)
            .bind(now.as_microsecond())
            .bind(id.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks the runs that were at work when the process ended as failed, and answers them.
    ///
    /// # Errors
    /// The database's.
    pub async fn fail_interrupted(&self, why: &str, now: Timestamp) -> Result<Vec<RunId>> {
        let rows = sqlx::query("SELECT run_id FROM runs WHERE state = 'running' ORDER BY position")
            .fetch_all(&self.writer)
            .await?;
        let mut interrupted = Vec::with_capacity(rows.len());
        for row in rows {
            let id = decode::run_id(row.get("run_id"))?;
            let at_work: Option<(String, f64)> =
                sqlx::query_as("SELECT name, progress FROM steps WHERE run_id = ? AND state = 'running'")
                    .bind(id.as_str())
                    .fetch_optional(&self.writer)
                    .await?;
            let step = at_work.and_then(|(name, progress)| {
                Some(StepChange {
                    step: StepName::from_name(&name)?,
                    state: State::Failed,
                    progress,
                    message: why.to_owned(),
                    trial: None,
                })
            });
            let ending = Ending {
                state: State::Failed,
                error: Some(why),
                violations: &[],
                step,
            };
            self.end(&id, &ending, now).await?;
            interrupted.push(id);
        }
        Ok(interrupted)
    }

    /// One run with its steps.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`]; the database's.
    pub async fn run(&self, id: &RunId) -> Result<Run> {
        // One connection, one transaction: the run and its steps are of the same moment.
        let mut tx = self.readers.begin().await?;
        let row = sqlx::query("SELECT * FROM runs WHERE run_id = ?")
            .bind(id.as_str())
            .fetch_optional(&mut *tx)
            .await?;
        let row = row.ok_or_else(|| Error::NoSuchRun(id.to_string()))?;
        let steps = sqlx::query("SELECT * FROM steps WHERE run_id = ? ORDER BY position")
            .bind(id.as_str())
            .fetch_all(&mut *tx)
            .await?;
        decode::run(&row, &steps)
    }

    /// Runs, newest first, of one model or of all; `before` is where a page before ended.
    ///
    /// # Errors
    /// The database's.
    pub async fn runs(&self, model: Option<&ModelName>, before: Option<i64>, size: u32) -> Result<RunPage> {
        let mut rows = sqlx::query(
            "SELECT position, run_id FROM runs WHERE (?1 IS NULL OR model = ?1) AND (?2 IS NULL OR position < ?2)
             ORDER BY position DESC LIMIT ?3",
        )
        .bind(model.map(ModelName::as_str))
        .bind(before)
        .bind(i64::from(size) + 1)
        .fetch_all(&self.readers)
        .await?;
        let more = rows.len() > size as usize;
        rows.truncate(size as usize);
        let next = if more {
            rows.last().map(|row| row.get("position"))
        } else {
            None
        };
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            runs.push(self.run(&decode::run_id(row.get("run_id"))?).await?);
        }
        Ok(RunPage { runs, next })
    }

    /// The lines of a run's log after number `after`.
    ///
    /// # Errors
    /// The database's.
    pub async fn events(&self, id: &RunId, after: u64) -> Result<Vec<RunEvent>> {
        let rows = sqlx::query("SELECT * FROM events WHERE run_id = ? AND sequence > ? ORDER BY sequence")
            .bind(id.as_str())
            .bind(i64::try_from(after).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(decode::event).collect()
    }
}

/// Writes a step's change and its line of the log.
async fn record(tx: &mut Transaction<'static, Sqlite>, id: &str, change: &StepChange, now: Timestamp) -> Result<i64> {
    let now = now.as_microsecond();
    let sequence: i64 = sqlx::query_scalar(
        "UPDATE runs SET last_sequence = last_sequence + 1 WHERE run_id = ? RETURNING last_sequence",
    )
    .bind(id)
    .fetch_optional(&mut **tx)
    .await?
    .ok_or_else(|| Error::NoSuchRun(id.to_owned()))?;
    let ended = change.state.is_final().then_some(now);
    sqlx::query(
        "UPDATE steps SET state = ?1, progress = ?2, message = ?3, started_at_us = coalesce(started_at_us, ?4), ended_at_us = ?5
         WHERE run_id = ?6 AND name = ?7",
    )
    .bind(change.state.name())
    .bind(change.progress)
    .bind(&change.message)
    .bind(now)
    .bind(ended)
    .bind(id)
    .bind(change.step.name())
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "INSERT INTO events (run_id, sequence, at_us, step, state, progress, message, trial) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(sequence)
    .bind(now)
    .bind(change.step.name())
    .bind(change.state.name())
    .bind(change.progress)
    .bind(&change.message)
    .bind(change.trial.as_ref().map(decode::to_json).transpose()?)
    .execute(&mut **tx)
    .await?;
    Ok(sequence)
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, description, sql)| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sqlx::SqlStr::from_static(sql),
            false,
        )
    });
    Migrator {
        migrations: migrations.collect::<Vec<_>>().into(),
        ..Migrator::DEFAULT
    }
}

#[cfg(test)]
mod tests;
