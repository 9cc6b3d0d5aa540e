//! The chassis as its users see it: real servers on free ports, real clients, no sleeps.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod admin;
mod balancing;
mod clocks;
mod connection_threads;
mod direct;
mod errors;
mod grpc;
mod http;
mod local;
mod process;
mod retries;
mod settings;
mod shutdown;
mod support;
mod tracing_hops;
