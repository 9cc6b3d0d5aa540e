//! Failures in MLflow's terms: its error codes, and the words of its server where its clients' users know them.

use holdfast_chassis::{Code, Fault};
use http::StatusCode;

/// What a caller of MLflow's API is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// MLflow's code, for example `RESOURCE_DOES_NOT_EXIST`.
    pub error_code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// What happened, in words.
    pub message: String,
}

impl Failure {
    /// The class of the failure and its SQLSTATE as MLflow's server derives them from the code (`mlflow/error_classification.py`, the client's tables, which
    /// are those it answers with); none for codes that it doesn't classify.
    pub fn class(&self) -> Option<(&'static str, &'static str)> {
        const CALLERS: &str = "KAM00";
        const SERVERS: &str = "XXM00";
        Some(match self.error_code {
            "BAD_REQUEST" | "INVALID_PARAMETER_VALUE" => ("INVALID_PARAMETER_VALUE", CALLERS),
            "ENDPOINT_NOT_FOUND" | "NOT_FOUND" | "RESOURCE_DOES_NOT_EXIST" => ("RESOURCE_NOT_FOUND", CALLERS),
            "CUSTOMER_UNAUTHORIZED" | "PERMISSION_DENIED" => ("PERMISSION_DENIED", CALLERS),
            "RESOURCE_ALREADY_EXISTS" => ("RESOURCE_ALREADY_EXISTS", CALLERS),
            "INTERNAL_ERROR" | "INVALID_STATE" | "TEMPORARILY_UNAVAILABLE" => ("CLIENT_INTERNAL_ERROR", SERVERS),
            _ => return None,
        })
    }
}

/// A fault in MLflow's terms.
///
/// Statuses are those of MLflow's server, with two exceptions, because its clients repeat a call for minutes on 429 and 5xx: a state that does not allow
/// the call is 409 and not 500, and what is too large is 413.
pub fn failure(fault: &Fault) -> Failure {
    let (error_code, status) = of_reason(&fault.reason).unwrap_or_else(|| of_code(fault.code));
    Failure {
        error_code,
        status,
        message: fault.clone().naming_fields().message,
    }
}

