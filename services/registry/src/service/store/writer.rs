//! Group commit for SQLite. One task owns the writing connection. It takes all writes that wait into one transaction,
//! those after the first in savepoints of their own so that one's failure is only its own, syncs once, and then answers them all.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use super::statement::Tx;
use crate::error::{Error, Result};

/// Writes that may wait before callers do.
const QUEUE: usize = 1_024;
/// A transaction is closed after so many writes, or after so long, so that the first does not wait for ever.
const LARGEST_GROUP: usize = 256;
const LONGEST_GROUP: Duration = Duration::from_millis(20);

/// Where writes are handed in. The task ends when the last clone is dropped.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
}

impl Writer {
    /// Starts the task over a pool of one connection. It is not tied to a shutdown: requests end first, and with the
    /// last of them the store, and with the store this task.
    pub(super) fn start(pool: SqlitePool) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(write_groups(pool, jobs));
        Self { queue }
    }

    /// Runs `work` in a transaction; what it answers is durable on return. A caller that goes away does not stop it.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(Tx<'c>) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Write {
            work: Some(work),
            outcome: None,
            reply,
        };
        self.queue.send(Box::new(job)).await.map_err(|_| Error::WriterGone)?;
        answer.await.map_err(|_| Error::WriterGone)?
    }
}

/// Takes the write lock at once.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// Whether what a write has written is kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

trait Job: Send {
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Keep>;
    /// `lost`: why the transaction was not committed.
    fn answer(self: Box<Self>, lost: Option<&Arc<sqlx::Error>>);
}

struct Write<F, T> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Job for Write<F, T>
where
    T: Send + 'static,
    F: for<'c> FnOnce(Tx<'c>) -> BoxFuture<'c, Result<T>> + Send + 'static,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Keep> {
        Box::pin(async move {
            let Some(work) = self.work.take() else {
                return Keep::No;
            };
            // A panic in one write must not end the task that all writes need.
            let outcome = AssertUnwindSafe(async { work(Tx::Sqlite(connection)).await })
                .catch_unwind()
                .await;
            self.outcome = outcome.ok();
            match self.outcome {
                Some(Ok(_)) => Keep::Yes,
                _ => Keep::No,
            }
        })
    }

    fn answer(self: Box<Self>, lost: Option<&Arc<sqlx::Error>>) {
        let outcome = match (self.outcome, lost) {
            (Some(Ok(_)), Some(cause)) => Err(Error::NotCommitted(cause.clone())),
            (Some(outcome), _) => outcome,
            (None, Some(cause)) => Err(Error::NotCommitted(cause.clone())),
            (None, None) => Err(Error::WriterGone),
        };
        // A caller that went away needs no answer.
        let _ = self.reply.send(outcome);
    }
}

async fn write_groups(pool: SqlitePool, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = jobs.recv().await {
        let mut group = vec![first];
        let lost = match write_group(&pool, &mut group, &mut jobs).await {
            Ok(()) => None,
            Err(cause) => Some(Arc::new(cause)),
        };
        for job in group {
            job.answer(lost.as_ref());
        }
    }
}

/// One transaction, from the first waiting write to the sync.
async fn write_group(
    pool: &SqlitePool,
    group: &mut Vec<Box<dyn Job>>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
) -> sqlx::Result<()> {
    let mut transaction = pool.begin_with(BEGIN).await?;
    let began = Instant::now();
    let (mut done, mut has_kept) = (0, false);
    loop {
        while let Some(job) = group.get_mut(done) {
            if has_kept {
                run_apart(&mut transaction, job).await?;
            } else if job.run(&mut transaction).await == Keep::Yes {
                has_kept = true;
            } else {
                // Nothing else is in it. Most groups are of one write, which needs no savepoint.
                transaction.rollback().await?;
                transaction = pool.begin_with(BEGIN).await?;
            }
            done += 1;
        }
        if group.len() >= LARGEST_GROUP || began.elapsed() >= LONGEST_GROUP {
            break;
        }
        match jobs.try_recv() {
            Ok(job) => group.push(job),
            Err(_) => break,
        }
    }
    transaction.commit().await
}

/// Runs one write so that its failure leaves those before it alone.
async fn run_apart(connection: &mut SqliteConnection, job: &mut Box<dyn Job>) -> sqlx::Result<()> {
    sqlx::query("SAVEPOINT one_write").execute(&mut *connection).await?;
    if job.run(connection).await == Keep::No {
        // Fails when the failure has ended the whole transaction, for example on a full disk.
        sqlx::query("ROLLBACK TO one_write").execute(&mut *connection).await?;
    }
    sqlx::query("RELEASE one_write").execute(&mut *connection).await?;
    Ok(())
}
