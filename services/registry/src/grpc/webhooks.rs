//! `WebhookService`.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::webhook_service_server::WebhookService;
use holdfast_api::time;
use holdfast_domain::ModelName;
use tonic::{Request, Response, Status};

use super::{model_name, page_request, page_token, status};
use crate::service::webhooks::{
    self, Delivery, DeliveryState, NewWebhook, SigningSecret, Webhook, WebhookChange, Webhooks,
};

/// `WebhookService` over [`Webhooks`].
#[derive(Clone, Debug)]
pub(crate) struct WebhookAdapter {
    webhooks: Webhooks,
}

impl WebhookAdapter {
    /// The adapter.
    pub(crate) fn new(webhooks: Webhooks) -> Self {
        Self { webhooks }
    }
}

#[tonic::async_trait]
impl WebhookService for WebhookAdapter {
    async fn create_webhook(
        &self,
        request: Request<wire::CreateWebhookRequest>,
    ) -> Result<Response<wire::CreateWebhookResponse>, Status> {
        let request = request.into_inner();
        let new = NewWebhook {
            model: one_model(&request.model)?,
            url: request.url,
            description: request.description,
            secret: request.secret,
            name: request.name,
            events: webhooks::events(&request.events).map_err(status)?,
            enabled: !request.disabled,
        };
        let (webhook, secret) = self.webhooks.create(new).await.map_err(status)?;
        Ok(Response::new(wire::CreateWebhookResponse {
            webhook: Some(webhook_out(webhook)),
            secret: secret.map(|secret| secret.expose()).unwrap_or_default(),
        }))
    }

    async fn get_webhook(
        &self,
        request: Request<wire::GetWebhookRequest>,
    ) -> Result<Response<wire::GetWebhookResponse>, Status> {
        let webhook = self.webhooks.get(&request.into_inner().webhook_id).await;
        Ok(Response::new(wire::GetWebhookResponse {
            webhook: Some(webhook_out(webhook.map_err(status)?)),
        }))
    }

    async fn list_webhooks(
        &self,
        request: Request<wire::ListWebhooksRequest>,
    ) -> Result<Response<wire::ListWebhooksResponse>, Status> {
        let request = request.into_inner();
        let page = page_request(request.page_size, &request.page_token)?;
        let found = self.webhooks.list(&page).await.map_err(status)?;
        Ok(Response::new(wire::ListWebhooksResponse {
            webhooks: found.items.into_iter().map(webhook_out).collect(),
            next_page_token: page_token(found.next),
        }))
    }

    async fn update_webhook(
        &self,
        request: Request<wire::UpdateWebhookRequest>,
    ) -> Result<Response<wire::UpdateWebhookResponse>, Status> {
        let request = request.into_inner();
        let change = WebhookChange {
            model: request.model.as_deref().map(one_model).transpose()?,
            url: request.url,
            enabled: request.enabled,
            description: request.description,
            name: request.name,
            events: match request.events.as_slice() {
                [] => None,
                names => Some(webhooks::events(names).map_err(status)?),
            },
            secret: request
                .secret
                .as_deref()
                .map(SigningSecret::of_text)
                .transpose()
                .map_err(status)?,
        };
        let webhook = self.webhooks.update(&request.webhook_id, change).await;
        Ok(Response::new(wire::UpdateWebhookResponse {
            webhook: Some(webhook_out(webhook.map_err(status)?)),
        }))
    }

    async fn delete_webhook(
        &self,
        request: Request<wire::DeleteWebhookRequest>,
    ) -> Result<Response<wire::DeleteWebhookResponse>, Status> {
        let webhook_id = request.into_inner().webhook_id;
        self.webhooks.delete(&webhook_id).await.map_err(status)?;
        Ok(Response::new(wire::DeleteWebhookResponse {}))
    }

    async fn test_webhook(
        &self,
        request: Request<wire::TestWebhookRequest>,
    ) -> Result<Response<wire::TestWebhookResponse>, Status> {
        let request = request.into_inner();
        let delivery = self.webhooks.test(&request.webhook_id, &request.event).await;
        Ok(Response::new(wire::TestWebhookResponse {
            delivery: Some(delivery_out(delivery.map_err(status)?)),
        }))
    }

    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Result<Response<wire::ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let page = page_request(request.page_size, &request.page_token)?;
        let of = (!request.webhook_id.is_empty()).then_some(request.webhook_id.as_str());
        let found = self.webhooks.deliveries(of, &page).await.map_err(status)?;
        Ok(Response::new(wire::ListDeliveriesResponse {
            deliveries: found.items.into_iter().map(delivery_out).collect(),
            next_page_token: page_token(found.next),
        }))
    }
}

/// The model that a text names; the empty text stands for all.
fn one_model(text: &str) -> Result<Option<ModelName>, Status> {
    match text {
        "" => Ok(None),
        name => model_name(name).map(Some),
    }
}

fn webhook_out(webhook: Webhook) -> wire::Webhook {
    let told = webhook.subscription.map_or_else(Default::default, |told| {
        let events = told.events.iter().map(|event| event.as_str().to_owned());
        (told.name, events.collect())
    });
    wire::Webhook {
        webhook_id: webhook.webhook_id,
        url: webhook.url,
        model: webhook.model.map(|model| model.to_string()).unwrap_or_default(),
        enabled: webhook.enabled,
        description: webhook.description,
        created_at: Some(time::to_wire(webhook.created_at)),
        updated_at: Some(time::to_wire(webhook.updated_at)),
        name: told.0,
        events: told.1,
    }
}

fn delivery_out(delivery: Delivery) -> wire::Delivery {
    let state = match delivery.state {
        DeliveryState::Pending => wire::DeliveryState::Pending,
        DeliveryState::Delivered => wire::DeliveryState::Delivered,
        DeliveryState::Failed => wire::DeliveryState::Failed,
    };
    wire::Delivery {
        delivery_id: delivery.delivery_id,
        webhook_id: delivery.webhook_id,
        event: delivery.event.as_str().to_owned(),
        model: delivery.model,
        generation: delivery.generation.0,
        state: state.into(),
        attempts: delivery.attempts,
        http_status: delivery.http_status.into(),
        error: delivery.error,
        created_at: Some(time::to_wire(delivery.created_at)),
        attempted_at: delivery.attempted_at.map(time::to_wire),
        next_attempt_at: delivery.next_attempt_at.map(time::to_wire),
    }
}
