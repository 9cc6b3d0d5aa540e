//! Where the time comes from: injected, so that tests decide what time it is.

use jiff::Timestamp;

/// A source of wall-clock time. For durations use `std::time::Instant`, for timeouts tokio's time.
pub trait Clock: Send + Sync + std::fmt::Debug + 'static {
    /// The current time, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(feature = "testing")]
pub use fake::FakeClock;

#[cfg(feature = "testing")]
mod fake {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use jiff::Timestamp;

    use super::Clock;

    /// A clock that stands still until a test moves it. Clones show the same time. Resolution: a microsecond, which is what our records hold.
    #[derive(Clone, Debug)]
    pub struct FakeClock {
        microseconds: Arc<AtomicI64>,
    }

    impl FakeClock {
        /// A clock that shows `now`.
        #[must_use]
        pub fn at(now: Timestamp) -> Self {
            Self {
                microseconds: Arc::new(AtomicI64::new(now.as_microsecond())),
            }
        }

        /// Moves the clock forward.
        pub fn advance(&self, by: Duration) {
            let step = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
            self.microseconds.fetch_add(step, Ordering::SeqCst);
        }

        /// Sets the clock, backwards too: clocks do that.
        pub fn set(&self, now: Timestamp) {
            self.microseconds.store(now.as_microsecond(), Ordering::SeqCst);
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_microsecond(self.microseconds.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX)
        }
    }
}
