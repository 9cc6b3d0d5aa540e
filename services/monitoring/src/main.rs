//! `holdfast-monitoring`: monitoring as a process of its own.

use std::process::ExitCode;

use holdfast_chassis::{About, service_main};
use holdfast_monitoring::{Settings, start};

const ABOUT: About = About {
    name: "holdfast-monitoring",
    summary: "Compares the prediction log with the champion's training data, takes outcomes, and asks for retraining.",
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    service_main::<Settings, _, _>(&ABOUT, |common, settings, shutdown| async move {
        start(common, settings, shutdown).await?.join().await;
        Ok(())
    })
}
