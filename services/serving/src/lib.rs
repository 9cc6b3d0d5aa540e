//! A serving node: gateway and inference in one process, which only answers predictions. The registry, training and monitoring run elsewhere.
//!
//! Both are the very services that run alone as `holdfast-gateway` and `holdfast-inference`, with the same settings; predictions need no socket
//! between them. `holdfast-serving` is the program for it, and the leanest; `holdfast serve` is the same by the command that has everything.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use holdfast_api::DynInferenceService;
use holdfast_chassis::server::Local;
use holdfast_chassis::{Common, Shutdown, UsageError};
use holdfast_storage::BlobStoreKind;

/// A serving node that answers.
#[derive(Debug)]
pub struct Running {
    /// Where REST listens, with the real port.
    pub http: SocketAddr,
    /// Where inference's gRPC listens, with the real port.
    pub grpc: SocketAddr,
    /// Where the gateway's `/metrics`, `/livez` and `/readyz` listen, with the real port.
    pub gateway_admin: SocketAddr,
    /// The same of inference.
    pub inference_admin: SocketAddr,
    shutdown: Shutdown,
}

impl Running {
    /// Waits until both have ended.
    pub async fn join(self) {
        self.shutdown.stopping().await;
        self.shutdown.finish().await;
    }
}

/// Starts inference, then the gateway before it. They end with `shutdown`. When one cannot start, trigger `shutdown` to end the other.
///
/// # Errors
/// Wrong settings, found before anything starts; or what kept a service from starting, with its name.
pub async fn start(
    mut common: Common,
    (gateway, inference): (holdfast_gateway::Settings, holdfast_inference::Settings),
    shutdown: &Shutdown,
) -> anyhow::Result<Running> {
    check_blob_store(&common)?;
    let ends = shutdown.child("inference");
    let inference = holdfast_inference::start(common.clone(), inference, ends.clone())
        .await
        .context("inference")?;
    common.peers.inference = url(inference.grpc);
    let (grpc, inference_admin) = (inference.grpc, inference.admin);
    let gateway = start_gateway(inference.local, common, gateway, &ends).await?;
    Ok(Running {
        http: gateway.http,
        grpc,
        gateway_admin: gateway.admin,
        inference_admin,
        shutdown: shutdown.clone(),
    })
}

/// Refuses a blob store in which the services cannot meet.
///
/// # Errors
/// What to choose instead.
pub fn check_blob_store(common: &Common) -> Result<(), UsageError> {
    if common.blob_store.kind == BlobStoreKind::Memory {
        let why = "blob_store.kind: memory gives every service a store of its own, so that they cannot meet; use directory or s3";
        return Err(UsageError(why.to_owned()));
    }
    Ok(())
}

/// Starts the gateway before the inference of this process. It ends as a part of inference's end, `serving`: its predictions are made in there, so it
/// must have answered them first.
///
/// # Errors
/// What kept it from starting.
pub async fn start_gateway(
    beside: Local<DynInferenceService>,
    common: Common,
    settings: holdfast_gateway::Settings,
    serving: &Shutdown,
) -> anyhow::Result<holdfast_gateway::Running> {
    holdfast_gateway::start_beside(Some(beside), common, settings, serving.child("gateway"))
        .await
        .context("gateway")
}

/// How to reach a server of this machine that listens at `address`.
pub fn url(address: SocketAddr) -> String {
    let mut reachable = address;
    if address.ip().is_unspecified() {
        let loopback = if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        };
        reachable.set_ip(loopback);
    }
    format!("http://{reachable}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_on_the_loopback_one() {
        assert_eq!(url("0.0.0.0:8080".parse().unwrap()), "http://127.0.0.1:8080");
        assert_eq!(url("[::]:8080".parse().unwrap()), "http://[::1]:8080");
        assert_eq!(url("192.0.2.1:8080".parse().unwrap()), "http://192.0.2.1:8080");
    }
}
