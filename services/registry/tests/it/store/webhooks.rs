//! Webhooks, how far they have been told, and their deliveries.

use std::sync::Arc;

use holdfast_domain::{Generation, ModelName};
use holdfast_registry::Error;
use holdfast_registry::service::registered::NewVersion;
use holdfast_registry::service::store::{PageRequest, RegisteredModelStore, SqlStore, VersionStore as _, WebhookStore};
use holdfast_registry::service::tracking::KeyValue;
use holdfast_registry::service::webhooks::{
    ClaimRules, Claimed, Delivery, DeliveryState, EventKind, Heads, NewDelivery, Settled, SigningSecret, Subscription,
    Webhook, WebhookChange,
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::contract;

contract!(
    webhooks_are_kept_and_listed_newest_first,
    there_are_at_most_a_hundred,
    a_webhook_begins_after_the_heads_of_its_models,
    deliveries_are_added_once_and_only_where_the_cursor_stands,
    one_delivery_of_a_webhook_is_claimed_at_a_time,
    generations_of_a_model_are_claimed_in_order_and_models_apart,
    a_claim_that_ran_out_is_another_s,
    times_of_a_clock_that_was_wrong_are_not_waited_for,
    disabling_gives_up_what_waits_and_enabling_begins_after_the_heads,
    an_attempt_that_outlives_its_webhook_s_disabling_is_not_tried_again,
    a_model_that_comes_under_a_webhook_begins_after_its_head,
    a_new_address_makes_what_waits_due,
    deleting_takes_the_log_along,
    ended_deliveries_are_pruned_and_waiting_ones_are_not,
    a_change_of_a_registered_model_and_its_deliveries_are_one,
    events_of_a_model_are_claimed_in_their_order_whatever_the_clock_says,
    events_are_told_to_whoever_is_enabled_and_asked_for_them,
);

const LEASE: SignedDuration = SignedDuration::from_secs(60);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(12);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn model(name: &str) -> ModelName {
    name.parse().unwrap()
}

fn webhook(only: Option<&str>) -> Webhook {
    Webhook {
        webhook_id: Uuid::now_v7().to_string(),
        url: "https://example.com/hook".to_owned(),
        model: only.map(model),
        enabled: true,
        description: "für alle".to_owned(),
        created_at: at(0),
        updated_at: at(0),
        subscription: None,
    }
}

/// One that is told of these events of registered models.
async fn told_of(store: &SqlStore, events: &[EventKind]) -> Webhook {
    let subscription = Subscription {
        name: "mine".to_owned(),
        events: events.to_vec(),
    };
    let webhook = Webhook {
        subscription: Some(subscription),
        ..webhook(None)
    };
    let secret = SigningSecret::of_text("any words").unwrap();
    store
        .create_webhook(&webhook, secret.as_ref(), &Heads::new())
        .await
        .unwrap();
    webhook
}

async fn created(store: &SqlStore, only: Option<&str>, heads: &Heads) -> Webhook {
    let webhook = webhook(only);
    let secret = SigningSecret::generate().unwrap();
    store.create_webhook(&webhook, Some(&secret), heads).await.unwrap();
    webhook
}

fn new(generations: impl IntoIterator<Item = u64>) -> Vec<NewDelivery> {
    let made = generations.into_iter().map(|generation| NewDelivery {
        delivery_id: Uuid::now_v7().to_string(),
        event: EventKind::ChampionChanged,
        generation: Generation(generation),
        body: format!("{{\"generation\":{generation}}}"),
    });
    made.collect()
}

async fn add(store: &SqlStore, to: &Webhook, name: &str, after: u64, count: u64) -> u64 {
    let new = new(after + 1..=after + count);
    let (name, after) = (model(name), Generation(after));
    store
        .add_deliveries(&to.webhook_id, &name, after, &new, at(1))
        .await
        .unwrap()
}

async fn claim(store: &SqlStore, now: Timestamp) -> Vec<Claimed> {
    let rules = ClaimRules {
        now,
        lease: LEASE,
        longest_pause: LONGEST_PAUSE,
        limit: 10,
    };
    store.claim_deliveries(&rules).await.unwrap()
}

async fn claim_one(store: &SqlStore, now: Timestamp) -> Claimed {
    let mut claimed = claim(store, now).await;
    assert_eq!(claimed.len(), 1, "{claimed:?}");
    claimed.remove(0)
}

async fn settle(store: &SqlStore, claimed: &Claimed, state: DeliveryState, next: Option<Timestamp>) -> bool {
    let settled = Settled {
        delivery_id: claimed.delivery_id.clone(),
        claim: claimed.claim.clone(),
        state,
        http_status: if state == DeliveryState::Delivered { 204 } else { 500 },
        error: if state == DeliveryState::Delivered {
            String::new()
        } else {
            "answered 500".to_owned()
        },
        next_attempt_at: next,
    };
    store.settle_delivery(&settled).await.unwrap()
}

async fn log(store: &SqlStore, of: &Webhook) -> Vec<Delivery> {
    let page = PageRequest {
        size: 100,
        before: None,
    };
    store.deliveries(Some(&of.webhook_id), &page).await.unwrap().items
}

async fn cursor(store: &SqlStore, of: &Webhook, name: &str) -> Option<u64> {
    let cursors = store.cursors().await.unwrap();
    let cursor = cursors.get(&(of.webhook_id.clone(), name.to_owned()));
    cursor.map(|generation| generation.0)
}

fn enabled(on: bool) -> WebhookChange {
    WebhookChange {
        enabled: Some(on),
        ..WebhookChange::default()
    }
}

async fn webhooks_are_kept_and_listed_newest_first(store: Arc<SqlStore>) {
    let secret = SigningSecret::generate().unwrap();
    let first = webhook(Some("churn"));
    store
        .create_webhook(&first, Some(&secret), &Heads::new())
        .await
        .unwrap();
    let second = created(&store, None, &Heads::new()).await;
    let third = created(&store, None, &Heads::new()).await;
    assert_eq!(
        store.webhook(&first.webhook_id).await.unwrap(),
        (first.clone(), Some(secret))
    );

    let page = PageRequest { size: 2, before: None };
    let newest = store.webhooks(&page).await.unwrap();
    assert_eq!(newest.items, [third, second]);
    let page = PageRequest {
        size: 2,
        before: newest.next,
    };
    let rest = store.webhooks(&page).await.unwrap();
    assert_eq!((rest.items, rest.next), (vec![first.clone()], None));

    let change = WebhookChange {
        url: Some("https://example.org/other".to_owned()),
        model: Some(None),
        enabled: Some(false),
        description: Some(String::new()),
        ..WebhookChange::default()
    };
    let changed = store
        .update_webhook(&first.webhook_id, &change, &Heads::new(), at(9))
        .await
        .unwrap();
    let expected = Webhook {
        url: "https://example.org/other".to_owned(),
        model: None,
        enabled: false,
        description: String::new(),
        updated_at: at(9),
        ..first.clone()
    };
    assert_eq!(changed, expected);
    assert_eq!(store.webhook(&first.webhook_id).await.unwrap().0, expected);
    assert_eq!(store.enabled_webhooks().await.unwrap().len(), 2);

    let unknown = Uuid::now_v7().to_string();
    assert!(matches!(store.webhook(&unknown).await, Err(Error::NoSuchWebhook(id)) if id == unknown));
    let refused = store.update_webhook(&unknown, &change, &Heads::new(), at(9)).await;
    assert!(matches!(refused, Err(Error::NoSuchWebhook(_))));
    assert!(matches!(
        store.delete_webhook(&unknown).await,
        Err(Error::NoSuchWebhook(_))
    ));
}

async fn there_are_at_most_a_hundred(store: Arc<SqlStore>) {
    let secret = SigningSecret::generate().unwrap();
    let mut creating = tokio::task::JoinSet::new();
    for _ in 0..110 {
        let (store, secret) = (store.clone(), secret.clone());
        creating.spawn(async move { store.create_webhook(&webhook(None), Some(&secret), &Heads::new()).await });
    }
    let ended = creating.join_all().await;
    let refused = ended
        .iter()
        .filter(|end| matches!(end, Err(Error::TooManyWebhooks(100))))
        .count();
    assert_eq!((refused, ended.iter().filter(|end| end.is_ok()).count()), (10, 100));
}

async fn a_webhook_begins_after_the_heads_of_its_models(store: Arc<SqlStore>) {
    let heads = vec![(model("churn"), Generation(7)), (model("fraud"), Generation(2))];
    let all = created(&store, None, &heads).await;
    let one = created(&store, Some("fraud"), &heads).await;
    assert_eq!(cursor(&store, &all, "churn").await, Some(7));
    assert_eq!(cursor(&store, &all, "fraud").await, Some(2));
    assert_eq!(cursor(&store, &one, "fraud").await, Some(2));
    assert_eq!(cursor(&store, &one, "churn").await, None);
    assert_eq!(add(&store, &one, "churn", 0, 1).await, 0, "of another model");
    assert_eq!(add(&store, &all, "churn", 0, 1).await, 0, "before it was there");
    assert_eq!(add(&store, &all, "churn", 7, 1).await, 1);
}

async fn deliveries_are_added_once_and_only_where_the_cursor_stands(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    let mut adding = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (store, hook) = (store.clone(), hook.clone());
        adding.spawn(async move { add(&store, &hook, "churn", 0, 3).await });
    }
    let added: u64 = adding.join_all().await.into_iter().sum();
    assert_eq!(added, 3, "one of eight wins");
    assert_eq!(cursor(&store, &hook, "churn").await, Some(3));
    assert_eq!(add(&store, &hook, "churn", 2, 1).await, 0);
    assert_eq!(add(&store, &hook, "churn", 3, 1).await, 1);
    let generations: Vec<u64> = log(&store, &hook).await.iter().map(|made| made.generation.0).collect();
    assert_eq!(generations, [4, 3, 2, 1]);
    let newest = &log(&store, &hook).await[0];
    assert_eq!(
        (newest.event, newest.state, newest.attempts),
        (EventKind::ChampionChanged, DeliveryState::Pending, 0)
    );
    assert_eq!(
        (newest.created_at, newest.attempted_at, newest.next_attempt_at),
        (at(1), None, Some(at(1)))
    );
}

