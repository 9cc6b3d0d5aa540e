//! Behaviour of the simulator through its public interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a step that fails ends the test")]

mod arrivals;
mod learners;
mod population;
mod scenarios;
