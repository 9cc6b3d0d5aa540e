//! The section `registry` of the settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use holdfast_chassis::settings::{Common, Secret, Section, ServerSettings, SettingsViolation};
use holdfast_domain::ModelName;
use holdfast_storage::MAX_PUT_BYTES;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnectOptions;

use crate::service::gate::GatePolicy;
use crate::service::webhooks::AddressRules;

const POSTGRES_SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The settings of the registry; `config.default.yaml` explains each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses and limits.
    #[serde(flatten)]
    pub server: ServerSettings,
    /// The SQLite file; `None`: `registry.db` in the data directory.
    pub database_path: Option<PathBuf>,
    /// A Postgres database instead of SQLite, `postgres://user:password@host:port/name`.
    pub database_url: Option<Secret>,
    /// How often to look for entries of other registry replicas, in milliseconds.
    pub refresh_interval_ms: u64,
    /// What a candidate must show.
    pub gate: GatePolicy,
    /// What a rollout has unless its caller says otherwise.
    pub rollout: RolloutDefaults,
    /// Who has to agree before a version becomes champion.
    pub approval: ApprovalSettings,
    /// After how long without a report a replica counts as silent, in milliseconds.
    pub replica_silent_after_ms: u64,
    /// Files of runs and logged models.
    pub artifacts: ArtifactSettings,
    /// Imports of registered versions.
    pub imports: ImportSettings,
    /// What is told about champions that change.
    pub webhooks: WebhookSettings,
}

/// Imports of registered versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportSettings {
    /// After how long without a word from the training that is at it an import waits again, in milliseconds, at least 1,000.
    pub lease_ms: u64,
}

impl Default for ImportSettings {
    fn default() -> Self {
        Self { lease_ms: 60_000 }
    }
}

/// What a call that makes an attempt takes beside it, at most.
const BESIDE_ATTEMPT: Duration = Duration::from_secs(5);
/// Longest pause between two attempts, in milliseconds: a week.
const LONGEST_PAUSE_MS: u64 = 7 * 24 * 3_600_000;

/// What is told about champions that change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Whether `http://` is allowed beyond loopback.
    pub allow_insecure_http: bool,
    /// Networks whose addresses are not public and may be told nevertheless, such as `10.20.0.0/16`.
    pub allowed_networks: Vec<String>,
    /// Roots in PEM that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// The longest an attempt may take, in milliseconds, 100 to 60,000.
    pub attempt_timeout_ms: u64,
    /// Pauses after failed attempts, in milliseconds; after one more a delivery is given up.
    pub retry_pauses_ms: Vec<u64>,
    /// How often to look for changes of other registries and for retries, in milliseconds.
    pub poll_interval_ms: u64,
    /// How many attempts run at once, at most one for each webhook.
    pub max_concurrent: usize,
    /// How long deliveries that have ended stay in the log, in days.
    pub log_days: u32,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            allow_insecure_http: false,
            allowed_networks: Vec::new(),
            ca_file: None,
            attempt_timeout_ms: 10_000,
            retry_pauses_ms: vec![
                5_000, 30_000, 120_000, 600_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000,
            ],
            poll_interval_ms: 2_000,
            max_concurrent: 32,
            log_days: 30,
        }
    }
}

impl WebhookSettings {
    /// How long a call that makes an attempt may take.
    pub(crate) fn test_timeout(&self) -> Duration {
        Duration::from_millis(self.attempt_timeout_ms) + BESIDE_ATTEMPT
    }

    /// What addresses are checked against. Networks that are none have been refused.
    pub(crate) fn address_rules(&self) -> AddressRules {
        AddressRules {
            insecure_http: self.allow_insecure_http,
            networks: self
                .allowed_networks
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
        }
    }

