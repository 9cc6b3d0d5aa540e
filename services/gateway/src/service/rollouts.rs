//! Versions on trial beside the champion.

use holdfast_api::common::v1 as common;
use holdfast_api::common::v1::{RolloutMode as WireMode, RolloutState as WireState};
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::RolloutEndReason as WireReason;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{finite, names_of, promised, text, time};
use crate::peers::Peers;

names_of! {
    /// How a version is tried.
    RolloutMode from WireMode {
        /// The champion answers; the challenger scores the same rows afterwards.
        Shadow,
        /// The challenger answers a share of the requests.
        Canary,
    }
}

names_of! {
    /// What a replica does with a rollout.
    RolloutState from WireState {
        /// It prepares the challenger.
        Preparing,
        /// The challenger is on trial.
        Running,
        /// The challenger cannot be prepared; the champion answers everything.
        LoadFailed,
        /// Too many errors; the champion answers everything again.
        ErrorLimit,
        /// Too slow; the champion answers everything again.
        LatencyLimit,
        /// It has ended for another reason; the champion answers everything.
        Ended,
    }
}

names_of! {
    /// Why a rollout ended.
    RolloutEndReason from WireReason {
        /// Somebody ended it.
        Stopped,
        /// Its challenger became champion.
        Promoted,
        /// Another version became champion.
        ChampionReplaced,
        /// The challenger failed to score too many requests.
        ErrorLimit,
        /// The challenger was too slow.
        LatencyLimit,
        /// A replica could not prepare the challenger.
        LoadFailed,
    }
}

/// How a version is to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WantedMode {
    /// The champion answers; the challenger scores the same rows afterwards.
    Shadow,
    /// The challenger answers a share of the requests.
    Canary,
}

/// Puts a version on trial. What is absent is taken from the registry's settings.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutStart {
    /// The version, ready and not the champion.
    #[schema(minimum = 1)]
    pub version: u32,
    /// How.
    pub mode: WantedMode,
    /// Share of the requests: above 0, at most 0.5 in a canary and 1 in a shadow.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub share: Option<f64>,
    /// Highest share of requests that the challenger may fail to score, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    pub max_error_rate: Option<f64>,
    /// Highest ratio of the challenger's median time of scoring a request to the champion's, above 1.
    #[schema(exclusive_minimum = 1)]
    pub max_latency_ratio: Option<f64>,
    /// Requests of the challenger on a replica before it is judged there, at least 1.
    #[schema(minimum = 1)]
    pub min_requests: Option<u64>,
    /// A note in words.
    pub note: Option<String>,
    /// True: a canary without an accepting decision of the gate; needs a note.
    #[serde(rename = "override", default)]
    pub override_gate: bool,
    /// Who does it, for the record.
    pub actor: Option<String>,
}

/// When a replica takes the challenger off by itself.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct RolloutLimits {
    /// Highest share of requests that the challenger may fail to score, 0 to 1.
    pub max_error_rate: f64,
    /// Highest ratio of the challenger's median time of scoring a request to the champion's.
    pub max_latency_ratio: f64,
    /// Requests of the challenger before it is judged.
    pub min_requests: u64,
}

/// How a rollout ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RolloutEnding {
    /// Revision of the record that ended it.
    pub revision: u64,
    /// Why.
    pub reason: RolloutEndReason,
    /// Who ended it: a person, a service or a replica.
    pub actor: String,
    /// A note in words.
    pub note: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
}

/// A trial of one version.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rollout {
    /// Revision of the record that began it; it names the rollout.
    pub revision: u64,
    /// The model.
    pub model: String,
    /// The version on trial.
    pub version: u32,
    /// SHA-256 of its artefact.
    pub artifact_digest: String,
    /// How it is tried.
    pub mode: RolloutMode,
    /// Share of the requests.
    pub share: f64,
    /// When it ends by itself.
    pub limits: RolloutLimits,
    /// Generation of the champion that it is tried beside.
    pub champion_generation: u64,
    /// Version of that champion.
    pub champion_version: u32,
    /// Digest of the evaluation that the gate accepted; null for a shadow and for an override.
    pub evaluation_digest: Option<String>,
    /// Who began it.
    pub actor: String,
    /// A note in words.
    pub note: Option<String>,
    /// When.
    pub started_at: Option<Timestamp>,
    /// How it ended; null while it runs.
    pub ending: Option<RolloutEnding>,
}

