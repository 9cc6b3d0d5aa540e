//! One address of a peer: its connections, what runs there, how it has been doing.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use tonic::transport::{Channel as Connection, Endpoint};

/// Which connection a call takes. On one connection a large body can use up what HTTP/2 lets be under way, and everybody behind it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Short calls.
    Single,
    /// Large bodies and streams.
    Bulk,
}

/// One replica. Numbers are relaxed atomics: each is read for itself, nothing is published by them.
#[derive(Debug)]
pub(super) struct Replica {
    /// Where it is; `None` for the one address of a URL that is not looked up.
    pub(super) address: Option<SocketAddr>,
    endpoint: Endpoint,
    single: Vec<Connection>,
    // Most peers never get a large body.
    bulk: OnceLock<Connection>,
    turns: AtomicUsize,
    in_flight: AtomicUsize,
    out: AtomicBool,
    failures: AtomicU32,
    ejections: AtomicU32,
    /// Milliseconds since the pool began, plus one; 0 for never.
    failed_at: AtomicU64,
}

impl Replica {
    /// A replica with so many connections for short calls; each is made when first needed.
    pub(super) fn new(address: Option<SocketAddr>, endpoint: Endpoint, connections: usize, out: bool) -> Self {
        Self {
            address,
            single: (0..connections.max(1)).map(|_| endpoint.connect_lazy()).collect(),
            endpoint,
            bulk: OnceLock::new(),
            turns: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            out: AtomicBool::new(out),
            failures: AtomicU32::new(0),
            ejections: AtomicU32::new(0),
            failed_at: AtomicU64::new(0),
        }
    }

    /// The connection for the next call.
    pub(super) fn connection(&self, lane: Lane) -> Connection {
        match (lane, self.single.as_slice()) {
            (Lane::Bulk, _) => self.bulk.get_or_init(|| self.endpoint.connect_lazy()).clone(),
            (Lane::Single, [only]) => only.clone(),
            (Lane::Single, several) => several[self.turns.fetch_add(1, Ordering::Relaxed) % several.len()].clone(),
        }
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Calls that run there now.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it gets no calls: ejected, or not yet reached.
    pub(super) fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    /// Takes it out; how often in a row it has been now.
    pub(super) fn take_out(&self) -> u32 {
        self.out.store(true, Ordering::Relaxed);
        self.ejections.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Calls may go there again. Its failures are not forgotten: the next one ejects it at once, and for longer.
    pub(super) fn let_in(&self) {
        self.out.store(false, Ordering::Relaxed);
    }

    /// It answered.
    pub(super) fn succeeded(&self) {
        // Written only after failures, so that the usual answer costs two reads.
        if self.failures.load(Ordering::Relaxed) != 0 || self.ejections.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
            self.ejections.store(0, Ordering::Relaxed);
            self.failed_at.store(0, Ordering::Relaxed);
        }
    }

    /// It failed `now_ms` after the pool began; how many times in a row it has.
    pub(super) fn failed(&self, now_ms: u64) -> u32 {
        self.failed_at.store(now_ms + 1, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether it failed in the last `within_ms`, without an answer since.
    pub(super) fn failed_lately(&self, now_ms: impl FnOnce() -> u64, within_ms: u64) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        failed_at != 0 && now_ms() < failed_at + within_ms
    }
}
