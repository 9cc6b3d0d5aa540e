//! The section `monitoring` of the settings.

use std::time::Duration;

use holdfast_chassis::settings::{Common, Section, ServerSettings, SettingsViolation};
use holdfast_domain::ModelName;
use serde::{Deserialize, Serialize};

use crate::service::policy::{DriftPolicy, RetrainingPolicy};

/// The settings of monitoring; `config.default.yaml` explains each key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses and limits.
    #[serde(flatten)]
    pub server: ServerSettings,
    /// The model a request means that names none.
    pub model: ModelName,
    /// Length of the window when a request names none, in seconds.
    pub window_seconds: u32,
    /// Most predictions read of a window.
    pub maximum_rows: usize,
    /// How long training may take to accept a run, in milliseconds.
    pub training_timeout_ms: u64,
    /// When a window has drifted.
    pub policy: DriftPolicy,
    /// What a window must hold to be learnt from.
    pub retraining: RetrainingPolicy,
}

impl Settings {
    /// Defaults on free loopback ports: what tests and in-process stacks want.
    #[expect(clippy::missing_panics_doc, reason = "the constant is a model name")]
    #[expect(clippy::expect_used, reason = "the constant is a model name")]
    pub fn on_free_ports() -> Self {
        Self {
            server: ServerSettings {
                request_timeout_ms: 60_000,
                ..ServerSettings::on_free_ports()
            },
            model: ModelName::parse("churn").expect("a model name"),
            window_seconds: 86_400,
            maximum_rows: 200_000,
            training_timeout_ms: 5_000,
            policy: DriftPolicy::default(),
            retraining: RetrainingPolicy::default(),
        }
    }

    /// How long training may take to accept a run.
    pub fn training_timeout(&self) -> Duration {
        Duration::from_millis(self.training_timeout_ms)
    }
}

impl Section for Settings {
    const NAME: &'static str = "monitoring";
    const DEFAULTS: &'static str = include_str!("../config.default.yaml");

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _common: &Common) -> Result<(), Vec<SettingsViolation>> {
        let mut found: Vec<SettingsViolation> = self
            .policy
            .problems()
            .into_iter()
            .map(|(key, allowed)| SettingsViolation::new(format!("monitoring.policy.{key}"), allowed))
            .collect();
        for (key, value) in [
            ("window_seconds", u64::from(self.window_seconds)),
            ("training_timeout_ms", self.training_timeout_ms),
            (
                "retraining.minimum_labelled_rows",
                self.retraining.minimum_labelled_rows,
            ),
            (
                "retraining.minimum_rows_per_class",
                self.retraining.minimum_rows_per_class,
            ),
        ] {
            if value == 0 {
                found.push(SettingsViolation::new(format!("monitoring.{key}"), "must be above 0"));
            }
        }
        if (self.maximum_rows as u64) < self.policy.minimum_rows {
            found.push(SettingsViolation::new(
                "monitoring.maximum_rows",
                "must not be below policy.minimum_rows",
            ));
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

#[cfg(test)]
mod tests {
    use holdfast_chassis::settings::{SettingsSources, load};

    use super::*;

    #[test]
    fn the_commented_defaults_are_the_defaults_of_the_code() {
        let (_, loaded): (_, Settings) = load(&SettingsSources::default()).unwrap();
        let mut expected = Settings::on_free_ports();
        expected.server = loaded.server.clone();
        assert_eq!(loaded, expected);
    }

    #[test]
    fn a_policy_out_of_range_is_named_with_its_path() {
        let sources = SettingsSources {
            overrides: vec![("monitoring.policy.alpha".to_owned(), 0.9.into())],
            ..SettingsSources::default()
        };
        let error = load::<Settings>(&sources).unwrap_err();
        assert_eq!(error.violations()[0].path, "monitoring.policy.alpha");
    }
}
