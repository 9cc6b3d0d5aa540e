//! `holdfast-inference`: inference as a process of its own.

use std::process::ExitCode;

use holdfast_chassis::{About, service_main};
use holdfast_inference::{Settings, start};

const ABOUT: About = About {
    name: "holdfast-inference",
    summary: "Scores customers with the champion held in memory, and logs every prediction.",
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    service_main::<Settings, _, _>(&ABOUT, |common, settings, shutdown| async move {
        start(common, settings, shutdown).await?.join().await;
        Ok(())
    })
}
