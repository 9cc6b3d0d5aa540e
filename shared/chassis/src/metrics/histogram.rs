//! A histogram of durations without a lock: one atomic addition per observation and counter, whatever the load.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Bucket bounds for requests: from 50 µs, about what a prediction takes, to 10 s, the usual deadline.
pub const LATENCY_BOUNDS: &[Duration] = &[
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A histogram of durations, exported in seconds. Clones are the same histogram.
///
/// Count and sum are read one after the other while others write, so one scrape may show a count that is ahead of the sum by the observations of
/// that instant; the next scrape has caught up.
#[derive(Clone)]
pub struct Histogram {
    shared: Arc<Shared>,
}

struct Shared {
    bounds: &'static [Duration],
    /// One per bound, and the last for everything above.
    buckets: Box<[AtomicU64]>,
    /// Nanoseconds: 584 years fit.
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram with its own bounds, ascending.
    #[must_use]
    pub fn with_bounds(bounds: &'static [Duration]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self {
            shared: Arc::new(Shared {
                bounds,
                buckets,
                sum: AtomicU64::new(0),
            }),
        }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let shared = &*self.shared;
        let bucket = shared
            .bounds
            .iter()
            .position(|bound| duration <= *bound)
            .unwrap_or(shared.bounds.len());
        shared.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        shared.sum.fetch_add(
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shared
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .sum()
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::with_bounds(LATENCY_BOUNDS)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let bounds = self
            .shared
            .bounds
            .iter()
            .map(Duration::as_secs_f64)
            .chain([f64::INFINITY]);
        let counts = self.shared.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let sum = Duration::from_nanos(self.shared.sum.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_to_the_bucket_below() {
        const BOUNDS: &[Duration] = &[Duration::from_millis(1), Duration::from_millis(2)];
        let histogram = Histogram::with_bounds(BOUNDS);
        for millis in [0, 1, 2, 3] {
            histogram.observe(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = histogram
            .shared
            .buckets
            .iter()
            .map(|bucket| bucket.load(Ordering::Relaxed))
            .collect();
        assert_eq!(counts, [2, 1, 1]);
        assert_eq!(histogram.count(), 4);
    }
}
