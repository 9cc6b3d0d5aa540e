//! Settings: one typed value per service, from four sources, later ones winning:
//!
//! 1. the embedded, commented defaults (`config.default.yaml` here for the common keys, one in each service for its section),
//! 2. `config.yaml`, one file for all services: common keys at the top level, one section per service,
//! 3. the environment: `DB_HOST`, `DB_PORT`, `DB_USER`, `DB_PASSWORD`, `DB_NAME` for `database.*`, then `HOLDFAST_…` with `__` between levels
//!    (`HOLDFAST_BLOB_STORE__KIND`, `HOLDFAST_INFERENCE__BIND`),
//! 4. overrides from the command line.
//!
//! **The default is the documentation and the list of keys**: a key that no default names is refused, in the file and in the environment, with its
//! dotted path and the nearest known name. All violations are reported at once. Sources are injected ([`SettingsSources`]); only
//! [`SettingsSources::from_process`] looks at the process.

mod client;
mod database;
mod environment;
mod every_service;
mod example;
mod layers;
mod load;
mod server;
mod suggest;
mod telemetry;
mod violation;

pub use client::{ClientSettings, EjectionSettings, RetrySettings};
pub use database::{DatabaseKind, DatabaseSettings};
pub use environment::SettingsSources;
pub use every_service::{Common, Peers};
pub use example::example_file;
pub use holdfast_storage::Secret;
pub use layers::parse_scalar;
pub use load::load;
pub use server::ServerSettings;
pub use telemetry::{LogFormat, TelemetrySettings};
pub use violation::{SettingsError, SettingsViolation};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The commented defaults of the keys that all services share.
pub const COMMON_DEFAULTS: &str = include_str!("../../config.default.yaml");

/// The sections that `config.yaml` may hold beside the common keys.
pub const SECTIONS: [&str; 6] = ["registry", "inference", "training", "monitoring", "gateway", "cli"];

/// A service's own settings: the section of `config.yaml` that bears its name.
pub trait Section: DeserializeOwned + Serialize {
    /// The section's name, one of [`SECTIONS`].
    const NAME: &'static str;

    /// The commented defaults, the body of the section without its header: `include_str!("../config.default.yaml")`. It must list every key, with
    /// `null` where there is no default: what it does not list cannot be set.
    const DEFAULTS: &'static str;

    /// The server settings in this section, or `None` if it binds nothing. The loader checks them (insecure combinations) and `health` finds the
    /// admin address here.
    fn server(&self) -> Option<&ServerSettings>;

    /// Checks the section as a whole; called only when every key has the right type.
    ///
    /// # Errors
    /// Every violation found, with full dotted paths.
    fn validate(&self, common: &Common) -> Result<(), Vec<SettingsViolation>>;
}

/// The sections that a process runs on: one for a service by itself, a pair for two in one process.
pub trait Sections: Sized {
    /// Loads them and the common settings.
    ///
    /// # Errors
    /// Those of [`load`](load()).
    fn load(sources: &SettingsSources) -> Result<(Common, Self), SettingsError>;

    /// Name and commented defaults of each.
    fn described() -> Vec<(&'static str, &'static str)>;

    /// Name and values of each.
    ///
    /// # Errors
    /// When one cannot be written as JSON.
    fn values(&self) -> serde_json::Result<Vec<(&'static str, Value)>>;

    /// The server settings of those that bind something.
    fn servers(&self) -> Vec<&ServerSettings>;
}

impl<S: Section> Sections for S {
    fn load(sources: &SettingsSources) -> Result<(Common, Self), SettingsError> {
        load(sources)
    }

    fn described() -> Vec<(&'static str, &'static str)> {
        vec![(S::NAME, S::DEFAULTS)]
    }

    fn values(&self) -> serde_json::Result<Vec<(&'static str, Value)>> {
        Ok(vec![(S::NAME, serde_json::to_value(self)?)])
    }

    fn servers(&self) -> Vec<&ServerSettings> {
        self.server().into_iter().collect()
    }
}

impl<A: Section, B: Section> Sections for (A, B) {
    fn load(sources: &SettingsSources) -> Result<(Common, Self), SettingsError> {
        let (common, first) = load(sources)?;
        let (_, second) = load(sources)?;
        Ok((common, (first, second)))
    }

    fn described() -> Vec<(&'static str, &'static str)> {
        vec![(A::NAME, A::DEFAULTS), (B::NAME, B::DEFAULTS)]
    }

    fn values(&self) -> serde_json::Result<Vec<(&'static str, Value)>> {
        let (first, second) = self;
        Ok([first.values()?, second.values()?].concat())
    }

    fn servers(&self) -> Vec<&ServerSettings> {
        self.0.server().into_iter().chain(self.1.server()).collect()
    }
}
