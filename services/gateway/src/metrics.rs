//! Every metric of the gateway, beside those of its HTTP server (`http_server_request_duration_seconds` and so on, by the chassis).

use holdfast_chassis::Code;
use holdfast_chassis::metrics::{Counter, EncodeLabelSet, Gauge, MetricsRegistry, Unit};

/// The services the gateway calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerName {
    /// Predictions.
    Inference,
    /// Models and champions.
    Registry,
    /// Snapshots and runs.
    Training,
    /// Drift and outcomes.
    Monitoring,
}

impl PeerName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Inference, Self::Registry, Self::Training, Self::Monitoring];

    /// The name, as labels and answers have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Registry => "registry",
            Self::Training => "training",
            Self::Monitoring => "monitoring",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerFailureLabels {
    peer: &'static str,
    code: &'static str,
}

/// The failures of one peer, by code.
#[derive(Clone, Debug)]
pub struct PeerFailures([Counter; Code::ALL.len()]);

impl PeerFailures {
    /// Counts a failure.
    pub fn count(&self, code: Code) {
        if let Some(place) = Code::ALL.iter().position(|known| *known == code) {
            self.0[place].inc();
        }
    }
}

/// The metrics; clones are the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    failures: [PeerFailures; PeerName::ALL.len()],
    /// Records refused because they break the schema.
    pub refused_records: Counter,
    /// Bytes of uploads passed on.
    pub uploaded_bytes: Counter,
    /// Runs and reproductions being followed.
    pub event_streams: Gauge,
    /// Streams of predictions under way.
    pub prediction_streams: Gauge,
    /// Records scored in streams.
    pub streamed_records: Counter,
}

impl Metrics {
    /// Registers all of them; every series exists from now on.
    pub fn register(registry: &MetricsRegistry) -> Self {
        let labels = |peer: PeerName, code: Code| PeerFailureLabels {
            peer: peer.name(),
            code: code.name(),
        };
        let every = PeerName::ALL
            .into_iter()
            .flat_map(|peer| Code::ALL.map(|code| labels(peer, code)));
        let help = "Calls to other services that failed, by service and code; retries count one by one";
        let failures = registry.counters("holdfast_gateway_peer_failures", help, Unit::None, every);
        Self {
            failures: PeerName::ALL
                .map(|peer| PeerFailures(Code::ALL.map(|code| failures.get_or_create_owned(&labels(peer, code))))),
            refused_records: registry.counter(
                "holdfast_gateway_refused_records",
                "Records to be scored that break the schema",
                Unit::None,
            ),
            uploaded_bytes: registry.counter(
                "holdfast_gateway_uploaded",
                "Bytes of uploaded tables, model files and artefacts passed on",
                Unit::Bytes,
            ),
            prediction_streams: registry.gauge(
                "holdfast_gateway_prediction_streams",
                "Streams of predictions under way",
                Unit::None,
            ),
            streamed_records: registry.counter(
                "holdfast_gateway_streamed_records",
                "Records scored in streams of predictions",
                Unit::None,
            ),
            event_streams: registry.gauge(
                "holdfast_gateway_event_streams",
                "Runs and reproductions being followed",
                Unit::None,
            ),
        }
    }

    /// The failures of one peer.
    pub fn failures_of(&self, peer: PeerName) -> PeerFailures {
        match peer {
            PeerName::Inference => self.failures[0].clone(),
            PeerName::Registry => self.failures[1].clone(),
            PeerName::Training => self.failures[2].clone(),
            PeerName::Monitoring => self.failures[3].clone(),
        }
    }
}
