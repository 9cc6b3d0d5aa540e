//! Events of registered models, told as MLflow's server tells them.

use holdfast_api::registry::v1 as wire;
use serde_json::{Value, json};
use tonic::Code;

use super::quick;
use super::receiver::{Receiver, Told};
use crate::support::{MODEL, Registry, violated};

const SECRET: &str = "a secret of the team";
const EVENTS: [&str; 6] = [
    "registered_model.created",
    "model_version.created",
    "model_version_tag.set",
    "model_version_tag.deleted",
    "model_version_alias.created",
    "model_version_alias.deleted",
];

fn hook(url: &str, events: &[&str]) -> wire::CreateWebhookRequest {
    wire::CreateWebhookRequest {
        url: url.to_owned(),
        name: "to-slack".to_owned(),
        events: events.iter().map(|&event| event.to_owned()).collect(),
        ..wire::CreateWebhookRequest::default()
    }
}

fn pair(key: &str, value: &str) -> Option<wire::Tag> {
    Some(wire::Tag {
        key: key.to_owned(),
        value: value.to_owned(),
    })
}

/// Entity, action and data.
fn said(told: &Told) -> Value {
    let event = told.event();
    assert!(
        event["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(),
        "{event}"
    );
    json!([event["entity"], event["action"], event["data"]])
}

/// Answers the run of the version that is made.
async fn change_everything(registry: &mut Registry) -> String {
    let (name, version) = (MODEL.to_owned(), 1);
    let model = wire::CreateRegisteredModelRequest {
        name: name.clone(),
        tags: pair("team", "churn").into_iter().collect(),
        description: "who leaves".to_owned(),
    };
    registry.registered.create_registered_model(model).await.unwrap();
    let run_id = registry.ready_version(b"first").await.run_id;
    let tag = wire::SetVersionTagRequest {
        name: name.clone(),
        version,
        tag: pair("seen", "by ada"),
    };
    registry.registered.set_version_tag(tag).await.unwrap();
    let tag = wire::DeleteVersionTagRequest {
        name: name.clone(),
        version,
        key: "seen".to_owned(),
    };
    registry.registered.delete_version_tag(tag).await.unwrap();
    let alias = wire::SetAliasRequest {
        name: name.clone(),
        alias: "next".to_owned(),
        version,
    };
    registry.registered.set_alias(alias).await.unwrap();
    let alias = wire::DeleteAliasRequest {
        name,
        alias: "next".to_owned(),
    };
    registry.registered.delete_alias(alias).await.unwrap();
    run_id
}

#[tokio::test]
async fn changes_of_registered_models_are_told_as_by_mlflow_and_a_champion_as_an_alias() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let receiver = Receiver::start([]).await;
    let request = wire::CreateWebhookRequest {
        secret: SECRET.to_owned(),
        ..hook(&receiver.url(), &EVENTS)
    };
    let created = registry.webhooks.create_webhook(request).await.unwrap().into_inner();
    let webhook = created.webhook.unwrap();
    assert_eq!(
        (webhook.name.as_str(), webhook.events.as_slice()),
        ("to-slack", &EVENTS.map(str::to_owned)[..])
    );
    let run_id = change_everything(&mut registry).await;
    let told = receiver.told_times(6).await;
    registry.crown(1).await;
    let crowned = receiver.told_times(7).await.remove(6);

    let expected = [
        json!(["registered_model", "created", {"name": MODEL, "tags": {"team": "churn"}, "description": "who leaves"}]),
        json!(["model_version", "created", {
            "name": MODEL, "version": "1", "source": "mlflow-artifacts:/models/churn/1", "run_id": run_id, "tags": {},
            "description": null,
        }]),
        json!(["model_version_tag", "set", {"name": MODEL, "version": "1", "key": "seen", "value": "by ada"}]),
        json!(["model_version_tag", "deleted", {"name": MODEL, "version": "1", "key": "seen"}]),
        json!(["model_version_alias", "created", {"name": MODEL, "alias": "next", "version": "1"}]),
        json!(["model_version_alias", "deleted", {"name": MODEL, "alias": "next"}]),
    ];
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), expected);
    let champion = json!(["model_version_alias", "created", {"name": MODEL, "alias": "champion", "version": "1"}]);
    assert_eq!(said(&crowned), champion);
    for told in told.iter().chain([&crowned]) {
        assert!(told.is_signed_as_by_mlflow(SECRET), "{told:?}");
        assert!(!told.is_signed_as_by_mlflow("another"));
        assert!(!told.headers.contains_key("webhook-id"));
    }
    let log = registry.webhook_log(&webhook.webhook_id).await;
    assert!(
        log.iter()
            .all(|delivery| delivery.model == MODEL && delivery.generation == 0),
        "{log:?}"
    );
    registry.stop().await;
}

