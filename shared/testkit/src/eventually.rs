//! Waiting for something to become true, as tests do instead of sleeping.

use std::time::Duration;

use tokio::time::{Instant, sleep};

const INTERVAL: Duration = Duration::from_millis(5);

/// Asks `condition` again and again until it holds.
///
/// # Panics
/// When it does not within `timeout`; the message says `what` was waited for. A condition that hangs is cut off as well.
#[track_caller]
pub fn eventually<F: AsyncFnMut() -> bool>(
    what: &str,
    timeout: Duration,
    mut condition: F,
) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        wait(what, timeout, caller, async || condition().await.then_some(())).await;
    }
}

/// Asks `value` again and again until it is there, and answers it.
///
/// # Panics
/// As [`eventually`].
#[track_caller]
pub fn eventually_some<T, F: AsyncFnMut() -> Option<T>>(
    what: &str,
    timeout: Duration,
    value: F,
) -> impl Future<Output = T> {
    wait(what, timeout, std::panic::Location::caller(), value)
}

async fn wait<T>(
    what: &str,
    timeout: Duration,
    caller: &std::panic::Location<'_>,
    mut value: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + timeout;
    let asked = async {
        loop {
            if let Some(value) = value().await {
                return value;
            }
            sleep(INTERVAL).await;
        }
    };
    match tokio::time::timeout_at(deadline, asked).await {
        Ok(value) => value,
        Err(_) => panic!("waited {timeout:?} in vain for {what} (at {caller})"),
    }
}
