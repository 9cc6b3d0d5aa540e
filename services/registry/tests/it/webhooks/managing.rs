//! Adding, changing, testing and removing webhooks.

use holdfast_api::registry::v1 as wire;
use holdfast_chassis::settings::Section as _;
use holdfast_registry::WebhookSettings;
use tonic::Code;

use super::receiver::{Receiver, Reply};
use super::{is_delivered, quick, quick_with};
use crate::support::{Registry, reason, settings, violated};

fn new(url: &str) -> wire::CreateWebhookRequest {
    wire::CreateWebhookRequest {
        url: url.to_owned(),
        ..wire::CreateWebhookRequest::default()
    }
}

#[tokio::test]
async fn a_webhook_is_added_shown_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let request = wire::CreateWebhookRequest {
        model: "churn".to_owned(),
        description: "the CRM".to_owned(),
        secret: secret.to_owned(),
        ..new("https://crm.example.com/hooks/churn")
    };
    let created = registry.webhooks.create_webhook(request).await.unwrap().into_inner();
    assert_eq!(created.secret, secret);
    let webhook = created.webhook.unwrap();
    assert!(webhook.enabled);
    let made = registry
        .webhooks
        .create_webhook(new("https://other.example.com"))
        .await
        .unwrap()
        .into_inner();
    assert!(
        made.secret.starts_with("whsec_") && made.secret.len() == 50,
        "{}",
        made.secret
    );
    assert_eq!(made.webhook.unwrap().url, "https://other.example.com/");

    let request = wire::ListWebhooksRequest {
        page_size: 1,
        page_token: String::new(),
    };
    let page = registry.webhooks.list_webhooks(request).await.unwrap().into_inner();
    let request = wire::ListWebhooksRequest {
        page_size: 1,
        page_token: page.next_page_token,
    };
    let rest = registry.webhooks.list_webhooks(request).await.unwrap().into_inner();
    assert_eq!(
        (rest.webhooks, rest.next_page_token.as_str()),
        (vec![webhook.clone()], "")
    );

    let request = wire::UpdateWebhookRequest {
        webhook_id: webhook.webhook_id.clone(),
        model: Some(String::new()),
        description: Some("everybody".to_owned()),
        ..wire::UpdateWebhookRequest::default()
    };
    let changed = registry
        .webhooks
        .update_webhook(request)
        .await
        .unwrap()
        .into_inner()
        .webhook
        .unwrap();
    assert_eq!(
        (changed.model.as_str(), changed.description.as_str(), changed.enabled),
        ("", "everybody", true)
    );
    assert_eq!(changed.url, webhook.url);
    let get = wire::GetWebhookRequest {
        webhook_id: webhook.webhook_id.clone(),
    };
    let got = registry.webhooks.get_webhook(get.clone()).await.unwrap().into_inner();
    assert_eq!(got.webhook.unwrap(), changed);

    let delete = wire::DeleteWebhookRequest {
        webhook_id: webhook.webhook_id,
    };
    registry.webhooks.delete_webhook(delete.clone()).await.unwrap();
    let gone = registry.webhooks.get_webhook(get).await.unwrap_err();
    assert_eq!(
        (gone.code(), reason(&gone).as_str()),
        (Code::NotFound, "NO_SUCH_WEBHOOK")
    );
    let gone = registry.webhooks.delete_webhook(delete).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    registry.stop().await;
}

