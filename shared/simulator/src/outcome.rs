//! When it becomes known who left.

use std::collections::HashSet;
use std::time::Duration;

use holdfast_domain::{Customer, CustomerKey};

use crate::random::{Purpose, Streams};

/// How late labels are, and how many never come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutcomePlan {
    /// By when most labels are known, counted from the prediction.
    pub window: Duration,
    /// Share of the labels that come later than the window, by up to four windows more (a mean of one).
    pub late_share: f64,
    /// Share of the labels that never come.
    pub never_share: f64,
}

impl Default for OutcomePlan {
    /// A window of thirty days, 10 % late, 5 % never.
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30 * 86_400),
            late_share: 0.10,
            never_share: 0.05,
        }
    }
}

/// What became of one predicted customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Place of the customer in the slice as given.
    pub customer: usize,
    /// Its key.
    pub key: CustomerKey,
    /// Whether it left.
    pub label: bool,
    /// When that becomes known, counted from the prediction.
    pub delay: Duration,
}

/// The labels of predicted customers as they become known, the earliest first.
///
/// A customer without key or label has no outcome, and one that comes several times has one. Delay and fate are drawn from the seed
/// and the key: they are the same in whatever order or batch customers come, and do not depend on the label, so a window's known
/// labels are a fair sample. Shares outside 0 to 1 are taken as the nearer end; `never_share` goes first.
pub fn outcomes(predicted: &[Customer], plan: &OutcomePlan, seed: u64) -> Vec<Outcome> {
    let streams = Streams::new(seed, Purpose::Outcomes);
    let mut seen = HashSet::with_capacity(predicted.len());
    let mut known = Vec::new();
    for (place, customer) in predicted.iter().enumerate() {
        let (Some(key), Some(label)) = (customer.key, customer.label) else {
            continue;
        };
        if !seen.insert(key) {
            continue;
        }
        let mut stream = streams.stream(key.0.cast_unsigned());
        let fate = stream.uniform();
        if fate < plan.never_share {
            continue;
        }
        let windows = if fate < plan.never_share + plan.late_share {
            1.0 + stream.exponential().min(4.0)
        } else {
            stream.uniform()
        };
        known.push(Outcome {
            customer: place,
            key,
            label,
            delay: times(plan.window, windows),
        });
    }
    known.sort_by_key(|outcome| (outcome.delay, outcome.key));
    known
}

/// Saturates instead of panicking for a window of centuries.
fn times(window: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(window.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}
