//! `holdfast-training`: the training service as a process of its own.

use std::process::ExitCode;

use holdfast_chassis::{About, service_main};
use holdfast_training::{Settings, start};

const ABOUT: About = About {
    name: "holdfast-training",
    summary: "Takes tables in as snapshots, trains and evaluates models, and brings them before the gate.",
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    service_main::<Settings, _, _>(&ABOUT, |common, settings, shutdown| async move {
        start(common, settings, shutdown).await?.join().await;
        Ok(())
    })
}
