//! A store in front of another that refuses, delays or loses replies when told to.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::{BlobBody, BlobMeta, BlobStore, Created, Error, Key, Operation, Result};

/// What happens to a call that a [`Trigger`] picks.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The call fails with a retryable [`Error::Backend`] and nothing is done.
    Refuse,
    /// The call is done, and its reply lost: [`Error::Ambiguous`] for a create, [`Error::TimedOut`] for the others.
    LoseReply,
    /// The request is lost: nothing is done, and the caller gets the same errors as with [`Fault::LoseReply`].
    LoseRequest,
    /// Writers in conflict (409 on S3): a create fails with [`Error::Contended`], another call as refused; nothing is done.
    Conflict,
    /// The caller gets the same errors as with [`Fault::LoseReply`], and a create arrives all the same, but only before the
    /// call that comes so many calls later, counted from 1, or by [`FaultyStore::land`]. Another call is lost.
    ArriveLate(usize),
    /// The call waits, before anything is done, until [`Held::release`].
    Hold(Held),
}

/// Which calls a fault strikes. All conditions must hold; the default strikes every call.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    operation: Option<Operation>,
    folder: Option<String>,
    skip: usize,
    times: Option<usize>,
}

impl Trigger {
    /// Every call.
    pub fn any() -> Self {
        Self::default()
    }

    /// Every call of one kind.
    pub fn on(operation: Operation) -> Self {
        Self {
            operation: Some(operation),
            ..Self::default()
        }
    }

    /// Only calls whose key (for a listing: whose prefix) begins with `folder`.
    #[must_use]
    pub fn below(mut self, folder: &str) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// Only the `n`-th matching call from now on, counted from 1.
    #[must_use]
    pub fn nth(self, n: usize) -> Self {
        self.after(n.saturating_sub(1)).times(1)
    }

    /// Only after this many matching calls have passed.
    #[must_use]
    pub fn after(mut self, passed: usize) -> Self {
        self.skip = passed;
        self
    }

    /// Only this many calls, then never again.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Whether the call is struck; counts it.
    fn strikes(&mut self, operation: Operation, target: &str) -> bool {
        let matches = self.operation.is_none_or(|wanted| wanted == operation)
            && self.folder.as_deref().is_none_or(|folder| target.starts_with(folder))
            && self.times != Some(0);
        if !matches {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        true
    }
}

/// A gate at which calls wait.
#[derive(Clone, Debug)]
pub struct Held {
    open: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            open: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
        }
    }
}

impl Held {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets all waiting and coming calls pass.
    pub fn release(&self) {
        self.open.send_replace(true);
    }

    /// Returns when at least `calls` calls have come to the gate.
    ///
    /// # Panics
    /// When they have not after a minute.
    pub async fn reached_by(&self, calls: usize) {
        let mut waiting = self.waiting.subscribe();
        let arrived = tokio::time::timeout(Duration::from_secs(60), waiting.wait_for(|count| *count >= calls)).await;
        assert!(arrived.is_ok(), "waited for {calls} held calls");
    }

    async fn pass(&self) {
        self.waiting.send_modify(|count| *count += 1);
        // The sender lives in `self`, so the wait ends by the release alone.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// Wraps a store; without faults it is the store.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    inner: Arc<dyn BlobStore>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    faults: Vec<(Trigger, Fault)>,
    calls: Vec<(Operation, String)>,
    struck: usize,
    late: Vec<Late>,
}

/// A create that is still on its way.
#[derive(Debug)]
struct Late {
    calls_left: usize,
    key: Key,
    body: Bytes,
}

impl FaultyStore {
    /// A store without faults yet.
    pub fn new(inner: Arc<dyn BlobStore>) -> Self {
        Self {
            inner,
            state: Arc::default(),
        }
    }

    /// Adds a fault; of several that match a call the one added first strikes.
    pub fn inject(&self, trigger: Trigger, fault: Fault) {
        self.state().faults.push((trigger, fault));
    }

    /// Every call fails from now on: the store is away.
    pub fn refuse_everything(&self) {
        self.inject(Trigger::any(), Fault::Refuse);
    }

    /// Holds the calls that `trigger` picks and answers the gate they wait at.
    pub fn hold(&self, trigger: Trigger) -> Held {
        let held = Held::new();
        self.inject(trigger, Fault::Hold(held.clone()));
        held
    }

    /// Removes all faults. Calls that wait at a gate go on waiting for its release.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Lets every create that is on its way arrive now, and answers how many did.
    pub async fn land(&self) -> usize {
        let late: Vec<Late> = self.state().late.drain(..).collect();
        for create in &late {
            // Whether it was the first is lost with its reply.
            drop(self.inner.create(&create.key, create.body.clone()).await);
        }
        late.len()
    }

