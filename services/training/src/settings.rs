//! The section `training` of the settings. What each key means stands in `config.default.yaml`.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use holdfast_chassis::settings::{Common, Section, ServerSettings, SettingsViolation};
use holdfast_domain::ModelName;
use serde::{Deserialize, Serialize};

use crate::service::tuning::TuningObjective;

/// Settings of the training service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Addresses and limits of the server.
    #[serde(flatten)]
    pub server: ServerSettings,
    /// The SQLite file; `None`: `training.db` in the data directory.
    pub database_path: Option<PathBuf>,
    /// The model of a run that names none.
    pub model: ModelName,
    /// The parameter set of a run that names none.
    pub preset: String,
    /// The file of parameter sets; `None`: the built-in one.
    pub params_path: Option<PathBuf>,
    /// Seed of a run that brings none.
    pub seed: u64,
    /// Share of a table held out for testing.
    pub test_share: f64,
    /// Share of a labelled window held out for testing.
    pub window_test_share: f64,
    /// Threads of one training; 0 for as many as the machine has.
    pub threads: usize,
    /// The search for parameters of a run that does not say more.
    pub tuning: TuningSettings,
    /// The largest table taken in, in bytes.
    pub max_snapshot_bytes: u64,
    /// The largest model file of another library taken in, in bytes.
    pub max_model_bytes: u64,
    /// How often the registry is asked for imports of registered versions, in milliseconds; 0: never.
    pub imports_interval_ms: u64,
    /// Least time between two progress events of a step, in milliseconds.
    pub progress_interval_ms: u64,
    /// How long a run waits for a registry that is away, in milliseconds.
    pub registry_patience_ms: u64,
}

/// What a search for parameters is like, unless a run says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuningSettings {
    /// Most trials.
    pub trials: u32,
    /// Folds of the cross-validation.
    pub folds: u32,
    /// Trials at work at once; 0 for as many as threads.
    pub workers: u32,
    /// What is made as large as possible.
    pub objective: TuningObjective,
}

/// Trials that a search may have.
pub(crate) const TRIALS: RangeInclusive<u32> = 1..=1_000;
/// Folds that a cross-validation may have.
pub(crate) const FOLDS: RangeInclusive<u32> = 2..=20;
/// Trials that may be at work at once.
pub(crate) const WORKERS: RangeInclusive<u32> = 1..=64;

impl Settings {
    /// Defaults on free loopback ports: what tests and in-process stacks want.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a literal that is a model name; a test compares with the embedded defaults"
    )]
    pub fn on_free_ports() -> Self {
        Self {
            server: ServerSettings::on_free_ports(),
            database_path: None,
            model: ModelName::parse("churn").expect("a model name"),
            preset: "default".to_owned(),
            params_path: None,
            seed: 42,
            test_share: 0.2,
            window_test_share: 0.3,
            threads: 0,
            tuning: TuningSettings {
                trials: 50,
                folds: 5,
                workers: 0,
                objective: TuningObjective::RocAuc,
            },
            max_snapshot_bytes: 256 << 20,
            max_model_bytes: 64 << 20,
            imports_interval_ms: 5_000,
            progress_interval_ms: 200,
            registry_patience_ms: 30_000,
        }
    }

    /// Threads of one training, at least one.
    #[must_use]
    pub fn training_threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            chosen => chosen,
        }
    }

    /// Trials at work at once, at least one.
    pub(crate) fn tuning_workers(&self) -> u32 {
        match self.tuning.workers {
            0 => u32::try_from(self.training_threads()).map_or(*WORKERS.end(), |threads| threads.min(*WORKERS.end())),
            chosen => chosen,
        }
    }

    /// How often the registry is asked for imports; `None`: never.
    pub(crate) fn imports_interval(&self) -> Option<Duration> {
        (self.imports_interval_ms > 0).then(|| Duration::from_millis(self.imports_interval_ms))
    }

    pub(crate) fn progress_interval(&self) -> Duration {
        Duration::from_millis(self.progress_interval_ms)
    }

    pub(crate) fn registry_patience(&self) -> Duration {
        Duration::from_millis(self.registry_patience_ms)
    }
}

impl Section for Settings {
    const NAME: &'static str = "training";
    const DEFAULTS: &'static str = include_str!("../config.default.yaml");

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _common: &Common) -> Result<(), Vec<SettingsViolation>> {
        let mut found = Vec::new();
        let mut check = |key: &str, holds: bool, message: &str| {
            if !holds {
                found.push(SettingsViolation::new(format!("{}.{key}", Self::NAME), message));
            }
        };
        for (key, share) in [
            ("test_share", self.test_share),
            ("window_test_share", self.window_test_share),
        ] {
            check(key, is_test_share(share), "must be above 0 and at most 0.5");
        }
        check(
            "tuning.trials",
            TRIALS.contains(&self.tuning.trials),
            "must be 1 to 1,000",
        );
        check("tuning.folds", FOLDS.contains(&self.tuning.folds), "must be 2 to 20");
        let workers = self.tuning.workers;
        check(
            "tuning.workers",
            workers == 0 || WORKERS.contains(&workers),
            "must be 0 to 64",
        );
        check("preset", !self.preset.is_empty(), "must name a parameter set");
        check("max_snapshot_bytes", self.max_snapshot_bytes > 0, "must be above 0");
        let files = 1..=holdfast_interchange::MAX_FILE_BYTES as u64;
        check(
            "max_model_bytes",
            files.contains(&self.max_model_bytes),
            "must be 1 to 268,435,456",
        );
        check("progress_interval_ms", self.progress_interval_ms > 0, "must be above 0");
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

/// Whether a share of rows may be held out.
pub(crate) fn is_test_share(share: f64) -> bool {
    share > 0.0 && share <= 0.5
}

#[cfg(test)]
mod tests {
    use holdfast_chassis::settings::{SettingsSources, load};

    use super::*;

    #[test]
    fn the_embedded_defaults_are_those_of_in_process_stacks() {
        let (_, embedded) = load::<Settings>(&SettingsSources::default()).unwrap();
        let expected = Settings {
            server: embedded.server.clone(),
            ..Settings::on_free_ports()
        };
        assert_eq!(embedded, expected);
    }

    #[test]
    fn values_outside_their_range_are_named() {
        let sources = SettingsSources {
            overrides: vec![
                ("training.test_share".into(), 0.7.into()),
                ("training.window_test_share".into(), 0.into()),
                ("training.tuning.folds".into(), 1.into()),
            ],
            ..SettingsSources::default()
        };
        let error = load::<Settings>(&sources).unwrap_err();
        let paths: Vec<&str> = error
            .violations()
            .iter()
            .map(|violation| violation.path.as_str())
            .collect();
        let expected = [
            "training.test_share",
            "training.tuning.folds",
            "training.window_test_share",
        ];
        assert_eq!(paths, expected);
    }
}
