//! What can go wrong in monitoring, and the shared code each error maps to.

use holdfast_chassis::{Code, Fault, FieldViolation};
use holdfast_domain::{InvalidId, ModelName};
use holdfast_records::FormatError;
use holdfast_statistics::StatisticsError;
use holdfast_storage::Key;

/// Monitoring's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One field that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field, for example `outcomes[3].event_time`.
    pub field: String,
    /// Stable name of the rule.
    pub rule: &'static str,
    /// A sentence with what is allowed.
    pub description: String,
}

impl Violation {
    /// One violation.
    pub fn new(field: impl Into<String>, rule: &'static str, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule,
            description: description.into(),
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
        Violation::new("model", "model_name", invalid.to_string()).into()
    }
}

/// How many labelled rows a window has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LabelledCounts {
    /// Customers with a known outcome that can be learnt from.
    pub rows: u64,
    /// Of them, who left.
    pub attrited: u64,
}

impl LabelledCounts {
    /// Of them, who stayed.
    pub fn stayed(self) -> u64 {
        self.rows - self.attrited
    }
}

/// What can go wrong in monitoring.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's input breaks rules.
    #[error("invalid request: {}", .0.iter().map(|v| format!("{} {}", v.field, v.description)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
    /// There is nothing to compare with.
    #[error("model {0} has no champion, so there is nothing to compare with")]
    NoChampion(ModelName),
    /// The champion's artefact is gone.
    #[error("the champion's artefact {0} is not in the blob store")]
    ArtifactMissing(Key),
    /// The champion's artefact is not what the champion log says.
    #[error("the champion's artefact {key} is damaged: {why}")]
    ArtifactDamaged {
        /// Where it lies.
        key: Key,
        /// What is wrong with it.
        why: String,
    },
    /// No verdict is better than a guess.
    #[error("the window holds {rows} predictions of {model}, at least {minimum} are needed")]
    WindowTooSmall {
        /// The model.
        model: ModelName,
        /// Predictions in the window.
        rows: u64,
        /// The policy's least.
        minimum: u64,
    },
    /// There is no such report.
    #[error("no report with id {0:?}")]
    NoSuchReport(String),
    /// The window cannot be learnt from yet.
    #[error(
        "the window has {} labelled customers, {} who left and {} who stayed; {minimum_rows} are needed, {minimum_per_class} of each",
        .found.rows, .found.attrited, .found.stayed()
    )]
    TooFewOutcomes {
        /// What there is.
        found: LabelledCounts,
        /// Labelled customers needed.
        minimum_rows: u64,
        /// Of each class.
        minimum_per_class: u64,
    },
    /// A retry that is none.
    #[error("the idempotency key {0:?} was used for other outcomes")]
    IdempotencyKeyReused(String),
    /// Training did not start the run.
    #[error("training did not start the run: {0}")]
    Training(#[source] Fault),
    /// The blob store failed.
    #[error("blob store failed")]
    Storage(#[from] holdfast_storage::Error),
    /// A stored record could not be read or written.
    #[error("stored record failed: {0}")]
    Records(#[from] holdfast_records::Error),
    /// The reference profile cannot be compared with.
    #[error("the window cannot be compared")]
    Statistics(#[from] StatisticsError),
    /// Work was cut short by the end of the service.
    #[error("work was cut short")]
    Interrupted(#[from] tokio::task::JoinError),
    /// The service could not start.
    #[error(transparent)]
    Bind(#[from] holdfast_chassis::server::BindError),
    /// A peer's address is wrong.
    #[error(transparent)]
    Client(#[from] holdfast_chassis::client::ClientError),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let fault = |code, reason: &'static str| Fault::new(code, reason, message.clone());
        match error {
            Error::Invalid(violations) => Fault::invalid_fields(
                "INVALID_FIELDS",
                violations
                    .into_iter()
                    .map(|v| FieldViolation::new(v.field, v.rule, v.description))
                    .collect(),
            ),
            Error::NoChampion(_) => fault(Code::FailedPrecondition, "NO_CHAMPION"),
            Error::WindowTooSmall { rows, minimum, .. } => fault(Code::FailedPrecondition, "WINDOW_TOO_SMALL")
                .with("rows", rows)
                .with("minimum_rows", minimum),
            Error::NoSuchReport(_) => fault(Code::NotFound, "NO_SUCH_REPORT"),
            Error::TooFewOutcomes {
                found,
                minimum_rows,
                minimum_per_class,
            } => fault(Code::FailedPrecondition, "TOO_FEW_OUTCOMES")
                .with("labelled_rows", found.rows)
                .with("attrited_rows", found.attrited)
                .with("stayed_rows", found.stayed())
                .with("minimum_labelled_rows", minimum_rows)
                .with("minimum_rows_per_class", minimum_per_class),
            Error::IdempotencyKeyReused(_) => fault(Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED"),
            Error::Training(peer) => training(&message, peer),
            Error::Storage(ref source) if source.is_retryable() => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::Records(ref source) if source.is_retryable() => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::ArtifactMissing(_) => logged(&error, fault(Code::DataLoss, "ARTIFACT_MISSING")),
            Error::ArtifactDamaged { .. } => logged(&error, fault(Code::DataLoss, "ARTIFACT_DAMAGED")),
            Error::Records(holdfast_records::Error::Format {
                source: FormatError::UnsupportedVersion { .. },
                ..
            }) => logged(&error, fault(Code::Internal, "RECORD_TOO_NEW")),
            Error::Records(holdfast_records::Error::Format { .. } | holdfast_records::Error::BrokenChain(_)) => {
                logged(&error, fault(Code::DataLoss, "RECORD_DAMAGED"))
            }
            Error::Storage(_)
            | Error::Records(_)
            | Error::Statistics(_)
            | Error::Interrupted(_)
            | Error::Bind(_)
            | Error::Client(_) => logged(&error, fault(Code::Internal, "INTERNAL")),
        }
    }
}

/// The causes are for the log, not for the caller.
fn logged(error: &Error, fault: Fault) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "request failed");
    fault
}

/// Training's answer, passed on where the caller can do something about it.
fn training(message: &str, peer: Fault) -> Fault {
    let code = match peer.code {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::FailedPrecondition
        | Code::ResourceExhausted => peer.code,
        // Our request was wrong, not our caller's.
        _ => {
            tracing::error!(code = %peer.code, reason = %peer.reason, error = %peer.message, "training refused a run");
            Code::Internal
        }
    };
    Fault {
        code,
        message: message.to_owned(),
        violations: Vec::new(),
        ..peer
    }
}
