//! Durations counted for a median and a tail: without a lock, in four kilobytes, to an eighth.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of one power of two, as a power of two.
const SUB_BITS: u32 = 3;
const SUB_BUCKETS: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB_BUCKETS;

/// Durations, counted.
#[derive(Debug)]
pub struct Latencies {
    buckets: Box<[AtomicU64]>,
    nanoseconds: AtomicU64,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LatencySummary {
    /// How many.
    pub count: u64,
    /// Their mean; zero for none.
    pub mean: Duration,
    /// Half of them took no longer.
    pub median: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            nanoseconds: AtomicU64::new(0),
        }
    }
}

impl Latencies {
    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// The summary of what was counted up to now. Quantiles are upper bounds, at most an eighth too high.
    pub fn summary(&self) -> LatencySummary {
        let counts: Vec<u64> = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let quantile = |share: f64| {
            let rank = ((count as f64 * share).ceil() as u64).max(1);
            let mut below = 0;
            let found = counts.iter().position(|here| {
                below += here;
                below >= rank
            });
            found.map_or(Duration::ZERO, |index| Duration::from_nanos(upper_bound(index)))
        };
        LatencySummary {
            count,
            mean: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed).checked_div(count).unwrap_or(0)),
            median: quantile(0.5),
            p99: quantile(0.99),
        }
    }
}

/// The power of two above the sub-bucket's bits, then these.
fn bucket(nanoseconds: u64) -> usize {
    let magnitude = (u64::BITS - nanoseconds.leading_zeros()).saturating_sub(SUB_BITS + 1);
    let sub = usize::try_from(nanoseconds >> magnitude).unwrap_or(0);
    magnitude as usize * SUB_BUCKETS + sub
}

/// The largest number of the bucket.
fn upper_bound(index: usize) -> u64 {
    if index < 2 * SUB_BUCKETS {
        return index as u64;
    }
    let magnitude = index / SUB_BUCKETS - 1;
    let sub = (SUB_BUCKETS + index % SUB_BUCKETS) as u128;
    u64::try_from(((sub + 1) << magnitude) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_lies_in_its_bucket_and_buckets_are_narrow() {
        let numbers = (0..200).chain((0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + power / 2, power.saturating_mul(2) - 1]
        }));
        for number in numbers.chain([u64::MAX]) {
            let index = bucket(number);
            let upper = upper_bound(index);
            assert!(number <= upper, "{number} in {index} up to {upper}");
            assert!(
                upper as f64 <= number as f64 * 1.125,
                "{number} in {index} up to {upper}"
            );
            assert!(index == 0 || upper_bound(index - 1) < number, "{number} in {index}");
        }
    }

    #[test]
    fn median_and_tail_are_those_of_the_durations() {
        let latencies = Latencies::default();
        assert_eq!(latencies.summary(), LatencySummary::default());
        (1..=1_000).for_each(|micros| latencies.observe(Duration::from_micros(micros)));
        let summary = latencies.summary();
        assert_eq!((summary.count, summary.mean), (1_000, Duration::from_nanos(500_500)));
        for (found, exact) in [(summary.median, 500.0), (summary.p99, 990.0)] {
            let ratio = found.as_secs_f64() * 1e6 / exact;
            assert!((1.0..1.125).contains(&ratio), "{found:?}");
        }
    }
}
