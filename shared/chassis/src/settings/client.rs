//! How services call each other.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SettingsViolation;

/// More connections to one replica than this only cost.
const MOST_CONNECTIONS: usize = 64;

/// How services call each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Deadline of a connection's set-up, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Deadline of a call, in milliseconds.
    pub request_timeout_ms: u64,
    /// Time between HTTP/2 pings, in milliseconds.
    pub keep_alive_interval_ms: u64,
    /// How long a ping may stay unanswered, in milliseconds.
    pub keep_alive_timeout_ms: u64,
    /// Connections to each replica for short calls; large ones have another.
    pub connections: usize,
    /// Time between two look-ups of a peer's name, in milliseconds.
    pub resolve_interval_ms: u64,
    /// When a replica gets no calls for a while.
    pub ejection: EjectionSettings,
    /// Retries of idempotent calls.
    pub retry: RetrySettings,
}

/// When a replica gets no calls for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EjectionSettings {
    /// Failed calls in a row that eject it.
    pub consecutive_failures: u32,
    /// How long the first ejection lasts, in milliseconds.
    pub first_ms: u64,
    /// No ejection lasts longer, in milliseconds.
    pub longest_ms: u64,
}

impl EjectionSettings {
    /// How long the ejection lasts that is the `times`-th in a row, from 1: doubled with each.
    #[must_use]
    pub fn wait(&self, times: u32) -> Duration {
        let doubled = self
            .first_ms
            .saturating_mul(1_u64.checked_shl(times.saturating_sub(1)).unwrap_or(u64::MAX));
        Duration::from_millis(doubled.min(self.longest_ms))
    }
}

/// Retries of idempotent calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetrySettings {
    /// Attempts, the first included.
    pub max_attempts: u32,
    /// The first wait is up to this, in milliseconds.
    pub initial_backoff_ms: u64,
    /// No wait is longer, in milliseconds.
    pub max_backoff_ms: u64,
    /// Retries per call made, averaged.
    pub budget_ratio: f64,
}

impl Default for ClientSettings {
    /// The values of `config.default.yaml`; a test compares them.
    fn default() -> Self {
        Self {
            connect_timeout_ms: 2_000,
            request_timeout_ms: 10_000,
            keep_alive_interval_ms: 15_000,
            keep_alive_timeout_ms: 5_000,
            connections: 1,
            resolve_interval_ms: 5_000,
            ejection: EjectionSettings {
                consecutive_failures: 3,
                first_ms: 1_000,
                longest_ms: 30_000,
            },
            retry: RetrySettings {
                max_attempts: 4,
                initial_backoff_ms: 50,
                max_backoff_ms: 2_000,
                budget_ratio: 0.2,
            },
        }
    }
}

impl ClientSettings {
    /// Deadline of a call.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(super) fn violations(&self, found: &mut Vec<SettingsViolation>) {
        let positive = [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("keep_alive_interval_ms", self.keep_alive_interval_ms),
            ("keep_alive_timeout_ms", self.keep_alive_timeout_ms),
            ("connections", self.connections as u64),
            ("resolve_interval_ms", self.resolve_interval_ms),
            (
                "ejection.consecutive_failures",
                u64::from(self.ejection.consecutive_failures),
            ),
            ("ejection.first_ms", self.ejection.first_ms),
            ("retry.max_attempts", u64::from(self.retry.max_attempts)),
            ("retry.initial_backoff_ms", self.retry.initial_backoff_ms),
        ];
        for (key, _) in positive.into_iter().filter(|(_, value)| *value == 0) {
            found.push(SettingsViolation::new(format!("client.{key}"), "must be above 0"));
        }
        if self.ejection.longest_ms < self.ejection.first_ms {
            found.push(SettingsViolation::new(
                "client.ejection.longest_ms",
                "must not be below first_ms",
            ));
        }
        if self.connections > MOST_CONNECTIONS {
            found.push(SettingsViolation::new(
                "client.connections",
                format!("must be at most {MOST_CONNECTIONS}"),
            ));
        }
        if self.retry.max_backoff_ms < self.retry.initial_backoff_ms {
            found.push(SettingsViolation::new(
                "client.retry.max_backoff_ms",
                "must not be below initial_backoff_ms",
            ));
        }
        if !(0.0..=1.0).contains(&self.retry.budget_ratio) {
            found.push(SettingsViolation::new(
                "client.retry.budget_ratio",
                "must be between 0 and 1",
            ));
        }
    }
}
