//! For the tests of this and other crates (feature `testing`): the contract every backend keeps, and a store that fails on demand.
#![expect(
    clippy::expect_used,
    reason = "test support: a broken expectation ends the test that asked"
)]

pub mod contract;
mod faulty;

pub use faulty::{Fault, FaultyStore, Held, Trigger};
