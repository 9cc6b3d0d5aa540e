//! The registry as inference sees it. The implementation over gRPC is `crate::registry_client`.

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::status::ReplicaState;
use super::target::Target;

/// The registry did not answer, or ended the subscription.
#[derive(Clone, Debug, thiserror::Error)]
#[error("registry: {0}")]
pub struct RegistryError(pub String);

/// States of the champion: the first is the full state, later ones are newer. `None` while there is no champion.
pub type ChampionStream = BoxStream<'static, Result<Option<Target>, RegistryError>>;

/// Who tells the champion and wants to hear of the replicas.
#[async_trait]
pub trait Registry: Send + Sync + Debug {
    /// Subscribes to the champion.
    async fn watch(&self) -> Result<ChampionStream, RegistryError>;

    /// Says what this replica holds.
    async fn report(&self, state: &ReplicaState) -> Result<(), RegistryError>;
}
