//! The training service and the registry in this process, through the real gRPC clients.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken expectation in a test's helper ends the test that asked"
)]

mod bank;
mod end_to_end;
mod imports;
mod lifecycle;
mod race;
mod requests;
mod support;
mod window;
