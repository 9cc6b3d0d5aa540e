//! `webhooks/…`: addresses that are told of registered models as MLflow's server tells them. Holdfast's own webhooks, which are told of champions, are
//! not seen here.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::{Code, Fault};
use serde_json::{Value, json};

use super::asked::Asked;
use super::out::{Out, done, wrapped};
use crate::peers::Peers;
use crate::service::convert::promised;

const WEBHOOK: &str = "webhook";

/// MLflow's things that something happens to, with their numbers on its wire.
const ENTITIES: [(&str, i32); 10] = [
    ("REGISTERED_MODEL", 1),
    ("MODEL_VERSION", 2),
    ("MODEL_VERSION_TAG", 3),
    ("MODEL_VERSION_ALIAS", 4),
    ("PROMPT", 5),
    ("PROMPT_VERSION", 6),
    ("PROMPT_TAG", 7),
    ("PROMPT_VERSION_TAG", 8),
    ("PROMPT_ALIAS", 9),
    ("BUDGET_POLICY", 10),
];
/// What happens to them.
const ACTIONS: [(&str, i32); 5] = [
    ("CREATED", 1),
    ("UPDATED", 2),
    ("DELETED", 3),
    ("SET", 4),
    ("EXCEEDED", 5),
];
const ACTIVE: i32 = 1;
const STATUSES: [(&str, i32); 2] = [("ACTIVE", ACTIVE), ("DISABLED", 2)];

/// `POST webhooks`.
///
/// # Errors
/// As the registry's, or a wrong field; here and below.
pub async fn create(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let events = events(&asked)?;
    if events.is_empty() {
        return Err(asked.missing("events"));
    }
    let message = wire::CreateWebhookRequest {
        url: asked.needed("url")?,
        name: asked.needed("name")?,
        description: asked.text("description")?,
        secret: asked.text("secret")?,
        disabled: enabled(&asked)? == Some(false),
        events,
        ..wire::CreateWebhookRequest::default()
    };
    wrapped(peers.create_webhook(message).await?.webhook, WEBHOOK, webhook)
}

/// `GET webhooks/{webhook_id}`.
///
/// # Errors
/// See [`create`].
pub async fn get(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    wrapped(Some(found(peers, &asked).await?), WEBHOOK, webhook)
}

/// `GET webhooks`.
///
/// # Errors
/// See [`create`].
pub async fn list(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::ListWebhooksRequest {
        page_size: asked.count("max_results")?,
        page_token: asked.text("page_token")?,
    };
    let mut found = peers.list_webhooks(message).await?;
    found.webhooks.retain(is_of_mlflow);
    let out = Out::default().list("webhooks", found.webhooks, webhook);
    Ok(out.text("next_page_token", found.next_page_token).done())
}

/// `PATCH webhooks/{webhook_id}`.
///
/// # Errors
/// See [`create`].
pub async fn update(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let some = |text: String| (!text.is_empty()).then_some(text);
    let message = wire::UpdateWebhookRequest {
        webhook_id: found(peers, &asked).await?.webhook_id,
        url: some(asked.text("url")?),
        name: some(asked.text("name")?),
        description: asked.text_said("description")?,
        secret: asked.text_said("secret")?,
        enabled: enabled(&asked)?,
        events: events(&asked)?,
        model: None,
    };
    wrapped(peers.update_webhook(message).await?.webhook, WEBHOOK, webhook)
}

/// `DELETE webhooks/{webhook_id}`.
///
/// # Errors
/// See [`create`].
pub async fn delete(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::DeleteWebhookRequest {
        webhook_id: found(peers, &asked).await?.webhook_id,
    };
    peers.delete_webhook(message).await?;
    Ok(done())
}

/// `POST webhooks/{webhook_id}/test`. What the receiver answered stays with it, but for the status.
///
/// # Errors
/// See [`create`].
pub async fn test(peers: &Peers, asked: Asked<'_>) -> Result<Value, Fault> {
    let message = wire::TestWebhookRequest {
        webhook_id: found(peers, &asked).await?.webhook_id,
        event: asked
            .part("event")?
            .as_ref()
            .map(event)
            .transpose()?
            .unwrap_or_default(),
    };
    let delivery = promised(peers.test_webhook(message).await?.delivery, "the delivery")?;
    let mut result = Out::default().set("success", delivery.state() == wire::DeliveryState::Delivered);
    if delivery.http_status > 0 {
        result = result.set("response_status", delivery.http_status);
    }
    Ok(json!({"result": result.text("error_message", delivery.error).done()}))
}

/// The webhook that a path names, if it is one of MLflow's kind.
async fn found(peers: &Peers, asked: &Asked<'_>) -> Result<wire::Webhook, Fault> {
    let webhook_id = asked.needed("webhook_id")?;
    let message = wire::GetWebhookRequest {
        webhook_id: webhook_id.clone(),
    };
    let found = promised(peers.get_webhook(message).await?.webhook, WEBHOOK)?;
    if is_of_mlflow(&found) {
        return Ok(found);
    }
    let words = format!("Webhook with ID {webhook_id} is told of champions: see /api/v1/webhooks.");
    Err(Fault::new(Code::NotFound, "NO_SUCH_WEBHOOK", words))
}

fn is_of_mlflow(webhook: &wire::Webhook) -> bool {
    !webhook.events.is_empty()
}

fn enabled(asked: &Asked<'_>) -> Result<Option<bool>, Fault> {
    Ok(asked.choice("status", &STATUSES)?.map(|status| status == ACTIVE))
}

fn events(asked: &Asked<'_>) -> Result<Vec<String>, Fault> {
    asked.parts("events")?.iter().map(event).collect()
}

/// An event by its name in the registry; the registry says which it tells.
fn event(asked: &Asked<'_>) -> Result<String, Fault> {
    let named = |field: &str, choices: &[(&str, i32)]| {
        let number = asked.choice(field, choices)?.ok_or_else(|| asked.missing(field))?;
        let name = choices.iter().find(|(_, choice)| *choice == number);
        Ok::<_, Fault>(name.map(|(name, _)| name.to_ascii_lowercase()).unwrap_or_default())
    };
    Ok(format!(
        "{}.{}",
        named("entity", &ENTITIES)?,
        named("action", &ACTIONS)?
    ))
}

fn webhook(webhook: wire::Webhook) -> Value {
    let event = |name: String| {
        let (entity, action) = name.split_once('.').unwrap_or_default();
        json!({"entity": entity.to_ascii_uppercase(), "action": action.to_ascii_uppercase()})
    };
    Out::default()
        .set("webhook_id", webhook.webhook_id)
        .set("name", webhook.name)
        .set("url", webhook.url)
        .list("events", webhook.events, event)
        .text("description", webhook.description)
        .set("status", if webhook.enabled { "ACTIVE" } else { "DISABLED" })
        .time("creation_timestamp", webhook.created_at)
        .time("last_updated_timestamp", webhook.updated_at)
        .done()
}
