//! Webhooks and how far they have been told in SQL. Their deliveries are in [`super::sql_deliveries`].

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_domain::{Generation, ModelName};
use jiff::Timestamp;
use sqlx::AssertSqlSafe;
use tokio::sync::Notify;

use super::database::{SqlStore, micros, page_of, timestamp};
use super::statement::{Tx, values};
use super::webhooks::WebhookStore;
use super::{Page, PageRequest, sql_deliveries};
use crate::error::{Error, Result};
use crate::service::webhooks::{
    Backlog, ClaimRules, Claimed, Delivery, Heads, NewDelivery, RegistryEvent, Settled, SigningSecret, Subscription,
    Webhook, WebhookChange,
};

/// Most webhooks there can be. They are made by people, and each is looked at whenever a champion moves.
const MOST_WEBHOOKS: i64 = 100;
const COLUMNS: &str =
    "position, webhook_id, url, model, enabled, description, created_at_us, updated_at_us, secret, name, events";

type WebhookRow = (
    i64,
    String,
    String,
    String,
    i64,
    String,
    i64,
    i64,
    String,
    String,
    String,
);

#[async_trait]
impl WebhookStore for SqlStore {
    fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    async fn create_webhook(&self, webhook: &Webhook, secret: Option<&SigningSecret>, heads: &Heads) -> Result<()> {
        let secret = secret.map(SigningSecret::expose).unwrap_or_default();
        let (webhook, heads) = (webhook.clone(), heads.clone());
        self.write(move |mut tx| Box::pin(async move { create(&mut tx, &webhook, secret, &heads).await }))
            .await
    }

    async fn webhook(&self, webhook_id: &str) -> Result<(Webhook, Option<SigningSecret>)> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE webhook_id = $1");
        let row = self
            .readers
            .fetch_optional::<WebhookRow>(AssertSqlSafe(sql), values![webhook_id])
            .await?;
        let row = row.ok_or_else(|| Error::NoSuchWebhook(webhook_id.to_owned()))?;
        let secret = secret_of(&row.8, &row.10)?;
        Ok((webhook_of(row)?.1, secret))
    }

    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE position < $1 ORDER BY position DESC LIMIT $2");
        let values = values![page.before.unwrap_or(i64::MAX), page.size + 1];
        let rows = self.readers.fetch_all::<WebhookRow>(AssertSqlSafe(sql), values).await?;
        let found = rows.into_iter().map(webhook_of).collect::<Result<Vec<_>>>()?;
        Ok(page_of(found, page.size))
    }

    async fn enabled_webhooks(&self) -> Result<Vec<Webhook>> {
        let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE enabled = 1");
        let rows = self
            .readers
            .fetch_all::<WebhookRow>(AssertSqlSafe(sql), values![])
            .await?;
        rows.into_iter().map(|row| Ok(webhook_of(row)?.1)).collect()
    }

    async fn update_webhook(
        &self,
        webhook_id: &str,
        change: &WebhookChange,
        heads: &Heads,
        now: Timestamp,
    ) -> Result<Webhook> {
        let (webhook_id, change, heads) = (webhook_id.to_owned(), change.clone(), heads.clone());
        self.write(move |mut tx| Box::pin(async move { update(&mut tx, &webhook_id, change, &heads, now).await }))
            .await
    }

    async fn delete_webhook(&self, webhook_id: &str) -> Result<()> {
        let webhook_id = webhook_id.to_owned();
        self.write(move |mut tx| {
            Box::pin(async move {
                lock(&mut tx, &webhook_id).await?;
                // Cursors and deliveries go with it.
                let sql = "DELETE FROM webhooks WHERE webhook_id = $1";
                match tx.execute(sql, values![&webhook_id]).await? {
                    0 => Err(Error::NoSuchWebhook(webhook_id)),
                    _ => Ok(()),
                }
            })
        })
        .await
    }

    async fn cursors(&self) -> Result<HashMap<(String, String), Generation>> {
        let sql = "SELECT c.webhook_id, c.model, c.generation FROM webhook_cursors c
                   JOIN webhooks w ON w.webhook_id = c.webhook_id WHERE w.enabled = 1";
        let rows = self.readers.fetch_all::<(String, String, i64)>(sql, values![]).await?;
        rows.into_iter()
            .map(|(webhook, model, generation)| Ok(((webhook, model), generation_of(generation)?)))
            .collect()
    }

    async fn add_deliveries(
        &self,
        webhook_id: &str,
        model: &ModelName,
        after: Generation,
        new: &[NewDelivery],
        now: Timestamp,
    ) -> Result<u64> {
        let (webhook_id, model, new) = (webhook_id.to_owned(), model.clone(), new.to_vec());
        self.write(move |mut tx| {
            Box::pin(async move {
                lock(&mut tx, &webhook_id).await?;
                let Ok(webhook) = current(&mut tx, &webhook_id).await else {
                    return Ok(0);
                };
                if !webhook.enabled || !webhook.covers(&model) || cursor(&mut tx, &webhook_id, &model).await? != after {
                    return Ok(0);
                }
                sql_deliveries::add(&mut tx, &webhook_id, &model, &new, now).await?;
                if let Some(last) = new.last() {
                    move_cursor(&mut tx, &webhook_id, &model, last.generation).await?;
                }
                Ok(new.len() as u64)
            })
        })
        .await
    }

    async fn claim_deliveries(&self, rules: &ClaimRules) -> Result<Vec<Claimed>> {
        self.claim_due(*rules).await
    }

    async fn settle_delivery(&self, settled: &Settled) -> Result<bool> {
        self.write_settled(settled).await
    }

    async fn log_test(&self, delivery: &Delivery, body: &str) -> Result<()> {
        self.insert_test(delivery, body).await
    }

    async fn hasten(&self, webhook_id: &str, now: Timestamp) -> Result<()> {
        let webhook_id = webhook_id.to_owned();
        self.write(move |mut tx| Box::pin(async move { sql_deliveries::hasten(&mut tx, &webhook_id, now).await }))
            .await
    }

    async fn deliveries(&self, webhook_id: Option<&str>, page: &PageRequest) -> Result<Page<Delivery>> {
        self.select_deliveries(webhook_id, page).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.select_backlog().await
    }

    async fn prune_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64> {
        self.delete_ended(before, limit).await
    }
}

