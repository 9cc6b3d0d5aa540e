//! What the store of model versions offers.

use std::fmt::Debug;

use async_trait::async_trait;
use holdfast_domain::{Digest, ModelName, ModelVersion};
use jiff::Timestamp;

use super::{Page, PageRequest};
use crate::error::Result;
use crate::service::gate::GateDecision;
use crate::service::models::{FinishedVersion, VersionRecord};

/// What a version was registered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredFrom {
    /// The run; empty where none is known.
    pub run_id: String,
    /// The logged model; empty where it was none.
    pub model_id: String,
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
}

/// Versions and the gate's decisions about them. Every method that writes is one transaction, durable on return.
#[async_trait]
pub trait VersionStore: Send + Sync + Debug {
    /// Reserves the next version of a model, or answers the one this run has reserved.
    async fn reserve_version(&self, model: &ModelName, run_id: &str, by: &str, now: Timestamp)
    -> Result<VersionRecord>;
    /// Makes a version ready; the same facts again change nothing.
    async fn finish_version(
        &self,
        model: &ModelName,
        version: ModelVersion,
        facts: &FinishedVersion,
    ) -> Result<VersionRecord>;
    /// One version with its decisions.
    async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<VersionRecord>;
    /// A model's versions, newest first.
    async fn versions(&self, model: &ModelName, page: &PageRequest) -> Result<Page<VersionRecord>>;
    /// Names of all models with the number of their versions and the newest, by name.
    async fn models(&self) -> Result<Vec<(ModelName, u32, ModelVersion)>>;
    /// Keeps a decision; the same digest again changes nothing.
    async fn record_decision(
        &self,
        model: &ModelName,
        version: ModelVersion,
        digest: &Digest,
        decision: &GateDecision,
    ) -> Result<()>;
    /// The versions with an artefact that were registered from files of a run, a notebook's mostly.
    async fn registered_from_runs(&self) -> Result<Vec<RegisteredFrom>>;
    /// How many other versions of the model have a decision that rests on this test snapshot.
    async fn others_judged_on(&self, model: &ModelName, version: ModelVersion, test_snapshot: &Digest) -> Result<u32>;
}
