//! Addresses that are told when a champion changes.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::DeliveryState as WireState;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{counted, names_of, promised, text, time};
use crate::peers::Peers;

names_of! {
    /// State of a delivery.
    DeliveryState from WireState {
        /// Will be tried, or tried again.
        Pending,
        /// Answered with a status from 200 to 299.
        Delivered,
        /// Given up.
        Failed,
    }
}

/// An address and what it is told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    pub webhook_id: String,
    /// The address.
    pub url: String,
    /// Only changes of this model; of all when null.
    pub model: Option<String>,
    /// False: nothing but tests is sent.
    pub enabled: bool,
    /// What it is for, in words.
    pub description: Option<String>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was changed last.
    pub updated_at: Option<Timestamp>,
    /// Its name, where MLflow's API made it; else null.
    pub name: Option<String>,
    /// The events of registered models it is told of instead of champions, in MLflow's format; none of another.
    pub events: Vec<String>,
}

/// A webhook that was created, with the secret that nothing shows again.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// "whsec_" and the Base64 of the bytes that deliveries are signed with.
    pub secret: String,
}

/// A page of webhooks, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WebhookList {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
    /// For the next page; null on the last.
    pub next_page_token: Option<String>,
}

/// A webhook to be created.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// An address of the scheme https, or http to a loopback address.
    #[schema(max_length = 2048)]
    pub url: String,
    /// Only changes of this model; of all when absent.
    pub model: Option<String>,
    /// What it is for, in words.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// "whsec_" and the Base64 of 24 to 64 bytes to sign with; made when absent.
    pub secret: Option<String>,
}

/// What is to change; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookChange {
    /// The address. What waits is tried there at once.
    #[schema(max_length = 2048)]
    pub url: Option<String>,
    /// Only changes of this model; of all when empty.
    pub model: Option<String>,
    /// False: nothing but tests is sent, what waits is given up, and changes meanwhile are not sent later.
    pub enabled: Option<bool>,
    /// What it is for, in words.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
}

/// The webhook that was removed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RemovedWebhook {
    /// Its id.
    pub webhook_id: String,
}

/// One event to one address.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Delivery {
    /// The header `webhook-id`, the same for every attempt.
    pub delivery_id: String,
    /// The webhook.
    pub webhook_id: String,
    /// "champion.changed", "webhook.test", or one of a webhook's events.
    pub event: String,
    /// The model; null for a test.
    pub model: Option<String>,
    /// Generation of its champion; null where it is not about one.
    pub generation: Option<u64>,
    /// State.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last answer; null when there was none.
    pub http_status: Option<u32>,
    /// Why the last attempt failed, in words.
    pub error: Option<String>,
    /// When the event was noticed.
    pub created_at: Option<Timestamp>,
    /// When it was tried last; null when never.
    pub attempted_at: Option<Timestamp>,
    /// When it will be tried next; null when it will not.
    pub next_attempt_at: Option<Timestamp>,
}

/// A page of the log of deliveries, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Deliveries {
    /// The deliveries.
    pub deliveries: Vec<Delivery>,
    /// For the next page; null on the last.
    pub next_page_token: Option<String>,
}

impl From<wire::Webhook> for Webhook {
    fn from(wire: wire::Webhook) -> Self {
        Self {
            webhook_id: wire.webhook_id,
            url: wire.url,
            model: text(wire.model),
            enabled: wire.enabled,
            description: text(wire.description),
            created_at: time(wire.created_at),
            updated_at: time(wire.updated_at),
            name: text(wire.name),
            events: wire.events,
        }
    }
}

impl From<wire::Delivery> for Delivery {
    fn from(wire: wire::Delivery) -> Self {
        Self {
            delivery_id: wire.delivery_id,
            webhook_id: wire.webhook_id,
            event: wire.event,
            model: text(wire.model),
            generation: counted(wire.generation),
            state: wire.state.into(),
            attempts: wire.attempts,
            http_status: counted(wire.http_status),
            error: text(wire.error),
            created_at: time(wire.created_at),
            attempted_at: time(wire.attempted_at),
            next_attempt_at: time(wire.next_attempt_at),
        }
    }
}

fn webhook(wire: Option<wire::Webhook>) -> Result<Webhook, Fault> {
    Ok(promised(wire, "the webhook")?.into())
}

/// Adds one.
///
/// # Errors
/// The registry's.
pub async fn create(peers: &Peers, new: NewWebhook) -> Result<CreatedWebhook, Fault> {
    let message = wire::CreateWebhookRequest {
        url: new.url,
        model: new.model.unwrap_or_default(),
        description: new.description.unwrap_or_default(),
        secret: new.secret.unwrap_or_default(),
        ..wire::CreateWebhookRequest::default()
    };
    let answer = peers.create_webhook(message).await?;
    Ok(CreatedWebhook {
        webhook: webhook(answer.webhook)?,
        secret: answer.secret,
    })
}

/// Gets one.
///
/// # Errors
/// The registry's.
pub async fn get(peers: &Peers, webhook_id: String) -> Result<Webhook, Fault> {
    webhook(peers.get_webhook(wire::GetWebhookRequest { webhook_id }).await?.webhook)
}

/// Lists them, newest first.
///
/// # Errors
/// The registry's.
pub async fn list(peers: &Peers, page_size: u32, page_token: String) -> Result<WebhookList, Fault> {
    let answer = peers
        .list_webhooks(wire::ListWebhooksRequest { page_size, page_token })
        .await?;
    Ok(WebhookList {
        webhooks: answer.webhooks.into_iter().map(Webhook::from).collect(),
        next_page_token: text(answer.next_page_token),
    })
}

/// Changes one.
///
/// # Errors
/// The registry's.
pub async fn update(peers: &Peers, webhook_id: String, change: WebhookChange) -> Result<Webhook, Fault> {
    let message = wire::UpdateWebhookRequest {
        webhook_id,
        url: change.url,
        model: change.model,
        enabled: change.enabled,
        description: change.description,
        ..wire::UpdateWebhookRequest::default()
    };
    webhook(peers.update_webhook(message).await?.webhook)
}

/// Removes one with its log.
///
/// # Errors
/// The registry's.
pub async fn remove(peers: &Peers, webhook_id: String) -> Result<RemovedWebhook, Fault> {
    let message = wire::DeleteWebhookRequest {
        webhook_id: webhook_id.clone(),
    };
    peers.delete_webhook(message).await?;
    Ok(RemovedWebhook { webhook_id })
}

/// Sends a test event now.
///
/// # Errors
/// The registry's. An attempt that failed is an answer.
pub async fn test(peers: &Peers, webhook_id: String) -> Result<Delivery, Fault> {
    let answer = peers
        .test_webhook(wire::TestWebhookRequest {
            webhook_id,
            ..wire::TestWebhookRequest::default()
        })
        .await?;
    Ok(promised(answer.delivery, "the delivery")?.into())
}

/// The log, newest first; of all webhooks when `webhook_id` is empty.
///
/// # Errors
/// The registry's.
pub async fn deliveries(
    peers: &Peers,
    webhook_id: String,
    page_size: u32,
    page_token: String,
) -> Result<Deliveries, Fault> {
    let message = wire::ListDeliveriesRequest {
        webhook_id,
        page_size,
        page_token,
    };
    let answer = peers.list_deliveries(message).await?;
    Ok(Deliveries {
        deliveries: answer.deliveries.into_iter().map(Delivery::from).collect(),
        next_page_token: text(answer.next_page_token),
    })
}
