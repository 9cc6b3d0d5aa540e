//! Inference as callers see it: in one process, on free ports, through the real gRPC client.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test support: a broken expectation ends the test"
)]

mod champion;
mod crash;
mod each;
mod log_files;
mod observed;
mod open_inference;
mod predict;
mod prediction_log;
mod process;
mod rollout;
mod shadow;
mod stream;
mod support;