/// What one of the two versions did on a replica.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VersionTally {
    /// The version.
    pub version: u32,
    /// Requests it scored, or failed to.
    pub requests: u64,
    /// Requests it failed to score; the champion answered them.
    pub errors: u64,
    /// Mean time of scoring a request, in milliseconds.
    pub mean_ms: Option<f64>,
    /// Median of that time.
    pub median_ms: Option<f64>,
    /// 99th percentile of that time.
    pub p99_ms: Option<f64>,
}

/// Rows by how far their two scores lie apart.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeltaBucket {
    /// Largest absolute difference of the probabilities; smaller ones are in the bucket before.
    pub up_to: f64,
    /// Rows.
    pub rows: u64,
}

/// What a replica saw of a rollout.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RolloutTally {
    /// Which rollout.
    pub revision: u64,
    /// Its mode.
    pub mode: RolloutMode,
    /// What the replica does with it.
    pub state: RolloutState,
    /// Why, when the challenger is not on trial.
    pub message: Option<String>,
    /// The version on trial.
    pub challenger: VersionTally,
    /// The champion beside it.
    pub champion: VersionTally,
    /// Rows scored by both: of a shadow only.
    pub compared_rows: u64,
    /// Mean absolute difference of their probabilities.
    pub mean_absolute_delta: Option<f64>,
    /// Rows that the two label differently.
    pub label_flips: u64,
    /// Absolute differences, ascending.
    pub deltas: Vec<DeltaBucket>,
    /// Requests that were not compared because too many waited.
    pub skipped_requests: u64,
}

/// A replica and what it saw.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReplicaTally {
    /// Its name.
    pub replica: String,
    /// What it counted since it began to take part.
    pub tally: RolloutTally,
    /// When the registry heard of it last.
    pub reported_at: Option<Timestamp>,
}

/// The newest rollout and what the replicas saw of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RolloutStatus {
    /// The rollout that runs, or the last one.
    pub rollout: Rollout,
    /// By name.
    pub replicas: Vec<ReplicaTally>,
}

/// All rollouts of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RolloutHistory {
    /// Oldest first.
    pub rollouts: Vec<Rollout>,
    /// True when every digest in the chain of the record holds.
    pub chain_intact: bool,
    /// Where and how the chain is broken, when it is.
    pub chain_break: Option<String>,
}

impl TryFrom<wire::Rollout> for Rollout {
    type Error = Fault;

    fn try_from(wire: wire::Rollout) -> Result<Self, Fault> {
        let challenger = promised(wire.challenger, "the version on trial")?;
        let limits = promised(wire.limits, "the limits of the rollout")?;
        Ok(Self {
            revision: wire.revision,
            model: challenger.model,
            version: challenger.version,
            artifact_digest: challenger.artifact_digest,
            mode: wire.mode.into(),
            share: wire.share,
            limits: RolloutLimits {
                max_error_rate: limits.max_error_rate,
                max_latency_ratio: limits.max_latency_ratio,
                min_requests: limits.min_requests,
            },
            champion_generation: wire.champion_generation,
            champion_version: wire.champion_version,
            evaluation_digest: text(wire.evaluation_digest),
            actor: wire.actor,
            note: text(wire.note),
            started_at: time(wire.started_at),
            ending: wire.ending.map(|ending| RolloutEnding {
                revision: ending.revision,
                reason: ending.reason.into(),
                actor: ending.actor,
                note: text(ending.note),
                at: time(ending.at),
            }),
        })
    }
}

