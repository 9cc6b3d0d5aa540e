//! The blob stores as their users see them: the contract on every backend, and what is particular to each.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod backends;
mod directory;
mod faults;
mod key_properties;
mod s3_protocol;
mod settings;
mod stub_server;
