//! [`Fault`] to and from `tonic::Status`, with the standard google.rpc details: `ErrorInfo` (reason, domain, metadata), `BadRequest` (one entry per bad
//! field) and `RetryInfo`.

use std::borrow::Cow;
use std::collections::HashMap;

use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::{Code, ERROR_DOMAIN, Fault, FieldViolation};

/// Room for the bad fields, in bytes. They travel in the headers that end an answer: clients take 8 KiB of those, Base64 adds a third, and whoever gets
/// far more breaks the connection off.
const VIOLATION_BYTES: usize = 4_500;

impl From<Fault> for Status {
    /// Of bad fields the first are kept, as many as fit; the fact `violations_total` then says how many there were.
    fn from(mut fault: Fault) -> Self {
        keep_what_fits(&mut fault);
        let mut details = ErrorDetails::new();
        details.set_error_info(
            fault.reason,
            ERROR_DOMAIN,
            fault.metadata.into_iter().collect::<HashMap<_, _>>(),
        );
        if !fault.violations.is_empty() {
            details.set_bad_request(fault.violations.into_iter().map(to_wire).collect::<Vec<_>>());
        }
        if fault.retry_after.is_some() {
            details.set_retry_info(fault.retry_after);
        }
        Self::with_error_details(fault.code.grpc(), fault.message, details)
    }
}

fn keep_what_fits(fault: &mut Fault) {
    let mut bytes = 0;
    let fits = |violation: &&FieldViolation| {
        // Tags and lengths of the messages around the texts take about this much.
        bytes += violation.field.len() + violation.rule.len() + violation.description.len() + 16;
        bytes <= VIOLATION_BYTES
    };
    let total = fault.violations.len();
    let kept = fault.violations.iter().take_while(fits).count().max(1);
    if kept < total {
        fault.violations.truncate(kept);
        let count = fault.metadata.entry("violations_total".to_owned());
        count.or_insert_with(|| total.to_string());
    }
}

impl Fault {
    /// Reads a status back, whoever sent it: without details, the reason is the code's name.
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let code = Code::from_grpc(status.code());
        let details = status.get_error_details();
        let mut fault = Self::new(code, code.name(), status.message());
        if let Some(info) = details.error_info() {
            if !info.reason.is_empty() {
                fault.reason = Cow::Owned(info.reason.clone());
            }
            fault.metadata = info.metadata.clone().into_iter().collect();
        }
        if let Some(bad) = details.bad_request() {
            fault.violations = bad.field_violations.iter().map(from_wire).collect();
        }
        fault.retry_after = details.retry_info().and_then(|info| info.retry_delay);
        fault
    }
}

impl From<&Status> for Fault {
    fn from(status: &Status) -> Self {
        Self::from_status(status)
    }
}

// google.rpc asks for SCREAMING_SNAKE_CASE reasons; our rules are lower snake case everywhere else.
fn to_wire(violation: FieldViolation) -> tonic_types::FieldViolation {
    let mut wire = tonic_types::FieldViolation::new(violation.field, violation.description);
    wire.reason = violation.rule.to_ascii_uppercase();
    wire
}

fn from_wire(wire: &tonic_types::FieldViolation) -> FieldViolation {
    FieldViolation::new(
        wire.field.clone(),
        wire.reason.to_ascii_lowercase(),
        wire.description.clone(),
    )
}
