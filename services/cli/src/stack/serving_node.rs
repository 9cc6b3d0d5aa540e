//! Gateway and inference in one process: what a machine runs that only answers predictions. The registry, training and monitoring run elsewhere.

use std::net::SocketAddr;

use anyhow::Context as _;
use holdfast_chassis::Shutdown;
use serde::Serialize;

use super::{StackOptions, shared_blobs, start_gateway, url};

/// The gRPC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GrpcAddress {
    /// Inference.
    pub inference: SocketAddr,
}

/// The admin addresses: `/metrics`, `/livez`, `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AdminAddresses {
    /// The gateway.
    pub gateway: SocketAddr,
    /// Inference.
    pub inference: SocketAddr,
}

/// Where it answers, with real ports. Its JSON form is the line that `holdfast serve --json` prints: that of `holdfast up`, without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: GrpcAddress,
    /// Metrics and health.
    pub admin: AdminAddresses,
}

/// A serving node that answers.
#[derive(Debug)]
pub struct ServingNode {
    addresses: Addresses,
    shutdown: Shutdown,
}

impl ServingNode {
    /// Starts inference, then the gateway before it. They end with `shutdown`. When one cannot start, trigger `shutdown` to end the other.
    ///
    /// # Errors
    /// Wrong settings, found before anything starts; or what kept a service from starting, with its name.
    pub async fn start(options: &StackOptions, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let (mut common, inference) = options.load()?;
        let (_, gateway) = options.load()?;
        shared_blobs(&common)?;
        let serving = shutdown.child("inference");
        let inference = holdfast_inference::start(common.clone(), inference, serving.clone())
            .await
            .context("inference")?;
        common.peers.inference = url(inference.grpc);
        let (grpc, admin) = (inference.grpc, inference.admin);
        let gateway = start_gateway(inference.local, common, gateway, &serving).await?;
        let addresses = Addresses {
            http: gateway.http,
            grpc: GrpcAddress { inference: grpc },
            admin: AdminAddresses {
                gateway: gateway.admin,
                inference: admin,
            },
        };
        Ok(Self {
            addresses,
            shutdown: shutdown.clone(),
        })
    }

    /// Where it answers.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Waits until both have ended.
    pub async fn join(self) {
        self.shutdown.stopping().await;
        self.shutdown.finish().await;
    }
}
