//! Why a step, and with it its run, did not come to its end.

use holdfast_domain::{Digest, ModelVersion};
use holdfast_model::metrics::MetricError;

use crate::error::Error;
use crate::service::fitting::FitError;
use crate::service::registry::RegistryError;
use crate::service::runs::{StepName, Violations};
use crate::service::trainer::TrainError;
use crate::service::tuning::tune::TuneError;

/// Why a step did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Somebody said stop.
    #[error("cancelled")]
    Cancelled,
    /// A table of the run breaks the rules.
    #[error("{table} cannot be used: {}", .violations.in_words())]
    Table {
        /// Which, in words.
        table: String,
        /// What is wrong with it.
        violations: Violations,
    },
    /// A table that cannot be read.
    #[error("{table} cannot be read: {reason}")]
    Unreadable {
        /// Which, in words.
        table: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to learn again from.
    #[error("a run on a window needs a champion of model {0}, and there is none")]
    NoChampion(String),
    /// The champion's rows are not known.
    #[error("champion version {version} names no {what} snapshot, so that nothing can be added to it")]
    NoChampionRows {
        /// The champion's version.
        version: ModelVersion,
        /// Which snapshot is missing.
        what: &'static str,
    },
    /// The champion's artefact is not what it should be.
    #[error("the artefact of champion version {version} cannot be compared with: {why}")]
    BrokenChampion {
        /// The champion's version.
        version: ModelVersion,
        /// What is wrong with it.
        why: String,
    },
    /// A model could not be made.
    #[error(transparent)]
    Fit(FitError),
    /// The parameter set has nothing that can be searched.
    #[error("there is nothing to tune: {0}")]
    NothingToTune(String),
    /// Nothing was found.
    #[error(transparent)]
    Tune(TuneError),
    /// Models could not be measured.
    #[error("the test rows cannot be used: {0}")]
    Measure(#[from] MetricError),
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A snapshot or the artefact could not be read or written.
    #[error("{0}")]
    Records(#[from] holdfast_records::Error),
    /// A snapshot that there is not.
    #[error("there is no snapshot {0}")]
    NoSuchSnapshot(Digest),
    /// The run's own memory, or the service around it.
    #[error("{0}")]
    Service(#[source] Error),
    /// A bug: the work panicked. The log has the place.
    #[error("training broke off unexpectedly")]
    Panicked,
}

impl From<Error> for StepError {
    fn from(error: Error) -> Self {
        match error {
            Error::Table { table, violations } => Self::Table { table, violations },
            Error::Unreadable { table, reason } => Self::Unreadable { table, reason },
            other => Self::Service(other),
        }
    }
}

impl From<FitError> for StepError {
    fn from(error: FitError) -> Self {
        match error {
            FitError::Train(TrainError::Cancelled) => Self::Cancelled,
            other => Self::Fit(other),
        }
    }
}

impl From<TuneError> for StepError {
    fn from(error: TuneError) -> Self {
        match error {
            TuneError::Cancelled(_) => Self::Cancelled,
            other => Self::Tune(other),
        }
    }
}

impl From<holdfast_storage::Error> for StepError {
    fn from(error: holdfast_storage::Error) -> Self {
        Self::Records(error.into())
    }
}

impl From<tokio::task::JoinError> for StepError {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_panic() {
            Self::Panicked
        } else {
            Self::Cancelled
        }
    }
}

/// A step that did not come to its end.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) step: StepName,
    pub(super) error: StepError,
}
