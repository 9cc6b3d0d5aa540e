//! Clients of other services. All of them come from here: lazy connection, keep-alive, a deadline on every call, trace context on every hop.
//!
//! ```ignore
//! let channel = ClientBuilder::new(&common.peers.registry, &common.client).channel()?;
//! let registry = RegistryServiceClient::new(channel);
//! let head = retry::idempotent(&policy, || async { registry.clone().get_champion(request.clone()).await }).await?;
//! ```

mod channel;
pub mod retry;

pub use channel::{CallFuture, Channel};

use std::time::Duration;

use tonic::transport::Endpoint;

use crate::settings::ClientSettings;

/// Why a client cannot be built. That the peer is away is no reason: it may come.
#[derive(Debug, thiserror::Error)]
#[error("peer address {url:?} is not valid: {source}")]
pub struct ClientError {
    url: String,
    source: tonic::transport::Error,
}

/// Builds the channel to one peer.
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    url: String,
    settings: ClientSettings,
    deadline: Option<Duration>,
}

impl ClientBuilder {
    /// A client of the service at `url`, `http://host:port`.
    #[must_use]
    pub fn new(url: impl Into<String>, settings: &ClientSettings) -> Self {
        Self {
            url: url.into(),
            deadline: Some(settings.request_timeout()),
            settings: settings.clone(),
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

    /// The channel. It connects with the first call and again after a loss; clones share the connection. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// [`ClientError`] if the URL is not one.
    pub fn channel(self) -> Result<Channel, ClientError> {
        let endpoint = match Endpoint::from_shared(self.url.clone()) {
            Ok(endpoint) => endpoint,
            Err(source) => return Err(ClientError { url: self.url, source }),
        };
        let endpoint = endpoint
            .connect_timeout(Duration::from_millis(self.settings.connect_timeout_ms))
            .http2_keep_alive_interval(Duration::from_millis(self.settings.keep_alive_interval_ms))
            .keep_alive_timeout(Duration::from_millis(self.settings.keep_alive_timeout_ms))
            .keep_alive_while_idle(true)
            .tcp_nodelay(true);
        Ok(Channel::new(endpoint.connect_lazy(), self.url, self.deadline))
    }
}
