//! Who writes the spool: whichever request finds nobody writing does it for all that wait (flat combining, Hendler et al. 2010).
//!
//! A thread of its own would cost every request two changes of thread, which is more than the write into the operating system's
//! cache. Only what blocks is left to a thread: syncs (`durability: fsync`), and sealing a segment that has grown old.
//!
//! Nobody is forgotten: a request that finds somebody writing has counted itself before, and whoever writes looks at the count
//! after letting go.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::Duration;

use holdfast_chassis::deadline;

use super::writer::{Job, Writer};
use crate::settings::Durability;

/// Requests that wait for the writer; one more is refused.
const QUEUE: usize = 8_192;

#[derive(Debug)]
pub(super) struct GroupCommit {
    jobs: SyncSender<Job>,
    /// Jobs sent and not yet done; counted before they are sent.
    waiting: AtomicUsize,
    desk: Mutex<Desk>,
    thread: OnceLock<Thread>,
    durability: Durability,
}

/// What one writes with.
#[derive(Debug)]
struct Desk {
    writer: Writer,
    /// None: closed.
    queue: Option<Receiver<Job>>,
}

impl GroupCommit {
    pub(super) fn new(writer: Writer) -> Self {
        let (jobs, queue) = sync_channel(QUEUE);
        Self {
            jobs,
            waiting: AtomicUsize::new(0),
            durability: writer.settings.durability,
            desk: Mutex::new(Desk {
                writer,
                queue: Some(queue),
            }),
            thread: OnceLock::new(),
        }
    }

    /// Queues a job of a request and has it done: by this task, by another one, or by the thread. Its answer says when.
    pub(super) async fn submit(&self, job: Job) -> Result<(), TrySendError<()>> {
        self.queue(job)?;
        match self.durability {
            Durability::Os => {
                // Requests that are ready on this core queue up first and are written together.
                deadline::step_aside().await;
                self.write_for_all();
            }
            Durability::Fsync => self.wake_thread(),
        }
        Ok(())
    }

    /// Queues a job for the thread.
    pub(super) fn hand_over(&self, job: Job) -> Result<(), TrySendError<()>> {
        self.queue(job)?;
        self.wake_thread();
        Ok(())
    }

    fn queue(&self, job: Job) -> Result<(), TrySendError<()>> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.jobs.try_send(job).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            match error {
                TrySendError::Full(_) => TrySendError::Full(()),
                TrySendError::Disconnected(_) => TrySendError::Disconnected(()),
            }
        })
    }

    /// Writes what waits unless somebody does already.
    fn write_for_all(&self) {
        while self.waiting.load(Ordering::SeqCst) > 0 {
            let mut desk = match self.desk.try_lock() {
                Ok(desk) => desk,
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(poisoned)) => {
                    // A writer that panicked is not to be trusted: all that wait are told that the log is closed.
                    poisoned.into_inner().queue = None;
                    return self.wake_thread();
                }
            };
            let was_idle = desk.writer.is_idle();
            let done = desk.drain(&self.waiting);
            // The thread sleeps as if there were no segment to seal, or is to end.
            if desk.queue.is_none() || was_idle != desk.writer.is_idle() {
                self.wake_thread();
            }
            drop(desk);
            // Counted, but not sent yet: whoever sends it will look by himself.
            if done == 0 {
                return;
            }
        }
    }

    fn wake_thread(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// The thread's work, until the log is closed.
    pub(super) fn run(&self) {
        self.thread.get_or_init(std::thread::current);
        loop {
            let Some(patience) = self.turn() else { return };
            std::thread::park_timeout(patience);
        }
    }

    /// Does what waits and seals what is old; `None` when the log is closed, else how long there is nothing to seal.
    fn turn(&self) -> Option<Duration> {
        loop {
            let mut desk = self.lock();
            let done = desk.drain(&self.waiting);
            desk.queue.as_ref()?;
            let patience = desk.writer.seal_aged();
            drop(desk);
            // Counted, but not sent yet: the thread is woken once it is.
            if done == 0 || self.waiting.load(Ordering::SeqCst) == 0 {
                return Some(patience);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(|poisoned| {
            let mut desk = PoisonError::into_inner(poisoned);
            desk.queue = None;
            desk
        })
    }
}

impl Desk {
    /// Does what waits, and says how many jobs it was.
    fn drain(&mut self, waiting: &AtomicUsize) -> usize {
        let Some(queue) = &self.queue else { return 0 };
        let drained = self.writer.drain(queue);
        waiting.fetch_sub(drained.jobs, Ordering::SeqCst);
        if drained.closed {
            self.writer.seal();
            self.queue = None;
        }
        drained.jobs
    }
}
