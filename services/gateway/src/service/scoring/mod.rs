//! Records that come as lines and are answered as lines: NDJSON and CSV, whole or as a stream.
//!
//! [`lines`] cuts bytes into records, [`table`] reads CSV, [`answers`] writes what is answered, [`stream`] puts them together with bounded memory.

pub mod answers;
pub mod lines;
pub mod stream;
pub mod table;

use holdfast_chassis::{Code, Fault, FieldViolation};
use holdfast_domain::CheckedCustomer;

/// How records and answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}

/// One record of an upload: where it stands, and the customer or what is wrong.
#[derive(Debug)]
pub struct Line {
    /// The line on which it begins, from 1.
    pub number: u64,
    /// The customer.
    pub customer: Result<CheckedCustomer, Box<Fault>>,
}

/// A record as a whole is wrong: one violation of `rule`, of the field `record`.
pub(crate) fn bad_record(reason: &'static str, rule: &str, detail: impl Into<String>) -> Fault {
    let detail = detail.into();
    Fault::new(Code::InvalidArgument, reason, detail.clone())
        .with_violation(FieldViolation::new("record", rule, detail))
}

/// The record is longer than `limit` bytes.
pub(crate) fn too_long(limit: usize) -> Fault {
    bad_record(
        "RECORD_TOO_LONG",
        "too_long",
        format!("the record is longer than {limit} bytes"),
    )
    .with("limit_bytes", limit)
}
