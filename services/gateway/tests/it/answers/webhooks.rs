//! Webhooks.

use holdfast_api::registry::v1 as registry;

use super::AT;

pub(crate) const WEBHOOK: &str = "01a219cb-97f8-7407-a98b-8c94cf5e1a28";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn webhook() -> registry::Webhook {
    registry::Webhook {
        webhook_id: WEBHOOK.to_owned(),
        url: "https://crm.example.com/hook".to_owned(),
        model: String::new(),
        enabled: true,
        description: "the CRM".to_owned(),
        created_at: Some(AT),
        updated_at: Some(AT),
        ..registry::Webhook::default()
    }
}

fn delivery() -> registry::Delivery {
    registry::Delivery {
        delivery_id: "01a219cb-9a53-7000-8000-000000000001".to_owned(),
        webhook_id: WEBHOOK.to_owned(),
        event: "champion.changed".to_owned(),
        model: "churn".to_owned(),
        generation: 5,
        state: registry::DeliveryState::Pending.into(),
        attempts: 2,
        http_status: 503,
        error: "answered 503".to_owned(),
        created_at: Some(AT),
        attempted_at: Some(AT),
        next_attempt_at: Some(AT),
    }
}

pub(crate) fn create_webhook(message: registry::CreateWebhookRequest) -> registry::CreateWebhookResponse {
    registry::CreateWebhookResponse {
        webhook: Some(registry::Webhook {
            url: message.url,
            model: message.model,
            ..webhook()
        }),
        secret: SECRET.to_owned(),
    }
}

pub(crate) fn get_webhook(_: registry::GetWebhookRequest) -> registry::GetWebhookResponse {
    registry::GetWebhookResponse {
        webhook: Some(webhook()),
    }
}

pub(crate) fn list_webhooks(_: registry::ListWebhooksRequest) -> registry::ListWebhooksResponse {
    registry::ListWebhooksResponse {
        webhooks: vec![webhook()],
        next_page_token: "7".to_owned(),
    }
}

pub(crate) fn update_webhook(message: registry::UpdateWebhookRequest) -> registry::UpdateWebhookResponse {
    registry::UpdateWebhookResponse {
        webhook: Some(registry::Webhook {
            enabled: message.enabled.unwrap_or(true),
            ..webhook()
        }),
    }
}

pub(crate) fn delete_webhook(_: registry::DeleteWebhookRequest) -> registry::DeleteWebhookResponse {
    registry::DeleteWebhookResponse {}
}

pub(crate) fn test_webhook(_: registry::TestWebhookRequest) -> registry::TestWebhookResponse {
    registry::TestWebhookResponse {
        delivery: Some(registry::Delivery {
            event: "webhook.test".to_owned(),
            model: String::new(),
            generation: 0,
            state: registry::DeliveryState::Failed.into(),
            attempts: 1,
            http_status: 0,
            error: "no connection".to_owned(),
            next_attempt_at: None,
            ..delivery()
        }),
    }
}

pub(crate) fn list_deliveries(_: registry::ListDeliveriesRequest) -> registry::ListDeliveriesResponse {
    registry::ListDeliveriesResponse {
        deliveries: vec![delivery()],
        next_page_token: String::new(),
    }
}
