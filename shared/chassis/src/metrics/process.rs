//! What every process shows of itself. Read from `/proc` when scraped; where that is missing, the gauge is left out rather than shown as zero.

use std::fmt;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit as KnownUnit;

use super::{MetricsRegistry, Unit};

/// The kernel reports processor time in this many ticks a second to every program (`USER_HZ`), on all machines we run on.
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct BuildLabels {
    service: String,
    version: &'static str,
    revision: &'static str,
}

pub(super) fn register(metrics: &MetricsRegistry, service: &str) {
    let build = BuildLabels {
        service: service.to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        revision: option_env!("HOLDFAST_REVISION").unwrap_or("unknown"),
    };
    metrics
        .gauges(
            "holdfast_build_info",
            "Always 1; the labels say which service and build this is",
            Unit::None,
            [build.clone()],
        )
        .get_or_create(&build)
        .set(1);
    metrics
        .float_gauge(
            "process_start_time",
            "Start of the process since the Unix epoch in seconds",
            Unit::Seconds,
        )
        .set(start_time());
    for gauge in GAUGES {
        metrics.describe(gauge.name, gauge.help, gauge.unit, MetricType::Gauge);
    }
    metrics.describe(CPU_NAME, CPU_HELP, Unit::Seconds, MetricType::Counter);
    metrics.collector(Process);
}

/// When this process first asked: [`crate::run`] asks at once, so it is within milliseconds of the start.
pub(crate) fn start_time() -> f64 {
    static START: OnceLock<f64> = OnceLock::new();
    *START.get_or_init(|| {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64())
    })
}

struct ProcGauge {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    read: fn() -> Option<i64>,
}

const GAUGES: [ProcGauge; 3] = [
    ProcGauge {
        name: "process_resident_memory",
        help: "Resident memory of the process in bytes",
        unit: Unit::Bytes,
        read: || status_field("VmRSS:")?.checked_mul(1024),
    },
    ProcGauge {
        name: "process_threads",
        help: "Threads of the process",
        unit: Unit::None,
        read: || status_field("Threads:"),
    },
    ProcGauge {
        name: "process_open_fds",
        help: "Open file descriptors of the process",
        unit: Unit::None,
        read: || i64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok(),
    },
];

const CPU_NAME: &str = "process_cpu";
const CPU_HELP: &str = "Processor time of the process, user and system, in seconds";

/// Reads `/proc` at every scrape.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for gauge in GAUGES {
            let Some(value) = (gauge.read)() else { continue };
            let unit = gauge.unit.prometheus();
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(gauge.name, gauge.help, unit.as_ref(), MetricType::Gauge)?)?;
        }
        if let Some(seconds) = cpu_seconds() {
            let metric = ConstCounter::new(seconds);
            let unit = KnownUnit::Seconds;
            metric.encode(encoder.encode_descriptor(CPU_NAME, CPU_HELP, Some(&unit), MetricType::Counter)?)?;
        }
        Ok(())
    }
}

fn status_field(name: &str) -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may hold blanks: count from behind it. utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(") ")?;
    let ticks: Vec<u32> = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    match ticks.as_slice() {
        [user, system] => Some((f64::from(*user) + f64::from(*system)) / TICKS_PER_SECOND),
        _ => None,
    }
}
