//! Webhooks: addresses that are told when a champion changes, or of events of registered models.
//!
//! The champion log in the blob store is the record of what happened. The database holds, for each webhook and model, up to which
//! generation there are deliveries ([`noticing`]); so no change is lost while no registry runs, or when one dies. Deliveries are
//! claimed for a while, attempted and settled ([`delivering`]): a registry that dies in between leaves a claim that runs out, and
//! the delivery is made again under the same id. Receivers get everything at least once and drop repeats by id.
//!
//! Events of registered models ([`registry_event`]) are deliveries from the beginning: the transaction that makes the change adds
//! them.
//!
//! Not guaranteed: order between models, and order beyond a delivery that was given up.

mod address;
mod delivering;
mod delivery;
mod event;
mod noticing;
mod registry_event;
mod sender;
mod signing;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::Shutdown;
use holdfast_chassis::clock::Clock;
use holdfast_domain::{Generation, ModelName};
use holdfast_storage::BlobStore;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::store::{Page, PageRequest, WebhookStore};
use crate::error::{Result, Violation};
use crate::metrics::{AttemptLabels, Metrics};
use crate::settings::WebhookSettings;

pub use address::AddressRules;
pub use delivery::{Backlog, ClaimRules, Claimed, Delivery, DeliveryState, NewDelivery, Settled};
pub use registry_event::{Made, RegistryEvent, Subscription, events};
pub use sender::Sender;
use sender::{Attempted, Message};
pub use signing::SigningSecret;
pub use webhook::{Convention, EventKind, NewWebhook, Webhook, WebhookChange};

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1_000;

/// Where champion logs end: model and newest generation.
pub type Heads = Vec<(ModelName, Generation)>;

/// The webhooks of a registry.
#[derive(Clone, Debug)]
pub struct Webhooks {
    store: Arc<dyn WebhookStore>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    sender: Sender,
    settings: Arc<WebhookSettings>,
    metrics: Metrics,
    /// Rung when a delivery may be due.
    due: Arc<Notify>,
}

impl Webhooks {
    /// Webhooks in `store`, told about the champion logs in `blobs`.
    pub fn new(
        store: Arc<dyn WebhookStore>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        settings: WebhookSettings,
        metrics: Metrics,
    ) -> Self {
        let deadline = Duration::from_millis(settings.attempt_timeout_ms);
        Self {
            blobs,
            clock,
            sender: Sender::new(settings.address_rules(), deadline, settings.ca_file.clone()),
            settings: Arc::new(settings),
            metrics,
            due: store.bell(),
            store,
        }
    }

    /// Notices changes and delivers them until shutdown. `moved` tells of changes that this registry knows of.
    pub fn run(&self, moved: watch::Receiver<()>, shutdown: &Shutdown) {
        let noticing = self.clone().notice_all(moved, shutdown.clone());
        shutdown.spawn("webhook noticing", noticing);
        shutdown.spawn("webhook delivering", self.clone().deliver_all(shutdown.clone()));
    }

    /// Adds one; it is told changes from now on. Answers its secret too, if it has one, which nothing else does.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::TooManyWebhooks`](crate::Error::TooManyWebhooks); the stores'.
    pub async fn create(&self, new: NewWebhook) -> Result<(Webhook, Option<SigningSecret>)> {
        let url = self.sender.rules().parse(&new.url)?;
        check_description(&new.description)?;
        let subscription = subscription(&new)?;
        let secret = match (&subscription, new.secret.as_str()) {
            (None, "") => Some(SigningSecret::generate()?),
            (None, text) => Some(SigningSecret::parse(text)?),
            (Some(_), text) => SigningSecret::of_text(text)?,
        };
        let now = self.now();
        let webhook = Webhook {
            webhook_id: Uuid::now_v7().to_string(),
            url: url.to_string(),
            model: new.model,
            enabled: new.enabled,
            description: new.description,
            created_at: now,
            updated_at: now,
            subscription,
        };
        let heads = self.heads(webhook.model.as_ref()).await?;
        self.store.create_webhook(&webhook, secret.as_ref(), &heads).await?;
        tracing::info!(webhook = webhook.webhook_id, "webhook created");
        Ok((webhook, secret))
    }

    /// One.
    ///
    /// # Errors
    /// [`Error::NoSuchWebhook`](crate::Error::NoSuchWebhook); the store's.
    pub async fn get(&self, webhook_id: &str) -> Result<Webhook> {
        Ok(self.store.webhook(webhook_id).await?.0)
    }