#[tokio::test]
async fn what_may_not_be_told_is_refused_with_field_and_rule() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let fine = new("https://example.com/");
    for (request, field, rule) in [
        (new(""), "url", "url"),
        (new("http://example.com/"), "url", "insecure"),
        (new("https://192.168.0.1/"), "url", "address"),
        (new("https://[::ffff:169.254.169.254]/"), "url", "address"),
        (
            wire::CreateWebhookRequest {
                model: "No Model".to_owned(),
                ..fine.clone()
            },
            "model",
            "model_name",
        ),
        (
            wire::CreateWebhookRequest {
                description: "ä".repeat(1_001),
                ..fine.clone()
            },
            "description",
            "length",
        ),
        (
            wire::CreateWebhookRequest {
                secret: "hunter2".to_owned(),
                ..fine.clone()
            },
            "secret",
            "secret",
        ),
    ] {
        let refused = registry.webhooks.create_webhook(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(violated(&refused), [(field.to_owned(), rule.to_owned())]);
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
    let (hook, _) = registry.hook("https://example.com/", "").await;
    let request = wire::UpdateWebhookRequest {
        webhook_id: hook,
        url: Some("ftp://example.com/".to_owned()),
        ..wire::UpdateWebhookRequest::default()
    };
    let refused = registry.webhooks.update_webhook(request).await.unwrap_err();
    assert_eq!(violated(&refused), [("url".to_owned(), "scheme".to_owned())]);
    registry.stop().await;
}

#[tokio::test]
async fn a_test_is_sent_now_logged_and_answered() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let receiver = Receiver::start([Reply::Status(202), Reply::Status(418)]).await;
    let (hook, secret) = registry.hook_to(&receiver).await;
    registry.enable(&hook, false).await;
    let request = wire::TestWebhookRequest {
        webhook_id: hook.clone(),
        ..wire::TestWebhookRequest::default()
    };
    let sent = registry
        .webhooks
        .test_webhook(request.clone())
        .await
        .unwrap()
        .into_inner()
        .delivery
        .unwrap();
    assert!(is_delivered(&sent));
    assert_eq!(
        (sent.http_status, sent.attempts, sent.event.as_str()),
        (202, 1, "webhook.test")
    );
    let told = &receiver.told()[0];
    assert!(told.is_signed_with(&secret));
    assert_eq!(told.id(), sent.delivery_id);
    assert_eq!(told.event()["data"]["webhook_id"], hook.as_str());

    let failed = registry
        .webhooks
        .test_webhook(request)
        .await
        .unwrap()
        .into_inner()
        .delivery
        .unwrap();
    assert_eq!(
        (failed.state(), failed.error.as_str()),
        (wire::DeliveryState::Failed, "answered 418")
    );
    assert_eq!(registry.webhook_log(&hook).await, [failed, sent]);
    registry.stop().await;
}

#[tokio::test]
async fn a_test_that_arrives_ends_the_wait_for_the_next_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let settings = quick_with(|webhooks| webhooks.retry_pauses_ms = vec![3_600_000]);
    let mut registry = Registry::start_with(dir.path(), settings).await;
    let receiver = Receiver::start([Reply::Status(500)]).await;
    let (hook, _) = registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    registry
        .newest_delivery(&hook, |newest| newest.http_status == 500)
        .await;
    let request = wire::TestWebhookRequest {
        webhook_id: hook,
        ..wire::TestWebhookRequest::default()
    };
    registry.webhooks.test_webhook(request).await.unwrap();
    let told = receiver.told_times(3).await;
    assert_eq!(told[0].id(), told[2].id());
    registry.stop().await;
}

type Change = fn(&mut WebhookSettings);

#[test]
fn settings_that_cannot_be_are_refused_by_their_path() {
    let dir = tempfile::tempdir().unwrap();
    let (common, fine) = settings(dir.path());
    assert!(fine.validate(&common).is_ok());
    let wrong: [(&str, Change); 7] = [
        ("allowed_networks", |webhooks| {
            webhooks.allowed_networks = vec!["10.0.0.0".to_owned()];
        }),
        ("attempt_timeout_ms", |webhooks| webhooks.attempt_timeout_ms = 60_001),
        ("retry_pauses_ms", |webhooks| webhooks.retry_pauses_ms = vec![1; 21]),
        ("retry_pauses_ms", |webhooks| webhooks.retry_pauses_ms = vec![0]),
        ("poll_interval_ms", |webhooks| webhooks.poll_interval_ms = 0),
        ("max_concurrent", |webhooks| webhooks.max_concurrent = 0),
        ("log_days", |webhooks| webhooks.log_days = 0),
    ];
    for (key, change) in wrong {
        let mut settings = fine.clone();
        change(&mut settings.webhooks);
        let found = settings.validate(&common).unwrap_err();
        let paths: Vec<&str> = found.iter().map(|violation| violation.path.as_str()).collect();
        assert_eq!(paths, [format!("registry.webhooks.{key}")]);
    }
}
