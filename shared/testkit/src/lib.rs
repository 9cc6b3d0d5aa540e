//! What the tests of all crates share: waiting on conditions, the bank's file, a real S3 server, a real Postgres, a proxy that refuses, processes
//! under test.
//!
//! It knows none of the other crates, so that every one of them can use it in its tests. Everything here panics with what it was doing when an
//! expectation is not met: that is how a test ends.
#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "test support: a broken expectation ends the test that asked"
)]

mod bank;
mod eventually;
mod ports;
mod postgres;
mod process;
mod proxy;
mod seaweed;

use std::path::PathBuf;

pub use bank::bank_csv;
pub use eventually::{eventually, eventually_some};
pub use ports::free_ports;
pub use postgres::Postgres;
pub use process::{Line, Process, ProcessBuilder, Stream};
pub use proxy::TcpProxy;
pub use seaweed::SeaweedS3;

/// The root of the source tree these tests were built from.
pub fn workspace_root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).map_or(here.clone(), PathBuf::from)
}
