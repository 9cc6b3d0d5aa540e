//! `holdfast-registry`: the registry as a process of its own.

use std::process::ExitCode;

use holdfast_chassis::{About, service_main};
use holdfast_registry::{Settings, start};

const ABOUT: About = About {
    name: "holdfast-registry",
    summary: "Keeps runs, model versions and the champion log, and decides who may become champion.",
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    service_main::<Settings, _, _>(&ABOUT, |common, settings, shutdown| async move {
        start(common, settings, shutdown).await?.join().await;
        Ok(())
    })
}
