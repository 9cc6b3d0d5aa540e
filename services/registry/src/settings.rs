//! The section `registry` of the settings.

use std::path::PathBuf;

use holdfast_chassis::settings::{Common, Section, ServerSettings, SettingsViolation};
use serde::{Deserialize, Serialize};

use crate::service::gate::GatePolicy;

/// The settings of the registry; `config.default.yaml` explains each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses and limits.
    #[serde(flatten)]
    pub server: ServerSettings,
    /// The SQLite file; `None`: `registry.db` in the data directory.
    pub database_path: Option<PathBuf>,
    /// How often to look for entries of other registry replicas, in milliseconds.
    pub refresh_interval_ms: u64,
    /// What a candidate must show.
    pub gate: GatePolicy,
}

impl Settings {
    /// Defaults on free loopback ports: what tests and in-process stacks want.
    pub fn on_free_ports() -> Self {
        Self {
            server: ServerSettings::on_free_ports(),
            database_path: None,
            refresh_interval_ms: 2_000,
            gate: GatePolicy::default(),
        }
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
        if self.refresh_interval_ms == 0 {
            found.push(SettingsViolation::new(
                "registry.refresh_interval_ms",
                "must be above 0",
            ));
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}
