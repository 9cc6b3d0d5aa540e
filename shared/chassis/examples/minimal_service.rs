//! The smallest service there is: what a new service's main looks like, and what the tests of signals and exit codes run.

use std::process::ExitCode;
use std::sync::Arc;

use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::ServerBuilder;
use holdfast_chassis::{About, Common, Readiness, Section, ServerSettings, SettingsViolation, service_main};
use serde::{Deserialize, Serialize};

const ABOUT: About = About {
    name: "minimal-service",
    summary: "A service that does nothing, well.",
    version: env!("CARGO_PKG_VERSION"),
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(flatten)]
    server: ServerSettings,
    /// Ends the service with a failure, to show what that looks like.
    fail: bool,
    /// Never ends its background task, to show what a second signal is for.
    stubborn: bool,
}

impl Section for Settings {
    const NAME: &'static str = "registry";
    const DEFAULTS: &'static str = "\
# Where it listens.
bind: 127.0.0.1:0
admin: 127.0.0.1:0
request_timeout_ms: 1000
max_message_bytes: 1048576
max_concurrent_requests: 8
shutdown_grace_ms: 1000
allow_insecure_bind: false
fail: false
stubborn: false
";

    fn server(&self) -> Option<&ServerSettings> {
        Some(&self.server)
    }

    fn validate(&self, _: &Common) -> Result<(), Vec<SettingsViolation>> {
        Ok(())
    }
}

fn main() -> ExitCode {
    service_main::<Settings, _, _>(&ABOUT, |_common, settings, shutdown| async move {
        let readiness = Readiness::new();
        let started = readiness.condition("started");
        let metrics = Arc::new(MetricsRegistry::new("minimal"));
        let server = ServerBuilder::new("minimal", &settings.server, shutdown.clone(), metrics, readiness);
        server.bind().await?.serve();
        if settings.fail {
            anyhow::bail!("asked to fail");
        }
        if settings.stubborn {
            shutdown.spawn("stubborn", std::future::pending());
        }
        started.set_ready("nothing to wait for");
        shutdown.finish().await;
        Ok(())
    })
}