async fn one_delivery_of_a_webhook_is_claimed_at_a_time(store: Arc<SqlStore>) {
    let (one, other) = (
        created(&store, None, &Heads::new()).await,
        created(&store, None, &Heads::new()).await,
    );
    for hook in [&one, &other] {
        add(&store, hook, "churn", 0, 2).await;
        add(&store, hook, "fraud", 0, 2).await;
    }
    let mut claiming = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        claiming.spawn(async move { claim(&store, at(2)).await });
    }
    let claimed: Vec<Claimed> = claiming.join_all().await.into_iter().flatten().collect();
    let mut hooks: Vec<&str> = claimed.iter().map(|claimed| claimed.webhook_id.as_str()).collect();
    hooks.sort_unstable();
    assert_eq!(hooks, [&one.webhook_id, &other.webhook_id]);
    let of_one = claimed
        .iter()
        .find(|claimed| claimed.webhook_id == one.webhook_id)
        .unwrap();
    assert_eq!((of_one.attempts, of_one.url.as_str()), (1, "https://example.com/hook"));
    assert_eq!(of_one.secret, store.webhook(&one.webhook_id).await.unwrap().1);
    assert!(settle(&store, of_one, DeliveryState::Delivered, None).await);
    assert_eq!(claim_one(&store, at(3)).await.webhook_id, one.webhook_id);
    let made = log(&store, &one)
        .await
        .into_iter()
        .find(|made| made.delivery_id == of_one.delivery_id)
        .unwrap();
    assert_eq!(
        (made.state, made.attempts, made.http_status),
        (DeliveryState::Delivered, 1, 204)
    );
    assert_eq!((made.attempted_at, made.next_attempt_at), (Some(at(2)), None));
}

