//! The deadline of the request being served, so that calls made for it give up when nobody waits any more.
//!
//! It lives in a thread-local set while the request's future is polled: no allocation, no lookup. Tasks spawned by a handler do not inherit it.

use std::cell::Cell;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;

thread_local! {
    static CURRENT: Cell<Option<Instant>> = const { Cell::new(None) };
    /// Whether what was polled last waits for nothing but its turn.
    static STEPPED_ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// When the request being served must be answered; `None` outside of a request.
#[must_use]
pub fn current() -> Option<Instant> {
    CURRENT.get()
}

/// How much time the request being served has left, zero if it is late; `None` outside of a request.
#[must_use]
pub fn remaining() -> Option<Duration> {
    current().map(|at| at.saturating_duration_since(Instant::now()))
}

/// Lets everything go first that is ready on this thread. Whoever watches over a deadline makes no timer for it: the task has its turn again at once.
pub async fn step_aside() {
    let mut turn = pin!(tokio::task::yield_now());
    poll_fn(|cx| {
        let polled = turn.as_mut().poll(cx);
        STEPPED_ASIDE.set(polled.is_pending());
        polled
    })
    .await;
}

/// Forgets who stepped aside, before something is polled.
pub(crate) fn before_poll() {
    STEPPED_ASIDE.set(false);
}

/// Whether what was polled since [`before_poll`] stepped aside, and so is polled again at once.
pub(crate) fn stepped_aside() -> bool {
    STEPPED_ASIDE.get()
}

/// Makes `at` the current deadline until the guard goes. An earlier deadline around it stays in force.
pub(crate) fn enter(at: Instant) -> Scope {
    let outer = CURRENT.get();
    CURRENT.set(Some(outer.map_or(at, |outer| outer.min(at))));
    Scope { outer }
}

pub(crate) struct Scope {
    outer: Option<Instant>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
    }
}

/// The name of the header in which gRPC callers send their deadline.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";

/// Reads a `grpc-timeout`: up to eight digits and a unit (`H`, `M`, `S`, `m`, `u`, `n`). Anything else is no deadline.
pub(crate) fn parse_grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Writes a `grpc-timeout` in milliseconds, rounded up, capped at the eight digits that the protocol allows (27 hours).
pub(crate) fn format_grpc_timeout(timeout: Duration) -> String {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(99_999_999);
    format!("{millis}m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_of_grpc_timeout_is_understood() {
        assert_eq!(parse_grpc_timeout("2H"), Some(Duration::from_secs(7200)));
        assert_eq!(parse_grpc_timeout("1M"), Some(Duration::from_secs(60)));
        assert_eq!(parse_grpc_timeout("3S"), Some(Duration::from_secs(3)));
        assert_eq!(parse_grpc_timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(parse_grpc_timeout("9u"), Some(Duration::from_micros(9)));
        assert_eq!(parse_grpc_timeout("00000001n"), Some(Duration::from_nanos(1)));
    }

    #[test]
    fn nonsense_is_no_deadline() {
        for text in ["", "m", "10", "-1S", "+1S", "123456789S", "1.5S", "1s", "1é"] {
            assert_eq!(parse_grpc_timeout(text), None, "{text}");
        }
    }

    #[test]
    fn a_written_timeout_is_read_back_rounded_up() {
        assert_eq!(format_grpc_timeout(Duration::from_micros(1_001)), "2m");
        assert_eq!(
            parse_grpc_timeout(&format_grpc_timeout(Duration::MAX)),
            Some(Duration::from_millis(99_999_999))
        );
    }
}
