//! The SQL store: SQLite (WAL, one writing connection, several readers, every commit synced to disk) or Postgres.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use holdfast_domain::Digest;
use holdfast_storage::Secret;
use jiff::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Notify;

use super::points::Points;
use super::statement::{Dialect, Readers, Tx};
use super::writer::Writer;
use super::{Page, migrations};
use crate::error::{Error, Result};

/// How long a writer waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const READERS: u32 = 4;
/// In rows.
const ROW_BUFFER: usize = 2_048;
/// What the writer keeps of the file: 16 MiB, as SQLite says it, so that a batch does not read what the one before has written.
const WRITER_CACHE: &str = "-16384";
/// In pages of 4 KiB: what is written again and again, as ends of tables are, goes from the log to the file once in 16 MiB and not in 4.
const CHECKPOINT_AFTER: &str = "4000";
/// So much of the file is mapped by those that read, who then copy no pages.
const MAPPED_BYTES: &str = "1073741824";
/// Beside those that write metrics.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a call waits for a connection before it is answered UNAVAILABLE.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Postgres ends a statement that runs longer, so that a caller that left does not keep a connection busy.
const STATEMENT_TIMEOUT: &str = "30s";

/// The metadata store on one database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqlStore {
    /// Where reads go: they see every write that was answered.
    pub(super) readers: Readers,
    writes: Writes,
    /// Where metrics alone go.
    pub(super) points: Points,
    /// Rung when there may be something new to tell webhooks.
    pub(super) bell: Arc<Notify>,
}

#[derive(Clone, Debug)]
enum Writes {
    Sqlite(Writer),
    Postgres(PgPool),
}

impl SqlStore {
    /// Opens the file, creates it when absent and applies the migrations it lacks.
    ///
    /// # Errors
    /// [`Error::Database`] when the file cannot be opened, [`Error::Migration`] when it was written by a newer version.
    pub async fn open_sqlite(path: &Path) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // As in Postgres, and as MLflow's LIKE has it.
            .pragma("case_sensitive_like", "ON")
            // Rows that wait between SQLite's thread and ours: a page of runs wakes either once and not twenty times.
            .row_buffer_size(ROW_BUFFER);
        let writing = options
            .clone()
            .pragma("cache_size", WRITER_CACHE)
            .pragma("wal_autocheckpoint", CHECKPOINT_AFTER)
            // What a savepoint would put back is kept in memory.
            .pragma("temp_store", "MEMORY");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(writing)
            .await?;
        // A step that a loss of power takes back is taken again at the next start: none of them needs to wait for the disk. The first write syncs them all.
        sqlx::query("PRAGMA synchronous = NORMAL").execute(&writer).await?;
        migrations::sqlite().run(&writer).await.map_err(Error::Migration)?;
        sqlx::query("PRAGMA synchronous = FULL").execute(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.read_only(true).pragma("mmap_size", MAPPED_BYTES))
            .await?;
        let (readers, writer) = (Readers::Sqlite(readers), Writer::start(writer));
        Ok(Self {
            points: Points::of_sqlite(readers.clone(), writer.clone()),
            readers,
            writes: Writes::Sqlite(writer),
            bell: Arc::default(),
        })
    }

    /// Opens the database behind `url` and applies the migrations it lacks. Several registries may do so at once.
    ///
    /// # Errors
    /// [`Error::Database`] when it does not answer, [`Error::Migration`] when it was written by a newer version.
    pub async fn open_postgres(url: &Secret) -> Result<Self> {
        let options = PgConnectOptions::from_str(url.expose())?
            .application_name("holdfast-registry")
            .options([("statement_timeout", STATEMENT_TIMEOUT), ("timezone", "UTC")]);
        let pools = PgPoolOptions::new().acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pools
            .clone()
            .max_connections(POSTGRES_CONNECTIONS)
            .connect_with(options.clone())
            .await?;
        migrations::postgres().run(&pool).await.map_err(Error::Migration)?;
        let points = Points::of_postgres(pools, options).await?;
        Ok(Self {
            readers: Readers::Postgres(pool.clone()),
            writes: Writes::Postgres(pool),
            points,
            bell: Arc::default(),
        })
    }

    /// Which SQL it understands.
    pub(super) fn dialect(&self) -> Dialect {
        match self.writes {
            Writes::Sqlite(_) => Dialect::Sqlite,
            Writes::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs `work` in one transaction: all of it is durable on return, or nothing of it when it fails. On SQLite it
    /// runs alone. On Postgres others run beside it, read committed: what reads before it writes takes
    /// [`Tx::lock`] first.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(Tx<'c>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        match &self.writes {
            Writes::Sqlite(writer) => writer.write(work).await,
            Writes::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                let done = work(Tx::Postgres(&mut transaction)).await?;
                transaction.commit().await?;
                Ok(done)
            }
        }
    }
}

/// Microseconds since 1970 UTC, as the tables store time.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

pub(super) fn timestamp(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| Error::Corrupt("a time out of range".into()))
}

pub(super) fn digest(text: &str) -> Result<Digest> {
    text.parse().map_err(|_| Error::Corrupt(format!("digest {text:?}")))
}

/// A number of versions, or the number of one.
pub(super) fn count(stored: i64) -> Result<u32> {
    u32::try_from(stored).map_err(|_| Error::Corrupt(format!("number {stored}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn once_the_file_is_made_every_commit_is_synced() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqlStore::open_sqlite(&directory.path().join("registry.db"))
            .await
            .unwrap();
        let level = store.write(|tx| {
            Box::pin(async move {
                match tx {
                    Tx::Sqlite(writer) => Ok(sqlx::query_scalar("PRAGMA synchronous").fetch_one(writer).await?),
                    Tx::Postgres(_) => Ok(-1),
                }
            })
        });
        // FULL.
        assert_eq!(level.await.unwrap(), 2_i64);
    }
}