async fn generations_of_a_model_are_claimed_in_order_and_models_apart(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 2).await;
    let first = claim_one(&store, at(2)).await;
    assert_eq!(first.body, "{\"generation\":1}");
    assert!(settle(&store, &first, DeliveryState::Pending, Some(at(1_000))).await);
    assert_eq!(claim(&store, at(3)).await, [], "the second waits for the first");
    add(&store, &hook, "fraud", 0, 1).await;
    let other = claim_one(&store, at(4)).await;
    let row = log(&store, &hook)
        .await
        .into_iter()
        .find(|row| row.delivery_id == other.delivery_id)
        .unwrap();
    assert_eq!(row.model, "fraud");
    assert!(settle(&store, &other, DeliveryState::Delivered, None).await);
    let again = claim_one(&store, at(1_000)).await;
    assert_eq!((again.delivery_id.clone(), again.attempts), (first.delivery_id, 2));
    assert!(settle(&store, &again, DeliveryState::Failed, None).await);
    let second = claim_one(&store, at(1_001)).await;
    assert_eq!(second.body, "{\"generation\":2}");
}

async fn a_claim_that_ran_out_is_another_s(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 1).await;
    let dead = claim_one(&store, at(2)).await;
    assert_eq!(claim(&store, at(61)).await, []);
    let alive = claim_one(&store, at(62)).await;
    assert_eq!((&alive.delivery_id, alive.attempts), (&dead.delivery_id, 2));
    assert!(
        !settle(&store, &dead, DeliveryState::Failed, None).await,
        "the claim is another's"
    );
    assert!(settle(&store, &alive, DeliveryState::Delivered, None).await);
    assert!(
        !settle(&store, &alive, DeliveryState::Failed, None).await,
        "it was given back"
    );
    assert_eq!(log(&store, &hook).await[0].state, DeliveryState::Delivered);
}

