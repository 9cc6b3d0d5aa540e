//! [`Fault`] as an RFC 9457 problem document, the one error body of the REST surfaces.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::Fault;

/// The media type of a problem document.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// An RFC 9457 problem document. `code`, `reason`, `errors` and `metadata` are extension members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:holdfast:problem:champion-moved`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short title of the code.
    pub title: String,
    /// The HTTP status, repeated as the RFC advises.
    pub status: u16,
    /// What happened, in words.
    pub detail: String,
    /// The path of the request that failed, when known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub instance: Option<String>,
    /// The code's name, as gRPC callers see it.
    pub code: String,
    /// The stable reason.
    pub reason: String,
    /// One entry per bad field.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub errors: Vec<ProblemError>,
    /// Facts that a program may act on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub metadata: BTreeMap<String, String>,
    /// When to try again, in whole seconds, rounded up; sent as `Retry-After` too.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_seconds: Option<u64>,
}

/// One bad field in a [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemError {
    /// The field as the caller wrote it.
    pub field: String,
    /// The rule that was broken.
    pub rule: String,
    /// What is wrong, in words.
    pub detail: String,
}

impl Fault {
    /// This fault as a problem document; `instance` is the path of the request.
    #[must_use]
    pub fn problem(&self, instance: Option<&str>) -> Problem {
        Problem {
            kind: format!(
                "urn:holdfast:problem:{}",
                self.reason.to_ascii_lowercase().replace('_', "-")
            ),
            title: self.code.title().to_owned(),
            status: self.http_status().as_u16(),
            detail: self.message.clone(),
            instance: instance.map(str::to_owned),
            code: self.code.name().to_owned(),
            reason: self.reason.clone().into_owned(),
            errors: self
                .violations
                .iter()
                .map(|violation| ProblemError {
                    field: violation.field.clone(),
                    rule: violation.rule.clone(),
                    detail: violation.description.clone(),
                })
                .collect(),
            metadata: self.metadata.clone(),
            retry_after_seconds: self
                .retry_after
                .map(|delay| delay.as_secs() + u64::from(delay.subsec_nanos() > 0)),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_seconds;
        let mut response = (status, axum::Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        self.problem(None).into_response()
    }
}
