//! What a REST caller sees when something goes wrong: a [`Fault`] as an RFC 9457 problem document.
//!
//! The chassis maps codes to HTTP statuses. Two things are special to REST and live here: statuses that gRPC has no code for (405, 408, 413, 415), and
//! two faults that mean something more exact here: a missing champion is 503, because the service cannot answer now, and a table or a model file that is too large 413.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use holdfast_chassis::client::ClientError;
use holdfast_chassis::error::Problem;
use holdfast_chassis::server::BindError;
use holdfast_chassis::{Code, Fault, FieldViolation};
use http::StatusCode;

const BODY_TOO_LARGE: &str = "Body too large";
const BODY_TOO_SLOW: &str = "Body too slow";

/// When to come back, for callers who were refused because too much is going on and nobody said more.
const COME_BACK: Duration = Duration::from_secs(1);

/// Why the gateway could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be had.
    #[error("cannot start the server")]
    Bind(#[from] BindError),
    /// A peer's URL is not one.
    #[error("cannot call a peer")]
    Client(#[from] ClientError),
}

/// A failure on its way to a REST caller.
#[derive(Clone, Debug)]
pub struct ApiError {
    fault: Box<Fault>,
    /// Overrides the fault's own status and title.
    status: Option<(StatusCode, &'static str)>,
}

impl ApiError {
    /// The body is no JSON.
    pub fn malformed(message: impl Into<String>) -> Self {
        Fault::new(Code::InvalidArgument, "MALFORMED_JSON", message).into()
    }

    /// The body has another type than the route takes.
    pub fn unsupported_media_type(expected: &str) -> Self {
        let fault = Fault::new(
            Code::InvalidArgument,
            "UNSUPPORTED_MEDIA_TYPE",
            format!("the body must be {expected}"),
        );
        Self::with_status(fault, StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
    }

    /// The body is compressed in a way that is not read.
    pub fn unsupported_encoding() -> Self {
        let message = "the body must be plain or compressed by gzip";
        let fault = Fault::new(Code::InvalidArgument, "UNSUPPORTED_ENCODING", message)
            .with_violation(FieldViolation::new("content-encoding", "unsupported", message));
        Self::with_status(fault, StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
    }

    /// The body is larger than `limit` bytes.
    pub fn too_large(limit: u64) -> Self {
        let message = format!("the body is larger than {limit} bytes");
        let fault = Fault::new(Code::ResourceExhausted, "BODY_TOO_LARGE", message).with("limit_bytes", limit);
        Self::with_status(fault, StatusCode::PAYLOAD_TOO_LARGE, BODY_TOO_LARGE)
    }

    /// As many streams of predictions run as may.
    pub fn too_many_streams(limit: usize) -> Self {
        let message = format!("{limit} streams of predictions are running, which is the limit");
        Fault::new(Code::ResourceExhausted, "TOO_MANY_STREAMS", message).into()
    }

    /// The body did not arrive in time.
    pub fn body_timeout() -> Self {
        let fault = Fault::new(
            Code::DeadlineExceeded,
            "BODY_TIMEOUT",
            "the body did not arrive in time",
        );
        Self::with_status(fault, StatusCode::REQUEST_TIMEOUT, BODY_TOO_SLOW)
    }

    /// The body broke off.
    pub fn body_broken(why: impl std::fmt::Display) -> Self {
        Fault::new(
            Code::InvalidArgument,
            "BODY_BROKEN",
            format!("the body broke off: {why}"),
        )
        .into()
    }

    /// No route has this path.
    pub fn no_such_route() -> Self {
        Fault::not_found(
            "NO_SUCH_ROUTE",
            "there is nothing at this path; /openapi.json lists what there is",
        )
        .into()
    }

    /// The route does not know this method.
    pub fn method_not_allowed() -> Self {
        let fault = Fault::new(
            Code::Unimplemented,
            "METHOD_NOT_ALLOWED",
            "this path does not take this method",
        );
        Self::with_status(fault, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
    }

    /// One field of the request is wrong: 422.
    pub fn field(field: impl Into<String>, rule: &str, detail: impl Into<String>) -> Self {
        Fault::invalid_fields("INVALID_FIELDS", vec![FieldViolation::new(field, rule, detail)]).into()
    }

    /// The fault itself.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// The problem document for the request at `path`.
    pub fn problem(&self, path: &str) -> Problem {
        let mut problem = self.fault.problem(Some(path));
        if let Some((status, title)) = self.status {
            problem.status = status.as_u16();
            title.clone_into(&mut problem.title);
        }
        problem
    }

    fn with_status(fault: Fault, status: StatusCode, title: &'static str) -> Self {
        Self {
            fault: Box::new(fault),
            status: Some((status, title)),
        }
    }
}

impl From<Fault> for ApiError {
    fn from(mut fault: Fault) -> Self {
        let status = match (fault.code, &*fault.reason) {
            (Code::FailedPrecondition, "NO_CHAMPION") => Some((StatusCode::SERVICE_UNAVAILABLE, "No model yet")),
            (Code::ResourceExhausted, "TABLE_TOO_LARGE" | "MODEL_FILE_TOO_LARGE" | "BODY_TOO_LARGE") => {
                Some((StatusCode::PAYLOAD_TOO_LARGE, BODY_TOO_LARGE))
            }
            (Code::DeadlineExceeded, "BODY_TIMEOUT") => Some((StatusCode::REQUEST_TIMEOUT, BODY_TOO_SLOW)),
            (Code::ResourceExhausted, _) => {
                fault.retry_after.get_or_insert(COME_BACK);
                None
            }
            _ => None,
        };
        Self {
            fault: Box::new(fault),
            status,
        }
    }
}

impl IntoResponse for ApiError {
    /// An empty answer that carries the error: [`crate::rest::context`] knows the path and writes the document.
    fn into_response(self) -> Response {
        let status = self
            .status
            .map_or_else(|| self.fault.http_status(), |(status, _)| status);
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
