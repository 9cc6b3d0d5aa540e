//! One error vocabulary for every caller: [`Code`] says what kind of failure it is, [`Fault`] carries it, and this module alone knows how both look
//! on gRPC (google.rpc details) and on HTTP (RFC 9457 problem documents).
//!
//! Services map their own `thiserror` enums to a [`Fault`] at the adapter, once.

mod code;
mod fault;
mod grpc;
mod problem;

pub use code::Code;
pub use fault::{Fault, FieldViolation};
pub use problem::{Problem, ProblemError};

/// The `domain` of every google.rpc `ErrorInfo` that Holdfast sends.
pub const ERROR_DOMAIN: &str = "holdfast";