#[tokio::test]
async fn only_what_was_asked_for_is_told_and_nothing_while_disabled() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let (deaf, listening) = (Receiver::start([]).await, Receiver::start([]).await);
    let disabled = wire::CreateWebhookRequest {
        disabled: true,
        ..hook(&deaf.url(), &EVENTS)
    };
    let disabled = registry.webhooks.create_webhook(disabled).await.unwrap().into_inner();
    let listens = hook(&listening.url(), &["model_version_alias.deleted"]);
    let listens = registry.webhooks.create_webhook(listens).await.unwrap().into_inner();
    assert_eq!((disabled.secret.as_str(), listens.secret.as_str()), ("", ""));
    change_everything(&mut registry).await;
    registry.crown(1).await;
    let told = listening.told_times(1).await;
    assert!(!told[0].headers.contains_key("x-mlflow-signature"));
    assert_eq!(said(&told[0])[2], json!({"name": MODEL, "alias": "next"}));

    // From now on also of champions, and signed.
    let webhook_id = listens.webhook.unwrap().webhook_id;
    let change = wire::UpdateWebhookRequest {
        webhook_id: webhook_id.clone(),
        name: Some("renamed".to_owned()),
        events: vec!["model_version_alias.created".to_owned()],
        secret: Some(SECRET.to_owned()),
        ..wire::UpdateWebhookRequest::default()
    };
    let changed = registry.webhooks.update_webhook(change).await.unwrap().into_inner();
    let changed = changed.webhook.unwrap();
    assert_eq!((changed.name.as_str(), changed.events.len()), ("renamed", 1));
    registry.crown(1).await;
    let told = listening.told_times(2).await;
    assert_eq!(
        said(&told[1])[2],
        json!({"name": MODEL, "alias": "champion", "version": "1"})
    );
    assert!(told[1].is_signed_as_by_mlflow(SECRET));
    assert_eq!(registry.webhook_log(&webhook_id).await.len(), 2);
    assert!(deaf.told().is_empty());
    let log = registry.webhook_log(&disabled.webhook.unwrap().webhook_id).await;
    assert!(log.is_empty(), "{log:?}");
    registry.stop().await;
}

#[tokio::test]
async fn a_test_sends_an_example_of_the_event_that_is_named_or_of_its_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let receiver = Receiver::start([]).await;
    let request = hook(&receiver.url(), &["model_version_tag.set", "registered_model.created"]);
    let created = registry.webhooks.create_webhook(request).await.unwrap().into_inner();
    let webhook_id = created.webhook.unwrap().webhook_id;
    for event in ["", "model_version_alias.deleted"] {
        let request = wire::TestWebhookRequest {
            webhook_id: webhook_id.clone(),
            event: event.to_owned(),
        };
        let tested = registry.webhooks.test_webhook(request).await.unwrap().into_inner();
        assert_eq!(tested.delivery.unwrap().event, "webhook.test");
    }
    let told: Vec<Value> = receiver.told().iter().map(said).collect();
    let tag = json!({"name": "example_model", "version": "1", "key": "example_key", "value": "example_value"});
    let alias = json!({"name": "example_model", "alias": "example_alias"});
    assert_eq!(
        told,
        [
            json!(["model_version_tag", "set", tag]),
            json!(["model_version_alias", "deleted", alias])
        ]
    );
    registry.stop().await;
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_with_field_and_rule() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let fine = hook("https://example.com/", &EVENTS);
    for (request, field, rule) in [
        (hook("https://example.com/", &["prompt.created"]), "events[0]", "event"),
        (hook("https://example.com/", &[]), "name", "champions"),
        (
            wire::CreateWebhookRequest {
                name: "no blanks".to_owned(),
                ..fine.clone()
            },
            "name",
            "name",
        ),
        (
            wire::CreateWebhookRequest {
                model: MODEL.to_owned(),
                ..fine.clone()
            },
            "model",
            "events",
        ),
        (
            wire::CreateWebhookRequest {
                secret: "s".repeat(1_001),
                ..fine.clone()
            },
            "secret",
            "length",
        ),
    ] {
        let refused = registry.webhooks.create_webhook(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert_eq!(violated(&refused), [(field.to_owned(), rule.to_owned())]);
    }
    let (champions, _) = registry.hook("https://example.com/", "").await;
    let events = registry.webhooks.create_webhook(fine).await.unwrap().into_inner();
    let events = events.webhook.unwrap().webhook_id;
    let change = |webhook_id: &str| wire::UpdateWebhookRequest {
        webhook_id: webhook_id.to_owned(),
        ..wire::UpdateWebhookRequest::default()
    };
    for (request, field, rule) in [
        (
            wire::UpdateWebhookRequest {
                secret: Some(SECRET.to_owned()),
                ..change(&champions)
            },
            "secret",
            "champions",
        ),
        (
            wire::UpdateWebhookRequest {
                events: vec![EVENTS[0].to_owned()],
                ..change(&champions)
            },
            "events",
            "champions",
        ),
        (
            wire::UpdateWebhookRequest {
                model: Some(MODEL.to_owned()),
                ..change(&events)
            },
            "model",
            "events",
        ),
    ] {
        let refused = registry.webhooks.update_webhook(request).await.unwrap_err();
        assert_eq!(violated(&refused), [(field.to_owned(), rule.to_owned())]);
    }
    let test = wire::TestWebhookRequest {
        webhook_id: champions,
        event: EVENTS[0].to_owned(),
    };
    let refused = registry.webhooks.test_webhook(test).await.unwrap_err();
    assert_eq!(violated(&refused), [("event".to_owned(), "champions".to_owned())]);
    registry.stop().await;
}
