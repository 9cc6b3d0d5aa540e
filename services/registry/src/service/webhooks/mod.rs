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
mod event;
mod noticing;
mod registry_event;
mod sender;
mod signing;

use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::Shutdown;
use holdfast_chassis::clock::Clock;
use holdfast_domain::{Generation, ModelName};
use holdfast_storage::BlobStore;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::store::{Page, PageRequest, WebhookStore};
use crate::error::{Result, Violation};
use crate::metrics::{AttemptLabels, Metrics};
use crate::settings::WebhookSettings;

pub use address::AddressRules;
pub use registry_event::{Made, RegistryEvent, Subscription, events};
pub use sender::Sender;
use sender::{Attempted, Message};
pub use signing::SigningSecret;

/// Longest description, in characters.
const LONGEST_DESCRIPTION: usize = 1_000;

/// An address and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// UUID version 7.
    pub webhook_id: String,
    /// The address.
    pub url: String,
    /// Only changes of this model; `None`: of all.
    pub model: Option<ModelName>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// What it is for, in words.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// What it is told of instead of champions.
    pub subscription: Option<Subscription>,
}

impl Webhook {
    /// Whether changes of any champion are told.
    pub fn follows_champions(&self) -> bool {
        // To MLflow's users a new champion is an alias that was pointed at a version.
        let told = |subscription: &Subscription| subscription.has(EventKind::AliasSet);
        self.subscription.as_ref().is_none_or(told)
    }

    /// Whether changes of this model's champion are told.
    pub fn covers(&self, model: &ModelName) -> bool {
        self.follows_champions() && self.model.as_ref().is_none_or(|only| only == model)
    }

    /// How its deliveries are signed.
    pub fn convention(&self) -> Convention {
        match self.subscription {
            None => Convention::StandardWebhooks,
            Some(_) => Convention::Mlflow,
        }
    }
}

/// Whose headers a delivery carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// Those of <https://www.standardwebhooks.com>.
    StandardWebhooks,
    /// Those of MLflow's server.
    Mlflow,
}

/// What a caller wants to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// The address.
    pub url: String,
    /// Only changes of this model; `None`: of all.
    pub model: Option<ModelName>,
    /// What it is for, in words.
    pub description: String,
    /// "whsec_" and Base64, empty for one that is made; with events any text, empty for no signature.
    pub secret: String,
    /// Its name, where there are events.
    pub name: String,
    /// The events it is told of instead of champions, of [`EventKind::OF_REGISTRY`].
    pub events: Vec<EventKind>,
    /// Whether it is told anything.
    pub enabled: bool,
}

/// What a caller wants to change; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookChange {
    /// The address.
    pub url: Option<String>,
    /// Only changes of this model, or of all.
    pub model: Option<Option<ModelName>>,
    /// Whether it is told anything.
    pub enabled: Option<bool>,
    /// What it is for, in words.
    pub description: Option<String>,
    /// Its name; only where there are events.
    pub name: Option<String>,
    /// The events; only where there are some.
    pub events: Option<Vec<EventKind>>,
    /// What deliveries are signed with, if with anything; only where there are events.
    pub secret: Option<Option<SigningSecret>>,
}

/// Where champion logs end: model and newest generation.
pub type Heads = Vec<(ModelName, Generation)>;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A champion changed.
    ChampionChanged,
    /// Somebody tests the webhook.
    Test,
    /// A model was created.
    ModelCreated,
    /// A version was created.
    VersionCreated,
    /// A tag of a version was set.
    VersionTagSet,
    /// A tag of a version was removed.
    VersionTagDeleted,
    /// An alias was pointed at a version, or a version became champion.
    AliasSet,
    /// An alias was removed.
    AliasDeleted,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ChampionChanged,
        Self::Test,
        Self::ModelCreated,
        Self::VersionCreated,
        Self::VersionTagSet,
        Self::VersionTagDeleted,
        Self::AliasSet,
        Self::AliasDeleted,
    ];

    /// Those of registered models.
    pub const OF_REGISTRY: [Self; 6] = [
        Self::ModelCreated,
        Self::VersionCreated,
        Self::VersionTagSet,
        Self::VersionTagDeleted,
        Self::AliasSet,
        Self::AliasDeleted,
    ];

    /// One of those of registered models, by its name.
    pub fn of_registry(name: &str) -> Option<Self> {
        Self::OF_REGISTRY.into_iter().find(|event| event.as_str() == name)
    }

    /// As receivers and the database know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChampionChanged => "champion.changed",
            Self::Test => "webhook.test",
            Self::ModelCreated => "registered_model.created",
            Self::VersionCreated => "model_version.created",
            Self::VersionTagSet => "model_version_tag.set",
            Self::VersionTagDeleted => "model_version_tag.deleted",
            Self::AliasSet => "model_version_alias.created",
            Self::AliasDeleted => "model_version_alias.deleted",
        }
    }
}

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Will be tried, or tried again.
    Pending,
    /// Answered with a status from 200 to 299.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// As the database knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One event to one address, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// UUID version 7, the same for every attempt.
    pub delivery_id: String,
    /// The webhook.
    pub webhook_id: String,
    /// What happened.
    pub event: EventKind,
    /// The model; empty for a test.
    pub model: String,
    /// Generation of its champion; 0 where it is not about one.
    pub generation: Generation,
    /// State.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last answer; 0 when there was none.
    pub http_status: u16,
    /// Why the last attempt failed, in words.
    pub error: String,
    /// When the event was noticed.
    pub created_at: Timestamp,
    /// When it was tried last.
    pub attempted_at: Option<Timestamp>,
    /// When it will be tried next.
    pub next_attempt_at: Option<Timestamp>,
}

/// A delivery to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub delivery_id: String,
    /// What happened.
    pub event: EventKind,
    /// Generation of the champion; 0 for a test.
    pub generation: Generation,
    /// The event as JSON.
    pub body: String,
}

/// Until when whose attempts count, and which deliveries are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// Now.
    pub now: Timestamp,
    /// How long a claim is good.
    pub lease: SignedDuration,
    /// No attempt is ever planned further ahead: one that is was planned by a clock that was wrong, and is due.
    pub longest_pause: SignedDuration,
    /// At most this many.
    pub limit: u32,
}

/// A delivery whose next attempt is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The delivery.
    pub delivery_id: String,
    /// Its webhook.
    pub webhook_id: String,
    /// Names this claim among all.
    pub claim: String,
    /// Where to.
    pub url: String,
    /// Whose headers it carries.
    pub convention: Convention,
    /// Signed with; not signed without.
    pub secret: Option<SigningSecret>,
    /// The event as JSON.
    pub body: String,
    /// How often it was tried, this attempt among them.
    pub attempts: u32,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The delivery.
    pub delivery_id: String,
    /// The claim it was made under; of another's the database takes nothing.
    pub claim: String,
    /// Its state now.
    pub state: DeliveryState,
    /// HTTP status of the answer; 0 when there was none.
    pub http_status: u16,
    /// Why it failed, in words.
    pub error: String,
    /// When it will be tried next, for one that waits.
    pub next_attempt_at: Option<Timestamp>,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that will be tried.
    pub waiting: u64,
    /// When the oldest of them was noticed.
    pub oldest: Option<Timestamp>,
}

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
