//! Webhooks, told to real receivers.

mod apart;
mod delivering;
mod managing;
mod mlflow;
pub(crate) mod receiver;
mod tls;

use holdfast_api::registry::v1 as wire;
use holdfast_registry::{Settings, WebhookSettings};
use holdfast_testkit::eventually_some;

use crate::support::Registry;
use receiver::{PATIENCE, Receiver};

/// Pauses and looks that do not make a test wait.
fn quick() -> Settings {
    quick_with(|_| {})
}

fn quick_with(change: impl FnOnce(&mut WebhookSettings)) -> Settings {
    let mut settings = Settings::on_free_ports();
    settings.webhooks.retry_pauses_ms = vec![10, 20, 30];
    settings.webhooks.poll_interval_ms = 20;
    change(&mut settings.webhooks);
    settings
}

impl Registry {
    /// Adds a webhook for this address; answers its id and secret.
    async fn hook(&mut self, url: &str, model: &str) -> (String, String) {
        let request = wire::CreateWebhookRequest {
            url: url.to_owned(),
            model: model.to_owned(),
            ..wire::CreateWebhookRequest::default()
        };
        let answer = self.webhooks.create_webhook(request).await.unwrap().into_inner();
        (answer.webhook.unwrap().webhook_id, answer.secret)
    }

    async fn hook_to(&mut self, receiver: &Receiver) -> (String, String) {
        self.hook(&receiver.url(), "").await
    }

    async fn enable(&mut self, webhook_id: &str, enabled: bool) {
        let request = wire::UpdateWebhookRequest {
            webhook_id: webhook_id.to_owned(),
            enabled: Some(enabled),
            ..wire::UpdateWebhookRequest::default()
        };
        self.webhooks.update_webhook(request).await.unwrap();
    }

    /// The log of a webhook, newest first.
    async fn webhook_log(&mut self, webhook_id: &str) -> Vec<wire::Delivery> {
        let request = wire::ListDeliveriesRequest {
            webhook_id: webhook_id.to_owned(),
            ..wire::ListDeliveriesRequest::default()
        };
        self.webhooks
            .list_deliveries(request)
            .await
            .unwrap()
            .into_inner()
            .deliveries
    }

    /// The newest delivery, once it is as wanted.
    async fn newest_delivery(&mut self, webhook_id: &str, wanted: impl Fn(&wire::Delivery) -> bool) -> wire::Delivery {
        let look = async || {
            self.webhook_log(webhook_id)
                .await
                .into_iter()
                .next()
                .filter(|newest| wanted(newest))
        };
        eventually_some("the newest delivery to be as wanted", PATIENCE, look).await
    }
}

fn is_delivered(delivery: &wire::Delivery) -> bool {
    delivery.state() == wire::DeliveryState::Delivered
}

fn is_failed(delivery: &wire::Delivery) -> bool {
    delivery.state() == wire::DeliveryState::Failed
}
