//! The metrics of a gRPC server: every method of every service is known from the descriptors, so every series is resolved at start.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ::http::Request;
use prometheus_client::encoding::EncodeLabelSet;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Code;

use super::descriptors::MethodInfo;
use super::layers::Meter;
use crate::metrics::{Counter, Family, Gauge, Histogram, Histograms, MetricsRegistry, Unit};

/// The method of requests that no descriptor names.
const OTHER: &str = "other";

/// gRPC's codes by number.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    method: Arc<str>,
    code: &'static str,
}

/// `rpc_server_calls_total{method,code}`, `rpc_server_call_duration_seconds{method,code}`, `rpc_server_requests_in_flight`.
///
/// All counters exist from the start. Of the histograms, those with code `OK` do; the others appear with their first call, because 17 codes × 18
/// buckets × every method would make each scrape carry thousands of zeros that the counters say better.
pub(super) struct GrpcMeter {
    methods: HashMap<Box<str>, Arc<MethodSeries>>,
    other: Arc<MethodSeries>,
    in_flight: Gauge,
}

pub(super) struct MethodSeries {
    name: Arc<str>,
    server_streaming: bool,
    calls: [Counter; CODES.len()],
    durations: [OnceLock<Histogram>; CODES.len()],
    family: Histograms<CallLabels>,
    cut: CancellationToken,
}

impl GrpcMeter {
    pub(super) fn new(metrics: &MetricsRegistry, methods: &[MethodInfo], cut: &CancellationToken) -> Self {
        let calls = metrics.counters(
            "rpc_server_calls",
            "gRPC calls answered, by method and code",
            Unit::None,
            [],
        );
        let durations = metrics.histograms(
            "rpc_server_call_duration",
            "Time to answer gRPC calls, by method and code, in seconds",
            [],
        );
        let in_flight = metrics.gauge("rpc_server_requests_in_flight", "gRPC calls being answered", Unit::None);
        let series =
            |name: &str, server_streaming| Arc::new(MethodSeries::new(name, server_streaming, &calls, &durations, cut));
        Self {
            methods: methods
                .iter()
                .map(|method| {
                    (
                        format!("/{}", method.name).into_boxed_str(),
                        series(&method.name, method.server_streaming),
                    )
                })
                .collect(),
            // Unknown methods are treated as streaming: their bodies are watched to the end.
            other: series(OTHER, true),
            in_flight,
        }
    }
}

impl MethodSeries {
    fn new(
        name: &str,
        server_streaming: bool,
        calls: &Family<CallLabels, Counter>,
        durations: &Histograms<CallLabels>,
        cut: &CancellationToken,
    ) -> Self {
        let name: Arc<str> = Arc::from(name);
        let labels = |code| CallLabels {
            method: name.clone(),
            code,
        };
        let series = Self {
            calls: CODES.map(|code| calls.get_or_create_owned(&labels(code))),
            durations: CODES.map(|_| OnceLock::new()),
            family: durations.clone(),
            server_streaming,
            cut: cut.clone(),
            name: name.clone(),
        };
        series.duration(Code::Ok as usize);
        series
    }

    fn duration(&self, code: usize) -> &Histogram {
        self.durations[code].get_or_init(|| {
            self.family.get_or_create_owned(&CallLabels {
                method: self.name.clone(),
                code: CODES[code],
            })
        })
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.server_streaming
    }

    /// Waits until the grace period of a shutdown is over.
    pub(super) fn cut(&self) -> WaitForCancellationFutureOwned {
        self.cut.clone().cancelled_owned()
    }
}

impl Meter for GrpcMeter {
    type Series = Arc<MethodSeries>;

    const CANCELLED: u16 = Code::Cancelled as u16;
    const PANICKED: u16 = Code::Internal as u16;

    fn series<B>(&self, request: &Request<B>) -> Self::Series {
        self.methods.get(request.uri().path()).unwrap_or(&self.other).clone()
    }

    fn in_flight(&self) -> &Gauge {
        &self.in_flight
    }

    fn record(series: &Self::Series, outcome: u16, elapsed: Duration) {
        let code = usize::from(outcome).min(CODES.len() - 1);
        series.calls[code].inc();
        series.duration(code).observe(elapsed);
    }

    fn label(series: &Self::Series) -> String {
        series.name.as_ref().to_owned()
    }
}
