//! Metrics of one service: a registry with naming rules, in which every series exists from the start, so that a dashboard shows zero and not a gap.
//!
//! Names: `holdfast_<service>_<what>` for a service's own metrics, without unit and without `_total`; the [`Unit`] and the type add those. Labels are
//! typed, of bounded cardinality, and listed in full when a family is made. On a hot path, resolve a family's members once
//! (`family.get_or_create_owned(&labels)`) and keep them.

mod histogram;
mod process;
mod text;

pub use histogram::{Histogram, LATENCY_BOUNDS};
pub(crate) use process::start_time;
pub use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text as openmetrics;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry};

/// What a metric counts, as the suffix of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Things: no suffix.
    None,
    /// `_seconds`
    Seconds,
    /// `_bytes`
    Bytes,
    /// `_ratio`, between 0 and 1
    Ratio,
    /// `_rows`
    Rows,
}

/// The labels of a family.
pub trait Labels: EncodeLabelSet + Clone + Debug + Hash + Eq + Send + Sync + 'static {}

impl<T: EncodeLabelSet + Clone + Debug + Hash + Eq + Send + Sync + 'static> Labels for T {}

/// A gauge that holds a fraction.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// A family of histograms, made by [`MetricsRegistry::histograms`].
pub type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// One metric in the list of all metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricDescription {
    /// The name as queries write it, with unit, and `_total` for counters.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it counts.
    pub help: String,
}

/// The metrics of one service, shown by its admin server.
#[derive(Debug)]
pub struct MetricsRegistry {
    registry: Mutex<Registry>,
    described: Mutex<Vec<MetricDescription>>,
}

/// The two formats that `/metrics` speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0, what Prometheus asks for.
    OpenMetrics,
    /// The Prometheus text format 0.0.4, what `promtool check metrics` and people's `curl` understand.
    Text,
}

impl MetricsRegistry {
    /// A registry for `service` with the metrics that every service has: `holdfast_build_info`, `process_start_time_seconds`,
    /// `process_resident_memory_bytes`, `process_cpu_seconds_total`, `process_open_fds`, `process_threads`.
    #[must_use]
    pub fn new(service: &str) -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::default()),
            described: Mutex::default(),
        };
        process::register(&metrics, service);
        metrics
    }

    /// A counter.
    pub fn counter(&self, name: &str, help: &str, unit: Unit) -> Counter {
        self.register(name, help, unit, Counter::default())
    }

    /// A gauge of whole numbers.
    pub fn gauge(&self, name: &str, help: &str, unit: Unit) -> Gauge {
        self.register(name, help, unit, Gauge::default())
    }

    /// A gauge of fractions.
    pub fn float_gauge(&self, name: &str, help: &str, unit: Unit) -> FloatGauge {
        self.register(name, help, unit, FloatGauge::default())
    }

    /// A histogram of durations in seconds, with [`LATENCY_BOUNDS`].
    pub fn histogram(&self, name: &str, help: &str) -> Histogram {
        self.register(name, help, Unit::Seconds, Histogram::default())
    }

    /// A histogram of durations in seconds with its own bucket bounds.
    pub fn histogram_with(&self, name: &str, help: &str, bounds: &'static [Duration]) -> Histogram {
        self.register(name, help, Unit::Seconds, Histogram::with_bounds(bounds))
    }

    /// Counters by label; `every` lists all label values, so that every series exists from now on.
    pub fn counters<L: Labels>(
        &self,
        name: &str,
        help: &str,
        unit: Unit,
        every: impl IntoIterator<Item = L>,
    ) -> Family<L, Counter> {
        self.register(name, help, unit, initialised(Family::default(), every))
    }

    /// Gauges by label; `every` lists all label values.
    pub fn gauges<L: Labels>(
        &self,
        name: &str,
        help: &str,
        unit: Unit,
        every: impl IntoIterator<Item = L>,
    ) -> Family<L, Gauge> {
        self.register(name, help, unit, initialised(Family::default(), every))
    }

    /// Gauges of fractions by label; `every` lists all label values.
    pub fn float_gauges<L: Labels>(
        &self,
        name: &str,
        help: &str,
        unit: Unit,
        every: impl IntoIterator<Item = L>,
    ) -> Family<L, FloatGauge> {
        self.register(name, help, unit, initialised(Family::default(), every))
    }

    /// Histograms of durations by label; `every` lists all label values.
    pub fn histograms<L: Labels>(&self, name: &str, help: &str, every: impl IntoIterator<Item = L>) -> Histograms<L> {
        let family = Family::new_with_constructor(Histogram::default as fn() -> Histogram);
        self.register(name, help, Unit::Seconds, initialised(family, every))
    }

    /// Any other metric of `prometheus-client`. Names must be unique in a registry; a second one would be shown twice and refused by the scraper.
    pub fn register<M: Metric + Clone>(&self, name: &str, help: &str, unit: Unit, metric: M) -> M {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.describe(name, help, unit, metric.metric_type());
        match unit.prometheus() {
            Some(unit) => registry.register_with_unit(name, help, unit, metric.clone()),
            None => registry.register(name, help, metric.clone()),
        }
        metric
    }

    /// The metrics as `/metrics` shows them.
    #[must_use]
    pub fn encode(&self, exposition: Exposition) -> String {
        let mut text = String::with_capacity(16 * 1024);
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing into a String cannot fail.
        let _ = openmetrics::encode(&mut text, &registry);
        match exposition {
            Exposition::OpenMetrics => text,
            Exposition::Text => text::from_openmetrics(&text),
        }
    }

    /// Every metric by name: what the committed list of metrics is generated from.
    #[must_use]
    pub fn descriptions(&self) -> Vec<MetricDescription> {
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner).clone();
        described.sort();
        described
    }

    fn collector(&self, collector: impl Collector) {
        self.registry
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .register_collector(Box::new(collector));
    }

    fn describe(&self, name: &str, help: &str, unit: Unit, metric_type: MetricType) {
        let kind = match metric_type {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Info => "info",
            MetricType::Unknown => "unknown",
        };
        let total = if kind == "counter" { "_total" } else { "" };
        let description = MetricDescription {
            name: format!("{name}{}{total}", unit.suffix()),
            kind,
            help: help.to_owned(),
        };
        self.described
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(description);
    }
}

impl Unit {
    fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Seconds => "_seconds",
            Self::Bytes => "_bytes",
            Self::Ratio => "_ratio",
            Self::Rows => "_rows",
        }
    }

    fn prometheus(self) -> Option<prometheus_client::registry::Unit> {
        use prometheus_client::registry::Unit as Known;
        match self {
            Self::None => None,
            Self::Seconds => Some(Known::Seconds),
            Self::Bytes => Some(Known::Bytes),
            Self::Ratio => Some(Known::Other("ratio".to_owned())),
            Self::Rows => Some(Known::Other("rows".to_owned())),
        }
    }
}

fn initialised<L, M, C>(family: Family<L, M, C>, every: impl IntoIterator<Item = L>) -> Family<L, M, C>
where
    L: Labels,
    C: prometheus_client::metrics::family::MetricConstructor<M>,
{
    for labels in every {
        drop(family.get_or_create(&labels));
    }
    family
}
