//! The registry through its real gRPC clients.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod approvals;
mod artifacts;
mod champion;
mod gate;
mod imports;
mod lineage;
mod logged_models;
mod models;
mod racing;
mod registered;
mod retention;
mod rollout;
mod store;
mod support;
mod tracking;
mod webhooks;
