//! Records through the public interface, on real stores.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken expectation in a test's helper ends the test that asked"
)]

mod audit;
mod champion;
mod champion_race;
mod evaluations;
mod formats;
mod join;
mod keys;
mod manifests;
mod model_files;
mod rollout;
mod rollout_race;
mod samples;
mod snapshots;
mod support;
mod window;
