//! Metrics and nothing else. Calls that wait together are written together: on Postgres with one statement, which is a transaction of its own, on
//! SQLite with few in one transaction.
//!
//! This is for what nearly always holds: runs are active, and on Postgres points are new, because a third of what it spends on a point goes to
//! `ON CONFLICT`. Where it does not hold nothing is written, and the caller goes the long way, alone. `COPY` takes less of Postgres but more ways
//! there and back, and was slower.

mod postgres;
mod sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::sql_batches::{latest, sorted};
use super::statement::Readers;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::service::tracking::Metric;

/// Calls that may wait before callers do.
const QUEUE: usize = 1_024;
/// Groups at once: few, so that calls wait together while one group is synced to disk.
const WRITERS: u32 = 2;
/// A group takes no further call once it has so many points.
const POINTS_AT_ONCE: usize = 4_000;

/// SQLSTATE classes of what one call can bring on all: a wrong value, a row twice, a point that is there, a deadlock.
const BROUGHT_ON: [&str; 4] = ["21", "22", "23", "40"];

/// A run and what is logged to it.
struct OfRun<'m> {
    run_id: &'m str,
    /// All points, in the order of the table.
    points: Vec<&'m Metric>,
    /// The latest of each key.
    latest: Vec<&'m Metric>,
}

/// Where metrics are handed in. Its tasks end when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Points {
    queue: mpsc::Sender<Call>,
}

/// Metrics of one run, and who waits for them.
struct Call {
    run_id: String,
    metrics: Arc<[Metric]>,
    reply: oneshot::Sender<Result<Written>>,
}

/// What has become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// All of it is durable.
    Whole,
    /// Nothing of it is there: it, or another call of its group, was not what groups are for.
    Nothing,
}

/// Where points go.
#[derive(Clone, Debug)]
enum Sink {
    Sqlite(Readers, Writer),
    Postgres(PgPool),
}

impl Points {
    /// Starts the tasks for SQLite.
    pub(super) fn of_sqlite(readers: Readers, writer: Writer) -> Self {
        Self::start(&Sink::Sqlite(readers, writer))
    }

    /// Starts the tasks for Postgres, on connections of their own, where a plan is made once: for arrays of other lengths it would be made anew.
    pub(super) async fn of_postgres(pool: PgPoolOptions, options: PgConnectOptions) -> sqlx::Result<Self> {
        let options = options.options([("plan_cache_mode", "force_generic_plan")]);
        let pool = pool.max_connections(WRITERS).connect_with(options).await?;
        Ok(Self::start(&Sink::Postgres(pool)))
    }

    fn start(sink: &Sink) -> Self {
        let (queue, calls) = mpsc::channel(QUEUE);
        let calls = Arc::new(Mutex::new(calls));
        for _ in 0..WRITERS {
            tokio::spawn(write_waiting(sink.clone(), Arc::clone(&calls)));
        }
        Self { queue }
    }

    /// Adds metrics to an active run. A caller that goes away does not stop it.
    pub(super) async fn write(&self, run_id: &str, metrics: Arc<[Metric]>) -> Result<Written> {
        let (reply, answer) = oneshot::channel();
        let call = Call {
            run_id: run_id.to_owned(),
            metrics,
            reply,
        };
        self.queue.send(call).await.map_err(|_| Error::WriterGone)?;
        answer.await.map_err(|_| Error::WriterGone)?
    }
}

async fn write_waiting(sink: Sink, calls: Arc<Mutex<mpsc::Receiver<Call>>>) {
    loop {
        let group = waiting(&mut *calls.lock().await).await;
        if group.is_empty() {
            break;
        }
        let written = sink.write(&group).await;
        for call in group {
            let outcome = match &written {
                Ok(active) if active.contains(&call.run_id) => Ok(Written::Whole),
                Ok(_) => Ok(Written::Nothing),
                Err(lost) => lost
                    .clone()
                    .map_or(Ok(Written::Nothing), |cause| Err(Error::NotCommitted(cause))),
            };
            // A caller that went away needs no answer.
            let _ = call.reply.send(outcome);
        }
    }
}

/// The next call and those that wait behind it; none when there will be no more.
async fn waiting(calls: &mut mpsc::Receiver<Call>) -> Vec<Call> {
    let Some(first) = calls.recv().await else {
        return Vec::new();
    };
    let mut points = first.metrics.len();
    let mut group = vec![first];
    while points < POINTS_AT_ONCE
        && let Ok(next) = calls.try_recv()
    {
        points += next.metrics.len();
        group.push(next);
    }
    group
}

/// Why nothing of a group was written: the database's failure, or none when the calls may go the long way.
type Lost = Option<Arc<sqlx::Error>>;

impl Sink {
    /// Writes the calls whose runs are active, and answers these runs.
    async fn write(&self, group: &[Call]) -> Result<Vec<String>, Lost> {
        let mut runs: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
        for call in group {
            runs.entry(&call.run_id).or_default().extend(call.metrics.iter());
        }
        let runs = runs.into_iter().map(|(run_id, metrics)| OfRun {
            run_id,
            points: sorted(metrics.iter().copied()),
            latest: latest(metrics).into_values().collect(),
        });
        let runs: Vec<OfRun<'_>> = runs.collect();
        match self {
            // One writes at a time there anyway, so the long way costs little more, and says whose fault it was.
            Self::Sqlite(readers, writer) => sqlite::insert(readers, writer, &runs).await.map_err(|_| None),
            Self::Postgres(pool) => postgres::insert(pool, &runs)
                .await
                .map_err(|cause| (!is_brought_on(&cause)).then(|| Arc::new(cause))),
        }
    }
}

fn is_brought_on(cause: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = cause else {
        return false;
    };
    let code = error.code().unwrap_or_default();
    BROUGHT_ON.iter().any(|class| code.starts_with(class))
}
