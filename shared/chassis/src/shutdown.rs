//! The end of a service as an ordered procedure with deadlines, and the tasks that it has to end.
//!
//! # Phases
//!
//! 1. **Not ready.** [`Shutdown::trigger`] (a signal, a dead critical task, a test): `/readyz` answers 503, gRPC health watchers see `NOT_SERVING`.
//! 2. **Stop accepting.** In the same instant the listeners close and open connections are told to go away.
//! 3. **Drain.** Requests in flight finish, for at most the grace period (`shutdown_grace_ms`); then streams still open are cut with `UNAVAILABLE`.
//! 4. **Join.** Background tasks are told to end ([`Shutdown::ending`]) and get [`JOIN_DEADLINE`]. They run during the drain, because requests in
//!    flight may need them.
//! 5. **Flush.** What [`Shutdown::on_flush`] registered runs, in order of registration, each within [`FLUSH_DEADLINE`].
//! 6. **Exit.** The admin server, which showed all of this, goes last; [`crate::run`] flushes telemetry and exits.
//!
//! A missed deadline is logged with the names of what did not end; the procedure goes on.
//!
//! Several services in one process: each gets a [`Shutdown::child`], which ends with its parent, or alone.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{Stream, StreamExt};
use futures::{FutureExt, future};
use tokio::sync::OnceCell;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// How long background tasks may take to end once told.
pub const JOIN_DEADLINE: Duration = Duration::from_secs(5);

/// How long one flush may take.
pub const FLUSH_DEADLINE: Duration = Duration::from_secs(5);

/// How long cut streams, and at the very end the admin server, may take to go.
const LAST_DEADLINE: Duration = Duration::from_secs(1);

/// The grace period unless a server sets a longer one.
const DEFAULT_GRACE: Duration = Duration::from_secs(5);

/// The handle of one service's (or one process's) end. Clones are the same handle.
#[derive(Clone)]
pub struct Shutdown {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    stopping: CancellationToken,
    cut: CancellationToken,
    ending: CancellationToken,
    last: CancellationToken,
    servers: Tracked,
    tasks: Tracked,
    admin: Tracked,
    flushes: Mutex<Vec<(&'static str, Flush)>>,
    children: Mutex<Vec<Shutdown>>,
    parent: Option<Shutdown>,
    grace_ms: AtomicU64,
    failure: Mutex<Option<String>>,
    outcome: OnceCell<Outcome>,
}

type Flush = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first failure that was reported with [`Shutdown::fail`], a critical task's end included.
    pub failure: Option<String>,
    /// Whether every phase ended within its deadline.
    pub in_time: bool,
}

/// Which phase a tracked server task belongs to.
#[derive(Clone, Copy)]
pub(crate) enum Role {
    /// Answers requests: drained in phase 3.
    Requests,
    /// Shows the state: ends in phase 6.
    Admin,
}

