//! The replicas of one peer: which one gets the next call, and which ones get none.
//!
//! Of two replicas drawn at random the call goes to the one with fewer calls under way ("power of two choices": M. Mitzenmacher, 2001): that finds slow
//! ones as fast as asking all of them would, and callers that decide at the same moment do not all run to the same replica. One that failed within
//! the last second is taken only against another such one, so that a retry goes elsewhere.
//!
//! One that cannot be connected to is ejected at once, one whose calls fail after several in a row, for a time that doubles with each ejection; the last
//! one never, because a doubtful answer is better than none. See `docs/adr/2026-11-26-replicas-are-balanced-by-the-caller.md`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::metrics::PeerMetrics;
use super::replica::{Lane, Replica};
use crate::error::Fault;
use crate::settings::EjectionSettings;

/// How long a failure counts when replicas are compared.
const LATELY_MS: u64 = 1_000;

/// What a call told about its replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It answered, whatever it said.
    Answered,
    /// It said that it is not available, or broke off.
    Unavailable,
    /// No answer before a deadline that left time for one.
    Late,
    /// No connection could be made.
    Unreachable,
}

/// Whether calls can be made at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Usable {
    /// Addresses are being looked up, or first connections tried.
    NotYet,
    /// There are replicas.
    Yes,
    /// The look-up failed, and there has never been an address.
    No(String),
}

/// The replicas of one peer, and the task that looks after them.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) replicas: Arc<Replicas>,
    /// Ends the task with the last channel. `None` for a single fixed address, which nobody needs to look after.
    keeper: Option<AbortHandle>,
}

/// The replicas of one peer.
#[derive(Debug)]
pub(super) struct Replicas {
    /// The peer's URL.
    pub(super) peer: String,
    list: ArcSwap<Vec<Arc<Replica>>>,
    draws: AtomicU64,
    ejection: EjectionSettings,
    /// Two ejections at once could eject all.
    deciding: Mutex<()>,
    began: Instant,
    pub(super) usable: watch::Sender<Usable>,
    /// Wakes the look-up early.
    pub(super) stale: Notify,
    ejected: mpsc::UnboundedSender<(Arc<Replica>, Duration)>,
    metrics: PeerMetrics,
}

/// A replica that was chosen for a call, counted while it is held.
#[derive(Debug)]
pub(super) struct Picked {
    replicas: Arc<Replicas>,
    replica: Arc<Replica>,
}

/// Replicas that were ejected, with the time they stay out.
pub(super) type Ejected = mpsc::UnboundedReceiver<(Arc<Replica>, Duration)>;

impl Pool {
    pub(super) fn new(replicas: Arc<Replicas>, keeper: Option<AbortHandle>) -> Self {
        Self { replicas, keeper }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(keeper) = &self.keeper {
            keeper.abort();
        }
    }
}

impl Replicas {
    /// No replicas yet.
    pub(super) fn new(peer: String, ejection: EjectionSettings, metrics: PeerMetrics) -> (Arc<Self>, Ejected) {
        let (ejected, ejections) = mpsc::unbounded_channel();
        let replicas = Self {
            peer,
            list: ArcSwap::default(),
            draws: AtomicU64::new(0),
            ejection,
            deciding: Mutex::new(()),
            began: Instant::now(),
            usable: watch::Sender::new(Usable::NotYet),
            stale: Notify::new(),
            ejected,
            metrics,
        };
        (Arc::new(replicas), ejections)
    }

    /// The replicas now.
    pub(super) fn list(&self) -> Arc<Vec<Arc<Replica>>> {
        self.list.load_full()
    }

    /// Takes other replicas from now on. Calls under way on one that is gone end there.
    pub(super) fn set(&self, replicas: Vec<Arc<Replica>>) {
        self.list.store(Arc::new(replicas));
        self.show();
    }

    /// Whether it still is one of the replicas.
    pub(super) fn has(&self, replica: &Arc<Replica>) -> bool {
        self.list.load().iter().any(|known| Arc::ptr_eq(known, replica))
    }

