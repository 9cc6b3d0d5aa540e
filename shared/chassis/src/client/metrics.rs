//! What the clients of a service show at `/metrics`.

use prometheus_client::encoding::EncodeLabelSet;

use crate::metrics::{Counter, Family, Gauge, MetricsRegistry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PeerLabels {
    peer: &'static str,
}

/// The metrics of all clients of one service; clones are the same ones.
#[derive(Clone, Debug)]
pub struct ClientMetrics {
    replicas: Family<PeerLabels, Gauge>,
    ejected: Family<PeerLabels, Gauge>,
    ejections: Family<PeerLabels, Counter>,
    picks: Family<PeerLabels, Counter>,
}

/// Those of one client. The default is shown to nobody.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerMetrics {
    pub(super) replicas: Gauge,
    pub(super) ejected: Gauge,
    pub(super) ejections: Counter,
    pub(super) picks: Counter,
}

impl ClientMetrics {
    /// Registers them for these peers; every series exists from now on.
    #[must_use]
    pub fn register(registry: &MetricsRegistry, peers: &[&'static str]) -> Self {
        let every = || peers.iter().map(|peer| PeerLabels { peer });
        Self {
            replicas: registry.gauges(
                "client_replicas",
                "Replicas of the services that are called, by service",
                Unit::None,
                every(),
            ),
            ejected: registry.gauges(
                "client_ejected_replicas",
                "Replicas that get no calls now, ejected or not yet reached, by service",
                Unit::None,
                every(),
            ),
            ejections: registry.counters(
                "client_ejections",
                "Replicas ejected because calls to them failed, by service",
                Unit::None,
                every(),
            ),
            picks: registry.counters(
                "client_picks",
                "Calls given to a replica, retries included, by service",
                Unit::None,
                every(),
            ),
        }
    }

    /// Those of one peer.
    pub(super) fn of(&self, peer: &'static str) -> PeerMetrics {
        let labels = PeerLabels { peer };
        PeerMetrics {
            replicas: self.replicas.get_or_create_owned(&labels),
            ejected: self.ejected.get_or_create_owned(&labels),
            ejections: self.ejections.get_or_create_owned(&labels),
            picks: self.picks.get_or_create_owned(&labels),
        }
    }
}
