//! The replica of inference behind the gateway: what it serves, what it could not load, its prediction log.

use holdfast_api::inference::v1 as wire;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::convert::{finite, time};
use super::predictions::ServedModel;
use super::rollouts::RolloutTally;
use crate::peers::Peers;

/// The answer of `/health`, in the predecessor's form.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Health {
    /// `OK` when predictions are answered, else `UNAVAILABLE`.
    #[schema(example = "OK")]
    pub status: &'static str,
    /// The version in service.
    #[schema(example = "3")]
    pub model_version: Option<String>,
    /// Whether a model is loaded.
    pub model_loaded: bool,
}

/// The prediction log of a replica; counts are since its start.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PredictionLog {
    /// Records in the spool when their predictions were answered.
    pub acknowledged_records: u64,
    /// Records in the blob store.
    pub uploaded_records: u64,
    /// Records on local disk, not yet in the blob store.
    pub spooled_records: u64,
    /// Bytes on local disk.
    pub spooled_bytes: u64,
    /// Records dropped because the spool was full.
    pub dropped_records: u64,
    /// Predictions refused because the spool was full.
    pub refused_predictions: u64,
}

/// A champion that could not be loaded; the one before serves on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LoadFailure {
    /// The version that was to be loaded.
    pub version: Option<u32>,
    /// The digest it should have.
    pub artifact_digest: Option<String>,
    /// The generation that named it.
    pub generation: u64,
    /// Why not.
    pub message: String,
    /// When it was tried last.
    pub failed_at: Option<Timestamp>,
}

/// A replica's own word about itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServingReplica {
    /// Its name.
    pub replica: String,
    /// What it serves; null without a model.
    pub serving: Option<ServedModel>,
    /// Since when.
    pub serving_since: Option<Timestamp>,
    /// From the notice of the last champion to its service, in milliseconds.
    pub last_reload_ms: Option<f64>,
    /// The last champion that it could not load, until a later one is loaded.
    pub last_failure: Option<LoadFailure>,
    /// Whether its subscription to the registry stands.
    pub registry_connected: bool,
    /// When its process started: it tells a reload from a restart.
    pub started_at: Option<Timestamp>,
    /// What it saw of the rollout it takes part in, or took part in last.
    pub rollout: Option<RolloutTally>,
}

impl From<wire::PredictionLogStatus> for PredictionLog {
    fn from(wire: wire::PredictionLogStatus) -> Self {
        Self {
            acknowledged_records: wire.acknowledged_records,
            uploaded_records: wire.uploaded_records,
            spooled_records: wire.spooled_records,
            spooled_bytes: wire.spooled_bytes,
            dropped_records: wire.dropped_records,
            refused_predictions: wire.refused_predictions,
        }
    }
}

impl From<wire::LoadFailure> for LoadFailure {
    fn from(wire: wire::LoadFailure) -> Self {
        Self {
            version: wire.model.as_ref().map(|model| model.version),
            artifact_digest: wire.model.map(|model| model.artifact_digest),
            generation: wire.generation,
            message: wire.message,
            failed_at: time(wire.failed_at),
        }
    }
}

/// Asks the replica about itself and its prediction log.
///
/// # Errors
/// Inference's.
pub async fn ask(peers: &Peers) -> Result<(ServingReplica, PredictionLog), Fault> {
    let answer = peers.get_replica_status(wire::GetReplicaStatusRequest {}).await?;
    let replica = ServingReplica {
        replica: answer.replica,
        serving: answer
            .serving
            .map(|served| ServedModel::try_from(Some(served)))
            .transpose()?,
        serving_since: time(answer.serving_since),
        last_reload_ms: finite(answer.last_reload_ms).filter(|ms| *ms > 0.0),
        last_failure: answer.last_failure.map(LoadFailure::from),
        registry_connected: answer.registry_connected,
        started_at: time(answer.started_at),
        rollout: answer.rollout.map(RolloutTally::from),
    };
    Ok((replica, answer.prediction_log.unwrap_or_default().into()))
}

/// Whether predictions are answered. It never fails: an inference that is away is an answer too.
pub async fn health(peers: &Peers) -> Health {
    let serving = ask(peers).await.ok().and_then(|(replica, _)| replica.serving);
    match serving {
        Some(served) => Health {
            status: "OK",
            model_version: Some(served.version.to_string()),
            model_loaded: true,
        },
        None => Health {
            status: "UNAVAILABLE",
            model_version: None,
            model_loaded: false,
        },
    }
}

/// Brings everything acknowledged before this call into the blob store.
///
/// # Errors
/// Inference's.
pub async fn flush(peers: &Peers) -> Result<PredictionLog, Fault> {
    let answer = peers.flush_prediction_log(wire::FlushPredictionLogRequest {}).await?;
    Ok(answer.prediction_log.unwrap_or_default().into())
}