/// The lock that whoever changes a webhook or how far it has been told holds on Postgres.
async fn lock(tx: &mut Tx<'_>, webhook_id: &str) -> Result<()> {
    tx.lock(&format!("webhook {webhook_id}")).await
}

async fn create(tx: &mut Tx<'_>, webhook: &Webhook, secret: String, heads: &Heads) -> Result<()> {
    tx.lock("webhooks").await?;
    let (count,): (i64,) = tx.fetch_one("SELECT count(*) FROM webhooks", values![]).await?;
    if count >= MOST_WEBHOOKS {
        return Err(Error::TooManyWebhooks(count));
    }
    let sql =
        "INSERT INTO webhooks (webhook_id, url, model, enabled, description, created_at_us, updated_at_us, secret,
                                     name, events)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let (name, events) = subscription_text(webhook.subscription.as_ref());
    let values = values![
        &webhook.webhook_id,
        &webhook.url,
        model_text(webhook.model.as_ref()),
        i64::from(webhook.enabled),
        &webhook.description,
        micros(webhook.created_at),
        micros(webhook.updated_at),
        secret,
        name,
        events,
    ];
    tx.execute(sql, values).await?;
    for (model, head) in heads.iter().filter(|(model, _)| webhook.covers(model)) {
        move_cursor(tx, &webhook.webhook_id, model, *head).await?;
    }
    Ok(())
}

async fn update(
    tx: &mut Tx<'_>,
    webhook_id: &str,
    change: WebhookChange,
    heads: &Heads,
    now: Timestamp,
) -> Result<Webhook> {
    lock(tx, webhook_id).await?;
    let before = current(tx, webhook_id).await?;
    let mut webhook = before.clone();
    webhook.url = change.url.unwrap_or(webhook.url);
    webhook.model = change.model.unwrap_or(webhook.model);
    webhook.enabled = change.enabled.unwrap_or(webhook.enabled);
    webhook.description = change.description.unwrap_or(webhook.description);
    if let Some(subscription) = &mut webhook.subscription {
        subscription.name = change.name.unwrap_or(std::mem::take(&mut subscription.name));
        subscription.events = change.events.unwrap_or(std::mem::take(&mut subscription.events));
    }
    webhook.updated_at = now;
    let sql = "UPDATE webhooks SET url = $2, model = $3, enabled = $4, description = $5, updated_at_us = $6, name = $7,
                   events = $8
               WHERE webhook_id = $1";
    let (name, events) = subscription_text(webhook.subscription.as_ref());
    let values = values![
        webhook_id,
        &webhook.url,
        model_text(webhook.model.as_ref()),
        i64::from(webhook.enabled),
        &webhook.description,
        micros(now),
        name,
        events,
    ];
    tx.execute(sql, values).await?;
    if let Some(secret) = change.secret {
        let sql = "UPDATE webhooks SET secret = $2 WHERE webhook_id = $1 AND events <> ''";
        let secret = secret.as_ref().map(SigningSecret::expose).unwrap_or_default();
        tx.execute(sql, values![webhook_id, secret]).await?;
    }
    let told = |webhook: &Webhook, model: &ModelName| webhook.enabled && webhook.covers(model);
    for (model, head) in heads {
        if told(&webhook, model) && !told(&before, model) {
            move_cursor(tx, webhook_id, model, *head).await?;
        }
    }
    if before.enabled && !webhook.enabled {
        sql_deliveries::give_up(tx, webhook_id).await?;
    }
    if before.url != webhook.url {
        sql_deliveries::hasten(tx, webhook_id, now).await?;
    }
    Ok(webhook)
}

