//! Holdfast as its users meet it: five processes that are killed and come back, and the command line.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation ends the test"
)]

mod command_line;
mod conformance;
mod demo;
mod documents;
mod evidence;
mod exploring;
mod interchange;
mod mlflow;
mod notebooks;
mod prediction_log;
mod processes;
mod proofs;
mod rollouts;
mod same_bits;
mod scoring;
mod serving_node;
mod support;
mod tuning;
mod webhooks;