fn of_reason(reason: &str) -> Option<(&'static str, StatusCode)> {
    Some(match reason {
        "NO_SUCH_ROUTE" | "METHOD_NOT_ALLOWED" => ("ENDPOINT_NOT_FOUND", StatusCode::NOT_FOUND),
        // MLflow's server takes a missing alias for a wrong parameter, and what is deleted for one too.
        "NO_SUCH_ALIAS" | "DELETED" => ("INVALID_PARAMETER_VALUE", StatusCode::BAD_REQUEST),
        "MALFORMED_JSON" | "BODY_BROKEN" => ("BAD_REQUEST", StatusCode::BAD_REQUEST),
        "UNSUPPORTED_ENCODING" => ("BAD_REQUEST", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        "BODY_TIMEOUT" => ("DEADLINE_EXCEEDED", StatusCode::REQUEST_TIMEOUT),
        "BODY_TOO_LARGE" | "ARTIFACT_TOO_LARGE" => ("INVALID_PARAMETER_VALUE", StatusCode::PAYLOAD_TOO_LARGE),
        "READ_ONLY_PATH" => ("PERMISSION_DENIED", StatusCode::FORBIDDEN),
        "ARTIFACT_PATH_TAKEN" => ("RESOURCE_CONFLICT", StatusCode::CONFLICT),
        _ => return None,
    })
}

fn of_code(code: Code) -> (&'static str, StatusCode) {
    let error_code = match code {
        Code::InvalidArgument | Code::OutOfRange => "INVALID_PARAMETER_VALUE",
        Code::NotFound => "RESOURCE_DOES_NOT_EXIST",
        Code::AlreadyExists => return ("RESOURCE_ALREADY_EXISTS", StatusCode::BAD_REQUEST),
        Code::Aborted => "ABORTED",
        Code::FailedPrecondition => "INVALID_STATE",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::Unavailable => "TEMPORARILY_UNAVAILABLE",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::Cancelled => "CANCELLED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::Unimplemented => "NOT_IMPLEMENTED",
        Code::DataLoss => "DATA_LOSS",
        Code::Internal | Code::Unknown => "INTERNAL_ERROR",
    };
    (error_code, code.http_status())
}

/// The fault with other words, if it has this reason.
fn reworded(mut fault: Fault, reason: &str, words: impl FnOnce() -> String) -> Fault {
    if fault.reason == reason {
        fault.message = words();
    }
    fault
}

/// Failures of calls about an experiment.
pub(super) fn of_experiment(id: &str) -> impl FnOnce(Fault) -> Fault {
    move |fault| {
        let fault = reworded(fault, "NO_SUCH_EXPERIMENT", || {
            format!("No Experiment with id={id} exists")
        });
        reworded(fault, "DELETED", || {
            format!("The experiment {id} must be in the 'active' state. Current state is deleted.")
        })
    }
}

/// Failures of calls about an experiment that a name names.
pub(super) fn of_experiment_named(name: &str) -> impl FnOnce(Fault) -> Fault {
    move |fault| {
        let fault = reworded(fault, "NO_SUCH_EXPERIMENT", || {
            format!("Could not find experiment with name '{name}'")
        });
        reworded(fault, "EXPERIMENT_EXISTS", || {
            format!("Experiment(name={name}) already exists.")
        })
    }
}

/// Failures of calls about a run.
pub(super) fn of_run(id: &str) -> impl FnOnce(Fault) -> Fault {
    move |fault| {
        let fault = reworded(fault, "NO_SUCH_RUN", || format!("Run with id={id} not found"));
        let mut fault = reworded(fault, "DELETED", || {
            format!("The run {id} must be in the 'active' state. Current state is deleted.")
        });
        if let Some(changed) = fault.violations.iter().find(|broken| broken.rule == "immutable") {
            fault.message = format!("Changing param values is not allowed. {}", changed.description);
            // Named by the message, which is the client's; several would be named anew.
            fault.violations.truncate(1);
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use holdfast_chassis::FieldViolation;

    use super::*;

    #[test]
    fn every_code_has_its_own_of_mlflow_and_never_says_that_all_is_well() {
        for code in Code::ALL {
            let told = failure(&Fault::new(code, "SOME_REASON", "some words"));
            assert!(told.status.as_u16() >= 400, "{code}");
            assert_eq!(told.message, "some words");
        }
    }

    /// Clients of MLflow repeat these for minutes: they must not be said of what will not change.
    #[test]
    fn what_stays_refused_is_not_repeated() {
        for (code, reason) in [
            (Code::FailedPrecondition, "CHAMPION_ALIAS"),
            (Code::FailedPrecondition, "DELETED"),
            (Code::ResourceExhausted, "ARTIFACT_TOO_LARGE"),
            (Code::AlreadyExists, "MODEL_EXISTS"),
            (Code::NotFound, "NO_SUCH_ALIAS"),
            (Code::Unimplemented, "NO_SUCH_ROUTE"),
        ] {
            let status = failure(&Fault::new(code, reason, "no")).status.as_u16();
            assert!(![408, 429, 500, 502, 503, 504].contains(&status), "{reason}: {status}");
        }
    }

    #[test]
    fn a_failure_has_the_class_that_servers_of_mlflow_name() {
        let told = |code, reason| failure(&Fault::new(code, reason, "no")).class();
        assert_eq!(
            told(Code::NotFound, "NO_SUCH_RUN"),
            Some(("RESOURCE_NOT_FOUND", "KAM00"))
        );
        assert_eq!(
            told(Code::Internal, "SOME_REASON"),
            Some(("CLIENT_INTERNAL_ERROR", "XXM00"))
        );
        assert_eq!(told(Code::Aborted, "SOME_REASON"), None);
    }

    #[test]
    fn a_changed_parameter_is_told_in_words_that_users_know() {
        let changed = FieldViolation::new("params[0].value", "immutable", "parameter \"lr\" is \"0.1\"");
        let fault = of_run("r")(Fault::invalid_fields("INVALID_FIELDS", vec![changed.clone(), changed]));
        let told = failure(&fault);
        assert_eq!(told.error_code, "INVALID_PARAMETER_VALUE");
        assert_eq!(
            told.message,
            "Changing param values is not allowed. parameter \"lr\" is \"0.1\""
        );
    }
}
