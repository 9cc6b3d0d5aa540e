//! The failure value itself: transport-neutral, so that a service builds it once and every surface renders it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;

use super::Code;

/// One bad field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field as the caller wrote it, dotted and indexed: `records[3].Credit_Limit`.
    pub field: String,
    /// The rule that was broken, a stable lower snake-case code: `below_minimum`.
    pub rule: String,
    /// What is wrong, in words.
    pub description: String,
}

impl FieldViolation {
    /// A violation of `rule` by `field`.
    pub fn new(field: impl Into<String>, rule: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
            description: description.into(),
        }
    }
}

/// A failure as a caller sees it: what kind ([`Code`]), which one exactly (`reason`, stable, for programs), and in words (`message`, for people).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// What kind of failure it is.
    pub code: Code,
    /// A stable identifier in `UPPER_SNAKE_CASE`, for example `CHAMPION_MOVED`.
    pub reason: Cow<'static, str>,
    /// One sentence for people, lower-case, no full stop.
    pub message: String,
    /// One entry per bad field; empty unless the request was wrong.
    pub violations: Vec<FieldViolation>,
    /// Facts that a program may act on, for example the generation that won a race.
    pub metadata: BTreeMap<String, String>,
    /// How long the caller should wait before it tries again, if the server knows.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// A fault of `code` for `reason`.
    pub fn new(code: Code, reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            violations: Vec::new(),
            metadata: BTreeMap::new(),
            retry_after: None,
        }
    }

    /// The request has bad fields: `INVALID_ARGUMENT` with one violation per field.
    pub fn invalid_fields(reason: impl Into<Cow<'static, str>>, violations: Vec<FieldViolation>) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("{}: {}", one.field, one.description),
            many => format!("{} fields are wrong", many.len()),
        };
        Self {
            violations,
            ..Self::new(Code::InvalidArgument, reason, message)
        }
    }

    /// The named thing does not exist.
    pub fn not_found(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, reason, message)
    }

    /// The service cannot answer now.
    pub fn unavailable(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, reason, message)
    }

    /// A failure of ours.
    pub fn internal(reason: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self::new(Code::Internal, reason, message)
    }

    /// Adds a fact that a program may act on.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "callers write `.with(\"row\", 3)`")]
    pub fn with(mut self, key: impl Into<String>, value: impl ToString) -> Self {
        self.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds a field violation.
    #[must_use]
    pub fn with_violation(mut self, violation: FieldViolation) -> Self {
        self.violations.push(violation);
        self
    }

    /// Names the first five bad fields in the message: for protocols whose clients show nothing else. More would not fit the headers of an answer
    /// together with the details. The fact `violations_total` says how many there are when not all are listed.
    #[must_use]
    pub fn naming_fields(mut self) -> Self {
        const NAMED: usize = 5;
        // A single one is named already.
        if self.violations.len() > 1 {
            let named = self.violations.iter().take(NAMED);
            let named: Vec<String> = named
                .map(|broken| format!("{}: {}", broken.field, broken.description))
                .collect();
            let counted = self.violations.len().to_string();
            let total = self.metadata.get("violations_total").unwrap_or(&counted);
            let others = if self.violations.len() > NAMED {
                "; and others"
            } else {
                ""
            };
            self.message = format!("{total} fields are wrong: {}{others}", named.join("; "));
        }
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The HTTP status: that of the code, except that a well-formed request with bad *fields* is 422 rather than 400.
    #[must_use]
    pub fn http_status(&self) -> StatusCode {
        if self.code == Code::InvalidArgument && !self.violations.is_empty() {
            return StatusCode::UNPROCESSABLE_ENTITY;
        }
        self.code.http_status()
    }
}