async fn times_of_a_clock_that_was_wrong_are_not_waited_for(store: Arc<SqlStore>) {
    let year = 365 * 86_400;
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 1).await;
    let ahead = claim_one(&store, at(year)).await;
    let again = claim_one(&store, at(2)).await;
    assert_eq!(again.delivery_id, ahead.delivery_id, "the claim lies a year ahead");
    assert!(settle(&store, &again, DeliveryState::Pending, Some(at(year))).await);
    assert_eq!(
        claim_one(&store, at(3)).await.delivery_id,
        ahead.delivery_id,
        "the attempt does"
    );
}

async fn disabling_gives_up_what_waits_and_enabling_begins_after_the_heads(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 2).await;
    store
        .update_webhook(&hook.webhook_id, &enabled(false), &Heads::new(), at(3))
        .await
        .unwrap();
    assert_eq!(claim(&store, at(4)).await, []);
    for row in log(&store, &hook).await {
        assert_eq!((row.state, row.next_attempt_at), (DeliveryState::Failed, None));
        assert_eq!(row.error, "the webhook was disabled");
    }
    assert_eq!(add(&store, &hook, "churn", 2, 1).await, 0);
    let heads = vec![(model("churn"), Generation(5))];
    store
        .update_webhook(&hook.webhook_id, &enabled(true), &heads, at(5))
        .await
        .unwrap();
    assert_eq!(
        add(&store, &hook, "churn", 2, 1).await,
        0,
        "what happened meanwhile is not told"
    );
    assert_eq!(add(&store, &hook, "churn", 5, 1).await, 1);
    // One that was on stays where it was.
    let heads = vec![(model("churn"), Generation(9))];
    store
        .update_webhook(&hook.webhook_id, &enabled(true), &heads, at(6))
        .await
        .unwrap();
    assert_eq!(cursor(&store, &hook, "churn").await, Some(6));
}

async fn an_attempt_that_outlives_its_webhook_s_disabling_is_not_tried_again(store: Arc<SqlStore>) {
    for (state, next, ends) in [
        (DeliveryState::Pending, Some(at(9)), DeliveryState::Failed),
        (DeliveryState::Delivered, None, DeliveryState::Delivered),
    ] {
        let hook = created(&store, None, &Heads::new()).await;
        add(&store, &hook, "churn", 0, 1).await;
        let claimed = claim_one(&store, at(2)).await;
        store
            .update_webhook(&hook.webhook_id, &enabled(false), &Heads::new(), at(3))
            .await
            .unwrap();
        assert!(settle(&store, &claimed, state, next).await);
        let row = &log(&store, &hook).await[0];
        assert_eq!((row.state, row.next_attempt_at), (ends, None));
    }
}

