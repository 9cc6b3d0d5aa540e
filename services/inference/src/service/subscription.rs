//! How this replica hears of champions: by a subscription to the registry, and while that is away by looking at the
//! champion log.
//!
//! Both name the full state, never a change: what was missed does not matter. [`Targets`] drops what is not newer.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use holdfast_records::champion::ChampionLog;

use super::registry::Registry;
use super::status::StatusBoard;
use super::target::{Target, Targets};
use crate::metrics::Metrics;
use crate::settings::{ChampionSettings, waits};

/// Follows the champion.
#[derive(Debug)]
pub struct Subscription {
    /// Who is asked first.
    pub registry: Arc<dyn Registry>,
    /// What is looked at while the registry is away.
    pub log: ChampionLog,
    /// Where champions are told.
    pub targets: Targets,
    /// Shows whether the subscription stands.
    pub board: StatusBoard,
    /// Shows it, too.
    pub metrics: Metrics,
    /// Waits.
    pub settings: ChampionSettings,
}

impl Subscription {
    /// Follows the champion, for ever.
    pub async fn run(&self) {
        tokio::join!(self.subscribe(), self.poll());
    }

    async fn subscribe(&self) {
        let fresh = || waits(self.settings.retry_initial_ms, self.settings.retry_max_ms);
        let mut pauses = fresh();
        loop {
            match self.registry.watch().await {
                Ok(mut states) => {
                    while let Some(state) = states.next().await {
                        match state {
                            Ok(champion) => {
                                self.connected(true);
                                pauses = fresh();
                                champion.into_iter().for_each(|target| self.hear(target, "registry"));
                            }
                            Err(error) => {
                                tracing::info!(%error, "subscription to the registry ended");
                                break;
                            }
                        }
                    }
                }
                Err(error) => tracing::debug!(%error, "cannot subscribe to the registry"),
            }
            self.connected(false);
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }

    async fn poll(&self) {
        let interval = Duration::from_millis(self.settings.poll_interval_ms);
        let mut last_error = String::new();
        loop {
            if !self.board.now().registry_connected {
                match self.log.head_after(self.targets.confirmed_generation()).await {
                    Ok(champion) => {
                        last_error.clear();
                        champion
                            .iter()
                            .for_each(|stored| self.hear(Target::from(&stored.entry), "champion log"));
                    }
                    Err(error) => {
                        // Once, and not at every look.
                        let error = error.to_string();
                        if error != last_error {
                            tracing::warn!(error, "cannot read the champion log");
                            last_error = error;
                        }
                    }
                }
            }
            tokio::time::sleep(interval).await;
        }
    }

    fn hear(&self, target: Target, from: &'static str) {
        if target.model != *self.log.model() {
            tracing::warn!(model = %target.model, from, "heard of another model's champion");
            return;
        }
        let (version, generation) = (target.version, target.generation);
        if self.targets.offer(target) {
            tracing::info!(%version, %generation, from, "new champion");
        }
    }

    fn connected(&self, connected: bool) {
        self.metrics.registry_connected.set(i64::from(connected));
        if self.board.now().registry_connected != connected {
            self.board.change(|state| state.registry_connected = connected);
        }
    }
}
