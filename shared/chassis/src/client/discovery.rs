//! Where a peer's replicas are: the addresses of its name, looked up again and again, and tried before they get calls.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tonic::transport::Endpoint;

use super::pool::{Ejected, Replicas, Usable};
use super::replica::Replica;
use crate::settings::ClientSettings;

/// Look-ups are never closer together, however many calls fail.
const LEAST_GAP: Duration = Duration::from_millis(100);

/// The addresses that a look-up found.
pub type Addresses<'r> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'r>>;

/// Looks up the addresses of a name. Tests put their own in place of the system's.
pub trait Resolve: Send + Sync {
    /// All addresses of `host`, with `port`. An error, like an empty list, leaves the addresses known before in use.
    fn resolve<'r>(&'r self, host: &'r str, port: u16) -> Addresses<'r>;
}

/// The system's resolver: A and AAAA records, `/etc/hosts`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve<'r>(&'r self, host: &'r str, port: u16) -> Addresses<'r> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}

/// Looks after the replicas of one name.
pub(super) struct Discovery {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) resolver: Arc<dyn Resolve>,
    /// The endpoint as the URL has it; each replica's is this one with its address.
    pub(super) endpoint: Endpoint,
    pub(super) settings: ClientSettings,
}

/// Proofs of one look-up that are still to come.
type Unproven = Arc<AtomicUsize>;

impl Discovery {
    /// Runs for as long as the pool lives.
    pub(super) async fn run(self, replicas: Arc<Replicas>, mut ejected: Ejected) {
        let interval = Duration::from_millis(self.settings.resolve_interval_ms);
        let mut trials = JoinSet::new();
        let mut last = Instant::now();
        let mut next = last;
        let mut wait = LEAST_GAP;
        loop {
            tokio::select! {
                () = sleep_until(next) => {
                    last = Instant::now();
                    self.look_up(&replicas, &mut trials).await;
                    let known = !replicas.list().is_empty();
                    // With nobody to call, ask more often.
                    wait = if known { interval } else { (wait * 2).min(interval) };
                    next = Instant::now() + wait;
                }
                () = replicas.stale.notified() => next = next.min(last + LEAST_GAP),
                Some((replica, wait)) = ejected.recv() => {
                    trials.spawn(self.trial(&replicas, replica, wait, None));
                }
                Some(_) = trials.join_next() => {}
            }
        }
    }

    async fn look_up(&self, replicas: &Arc<Replicas>, trials: &mut JoinSet<()>) {
        let limit = Duration::from_millis(self.settings.request_timeout_ms);
        let looked_up = timeout(limit, self.resolver.resolve(&self.host, self.port)).await;
        let failure = match looked_up {
            Ok(Ok(found)) if !found.is_empty() => return self.take(replicas, found, trials),
            Ok(Ok(_)) => format!("{} has no address", self.host),
            Ok(Err(error)) => format!("{} cannot be looked up: {error}", self.host),
            Err(_) => format!("{} cannot be looked up: no answer", self.host),
        };
        // What was known before stays: names fail more often than services move.
        if replicas.list().is_empty() {
            replicas.usable.send_replace(Usable::No(failure));
        } else {
            tracing::debug!(peer = replicas.peer, failure, "addresses kept");
        }
    }

    fn take(&self, replicas: &Arc<Replicas>, mut found: Vec<SocketAddr>, trials: &mut JoinSet<()>) {
        found.sort_unstable();
        found.dedup();
        let known = replicas.list();
        let several = found.len() > 1;
        let mut new = Vec::new();
        let list: Vec<_> = found
            .into_iter()
            .filter_map(|address| {
                if let Some(known) = known.iter().find(|known| known.address == Some(address)) {
                    return Some(known.clone());
                }
                let endpoint = self.endpoint_at(address)?;
                // The only one there is needs no proof.
                let replica = Arc::new(Replica::new(
                    Some(address),
                    endpoint,
                    self.settings.connections,
                    several,
                ));
                new.push(replica.clone());
                Some(replica)
            })
            .collect();
        if new.is_empty() && list.len() == known.len() {
            return;
        }
        tracing::info!(
            peer = replicas.peer,
            replicas = list.len(),
            new = new.len(),
            "addresses changed"
        );
        let proven = list.iter().any(|replica| !replica.is_out());
        replicas.set(list);
        if proven {
            replicas.usable.send_replace(Usable::Yes);
        }
        if several {
            let unproven = Arc::new(AtomicUsize::new(new.len()));
            for replica in new {
                trials.spawn(self.trial(replicas, replica, Duration::ZERO, Some(unproven.clone())));
            }
        }
    }

    fn endpoint_at(&self, address: SocketAddr) -> Option<Endpoint> {
        // An address is always a valid authority.
        let endpoint = Endpoint::from_shared(format!("http://{address}")).ok()?;
        let origin = self.endpoint.uri().clone();
        Some(super::with_settings(endpoint, &self.settings).origin(origin))
    }

    /// Tries to connect, first after `wait`, until it works; then lets the replica in. `unproven` counts the new ones of a look-up that are still to be
    /// tried.
    fn trial(
        &self,
        replicas: &Arc<Replicas>,
        replica: Arc<Replica>,
        mut wait: Duration,
        mut unproven: Option<Unproven>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let replicas = replicas.clone();
        let ejection = self.settings.ejection.clone();
        let patience = Duration::from_millis(self.settings.connect_timeout_ms);
        async move {
            let mut tries = 0;
            loop {
                sleep(wait).await;
                let wanted = replicas.has(&replica);
                tries += 1;
                let reached = wanted && reaches(&replica, patience).await;
                if reached {
                    replicas.let_in(&replica);
                }
                // The first to be reached opens the way; if nobody is, calls may find out why.
                if let Some(unproven) = unproven.take()
                    && (unproven.fetch_sub(1, Ordering::AcqRel) == 1 || reached)
                {
                    replicas.usable.send_replace(Usable::Yes);
                }
                if reached || !wanted {
                    return;
                }
                wait = ejection.wait(tries);
            }
        }
    }
}

async fn reaches(replica: &Replica, patience: Duration) -> bool {
    let Some(address) = replica.address else { return true };
    matches!(timeout(patience, TcpStream::connect(address)).await, Ok(Ok(_)))
}
