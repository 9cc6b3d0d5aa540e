//! The training service and the registry in this process, through the real gRPC clients.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation in a test's helper ends the test that asked"
)]

mod bank;
mod cable;
mod end_to_end;
mod evaluation;
mod imports;
mod interchange;
mod lifecycle;
mod notebooks;
mod race;
mod reproduction;
mod requests;
mod support;
mod tuning;
mod window;
