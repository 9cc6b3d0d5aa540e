//! `holdfast-serving`: gateway and inference in one process.

use std::process::ExitCode;

use holdfast_chassis::{About, service_main};

const ABOUT: About = About {
    name: "holdfast-serving",
    summary: "Holdfast's gateway and inference in one process, which only answers predictions.",
    version: env!("CARGO_PKG_VERSION"),
};

fn main() -> ExitCode {
    service_main::<(holdfast_gateway::Settings, holdfast_inference::Settings), _, _>(
        &ABOUT,
        |common, settings, shutdown| async move {
            holdfast_serving::start(common, settings, &shutdown).await?.join().await;
            Ok(())
        },
    )
}
