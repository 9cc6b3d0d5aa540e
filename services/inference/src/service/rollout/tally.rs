//! What both versions did during a rollout, and when it is too much.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdfast_records::rollout::Limits;

use super::latency::{Latencies, LatencySummary};

/// Upper bounds of the buckets of absolute differences; a probability differs by at most 1.
pub const DELTA_BOUNDS: [f64; 10] = [0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 1.0];

/// Which limit a challenger broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// It failed to score too many requests.
    Errors,
    /// It was too slow.
    Latency,
}

/// What one version did.
#[derive(Debug, Default)]
pub struct Side {
    errors: AtomicU64,
    latencies: Latencies,
}

/// The same, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SideSummary {
    /// Requests scored, or failed.
    pub requests: u64,
    /// Requests failed.
    pub errors: u64,
    /// Times of those scored.
    pub latency: LatencySummary,
}

/// How the scores differ.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Deltas {
    /// Rows compared.
    pub rows: u64,
    /// Sum of the absolute differences.
    pub absolute_sum: f64,
    /// Rows labelled differently.
    pub label_flips: u64,
    /// Rows by [`DELTA_BOUNDS`].
    pub buckets: [u64; DELTA_BOUNDS.len()],
}

impl Deltas {
    /// Counts a row.
    pub fn add(&mut self, delta: f64, flipped: bool) {
        let delta = delta.abs();
        let bucket = DELTA_BOUNDS.iter().position(|bound| delta <= *bound);
        self.buckets[bucket.unwrap_or(DELTA_BOUNDS.len() - 1)] += 1;
        self.rows += 1;
        self.absolute_sum += delta;
        self.label_flips += u64::from(flipped);
    }

    fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.absolute_sum += other.absolute_sum;
        self.label_flips += other.label_flips;
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
    }

    /// Mean absolute difference; 0 without rows.
    pub fn mean_absolute(&self) -> f64 {
        if self.rows == 0 {
            0.0
        } else {
            self.absolute_sum / self.rows as f64
        }
    }
}

impl Side {
    /// Counts a request that was scored in this time.
    pub fn scored(&self, took: Duration) {
        self.latencies.observe(took);
    }

    /// Counts a request that could not be scored.
    pub fn failed(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn summary(&self) -> SideSummary {
        let (errors, latency) = (self.errors.load(Ordering::Relaxed), self.latencies.summary());
        SideSummary {
            requests: errors + latency.count,
            errors,
            latency,
        }
    }
}

/// The tally of one rollout on this replica.
#[derive(Debug, Default)]
pub struct Tally {
    /// The champion.
    pub champion: Side,
    /// The version on trial.
    pub challenger: Side,
    /// Requests that were not compared because too many waited.
    skipped: AtomicU64,
    deltas: Mutex<Deltas>,
    /// 0 while no limit is broken.
    broken: AtomicU8,
}

impl Tally {
    /// The limit that was broken, if one was. What a request looks at.
    pub fn broken(&self) -> Option<Broken> {
        match self.broken.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Broken::Errors),
            _ => Some(Broken::Latency),
        }
    }

    /// Judges what was counted. The first verdict stands; it is answered to the caller that found it, and to nobody else.
    pub fn judge(&self, limits: &Limits) -> Option<Broken> {
        let found = judge(limits, &self.champion.summary(), &self.challenger.summary())?;
        let code = match found {
            Broken::Errors => 1,
            Broken::Latency => 2,
        };
        let first = self
            .broken
            .compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire);
        first.is_ok().then_some(found)
    }

    /// Counts a request that was not compared.
    pub fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that were not compared.
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Counts the rows of a request.
    pub fn compared(&self, deltas: &Deltas) {
        self.deltas.lock().unwrap_or_else(PoisonError::into_inner).merge(deltas);
    }

    /// How the scores differ up to now.
    pub fn deltas(&self) -> Deltas {
        *self.deltas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a limit is broken.
///
/// Errors: more than `max_error_rate` of the challenger's requests, of which `min_requests` are assumed until there are as
/// many: what so many could not make good is judged at once. Latency: both versions have scored `min_requests`, and the
/// challenger's median is above `max_latency_ratio` times the champion's. Medians, because one request that the machine held
/// up must not end a trial.
pub fn judge(limits: &Limits, champion: &SideSummary, challenger: &SideSummary) -> Option<Broken> {
    let allowed = limits.max_error_rate * challenger.requests.max(limits.min_requests) as f64;
    if challenger.errors as f64 > allowed {
        return Some(Broken::Errors);
    }
    let enough = challenger.latency.count.min(champion.latency.count) >= limits.min_requests;
    let slowest = champion.latency.median.as_secs_f64() * limits.max_latency_ratio;
    (enough && challenger.latency.median.as_secs_f64() > slowest).then_some(Broken::Latency)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_error_rate: 0.01,
        max_latency_ratio: 3.0,
        min_requests: 200,
    };

    fn side(requests: u64, errors: u64, median_us: u64) -> SideSummary {
        SideSummary {
            requests,
            errors,
            latency: LatencySummary {
                count: requests - errors,
                median: Duration::from_micros(median_us),
                ..LatencySummary::default()
            },
        }
    }

    #[test]
    fn errors_are_judged_at_once_when_the_least_requests_could_not_make_them_good() {
        let champion = side(5_000, 0, 10);
        for (requests, errors, expected) in [
            (2, 2, None),
            (3, 3, Some(Broken::Errors)),
            (200, 2, None),
            (200, 3, Some(Broken::Errors)),
            (1_000, 10, None),
            (1_000, 11, Some(Broken::Errors)),
        ] {
            let found = judge(&LIMITS, &champion, &side(requests, errors, 10));
            assert_eq!(found, expected, "{errors} of {requests}");
        }
        let none_allowed = Limits {
            max_error_rate: 0.0,
            ..LIMITS
        };
        assert_eq!(judge(&none_allowed, &champion, &side(1, 1, 0)), Some(Broken::Errors));
    }

    #[test]
    fn latency_is_judged_when_both_have_scored_enough() {
        for (champion, challenger, expected) in [
            (side(200, 0, 10), side(200, 0, 31), Some(Broken::Latency)),
            (side(200, 0, 10), side(200, 0, 30), None),
            (side(199, 0, 10), side(200, 0, 900), None),
            (side(200, 0, 10), side(199, 0, 900), None),
        ] {
            assert_eq!(judge(&LIMITS, &champion, &challenger), expected);
        }
    }

    #[test]
    fn the_first_verdict_stands_and_is_told_once() {
        let tally = Tally::default();
        (0..3).for_each(|_| tally.challenger.failed());
        assert_eq!(tally.broken(), None);
        assert_eq!(tally.judge(&LIMITS), Some(Broken::Errors));
        assert_eq!(tally.judge(&LIMITS), None);
        assert_eq!(tally.broken(), Some(Broken::Errors));
    }

    #[test]
    fn differences_fall_into_their_buckets() {
        let mut deltas = Deltas::default();
        for (delta, flipped) in [(0.0, false), (-0.001, false), (0.03, true), (-1.0, true)] {
            deltas.add(delta, flipped);
        }
        let tally = Tally::default();
        tally.compared(&deltas);
        tally.compared(&deltas);
        let found = tally.deltas();
        assert_eq!(found.buckets, [2, 2, 0, 0, 0, 0, 2, 0, 0, 2]);
        assert_eq!((found.rows, found.label_flips), (8, 4));
        assert!((found.mean_absolute() - 1.031 / 4.0).abs() < 1e-12);
    }
}
