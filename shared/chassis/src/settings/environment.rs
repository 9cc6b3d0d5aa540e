//! Where settings come from besides the defaults, as values: tests pass maps, mains take the process.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The prefix of every environment variable of ours.
pub(super) const PREFIX: &str = "HOLDFAST_";

/// `HOLDFAST_` variables that are no settings: where the stack is, which settings file, test inputs. `HOLDFAST_LOG` is short for
/// `telemetry.log_filter`. Any `HOLDFAST_TEST_…` is left alone, too.
pub(super) const NOT_SETTINGS: [&str; 4] = ["HOLDFAST_URL", "HOLDFAST_CONFIG", "HOLDFAST_BANK_CSV", "HOLDFAST_WEED"];
pub(super) const TEST_PREFIX: &str = "HOLDFAST_TEST_";

/// Variables without our prefix, and the one short form, in order of precedence: `HOLDFAST_DATABASE__HOST` wins over `DB_HOST`.
pub(super) const ALIASES: [(&str, [&str; 2]); 6] = [
    ("DB_HOST", ["database", "host"]),
    ("DB_PORT", ["database", "port"]),
    ("DB_USER", ["database", "user"]),
    ("DB_PASSWORD", ["database", "password"]),
    ("DB_NAME", ["database", "name"]),
    ("HOLDFAST_LOG", ["telemetry", "log_filter"]),
];

/// Read when neither the command line nor `HOLDFAST_CONFIG` names a file, if it is there.
const USUAL_FILE: &str = "config/config.yaml";

/// The sources of settings beside the embedded defaults.
#[derive(Clone, Default)]
pub struct SettingsSources {
    /// `config.yaml`; it must exist if given.
    pub file: Option<PathBuf>,
    /// Environment variables by name. Those that are neither `HOLDFAST_…` nor `DB_…` are ignored.
    pub environment: BTreeMap<String, String>,
    /// Dotted path and value, from the command line; the last one wins.
    pub overrides: Vec<(String, Value)>,
}

impl SettingsSources {
    /// The process's sources. The file is `config` (a flag), else `HOLDFAST_CONFIG`, else `config/config.yaml` in the working directory if it is
    /// there, else none.
    #[must_use]
    pub fn from_process(config: Option<PathBuf>, overrides: Vec<(String, Value)>) -> Self {
        // Only names that could concern us: the rest of the environment never enters this value, nor its Debug output.
        let environment: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX) || ALIASES.iter().any(|(alias, _)| alias == name))
            .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
            .collect();
        let file = config
            .or_else(|| {
                environment
                    .get("HOLDFAST_CONFIG")
                    .filter(|path| !path.is_empty())
                    .map(PathBuf::from)
            })
            .or_else(|| Some(PathBuf::from(USUAL_FILE)).filter(|path| Path::exists(path)));
        Self {
            file,
            environment,
            overrides,
        }
    }
}

// Values may be secrets: only names show.
impl fmt::Debug for SettingsSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SettingsSources")
            .field("file", &self.file)
            .field("environment", &self.environment.keys().collect::<Vec<_>>())
            .field(
                "overrides",
                &self.overrides.iter().map(|(path, _)| path).collect::<Vec<_>>(),
            )
            .finish()
    }
}