async fn a_model_that_comes_under_a_webhook_begins_after_its_head(store: Arc<SqlStore>) {
    let heads = vec![(model("churn"), Generation(1)), (model("fraud"), Generation(1))];
    let hook = created(&store, Some("churn"), &heads).await;
    let later = vec![(model("churn"), Generation(4)), (model("fraud"), Generation(4))];
    let all = WebhookChange {
        model: Some(None),
        ..WebhookChange::default()
    };
    store
        .update_webhook(&hook.webhook_id, &all, &later, at(3))
        .await
        .unwrap();
    assert_eq!(
        cursor(&store, &hook, "churn").await,
        Some(1),
        "it was covered before: nothing is skipped"
    );
    assert_eq!(cursor(&store, &hook, "fraud").await, Some(4));
}

async fn a_new_address_makes_what_waits_due(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 1).await;
    let claimed = claim_one(&store, at(2)).await;
    assert!(settle(&store, &claimed, DeliveryState::Pending, Some(at(1_000))).await);
    let change = WebhookChange {
        url: Some("https://example.org/new".to_owned()),
        ..WebhookChange::default()
    };
    store
        .update_webhook(&hook.webhook_id, &change, &Heads::new(), at(3))
        .await
        .unwrap();
    let again = claim_one(&store, at(3)).await;
    assert_eq!(
        (again.delivery_id, again.url.as_str()),
        (claimed.delivery_id, "https://example.org/new")
    );
}

async fn deleting_takes_the_log_along(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 1).await;
    let claimed = claim_one(&store, at(2)).await;
    store.delete_webhook(&hook.webhook_id).await.unwrap();
    assert!(!settle(&store, &claimed, DeliveryState::Delivered, None).await);
    assert_eq!(log(&store, &hook).await, []);
    assert_eq!(cursor(&store, &hook, "churn").await, None);
    assert_eq!(add(&store, &hook, "churn", 1, 1).await, 0);
}

async fn ended_deliveries_are_pruned_and_waiting_ones_are_not(store: Arc<SqlStore>) {
    let hook = created(&store, None, &Heads::new()).await;
    add(&store, &hook, "churn", 0, 3).await;
    for second in 2..4 {
        let claimed = claim_one(&store, at(second)).await;
        assert!(settle(&store, &claimed, DeliveryState::Delivered, None).await);
    }
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.waiting, backlog.oldest), (1, Some(at(1))));
    assert_eq!(store.prune_deliveries(at(1), 10).await.unwrap(), 0, "none is older");
    assert_eq!(store.prune_deliveries(at(100), 1).await.unwrap(), 1);
    assert_eq!(store.prune_deliveries(at(100), 10).await.unwrap(), 1);
    let left: Vec<u64> = log(&store, &hook).await.iter().map(|row| row.generation.0).collect();
    assert_eq!(left, [3]);
}

/// What a webhook was told or will be, oldest first.
async fn events_of(store: &SqlStore, webhook: &Webhook) -> Vec<EventKind> {
    let page = PageRequest {
        size: 100,
        before: None,
    };
    let log = store.deliveries(Some(&webhook.webhook_id), &page).await.unwrap();
    log.items.iter().rev().map(|delivery| delivery.event).collect()
}

