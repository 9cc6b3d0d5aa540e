//! The gateway as a process of its own.

use std::process::ExitCode;

use holdfast_chassis::{About, service_main};
use holdfast_gateway::Settings;

const ABOUT: About = About {
    name: "holdfast-gateway",
    summary: "Holdfast's gateway: everything the other services do, as REST with an OpenAPI description.",
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    service_main::<Settings, _, _>(&ABOUT, |common, settings, shutdown| async move {
        holdfast_gateway::start(common, settings, shutdown).await?.join().await;
        Ok(())
    })
}
