//! Retries of calls that are safe to repeat: only what is retryable, with jitter, within the caller's deadline and a budget.
//!
//! The budget keeps retries from finishing off a peer in trouble: every call made puts [`RetrySettings::budget_ratio`] of a token into a bucket, every
//! retry takes one out; with the bucket empty, the first failure is final. It starts full, so that a rare call may retry, too.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tonic::Status;

use crate::deadline;
use crate::error::{Code, Fault};
use crate::settings::RetrySettings;

/// How many retries the budget can save up.
const BUDGET_TOKENS: u64 = 10;

/// Tokens are counted in thousandths.
const TOKEN: u64 = 1000;

/// When to retry, how long to wait, how often. One per peer: clones share the budget.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    deposit: u64,
    tokens: Arc<AtomicU64>,
}

/// A failure that knows whether trying again may help.
pub trait Retryable {
    /// Whether the same call may succeed later, nothing else changed.
    fn is_retryable(&self) -> bool;

    /// How long the other side asked to wait.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

impl Retryable for Fault {
    /// `UNAVAILABLE`, and `RESOURCE_EXHAUSTED` if the server said when to come back.
    fn is_retryable(&self) -> bool {
        self.code.is_retryable() || (self.code == Code::ResourceExhausted && self.retry_after.is_some())
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl Retryable for Status {
    fn is_retryable(&self) -> bool {
        Fault::from_status(self).is_retryable()
    }

    fn retry_after(&self) -> Option<Duration> {
        Fault::from_status(self).retry_after
    }
}

impl Retryable for holdfast_storage::Error {
    fn is_retryable(&self) -> bool {
        holdfast_storage::Error::is_retryable(self)
    }
}

impl RetryPolicy {
    /// The policy of the settings, with a budget of its own.
    #[must_use]
    pub fn new(settings: &RetrySettings) -> Self {
        // At most a token per call, so that the product is small and exact enough as an integer.
        let deposit = (settings.budget_ratio.clamp(0.0, 1.0) * TOKEN as f64).round() as u64;
        Self {
            max_attempts: settings.max_attempts.max(1),
            initial_backoff: Duration::from_millis(settings.initial_backoff_ms),
            max_backoff: Duration::from_millis(settings.max_backoff_ms),
            deposit,
            tokens: Arc::new(AtomicU64::new(BUDGET_TOKENS * TOKEN)),
        }
    }

    /// Endless waits for loops that must come back whatever happens (subscriptions, polls), with the same jitter.
    pub fn waits(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let (initial, most) = (self.initial_backoff, self.max_backoff);
        // Jitter of backon adds up to the wait itself; half the settings make the settings the longest wait.
        ExponentialBuilder::default()
            .with_min_delay(initial / 2)
            .with_max_delay(most / 2)
            .with_jitter()
            .without_max_times()
            .build()
    }

    fn deposit(&self) {
        let full = BUDGET_TOKENS * TOKEN;
        let _ = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| {
                Some((tokens + self.deposit).min(full))
            });
    }

    fn withdraw(&self) -> bool {
        let withdrawn = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| tokens.checked_sub(TOKEN));
        withdrawn.is_ok()
    }
}

/// Makes a call that is safe to repeat, again if it fails in a retryable way.
///
/// # Errors
/// The last failure: not retryable, attempts or budget used up, or the wait would pass the deadline of the request being served.
pub async fn idempotent<T, E, F, Fut>(policy: &RetryPolicy, mut call: F) -> Result<T, E>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
    E: Retryable,
{
    policy.deposit();
    let mut waits = policy.waits();
    let mut attempts = 1;
    loop {
        let error = match call().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if !error.is_retryable() || attempts >= policy.max_attempts || !policy.withdraw() {
            return Err(error);
        }
        attempts += 1;
        let asked = error.retry_after().unwrap_or_default();
        let wait = waits.next().unwrap_or(policy.max_backoff).max(asked);
        if deadline::remaining().is_some_and(|left| left <= wait) {
            return Err(error);
        }
        tokio::time::sleep(wait).await;
    }
}
