//! `ChampionService`.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::champion_service_server::ChampionService;
use holdfast_api::time;
use holdfast_chassis::clock::Clock;
use holdfast_domain::{Generation, ModelVersion};
use holdfast_records::champion::{ChampionReason, StoredEntry};
use holdfast_records::layout;
use jiff::SignedDuration;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::promotion::promotion_out;
use super::rollout::{rollout_out, tally_in, tally_out};
use super::{model_name, status, violation};
use crate::service::champions::{Champions, GateRule, LoadRule, Move, Promoted};
use crate::service::replicas::{Presence, Replica, ReplicaState, Replicas};
use crate::service::rollouts::{Rollouts, State};

/// `ChampionService` over [`Champions`], the [`Rollouts`] beside them, and [`Replicas`].
#[derive(Clone, Debug)]
pub(crate) struct ChampionAdapter {
    champions: Champions,
    rollouts: Rollouts,
    replicas: Replicas,
    /// How long a replica may be silent.
    patience: SignedDuration,
    clock: Arc<dyn Clock>,
    /// Ends every watch when the service drains.
    draining: CancellationToken,
}

impl ChampionAdapter {
    /// The adapter; watches end when `draining` is cancelled.
    pub(crate) fn new(
        (champions, rollouts): (Champions, Rollouts),
        (replicas, patience): (Replicas, SignedDuration),
        clock: Arc<dyn Clock>,
        draining: CancellationToken,
    ) -> Self {
        Self {
            champions,
            rollouts,
            replicas,
            patience,
            clock,
            draining,
        }
    }
}

#[tonic::async_trait]
impl ChampionService for ChampionAdapter {
    async fn promote(&self, request: Request<wire::PromoteRequest>) -> Result<Response<wire::PromoteResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let rule = if request.override_gate {
            GateRule::Override
        } else {
            GateRule::Decision
        };
        let by = Move {
            expected: request.expected_generation.map(Generation),
            actor: request.actor,
            note: request.note,
        };
        let promoted = self
            .champions
            .promote(&model, ModelVersion(request.version), rule, by)
            .await
            .map_err(status)?;
        Ok(Response::new(match promoted {
            Promoted::Made(stored) => {
                self.rollouts.champion_moved(&model).await;
                wire::PromoteResponse {
                    entry: Some(entry_out(&stored)),
                    waiting: None,
                }
            }
            Promoted::Waiting(promotion) => wire::PromoteResponse {
                entry: None,
                waiting: Some(promotion_out(*promotion)),
            },
        }))
    }

    async fn rollback(
        &self,
        request: Request<wire::RollbackRequest>,
    ) -> Result<Response<wire::RollbackResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let to = (request.to_version != 0).then_some(ModelVersion(request.to_version));
        let by = Move {
            expected: request.expected_generation.map(Generation),
            actor: request.actor,
            note: request.note,
        };
        let rule = if request.override_load {
            LoadRule::Override
        } else {
            LoadRule::Proven
        };
        let stored = self.champions.rollback(&model, to, rule, by).await.map_err(status)?;
        self.rollouts.champion_moved(&model).await;
        Ok(Response::new(wire::RollbackResponse {
            entry: Some(entry_out(&stored)),
        }))
    }

    async fn get_champion(
        &self,
        request: Request<wire::GetChampionRequest>,
    ) -> Result<Response<wire::GetChampionResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let at = request
            .at
            .map(|at| {
                time::from_wire(&at).ok_or_else(|| violation("at", "timestamp", "is outside the years -9999 to 9999"))
            })
            .transpose()?;
        let stored = self.champions.champion(&model, at).await.map_err(status)?;
        Ok(Response::new(wire::GetChampionResponse {
            artifact_key: artifact_key(&stored),
            entry: Some(entry_out(&stored)),
        }))
    }

    async fn list_champions(
        &self,
        request: Request<wire::ListChampionsRequest>,
    ) -> Result<Response<wire::ListChampionsResponse>, Status> {
        let model = model_name(&request.into_inner().model)?;
        let history = self.champions.history(&model).await.map_err(status)?;
        let broken = history.broken.as_ref();
        Ok(Response::new(wire::ListChampionsResponse {
            entries: history.entries.iter().map(entry_out).collect(),
            chain_intact: broken.is_none(),
            chain_break: broken.map(|found| found.what.clone()).unwrap_or_default(),
            broken_generation: broken.map_or(0, |found| found.generation.0),
        }))
    }

    type WatchChampionStream = Pin<Box<dyn Stream<Item = Result<wire::WatchChampionResponse, Status>> + Send>>;

    async fn watch_champion(
        &self,
        request: Request<wire::WatchChampionRequest>,
    ) -> Result<Response<Self::WatchChampionStream>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let champion = self.champions.watch(&model).await.map_err(status)?;
        let rollout = self.rollouts.watch(&model).await;
        tracing::info!(%model, replica = request.replica, "replica watches the champion");
        let states = both(champion, rollout).map(|(champion, rollout)| Ok(watched_out(champion.as_deref(), &rollout)));
        let draining = self.draining.clone();
        Ok(Response::new(Box::pin(
            states.take_until(async move { draining.cancelled().await }),
        )))
    }

    async fn report_replica(
        &self,
        request: Request<wire::ReportReplicaRequest>,
    ) -> Result<Response<wire::ReportReplicaResponse>, Status> {
        let replica = request
            .into_inner()
            .replica
            .ok_or_else(|| violation("replica", "required", "must be set"))?;
        let state = match replica.state() {
            wire::ReplicaState::Serving => ReplicaState::Serving,
            wire::ReplicaState::Loading => ReplicaState::Loading,
            wire::ReplicaState::LoadFailed => ReplicaState::LoadFailed,
            wire::ReplicaState::Unspecified => {
                return Err(violation("replica.state", "required", "must be set"));
            }
        };
        if replica.replica.is_empty() || replica.replica.len() > 128 {
            return Err(violation("replica.replica", "length", "must have 1 to 128 bytes"));
        }
        let serving = (replica.serving_generation != 0).then_some((
            Generation(replica.serving_generation),
            ModelVersion(replica.serving_version),
        ));
        let model = model_name(&replica.model)?;
        let tally = replica.rollout.map(tally_in).transpose()?.flatten();
        if let Some(tally) = &tally {
            self.rollouts.heard(&model, &replica.replica, tally).await;
        }
        let now = self.clock.now();
        self.replicas.report(Replica {
            model,
            replica: replica.replica,
            serving,
            target: Generation(replica.target_generation),
            state,
            message: replica.message,
            reload_ms: replica.reload_ms,
            rollout: tally,
            since: now,
            reported_at: now,
        });
        Ok(Response::new(wire::ReportReplicaResponse {}))
    }

    async fn list_replicas(
        &self,
        request: Request<wire::ListReplicasRequest>,
    ) -> Result<Response<wire::ListReplicasResponse>, Status> {
        let model = model_name(&request.into_inner().model)?;
        let now = self.clock.now();
        let replicas = self.replicas.of(&model).into_iter().map(|replica| {
            let presence = replica.presence(now, self.patience);
            replica_out(replica, presence)
        });
        Ok(Response::new(wire::ListReplicasResponse {
            replicas: replicas.collect(),
        }))
    }
}

