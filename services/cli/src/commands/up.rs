//! `holdfast up`: all services in this process.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use holdfast_chassis::settings::{SettingsSources, parse_scalar};
use holdfast_chassis::{Shutdown, UsageError, telemetry};
use serde_json::Value;

use super::reported;
use crate::output::{self, Output};
use crate::stack::{Ports, Stack, StackOptions};

const EXAMPLES: &str = "\
Examples:
  holdfast up                                       all services on their usual ports, data in .holdfast
  holdfast up --data-dir /var/lib/holdfast --config config/config.yaml
  holdfast up --http 127.0.0.1:0 --json             any free ports; one line of JSON says which
  holdfast up --set telemetry.log_filter=debug

SIGINT and SIGTERM end it cleanly, with exit code 0.";

/// What `up` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct UpArgs {
    #[command(flatten)]
    servers: ServerArgs,
}

/// What commands take that serve.
#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// Where everything is kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where REST listens; port 0 means any free port, for all services
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<SocketAddr>,
    /// Ports of the other servers: those of the settings, or any free ones
    #[arg(long, value_name = "WHICH")]
    grpc_ports: Option<GrpcPorts>,
    /// Settings; without it $HOLDFAST_CONFIG, else config/config.yaml if it is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, wins over file and environment; may be given many times
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
}

/// Which ports the gRPC and admin servers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum GrpcPorts {
    /// Those of the settings.
    Default,
    /// Any free ones.
    Free,
}

/// Runs the command to its end.
pub(crate) fn main(args: UpArgs, output: Output) -> ExitCode {
    holdfast_chassis::run("holdfast", |shutdown| up(args, output, shutdown))
}

async fn up(args: UpArgs, output: Output, shutdown: Shutdown) -> anyhow::Result<()> {
    let options = args.servers.options()?;
    telemetry::init_once(&options.common()?.telemetry, "holdfast")?;
    let stack = Stack::start(options, &shutdown).await?;
    let addresses = stack.addresses();
    output
        .emit(&addresses, || {
            format!(
                "Holdfast is up: http://{}\n{}\nCtrl-C ends it",
                addresses.http,
                addresses.table()
            )
        })
        .map_err(|failure| reported(&failure))?;
    stack.join().await;
    Ok(())
}

impl ServerArgs {
    /// What was asked for.
    pub(crate) fn options(&self) -> anyhow::Result<StackOptions> {
        let mut overrides = self
            .set
            .iter()
            .map(|text| assignment(text))
            .collect::<Result<Vec<_>, _>>()?;
        let mut sources = SettingsSources::from_process(self.config.clone(), Vec::new());
        if let Some(directory) = &self.data_dir {
            overrides.push(("data_dir".to_owned(), Value::from(directory.to_string_lossy())));
        }
        // Nobody chose how logs look: on a terminal a person reads them.
        if std::io::stderr().is_terminal()
            && sources.file.is_none()
            && !sources.environment.contains_key("HOLDFAST_TELEMETRY__LOG_FORMAT")
        {
            sources
                .overrides
                .push(("telemetry.log_format".to_owned(), Value::from("text")));
        }
        sources.overrides.extend(overrides);
        let any_port = self.http.is_some_and(|http| http.port() == 0);
        let ports = match self.grpc_ports {
            Some(GrpcPorts::Free) => Ports::Free,
            None if any_port => Ports::Free,
            Some(GrpcPorts::Default) | None => Ports::Settings,
        };
        Ok(StackOptions {
            sources,
            http: self.http,
            ports,
        })
    }
}

fn assignment(text: &str) -> Result<(String, Value), UsageError> {
    let wrong = |why: &str| {
        UsageError(format!(
            "--set {text:?} {why}; write --set PATH=VALUE, for example --set telemetry.log_filter=debug"
        ))
    };
    let (path, raw) = text.split_once('=').ok_or_else(|| wrong("has no ="))?;
    let value = parse_scalar(raw).ok_or_else(|| wrong("has a value that is not YAML"))?;
    Ok((path.to_owned(), value))
}

impl crate::stack::Addresses {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let others = [
            ("registry", self.grpc.registry, self.admin.registry),
            ("inference", self.grpc.inference, self.admin.inference),
            ("training", self.grpc.training, self.admin.training),
            ("monitoring", self.grpc.monitoring, self.admin.monitoring),
        ];
        table((self.http, self.admin.gateway), &others)
    }
}

/// The gateway's address and admin address, and the name and the same of each of the others, for people.
pub(super) fn table((http, admin): (SocketAddr, SocketAddr), others: &[(&str, SocketAddr, SocketAddr)]) -> String {
    let mut table = output::table(["service", "address", "metrics and health"]);
    table.add_row([
        "gateway".to_owned(),
        format!("http://{http}"),
        format!("http://{admin}"),
    ]);
    for (name, grpc, admin) in others {
        table.add_row([(*name).to_owned(), grpc.to_string(), format!("http://{admin}")]);
    }
    table.to_string()
}
