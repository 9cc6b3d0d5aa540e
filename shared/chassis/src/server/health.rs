//! The standard gRPC health service, fed from the readiness conditions and the shutdown.

use std::sync::Arc;

use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::readiness::Readiness;
use crate::shutdown::Shutdown;

/// Keeps the health of all services in step with readiness until the shutdown starts; then says `NOT_SERVING` and ends all watches, which otherwise
/// would hold up the drain.
pub(super) async fn follow(
    mut reporter: HealthReporter,
    services: Arc<[String]>,
    readiness: Readiness,
    shutdown: Shutdown,
) {
    let mut changes = readiness.changes();
    let stopping = shutdown.stopping_token();
    loop {
        changes.mark_unchanged();
        let serving = readiness.is_ready() && !stopping.is_cancelled();
        report(&reporter, &services, serving).await;
        tokio::select! {
            () = stopping.cancelled() => break,
            changed = changes.changed() => if changed.is_err() { break },
        }
    }
    report(&reporter, &services, false).await;
    for service in services.iter() {
        reporter.clear_service_status(service).await;
    }
}

/// Sets the state of every service, the unnamed one (the server as a whole) included.
pub(super) async fn report(reporter: &HealthReporter, services: &[String], serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in services {
        reporter.set_service_status(service, status).await;
    }
}