/// Both states now, and again whenever one of them changes. A watch channel holds the newest value only: a slow replica
/// skips states and misses none that matters.
fn both<A, B>(first: watch::Receiver<A>, second: watch::Receiver<B>) -> impl Stream<Item = (A, B)> + Send
where
    A: Clone + Send + Sync + 'static,
    B: Clone + Send + Sync + 'static,
{
    stream::unfold(Some((first, second, Begun::No)), |watching| async {
        let (mut first, mut second, begun) = watching?;
        if begun == Begun::Yes {
            let changed = tokio::select! {
                changed = first.changed() => changed,
                changed = second.changed() => changed,
            };
            changed.ok()?;
        }
        let states = (first.borrow_and_update().clone(), second.borrow_and_update().clone());
        Some((states, Some((first, second, Begun::Yes))))
    })
}

/// Whether the first state was told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

fn watched_out(champion: Option<&StoredEntry>, rollout: &State) -> wire::WatchChampionResponse {
    wire::WatchChampionResponse {
        artifact_key: champion.map(artifact_key).unwrap_or_default(),
        entry: champion.map(entry_out),
        rollout: rollout.running().map(rollout_out),
        rollout_revision: rollout.revision,
    }
}

fn artifact_key(stored: &StoredEntry) -> String {
    layout::model_key(&stored.entry.model, stored.entry.version).to_string()
}

fn entry_out(stored: &StoredEntry) -> wire::ChampionEntry {
    let entry = &stored.entry;
    let (reason, evaluation_digest) = match &entry.reason {
        ChampionReason::Promotion { evaluation_digest, .. } => {
            (wire::ChampionReason::Promotion, evaluation_digest.to_string())
        }
        ChampionReason::Rollback { .. } => (wire::ChampionReason::Rollback, String::new()),
        ChampionReason::Override { .. } => (wire::ChampionReason::Override, String::new()),
    };
    wire::ChampionEntry {
        generation: entry.generation.0,
        model: Some(ModelRef {
            model: entry.model.to_string(),
            version: entry.version.0,
            artifact_digest: entry.artifact_digest.to_string(),
        }),
        previous_digest: entry
            .previous_digest
            .map(|digest| digest.to_string())
            .unwrap_or_default(),
        entry_digest: stored.digest.to_string(),
        actor: entry.actor.clone(),
        reason: reason.into(),
        evaluation_digest,
        note: entry.reason.note().to_owned(),
        at: Some(time::to_wire(entry.at)),
        approvers: entry
            .approval
            .iter()
            .flat_map(|approval| &approval.approvers)
            .map(|approver| approver.actor.clone())
            .collect(),
        promotion: entry.approval.as_ref().map_or(0, |approval| approval.promotion),
        approval_digest: entry
            .approval
            .as_ref()
            .map(|approval| approval.completed_digest.to_string())
            .unwrap_or_default(),
    }
}

fn replica_out(replica: Replica, presence: Presence) -> wire::Replica {
    let state = match replica.state {
        ReplicaState::Serving => wire::ReplicaState::Serving,
        ReplicaState::Loading => wire::ReplicaState::Loading,
        ReplicaState::LoadFailed => wire::ReplicaState::LoadFailed,
    };
    wire::Replica {
        replica: replica.replica,
        model: replica.model.to_string(),
        serving_generation: replica.serving.map_or(0, |(generation, _)| generation.0),
        serving_version: replica.serving.map_or(0, |(_, version)| version.0),
        target_generation: replica.target.0,
        state: state.into(),
        message: replica.message,
        reload_ms: replica.reload_ms,
        reported_at: Some(time::to_wire(replica.reported_at)),
        rollout: replica.rollout.as_ref().map(tally_out),
        since: Some(time::to_wire(replica.since)),
        silent: presence == Presence::Silent,
    }
}
