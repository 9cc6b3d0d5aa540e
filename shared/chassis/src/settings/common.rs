//! The settings that all services share. What each key means stands in `config.default.yaml`, which is also its only source of defaults.

use std::path::PathBuf;
use std::time::Duration;

use holdfast_storage::{BlobStoreSettings, Secret};
use serde::{Deserialize, Serialize};
use url::Url;

use super::SettingsViolation;

/// The common keys of `config.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Common {
    /// Where local state lives.
    pub data_dir: PathBuf,
    /// Where everything lives that outlives a process.
    pub blob_store: BlobStoreSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// Where the services find each other.
    pub peers: Peers,
    /// Where customers come from.
    pub database: DatabaseSettings,
    /// How services call each other.
    pub client: ClientSettings,
}

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

/// The services' gRPC addresses, as `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// The registry.
    pub registry: String,
    /// Inference.
    pub inference: String,
    /// Training.
    pub training: String,
    /// Monitoring.
    pub monitoring: String,
}

/// The kinds of database that customers can come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseKind {
    /// A file.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
}

/// The customer database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// Which kind; `None` for no database.
    pub kind: Option<DatabaseKind>,
    /// Host name or address.
    pub host: Option<String>,
    /// TCP port; `None` for the kind's usual one.
    pub port: Option<u16>,
    /// User name.
    pub user: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// The database's name; for SQLite the path of its file.
    pub name: Option<String>,
    /// The table or view.
    pub table: String,
}

/// How services call each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Deadline of a connection's set-up, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Deadline of a call, in milliseconds.
    pub request_timeout_ms: u64,
    /// Time between HTTP/2 pings, in milliseconds.
    pub keep_alive_interval_ms: u64,
    /// How long a ping may stay unanswered, in milliseconds.
    pub keep_alive_timeout_ms: u64,
    /// Connections to each replica for short calls; large ones have another.
    pub connections: usize,
    /// Time between two look-ups of a peer's name, in milliseconds.
    pub resolve_interval_ms: u64,
    /// When a replica gets no calls for a while.
    pub ejection: EjectionSettings,
    /// Retries of idempotent calls.
    pub retry: RetrySettings,
}

/// When a replica gets no calls for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EjectionSettings {
    /// Failed calls in a row that eject it.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts, in milliseconds.
    pub first_ms: u64,
    /// No ejection lasts longer, in milliseconds.
    pub longest_ms: u64,
}

impl EjectionSettings {
    /// How long the ejection lasts that is the `times`-th in a row, from 1: doubled with each.
    #[must_use]
    pub fn wait(&self, times: u32) -> Duration {
        let doubled = self
            .first_ms
            .saturating_mul(1_u64.checked_shl(times.saturating_sub(1)).unwrap_or(u64::MAX));
        Duration::from_millis(doubled.min(self.longest_ms))
    }
}

/// Retries of idempotent calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Attempts, the first included.
    pub max_attempts: u32,
    /// The first wait is up to this, in milliseconds.
    pub initial_backoff_ms: u64,
    /// No wait is longer, in milliseconds.
    pub max_backoff_ms: u64,
    /// Retries per call made, averaged.
    pub budget_ratio: f64,
}

impl Default for ClientSettings {
    /// The values of `config.default.yaml`; a test compares them.
    fn default() -> Self {
        Self {
            connect_timeout_ms: 2_000,
            request_timeout_ms: 10_000,
            keep_alive_interval_ms: 15_000,
            keep_alive_timeout_ms: 5_000,
            connections: 1,
            resolve_interval_ms: 5_000,
            ejection: EjectionSettings {
                consecutive_failures: 3,
                first_ms: 1_000,
                longest_ms: 30_000,
            },
            retry: RetrySettings {
                max_attempts: 4,
                initial_backoff_ms: 50,
                max_backoff_ms: 2_000,
                budget_ratio: 0.2,
            },
        }
    }
}

impl ClientSettings {
    /// Deadline of a call.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl DatabaseSettings {
    /// The database as a source URL, `postgres://user:password@host:port/name?table=customers`; a secret, because it may hold the password. `None` if no
    /// database is set.
    #[must_use]
    pub fn source_url(&self) -> Option<Secret> {
        let kind = self.kind?;
        let name = self.name.as_deref()?;
        if kind == DatabaseKind::Sqlite {
            let table: String = url::form_urlencoded::byte_serialize(self.table.as_bytes()).collect();
            return Some(Secret::new(format!("sqlite://{name}?table={table}")));
        }
        let scheme = if kind == DatabaseKind::Postgres {
            "postgres"
        } else {
            "mysql"
        };
        let mut url = Url::parse(&format!("{scheme}://{}", self.host.as_deref()?)).ok()?;
        url.set_port(self.port).ok()?;
        url.set_username(self.user.as_deref().unwrap_or("")).ok()?;
        url.set_password(self.password.as_ref().map(Secret::expose)).ok()?;
        url.set_path(name);
        url.query_pairs_mut().append_pair("table", &self.table);
        Some(Secret::new(url))
    }

