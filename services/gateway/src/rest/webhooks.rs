//! Addresses that are told when a champion changes.

use axum::Json;
use axum::extract::State;
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::App;
use super::body::JsonBody;
use super::extract::{Page, Path, Query};
use crate::ApiError;
use crate::service::webhooks::{
    self, CreatedWebhook, Deliveries, Delivery, NewWebhook, RemovedWebhook, Webhook, WebhookChange, WebhookList,
};

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Of this webhook; of all when absent.
    #[serde(default)]
    #[param(required = false)]
    webhook_id: String,
    /// At most this many, 1 to 1,000; 100 when absent.
    #[serde(default)]
    #[param(required = false, maximum = 1000)]
    page_size: u32,
    /// `next_page_token` of the page before.
    #[serde(default)]
    #[param(required = false)]
    page_token: String,
}

/// Adds a webhook. It is told of changes from now on, and its secret is answered here and never again.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhooks", request_body = NewWebhook,
    responses((status = 201, description = "Created", body = CreatedWebhook, headers(("location" = String, description = "The webhook"))))
)]
pub(super) async fn create(
    State(app): State<App>,
    JsonBody(new): JsonBody<NewWebhook>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<CreatedWebhook>), ApiError> {
    let created = webhooks::create(&app.peers, new).await?;
    let location = [(
        header::LOCATION,
        format!("/api/v1/webhooks/{}", created.webhook.webhook_id),
    )];
    Ok((StatusCode::CREATED, location, Json(created)))
}

/// Webhooks, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhooks", params(Page), responses((status = 200, body = WebhookList))
)]
pub(super) async fn list(State(app): State<App>, Query(page): Query<Page>) -> Result<Json<WebhookList>, ApiError> {
    Ok(Json(webhooks::list(&app.peers, page.page_size, page.page_token).await?))
}

/// One webhook.
#[utoipa::path(
    get, path = "/api/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook")),
    responses((status = 200, body = Webhook))
)]
pub(super) async fn get(State(app): State<App>, Path(webhook_id): Path<String>) -> Result<Json<Webhook>, ApiError> {
    Ok(Json(webhooks::get(&app.peers, webhook_id).await?))
}

/// Changes a webhook: its address, its model, its description, or whether it is on.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook")),
    request_body = WebhookChange,
    responses((status = 200, body = Webhook))
)]
pub(super) async fn update(
    State(app): State<App>,
    Path(webhook_id): Path<String>,
    JsonBody(change): JsonBody<WebhookChange>,
) -> Result<Json<Webhook>, ApiError> {
    Ok(Json(webhooks::update(&app.peers, webhook_id, change).await?))
}

/// Removes a webhook with its log.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook")),
    responses((status = 200, body = RemovedWebhook))
)]
pub(super) async fn remove(
    State(app): State<App>,
    Path(webhook_id): Path<String>,
) -> Result<Json<RemovedWebhook>, ApiError> {
    Ok(Json(webhooks::remove(&app.peers, webhook_id).await?))
}

/// Sends a test event now, to a webhook that is off too, and answers what came of it.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{webhook_id}/test", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook")),
    responses((status = 200, description = "Sent; `state` says whether it arrived", body = Delivery))
)]
pub(super) async fn test(State(app): State<App>, Path(webhook_id): Path<String>) -> Result<Json<Delivery>, ApiError> {
    Ok(Json(webhooks::test(&app.peers, webhook_id).await?))
}

/// The log of deliveries, newest first.
#[utoipa::path(
    get, path = "/api/v1/webhooks/deliveries", tag = "webhooks", params(Which),
    responses((status = 200, body = Deliveries))
)]
pub(super) async fn deliveries(
    State(app): State<App>,
    Query(Which {
        webhook_id,
        page_size,
        page_token,
    }): Query<Which>,
) -> Result<Json<Deliveries>, ApiError> {
    let found = webhooks::deliveries(&app.peers, webhook_id, page_size, page_token).await?;
    Ok(Json(found))
}
