//! The admin server: `/metrics` for Prometheus, `/livez` for whoever restarts, `/readyz` for whoever routes.

use std::sync::Arc;

use ::http::{HeaderMap, StatusCode, header};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::metrics::{Exposition, MetricsRegistry};
use crate::readiness::{Readiness, ReadinessReport};
use crate::shutdown::{Role, Shutdown};

#[derive(Clone)]
pub(super) struct Admin {
    pub(super) service: Arc<str>,
    pub(super) metrics: Arc<MetricsRegistry>,
    pub(super) readiness: Readiness,
    pub(super) shutdown: Shutdown,
}

/// The body of `/readyz`.
#[derive(Serialize)]
struct ReadyBody<'a> {
    service: &'a str,
    #[serde(flatten)]
    report: ReadinessReport,
    stopping: bool,
}

impl Admin {
    /// Serves until phase 6 of the shutdown: the state is visible while the service drains.
    pub(super) fn serve(self, listener: TcpListener) {
        let shutdown = self.shutdown.clone();
        let last = shutdown.last();
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .with_state(self);
        shutdown.spawn_server(Role::Admin, "admin", async move {
            axum::serve(listener, router).with_graceful_shutdown(last).await
        });
    }
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let (exposition, content_type) = if accept.contains("application/openmetrics-text") {
        (
            Exposition::OpenMetrics,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        )
    } else {
        (Exposition::Text, "text/plain; version=0.0.4; charset=utf-8")
    };
    ([(header::CONTENT_TYPE, content_type)], admin.metrics.encode(exposition))
}

async fn readyz(State(admin): State<Admin>) -> Response {
    let stopping = admin.shutdown.is_stopping();
    let mut report = admin.readiness.report();
    report.ready &= !stopping;
    let status = if report.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = ReadyBody {
        service: &admin.service,
        report,
        stopping,
    };
    (status, Json(body)).into_response()
}
