//! Models, their versions, and the champion log.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::{
    ChampionReason as WireReason, ModelVersionStatus as WireStatus, ReplicaState as WireReplicaState,
};
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{counted, finite, names_of, promised, text, time};
use super::promotions::PromotionRequest;
use super::quality::GateDecision;
use super::rollouts::RolloutTally;
use crate::peers::Peers;

names_of! {
    /// State of a version.
    VersionStatus from WireStatus {
        /// Number reserved, artefact not there yet.
        Pending,
        /// Artefact and manifest stored.
        Ready,
    }
}

names_of! {
    /// Why the champion changed.
    ChampionReason from WireReason {
        /// The gate accepted it.
        Promotion,
        /// Back to an earlier champion.
        Rollback,
        /// A person's word against or without the gate.
        Override,
    }
}

names_of! {
    /// What a replica does with the newest champion.
    ReplicaState from WireReplicaState {
        /// It serves it.
        Serving,
        /// It prepares it.
        Loading,
        /// It could not prepare it and serves on with the one before.
        LoadFailed,
    }
}

/// One model in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelSummary {
    /// Its name.
    pub model: String,
    /// Number of versions.
    pub versions: u32,
    /// The newest version.
    pub latest_version: u32,
    /// The champion's version.
    pub champion_version: Option<u32>,
}

/// All models, by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Models {
    /// The models.
    pub models: Vec<ModelSummary>,
}

/// One version of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelVersion {
    /// The model.
    pub model: String,
    /// The version.
    pub version: u32,
    /// SHA-256 of its artefact; null while pending.
    pub artifact_digest: Option<String>,
    /// State.
    pub status: VersionStatus,
    /// The run that made it.
    pub run_id: String,
    /// Key of the artefact in the blob store.
    pub artifact_key: String,
    /// Size of the artefact in bytes.
    pub artifact_size_bytes: u64,
    /// Family of the estimator.
    pub family: Option<String>,
    /// Digest of the snapshot it was trained on.
    pub training_snapshot: Option<String>,
    /// Digest of the snapshot it was tested on.
    pub test_snapshot: Option<String>,
    /// When the number was reserved.
    pub created_at: Option<Timestamp>,
    /// Who asked for it.
    pub created_by: String,
    /// The gate's decisions about it, oldest first.
    pub decisions: Vec<GateDecision>,
}

/// A page of a model's versions, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ModelVersions {
    /// The page.
    pub versions: Vec<ModelVersion>,
    /// Asks for the next page; null on the last one.
    pub next_page_token: Option<String>,
}

/// One entry of the champion log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChampionEntry {
    /// Counted from 1 without gaps.
    pub generation: u64,
    /// The model.
    pub model: String,
    /// The champion since this entry.
    pub version: u32,
    /// SHA-256 of its artefact.
    pub artifact_digest: String,
    /// SHA-256 of the entry before; null for the first.
    pub previous_digest: Option<String>,
    /// SHA-256 of this entry as stored.
    pub entry_digest: String,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub reason: ChampionReason,
    /// Digest of the evaluation behind a promotion.
    pub evaluation_digest: Option<String>,
    /// A note in words.
    pub note: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// Who approved it, in the order of their word.
    pub approvers: Vec<String>,
    /// The promotion that they approved.
    pub promotion: Option<u64>,
    /// SHA-256 of the word that completed it, as stored in the record of approvals.
    pub approval_digest: Option<String>,
}

/// How a promotion ended.
#[derive(Clone, Debug)]
pub enum Promoted {
    /// The version is champion.
    Made(ChampionEntry),
    /// Approvers have to agree first.
    Waiting(PromotionRequest),
}

/// The champion log of a model.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChampionLog {
    /// Oldest first.
    pub entries: Vec<ChampionEntry>,
    /// True when every digest in the chain holds.
    pub chain_intact: bool,
    /// Where and how the chain is broken, when it is.
    pub chain_break: Option<String>,
    /// The generation at fault, when it is.
    pub broken_generation: Option<u64>,
}

/// The replicas of inference, by name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Replicas {
    /// The replicas.
    pub replicas: Vec<Replica>,
}

