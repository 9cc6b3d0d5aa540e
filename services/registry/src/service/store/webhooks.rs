//! What the store of webhooks offers.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use holdfast_domain::{Generation, ModelName};
use jiff::Timestamp;
use tokio::sync::Notify;

use super::{Page, PageRequest};
use crate::error::Result;
use crate::service::webhooks::{
    Backlog, ClaimRules, Claimed, Delivery, Heads, NewDelivery, Settled, SigningSecret, Webhook, WebhookChange,
};

/// Webhooks, how far they have been told each champion log, and their deliveries. Every method that writes is one transaction,
/// durable on return. A webhook that is missing is [`Error::NoSuchWebhook`](crate::Error::NoSuchWebhook).
#[async_trait]
pub trait WebhookStore: Send + Sync + Debug {
    /// Rung when a change of the registered models has added deliveries.
    fn bell(&self) -> Arc<Notify>;
    /// Adds one that is told what comes after `heads`, unless there are too many.
    async fn create_webhook(&self, webhook: &Webhook, secret: Option<&SigningSecret>, heads: &Heads) -> Result<()>;
    /// One, with its secret.
    async fn webhook(&self, webhook_id: &str) -> Result<(Webhook, Option<SigningSecret>)>;
    /// A page, newest first.
    async fn webhooks(&self, page: &PageRequest) -> Result<Page<Webhook>>;
    /// All that are enabled, in no order.
    async fn enabled_webhooks(&self) -> Result<Vec<Webhook>>;
    /// Changes one. Models that it begins to be told about begin after `heads`; when it is disabled, what waits is given up;
    /// with a new address, what waits is due.
    async fn update_webhook(
        &self,
        webhook_id: &str,
        change: &WebhookChange,
        heads: &Heads,
        now: Timestamp,
    ) -> Result<Webhook>;
    /// Removes one with its deliveries.
    async fn delete_webhook(&self, webhook_id: &str) -> Result<()>;

    /// The last generation there is a delivery for, or was not to be told, by webhook and model; 0 where absent.
    async fn cursors(&self) -> Result<HashMap<(String, String), Generation>>;
    /// Adds deliveries of consecutive generations after `after`, and moves the cursor to the last of them. Adds none when the
    /// cursor is not at `after` any more, or the webhook is not to be told; answers how many were added.
    async fn add_deliveries(
        &self,
        webhook_id: &str,
        model: &ModelName,
        after: Generation,
        new: &[NewDelivery],
        now: Timestamp,
    ) -> Result<u64>;
    /// Claims deliveries that are due: at most one of a webhook, and none of a webhook with a claim that is good; of a model
    /// none before those of earlier generations have ended. Counts the attempt.
    async fn claim_deliveries(&self, rules: &ClaimRules) -> Result<Vec<Claimed>>;
    /// Writes how an attempt ended and gives the claim back. False when the claim is another's by now or the webhook is gone. A
    /// retry for a webhook that has been disabled is given up.
    async fn settle_delivery(&self, settled: &Settled) -> Result<bool>;
    /// Writes a test that is over.
    async fn log_test(&self, delivery: &Delivery, body: &str) -> Result<()>;
    /// Makes all that waits for a webhook due.
    async fn hasten(&self, webhook_id: &str, now: Timestamp) -> Result<()>;
    /// A page of the log, newest first.
    async fn deliveries(&self, webhook_id: Option<&str>, page: &PageRequest) -> Result<Page<Delivery>>;
    /// What waits.
    async fn backlog(&self) -> Result<Backlog>;
    /// Removes deliveries that have ended and were noticed before a time, at most `limit`; answers how many.
    async fn prune_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
