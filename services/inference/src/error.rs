//! What can go wrong in inference, and the shared code each error maps to.

use std::time::Duration;

use holdfast_chassis::error::{Code, Fault, FieldViolation};

use crate::metrics::Outcome;
use crate::service::prediction_log::{AppendError, FlushError, OpenError};

/// The service's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Bytes of field violations that one answer carries. gRPC sends them in a header in base64, and common clients take no
/// more than 8 KiB of headers.
const VIOLATION_BYTES: usize = 4_500;

/// What can go wrong in inference.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's input breaks rules: every broken one.
    #[error("{}", in_words(.0))]
    Invalid(Vec<FieldViolation>),
    /// No model is loaded.
    #[error("no champion of model {model} is loaded")]
    NoChampion {
        /// The model this replica serves.
        model: String,
    },
    /// The caller asks for a model or version that is not in service.
    #[error("{asked} is not served here; in service is {served}")]
    NotServed {
        /// What was asked for.
        asked: String,
        /// What there is.
        served: String,
    },
    /// The prediction log did not take the records.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The prediction log could not be brought into the blob store.
    #[error(transparent)]
    Flush(#[from] FlushError),
    /// Scoring was cut short: the service ends.
    #[error("the service is shutting down")]
    Ending,
    /// The spool could not be opened.
    #[error(transparent)]
    Spool(#[from] OpenError),
    /// Local state could not be read or written.
    #[error("cannot use {path}")]
    LocalState {
        /// The file or directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The blob store could not be opened.
    #[error("cannot open the blob store")]
    BlobStore(#[from] holdfast_storage::Error),
    /// A setting that only shows to be wrong when it is used.
    #[error("invalid setting {key}: {problem}")]
    Setting {
        /// Dotted path of the key.
        key: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The service could not start.
    #[error("cannot start the server")]
    Server(#[from] holdfast_chassis::server::BindError),
}

impl Error {
    /// How the customers of a request that ends with this error are counted.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Invalid(_) | Self::NotServed { .. } => Outcome::Invalid,
            Self::NoChampion { .. } => Outcome::NoChampion,
            _ => Outcome::Refused,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let fault = |code, reason: &'static str| Fault::new(code, reason, message.clone());
        match error {
            Error::Invalid(violations) => {
                let total = violations.len();
                let listed = fitting(violations);
                let cut = listed.len() < total;
                let fault = Fault {
                    violations: listed,
                    ..fault(Code::InvalidArgument, "INVALID_FIELDS")
                };
                if cut {
                    fault.with("violations_total", total)
                } else {
                    fault
                }
            }
            Error::NoChampion { model } => fault(Code::FailedPrecondition, "NO_CHAMPION").with("model", model),
            Error::NotServed { .. } => fault(Code::NotFound, "NOT_SERVED"),
            Error::Append(AppendError::SpoolFull { .. }) => {
                fault(Code::ResourceExhausted, "SPOOL_FULL").retry_after(Duration::from_secs(5))
            }
            Error::Append(AppendError::Write { .. }) => fault(Code::ResourceExhausted, "SPOOL_WRITE_FAILED"),
            Error::Append(AppendError::Overloaded) => {
                fault(Code::ResourceExhausted, "OVERLOADED").retry_after(Duration::from_millis(100))
            }
            Error::Flush(FlushError::StoreAway { .. }) => fault(Code::Unavailable, "BLOB_STORE_AWAY"),
            Error::Append(AppendError::Closed) | Error::Flush(FlushError::Closed) | Error::Ending => {
                fault(Code::Unavailable, "ENDING")
            }
            Error::Spool(_)
            | Error::LocalState { .. }
            | Error::BlobStore(_)
            | Error::Setting { .. }
            | Error::Server(_) => {
                // The cause is for the log, not for the caller.
                tracing::error!(error = &error as &dyn std::error::Error, "request failed");
                Fault::internal("INTERNAL", "internal error")
            }
        }
    }
}

fn in_words(violations: &[FieldViolation]) -> String {
    match violations {
        [one] => format!("{}: {}", one.field, one.description),
        many if fitting_count(many) < many.len() => {
            format!(
                "{} fields are wrong, the first {} are listed",
                many.len(),
                fitting_count(many)
            )
        }
        many => format!("{} fields are wrong", many.len()),
    }
}

fn fitting_count(violations: &[FieldViolation]) -> usize {
    let mut bytes = 0;
    let fits = |violation: &&FieldViolation| {
        // Tags and lengths of the messages around the texts take about this much.
        bytes += violation.field.len() + violation.rule.len() + violation.description.len() + 16;
        bytes <= VIOLATION_BYTES
    };
    violations.iter().take_while(fits).count().max(1)
}

fn fitting(mut violations: Vec<FieldViolation>) -> Vec<FieldViolation> {
    violations.truncate(fitting_count(&violations));
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations(count: usize) -> Vec<FieldViolation> {
        let one = |row| {
            FieldViolation::new(
                format!("records[{row}].Credit_Limit"),
                "required",
                "Credit_Limit is missing",
            )
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_long_list_of_violations_is_cut_and_counted() {
        let fault = Fault::from(Error::Invalid(violations(10_000)));
        assert!(
            fault.violations.len() > 20 && fault.violations.len() < 200,
            "{}",
            fault.violations.len()
        );
        assert_eq!(fault.metadata["violations_total"], "10000");
        assert!(
            fault.message.starts_with("10000 fields are wrong, the first"),
            "{}",
            fault.message
        );
        let headers = tonic::Status::from(fault);
        assert!(headers.details().len() * 4 / 3 < 8_192);
    }

    #[test]
    fn a_short_list_is_whole() {
        let fault = Fault::from(Error::Invalid(violations(20)));
        assert_eq!(fault.violations.len(), 20);
        assert!(fault.metadata.is_empty());
    }
}