/// What a replica of inference said last.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Replica {
    /// Its name.
    pub replica: String,
    /// The model it serves.
    pub model: String,
    /// The generation it serves.
    pub serving_generation: Option<u64>,
    /// The version it serves.
    pub serving_version: Option<u32>,
    /// The generation it was told last.
    pub target_generation: u64,
    /// What it does with that one.
    pub state: ReplicaState,
    /// Why it failed, when it did.
    pub message: Option<String>,
    /// Duration of the last prepare-and-swap in milliseconds.
    pub reload_ms: Option<f64>,
    /// Since when it says the same of what it serves and prepares, as far as the registry has heard.
    pub since: Option<Timestamp>,
    /// When the registry heard of it last.
    pub reported_at: Option<Timestamp>,
    /// True when that was longer ago than the settings allow: what it said may no longer hold.
    pub silent: bool,
    /// What it saw of the rollout it takes part in, or took part in last.
    pub rollout: Option<RolloutTally>,
}

/// Makes a version champion.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The generation the caller saw; 409 when it is no longer the newest. 0 when there was no champion.
    pub expected_generation: Option<u64>,
    /// A note in words.
    pub note: Option<String>,
    /// True: without an accepting decision of the gate; needs a note.
    #[serde(rename = "override", default)]
    pub override_gate: bool,
    /// Who does it, for the record.
    #[schema(min_length = 1)]
    pub actor: Option<String>,
}

/// Makes an earlier champion champion again.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// A version that was champion; the champion before this one when absent.
    pub to_version: Option<u32>,
    /// The generation the caller saw; 409 when it is no longer the newest.
    pub expected_generation: Option<u64>,
    /// A note in words.
    pub note: Option<String>,
    /// True: also to a version that is not proven to load; needs a note.
    #[serde(default)]
    pub override_load: bool,
    /// Who does it, for the record.
    #[schema(min_length = 1)]
    pub actor: Option<String>,
}

impl TryFrom<wire::ModelVersion> for ModelVersion {
    type Error = Fault;

    fn try_from(wire: wire::ModelVersion) -> Result<Self, Fault> {
        let model = promised(wire.r#ref, "the version's name")?;
        Ok(Self {
            model: model.model,
            version: model.version,
            artifact_digest: text(model.artifact_digest),
            status: wire.status.into(),
            run_id: wire.run_id,
            artifact_key: wire.artifact_key,
            artifact_size_bytes: wire.artifact_size_bytes,
            family: text(wire.family),
            training_snapshot: text(wire.training_snapshot),
            test_snapshot: text(wire.test_snapshot),
            created_at: time(wire.created_at),
            created_by: wire.created_by,
            decisions: wire.decisions.into_iter().map(GateDecision::from).collect(),
        })
    }
}

impl TryFrom<wire::ChampionEntry> for ChampionEntry {
    type Error = Fault;