async fn current(tx: &mut Tx<'_>, webhook_id: &str) -> Result<Webhook> {
    let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE webhook_id = $1");
    let row = tx
        .fetch_optional::<WebhookRow>(AssertSqlSafe(sql), values![webhook_id])
        .await?;
    let row = row.ok_or_else(|| Error::NoSuchWebhook(webhook_id.to_owned()))?;
    Ok(webhook_of(row)?.1)
}

async fn cursor(tx: &mut Tx<'_>, webhook_id: &str, model: &ModelName) -> Result<Generation> {
    let sql = "SELECT generation FROM webhook_cursors WHERE webhook_id = $1 AND model = $2";
    let found = tx
        .fetch_optional::<(i64,)>(sql, values![webhook_id, model.as_str()])
        .await?;
    found.map_or(Ok(Generation(0)), |(generation,)| generation_of(generation))
}

/// Moves a cursor on, and never back.
async fn move_cursor(tx: &mut Tx<'_>, webhook_id: &str, model: &ModelName, to: Generation) -> Result<()> {
    let sql = "INSERT INTO webhook_cursors (webhook_id, model, generation) VALUES ($1, $2, $3)
               ON CONFLICT (webhook_id, model) DO UPDATE SET generation = excluded.generation
               WHERE webhook_cursors.generation < excluded.generation";
    let to = i64::try_from(to.0).unwrap_or(i64::MAX);
    tx.execute(sql, values![webhook_id, model.as_str(), to]).await?;
    Ok(())
}

/// Adds a delivery of an event to every webhook that is told of it.
pub(super) async fn tell(tx: &mut Tx<'_>, event: &RegistryEvent, now: Timestamp) -> Result<()> {
    // In one order, so that two changes never wait for each other.
    let sql = "SELECT webhook_id, events FROM webhooks WHERE enabled = 1 AND events <> '' ORDER BY webhook_id";
    for (webhook_id, events) in tx.fetch_all::<(String, String)>(sql, values![]).await? {
        if events.split_ascii_whitespace().any(|told| told == event.kind.as_str()) {
            lock(tx, &webhook_id).await?;
            sql_deliveries::add_event(tx, &webhook_id, event, now).await?;
        }
    }
    Ok(())
}

fn subscription_text(subscription: Option<&Subscription>) -> (String, String) {
    subscription.map_or_else(Default::default, |told| (told.name.clone(), told.events_text()))
}

fn model_text(model: Option<&ModelName>) -> &str {
    model.map_or("", ModelName::as_str)
}

pub(super) fn generation_of(stored: i64) -> Result<Generation> {
    let number = u64::try_from(stored).map_err(|_| Error::Corrupt(format!("generation {stored}")))?;
    Ok(Generation(number))
}

/// The secret of a webhook that is told of `events`; of champions when there are none.
pub(super) fn secret_of(stored: &str, events: &str) -> Result<Option<SigningSecret>> {
    let secret = match events {
        "" => SigningSecret::parse(stored).map(Some),
        _ => SigningSecret::of_text(stored),
    };
    secret.map_err(|_| Error::Corrupt("secret of a webhook".into()))
}

fn webhook_of(row: WebhookRow) -> Result<(i64, Webhook)> {
    let (position, webhook_id, url, model, enabled, description, created_at, updated_at, _secret, name, events) = row;
    let model = match model.as_str() {
        "" => None,
        name => Some(
            name.parse()
                .map_err(|_| Error::Corrupt(format!("model name {name:?}")))?,
        ),
    };
    let webhook = Webhook {
        webhook_id,
        url,
        model,
        enabled: enabled != 0,
        description,
        created_at: timestamp(created_at)?,
        updated_at: timestamp(updated_at)?,
        subscription: Subscription::stored(name, &events)?,
    };
    Ok((position, webhook))
}
