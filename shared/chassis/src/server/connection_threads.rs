//! Threads that have HTTP connections to themselves.
//!
//! A runtime of several threads wakes one of them for nearly every request of a busy connection and works on it now on this core, now on that, which
//! costs more than a prediction. Here a connection stays with one thread, on a runtime of that thread's own, and so does what is answered in
//! microseconds. All else is worked out on the runtime that everything shares ([`super::away`]), so that nobody waits behind what takes long.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads of a server. They end when this is dropped, and what they still work on with them.
pub(super) struct ConnectionThreads(Vec<ConnectionThread>);

struct ConnectionThread {
    runtime: Handle,
    /// Each of its connections holds one more.
    connections: Arc<()>,
    _alive: oneshot::Sender<Infallible>,
}

/// A connection's place on a thread.
pub(super) struct Seat {
    /// The thread's runtime.
    pub(super) runtime: Handle,
    _taken: Arc<()>,
}

impl ConnectionThreads {
    /// None: connections are the current runtime's.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// As many as the current runtime has. None beside a single one: they would only share its core.
    pub(super) fn start() -> io::Result<Self> {
        let threads = match Handle::current().metrics().num_workers() {
            1 => 0,
            several => several,
        };
        (0..threads)
            .map(ConnectionThread::start)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A place on the thread that has the fewest connections.
    pub(super) fn seat(&self) -> Option<Seat> {
        let thread = self
            .0
            .iter()
            .min_by_key(|thread| Arc::strong_count(&thread.connections))?;
        Some(Seat {
            runtime: thread.runtime.clone(),
            _taken: Arc::clone(&thread.connections),
        })
    }
}

impl ConnectionThread {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        thread::Builder::new().name(format!("http-{number}")).spawn(move || {
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self {
            runtime: handle,
            connections: Arc::default(),
            _alive: alive,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn connections_spread_over_the_threads_and_what_runs_there_ends_with_them() {
        let threads = ConnectionThreads::start().unwrap();
        let seats: Vec<Seat> = (0..6).filter_map(|_| threads.seat()).collect();
        let taken = |threads: &ConnectionThreads| -> Vec<usize> {
            let counts = threads
                .0
                .iter()
                .map(|thread| Arc::strong_count(&thread.connections) - 1);
            counts.collect()
        };
        assert_eq!(taken(&threads), [2, 2, 2]);
        let (held, freed) = oneshot::channel::<Infallible>();
        let name = seats[1]
            .runtime
            .spawn(async { thread::current().name().map(str::to_owned) });
        assert_eq!(name.await.unwrap().as_deref(), Some("http-1"));
        seats[1].runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(seats);
        assert_eq!(taken(&threads), [0, 0, 0]);
        drop(threads);
        assert!(freed.await.is_err());
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_has_its_connections_itself() {
        let threads = ConnectionThreads::start().unwrap();
        assert!(threads.is_empty() && threads.seat().is_none());
    }
}
