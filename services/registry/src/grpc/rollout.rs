//! `RolloutService`, and rollouts as `ChampionService` tells them.

use holdfast_api::common::v1 as common;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::rollout_service_server::RolloutService;
use holdfast_api::time;
use holdfast_domain::ModelVersion;
use holdfast_records::rollout::{EndReason, Mode, Verification};
use tonic::{Request, Response, Status};

use super::{model_name, status, violation};
use crate::service::champions::GateRule;
use crate::service::replicas::Replicas;
use crate::service::rollouts::{Ending, Rollout, Rollouts, Wanted};
use crate::service::tally::{Tally, TallyState, VersionTally};

/// `RolloutService` over [`Rollouts`] and what the replicas said of them.
#[derive(Clone, Debug)]
pub(crate) struct RolloutAdapter {
    rollouts: Rollouts,
    replicas: Replicas,
}

impl RolloutAdapter {
    /// The adapter.
    pub(crate) fn new(rollouts: Rollouts, replicas: Replicas) -> Self {
        Self { rollouts, replicas }
    }
}

#[tonic::async_trait]
impl RolloutService for RolloutAdapter {
    async fn start_rollout(
        &self,
        request: Request<wire::StartRolloutRequest>,
    ) -> Result<Response<wire::StartRolloutResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let wanted = Wanted {
            version: ModelVersion(request.version),
            mode: mode_in("mode", request.mode)?,
            share: request.share,
            max_error_rate: request.max_error_rate,
            max_latency_ratio: request.max_latency_ratio,
            min_requests: request.min_requests,
            rule: if request.override_gate {
                GateRule::Override
            } else {
                GateRule::Decision
            },
            actor: request.actor,
            note: request.note,
        };
        let rollout = self.rollouts.start(&model, wanted).await.map_err(status)?;
        Ok(Response::new(wire::StartRolloutResponse {
            rollout: Some(rollout_out(&rollout)),
        }))
    }

    async fn end_rollout(
        &self,
        request: Request<wire::EndRolloutRequest>,
    ) -> Result<Response<wire::EndRolloutResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let ended = self
            .rollouts
            .stop(&model, request.revision, &request.actor, &request.note);
        let rollout = ended.await.map_err(status)?;
        Ok(Response::new(wire::EndRolloutResponse {
            rollout: Some(rollout_out(&rollout)),
        }))
    }

    async fn get_rollout(
        &self,
        request: Request<wire::GetRolloutRequest>,
    ) -> Result<Response<wire::GetRolloutResponse>, Status> {
        let model = model_name(&request.into_inner().model)?;
        let rollout = self.rollouts.newest(&model).await.map_err(status)?;
        let replicas = self.replicas.of(&model).into_iter().filter_map(|replica| {
            let tally = replica.rollout.filter(|tally| tally.revision == rollout.revision)?;
            Some(wire::ReplicaTally {
                replica: replica.replica,
                tally: Some(tally_out(&tally)),
                reported_at: Some(time::to_wire(replica.reported_at)),
            })
        });
        Ok(Response::new(wire::GetRolloutResponse {
            replicas: replicas.collect(),
            rollout: Some(rollout_out(&rollout)),
        }))
    }

    async fn list_rollouts(
        &self,
        request: Request<wire::ListRolloutsRequest>,
    ) -> Result<Response<wire::ListRolloutsResponse>, Status> {
        let model = model_name(&request.into_inner().model)?;
        let (rollouts, verdict) = self.rollouts.history(&model).await.map_err(status)?;
        let chain_break = match verdict {
            Verification::Intact { .. } => String::new(),
            Verification::Broken(broken) => broken.to_string(),
        };
        Ok(Response::new(wire::ListRolloutsResponse {
            rollouts: rollouts.iter().map(rollout_out).collect(),
            chain_intact: chain_break.is_empty(),
            chain_break,
        }))
    }
}

fn mode_in(field: &str, mode: i32) -> Result<Mode, Status> {
    match common::RolloutMode::try_from(mode) {
        Ok(common::RolloutMode::Shadow) => Ok(Mode::Shadow),
        Ok(common::RolloutMode::Canary) => Ok(Mode::Canary),
        _ => Err(violation(field, "required", "must be shadow or canary")),
    }
}

fn mode_out(mode: Mode) -> i32 {
    match mode {
        Mode::Shadow => common::RolloutMode::Shadow,
        Mode::Canary => common::RolloutMode::Canary,
    }
    .into()
}