    /// All, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, page: &PageRequest) -> Result<Page<Webhook>> {
        self.store.webhooks(page).await
    }

    /// Changes one. What begins to be told, of a model or of any, begins with the changes after this one; disabling gives up
    /// what waits.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::NoSuchWebhook`](crate::Error::NoSuchWebhook); the stores'.
    pub async fn update(&self, webhook_id: &str, mut change: WebhookChange) -> Result<Webhook> {
        if let Some(url) = &mut change.url {
            *url = self.sender.rules().parse(url)?.to_string();
        }
        if let Some(description) = &change.description {
            check_description(description)?;
        }
        self.check(webhook_id, &change).await?;
        // Whether any are needed is known only within the transaction.
        let heads = if change.enabled == Some(true) || change.model.is_some() || change.events.is_some() {
            self.heads(None).await?
        } else {
            Heads::new()
        };
        let now = self.now();
        let webhook = self.store.update_webhook(webhook_id, &change, &heads, now).await?;
        tracing::info!(webhook = webhook_id, enabled = webhook.enabled, "webhook changed");
        self.due.notify_one();
        Ok(webhook)
    }

    /// Removes one with its log. An attempt that is being made is not called back.
    ///
    /// # Errors
    /// [`Error::NoSuchWebhook`](crate::Error::NoSuchWebhook); the store's.
    pub async fn delete(&self, webhook_id: &str) -> Result<()> {
        self.store.delete_webhook(webhook_id).await?;
        tracing::info!(webhook = webhook_id, "webhook deleted");
        Ok(())
    }

    /// Sends a test event now, to a disabled one too, and logs it. When it arrives, deliveries that wait for their next attempt
    /// wait no longer.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for an event it cannot be told of,
    /// [`Error::NoSuchWebhook`](crate::Error::NoSuchWebhook); the store's. A failed attempt is an answer.
    pub async fn test(&self, webhook_id: &str, event: &str) -> Result<Delivery> {
        let (webhook, secret) = self.store.webhook(webhook_id).await?;
        let now = self.now();
        let test = event::tested(&webhook, event, now)?;
        let message = Message {
            url: &webhook.url,
            convention: webhook.convention(),
            secret: secret.as_ref(),
            delivery_id: &test.delivery_id,
            body: &test.body,
        };
        let attempted = self.attempt(&message).await;
        let state = if attempted.error.is_empty() {
            DeliveryState::Delivered
        } else {
            DeliveryState::Failed
        };
        let delivery = Delivery {
            delivery_id: test.delivery_id,
            webhook_id: webhook_id.to_owned(),
            event: EventKind::Test,
            model: String::new(),
            generation: test.generation,
            state,
            attempts: 1,
            http_status: attempted.http_status,
            error: attempted.error,
            created_at: now,
            attempted_at: Some(now),
            next_attempt_at: None,
        };
        // Written when it is over: nobody would ever end a test that a dying registry left.
        self.store.log_test(&delivery, &test.body).await?;
        if state == DeliveryState::Delivered {
            self.store.hasten(webhook_id, self.now()).await?;
            self.due.notify_one();
        }
        Ok(delivery)
    }

    /// The log, newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchWebhook`](crate::Error::NoSuchWebhook); the store's.
    pub async fn deliveries(&self, webhook_id: Option<&str>, page: &PageRequest) -> Result<Page<Delivery>> {
        if let Some(webhook_id) = webhook_id {
            self.store.webhook(webhook_id).await?;
        }
        self.store.deliveries(webhook_id, page).await
    }

    /// Checks what only webhooks with events have, and those of champions.
    async fn check(&self, webhook_id: &str, change: &WebhookChange) -> Result<()> {
        let of_events = [
            ("name", change.name.is_some()),
            ("events", change.events.is_some()),
            ("secret", change.secret.is_some()),
        ];
        let given = of_events.iter().find(|(_, given)| *given).map(|(field, _)| *field);
        if given.is_none() && change.model.is_none() {
            return Ok(());
        }
        // What it is never changes: it may be looked at before the transaction.
        let told_of_events = self.store.webhook(webhook_id).await?.0.subscription.is_some();
        if let (Some(field), false) = (given, told_of_events) {
            let rule = "can be changed only of a webhook with events: make another one";
            return Err(Violation::new(field, "champions", rule).into());
        }
        if change.model.as_ref().is_some_and(Option::is_some) && told_of_events {
            return Err(Violation::new("model", "events", "must be empty where there are events").into());
        }
        if let Some(name) = &change.name {
            registry_event::check_name(name)?;
        }
        if change.events.as_ref().is_some_and(Vec::is_empty) {
            return Err(Violation::new("events", "required", "must name at least one event").into());
        }
        Ok(())
    }

    /// The time as the database holds it, so that what is answered now is what is answered later.
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }

    async fn attempt(&self, message: &Message<'_>) -> Attempted {
        let attempted = self.sender.send(message, self.now()).await;
        let labels = AttemptLabels {
            outcome: attempted.outcome,
        };
        self.metrics.webhook_attempts.get_or_create(&labels).inc();
        attempted
    }
}

fn subscription(new: &NewWebhook) -> Result<Option<Subscription>> {
    if new.events.is_empty() {
        return if new.name.is_empty() {
            Ok(None)
        } else {
            Err(Violation::new("name", "champions", "must be empty where there are no events").into())
        };
    }
    if new.model.is_some() {
        return Err(Violation::new("model", "events", "must be empty where there are events").into());
    }
    registry_event::check_name(&new.name)?;
    Ok(Some(Subscription {
        name: new.name.clone(),
        events: new.events.clone(),
    }))
}

fn check_description(description: &str) -> Result<()> {
    if description.chars().count() > LONGEST_DESCRIPTION {
        return Err(Violation::new("description", "length", "must have at most 1,000 characters").into());
    }
    Ok(())
}
