//! What an SDK error means for the caller.

use std::error::Error as StdError;
use std::fmt::Display;
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Error, Operation, Result};
use crate::key::Key;
use crate::store::Created;

/// How one attempt to create ended.
pub(super) enum CreateOutcome {
    /// Decided: ours or somebody else's.
    Done(Created),
    /// The server wrote nothing, and the same attempt may succeed: repeat it, or give up with this error.
    NothingWritten(Error),
    /// Not to be repeated: refused, or unknown.
    Failed(Error),
}

pub(super) fn create_outcome<E>(
    key: &Key,
    outcome: Result<(), SdkError<E, HttpResponse>>,
    attempts: usize,
) -> CreateOutcome
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    let Err(error) = outcome else {
        return CreateOutcome::Done(Created::Yes);
    };
    let reason = reason(&error);
    let backend = |retryable| Error::Backend {
        operation: Operation::Create,
        target: key.to_string(),
        retryable,
        reason: reason.clone(),
    };
    let unknown = || {
        CreateOutcome::Failed(Error::Ambiguous {
            key: key.clone(),
            reason: reason.clone(),
        })
    };
    match &error {
        SdkError::ServiceError(service) => match (service.raw().status().as_u16(), service.err().code()) {
            (412, _) | (_, Some("PreconditionFailed")) => CreateOutcome::Done(Created::AlreadyExists),
            (409, Some("ConditionalRequestConflict" | "OperationAborted") | None) => {
                CreateOutcome::NothingWritten(Error::Contended {
                    key: key.clone(),
                    attempts,
                })
            }
            (_, Some("SlowDown" | "ServiceUnavailable" | "RequestTimeout" | "TooManyRequests" | "Throttling"))
            | (429, _) => CreateOutcome::NothingWritten(backend(true)),
            // A proxy's or the server's own failure may have come after the write.
            (500.., _) => unknown(),
            _ => CreateOutcome::Failed(backend(false)),
        },
        SdkError::ConstructionFailure(_) => CreateOutcome::Failed(backend(false)),
        SdkError::DispatchFailure(_) if never_connected(&error) => CreateOutcome::NothingWritten(backend(true)),
        SdkError::DispatchFailure(_) if lacks_credentials(&error) => CreateOutcome::Failed(backend(false)),
        _ => unknown(),
    }
}

/// The error of an idempotent call, after the SDK's own retries.
pub(super) fn to_error<E>(
    operation: Operation,
    target: &impl Display,
    error: &SdkError<E, HttpResponse>,
    deadline: Duration,
) -> Error
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    let target = target.to_string();
    let retryable = match error {
        SdkError::TimeoutError(_) => {
            return Error::TimedOut {
                operation,
                target,
                after: deadline,
            };
        }
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            status >= 500 || status == 429 || status == 409 || service.err().code() == Some("RequestTimeout")
        }
        SdkError::ConstructionFailure(_) => false,
        SdkError::DispatchFailure(_) => !lacks_credentials(error),
        _ => true,
    };
    Error::Backend {
        operation,
        target,
        retryable,
        reason: reason(error),
    }
}

/// Whether the server says that the object is not there. A missing bucket is another matter, told apart where the server names it (it cannot
/// in the answer to HEAD, which has no body).
pub(super) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::ServiceError(service) => {
            service.raw().status().as_u16() == 404 && service.err().code() != Some("NoSuchBucket")
        }
        _ => false,
    }
}

/// No connection was made, so nothing can have been sent.
fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(|error| error.is_connect())
    })
}

fn lacks_credentials(error: &(dyn StdError + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<aws_credential_types::provider::error::CredentialsError>())
}

fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The server's code and words, or the chain of causes: the SDK's own text says only "service error".
fn reason<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    if let SdkError::ServiceError(service) = error {
        let status = service.raw().status().as_u16();
        return match (service.err().code(), service.err().message()) {
            (Some(code), Some(message)) => format!("{status} {code}: {message}"),
            (Some(code), None) => format!("{status} {code}"),
            _ => format!("http status {status}"),
        };
    }
    let mut words: Vec<String> = causes(error).map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}
