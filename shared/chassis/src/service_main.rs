//! The main of every service: flags, settings, telemetry, [`run`]. With this a service's `main.rs` is a few lines:
//!
//! ```ignore
//! fn main() -> ExitCode {
//!     service_main::<Settings, _, _>(&ABOUT, |common, settings, shutdown| async move {
//!         holdfast_registry::start(common, settings, shutdown).await?.join().await;
//!         Ok(())
//!     })
//! }
//! ```

use std::future::Future;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::health_command::{self, DEFAULT_TIMEOUT};
use crate::run::{UsageError, run};
use crate::settings::{self, Common, Sections, SettingsSources};
use crate::shutdown::Shutdown;
use crate::telemetry;

/// What a service's `--help` and `--version` say.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The binary's name, `holdfast-registry`.
    pub name: &'static str,
    /// One line: what the service does.
    pub summary: &'static str,
    /// `env!("CARGO_PKG_VERSION")`
    pub version: &'static str,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Run the service.
    Serve,
    /// Print the settings in force, secrets redacted.
    PrintSettings,
    /// Ask the running service whether it is ready.
    Health {
        /// Its admin address; `None` for those of the settings.
        address: Option<SocketAddr>,
        /// How long to wait.
        timeout: Duration,
    },
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceArgs {
    /// What to do.
    pub action: Action,
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--set PATH=VALUE`, in order.
    pub overrides: Vec<(String, Value)>,
}

impl ServiceArgs {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    /// [`UsageError`] that says what is wrong and points to `--help`.
    pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut parsed = Self {
            action: Action::Serve,
            config: None,
            overrides: Vec::new(),
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (flag, inline) = match arg.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
                _ => (arg, None),
            };
            let mut value = || {
                let next = inline.clone().or_else(|| args.next());
                next.ok_or_else(|| usage(format!("{flag} needs a value")))
            };
            match (flag.as_str(), &mut parsed.action) {
                ("--config", _) => parsed.config = Some(PathBuf::from(value()?)),
                ("--set", _) => parsed.overrides.push(assignment(&value()?)?),
                ("--print-settings", action @ Action::Serve) => *action = Action::PrintSettings,
                ("--help" | "-h", action) => *action = Action::Help,
                ("--version" | "-V", action) => *action = Action::Version,
                ("health", action @ Action::Serve) => {
                    *action = Action::Health {
                        address: None,
                        timeout: DEFAULT_TIMEOUT,
                    }
                }
                ("--address", Action::Health { address, .. }) => {
                    *address = Some(
                        value()?
                            .parse()
                            .map_err(|_| usage("--address needs an IP address and a port"))?,
                    );
                }
                ("--timeout-ms", Action::Health { timeout, .. }) => {
                    let millis = value()?.parse().map_err(|_| usage("--timeout-ms needs a number"))?;
                    *timeout = Duration::from_millis(millis);
                }
                _ => return Err(usage(format!("unexpected argument {flag:?}"))),
            }
        }
        Ok(parsed)
    }
}

fn assignment(text: &str) -> Result<(String, Value), UsageError> {
    let (path, raw) = text
        .split_once('=')
        .ok_or_else(|| usage("--set needs PATH=VALUE, for example --set client.request_timeout_ms=500"))?;
    let value = settings::parse_scalar(raw).ok_or_else(|| usage(format!("the value of {path} is not YAML")))?;
    Ok((path.to_owned(), value))
}

fn usage(problem: impl Into<String>) -> UsageError {
    UsageError(format!("{}; see --help", problem.into()))
}

/// Does what the process's command line asks for. `start` runs the service until `shutdown` triggers.
pub fn service_main<S, F, Fut>(about: &About, start: F) -> ExitCode
where
    S: Sections,
    F: FnOnce(Common, S, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let outcome = ServiceArgs::parse(std::env::args().skip(1))
        .map_err(anyhow::Error::new)
        .and_then(|args| {
            let sources = SettingsSources::from_process(args.config, args.overrides);
            match args.action {
                Action::Serve => return Ok(Err(sources)),
                Action::Help => print(&help::<S>(about))?,
                Action::Version => print(&format!("{} {}\n", about.name, about.version))?,
                Action::PrintSettings => print(&printed_settings::<S>(&sources)?)?,
                Action::Health { address, timeout } => print(&health::<S>(&sources, address, timeout)?)?,
            }
            Ok(Ok(()))
        });
    run_or_exit(about.name, outcome, start)
}

fn run_or_exit<S, F, Fut>(
    name: &'static str,
    outcome: anyhow::Result<Result<(), SettingsSources>>,
    start: F,
) -> ExitCode
where
    S: Sections,
    F: FnOnce(Common, S, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    match outcome {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(sources)) => run(name, |shutdown| async move {
            let (common, settings) = S::load(&sources)?;
            telemetry::init_once(&common.telemetry, name)?;
            start(common, settings, shutdown).await
        }),
        Err(error) => crate::run::report(name, &error),
    }
}

/// Writes to stdout; a reader that went away is a failure like any other, not a panic.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// The settings in force as YAML, secrets redacted.
///
/// # Errors
/// Those of [`Sections::load`].
pub fn printed_settings<S: Sections>(sources: &SettingsSources) -> anyhow::Result<String> {
    let (common, sections) = S::load(sources)?;
    let mut tree = match serde_json::to_value(&common)? {
        Value::Object(keys) => keys,
        _ => Map::new(),
    };
    tree.extend(
        sections
            .values()?
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values)),
    );
    Ok(serde_saphyr::to_string(&Value::Object(tree))?)
}

fn health<S: Sections>(
    sources: &SettingsSources,
    address: Option<SocketAddr>,
    timeout: Duration,
) -> anyhow::Result<String> {
    let addresses = match address {
        Some(address) => vec![address],
        None => {
            let (_, sections) = S::load(sources)?;
            let servers = sections.servers();
            if servers.is_empty() {
                return Err(UsageError("there is no admin server".to_owned()).into());
            }
            servers.iter().map(|server| server.admin).collect()
        }
    };
    let ready = addresses
        .into_iter()
        .map(|address| Ok(health_command::check(address, timeout)? + "\n"));
    ready.collect()
}

fn help<S: Sections>(about: &About) -> String {
    let About { name, summary, .. } = about;
    let sections = S::described();
    let variable = sections
        .first()
        .map(|(name, _)| name.to_ascii_uppercase())
        .unwrap_or_default();
    let names: Vec<String> = sections.iter().map(|(name, _)| format!("`{name}`")).collect();
    let names = format!(
        "section{} {}",
        if names.len() == 1 { "" } else { "s" },
        names.join(" and ")
    );
    let defaults: String = sections
        .iter()
        .map(|(name, defaults)| format!("\nThe section `{name}` and its defaults:\n\n{}", indented(defaults)))
        .collect();
    format!(
        "{summary}

Usage: {name} [--config FILE] [--set PATH=VALUE]...
       {name} --print-settings [--config FILE]
       {name} health [--address HOST:PORT] [--timeout-ms N]

Without arguments the service starts with its defaults, which run on one machine; all ports are on 127.0.0.1.
SIGINT or SIGTERM end it: it finishes what it is doing and exits with 0. A second signal ends it at once.

  --config FILE      settings; default: $HOLDFAST_CONFIG, else config/config.yaml if it is there
  --set PATH=VALUE   one setting, wins over file and environment: --set telemetry.log_filter=debug
  --print-settings   show the settings in force, secrets redacted, and exit: a good start for a settings file
  health             exit 0 if the running service is ready; a container's healthcheck
  --version          show the version
  --help             show this

Settings come from built-in defaults, then the file, then the environment, then --set. The file has keys that all
services share (data_dir, blob_store, telemetry, peers, database, client) and the {names}. In the environment,
HOLDFAST_ and the path in capitals, two underscores between levels:

  HOLDFAST_{variable}__BIND=127.0.0.1:0 HOLDFAST_TELEMETRY__LOG_FORMAT=text {name}

DB_HOST, DB_PORT, DB_USER, DB_PASSWORD and DB_NAME set database.*. HOLDFAST_LOG=debug is short for telemetry.log_filter.
Exit codes: 0 done, 1 failed, 2 wrong usage or settings.
{defaults}"
    )
}

fn indented(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("  {line}\n")
            }
        })
        .collect()
}
