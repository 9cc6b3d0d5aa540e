//! Who is asked about, and when.

use crate::random::{Purpose, Streams};

/// One request of simulated traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// Place of the customer in the slice it was drawn for.
    pub customer: usize,
    /// When the request comes, counted from the start, in mean gaps between requests: at 200 requests a second, divide by 200 for
    /// seconds.
    pub offset: f64,
}

/// `requests` requests about `customers` customers, in order of time.
///
/// Arrivals are a Poisson process. Everybody is asked about once, in random order, before anybody is again, so that a window of as
/// many requests as there are customers shows the whole population. Empty when there are no customers.
pub fn traffic(customers: usize, requests: usize, seed: u64) -> Vec<Arrival> {
    if customers == 0 {
        return Vec::new();
    }
    let orders = Streams::new(seed, Purpose::TrafficOrder);
    let mut times = Streams::new(seed, Purpose::TrafficTimes).stream(0);
    let mut arrivals = Vec::with_capacity(requests);
    let mut order: Vec<usize> = (0..customers).collect();
    let mut offset = 0.0;
    let mut round = 0;
    while arrivals.len() < requests {
        let mut stream = orders.stream(round);
        for last in (1..customers).rev() {
            order.swap(last, stream.below(last + 1));
        }
        for customer in order.iter().copied().take(requests - arrivals.len()) {
            offset += times.exponential();
            arrivals.push(Arrival { customer, offset });
        }
        round += 1;
    }
    arrivals
}
