//! The section `gateway` of the settings. What each key means stands in `config.default.yaml`.

use std::time::Duration;

use holdfast_chassis::settings::{Common, Section, ServerSettings, SettingsViolation};
use holdfast_domain::ModelName;
use serde::{Deserialize, Serialize};

use crate::rest::cors;
use crate::service::records::RECORDS_CEILING;

/// Settings of the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses and limits of the server; `max_message_bytes` is the largest JSON body.
    #[serde(flatten)]
    pub server: ServerSettings,
    /// The model that requests mean when they name none.
    pub model: ModelName,
    /// How long a JSON body may take to arrive, in milliseconds.
    pub body_timeout_ms: u64,
    /// Most records in one request for predictions.
    pub max_batch_records: usize,
    /// Largest upload of a table, in bytes.
    pub max_upload_bytes: u64,
    /// How long `GET /health` waits for inference, in milliseconds.
    pub health_timeout_ms: u64,
    /// How long `GET /api/v1/status` waits for each peer, in milliseconds.
    pub status_timeout_ms: u64,
    /// How long a connection may be open without a whole request head, or with an answer unread, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Streams of predictions.
    pub stream: StreamSettings,
    /// Files of MLflow's clients.
    pub artifacts: ArtifactSettings,
    /// Pages of other origins.
    pub cors: CorsSettings,
}

/// Files of MLflow's clients.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactSettings {
    /// How long an upload, or the registry on the other side, may pause, in milliseconds.
    pub silence_timeout_ms: u64,
    /// The longest an upload may take, in milliseconds.
    pub upload_timeout_ms: u64,
}

/// Longest time that a setting allows: a week.
const TIME_CEILING_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

impl ArtifactSettings {
    /// How long an upload, or the registry on the other side, may pause.
    pub fn silence_timeout(&self) -> Duration {
        Duration::from_millis(self.silence_timeout_ms)
    }

    /// The longest an upload may take.
    pub fn upload_timeout(&self) -> Duration {
        Duration::from_millis(self.upload_timeout_ms)
    }
}

/// Streams of predictions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamSettings {
    /// Streams at once.
    pub max_streams: usize,
    /// Records sent to inference at once.
    pub chunk_records: usize,
    /// Longest record, in bytes.
    pub max_record_bytes: usize,
    /// How long an upload may pause, or its answers stay unread, in milliseconds.
    pub idle_timeout_ms: u64,
}

impl StreamSettings {
    /// How long an upload may pause, or its answers stay unread.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}

/// Pages of other origins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsSettings {
    /// Origins whose pages may call, `https://host:port`; `*` for all.
    pub allowed_origins: Vec<String>,
    /// Whether their calls may carry cookies and other credentials.
    pub allow_credentials: bool,
    /// How long a browser may keep the permission, in seconds.
    pub max_age_seconds: u64,
}

/// Longest record that a setting allows.
const RECORD_BYTES_CEILING: usize = 1 << 20;

impl Section for Settings {
    const NAME: &'static str = "gateway";
    const DEFAULTS: &'static str = include_str!("../config.default.yaml");

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _common: &Common) -> Result<(), Vec<SettingsViolation>> {
        let mut found = Vec::new();
        let mut check = |key: &str, holds: bool, message: String| {
            if !holds {
                found.push(SettingsViolation::new(format!("{}.{key}", Self::NAME), message));
            }
        };
        let positive = "must be above 0".to_owned();
        check("body_timeout_ms", self.body_timeout_ms > 0, positive.clone());
        check("health_timeout_ms", self.health_timeout_ms > 0, positive.clone());
        check("status_timeout_ms", self.status_timeout_ms > 0, positive.clone());
        check("max_upload_bytes", self.max_upload_bytes > 0, positive.clone());
        check("idle_timeout_ms", self.idle_timeout_ms > 0, positive.clone());
        let stream = &self.stream;
        check("stream.max_streams", stream.max_streams > 0, positive.clone());
        check("stream.idle_timeout_ms", stream.idle_timeout_ms > 0, positive);
        check(
            "stream.chunk_records",
            (1..=RECORDS_CEILING).contains(&stream.chunk_records),
            format!("must be between 1 and {RECORDS_CEILING}"),
        );
        check(
            "stream.max_record_bytes",
            (1..=RECORD_BYTES_CEILING).contains(&stream.max_record_bytes),
            format!("must be between 1 and {RECORD_BYTES_CEILING}"),
        );
        for (key, time) in [
            ("artifacts.silence_timeout_ms", self.artifacts.silence_timeout_ms),
            ("artifacts.upload_timeout_ms", self.artifacts.upload_timeout_ms),
        ] {
            check(
                key,
                (1..=TIME_CEILING_MS).contains(&time),
                format!("must be between 1 and {TIME_CEILING_MS}"),
            );
        }
        if let Some(wrong) = cors::violation(&self.cors) {
            check("cors.allowed_origins", false, wrong);
        }
        let within = (1..=RECORDS_CEILING).contains(&self.max_batch_records);
        check(
            "max_batch_records",
            within,
            format!("must be between 1 and {RECORDS_CEILING}"),
        );
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

impl Settings {
    /// How long a connection may be open without a whole request head, or with an answer unread.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    /// How long a JSON body may take to arrive.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    /// How long `GET /health` waits for inference.
    pub fn health_timeout(&self) -> Duration {
        Duration::from_millis(self.health_timeout_ms)
    }

    /// How long `GET /api/v1/status` waits for each peer.
    pub fn status_timeout(&self) -> Duration {
        Duration::from_millis(self.status_timeout_ms)
    }
}
