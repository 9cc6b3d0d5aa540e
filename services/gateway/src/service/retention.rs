//! Collections: what nothing refers to any more, found or removed.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::GarbageKind as WireKind;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{names_of, time};
use crate::peers::Peers;

names_of! {
    /// Kind of a thing that a collection looks at.
    GarbageKind from WireKind {
        /// A deleted experiment without runs.
        Experiment,
        /// A deleted run with what was logged to it.
        Run,
        /// A deleted logged model.
        LoggedModel,
        /// A path of a file whose owner is gone.
        Artifact,
        /// Bytes in the blob store that no path has.
        Blob,
    }
}

/// What a collection may do.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionRequest {
    /// True: removes what is found. False: the answer says what would be removed.
    #[serde(default)]
    pub remove: bool,
    /// Only what was deleted, or last referred to, so many days ago; 30 when absent.
    #[schema(maximum = 36500)]
    pub older_than_days: Option<u32>,
}

/// Something that nothing refers to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Garbage {
    /// What kind of thing.
    pub kind: GarbageKind,
    /// Its id, path or digest.
    pub id: String,
    /// Bytes that go with it; 0 for rows of the database.
    pub size_bytes: u64,
    /// Why it may go, in words.
    pub reason: String,
}

/// Something deleted that stays.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Kept {
    /// What kind of thing.
    pub kind: GarbageKind,
    /// Its id, path or digest.
    pub id: String,
    /// What keeps it, in words.
    pub reason: String,
}

/// What a collection found, or removed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Collection {
    /// Whether it was removed.
    pub removed: bool,
    /// What was deleted, or last referred to, before this moment.
    pub cutoff: Option<Timestamp>,
    /// How many things went, or would go.
    pub total: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// The first 1,000 of them.
    pub garbage: Vec<Garbage>,
    /// What was deleted and stays, at most 1,000 of them.
    pub kept: Vec<Kept>,
}

/// Looks for garbage, and removes it when told to.
///
/// # Errors
/// The registry's: another collection may be at work.
pub async fn collect(peers: &Peers, request: CollectionRequest) -> Result<Collection, Fault> {
    let message = wire::CollectRequest {
        remove: request.remove,
        older_than_days: request.older_than_days,
    };
    let answer = peers.collect(message).await?;
    let garbage = answer.garbage.into_iter().map(|garbage| Garbage {
        kind: garbage.kind.into(),
        id: garbage.id,
        size_bytes: garbage.size_bytes,
        reason: garbage.reason,
    });
    let kept = answer.kept.into_iter().map(|kept| Kept {
        kind: kept.kind.into(),
        id: kept.id,
        reason: kept.reason,
    });
    Ok(Collection {
        removed: answer.removed,
        cutoff: time(answer.cutoff),
        total: answer.total,
        total_bytes: answer.total_bytes,
        garbage: garbage.collect(),
        kept: kept.collect(),
    })
}