impl Shutdown {
    /// The shutdown of the process or service `name`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self::build(name.into(), CancellationToken::new(), None)
    }

    /// The shutdown of a part that ends with this one, or earlier by itself. If the part fails, so does the whole.
    #[must_use]
    pub fn child(&self, name: impl Into<String>) -> Self {
        let child = Self::build(name.into(), self.shared.stopping.child_token(), Some(self.clone()));
        lock(&self.shared.children).push(child.clone());
        child
    }

    fn build(name: String, stopping: CancellationToken, parent: Option<Self>) -> Self {
        let shared = Shared {
            name,
            stopping,
            cut: CancellationToken::new(),
            ending: CancellationToken::new(),
            last: CancellationToken::new(),
            servers: Tracked::default(),
            tasks: Tracked::default(),
            admin: Tracked::default(),
            flushes: Mutex::default(),
            children: Mutex::default(),
            parent,
            grace_ms: AtomicU64::new(millis(DEFAULT_GRACE)),
            failure: Mutex::default(),
            outcome: OnceCell::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The service's name, as logs show it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Starts the procedure; later calls change nothing.
    pub fn trigger(&self, reason: impl fmt::Display) {
        if !self.shared.stopping.is_cancelled() {
            tracing::info!(service = self.name(), %reason, "shutting down");
        }
        self.shared.stopping.cancel();
    }

    /// Starts the procedure because of a failure: the process will exit with a code other than 0.
    pub fn fail(&self, why: impl fmt::Display) {
        let why = why.to_string();
        lock(&self.shared.failure).get_or_insert_with(|| why.clone());
        self.trigger(&why);
        if let Some(parent) = &self.shared.parent {
            parent.fail(format_args!("{}: {why}", self.name()));
        }
    }

    /// Whether the procedure has started.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.stopping.is_cancelled()
    }

    /// Waits for the start of the procedure: for whatever brings in new work (loops that poll, subscribe, schedule).
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        self.shared.stopping.clone().cancelled_owned()
    }

    /// Waits for phase 4: for background tasks that requests in flight may still need (spools, writers).
    pub fn ending(&self) -> impl Future<Output = ()> + Send + 'static {
        self.shared.ending.clone().cancelled_owned()
    }

    /// The token behind [`Shutdown::stopping`].
    #[must_use]
    pub fn stopping_token(&self) -> CancellationToken {
        self.shared.stopping.clone()
    }

    /// The token behind [`Shutdown::ending`].
    #[must_use]
    pub fn ending_token(&self) -> CancellationToken {
        self.shared.ending.clone()
    }

    pub(crate) fn cut_token(&self) -> CancellationToken {
        self.shared.cut.clone()
    }

    /// A server stream that ends when the procedure starts, with a last item of the caller's choice. Long-lived subscriptions use this: their
    /// clients reconnect elsewhere at once, and the drain does not wait for them.
    pub fn end_with<S>(&self, stream: S, last: S::Item) -> impl Stream<Item = S::Item> + Send + use<S>
    where
        S: Stream + Send,
        S::Item: Send,
    {
        let stopping = self.shared.stopping.clone();
        let cut = stopping.clone();
        // A stream that ended by itself gets no farewell.
        let farewell = futures::stream::once(future::ready(last)).filter(move |_| future::ready(cut.is_cancelled()));
        stream.take_until(stopping.cancelled_owned()).chain(farewell)
    }

    /// Makes the grace period at least this long.
    pub fn grace_at_least(&self, grace: Duration) {
        self.shared.grace_ms.fetch_max(millis(grace), Ordering::SeqCst);
    }

    /// Sets the grace period, shorter than the default too.
    pub fn set_grace(&self, grace: Duration) {
        self.shared.grace_ms.store(millis(grace), Ordering::SeqCst);
    }

    /// Runs something in phase 5, when no request and no task is left: closing files, uploading the rest.
    pub fn on_flush<F, Fut>(&self, name: &'static str, flush: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        lock(&self.shared.flushes).push((name, Box::new(move || Box::pin(flush()))));
    }

    /// Runs a background task that should end in phase 4. If it panics, that is logged and the service lives on.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> AbortHandle
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let service = self.clone();
        self.shared.tasks.spawn(name, &self.shared.name, async move {
            if let Err(panic) = std::panic::AssertUnwindSafe(task).catch_unwind().await {
                tracing::error!(
                    service = service.name(),
                    task = name,
                    panic = panic_text(&*panic),
                    "task panicked"
                );
            }
        })
    }

    /// Runs a background task without which the service is nothing: if it fails, panics, or ends before the procedure starts, the service ends.
    pub fn spawn_critical<F, E>(&self, name: &'static str, task: F) -> AbortHandle
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        let service = self.clone();
        self.shared
            .tasks
            .spawn(name, &self.shared.name, critical(service, name, task))
    }

    /// Runs blocking work on tokio's blocking pool, tracked: phase 4 waits for it.
    pub fn spawn_blocking<F, T>(&self, name: &'static str, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let named = self.shared.tasks.name(name);
        self.shared.tasks.tracker.spawn_blocking(move || {
            let _named = named;
            work()
        })
    }

    pub(crate) fn spawn_server<F, E>(&self, role: Role, name: &'static str, server: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        let tracked = match role {
            Role::Requests => &self.shared.servers,
            Role::Admin => &self.shared.admin,
        };
        tracked.spawn(name, &self.shared.name, critical(self.clone(), name, server));
    }

    /// Waits for phase 6.
    pub(crate) fn last(&self) -> impl Future<Output = ()> + Send + 'static {
        self.shared.last.clone().cancelled_owned()
    }

    /// Waits for the start of the procedure, runs it, and says how it went. Any number of callers get the same outcome; whoever waits first does
    /// the work.
    ///
    /// Boxed, so that its code is generated once, here, and not again in every crate that waits for it.
    pub fn finish(&self) -> BoxFuture<'_, Outcome> {
        async { self.shared.outcome.get_or_init(|| self.procedure()).await.clone() }.boxed()
    }

    // The phases of the module's comment, in order.
    async fn procedure(&self) -> Outcome {
        let shared = &self.shared;
        shared.stopping.cancelled().await; // 1 and 2: servers and readiness watch this token
        let children = lock(&shared.children).clone();
        let children_in_time = future::join_all(children.iter().map(Self::finish))
            .await
            .into_iter()
            .all(|outcome| outcome.in_time);

        let grace = Duration::from_millis(shared.grace_ms.load(Ordering::SeqCst));
        let drained = self.wait("drain", &shared.servers, grace).await; // 3
        if !drained {
            shared.cut.cancel();
            self.wait("cut", &shared.servers, LAST_DEADLINE).await;
        }
        shared.ending.cancel();
        let joined = self.wait("join", &shared.tasks, JOIN_DEADLINE).await; // 4
        let flushed = self.flush().await; // 5
        shared.last.cancel();
        let gone = self.wait("admin", &shared.admin, LAST_DEADLINE).await; // 6

        let outcome = Outcome {
            failure: lock(&shared.failure).clone(),
            in_time: children_in_time && drained && joined && flushed && gone,
        };
        // Children hold their parent: without this neither would ever be freed.
        lock(&shared.children).clear();
        tracing::info!(
            service = self.name(),
            in_time = outcome.in_time,
            failure = outcome.failure,
            "shut down"
        );
        outcome
    }

    async fn wait(&self, phase: &'static str, tracked: &Tracked, deadline: Duration) -> bool {
        tracked.tracker.close();
        let in_time = tokio::time::timeout(deadline, tracked.tracker.wait()).await.is_ok();
        if !in_time {
            let left = tracked.names().join(", ");
            tracing::warn!(
                service = self.name(),
                phase,
                deadline_ms = millis(deadline),
                left,
                "shutdown phase missed its deadline"
            );
        }
        in_time
    }

    async fn flush(&self) -> bool {
        let flushes = std::mem::take(&mut *lock(&self.shared.flushes));
        let mut in_time = true;
        for (name, flush) in flushes {
            if tokio::time::timeout(FLUSH_DEADLINE, flush()).await.is_err() {
                tracing::warn!(
                    service = self.name(),
                    flush = name,
                    deadline_ms = millis(FLUSH_DEADLINE),
                    "flush missed its deadline"
                );
                in_time = false;
            }
        }
        in_time
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("name", &self.shared.name)
            .field("stopping", &self.is_stopping())
            .field("tasks", &self.shared.tasks.names())
            .finish_non_exhaustive()
    }
}

