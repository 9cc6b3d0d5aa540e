//! Retries: only what is retryable, within attempts, budget, jitter and deadline. Time is tokio's, paused.

use std::cell::Cell;
use std::time::Duration;

use holdfast_chassis::client::retry::{RetryPolicy, idempotent};
use holdfast_chassis::settings::RetrySettings;
use holdfast_chassis::{Code, Fault};
use tokio::time::Instant;

fn settings() -> RetrySettings {
    RetrySettings {
        max_attempts: 4,
        initial_backoff_ms: 100,
        max_backoff_ms: 1000,
        budget_ratio: 0.1,
    }
}

async fn attempts(policy: &RetryPolicy, fault: Fault) -> u32 {
    let made = Cell::new(0);
    let outcome: Result<(), Fault> = idempotent(policy, || {
        made.set(made.get() + 1);
        let fault = fault.clone();
        async { Err(fault) }
    })
    .await;
    assert_eq!(outcome.unwrap_err(), fault);
    made.get()
}

#[tokio::test(start_paused = true)]
async fn only_what_is_retryable_is_tried_again() {
    for code in Code::ALL {
        let policy = RetryPolicy::new(&settings());
        let expected = if code == Code::Unavailable { 4 } else { 1 };
        assert_eq!(attempts(&policy, Fault::new(code, "X", "x")).await, expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_server_is_tried_again_only_when_it_said_when() {
    let policy = RetryPolicy::new(&settings());
    let full = Fault::new(Code::ResourceExhausted, "FULL", "full").retry_after(Duration::from_secs(7));
    let started = Instant::now();
    assert_eq!(attempts(&policy, full).await, 4);
    assert_eq!(started.elapsed().as_secs(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_success_after_failures_is_a_success() {
    let policy = RetryPolicy::new(&settings());
    let made = Cell::new(0);
    let value = idempotent(&policy, || {
        made.set(made.get() + 1);
        let attempt = made.get();
        async move {
            if attempt < 3 {
                Err(tonic::Status::unavailable("not yet"))
            } else {
                Ok(attempt)
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(value, 3);
}

#[tokio::test(start_paused = true)]
async fn the_budget_ends_retries_when_everything_fails() {
    let policy = RetryPolicy::new(&RetrySettings {
        max_attempts: 2,
        ..settings()
    });
    let mut retries = 0;
    for _ in 0..100 {
        retries += attempts(&policy.clone(), Fault::unavailable("X", "x")).await - 1;
    }
    // Ten saved up, and a tenth of each of the hundred calls but those made while the bucket was full.
    assert!((15..=20).contains(&retries), "{retries}");
}

#[tokio::test]
async fn waits_grow_are_jittered_and_stay_below_the_limit() {
    let policy = RetryPolicy::new(&settings());
    let waits: Vec<Duration> = policy.waits().take(50).collect();
    assert!(waits[0] <= Duration::from_millis(100), "{waits:?}");
    assert!(
        waits.iter().all(|wait| *wait <= Duration::from_millis(1000)),
        "{waits:?}"
    );
    assert!(waits[40..].iter().any(|wait| *wait != waits[49]), "{waits:?}");
    assert_eq!(waits.len(), 50);
}
