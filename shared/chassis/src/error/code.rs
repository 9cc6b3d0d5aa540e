//! The kinds of failure, named by what the caller should do about them.

use http::StatusCode;

/// What kind of failure a caller sees. The names and meanings are gRPC's; success is not an error and has no code here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The request itself is wrong; sending it again cannot help.
    InvalidArgument,
    /// A value lies past the end of what exists, for example a page token of a shorter list.
    OutOfRange,
    /// The named thing does not exist.
    NotFound,
    /// The thing to be created exists already.
    AlreadyExists,
    /// The caller lost a race; read again and decide anew.
    Aborted,
    /// The system is not in the state that the request needs, for example no champion yet.
    FailedPrecondition,
    /// A limit was reached (concurrency, message size, disk); back off.
    ResourceExhausted,
    /// The service cannot answer now; retry with backoff.
    Unavailable,
    /// The deadline passed; the work may or may not have been done.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// Who are you?
    Unauthenticated,
    /// You may not.
    PermissionDenied,
    /// This build or this backend does not do that.
    Unimplemented,
    /// A stored record or artefact is damaged.
    DataLoss,
    /// A bug or an unforeseen failure on our side.
    Internal,
    /// A failure of which nothing else is known, usually from another system.
    Unknown,
}

impl Code {
    /// Every code, in declaration order.
    pub const ALL: [Self; 16] = [
        Self::InvalidArgument,
        Self::OutOfRange,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Aborted,
        Self::FailedPrecondition,
        Self::ResourceExhausted,
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::Cancelled,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::Unimplemented,
        Self::DataLoss,
        Self::Internal,
        Self::Unknown,
    ];

    /// The name as gRPC spells it, for example `NOT_FOUND`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Aborted => "ABORTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unavailable => "UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Cancelled => "CANCELLED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::DataLoss => "DATA_LOSS",
            Self::Internal => "INTERNAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// A short human title, used as the title of a problem document.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::InvalidArgument => "Invalid request",
            Self::OutOfRange => "Out of range",
            Self::NotFound => "Not found",
            Self::AlreadyExists => "Already exists",
            Self::Aborted => "Lost a race",
            Self::FailedPrecondition => "Not in a state that allows this",
            Self::ResourceExhausted => "Limit reached",
            Self::Unavailable => "Unavailable for now",
            Self::DeadlineExceeded => "Deadline exceeded",
            Self::Cancelled => "Cancelled by the caller",
            Self::Unauthenticated => "Not signed in",
            Self::PermissionDenied => "Not allowed",
            Self::Unimplemented => "Not implemented",
            Self::DataLoss => "Stored data is damaged",
            Self::Internal => "Internal error",
            Self::Unknown => "Unknown error",
        }
    }

    /// The gRPC status code.
    #[must_use]
    pub const fn grpc(self) -> tonic::Code {
        match self {
            Self::InvalidArgument => tonic::Code::InvalidArgument,
            Self::OutOfRange => tonic::Code::OutOfRange,
            Self::NotFound => tonic::Code::NotFound,
            Self::AlreadyExists => tonic::Code::AlreadyExists,
            Self::Aborted => tonic::Code::Aborted,
            Self::FailedPrecondition => tonic::Code::FailedPrecondition,
            Self::ResourceExhausted => tonic::Code::ResourceExhausted,
            Self::Unavailable => tonic::Code::Unavailable,
            Self::DeadlineExceeded => tonic::Code::DeadlineExceeded,
            Self::Cancelled => tonic::Code::Cancelled,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::PermissionDenied => tonic::Code::PermissionDenied,
            Self::Unimplemented => tonic::Code::Unimplemented,
            Self::DataLoss => tonic::Code::DataLoss,
            Self::Internal => tonic::Code::Internal,
            Self::Unknown => tonic::Code::Unknown,
        }
    }

    /// The code of a gRPC status. `Ok` is no error: it reads as [`Code::Unknown`], because whoever asks holds a failure.
    #[must_use]
    pub const fn from_grpc(code: tonic::Code) -> Self {
        match code {
            tonic::Code::InvalidArgument => Self::InvalidArgument,
            tonic::Code::OutOfRange => Self::OutOfRange,
            tonic::Code::NotFound => Self::NotFound,
            tonic::Code::AlreadyExists => Self::AlreadyExists,
            tonic::Code::Aborted => Self::Aborted,
            tonic::Code::FailedPrecondition => Self::FailedPrecondition,
            tonic::Code::ResourceExhausted => Self::ResourceExhausted,
            tonic::Code::Unavailable => Self::Unavailable,
            tonic::Code::DeadlineExceeded => Self::DeadlineExceeded,
            tonic::Code::Cancelled => Self::Cancelled,
            tonic::Code::Unauthenticated => Self::Unauthenticated,
            tonic::Code::PermissionDenied => Self::PermissionDenied,
            tonic::Code::Unimplemented => Self::Unimplemented,
            tonic::Code::DataLoss => Self::DataLoss,
            tonic::Code::Internal => Self::Internal,
            tonic::Code::Ok | tonic::Code::Unknown => Self::Unknown,
        }
    }

    /// The HTTP status of a fault with this code and no field violations; see [`super::Fault::http_status`] for the one exception.
    #[must_use]
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::OutOfRange => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists | Self::Aborted | Self::FailedPrecondition => StatusCode::CONFLICT,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            // 499 has no constant: it is nginx's "client closed request", the de facto answer to nobody.
            Self::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::DataLoss | Self::Internal | Self::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether a client may send the same *idempotent* call again without asking anybody. `RESOURCE_EXHAUSTED` is retried only when the server says
    /// when, see [`crate::client::retry`]; `DEADLINE_EXCEEDED` never, the caller's time is over.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }

    /// Whether the failure is ours rather than the caller's: such answers are logged by the server and marked as errors in traces.
    #[must_use]
    pub const fn is_server_fault(self) -> bool {
        matches!(self, Self::Internal | Self::DataLoss | Self::Unknown)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_survives_the_way_to_grpc_and_back() {
        for code in Code::ALL {
            assert_eq!(Code::from_grpc(code.grpc()), code);
        }
    }

    #[test]
    fn no_failure_maps_to_an_http_success() {
        for code in Code::ALL {
            assert!(code.http_status().as_u16() >= 400, "{code}");
        }
    }
}
