//! `holdfast serve`: the gateway and inference in this process, without the rest.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use holdfast_chassis::{Shutdown, telemetry};
use serde::Serialize;

use super::reported;
use super::up::{ServerArgs, table};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  holdfast serve --set peers.registry=http://registry:50052    predictions on this machine, the registry on another
  holdfast serve --config /etc/holdfast/config.yaml            one of several, behind a load balancer
  holdfast serve --http 127.0.0.1:0 --json                     any free ports; one line of JSON says which

It needs the blob store of the others (blob_store) and serves on from its last good model while they are away.
SIGINT and SIGTERM end it cleanly, with exit code 0.";

/// What `serve` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    servers: ServerArgs,
}

/// The gRPC address.
#[derive(Serialize)]
struct GrpcAddress {
    /// Inference.
    inference: SocketAddr,
}

/// The admin addresses: `/metrics`, `/livez`, `/readyz`.
#[derive(Serialize)]
struct AdminAddresses {
    /// The gateway.
    gateway: SocketAddr,
    /// Inference.
    inference: SocketAddr,
}

/// Where it answers, with real ports. Its JSON form is the line that `holdfast serve --json` prints: that of `holdfast up`, without the others.
#[derive(Serialize)]
struct Addresses {
    /// REST.
    http: SocketAddr,
    /// gRPC.
    grpc: GrpcAddress,
    /// Metrics and health.
    admin: AdminAddresses,
}

/// Runs the command to its end.
pub(crate) fn main(args: ServeArgs, output: Output) -> ExitCode {
    holdfast_chassis::run("holdfast", |shutdown| serve(args, output, shutdown))
}

async fn serve(args: ServeArgs, output: Output, shutdown: Shutdown) -> anyhow::Result<()> {
    let options = args.servers.options()?;
    let (common, gateway) = options.load()?;
    let (_, inference) = options.load()?;
    telemetry::init_once(&common.telemetry, "holdfast")?;
    let node = holdfast_serving::start(common, (gateway, inference), &shutdown).await?;
    let addresses = Addresses {
        http: node.http,
        grpc: GrpcAddress { inference: node.grpc },
        admin: AdminAddresses {
            gateway: node.gateway_admin,
            inference: node.inference_admin,
        },
    };
    output
        .emit(&addresses, || {
            format!(
                "Holdfast serves: http://{}\n{}\nCtrl-C ends it",
                addresses.http,
                table(
                    (addresses.http, addresses.admin.gateway),
                    &[("inference", addresses.grpc.inference, addresses.admin.inference)]
                )
            )
        })
        .map_err(|failure| reported(&failure))?;
    node.join().await;
    Ok(())
}
