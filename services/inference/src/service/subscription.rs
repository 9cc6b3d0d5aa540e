//! How this replica hears of champions and rollouts: by a subscription to the registry, and while that is away by looking
//! at the champion log and the record of rollouts.
//!
//! All name the full state, never a change: what was missed does not matter. [`Targets`] and [`Notices`] drop what is not
//! newer.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use holdfast_records::champion::ChampionLog;
use holdfast_records::rollout::RolloutLog;

use super::registry::Registry;
use super::rollout::{Notice, Notices, Rollout};
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
    /// The same for rollouts.
    pub rollouts: RolloutLog,
    /// Where champions are told.
    pub targets: Targets,
    /// Where rollouts are told.
    pub notices: Notices,
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
                            Ok(told) => {
                                self.connected(true);
                                pauses = fresh();
                                told.champion
                                    .into_iter()
                                    .for_each(|target| self.hear(target, "registry"));
                                self.hear_of_rollout(told.rollout, "registry");
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
                match self.look().await {
                    Ok(()) => last_error.clear(),
                    Err(error) => {
                        // Once, and not at every look.
                        let error = error.to_string();
                        if error != last_error {
                            tracing::warn!(error, "cannot read the champion log and the record of rollouts");
                            last_error = error;
                        }
                    }
                }
            }
            tokio::time::sleep(interval).await;
        }
    }

    async fn look(&self) -> holdfast_records::Result<()> {
        if let Some(stored) = self.log.head_after(self.targets.confirmed_generation()).await? {
            self.hear(Target::from(&stored.entry), "champion log");
        }
        if let Some(stored) = self.rollouts.head_after(self.notices.revision()).await? {
            let entry = stored.entry;
            let running = entry.start().map(|start| {
                Arc::new(Rollout {
                    revision: entry.revision,
                    model: entry.model.clone(),
                    start: start.clone(),
                })
            });
            let notice = Notice {
                revision: entry.revision,
                running,
            };
            self.hear_of_rollout(notice, "record of rollouts");
        }
        Ok(())
    }

    fn hear_of_rollout(&self, notice: Notice, from: &'static str) {
        if let Some(other) = notice
            .running
            .as_ref()
            .filter(|rollout| rollout.model != *self.log.model())
        {
            tracing::warn!(model = %other.model, from, "heard of another model's rollout");
            return;
        }
        let (revision, version) = (
            notice.revision,
            notice.running.as_ref().map(|rollout| rollout.start.version.0),
        );
        if self.notices.offer(notice) {
            tracing::info!(revision, version, from, "news of rollouts");
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