    fn problems(&self) -> impl Iterator<Item = SettingsViolation> {
        let networks = &self.allowed_networks;
        let rules = [
            (
                "allowed_networks",
                networks.iter().all(|text| text.parse::<IpNet>().is_ok()),
                "must be networks such as 10.20.0.0/16 or fd12:3456::/32",
            ),
            (
                "attempt_timeout_ms",
                (100..=60_000).contains(&self.attempt_timeout_ms),
                "must be 100 to 60000",
            ),
            (
                "retry_pauses_ms",
                self.retry_pauses_ms.len() <= 20
                    && self
                        .retry_pauses_ms
                        .iter()
                        .all(|pause| (1..=LONGEST_PAUSE_MS).contains(pause)),
                "must be at most 20 pauses of 1 to 604800000 (a week)",
            ),
            ("poll_interval_ms", self.poll_interval_ms > 0, "must be above 0"),
            ("max_concurrent", self.max_concurrent > 0, "must be above 0"),
            ("log_days", (1..=3_650).contains(&self.log_days), "must be 1 to 3650"),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken.map(|(key, _, message)| SettingsViolation::new(format!("registry.webhooks.{key}"), message))
    }
}

/// Files of runs and logged models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactSettings {
    /// Largest file, in bytes, at most 5 GiB.
    pub max_file_bytes: u64,
    /// Most bytes of uploads at work, at least those of one file.
    pub max_spool_bytes: u64,
    /// The longest an upload may take, in milliseconds.
    pub upload_timeout_ms: u64,
}

impl Default for ArtifactSettings {
    fn default() -> Self {
        Self {
            max_file_bytes: MAX_PUT_BYTES,
            max_spool_bytes: 4 * MAX_PUT_BYTES,
            upload_timeout_ms: 3_600_000,
        }
    }
}

impl ArtifactSettings {
    fn problems(self) -> impl Iterator<Item = SettingsViolation> {
        let file = self.max_file_bytes;
        let rules = [
            (
                "max_file_bytes",
                (1..=MAX_PUT_BYTES).contains(&file),
                "must be above 0 and at most 5368709120 (5 GiB, the most that S3 takes at once)",
            ),
            (
                "max_spool_bytes",
                self.max_spool_bytes >= file,
                "must be at least max_file_bytes",
            ),
            ("upload_timeout_ms", self.upload_timeout_ms > 0, "must be above 0"),
        ];
        let broken = rules.into_iter().filter(|(_, holds, _)| !holds);
        broken.map(|(key, _, message)| SettingsViolation::new(format!("registry.artifacts.{key}"), message))
    }
}

/// Most approvers a promotion can need: the two of a four-eyes rule.
const MOST_APPROVERS: u32 = 2;
/// Longest time approvers can have, in hours: thirty days.
const LONGEST_EXPIRY_HOURS: u32 = 720;

/// Who has to agree before a version becomes champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSettings {
    /// How many approvers a promotion needs, 0 to 2; 0: none.
    pub approvers: u32,
    /// The same for single models, by name.
    pub models: BTreeMap<ModelName, u32>,
    /// How long approvers have, in hours, 1 to 720.
    pub expires_after_hours: u32,
}

impl Default for ApprovalSettings {
    fn default() -> Self {
        Self {
            approvers: 0,
            models: BTreeMap::new(),
            expires_after_hours: 72,
        }
    }
}

impl ApprovalSettings {
    /// How many approvers a promotion of this model needs.
    pub fn needed(&self, model: &ModelName) -> u32 {
        self.models.get(model).copied().unwrap_or(self.approvers)
    }

    fn violations(&self) -> Vec<SettingsViolation> {
        let mut found = Vec::new();
        let of_model = |(model, number): (&ModelName, &u32)| (format!("models.{model}"), *number);
        let default = ("approvers".to_owned(), self.approvers);
        for (key, number) in self.models.iter().map(of_model).chain([default]) {
            if number > MOST_APPROVERS {
                let key = format!("registry.approval.{key}");
                found.push(SettingsViolation::new(key, "must be 0, 1 or 2"));
            }
        }
        if !(1..=LONGEST_EXPIRY_HOURS).contains(&self.expires_after_hours) {
            let key = "registry.approval.expires_after_hours";
            found.push(SettingsViolation::new(key, "must be 1 to 720"));
        }
        found
    }
}

/// What a rollout has unless its caller says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutDefaults {
    /// Share of the requests that a canary answers, above 0 and at most 0.5.
    pub canary_share: f64,
    /// Share of the requests that a shadow scores, above 0 and at most 1.
    pub shadow_share: f64,
    /// Highest share of requests that the challenger may fail to score, 0 to 1.
    pub max_error_rate: f64,
    /// Highest ratio of the challenger's median scoring time to the champion's, above 1.
    pub max_latency_ratio: f64,
    /// Requests of the challenger before it is judged.
    pub min_requests: u64,
}