/// Turns the end of a critical task into the end of its service.
async fn critical<F, E>(service: Shutdown, name: &'static str, task: F)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + 'static,
{
    match std::panic::AssertUnwindSafe(task).catch_unwind().await {
        Ok(Ok(())) if service.is_stopping() => {}
        Ok(Ok(())) => service.fail(format_args!("critical task {name} ended")),
        Ok(Err(error)) => {
            tracing::error!(service = service.name(), task = name, %error, "critical task failed");
            service.fail(format_args!("critical task {name} failed: {error}"));
        }
        Err(panic) => {
            tracing::error!(
                service = service.name(),
                task = name,
                panic = panic_text(&*panic),
                "critical task panicked"
            );
            service.fail(format_args!("critical task {name} panicked"));
        }
    }
}

/// A task tracker that knows the names of what it tracks.
#[derive(Default)]
struct Tracked {
    tracker: TaskTracker,
    live: Arc<Mutex<BTreeMap<u64, &'static str>>>,
    next: AtomicU64,
}

/// Keeps a name in the list of live tasks.
struct Named {
    live: Arc<Mutex<BTreeMap<u64, &'static str>>>,
    id: u64,
}

impl Tracked {
    fn spawn(&self, name: &'static str, service: &str, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let named = self.name(name);
        let span = tracing::debug_span!("task", service, task = name);
        let tracked = async move {
            let _named = named;
            task.await;
        };
        self.tracker.spawn(tracked.instrument(span)).abort_handle()
    }

    fn name(&self, name: &'static str) -> Named {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.live).insert(id, name);
        Named {
            live: self.live.clone(),
            id,
        }
    }

    fn names(&self) -> Vec<&'static str> {
        lock(&self.live).values().copied().collect()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        lock(&self.live).remove(&self.id);
    }
}

/// The text of a panic, if it has one.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without text")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these mutexes guard is consistent between any two statements, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