    fn try_from(wire: wire::ChampionEntry) -> Result<Self, Fault> {
        let model = promised(wire.model, "the champion's version")?;
        Ok(Self {
            generation: wire.generation,
            model: model.model,
            version: model.version,
            artifact_digest: model.artifact_digest,
            previous_digest: text(wire.previous_digest),
            entry_digest: wire.entry_digest,
            actor: wire.actor,
            reason: wire.reason.into(),
            evaluation_digest: text(wire.evaluation_digest),
            note: text(wire.note),
            at: time(wire.at),
            approvers: wire.approvers,
            promotion: counted(wire.promotion),
            approval_digest: text(wire.approval_digest),
        })
    }
}

impl From<wire::Replica> for Replica {
    fn from(wire: wire::Replica) -> Self {
        Self {
            replica: wire.replica,
            model: wire.model,
            serving_generation: counted(wire.serving_generation),
            serving_version: counted(wire.serving_version),
            target_generation: wire.target_generation,
            state: wire.state.into(),
            message: text(wire.message),
            reload_ms: finite(wire.reload_ms).filter(|ms| *ms > 0.0),
            since: time(wire.since),
            reported_at: time(wire.reported_at),
            silent: wire.silent,
            rollout: wire.rollout.map(RolloutTally::from),
        }
    }
}

/// All models.
///
/// # Errors
/// The registry's.
pub async fn list(peers: &Peers) -> Result<Models, Fault> {
    let answer = peers.list_models(wire::ListModelsRequest {}).await?;
    let models = answer.models.into_iter().map(|model| ModelSummary {
        model: model.model,
        versions: model.versions,
        latest_version: model.latest_version,
        champion_version: counted(model.champion_version),
    });
    Ok(Models {
        models: models.collect(),
    })
}

/// A page of a model's versions.
///
/// # Errors
/// The registry's.
pub async fn versions(
    peers: &Peers,
    model: String,
    page_size: u32,
    page_token: String,
) -> Result<ModelVersions, Fault> {
    let answer = peers
        .list_model_versions(wire::ListModelVersionsRequest {
            model,
            page_size,
            page_token,
        })
        .await?;
    Ok(ModelVersions {
        versions: answer
            .versions
            .into_iter()
            .map(ModelVersion::try_from)
            .collect::<Result<_, _>>()?,
        next_page_token: text(answer.next_page_token),
    })
}

/// One version with the gate's decisions.
///
/// # Errors
/// The registry's.
pub async fn version(peers: &Peers, model: String, version: u32) -> Result<ModelVersion, Fault> {
    let answer = peers
        .get_model_version(wire::GetModelVersionRequest { model, version })
        .await?;
    promised(answer.version, "the version")?.try_into()
}

/// Makes a version champion.
///
/// # Errors
/// The registry's; `ABORTED` with the current champion when another writer was first.
pub async fn promote(peers: &Peers, model: String, version: u32, wanted: Promotion) -> Result<Promoted, Fault> {
    let message = wire::PromoteRequest {
        model,
        version,
        expected_generation: wanted.expected_generation,
        actor: wanted.actor.unwrap_or_else(|| super::ACTOR.to_owned()),
        note: wanted.note.unwrap_or_default(),
        override_gate: wanted.override_gate,
    };
    let answer = peers.promote(message).await?;
    match answer.waiting {
        Some(waiting) => Ok(Promoted::Waiting(waiting.try_into()?)),
        None => Ok(Promoted::Made(promised(answer.entry, "the entry")?.try_into()?)),
    }
}

/// Makes an earlier champion champion again.
///
/// # Errors
/// As [`promote`].
pub async fn rollback(peers: &Peers, model: String, wanted: Rollback) -> Result<ChampionEntry, Fault> {
    let message = wire::RollbackRequest {
        model,
        to_version: wanted.to_version.unwrap_or_default(),
        expected_generation: wanted.expected_generation,
        actor: wanted.actor.unwrap_or_else(|| super::ACTOR.to_owned()),
        note: wanted.note.unwrap_or_default(),
        override_load: wanted.override_load,
    };
    promised(peers.rollback(message).await?.entry, "the entry")?.try_into()
}

/// The champion now, or at a time.
///
/// # Errors
/// The registry's; `NOT_FOUND` when there was none.
pub async fn champion(peers: &Peers, model: String, at: Option<Timestamp>) -> Result<ChampionEntry, Fault> {
    let message = wire::GetChampionRequest {
        model,
        at: at.map(holdfast_api::time::to_wire),
    };
    promised(peers.get_champion(message).await?.entry, "the entry")?.try_into()
}

/// The whole champion log, with the verdict on its hash chain.
///
/// # Errors
/// The registry's.
pub async fn champions(peers: &Peers, model: String) -> Result<ChampionLog, Fault> {
    let answer = peers.list_champions(wire::ListChampionsRequest { model }).await?;
    Ok(ChampionLog {
        entries: answer
            .entries
            .into_iter()
            .map(ChampionEntry::try_from)
            .collect::<Result<_, _>>()?,
        chain_intact: answer.chain_intact,
        chain_break: text(answer.chain_break),
        broken_generation: counted(answer.broken_generation),
    })
}

/// What the replicas of inference said last.
///
/// # Errors
/// The registry's.
pub async fn replicas(peers: &Peers, model: String) -> Result<Vec<Replica>, Fault> {
    let answer = peers.list_replicas(wire::ListReplicasRequest { model }).await?;
    Ok(answer.replicas.into_iter().map(Replica::from).collect())
}
