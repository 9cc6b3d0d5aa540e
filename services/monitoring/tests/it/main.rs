//! Monitoring through its gRPC client, over a directory of the prediction log, with a training service that is made up.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a broken expectation in a test's helper ends the test that asked; measured rates are part of a test's output"
)]

mod checks;
mod false_alarms;
mod formats;
mod operations;
mod outcomes;
mod reports;
mod retraining;
mod support;