impl Default for RolloutDefaults {
    fn default() -> Self {
        Self {
            canary_share: 0.05,
            shadow_share: 1.0,
            max_error_rate: 0.01,
            max_latency_ratio: 3.0,
            min_requests: 200,
        }
    }
}

impl Settings {
    /// Defaults on free loopback ports: what tests and in-process stacks want.
    pub fn on_free_ports() -> Self {
        Self {
            server: ServerSettings::on_free_ports(),
            database_path: None,
            database_url: None,
            refresh_interval_ms: 2_000,
            gate: GatePolicy::default(),
            rollout: RolloutDefaults::default(),
            approval: ApprovalSettings::default(),
            replica_silent_after_ms: 60_000,
            artifacts: ArtifactSettings::default(),
            imports: ImportSettings::default(),
            webhooks: WebhookSettings::default(),
        }
    }
}

impl Settings {
    /// What is wrong with the database's place. The URL is not repeated: there may be a password in it.
    fn database_problem(&self) -> Option<SettingsViolation> {
        let url = self.database_url.as_ref()?;
        let message = if self.database_path.is_some() {
            "must be null where database_path is set: one database has all metadata"
        } else if !POSTGRES_SCHEMES.iter().any(|scheme| url.expose().starts_with(scheme))
            || PgConnectOptions::from_str(url.expose()).is_err()
        {
            "must be a Postgres URL such as postgres://user:password@host:5432/name"
        } else {
            return None;
        };
        Some(SettingsViolation::new("registry.database_url", message))
    }
}

impl Section for Settings {
    const NAME: &'static str = "registry";
    const DEFAULTS: &'static str = include_str!("../config.default.yaml");

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _common: &Common) -> Result<(), Vec<SettingsViolation>> {
        let mut found = Vec::new();
        let gate = &self.gate;
        if !(gate.alpha > 0.0 && gate.alpha <= 0.5) {
            found.push(SettingsViolation::new(
                "registry.gate.alpha",
                "must be above 0 and at most 0.5",
            ));
        }
        for (key, value) in [
            ("auc_margin", gate.auc_margin),
            ("window_margin", gate.window_margin),
            ("max_calibration_error", gate.max_calibration_error),
            ("max_slice_gap", gate.max_slice_gap),
        ] {
            if !(0.0..=1.0).contains(&value) {
                found.push(SettingsViolation::new(
                    format!("registry.gate.{key}"),
                    "must be between 0 and 1",
                ));
            }
        }
        let rollout = &self.rollout;
        let rules = [
            (
                "canary_share",
                rollout.canary_share > 0.0 && rollout.canary_share <= 0.5,
                "must be above 0 and at most 0.5",
            ),
            (
                "shadow_share",
                rollout.shadow_share > 0.0 && rollout.shadow_share <= 1.0,
                "must be above 0 and at most 1",
            ),
            (
                "max_error_rate",
                (0.0..=1.0).contains(&rollout.max_error_rate),
                "must be between 0 and 1",
            ),
            ("max_latency_ratio", rollout.max_latency_ratio > 1.0, "must be above 1"),
            ("min_requests", rollout.min_requests > 0, "must be above 0"),
        ];
        for (key, holds, message) in rules {
            if !holds {
                found.push(SettingsViolation::new(format!("registry.rollout.{key}"), message));
            }
        }
        found.extend(self.approval.violations());
        if self.replica_silent_after_ms == 0 {
            let key = "registry.replica_silent_after_ms";
            found.push(SettingsViolation::new(key, "must be above 0"));
        }
        if self.refresh_interval_ms == 0 {
            found.push(SettingsViolation::new(
                "registry.refresh_interval_ms",
                "must be above 0",
            ));
        }
        if !(1_000..=3_600_000).contains(&self.imports.lease_ms) {
            let key = "registry.imports.lease_ms";
            found.push(SettingsViolation::new(key, "must be 1000 to 3600000"));
        }
        found.extend(self.artifacts.problems());
        found.extend(self.webhooks.problems());
        found.extend(self.database_problem());
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}
