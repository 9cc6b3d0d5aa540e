//! What the pipeline needs of the registry. The adapter over gRPC is `registry_client.rs`; these types carry no wire forms.
//!
//! Every call may be repeated: the registry answers a repeat like the first call.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, RunId};
use holdfast_storage::Key;
use jiff::Timestamp;

use super::evaluation::{Paired, Quality, Slice};
use super::runs::ImportTarget;

/// Why the registry did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It is away, or does not answer in time.
    #[error("the registry is away: {0}")]
    Away(String),
    /// It refused, or answered what cannot be.
    #[error("the registry refused to {doing}: {why}")]
    Refused {
        /// What was asked of it.
        doing: &'static str,
        /// What it said.
        why: String,
    },
}

/// Names one version of a model, down to its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionId {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// SHA-256 of the artefact.
    pub artifact_digest: Digest,
}

/// The champion in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Champion {
    /// Which version it is.
    pub id: VersionId,
    /// Its generation.
    pub generation: Generation,
    /// Key of its artefact.
    pub artifact_key: Key,
}

/// The snapshots a version rests on; `None` for what an imported model does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionSnapshots {
    /// Learnt from.
    pub training: Option<Digest>,
    /// Tested on.
    pub test: Option<Digest>,
}

/// A version that has a number and no artefact yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedVersion {
    /// The number.
    pub version: ModelVersion,
    /// Where the artefact goes.
    pub artifact_key: Key,
}

/// What a run is opened with in the registry's tracking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedRun {
    /// The run.
    pub id: RunId,
    /// The experiment; created when absent.
    pub experiment: String,
    /// Name for people.
    pub name: String,
    /// Who asked for it; empty when nobody said.
    pub user: String,
    /// Tags to begin with.
    pub tags: BTreeMap<String, String>,
}

/// What is logged to a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Parameters; they never change.
    pub params: BTreeMap<String, String>,
    /// Metrics.
    pub metrics: BTreeMap<String, f64>,
    /// Metrics with a value for each step, counted from 0.
    pub series: BTreeMap<String, Vec<f64>>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// When they were measured. A repeat with the same time is the same measurement.
    pub at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackedEnd {
    /// It came to its end.
    Finished,
    /// An error ended it.
    Failed,
    /// A person ended it.
    Killed,
}

/// What becomes known of a version when its artefact is in the blob store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinishedVersion {
    /// Which.
    pub id: VersionId,
    /// Family of the estimator.
    pub family: &'static str,
    /// Learnt from.
    pub training: Digest,
    /// Tested on.
    pub test: Digest,
}

/// A comparison with the champion on the rows of one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The snapshot.
    pub snapshot: Digest,
    /// The champion compared with.
    pub champion: VersionId,
    /// The numbers.
    pub paired: Paired,
}

/// What the gate looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// The untouched test snapshot.
    pub test_snapshot: Digest,
    /// On full rows.
    pub full: Quality,
    /// On the same rows with the required features only.
    pub required_only: Quality,
    /// The baseline on the same rows.
    pub baseline: Quality,
    /// One-sided DeLong p-value of "better than the baseline".
    pub baseline_p_value: f64,
    /// Against the champion on the test snapshot.
    pub champion: Option<Comparison>,
    /// Against the champion on the held-out part of the newest labelled window.
    pub newest_window: Option<Comparison>,
    /// Groups of customers.
    pub slices: Vec<Slice>,
}

/// What the gate said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// May it become champion?
    pub accepted: bool,
    /// The checks that failed, as `name: sentence`.
    pub failed_checks: Vec<String>,
    /// The generation it was judged against; 0 when there was no champion.
    pub champion_generation: Generation,
    /// How many versions have been judged on the same test snapshot, this one included; `None` when nobody counted.
    pub test_snapshot_uses: Option<u32>,
}

/// A version as the registry has it on record.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionFacts {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// SHA-256 of its artefact; `None` while it has none.
    pub artifact_digest: Option<Digest>,
    /// Size of the artefact in bytes.
    pub artifact_size_bytes: u64,
    /// The run that made it.
    pub run_id: RunId,
    /// Family of the estimator.
    pub family: String,
    /// What it rests on.
    pub snapshots: VersionSnapshots,
    /// When its number was reserved.
    pub created_at: Option<Timestamp>,
    /// Who asked for it.
    pub created_by: String,
    /// The gate's decisions about it, oldest first.
    pub decisions: Vec<DecisionFacts>,
}

/// A decision of the gate as the registry has it on record.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionFacts {
    /// SHA-256 of the evidence and the policy it was judged by.
    pub evaluation_digest: String,
    /// May it become champion?
    pub accepted: bool,
    /// Every check made.
    pub checks: Vec<CheckFacts>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// Generation of the champion it was judged against; 0 when there was none.
    pub champion_generation: Generation,
    /// Version of that champion.
    pub champion_version: Option<ModelVersion>,
    /// Digest of the test snapshot.
    pub test_snapshot: String,
    /// How many versions had been judged on it, this one included; `None` when nobody counted.
    pub test_snapshot_uses: Option<u32>,
}

/// A check of the gate.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckFacts {
    /// Stable name.
    pub name: String,
    /// Outcome.
    pub passed: bool,
    /// A sentence with the numbers.
    pub message: String,
}

/// A run as the registry has it on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// Name for people.
    pub name: String,
    /// Parameters.
    pub params: BTreeMap<String, String>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
}

/// How a promotion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promotion {
    /// The version is champion under this generation.
    Won(Generation),
    /// Approvers have to agree first.
    Waiting {
        /// The promotion they decide about.
        promotion: u64,
        /// How many have to say yes.
        approvers: u32,
    },
    /// Another writer was first.
    LostRace,
}

/// The registry.
#[async_trait]
pub trait Registry: Send + Sync + Debug + 'static {
    /// The champion in force, `None` when there is none.
    async fn champion(&self, model: &ModelName) -> Result<Option<Champion>, RegistryError>;

    /// The snapshots of a version.
    async fn snapshots(&self, model: &ModelName, version: ModelVersion) -> Result<VersionSnapshots, RegistryError>;

    /// A version with the gate's decisions; `None` when there is none.
    async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<Option<VersionFacts>, RegistryError>;

    /// A run with its parameters and tags; `None` when there is none.
    async fn run(&self, run: &RunId) -> Result<Option<RunFacts>, RegistryError>;

    /// Opens a run, and its experiment when that is absent.
    async fn open_run(&self, run: &TrackedRun) -> Result<(), RegistryError>;

    /// Logs to a run.
    async fn log(&self, run: &RunId, batch: &Batch) -> Result<(), RegistryError>;

    /// Ends a run.
    async fn close_run(&self, run: &RunId, end: TrackedEnd) -> Result<(), RegistryError>;

    /// Reserves the version of a run.
    async fn reserve(&self, model: &ModelName, run: &RunId, by: &str) -> Result<ReservedVersion, RegistryError>;

    /// Says which run makes the artefact of a registered version.
    async fn adopt(&self, model: &ModelName, target: ImportTarget, run: &RunId) -> Result<(), RegistryError>;

    /// Makes a version ready; its artefact is in the blob store.
    async fn finish(&self, version: &FinishedVersion) -> Result<(), RegistryError>;

    /// Brings evidence before the gate.
    async fn evaluate(&self, id: &VersionId, evidence: &Evidence) -> Result<Decision, RegistryError>;

    /// Makes a version champion after `expected`.
    async fn promote(&self, id: &VersionId, expected: Generation, note: &str) -> Result<Promotion, RegistryError>;
}
