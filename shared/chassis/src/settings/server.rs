//! What every section that binds ports holds: flattened into the section, so that `inference.bind` is the address of inference.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SettingsViolation;

/// Addresses and limits of a server. A section holds it as `#[serde(flatten)] pub server: ServerSettings` and lists all its keys in its defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSettings {
    /// Where the service listens (gRPC, or HTTP for the gateway); port 0 means any free port.
    pub bind: SocketAddr,
    /// Where `/metrics`, `/livez` and `/readyz` listen; port 0 means any free port.
    pub admin: SocketAddr,
    /// The longest a request may take, in milliseconds; a shorter deadline sent by the caller wins.
    pub request_timeout_ms: u64,
    /// The largest message accepted, in bytes. The chassis limits HTTP bodies with it; generated gRPC servers take it by
    /// `.max_decoding_message_size(settings.server.max_message_bytes)`.
    pub max_message_bytes: usize,
    /// How many requests run at once; one more is answered `RESOURCE_EXHAUSTED`.
    pub max_concurrent_requests: usize,
    /// How long requests in flight may take to finish at shutdown, in milliseconds.
    pub shutdown_grace_ms: u64,
    /// Binding beyond loopback is refused unless this says that it is meant.
    pub allow_insecure_bind: bool,
}

/// Limits are real numbers: a message above this is a mistake, not a wish.
const MAX_MESSAGE_BYTES_CEILING: usize = 1 << 30;

impl ServerSettings {
    /// Loopback, any free ports, small limits: what tests and in-process stacks want.
    #[must_use]
    pub fn on_free_ports() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            bind: any,
            admin: any,
            request_timeout_ms: 10_000,
            max_message_bytes: 16 << 20,
            max_concurrent_requests: 256,
            shutdown_grace_ms: 5_000,
            allow_insecure_bind: false,
        }
    }

    /// The longest a request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// How long requests in flight may take to finish at shutdown.
    #[must_use]
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_millis(self.shutdown_grace_ms)
    }

    /// Checks limits and insecure combinations; `section` is the dotted path of the section. The loader calls this.
    #[must_use]
    pub fn violations(&self, section: &str) -> Vec<SettingsViolation> {
        let mut found = Vec::new();
        let mut report =
            |key: &str, message: String| found.push(SettingsViolation::new(format!("{section}.{key}"), message));
        for (key, address) in [("bind", self.bind), ("admin", self.admin)] {
            if !address.ip().is_loopback() && !self.allow_insecure_bind {
                report(
                    key,
                    format!(
                        "{address} is reachable from other machines, without TLS or sign-in; if that is meant, set {section}.allow_insecure_bind: true"
                    ),
                );
            }
        }
        if self.bind == self.admin && self.bind.port() != 0 {
            report("admin", "must differ from bind".to_owned());
        }
        if self.request_timeout_ms == 0 {
            report("request_timeout_ms", "must be above 0".to_owned());
        }
        if self.max_concurrent_requests == 0 {
            report("max_concurrent_requests", "must be above 0".to_owned());
        }
        if self.max_message_bytes == 0 || self.max_message_bytes > MAX_MESSAGE_BYTES_CEILING {
            report(
                "max_message_bytes",
                format!("must be between 1 and {MAX_MESSAGE_BYTES_CEILING}"),
            );
        }
        found
    }
}
