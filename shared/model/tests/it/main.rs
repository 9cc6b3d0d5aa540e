//! The model crate from outside: what training, inference and monitoring rely on.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test whose fixture cannot be made has failed"
)]

mod artifact;
mod corruption;
mod explain;
mod frozen;
mod global;
mod preprocess;
mod profile;
mod reasons;
mod scoring;
mod support;
