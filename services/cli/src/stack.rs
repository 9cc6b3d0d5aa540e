//! All five services in one process, wired together by the addresses they really got.
//!
//! Each service is the very one that runs alone as `holdfast-<name>`: same settings, same gRPC between them. Only the process is shared.

use std::net::SocketAddr;

use anyhow::Context as _;
use holdfast_chassis::Shutdown;
use holdfast_chassis::settings::{self, Common, Section, SettingsSources};
use holdfast_serving::{check_blob_store, start_gateway, url};
use serde::Serialize;
use serde_json::Value;

/// Any free port of this machine, out of others' reach.
const ANY_PORT: &str = "127.0.0.1:0";

/// Which ports the gRPC and admin servers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Those of the settings.
    Settings,
    /// Any free ones of the loopback address.
    Free,
}

/// How to start a stack.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Where settings come from, besides the defaults.
    pub sources: SettingsSources,
    /// Where REST listens; `None` for the address of the settings.
    pub http: Option<SocketAddr>,
    /// Which ports the others take.
    pub ports: Ports,
}

/// The gRPC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct GrpcAddresses {
    /// Inference.
    pub inference: SocketAddr,
    /// The registry.
    pub registry: SocketAddr,
    /// Training.
    pub training: SocketAddr,
    /// Monitoring.
    pub monitoring: SocketAddr,
}

/// The admin addresses: `/metrics`, `/livez`, `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AdminAddresses {
    /// The gateway.
    pub gateway: SocketAddr,
    /// Inference.
    pub inference: SocketAddr,
    /// The registry.
    pub registry: SocketAddr,
    /// Training.
    pub training: SocketAddr,
    /// Monitoring.
    pub monitoring: SocketAddr,
}

/// Where a stack answers, with real ports. Its JSON form is the line that `holdfast up --json` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// REST.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: GrpcAddresses,
    /// Metrics and health.
    pub admin: AdminAddresses,
}

/// A stack that answers.
#[derive(Debug)]
pub struct Stack {
    addresses: Addresses,
    common: Common,
    shutdown: Shutdown,
}

impl StackOptions {
    /// The settings that all services share.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn common(&self) -> anyhow::Result<Common> {
        Ok(self.load::<holdfast_registry::Settings>()?.0)
    }

    /// They and a service's own.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(crate) fn load<S: Section>(&self) -> anyhow::Result<(Common, S)> {
        let mut sources = self.sources.clone();
        let mut set = |key: &str, value: Value| sources.overrides.push((format!("{}.{key}", S::NAME), value));
        let is_gateway = S::NAME == holdfast_gateway::Settings::NAME;
        if self.ports == Ports::Free {
            set("admin", Value::from(ANY_PORT));
            if !is_gateway {
                set("bind", Value::from(ANY_PORT));
            }
        }
        if let Some(http) = self.http.filter(|_| is_gateway) {
            set("bind", Value::from(http.to_string()));
        }
        Ok(settings::load(&sources)?)
    }
}

impl Stack {
    /// Starts the registry; then training, with monitoring behind it, while inference reads its model; then the gateway. Each gets the addresses of
    /// those that it calls. They end with `shutdown`. When one cannot start, trigger `shutdown` to end those that did.
    ///
    /// # Errors
    /// Wrong settings, found before anything starts; or what kept a service from starting, with its name.
    pub async fn start(options: StackOptions, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let (mut common, registry) = options.load()?;
        let (_, training) = options.load()?;
        let (_, inference) = options.load()?;
        let (_, monitoring) = options.load()?;
        let (_, gateway) = options.load()?;
        check_blob_store(&common)?;

        let part = |name: &str| shutdown.child(name);
        let registry = holdfast_registry::start(common.clone(), registry, part("registry"))
            .await
            .context("registry")?;
        common.peers.registry = url(registry.grpc);
        let serving = part("inference");
        let inference = holdfast_inference::start(common.clone(), inference, serving.clone());
        let inference = tokio::spawn(inference);
        let watching = watching(
            common.clone(),
            (training, monitoring),
            (part("training"), part("monitoring")),
        );
        let watching = tokio::spawn(watching);
        // Both have come to their ends before one that failed is told: nothing starts behind a caller's back.
        let (watching, inference) = tokio::join!(watching, inference);
        let (training, monitoring) = watching??;
        let inference = inference?.context("inference")?;
        common.peers.training = url(training.grpc);
        common.peers.monitoring = url(monitoring.grpc);
        common.peers.inference = url(inference.grpc);
        let gateway = start_gateway(inference.local, common.clone(), gateway, &serving).await?;

        let addresses = Addresses {
            http: gateway.http,
            grpc: GrpcAddresses {
                inference: inference.grpc,
                registry: registry.grpc,
                training: training.grpc,
                monitoring: monitoring.grpc,
            },
            admin: AdminAddresses {
                gateway: gateway.admin,
                inference: inference.admin,
                registry: registry.admin,
                training: training.admin,
                monitoring: monitoring.admin,
            },
        };
        Ok(Self {
            addresses,
            common,
            shutdown: shutdown.clone(),
        })
    }

    /// Where it answers.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The settings that all services share, peers' real addresses included.
    pub fn common(&self) -> &Common {
        &self.common
    }

    /// The gateway's address for clients on this machine.
    pub fn url(&self) -> String {
        url(self.addresses.http)
    }

    /// Waits until all services have ended.
    pub async fn join(self) {
        self.shutdown.stopping().await;
        self.shutdown.finish().await;
    }
}

/// Starts training, and monitoring, which calls it.
async fn watching(
    mut common: Common,
    (training, monitoring): (holdfast_training::Settings, holdfast_monitoring::Settings),
    (training_ends, monitoring_ends): (Shutdown, Shutdown),
) -> anyhow::Result<(holdfast_training::Running, holdfast_monitoring::Running)> {
    let training = holdfast_training::start(common.clone(), training, training_ends)
        .await
        .context("training")?;
    common.peers.training = url(training.grpc);
    let monitoring = holdfast_monitoring::start(common, monitoring, monitoring_ends)
        .await
        .context("monitoring")?;
    Ok((training, monitoring))
}