    /// Lets those arrive whose time has come.
    async fn land_due(&self) {
        let due: Vec<Late> = {
            let mut state = self.state();
            for create in &mut state.late {
                create.calls_left = create.calls_left.saturating_sub(1);
            }
            state.late.extract_if(.., |create| create.calls_left == 0).collect()
        };
        for create in due {
            drop(self.inner.create(&create.key, create.body).await);
        }
    }

    /// How many calls of this kind came in, struck ones included.
    pub fn calls(&self, operation: Operation) -> usize {
        self.state()
            .calls
            .iter()
            .filter(|(called, _)| *called == operation)
            .count()
    }

    /// How many calls a fault has struck.
    pub fn struck_calls(&self) -> usize {
        self.state().struck
    }

    /// The calls in order, with their key or prefix.
    pub fn history(&self) -> Vec<(Operation, String)> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn strike(&self, operation: Operation, target: &str) -> Option<Fault> {
        let mut state = self.state();
        state.calls.push((operation, target.to_owned()));
        let fault = state
            .faults
            .iter_mut()
            .find_map(|(trigger, fault)| trigger.strikes(operation, target).then(|| fault.clone()));
        state.struck += usize::from(fault.is_some());
        fault
    }

    async fn call<T>(
        &self,
        operation: Operation,
        target: &str,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        self.land_due().await;
        Self::struck(self.strike(operation, target), operation, target, work).await
    }

    async fn struck<T>(
        fault: Option<Fault>,
        operation: Operation,
        target: &str,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        match fault {
            None => work.await,
            Some(Fault::Conflict) if operation == Operation::Create => Err(Error::Contended {
                key: Key::parse(target).expect("a create has a key"),
                attempts: 1,
            }),
            Some(Fault::Refuse | Fault::Conflict) => Err(Error::Backend {
                operation,
                target: target.to_owned(),
                retryable: true,
                reason: "refused by an injected fault".to_owned(),
            }),
            Some(Fault::LoseReply) => {
                // Whether the call itself went well is lost with the reply.
                drop(work.await);
                Err(lost(operation, target))
            }
            Some(Fault::LoseRequest | Fault::ArriveLate(_)) => Err(lost(operation, target)),
            Some(Fault::Hold(held)) => {
                held.pass().await;
                work.await
            }
        }
    }
}

fn lost(operation: Operation, target: &str) -> Error {
    match operation {
        Operation::Create => {
            let key = Key::parse(target).expect("a create has a key");
            Error::Ambiguous {
                key,
                reason: "reply lost by an injected fault".to_owned(),
            }
        }
        _ => Error::TimedOut {
            operation,
            target: target.to_owned(),
            after: Duration::ZERO,
        },
    }
}

#[async_trait]
impl BlobStore for FaultyStore {
    async fn create(&self, key: &Key, body: Bytes) -> Result<Created> {
        self.land_due().await;
        match self.strike(Operation::Create, key.as_str()) {
            Some(Fault::ArriveLate(calls_left)) => {
                let late = Late {
                    calls_left,
                    key: key.clone(),
                    body,
                };
                self.state().late.push(late);
                Err(lost(Operation::Create, key.as_str()))
            }
            fault => {
                let create = self.inner.create(key, body);
                Self::struck(fault, Operation::Create, key.as_str(), create).await
            }
        }
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.call(Operation::Put, key.as_str(), self.inner.put(key, body)).await
    }

    async fn create_from_file(&self, key: &Key, path: &Path) -> Result<Created> {
        self.call(Operation::Create, key.as_str(), self.inner.create_from_file(key, path))
            .await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.call(Operation::Get, key.as_str(), self.inner.get(key)).await
    }

    async fn open(&self, key: &Key) -> Result<BlobBody> {
        self.call(Operation::Get, key.as_str(), self.inner.open(key)).await
    }

    async fn get_to_file(&self, key: &Key, path: &Path) -> Result<u64> {
        self.call(Operation::Get, key.as_str(), self.inner.get_to_file(key, path))
            .await
    }

    async fn head(&self, key: &Key) -> Result<Option<BlobMeta>> {
        self.call(Operation::Head, key.as_str(), self.inner.head(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<BlobMeta>> {
        self.call(Operation::List, prefix, self.inner.list(prefix, after, limit))
            .await
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.call(Operation::Delete, key.as_str(), self.inner.delete(key)).await
    }

    fn describe(&self) -> String {
        format!("{} behind injected faults", self.inner.describe())
    }
}
