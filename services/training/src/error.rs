//! What can go wrong in the training service's calls, and the shared code each error maps to. Why a *run* fails is
//! [`StepError`](crate::service::pipeline::StepError).

use std::path::PathBuf;

use holdfast_chassis::error::{Code, Fault, FieldViolation};
use holdfast_domain::{Digest, ModelName, ModelVersion, RunId};

use crate::service::imported::ForeignModelError;
use crate::service::params::ParamsError;
use crate::service::registry::RegistryError;
use crate::service::runs::Violations;

/// The service's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Bytes of field violations that one answer carries. gRPC sends them in a header in base64, and common clients take no more than 8 KiB of headers.
const VIOLATION_BYTES: usize = 4_500;

/// One field of a request that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// The field.
    pub field: &'static str,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// A sentence with what is allowed.
    pub description: String,
}

/// What can go wrong in the training service's calls.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks rules.
    #[error("invalid request: {}", .0.iter().map(|bad| format!("{} {}", bad.field, bad.description)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<BadField>),
    /// A table breaks the schema.
    #[error("{table} cannot be used: {}", .violations.in_words())]
    Table {
        /// The table, by the name its sender gave it.
        table: String,
        /// What is wrong with it.
        violations: Violations,
    },
    /// Bytes are not the table they should be.
    #[error("{table} cannot be read: {reason}")]
    Unreadable {
        /// The table, by the name its sender gave it.
        table: String,
        /// What is wrong.
        reason: String,
    },
    /// A table is larger than the limit.
    #[error("the table has more than the {limit} bytes that are taken in (setting training.max_snapshot_bytes)")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// A model file is larger than the limit.
    #[error("the model file has more than the {limit} bytes that are taken in (setting training.max_model_bytes)")]
    ModelFileTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// Too many model files at once.
    #[error("other model files are being taken in: a few at a time")]
    UploadsAtWork,
    /// A model file is none that is understood, or does not fit the schema.
    #[error(transparent)]
    ForeignModel(#[from] ForeignModelError),
    /// The version cannot be written in another library's format.
    #[error("version {version} cannot be exported: {why}")]
    NotExportable {
        /// The version.
        version: ModelVersion,
        /// What has no counterpart there.
        why: String,
    },
    /// There is no such snapshot.
    #[error("there is no snapshot {0}")]
    NoSuchSnapshot(Digest),
    /// There is no such run.
    #[error("there is no run {0:?}")]
    NoSuchRun(String),
    /// There is no such version.
    #[error("there is no version {version} of model {model}")]
    NoSuchVersion {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// The version has no artefact yet.
    #[error("version {version} of model {model} has no artefact yet")]
    VersionPending {
        /// The model.
        model: ModelName,
        /// The version.
        version: ModelVersion,
    },
    /// The version's evaluation left no such file.
    #[error("the evaluation of version {version} left no file {name:?}")]
    NoSuchFile {
        /// The version.
        version: ModelVersion,
        /// The name asked for.
        name: String,
    },
    /// What is stored of a version is not what was registered.
    #[error("what is stored of version {version} is not what was registered: {why}")]
    Damaged {
        /// The version.
        version: ModelVersion,
        /// What is wrong.
        why: String,
    },
    /// The version cannot be made again.
    #[error("version {version} cannot be made again: {why}")]
    NotReproducible {
        /// The version.
        version: ModelVersion,
        /// Why not.
        why: String,
    },
    /// A version is being made again.
    #[error("another version is being made again: one at a time")]
    ReproductionAtWork,
    /// The caller has gone, or the service ends.
    #[error("given up")]
    GivenUp,
    /// The registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The model has a run at work.
    #[error("model {model} is being trained by run {run}: one run at a time")]
    Busy {
        /// The model.
        model: ModelName,
        /// The run at work.
        run: RunId,
    },
    /// Neither a snapshot nor a database.
    #[error("the request names no snapshot, and no database is configured (settings database.*)")]
    NoDatabase,
    /// The service ends.
    #[error("the service is shutting down")]
    Ending,
    /// A bug: the work panicked. The log has the place.
    #[error("the work broke off unexpectedly")]
    Panicked,
    /// The parameter sets cannot be used.
    #[error(transparent)]
    Params(#[from] ParamsError),
    /// What is stored breaks its own rules.
    #[error("stored run is corrupt: {0}")]
    Corrupt(String),
    /// The database failed.
    #[error("run database failed")]
    Database(#[from] sqlx::Error),
    /// The database's tables could not be brought up to date.
    #[error("run database could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The blob store failed.
    #[error("blob store failed")]
    Storage(#[from] holdfast_storage::Error),
    /// A stored record could not be read or written.
    #[error("stored record failed")]
    Records(#[from] holdfast_records::Error),
    /// Local files cannot be used.
    #[error("cannot use {}", path.display())]
    LocalState {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A port cannot be had.
    #[error(transparent)]
    Bind(#[from] holdfast_chassis::server::BindError),
    /// A peer's address is no address.
    #[error(transparent)]
    Peer(#[from] holdfast_chassis::client::ClientError),
}

impl Error {
    /// A single bad field.
    pub fn field(field: &'static str, rule: &'static str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![BadField {
            field,
            rule,
            description: description.into(),
        }])
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let fault = |code, reason: &'static str| Fault::new(code, reason, message.clone());
        match error {
            Error::Invalid(found) => {
                let violations = found
                    .into_iter()
                    .map(|bad| FieldViolation::new(bad.field, bad.rule, bad.description));
                Fault::invalid_fields("INVALID_FIELDS", violations.collect())
            }
            Error::Table { violations, .. } => {
                let total = violations.total;
                let listed = violations.listed.into_iter();
                let listed = listed.map(|found| FieldViolation::new(found.place(), found.rule, found.message));
                let fault = Fault {
                    violations: fitting(listed.collect()),
                    ..fault(Code::InvalidArgument, "INVALID_TABLE")
                };
                fault.with("violations_total", total)
            }
            Error::Unreadable { .. } => fault(Code::InvalidArgument, "UNREADABLE_TABLE"),
            Error::Params(ParamsError::Unknown { .. }) => Fault::invalid_fields(
                "INVALID_FIELDS",
                vec![FieldViolation::new("preset", "unknown_preset", message)],
            ),
            Error::TooLarge { limit } => fault(Code::ResourceExhausted, "TABLE_TOO_LARGE").with("limit_bytes", limit),
            Error::ModelFileTooLarge { limit } => {
                fault(Code::ResourceExhausted, "MODEL_FILE_TOO_LARGE").with("limit_bytes", limit)
            }
            Error::UploadsAtWork => fault(Code::ResourceExhausted, "UPLOADS_AT_WORK"),
            Error::ForeignModel(ForeignModelError::File(_)) => fault(Code::InvalidArgument, "UNREADABLE_MODEL"),
            Error::ForeignModel(ForeignModelError::Bind(_)) => fault(Code::InvalidArgument, "MODEL_DOES_NOT_FIT"),
            Error::NotExportable { .. } => fault(Code::FailedPrecondition, "NOT_EXPORTABLE"),
            Error::NoSuchSnapshot(_) => fault(Code::NotFound, "NO_SUCH_SNAPSHOT"),
            Error::NoSuchRun(_) => fault(Code::NotFound, "NO_SUCH_RUN"),
            Error::NoSuchVersion { .. } => fault(Code::NotFound, "NO_SUCH_VERSION"),
            Error::NoSuchFile { .. } => fault(Code::NotFound, "NO_SUCH_FILE"),
            Error::VersionPending { .. } => fault(Code::FailedPrecondition, "VERSION_PENDING"),
            Error::NotReproducible { .. } => fault(Code::FailedPrecondition, "NOT_REPRODUCIBLE"),
            Error::ReproductionAtWork => fault(Code::ResourceExhausted, "REPRODUCTION_AT_WORK"),
            Error::GivenUp => fault(Code::Cancelled, "GIVEN_UP"),
            Error::Damaged { .. } => {
                tracing::error!(error = &error as &dyn std::error::Error, "stored version is damaged");
                fault(Code::DataLoss, "STORED_VERSION_DAMAGED")
            }
            Error::Registry(RegistryError::Away(_)) => fault(Code::Unavailable, "REGISTRY_AWAY"),
            Error::Busy { run, .. } => fault(Code::Aborted, "RUN_AT_WORK").with("run_id", run),
            Error::NoDatabase => fault(Code::FailedPrecondition, "NO_DATABASE"),
            Error::Ending => fault(Code::Unavailable, "ENDING"),
            Error::Storage(source) if source.is_retryable() => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::Records(source) if source.is_retryable() => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::Params(_)
            | Error::Registry(_)
            | Error::Panicked
            | Error::Corrupt(_)
            | Error::Database(_)
            | Error::Migration(_)
            | Error::Storage(_)
            | Error::Records(_)
            | Error::LocalState { .. }
            | Error::Bind(_)
            | Error::Peer(_) => {
                // The cause is for the log, not for the caller.
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                Fault::internal("INTERNAL", message)
            }
        }
    }
}

/// The first violations whose text fits an answer.
fn fitting(mut violations: Vec<FieldViolation>) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let fits = |violation: &&FieldViolation| {
        // Tags and lengths of the messages around the texts take about this much.
        bytes += violation.field.len() + violation.rule.len() + violation.description.len() + 16;
        bytes <= VIOLATION_BYTES
    };
    let count = violations.iter().take_while(fits).count().max(1);
    violations.truncate(count);
    violations
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Rule, Violation};

    use super::*;

    #[test]
    fn a_long_list_of_violations_fits_the_headers_of_an_answer_and_is_counted() {
        let one = |row| Violation::new("Gender", Rule::UnknownCategory, "Gender is \"X\"; known are F, M").in_row(row);
        let fault = Fault::from(Error::Table {
            table: "bank.csv".into(),
            violations: Violations::new((1..=500).map(one), 0),
        });
        assert!(
            (20..=100).contains(&fault.violations.len()),
            "{}",
            fault.violations.len()
        );
        assert_eq!(fault.violations[16].field, "row 17, Gender");
        assert_eq!(fault.metadata["violations_total"], "500");
        assert!(tonic::Status::from(fault).details().len() * 4 / 3 < 8_192);
    }
}