async fn a_change_of_a_registered_model_and_its_deliveries_are_one(store: Arc<SqlStore>) {
    let hook = told_of(&store, &EventKind::OF_REGISTRY).await;
    let tag = KeyValue {
        key: "team".to_owned(),
        value: "churn".to_owned(),
    };
    store.create_registered_model("churn", "", &[], at(1)).await.unwrap();
    let new = NewVersion {
        source: "s3://bucket/model".to_owned(),
        ..NewVersion::default()
    };
    store
        .add_version("churn", &new, "s3://bucket/model", at(2))
        .await
        .unwrap();
    store.set_version_tag("churn", 1, &tag, at(3)).await.unwrap();
    store.set_alias("churn", "prod", 1, at(4)).await.unwrap();
    store.delete_alias("churn", "prod", at(5)).await.unwrap();
    store.delete_version_tag("churn", 1, "team", at(6)).await.unwrap();
    store
        .reserve_version(&model("churn"), "run", "ada", at(7))
        .await
        .unwrap();
    store
        .reserve_version(&model("other"), "run", "ada", at(8))
        .await
        .unwrap();
    let told = [
        EventKind::ModelCreated,
        EventKind::VersionCreated,
        EventKind::VersionTagSet,
        EventKind::AliasSet,
        EventKind::AliasDeleted,
        EventKind::VersionTagDeleted,
        EventKind::VersionCreated,
        EventKind::ModelCreated,
        EventKind::VersionCreated,
    ];
    assert_eq!(events_of(&store, &hook).await, told);

    // What is refused or changes nothing is not told.
    assert!(store.create_registered_model("churn", "", &[], at(9)).await.is_err());
    assert!(
        store
            .add_version("nobody", &new, "s3://bucket/model", at(9))
            .await
            .is_err()
    );
    assert!(store.set_alias("churn", "prod", 7, at(9)).await.is_err());
    assert!(store.set_version_tag("churn", 7, &tag, at(9)).await.is_err());
    store.delete_alias("churn", "prod", at(9)).await.unwrap();
    store.delete_version_tag("churn", 1, "team", at(9)).await.unwrap();
    store
        .reserve_version(&model("churn"), "run", "ada", at(9))
        .await
        .unwrap();
    assert_eq!(events_of(&store, &hook).await.len(), told.len());
}

async fn events_of_a_model_are_claimed_in_their_order_whatever_the_clock_says(store: Arc<SqlStore>) {
    told_of(&store, &[EventKind::AliasSet, EventKind::VersionCreated]).await;
    store.create_registered_model("churn", "", &[], at(0)).await.unwrap();
    let new = NewVersion::default();
    store
        .add_version("churn", &new, "s3://bucket/model", at(9))
        .await
        .unwrap();
    // The clock went back.
    store.set_alias("churn", "prod", 1, at(3)).await.unwrap();
    store.set_alias("churn", "next", 1, at(3)).await.unwrap();
    for told in ["\"version\"", "\"prod\"", "\"next\""] {
        let claimed = claim(&store, at(10)).await.remove(0);
        assert!(claimed.body.contains(told), "{}", claimed.body);
        assert_eq!(claimed.secret, SigningSecret::of_text("any words").unwrap());
        assert!(claim(&store, at(10)).await.is_empty());
        settle(&store, &claimed, DeliveryState::Delivered, None).await;
    }
}

async fn events_are_told_to_whoever_is_enabled_and_asked_for_them(store: Arc<SqlStore>) {
    let first = told_of(&store, &[EventKind::ModelCreated]).await;
    let second = told_of(&store, &[EventKind::VersionCreated]).await;
    let champions = created(&store, None, &Heads::new()).await;
    store.create_registered_model("a", "", &[], at(1)).await.unwrap();
    let change = WebhookChange {
        name: Some("other".to_owned()),
        events: Some(vec![EventKind::VersionCreated, EventKind::ModelCreated]),
        secret: Some(None),
        ..WebhookChange::default()
    };
    let changed = store
        .update_webhook(&second.webhook_id, &change, &Heads::new(), at(2))
        .await
        .unwrap();
    let expected = Subscription {
        name: "other".to_owned(),
        events: vec![EventKind::VersionCreated, EventKind::ModelCreated],
    };
    assert_eq!(changed.subscription, Some(expected));
    assert_eq!(store.webhook(&second.webhook_id).await.unwrap(), (changed, None));
    store
        .update_webhook(&first.webhook_id, &enabled(false), &Heads::new(), at(3))
        .await
        .unwrap();
    store.create_registered_model("b", "", &[], at(4)).await.unwrap();
    assert_eq!(events_of(&store, &first).await, [EventKind::ModelCreated]);
    assert_eq!(events_of(&store, &second).await, [EventKind::ModelCreated]);
    assert_eq!(events_of(&store, &champions).await, []);
}
