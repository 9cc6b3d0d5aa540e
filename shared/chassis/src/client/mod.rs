//! Clients of other services. All of them come from here: lazy connections to every replica, keep-alive, a deadline on every call, trace context on
//! every hop.
//!
//! ```ignore
//! let channel = ClientBuilder::new(&common.peers.registry, &common.client).channel()?;
//! let registry = RegistryServiceClient::new(channel);
//! let head = retry::idempotent(&policy, || async { registry.clone().get_champion(request.clone()).await }).await?;
//! ```

mod channel;
mod discovery;
mod metrics;
mod pool;
mod replica;
pub mod retry;

pub use channel::{CallFuture, Channel};
pub use discovery::{Addresses, Resolve, SystemResolver};
pub use metrics::ClientMetrics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::transport::Endpoint;

use crate::settings::ClientSettings;

use discovery::Discovery;
use metrics::PeerMetrics;
use pool::{Pool, Replicas, Usable};
use replica::Replica;

/// Why a client cannot be built. That the peer is away is no reason: it may come.
#[derive(Debug, thiserror::Error)]
#[error("peer address {url:?} is not valid: {source}")]
pub struct ClientError {
    url: String,
    source: tonic::transport::Error,
}

/// Builds the channel to one peer.
#[derive(Clone)]
pub struct ClientBuilder {
    url: String,
    settings: ClientSettings,
    deadline: Option<Duration>,
    resolver: Arc<dyn Resolve>,
    metrics: PeerMetrics,
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// A client of the service at `url`, `http://host:port`. Every address of `host` is a replica.
    #[must_use]
    pub fn new(url: impl Into<String>, settings: &ClientSettings) -> Self {
        Self {
            url: url.into(),
            deadline: Some(settings.request_timeout()),
            settings: settings.clone(),
            resolver: Arc::new(SystemResolver),
            metrics: PeerMetrics::default(),
        }
    }

    /// Another deadline for every call on this channel.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// No deadline of its own: for subscriptions, whose end is decided by keep-alive and shutdown. Calls can still set one, and the deadline of the
    /// request being served still holds.
    #[must_use]
    pub fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Looks addresses up in another way than the system's.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Shows what the channel does as the client of `peer`.
    #[must_use]
    pub fn metrics(mut self, metrics: &ClientMetrics, peer: &'static str) -> Self {
        self.metrics = metrics.of(peer);
        self
    }

    /// The channel. It connects with the first call and again after a loss; clones share the connections. Needs a tokio runtime around it.
    ///
    /// A host name is looked up at once, again every `client.resolve_interval_ms`, and when a replica cannot be reached; an IP address is taken as it is.
    ///
    /// # Errors
    /// [`ClientError`] if the URL is not one.
    pub fn channel(self) -> Result<Channel, ClientError> {
        let endpoint = match Endpoint::from_shared(self.url.clone()) {
            Ok(endpoint) => with_settings(endpoint, &self.settings),
            Err(source) => return Err(ClientError { url: self.url, source }),
        };
        let (replicas, ejected) = Replicas::new(self.url, self.settings.ejection.clone(), self.metrics);
        let keeper = match name_of(&endpoint) {
            Some((host, port)) => {
                let discovery = Discovery {
                    host,
                    port,
                    resolver: self.resolver,
                    endpoint,
                    settings: self.settings,
                };
                // The pool ends it: it belongs to the channel, and channels live in no service's task list.
                Some(tokio::spawn(discovery.run(replicas.clone(), ejected)).abort_handle())
            }
            None => {
                let only = Replica::new(None, endpoint, self.settings.connections, false);
                replicas.set(vec![Arc::new(only)]);
                replicas.usable.send_replace(Usable::Yes);
                None
            }
        };
        Ok(Channel::new(Pool::new(replicas, keeper), self.deadline))
    }
}

/// The name and port to look up: none for an IP address, and none for `https`, whose certificate is for the name.
fn name_of(endpoint: &Endpoint) -> Option<(String, u16)> {
    let uri = endpoint.uri();
    let host = uri.host()?;
    let address = host.trim_start_matches('[').trim_end_matches(']');
    if address.parse::<std::net::IpAddr>().is_ok() || uri.scheme_str() != Some("http") {
        return None;
    }
    Some((host.to_owned(), uri.port_u16().unwrap_or(80)))
}

fn with_settings(endpoint: Endpoint, settings: &ClientSettings) -> Endpoint {
    endpoint
        .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
        .http2_keep_alive_interval(Duration::from_millis(settings.keep_alive_interval_ms))
        .keep_alive_timeout(Duration::from_millis(settings.keep_alive_timeout_ms))
        .keep_alive_while_idle(true)
        .tcp_nodelay(true)
}
