//! Finds what is new in the champion logs and makes deliveries of it.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_chassis::Shutdown;
use holdfast_domain::{Generation, ModelName, ModelVersion};
use holdfast_records::champion::{ChampionLog, StoredEntry};
use holdfast_records::layout::{Location, champion_key};
use holdfast_storage::Key;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::{Heads, Webhook, Webhooks, event};
use crate::error::Result;

/// Where the champion logs lie.
const LOGS: &str = "champion";
/// Entries that become deliveries in one transaction.
const MOST_AT_ONCE: u64 = 100;

impl Webhooks {
    /// Notices until shutdown: at once when `moved` tells of a change of this registry, and as often as the settings say for
    /// those of others.
    pub async fn notice_all(self, mut moved: watch::Receiver<()>, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.settings.poll_interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = shutdown.stopping_token();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
                Ok(()) = moved.changed() => {}
            }
            match self.notice().await {
                Ok(0) => {}
                Ok(_) => self.due.notify_one(),
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "changes of champions cannot be noticed, webhooks wait"
                ),
            }
        }
    }

    /// Makes deliveries of all that is new; answers how many.
    ///
    /// # Errors
    /// The stores'.
    pub async fn notice(&self) -> Result<u64> {
        let mut webhooks = self.store.enabled_webhooks().await?;
        webhooks.retain(Webhook::follows_champions);
        if webhooks.is_empty() {
            return Ok(0);
        }
        let told = self.store.cursors().await?;
        let cursor = |webhook: &Webhook, model: &ModelName| {
            let of = (webhook.webhook_id.clone(), model.to_string());
            told.get(&of).copied().unwrap_or(Generation(0))
        };
        // The log of a model is read from the webhook on that is furthest behind.
        let behind = |model: &ModelName| {
            let covering = webhooks.iter().filter(|webhook| webhook.covers(model));
            covering.map(|webhook| cursor(webhook, model)).min()
        };
        let mut made = 0;
        for model in self.changed(&webhooks, behind).await? {
            let Some(from) = behind(&model) else {
                continue;
            };
            match self.notice_model(&model, from, &webhooks, &cursor).await {
                Ok(count) => made += count,
                // A damaged entry must not keep other models' changes back.
                Err(error) => tracing::error!(
                    %model,
                    error = &error as &dyn std::error::Error,
                    "champion log cannot be read, its webhooks wait"
                ),
            }
        }
        Ok(made)
    }

    async fn notice_model(
        &self,
        model: &ModelName,
        from: Generation,
        webhooks: &[Webhook],
        cursor: &impl Fn(&Webhook, &ModelName) -> Generation,
    ) -> Result<u64> {
        let log = ChampionLog::new(self.blobs.clone(), model.clone());
        let head = log.length_after(from).await?;
        let mut made = 0;
        let mut from = from;
        while from < head {
            let to = Generation(head.0.min(from.0 + MOST_AT_ONCE));
            let (entries, mut previous) = entries(&log, from, to).await?;
            let mut with_previous: Vec<(&StoredEntry, Option<ModelVersion>)> = Vec::new();
            for stored in &entries {
                with_previous.push((stored, previous));
                previous = Some(stored.entry.version);
            }
            for webhook in webhooks.iter().filter(|webhook| webhook.covers(model)) {
                let after = cursor(webhook, model).max(from);
                let new = with_previous
                    .iter()
                    .filter(|(stored, _)| stored.entry.generation > after)
                    .map(|(stored, previous)| event::champion_changed(webhook, stored, *previous))
                    .collect::<Result<Vec<_>>>()?;
                if !new.is_empty() {
                    let now = self.clock.now();
                    made += self
                        .store
                        .add_deliveries(&webhook.webhook_id, model, after, &new, now)
                        .await?;
                }
            }
            from = to;
        }
        Ok(made)
    }

    /// The models with entries after those that `behind` says. One listing for each model, and one more.
    async fn changed(
        &self,
        webhooks: &[Webhook],
        behind: impl Fn(&ModelName) -> Option<Generation>,
    ) -> Result<BTreeSet<ModelName>> {
        let mut changed = BTreeSet::new();
        let named: Option<BTreeSet<&ModelName>> = webhooks.iter().map(|webhook| webhook.model.as_ref()).collect();
        if let Some(named) = named {
            // No webhook wants all models: the others' logs need no look.
            changed.extend(named.into_iter().cloned());
            return Ok(changed);
        }
        let mut after: Option<Key> = None;
        while let Some((key, place)) = self.next_entry(after.as_ref()).await? {
            after = Some(match place {
                None => key,
                Some((model, generation)) => match behind(&model) {
                    Some(known) if generation <= known => champion_key(&model, known),
                    covered => {
                        let next = champion_key(&model, Generation(u64::MAX));
                        if covered.is_some() {
                            changed.insert(model);
                        }
                        next
                    }
                },
            });
        }
        Ok(changed)
    }

    /// Where the champion log of a model ends, or the logs of all.
    pub(super) async fn heads(&self, model: Option<&ModelName>) -> Result<Heads> {
        let models = match model {
            Some(model) => BTreeSet::from([model.clone()]),
            None => self.models().await?,
        };
        let mut heads = Heads::new();
        for model in models {
            let log = ChampionLog::new(self.blobs.clone(), model.clone());
            let head = log.length_after(Generation(0)).await?;
            if head > Generation(0) {
                heads.push((model, head));
            }
        }
        Ok(heads)
    }

    /// The models with a champion log.
    async fn models(&self) -> Result<BTreeSet<ModelName>> {
        let mut models = BTreeSet::new();
        let mut after: Option<Key> = None;
        while let Some((key, place)) = self.next_entry(after.as_ref()).await? {
            after = Some(match place {
                None => key,
                Some((model, _)) => {
                    let last = champion_key(&model, Generation(u64::MAX));
                    models.insert(model);
                    last
                }
            });
        }
        Ok(models)
    }

    /// The first key of a champion log after `after`, and what it means if it is of our layout.
    async fn next_entry(&self, after: Option<&Key>) -> Result<Option<(Key, Option<(ModelName, Generation)>)>> {
        let found = self.blobs.list(LOGS, after, 1).await?;
        Ok(found.into_iter().next().map(|blob| {
            let place = match Location::parse(&blob.key) {
                Some(Location::Champion(model, generation)) => Some((model, generation)),
                _ => None,
            };
            (blob.key, place)
        }))
    }
}

/// The entries after `from` up to `to`, and the version before them.
async fn entries(
    log: &ChampionLog,
    from: Generation,
    to: Generation,
) -> Result<(Vec<StoredEntry>, Option<ModelVersion>)> {
    let previous = match from {
        Generation(0) => None,
        from => Some(log.entry(from).await?.entry.version),
    };
    let mut entries = Vec::new();
    for generation in from.0 + 1..=to.0 {
        entries.push(log.entry(Generation(generation)).await?);
    }
    Ok((entries, previous))
}
