//! The settings that all services share. What each key means stands in `config.default.yaml`, which is also its only source of defaults.

use std::path::PathBuf;

use holdfast_storage::BlobStoreSettings;
use serde::{Deserialize, Serialize};

use super::violation::url_violation;
use super::{ClientSettings, DatabaseSettings, SettingsViolation, TelemetrySettings};

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
