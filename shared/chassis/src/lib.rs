//! What every Holdfast service stands on: settings, telemetry, metrics, servers, clients, errors, shutdown, main.
//!
//! A service crate brings its logic and its section of the settings; everything that five services would otherwise do five times is here, once, in one
//! order. No part of this crate knows customers or models.
//!
//! - [`settings`]: defaults → `config.yaml` → environment → command line, typed, checked as a whole
//! - [`error`]: one vocabulary of failures, on gRPC and on HTTP
//! - [`telemetry`]: logs, traces, W3C trace context over every hop
//! - [`metrics`]: a registry per service, every series from the start
//! - [`server`], [`client`]: tonic and axum with the layers that every request passes
//! - [`Shutdown`], [`run`], [`service_main`]: an ordered end, thin mains
//! - [`Readiness`], [`health_command`]: ready or not, and why
//! - [`clock`]: time that tests can set

pub mod client;
pub mod clock;
pub mod deadline;
pub mod error;
pub mod health_command;
pub mod metrics;
mod readiness;
mod run;
pub mod server;
mod service_main;
pub mod settings;
mod shutdown;
pub mod telemetry;

pub use error::{Code, Fault, FieldViolation};
pub use readiness::{Condition, ConditionReport, Readiness, ReadinessReport};
pub use run::{UsageError, run};
pub use service_main::{About, Action, ServiceArgs, printed_settings, service_main};
pub use settings::{Common, Secret, Section, Sections, ServerSettings, SettingsSources, SettingsViolation};
pub use shutdown::{FLUSH_DEADLINE, JOIN_DEADLINE, Outcome, Shutdown};
