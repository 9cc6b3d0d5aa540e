//! The test kit does what the other crates' tests rely on.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

mod postgres;
mod processes;
mod proxy;
mod s3_server;
mod waiting;
