//! The registry as inference sees it. The implementation over gRPC is `crate::registry_client`.

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::rollout::Notice;
use super::status::ReplicaState;
use super::target::Target;

/// The registry did not answer, or ended the subscription.
#[derive(Clone, Debug, thiserror::Error)]
#[error("registry: {0}")]
pub struct RegistryError(pub String);

/// What the registry says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// The champion; `None` while there is none.
    pub champion: Option<Target>,
    /// The rollout beside it.
    pub rollout: Notice,
}

/// States of the champion and of the rollout beside it: the first is the full state; of later ones a part is newer.
pub type ChampionStream = BoxStream<'static, Result<Told, RegistryError>>;

/// Who tells the champion and wants to hear of the replicas.
#[async_trait]
pub trait Registry: Send + Sync + Debug {
    /// Subscribes to the champion and the rollout beside it.
    async fn watch(&self) -> Result<ChampionStream, RegistryError>;

    /// Says what this replica holds.
    async fn report(&self, state: &ReplicaState) -> Result<(), RegistryError>;
}
