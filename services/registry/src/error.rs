//! What can go wrong in the registry.

mod fault;

use std::sync::Arc;

use holdfast_domain::{Digest, Generation, InvalidId, ModelName, ModelVersion};
use holdfast_records::champion::ChampionEntry;
use jiff::Timestamp;

use crate::service::approvals::PromotionState;
use crate::service::imports::ImportRefusal;
use crate::service::registered::Refusal;
use crate::service::tracking::ExperimentBy;

/// The registry's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One field that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `params[3].value`.
    pub field: String,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// A sentence with the value and what is allowed.
    pub description: String,
}

impl Violation {
    /// One violation.
    pub fn new(field: &str, rule: &'static str, description: &str) -> Self {
        Self {
            field: field.to_owned(),
            rule,
            description: description.to_owned(),
        }
    }

    /// `Ok` when there is none, else all of them as one error.
    pub fn none(found: Vec<Self>) -> Result<()> {
        if found.is_empty() {
            Ok(())
        } else {
            Err(Error::Invalid(found))
        }
    }
}

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Invalid(vec![violation])
    }
}

impl From<InvalidId> for Error {
    fn from(invalid: InvalidId) -> Self {
        Violation::new("model", "model_name", &invalid.to_string()).into()
    }
}

/// What can go wrong in the registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's input breaks rules.
    #[error("invalid request: {}", .0.iter().map(|v| format!("{} {}", v.field, v.description)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// The name is taken.
    #[error("experiment {0:?} exists already")]
    ExperimentExists(String),
    /// There is no such experiment.
    #[error("no experiment with {}", match .0 { ExperimentBy::Id(id) => format!("id {id}"), ExperimentBy::Name(name) => format!("name {name:?}") })]
    NoSuchExperiment(ExperimentBy),
    /// The experiment is deleted.
    #[error("experiment {0} is deleted: restore it first")]
    ExperimentDeleted(i64),
    /// The experiment of runs that name none stays.
    #[error("experiment 0, of runs that name none, cannot be deleted")]
    DefaultExperiment,
    /// The name of what is deleted stays.
    #[error("experiment {0} is deleted and cannot be renamed: restore it first")]
    RenameDeleted(i64),
    /// There is no such tag.
    #[error("no tag {key:?} on {of}")]
    NoSuchTag {
        /// Key of the tag.
        key: String,
        /// Whose it would be, in words.
        of: String,
    },
    /// There is no such logged model, or it is deleted.
    #[error("no logged model with id {0:?}")]
    NoSuchLoggedModel(String),
    /// There is no such run.
    #[error("no run with id {0:?}")]
    NoSuchRun(String),
    /// The run is deleted.
    #[error("run {0:?} is deleted: restore it first")]
    RunDeleted(String),
    /// There is no such model.
    #[error("no model named {0}")]
    NoSuchModel(ModelName),
    /// There is no such version.
    #[error("model {model} has no version {version}")]
    NoSuchVersion {
        /// The model.
        model: ModelName,
        /// The version asked for.
        version: ModelVersion,
    },
    /// The version is ready with other bytes.
    #[error("version {version} of {model} is ready with another artefact: versions never change")]
    VersionIsOther {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// The version has no artefact yet.
    #[error("version {version} of {model} is not ready: its artefact has not been finished")]
    VersionNotReady {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// The artefact in the blob store is not what the caller says.
    #[error("artefact {key} has digest {found}, not {claimed}")]
    ArtifactDigest {
        /// Key of the artefact.
        key: String,
        /// What the caller says.
        claimed: Digest,
        /// What the blob store holds.
        found: Digest,
    },
    /// The artefact is not in the blob store.
    #[error("artefact {0} is not in the blob store")]
    ArtifactMissing(String),
    /// No decision of the gate allows the promotion.
    #[error("version {version} of {model} has no accepting gate decision against {against}: {why}")]
    GateRefuses {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
        /// The champion it would replace, in words.
        against: String,
        /// What the gate said last, in words.
        why: String,
    },
    /// The champion is not the one the caller saw.
    #[error("the champion is at generation {}, not {expected}", .current.as_ref().map_or(0, |entry| entry.generation.0))]
    LostRace {
        /// The generation the caller expected.
        expected: Generation,
        /// The champion that won.
        current: Option<Box<ChampionEntry>>,
    },
    /// There is no champion.
    #[error("model {0} has no champion")]
    NoChampion(ModelName),
    /// There was none at that time.
    #[error("model {0} had no champion at {1}: `holdfast champion log` shows since when it has one")]
    NoChampionThen(ModelName, Timestamp),
    /// The version never was champion.
    #[error("version {version} of {model} never was champion: promote it instead")]
    NeverChampion {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// There is no earlier champion to go back to.
    #[error("model {0} has no earlier champion to go back to")]
    NoEarlierChampion(ModelName),
    /// The version is not proven to load.
    #[error("version {version} of {model} is not proven to load: {why}")]
    NotProvenToLoad {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
        /// What was seen of it.
        why: String,
    },
    /// A promotion with approvers must know whose run it is.
    #[error(
        "who started the run behind version {version} of {model} is not on record, so nobody can be told apart from them"
    )]
    StarterUnknown {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// There is no such promotion.
    #[error("model {model} has no promotion {promotion}")]
    NoSuchPromotion {
        /// The model.
        model: ModelName,
        /// The promotion.
        promotion: u64,
    },
    /// The promotion does not wait any more.
    #[error("promotion {promotion} of {model} {}", state.in_words())]
    PromotionClosed {
        /// The model.
        model: ModelName,
        /// The promotion.
        promotion: u64,
        /// How it stands.
        state: PromotionState,
    },
    /// This person's yes cannot count.
    #[error("{actor:?} may not approve promotion {promotion}: they {why}")]
    MayNotApprove {
        /// The person.
        actor: String,
        /// The promotion.
        promotion: u64,
        /// What they have to do with it.
        why: &'static str,
    },
    /// This person has said yes.
    #[error("{actor:?} has approved promotion {promotion} already")]
    AlreadyApproved {
        /// The person.
        actor: String,
        /// The promotion.
        promotion: u64,
    },
    /// The record of approvals was written by others again and again.
    #[error("the record of approvals of {0} is written by many at once: try again")]
    RecordContended(ModelName),
    /// A version can be tried only beside a champion.
    #[error("model {0} has no champion to try a version beside: promote one first")]
    RolloutNeedsChampion(ModelName),
    /// The version to try is the champion.
    #[error("version {version} of {model} is the champion: there is nothing to try")]
    IsChampion {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// At most one version of a model is on trial.
    #[error("version {version} of {model} is on trial already: end rollout {revision} first")]
    RolloutRuns {
        /// The model.
        model: ModelName,
        /// The version on trial.
        version: ModelVersion,
        /// The rollout.
        revision: u64,
    },
    /// The record of rollouts is not as the caller saw it.
    #[error("the record of rollouts is at revision {revision} by now")]
    RolloutLostRace {
        /// Its newest revision.
        revision: u64,
        /// The rollout that runs.
        running: Option<u64>,
    },
    /// Nothing is on trial.
    #[error("no version of model {0} is on trial")]
    NoRolloutRuns(ModelName),
    /// Nothing ever was on trial.
    #[error("no version of model {0} ever was on trial")]
    NoRollout(ModelName),
    /// Nothing on record has this name.
    #[error("nothing on record is named {0:?}")]
    NoSuchThing(String),
    /// It cannot be done to a registered model.
    #[error(transparent)]
    Registered(#[from] Refusal),
    /// There is no such file or folder.
    #[error("No such artifact: '{0}'")]
    NoSuchArtifact(String),
    /// A path is a file or a folder, never both.
    #[error("artefact {path:?} cannot be written: {by}")]
    ArtifactPathTaken {
        /// The path.
        path: String,
        /// What has it.
        by: String,
    },
    /// The files of versions are written by training alone.
    #[error("{0:?} is of a model version: its files can only be read")]
    ReadOnlyPath(String),
    /// The file is larger than the settings allow.
    #[error("artefact {path:?} has more than the {limit} bytes that registry.artifacts.max_file_bytes allows")]
    ArtifactTooLarge {
        /// The path.
        path: String,
        /// Most bytes.
        limit: u64,
    },
    /// Too much is being sent at once.
    #[error("uploads at work have the {limit} bytes that registry.artifacts.max_spool_bytes allows: try again later")]
    SpoolLimit {
        /// Most bytes.
        limit: u64,
    },
    /// There is no such webhook.
    #[error("no webhook with id {0:?}")]
    NoSuchWebhook(String),
    /// There are as many webhooks as there can be.
    #[error("there are {0} webhooks already, and no more can be: remove one first")]
    TooManyWebhooks(i64),
    /// The machine gives no random bytes.
    #[error("no random bytes can be had for a secret")]
    NoRandomness,
    /// No room is left.
    #[error("no space is left in {0}")]
    DiskFull(String),
    /// What cannot be done about imports.
    #[error(transparent)]
    Import(#[from] ImportRefusal),
    /// One collection at a time.
    #[error("another collection is at work: wait for its end")]
    CollectionAtWork,
    /// A collection removed the bytes before their path was written.
    #[error("a collection took the bytes of {0:?} while it was written: send it again")]
    ArtifactBytesCollected(String),
    /// The bytes are not those that were stored.
    #[error("artefact {path:?} is damaged: {problem}")]
    ArtifactDamaged {
        /// The path.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// Uploads cannot be kept.
    #[error("uploads cannot be kept in {path}")]
    Spool {
        /// The folder.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// What is stored breaks its own rules.
    #[error("stored metadata is corrupt: {0}")]
    Corrupt(String),
    /// The database failed.
    #[error("metadata database failed")]
    Database(#[from] sqlx::Error),
    /// What was written was given back with others' writes, because they could not be committed together.
    #[error("metadata database did not commit")]
    NotCommitted(#[source] Arc<sqlx::Error>),
    /// Nobody writes to the database any more: the registry is ending, or a write has broken.
    #[error("metadata database takes no writes")]
    WriterGone,
    /// The database's tables could not be brought up to date.
    #[error("metadata database could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The blob store failed.
    #[error("blob store failed")]
    Storage(#[from] holdfast_storage::Error),
    /// A stored record could not be read or written.
    #[error("stored record failed")]
    Records(#[from] holdfast_records::Error),
    /// The data directory cannot be made.
    #[error("data directory {path} cannot be made")]
    DataDir {
        /// The directory.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] holdfast_chassis::server::BindError),
}
