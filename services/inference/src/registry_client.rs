//! The registry over gRPC.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use holdfast_api::common::v1::{ModelRef, RolloutMode};
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::error::Fault;
use holdfast_chassis::settings::Common;
use holdfast_domain::{Generation, ModelName, ModelVersion};
use holdfast_records::Slug;
use holdfast_records::rollout::{Limits, Mode, Start};
use tonic::Status;

use crate::error::{Error, Result};
use crate::grpc;
use crate::service::registry::{ChampionStream, Registry, RegistryError, Told};
use crate::service::rollout::{Notice, Rollout};
use crate::service::status::{LoadState, ReplicaState};
use crate::service::target::Target;

/// The registry at the address in the settings.
#[derive(Clone, Debug)]
pub(crate) struct RegistryClient {
    calls: ChampionServiceClient<Channel>,
    /// Without a deadline: a subscription lives for days.
    streams: ChampionServiceClient<Channel>,
    model: ModelName,
    replica: Slug,
}

impl RegistryClient {
    /// A client that connects when it is first used; the registry may be away.
    ///
    /// # Errors
    /// [`Error::Setting`] when the address is none.
    pub(crate) fn new(common: &Common, model: ModelName, replica: Slug) -> Result<Self> {
        let builder = ClientBuilder::new(&common.peers.registry, &common.client);
        let wrong = |error: &dyn std::fmt::Display| Error::Setting {
            key: "peers.registry",
            problem: error.to_string(),
        };
        let calls = builder.clone().channel().map_err(|error| wrong(&error))?;
        let streams = builder.without_deadline().channel().map_err(|error| wrong(&error))?;
        Ok(Self {
            calls: ChampionServiceClient::new(calls),
            streams: ChampionServiceClient::new(streams),
            model,
            replica,
        })
    }
}

#[async_trait]
impl Registry for RegistryClient {
    async fn watch(&self) -> Result<ChampionStream, RegistryError> {
        let request = wire::WatchChampionRequest {
            model: self.model.to_string(),
            replica: self.replica.to_string(),
        };
        let states = self
            .streams
            .clone()
            .watch_champion(request)
            .await
            .map_err(failed)?
            .into_inner();
        Ok(states
            .map(|state| {
                let state = state.map_err(failed)?;
                Ok(Told {
                    champion: state.entry.map(target).transpose()?,
                    rollout: Notice {
                        revision: state.rollout_revision,
                        // One that cannot be read is none: following the champion must not depend on it.
                        running: state.rollout.and_then(|told| {
                            let read =
                                rollout(told).inspect_err(|error| tracing::warn!(%error, "a rollout is passed over"));
                            read.ok()
                        }),
                    },
                })
            })
            .boxed())
    }

    async fn report(&self, state: &ReplicaState) -> Result<(), RegistryError> {
        let serving = state.serving.as_ref().map(|(target, _)| target);
        let wire_state = match state.load {
            LoadState::Settled => wire::ReplicaState::Serving,
            LoadState::Loading => wire::ReplicaState::Loading,
            LoadState::Failed => wire::ReplicaState::LoadFailed,
        };
        if serving.is_none() && state.load == LoadState::Settled {
            // There is no champion: nothing to say.
            return Ok(());
        }
        let replica = wire::Replica {
            replica: self.replica.to_string(),
            model: self.model.to_string(),
            serving_generation: serving.map_or(0, |target| target.generation.0),
            serving_version: serving.map_or(0, |target| target.version.0),
            target_generation: state.target_generation.0,
            state: wire_state.into(),
            message: state
                .last_failure
                .as_ref()
                .map(|failure| failure.message.clone())
                .unwrap_or_default(),
            reload_ms: state.last_reload.as_secs_f64() * 1_000.0,
            reported_at: None,
            rollout: state.rollout.as_ref().map(grpc::tally_out),
            ..Default::default()
        };
        let request = wire::ReportReplicaRequest { replica: Some(replica) };
        self.calls.clone().report_replica(request).await.map_err(failed)?;
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(status: Status) -> RegistryError {
    let fault = Fault::from_status(&status);
    RegistryError(format!("{}: {}", fault.reason, fault.message))
}

fn target(entry: wire::ChampionEntry) -> Result<Target, RegistryError> {
    let ModelRef {
        model,
        version,
        artifact_digest,
    } = entry
        .model
        .ok_or_else(|| RegistryError("a champion without a model".to_owned()))?;
    let wrong = |what: &dyn std::fmt::Display| RegistryError(format!("a champion that cannot be read: {what}"));
    Ok(Target {
        model: model.parse().map_err(|error| wrong(&error))?,
        version: ModelVersion(version),
        artifact_digest: artifact_digest.parse().map_err(|error| wrong(&error))?,
        generation: Generation(entry.generation),
    })
}

fn rollout(wire: wire::Rollout) -> Result<Arc<Rollout>, RegistryError> {
    let wrong = |what: &dyn std::fmt::Display| RegistryError(format!("a rollout that cannot be read: {what}"));
    let mode = match wire.mode() {
        RolloutMode::Shadow => Mode::Shadow,
        RolloutMode::Canary => Mode::Canary,
        RolloutMode::Unspecified => return Err(wrong(&"its mode is not set, or newer than this build")),
    };
    let challenger = wire.challenger.ok_or_else(|| wrong(&"it names no version"))?;
    let limits = wire.limits.ok_or_else(|| wrong(&"it has no limits"))?;
    Ok(Arc::new(Rollout {
        revision: wire.revision,
        model: challenger.model.parse().map_err(|error| wrong(&error))?,
        start: Start {
            version: ModelVersion(challenger.version),
            artifact_digest: challenger.artifact_digest.parse().map_err(|error| wrong(&error))?,
            mode,
            share: wire.share,
            limits: Limits {
                max_error_rate: limits.max_error_rate,
                max_latency_ratio: limits.max_latency_ratio,
                min_requests: limits.min_requests,
            },
            champion_generation: Generation(wire.champion_generation),
            champion_version: ModelVersion(wire.champion_version),
            evaluation_digest: wire.evaluation_digest.parse().ok(),
        },
    }))
}
