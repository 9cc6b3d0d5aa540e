//! How long a connection takes to send the head of a request: hyper's own limit, watched over by one timer a connection.
//!
//! hyper makes a timer for each head and drops it when the head is there, which costs a busy connection more than reading the head. Here it notes the
//! moment instead, and [`HeadTimer::overdue`] looks at it when it could have come.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};
use tokio::time::{Instant as TokioInstant, sleep_until};

/// No head is waited for.
const NONE: u64 = 0;

/// The timer of one connection.
#[derive(Clone, Debug)]
pub(super) struct HeadTimer {
    began: Instant,
    limit: Duration,
    /// When the head that is waited for is late, in nanoseconds after `began`.
    due: Arc<AtomicU64>,
}

impl HeadTimer {
    /// The timer of a connection that begins, and whose heads may take so long.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            began: TokioInstant::now().into_std(),
            limit,
            due: Arc::new(AtomicU64::new(NONE)),
        }
    }

    /// Returns when a head is late.
    pub(super) async fn overdue(self) {
        loop {
            let now = TokioInstant::now().into_std();
            let due = match self.due.load(Ordering::Relaxed) {
                // What is waited for from now on is not late before this.
                NONE => now + self.limit,
                due => self.began + Duration::from_nanos(due),
            };
            if due <= now {
                return;
            }
            sleep_until(due.into()).await;
        }
    }

    fn note(&self, deadline: Instant) {
        let nanos = deadline.saturating_duration_since(self.began).as_nanos();
        let due = u64::try_from(nanos).unwrap_or(u64::MAX).max(NONE + 1);
        self.due.store(due, Ordering::Relaxed);
    }
}

impl Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.note(deadline);
        Box::pin(Noted(Arc::clone(&self.due)))
    }

    fn now(&self) -> Instant {
        TokioInstant::now().into_std()
    }

    fn reset(&self, _: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        self.note(deadline);
    }
}

/// A moment that is noted until this is dropped.
struct Noted(Arc<AtomicU64>);

impl Future for Noted {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Sleep for Noted {}

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.store(NONE, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    async fn is_overdue_within(timer: &HeadTimer, time: Duration) -> bool {
        tokio::time::timeout(time, timer.clone().overdue()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_late_at_its_time_and_one_that_came_never() {
        let timer = HeadTimer::new(LIMIT);
        assert!(!is_overdue_within(&timer, 5 * LIMIT).await, "nothing is waited for");
        let waiting = timer.sleep_until(timer.now() + LIMIT);
        assert!(!is_overdue_within(&timer, LIMIT - Duration::from_millis(10)).await);
        drop(waiting);
        assert!(!is_overdue_within(&timer, 5 * LIMIT).await, "it came");
        let mut waiting = timer.sleep_until(timer.now() + LIMIT);
        timer.reset(&mut waiting, timer.now() + 2 * LIMIT);
        assert!(!is_overdue_within(&timer, LIMIT + LIMIT / 2).await);
        assert!(is_overdue_within(&timer, LIMIT).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_begins_while_nothing_is_waited_for_is_seen_in_time() {
        let timer = HeadTimer::new(LIMIT);
        let began = TokioInstant::now();
        let watching = tokio::spawn(timer.clone().overdue());
        tokio::time::sleep(LIMIT / 2).await;
        let _waiting = timer.sleep_until(timer.now() + LIMIT);
        watching.await.unwrap();
        let took = began.elapsed();
        assert!(
            took >= LIMIT + LIMIT / 2 && took < LIMIT + LIMIT / 2 + Duration::from_millis(10),
            "{took:?}"
        );
    }
}