pub(super) fn rollout_out(rollout: &Rollout) -> wire::Rollout {
    let start = &rollout.start;
    wire::Rollout {
        revision: rollout.revision,
        challenger: Some(common::ModelRef {
            model: rollout.model.to_string(),
            version: start.version.0,
            artifact_digest: start.artifact_digest.to_string(),
        }),
        mode: mode_out(start.mode),
        share: start.share,
        limits: Some(wire::RolloutLimits {
            max_error_rate: start.limits.max_error_rate,
            max_latency_ratio: start.limits.max_latency_ratio,
            min_requests: start.limits.min_requests,
        }),
        champion_generation: start.champion_generation.0,
        champion_version: start.champion_version.0,
        evaluation_digest: start
            .evaluation_digest
            .map(|digest| digest.to_string())
            .unwrap_or_default(),
        actor: rollout.actor.clone(),
        note: rollout.note.clone(),
        started_at: Some(time::to_wire(rollout.started_at)),
        ending: rollout.ending.as_ref().map(ending_out),
    }
}

fn ending_out(ending: &Ending) -> wire::RolloutEnding {
    let reason = match ending.reason {
        EndReason::Stopped => wire::RolloutEndReason::Stopped,
        EndReason::Promoted => wire::RolloutEndReason::Promoted,
        EndReason::ChampionReplaced => wire::RolloutEndReason::ChampionReplaced,
        EndReason::ErrorLimit => wire::RolloutEndReason::ErrorLimit,
        EndReason::LatencyLimit => wire::RolloutEndReason::LatencyLimit,
        EndReason::LoadFailed => wire::RolloutEndReason::LoadFailed,
    };
    wire::RolloutEnding {
        revision: ending.revision,
        reason: reason.into(),
        actor: ending.actor.clone(),
        note: ending.note.clone(),
        at: Some(time::to_wire(ending.at)),
    }
}

/// A replica's tally; `None` when it is in a state or of a mode that this build does not know: a newer replica's report is
/// not to be refused for that.
pub(super) fn tally_in(wire: common::RolloutTally) -> Result<Option<Tally>, Status> {
    if common::RolloutMode::try_from(wire.mode).is_err() || common::RolloutState::try_from(wire.state).is_err() {
        return Ok(None);
    }
    let state = match wire.state() {
        common::RolloutState::Preparing => TallyState::Preparing,
        common::RolloutState::Running => TallyState::Running,
        common::RolloutState::LoadFailed => TallyState::LoadFailed,
        common::RolloutState::ErrorLimit => TallyState::ErrorLimit,
        common::RolloutState::LatencyLimit => TallyState::LatencyLimit,
        common::RolloutState::Ended => TallyState::Ended,
        common::RolloutState::Unspecified => {
            return Err(violation("replica.rollout.state", "required", "must be set"));
        }
    };
    Ok(Some(Tally {
        revision: wire.revision,
        mode: mode_in("replica.rollout.mode", wire.mode)?,
        state,
        message: wire.message,
        challenger: version_in(wire.challenger.unwrap_or_default()),
        champion: version_in(wire.champion.unwrap_or_default()),
        compared_rows: wire.compared_rows,
        mean_absolute_delta: wire.mean_absolute_delta,
        label_flips: wire.label_flips,
        deltas: wire
            .deltas
            .into_iter()
            .map(|bucket| (bucket.up_to, bucket.rows))
            .collect(),
        skipped_requests: wire.skipped_requests,
    }))
}

fn version_in(wire: common::VersionTally) -> VersionTally {
    VersionTally {
        version: wire.version,
        requests: wire.requests,
        errors: wire.errors,
        mean_ms: wire.mean_ms,
        median_ms: wire.median_ms,
        p99_ms: wire.p99_ms,
    }
}

pub(super) fn tally_out(tally: &Tally) -> common::RolloutTally {
    let state = match tally.state {
        TallyState::Preparing => common::RolloutState::Preparing,
        TallyState::Running => common::RolloutState::Running,
        TallyState::LoadFailed => common::RolloutState::LoadFailed,
        TallyState::ErrorLimit => common::RolloutState::ErrorLimit,
        TallyState::LatencyLimit => common::RolloutState::LatencyLimit,
        TallyState::Ended => common::RolloutState::Ended,
    };
    common::RolloutTally {
        revision: tally.revision,
        mode: mode_out(tally.mode),
        state: state.into(),
        message: tally.message.clone(),
        challenger: Some(version_out(&tally.challenger)),
        champion: Some(version_out(&tally.champion)),
        compared_rows: tally.compared_rows,
        mean_absolute_delta: tally.mean_absolute_delta,
        label_flips: tally.label_flips,
        deltas: tally
            .deltas
            .iter()
            .map(|(up_to, rows)| common::DeltaBucket {
                up_to: *up_to,
                rows: *rows,
            })
            .collect(),
        skipped_requests: tally.skipped_requests,
    }
}

fn version_out(tally: &VersionTally) -> common::VersionTally {
    common::VersionTally {
        version: tally.version,
        requests: tally.requests,
        errors: tally.errors,
        mean_ms: tally.mean_ms,
        median_ms: tally.median_ms,
        p99_ms: tally.p99_ms,
    }
}