    fn violations(&self, found: &mut Vec<SettingsViolation>) {
        let Some(kind) = self.kind else { return };
        let needs_host = kind != DatabaseKind::Sqlite;
        for (key, missing) in [
            ("name", self.name.is_none()),
            ("host", needs_host && self.host.is_none()),
        ] {
            if missing {
                found.push(SettingsViolation::new(
                    format!("database.{key}"),
                    "must be set, because database.kind is",
                ));
            }
        }
        if let Some(host) = self.host.as_deref().filter(|_| needs_host)
            && Url::parse(&format!("mysql://{host}")).is_err()
        {
            found.push(SettingsViolation::new("database.host", "not a host name or address"));
        }
        if self.table.is_empty() {
            found.push(SettingsViolation::new("database.table", "must not be empty"));
        }
    }
}

impl Common {
    /// Everything wrong with the common settings as a whole.
    pub(super) fn violations(&self) -> Vec<SettingsViolation> {
        let mut found = Vec::new();
        if self.data_dir.as_os_str().is_empty() {
            found.push(SettingsViolation::new("data_dir", "must not be empty"));
        }
        let problems = self.blob_store.problems().into_iter();
        found.extend(
            problems.map(|problem| SettingsViolation::new(format!("blob_store.{}", problem.field), problem.message)),
        );
        self.telemetry.violations(&mut found);
        self.database.violations(&mut found);
        self.client.violations(&mut found);
        let Peers {
            registry,
            inference,
            training,
            monitoring,
        } = &self.peers;
        for (key, url) in [
            ("registry", registry),
            ("inference", inference),
            ("training", training),
            ("monitoring", monitoring),
        ] {
            url_violation(format!("peers.{key}"), url, &mut found);
        }
        found
    }
}

impl TelemetrySettings {
    fn violations(&self, found: &mut Vec<SettingsViolation>) {
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

/// More connections to one replica than this only cost.
const MOST_CONNECTIONS: usize = 64;

impl ClientSettings {
    fn violations(&self, found: &mut Vec<SettingsViolation>) {
        let positive = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("keep_alive_interval_ms", self.keep_alive_interval_ms),
            ("keep_alive_timeout_ms", self.keep_alive_timeout_ms),
            ("connections", self.connections as u64),
            ("resolve_interval_ms", self.resolve_interval_ms),
            (
                "ejection.consecutive_failures",
                u64::from(self.ejection.consecutive_failures),
            ),
            ("ejection.first_ms", self.ejection.first_ms),
            ("retry.max_attempts", u64::from(self.retry.max_attempts)),
            ("retry.initial_backoff_ms", self.retry.initial_backoff_ms),
        ];
        for (key, _) in positive.into_iter().filter(|(_, value)| *value == 0) {
            found.push(SettingsViolation::new(format!("client.{key}"), "must be above 0"));
        }
        if self.ejection.longest_ms < self.ejection.first_ms {
            found.push(SettingsViolation::new(
                "client.ejection.longest_ms",
                "must not be below first_ms",
            ));
        }
        if self.connections > MOST_CONNECTIONS {
            found.push(SettingsViolation::new(
                "client.connections",
                format!("must be at most {MOST_CONNECTIONS}"),
            ));
        }
        if self.retry.max_backoff_ms < self.retry.initial_backoff_ms {
            found.push(SettingsViolation::new(
                "client.retry.max_backoff_ms",
                "must not be below initial_backoff_ms",
            ));
        }
        if !(0.0..=1.0).contains(&self.retry.budget_ratio) {
            found.push(SettingsViolation::new(
                "client.retry.budget_ratio",
                "must be between 0 and 1",
            ));
        }
    }
}

fn url_violation(path: String, text: &str, found: &mut Vec<SettingsViolation>) {
    let message = match Url::parse(text) {
        Err(error) => format!("not a URL: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "must begin with http:// or https://".to_owned(),
        Ok(url) if url.host_str().is_none() => "must name a host".to_owned(),
        Ok(_) => return,
    };
    found.push(SettingsViolation::new(path, message));
}
