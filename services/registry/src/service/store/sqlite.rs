//! The metadata store on SQLite: WAL, one writing connection, several readers, every commit synced to disk.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use holdfast_domain::{Digest, ModelName, ModelVersion};
use jiff::Timestamp;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{MetadataStore, Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::gate::GateDecision;
use crate::service::models::{FinishedVersion, VersionRecord};
use crate::service::tracking::{Batch, Experiment, ExperimentBy, KeyValue, Metric, Run, RunChange};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "tracking", include_str!("../../../migrations/0001_tracking.sql")),
    (2, "models", include_str!("../../../migrations/0002_models.sql")),
    (5, "artifacts", include_str!("../../../migrations/0005_artifacts.sql")),
];

/// How long a writer waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 4;

/// The metadata store on one SQLite file.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    /// One connection, so that writers queue here and not on SQLite's lock.
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl SqliteStore {
    /// Opens the file, creates it when absent and applies the migrations it lacks.
    ///
    /// # Errors
    /// [`Error::Database`] when the file cannot be opened or was written by a newer version.
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
        migrator().run(&writer).await.map_err(Error::Migration)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self { writer, readers })
    }

    /// A transaction that holds the write lock from its start.
    pub(super) async fn write(&self) -> Result<Transaction<'static, Sqlite>> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, description, sql)| {
            Migration::new(
                version,
                description.into(),
                MigrationType::Simple,
                sqlx::SqlStr::from_static(sql),
                false,
            )
        })
        .collect::<Vec<_>>();
    Migrator {
        migrations: migrations.into(),
        ..Migrator::DEFAULT
    }
}

/// Microseconds since 1970 UTC, as the tables store time.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(super) fn timestamp(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| Error::Corrupt("a time out of range".into()))
}

/// Cuts the extra row off that says whether there is a next page.
pub(super) fn page_of<T>(mut rows: Vec<(i64, T)>, size: u32) -> Page<T> {
    let more = rows.len() > size as usize;
    rows.truncate(size as usize);
    let next = if more {
        rows.last().map(|(position, _)| *position)
    } else {
        None
    };
    Page {
        items: rows.into_iter().map(|(_, item)| item).collect(),
        next,
    }
}

#[async_trait]
impl MetadataStore for SqliteStore {
    async fn create_experiment(&self, name: &str, tags: &[KeyValue], now: Timestamp) -> Result<Experiment> {
        self.insert_experiment(name, tags, now).await
    }

    async fn experiment(&self, by: &ExperimentBy) -> Result<Experiment> {
        self.select_experiment(by).await
    }

    async fn experiments(&self, page: &PageRequest) -> Result<Page<Experiment>> {
        self.select_experiments(page).await
    }

    async fn create_run(
        &self,
        id: &str,
        experiment: i64,
        name: &str,
        tags: &[KeyValue],
        now: Timestamp,
    ) -> Result<Run> {
        self.insert_run(id, experiment, name, tags, now).await
    }

    async fn update_run(&self, run_id: &str, change: &RunChange) -> Result<Run> {
        self.change_run(run_id, change).await
    }

    async fn run(&self, run_id: &str) -> Result<Run> {
        self.select_run(run_id).await
    }

    async fn runs(&self, experiment: Option<i64>, page: &PageRequest) -> Result<Page<Run>> {
        self.select_runs(experiment, page).await
    }

    async fn log_batch(&self, run_id: &str, batch: &Batch) -> Result<()> {
        self.insert_batch(run_id, batch).await
    }

    async fn metric_history(&self, run_id: &str, key: &str) -> Result<Vec<Metric>> {
        self.select_history(run_id, key).await
    }

    async fn reserve_version(
        &self,
        model: &ModelName,
        run_id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<VersionRecord> {
        self.insert_version(model, run_id, by, now).await
    }

    async fn finish_version(
        &self,
        model: &ModelName,
        version: ModelVersion,
        facts: &FinishedVersion,
    ) -> Result<VersionRecord> {
        self.set_version_ready(model, version, facts).await
    }

    async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<VersionRecord> {
        self.select_version(model, version).await
    }

    async fn versions(&self, model: &ModelName, page: &PageRequest) -> Result<Page<VersionRecord>> {
        self.select_versions(model, page).await
    }

    async fn models(&self) -> Result<Vec<(ModelName, u32, ModelVersion)>> {
        self.select_models().await
    }

    async fn record_decision(
        &self,
        model: &ModelName,
        version: ModelVersion,
        digest: &Digest,
        decision: &GateDecision,
    ) -> Result<()> {
        self.insert_decision(model, version, digest, decision).await
    }

    async fn others_judged_on(&self, model: &ModelName, version: ModelVersion, test_snapshot: &Digest) -> Result<u32> {
        self.count_judged_on(model, version, test_snapshot).await
    }
}
