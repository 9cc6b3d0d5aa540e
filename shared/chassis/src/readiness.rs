//! Ready or not, and why: named conditions that a service sets and the admin server, the gRPC health service and the container's healthcheck show.
//!
//! Readiness is not liveness: a service that waits for something is alive. A condition should hold only what makes answers impossible; inference
//! is ready with a model, and losing the registry does not make it unready.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

/// The named conditions of one service. Clones share them. Without any condition a service is ready.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    conditions: Mutex<BTreeMap<&'static str, ConditionReport>>,
    changes: watch::Sender<u64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            conditions: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

/// The state of one condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionReport {
    /// Whether it holds.
    pub ready: bool,
    /// Why, in words: `champion version 3 loaded`, `no champion yet`.
    pub detail: String,
}

/// The state of a service: ready when all conditions hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Whether every condition holds.
    pub ready: bool,
    /// Every condition by name.
    pub conditions: BTreeMap<&'static str, ConditionReport>,
}

/// The handle of one condition. It stays in the report when the handle is dropped.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// No conditions yet: ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition that does not hold yet. Add all of them before the server binds, or the service looks ready too early.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition {
            name,
            readiness: self.clone(),
        };
        condition.set(false, "starting".to_owned());
        condition
    }

    /// The state now.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        let conditions = self
            .shared
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        ReadinessReport {
            ready: conditions.values().all(|condition| condition.ready),
            conditions,
        }
    }

    /// Whether every condition holds.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    /// Waits until every condition holds.
    pub async fn ready(&self) {
        let mut changes = self.changes();
        while !self.is_ready() {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Wakes whenever a condition changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

impl Condition {
    /// The condition holds.
    pub fn set_ready(&self, detail: impl Into<String>) {
        self.set(true, detail.into());
    }

    /// The condition does not hold.
    pub fn set_not_ready(&self, why: impl Into<String>) {
        self.set(false, why.into());
    }

    fn set(&self, ready: bool, detail: String) {
        let report = ConditionReport { ready, detail };
        let shared = &self.readiness.shared;
        let before = shared
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(self.name, report.clone());
        if before.as_ref() != Some(&report) {
            shared.changes.send_modify(|version| *version += 1);
        }
        if before.is_some_and(|before| before.ready != ready) {
            tracing::info!(
                condition = self.name,
                ready,
                detail = report.detail,
                "readiness changed"
            );
        }
    }
}
