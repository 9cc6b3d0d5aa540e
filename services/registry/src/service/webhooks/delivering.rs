//! Claims deliveries that are due, attempts them, and settles how it went.

use std::time::{Duration, Instant};

use holdfast_chassis::{JOIN_DEADLINE, Shutdown};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::{ClaimRules, Claimed, DeliveryState, Message, Settled, Webhooks};
use crate::error::Result;
use crate::metrics::{AttemptOutcome, DeliveryLabels, DeliveryOutcome};

/// How much longer a claim is good than an attempt may take: for the database, and for clocks of registries that differ.
const SPARE: Duration = Duration::from_secs(50);
/// A pause is longer by up to this share, so that what failed together is not tried again together.
const JITTER: f64 = 0.2;
/// How often the log is pruned, and how much of it in one transaction.
const PRUNED_EVERY: Duration = Duration::from_secs(600);
const PRUNED_AT_ONCE: u32 = 1_000;
/// What shutdown leaves for attempts under way.
const LAST_MOMENTS: Duration = JOIN_DEADLINE.saturating_sub(Duration::from_secs(1));

impl Webhooks {
    /// Delivers until shutdown. Attempts under way may then end; the claims of those that do not run out by themselves.
    pub async fn deliver_all(self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.settings.poll_interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = shutdown.stopping_token();
        let mut attempts = JoinSet::new();
        let mut pruned: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stopping.cancelled() => break,
                () = self.due.notified() => {}
                Some(_) = attempts.join_next() => {}
                _ = ticks.tick() => {
                    self.observe().await;
                    if pruned.is_none_or(|last| last.elapsed() >= PRUNED_EVERY) {
                        pruned = Some(Instant::now());
                        self.prune().await;
                    }
                }
            }
            while attempts.try_join_next().is_some() {}
            let free = self.settings.max_concurrent.saturating_sub(attempts.len());
            for claimed in self.claim(free).await {
                let webhooks = self.clone();
                attempts.spawn(async move { webhooks.deliver(claimed).await });
            }
        }
        let last = async { while attempts.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(LAST_MOMENTS, last).await;
    }

    async fn claim(&self, free: usize) -> Vec<Claimed> {
        let Ok(limit @ 1..) = u32::try_from(free) else {
            return Vec::new();
        };
        let rules = ClaimRules {
            now: self.clock.now(),
            lease: signed(self.sender.deadline() + SPARE),
            longest_pause: signed(self.longest_pause()),
            limit,
        };
        let claimed = self.store.claim_deliveries(&rules).await;
        claimed.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "deliveries cannot be claimed, webhooks wait");
            Vec::new()
        })
    }

    /// One attempt and its end.
    async fn deliver(&self, claimed: Claimed) {
        let message = Message {
            url: &claimed.url,
            convention: claimed.convention,
            secret: claimed.secret.as_ref(),
            delivery_id: &claimed.delivery_id,
            body: &claimed.body,
        };
        let attempted = self.attempt(&message).await;
        let (state, next_attempt_at) = match attempted.outcome {
            AttemptOutcome::Delivered => (DeliveryState::Delivered, None),
            _ => match self.pause(claimed.attempts) {
                Some(pause) => (DeliveryState::Pending, Some(later(self.clock.now(), pause))),
                None => (DeliveryState::Failed, None),
            },
        };
        let settled = Settled {
            delivery_id: claimed.delivery_id,
            claim: claimed.claim,
            state,
            http_status: attempted.http_status,
            error: attempted.error,
            next_attempt_at,
        };
        match self.store.settle_delivery(&settled).await {
            Ok(true) => self.tell(&claimed.webhook_id, &settled, claimed.attempts),
            Ok(false) => tracing::info!(
                webhook = claimed.webhook_id,
                delivery = settled.delivery_id,
                "delivery was settled by another, or its webhook is gone"
            ),
            // Its claim runs out, and it is made again under the same id.
            Err(error) => tracing::warn!(
                webhook = claimed.webhook_id,
                delivery = settled.delivery_id,
                error = &error as &dyn std::error::Error,
                "delivery cannot be settled, it will be made again"
            ),
        }
    }

    fn tell(&self, webhook: &str, settled: &Settled, attempts: u32) {
        let (delivery, error) = (settled.delivery_id.as_str(), settled.error.as_str());
        let outcome = match settled.state {
            DeliveryState::Pending => {
                tracing::info!(
                    webhook,
                    delivery,
                    attempts,
                    error,
                    "delivery failed, it will be tried again"
                );
                return;
            }
            DeliveryState::Delivered => {
                tracing::info!(webhook, delivery, attempts, "delivery made");
                DeliveryOutcome::Delivered
            }
            DeliveryState::Failed => {
                tracing::warn!(webhook, delivery, attempts, error, "delivery given up");
                DeliveryOutcome::GivenUp
            }
        };
        let labels = DeliveryLabels { outcome };
        self.metrics.webhook_deliveries.get_or_create(&labels).inc();
    }

    /// The pause after this many failed attempts; none when they are used up.
    fn pause(&self, attempts: u32) -> Option<Duration> {
        let place = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let pause = Duration::from_millis(*self.settings.retry_pauses_ms.get(place)?);
        Some(pause.mul_f64(1.0 + JITTER * fraction()))
    }

    fn longest_pause(&self) -> Duration {
        let longest = self.settings.retry_pauses_ms.iter().copied().max().unwrap_or(0);
        Duration::from_millis(longest).mul_f64(1.0 + JITTER)
    }

    async fn observe(&self) {
        // The next look will tell.
        let Ok(backlog) = self.store.backlog().await else {
            return;
        };
        let waiting = i64::try_from(backlog.waiting).unwrap_or(i64::MAX);
        self.metrics.webhook_waiting.set(waiting);
        let age = backlog
            .oldest
            .map_or(0, |oldest| self.clock.now().duration_since(oldest).as_secs());
        self.metrics.webhook_oldest.set(age.max(0));
    }

    async fn prune(&self) {
        let days = i64::from(self.settings.log_days);
        let Ok(before) = self.clock.now().checked_sub(SignedDuration::from_hours(24 * days)) else {
            return;
        };
        let pruned = self.prune_before(before).await;
        match pruned {
            Ok(0) => {}
            Ok(pruned) => tracing::info!(pruned, "log of webhooks pruned"),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "log of webhooks cannot be pruned, it grows"
            ),
        }
    }

    async fn prune_before(&self, before: Timestamp) -> Result<u64> {
        let mut pruned = 0;
        loop {
            let more = self.store.prune_deliveries(before, PRUNED_AT_ONCE).await?;
            pruned += more;
            if more < u64::from(PRUNED_AT_ONCE) {
                return Ok(pruned);
            }
        }
    }
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    now.checked_add(signed(pause)).unwrap_or(now)
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// Anything from 0 to below 1. Where the machine gives no randomness, pauses are without jitter.
fn fraction() -> f64 {
    getrandom::u32().map_or(0.0, |bits| f64::from(bits) / (f64::from(u32::MAX) + 1.0))
}