impl From<common::VersionTally> for VersionTally {
    fn from(wire: common::VersionTally) -> Self {
        // A version that has scored nothing has no time.
        let timed = |ms: f64| finite(ms).filter(|_| wire.requests > wire.errors);
        Self {
            version: wire.version,
            requests: wire.requests,
            errors: wire.errors,
            mean_ms: timed(wire.mean_ms),
            median_ms: timed(wire.median_ms),
            p99_ms: timed(wire.p99_ms),
        }
    }
}

impl From<common::RolloutTally> for RolloutTally {
    fn from(wire: common::RolloutTally) -> Self {
        Self {
            revision: wire.revision,
            mode: wire.mode.into(),
            state: wire.state.into(),
            message: text(wire.message),
            challenger: wire.challenger.unwrap_or_default().into(),
            champion: wire.champion.unwrap_or_default().into(),
            compared_rows: wire.compared_rows,
            mean_absolute_delta: finite(wire.mean_absolute_delta).filter(|_| wire.compared_rows > 0),
            label_flips: wire.label_flips,
            deltas: wire
                .deltas
                .into_iter()
                .map(|bucket| DeltaBucket {
                    up_to: bucket.up_to,
                    rows: bucket.rows,
                })
                .collect(),
            skipped_requests: wire.skipped_requests,
        }
    }
}

/// Puts a version on trial.
///
/// # Errors
/// The registry's; `FAILED_PRECONDITION` when the version cannot be tried now.
pub async fn start(peers: &Peers, model: String, wanted: RolloutStart) -> Result<Rollout, Fault> {
    let mode = match wanted.mode {
        WantedMode::Shadow => WireMode::Shadow,
        WantedMode::Canary => WireMode::Canary,
    };
    let message = wire::StartRolloutRequest {
        model,
        version: wanted.version,
        mode: mode.into(),
        share: wanted.share,
        max_error_rate: wanted.max_error_rate,
        max_latency_ratio: wanted.max_latency_ratio,
        min_requests: wanted.min_requests,
        actor: wanted.actor.unwrap_or_else(|| super::ACTOR.to_owned()),
        note: wanted.note.unwrap_or_default(),
        override_gate: wanted.override_gate,
    };
    promised(peers.start_rollout(message).await?.rollout, "the rollout")?.try_into()
}

/// Ends the rollout that runs: the one of `revision`, or whichever.
///
/// # Errors
/// The registry's; `ABORTED` when another rollout runs.
pub async fn end(
    peers: &Peers,
    model: String,
    revision: Option<u64>,
    (actor, note): (Option<String>, Option<String>),
) -> Result<Rollout, Fault> {
    let message = wire::EndRolloutRequest {
        model,
        revision,
        actor: actor.unwrap_or_else(|| super::ACTOR.to_owned()),
        note: note.unwrap_or_default(),
    };
    promised(peers.end_rollout(message).await?.rollout, "the rollout")?.try_into()
}

/// The newest rollout, and what the replicas saw of it.
///
/// # Errors
/// The registry's; `NOT_FOUND` when there never was one.
pub async fn newest(peers: &Peers, model: String) -> Result<RolloutStatus, Fault> {
    let answer = peers.get_rollout(wire::GetRolloutRequest { model }).await?;
    let replicas = answer.replicas.into_iter().map(|replica| ReplicaTally {
        replica: replica.replica,
        tally: replica.tally.unwrap_or_default().into(),
        reported_at: time(replica.reported_at),
    });
    Ok(RolloutStatus {
        replicas: replicas.collect(),
        rollout: promised(answer.rollout, "the rollout")?.try_into()?,
    })
}

/// All rollouts of a model.
///
/// # Errors
/// The registry's.
pub async fn history(peers: &Peers, model: String) -> Result<RolloutHistory, Fault> {
    let answer = peers.list_rollouts(wire::ListRolloutsRequest { model }).await?;
    Ok(RolloutHistory {
        rollouts: answer
            .rollouts
            .into_iter()
            .map(Rollout::try_from)
            .collect::<Result<_, _>>()?,
        chain_intact: answer.chain_intact,
        chain_break: text(answer.chain_break),
    })
}
