//! Logs and traces of a process: one global subscriber, installed once, however many services run in the process.
//!
//! Logs are JSON or text lines on stderr. With `telemetry.otlp_endpoint` set, spans go to an OTLP collector over gRPC. Every rpc, HTTP request and
//! background task has a span with a `service` field, so a process of five services can be told apart; the OTLP resource names the process.
//!
//! Request spans live on the target [`RPC_TARGET`] at level DEBUG: without a collector they are off and cost next to nothing. With one they are on,
//! for logs too, so that log lines carry the trace id.

mod propagation;

pub use propagation::{
    TraceContext, adopt_parent, current_trace_context, current_trace_id, inject, inject_span, remote_parent,
};

pub(crate) use propagation::trace_id_of;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::settings::{LogFormat, TelemetrySettings};

/// The target of request spans.
pub const RPC_TARGET: &str = "holdfast_rpc";

/// How long one export to the collector may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a flush at the end may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Whether spans go to a collector: lets the request path skip all trace work otherwise.
static TRACING: AtomicBool = AtomicBool::new(false);

static INSTALLED: Mutex<Option<TelemetryGuard>> = Mutex::new(None);

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// This process has telemetry already; use [`init_once`] where that is fine.
    #[error("telemetry is already set up in this process")]
    AlreadyInstalled,
    /// The log filter does not parse; settings validation finds this first.
    #[error("log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter could not be built.
    #[error("otlp exporter: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Another subscriber is installed, which is not ours.
    #[error("tracing subscriber: {0}")]
    Subscriber(#[from] tracing_subscriber::util::TryInitError),
}

/// What has to be flushed before the process ends. Clones are the same guard; the process keeps one, so dropping it loses nothing.
#[derive(Clone, Debug, Default)]
pub struct TelemetryGuard {
    provider: Option<Arc<SdkTracerProvider>>,
}

impl TelemetryGuard {
    /// Sends the spans that are still held. Blocks for up to some seconds: call it outside of async code, while the runtime lives.
    pub fn flush(&self) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.force_flush()
        {
            tracing::warn!(%error, "cannot flush traces");
        }
    }

    fn close(&self) {
        if let Some(provider) = &self.provider
            && let Err(error) = provider.shutdown_with_timeout(FLUSH_TIMEOUT)
        {
            tracing::warn!(%error, "cannot flush traces");
        }
    }
}

/// Sets up logs and traces for the process `service`. Needs a tokio runtime around it when a collector is set.
///
/// # Errors
/// [`TelemetryError::AlreadyInstalled`] the second time; the other variants if a setting is wrong.
pub fn init(settings: &TelemetrySettings, service: &str) -> Result<TelemetryGuard, TelemetryError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if installed.is_some() {
        return Err(TelemetryError::AlreadyInstalled);
    }
    let guard = install(settings, service)?;
    *installed = Some(guard.clone());
    Ok(guard)
}

/// Like [`init`], but the second and later calls change nothing and return the guard of the first.
///
/// # Errors
/// Those of [`init`] but for `AlreadyInstalled`.
pub fn init_once(settings: &TelemetrySettings, service: &str) -> Result<TelemetryGuard, TelemetryError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(guard) = &*installed {
        return Ok(guard.clone());
    }
    let guard = install(settings, service)?;
    *installed = Some(guard.clone());
    Ok(guard)
}

/// Whether this process has logs to write to; before that, mains write plain text to stderr.
pub(crate) fn is_installed() -> bool {
    INSTALLED.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}

/// Sends what is left and stops exporting. For the very end of a process.
pub(crate) fn close() {
    let guard = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(guard) = guard {
        guard.close();
    }
}

/// Whether spans go to a collector.
pub(crate) fn is_tracing() -> bool {
    TRACING.load(Ordering::Relaxed)
}

fn install(settings: &TelemetrySettings, service: &str) -> Result<TelemetryGuard, TelemetryError> {
    let mut filter: EnvFilter = settings.log_filter.parse()?;
    let provider = settings
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| provider(settings, service, endpoint))
        .transpose()?;
    if provider.is_some()
        && let Ok(spans) = format!("{RPC_TARGET}=debug").parse()
    {
        filter = filter.add_directive(spans);
    }
    let traces = provider.as_ref().map(|provider| {
        // Dependencies' spans (h2, hyper, sqlx) would drown ours; so would our own exporter's.
        let ours = Targets::new()
            .with_target(RPC_TARGET, LevelFilter::DEBUG)
            .with_target("holdfast", LevelFilter::DEBUG);
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("holdfast"))
            .with_location(false)
            .with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(traces)
        .with(logs(settings.log_format, filter))
        .try_init()?;
    TRACING.store(provider.is_some(), Ordering::Relaxed);
    Ok(TelemetryGuard {
        provider: provider.map(Arc::new),
    })
}

type Subscriber = tracing_subscriber::layer::Layered<Option<Traces>, Registry>;
type Traces = tracing_subscriber::filter::Filtered<
    tracing_opentelemetry::OpenTelemetryLayer<Registry, opentelemetry_sdk::trace::SdkTracer>,
    Targets,
    Registry,
>;

fn logs(format: LogFormat, filter: EnvFilter) -> Box<dyn Layer<Subscriber> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
        LogFormat::Text => layer
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_filter(filter)
            .boxed(),
    }
}

fn provider(settings: &TelemetrySettings, service: &str, endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.namespace", "holdfast"))
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.trace_sample_ratio)));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .with_sampler(sampler)
        .build())
}
