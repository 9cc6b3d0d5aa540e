//! Servers: gRPC ([`ServerBuilder`]) and HTTP ([`HttpServer`]), with the same layers, the same shutdown and the same admin server.
//!
//! The order of the layers, and why it is that order, stands in `layers/mod.rs`.

mod admin;
mod away;
mod builder;
mod connection_threads;
mod descriptors;
mod direct;
mod gathered;
mod grpc;
mod grpc_metrics;
mod head_timer;
mod health;
mod http;
mod http_connections;
mod http_metrics;
mod layers;
mod local;
mod request_id;
mod stall;

pub use builder::{BoundServer, ServerBuilder};
pub use direct::DirectAnswer;
pub use http::{BoundHttpServer, HttpServer};
pub use local::Local;
pub use request_id::RequestId;
pub use tower_http::cors;

use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken, not ours, or not allowed.
    #[error("cannot listen on {address} for {purpose}: {source}")]
    Listen {
        /// What for: `grpc`, `http`, `admin`.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A descriptor set passed to [`ServerBuilder::descriptors`] is damaged.
    #[error("descriptor set: {0}")]
    Descriptors(String),
}

async fn listen(purpose: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BindError> {
    let failed = |source| BindError::Listen {
        purpose,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