    /// Lets a replica in again.
    pub(super) fn let_in(&self, replica: &Replica) {
        replica.let_in();
        self.show();
    }

    /// Waits until there is a replica to call.
    ///
    /// # Errors
    /// `UNAVAILABLE` when the peer's name cannot be looked up.
    pub(super) async fn wait(self: Arc<Self>) -> Result<(), Fault> {
        let mut usable = self.usable.subscribe();
        let found = usable.wait_for(|usable| *usable != Usable::NotYet).await;
        match found.as_deref() {
            Ok(Usable::No(why)) => {
                let message = format!("cannot reach {}: {why}", self.peer);
                Err(Fault::unavailable("PEER_UNAVAILABLE", message))
            }
            // The sender lives as long as we do.
            _ => Ok(()),
        }
    }

    /// The replica for the next call; `None` while there are none.
    pub(super) fn pick(self: &Arc<Self>) -> Option<Picked> {
        let list = self.list.load();
        let replica = match list.as_slice() {
            [] => return None,
            [only] => only,
            several => self.better_of_two(several),
        };
        replica.begin();
        self.metrics.picks.inc();
        Some(Picked {
            replicas: self.clone(),
            replica: replica.clone(),
        })
    }

    fn better_of_two<'r>(&self, replicas: &'r [Arc<Replica>]) -> &'r Arc<Replica> {
        let draw = self.draw();
        let first = (draw >> 32) as usize % replicas.len();
        let second = (first + 1 + (draw & 0xffff_ffff) as usize % (replicas.len() - 1)) % replicas.len();
        let (first, second) = (&replicas[first], &replicas[second]);
        match (first.is_out(), second.is_out()) {
            (false, true) => first,
            (true, false) => second,
            (true, true) => {
                let begin = draw as usize % replicas.len();
                let others = replicas[begin..].iter().chain(&replicas[..begin]);
                // All out: the network may be at fault and not the replicas, so try one.
                others.into_iter().find(|other| !other.is_out()).unwrap_or(first)
            }
            (false, false) => {
                let doubtful = |replica: &Replica| replica.failed_lately(|| self.now_ms(), LATELY_MS);
                let load = |replica: &Replica| (doubtful(replica), replica.in_flight());
                if load(second) < load(first) { second } else { first }
            }
        }
    }

    /// 64 bits that look random (SplitMix64: G. Steele and others, 2014): nothing to lock, nothing to seed.
    fn draw(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut bits = self.draws.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn note(&self, replica: &Arc<Replica>, outcome: Outcome) {
        match outcome {
            Outcome::Answered => replica.succeeded(),
            Outcome::Unavailable | Outcome::Late => {
                if replica.failed(self.now_ms()) >= self.ejection.consecutive_failures {
                    self.eject(replica, outcome);
                }
            }
            Outcome::Unreachable => {
                replica.failed(self.now_ms());
                self.eject(replica, outcome);
                self.stale.notify_one();
            }
        }
    }

    fn eject(&self, replica: &Arc<Replica>, why: Outcome) {
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let list = self.list.load();
        let another = list.iter().any(|other| !Arc::ptr_eq(other, replica) && !other.is_out());
        if !another || replica.is_out() || !self.has(replica) {
            return;
        }
        let times = replica.take_out();
        let wait = self.ejection.wait(times);
        tracing::warn!(peer = self.peer, address = ?replica.address, ?why, wait_ms = wait.as_millis(), "replica ejected");
        self.metrics.ejections.inc();
        self.show();
        // Nobody listening: the pool is ending.
        let _ = self.ejected.send((replica.clone(), wait));
    }

    fn show(&self) {
        let list = self.list.load();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.replicas.set(count(list.len()));
        let out = list.iter().filter(|replica| replica.is_out()).count();
        self.metrics.ejected.set(count(out));
    }
}

impl Picked {
    pub(super) fn connection(&self, lane: Lane) -> tonic::transport::Channel {
        self.replica.connection(lane)
    }

    /// How the call went.
    pub(super) fn note(&self, outcome: Outcome) {
        self.replicas.note(&self.replica, outcome);
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.replica.end();
    }
}
