//! Logs and traces.

use serde::{Deserialize, Serialize};

use super::SettingsViolation;
use super::violation::url_violation;

/// Logs and traces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// How a log line looks.
    pub log_format: LogFormat,
    /// Which events are logged, as `tracing_subscriber::EnvFilter` reads it.
    pub log_filter: String,
    /// The OTLP collector (gRPC); `None` for no traces.
    pub otlp_endpoint: Option<String>,
    /// Share of traces that start here and are kept, 0 to 1.
    pub trace_sample_ratio: f64,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl TelemetrySettings {
    pub(super) fn violations(&self, found: &mut Vec<SettingsViolation>) {
        if let Err(error) = self.log_filter.parse::<tracing_subscriber::filter::EnvFilter>() {
            found.push(SettingsViolation::new("telemetry.log_filter", error.to_string()));
        }
        if let Some(endpoint) = &self.otlp_endpoint {
            url_violation("telemetry.otlp_endpoint".to_owned(), endpoint, found);
        }
        if !(0.0..=1.0).contains(&self.trace_sample_ratio) {
            found.push(SettingsViolation::new(
                "telemetry.trace_sample_ratio",
                "must be between 0 and 1",
            ));
        }
    }
}
