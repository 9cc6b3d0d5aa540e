//! What is told, when it is told again, and when not.

use holdfast_api::registry::v1 as wire;
use holdfast_testkit::{TcpProxy, eventually};
use serde_json::json;

use super::receiver::{PATIENCE, Receiver, Reply};
use super::{is_delivered, is_failed, quick, quick_with};
use crate::support::{MODEL, Registry, evaluation, promotion};

#[tokio::test]
async fn a_promotion_an_override_and_a_rollback_are_told_signed() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let receiver = Receiver::start([]).await;
    let (hook, secret) = registry.hook_to(&receiver).await;

    let version = registry.ready_version(b"first").await;
    let decision = registry.decide(1, evaluation(0.95)).await;
    assert!(decision.accepted, "{decision:?}");
    let promoted = registry
        .champions
        .promote(promotion(1, false))
        .await
        .unwrap()
        .into_inner();
    let first = promoted.entry.unwrap();
    registry.ready_version(b"second").await;
    registry.crown(2).await;
    let rollback = wire::RollbackRequest {
        model: MODEL.to_owned(),
        actor: "grace".to_owned(),
        note: "worse than thought".to_owned(),
        override_load: true,
        ..wire::RollbackRequest::default()
    };
    registry.champions.rollback(rollback).await.unwrap();

    let told = receiver.told_times(3).await;
    for told in &told {
        assert!(told.is_signed_with(&secret), "{told:?}");
        assert!(!told.is_signed_with("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
        assert_eq!(told.header("content-type"), "application/json");
        assert!(told.header("user-agent").starts_with("holdfast/"));
        assert_eq!(told.header("host"), receiver.address.to_string());
        assert_eq!(told.uri, "/hook?of=me");
    }
    let event = told[0].event();
    let expected = json!({
        "type": "champion.changed",
        "timestamp": event["timestamp"],
        "data": {
            "model": "churn",
            "generation": 1,
            "version": 1,
            "artifact_sha256": first.model.unwrap().artifact_digest,
            "previous_version": null,
            "kind": "promotion",
            "actor": "ada",
            "approvers": [],
            "note": "a test",
            "evaluation_sha256": first.evaluation_digest,
            "run_id": version.run_id,
            "entry_sha256": first.entry_digest,
        },
    });
    assert_eq!(event, expected);
    let kinds = [&told[1], &told[2]].map(|told| {
        let data = &told.event()["data"];
        json!([
            data["generation"],
            data["version"],
            data["previous_version"],
            data["kind"],
            data["actor"]
        ])
    });
    assert_eq!(
        kinds,
        [
            json!([2, 2, 1, "override", "ada"]),
            json!([3, 1, 2, "rollback", "grace"])
        ]
    );

    let newest = registry.newest_delivery(&hook, is_delivered).await;
    assert_eq!((newest.generation, newest.attempts, newest.http_status), (3, 1, 204));
    assert_eq!(
        (newest.model.as_str(), newest.event.as_str()),
        (MODEL, "champion.changed")
    );
    assert_eq!(newest.delivery_id, told[2].id());
    assert!(newest.attempted_at.is_some() && newest.next_attempt_at.is_none());
    registry.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_told_again_under_its_id_and_later_generations_wait() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let receiver = Receiver::start([Reply::Status(500), Reply::Status(429)]).await;
    let (hook, secret) = registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    registry.crown(1).await;

    let told = receiver.told_times(4).await;
    let generations: Vec<u64> = told.iter().map(|told| told.generation()).collect();
    assert_eq!(generations, [1, 1, 1, 2]);
    assert!(told.iter().all(|told| told.is_signed_with(&secret)));
    assert!(told[0].id() == told[1].id() && told[1].id() == told[2].id() && told[2].id() != told[3].id());
    assert_eq!(told[0].body, told[2].body);
    registry.newest_delivery(&hook, is_delivered).await;
    let log = registry.webhook_log(&hook).await;
    let attempts: Vec<u32> = log.iter().map(|row| row.attempts).collect();
    assert_eq!(attempts, [1, 3]);
    registry.stop().await;
}

#[tokio::test]
async fn silence_ends_an_attempt_and_the_next_is_heard() {
    let dir = tempfile::tempdir().unwrap();
    let settings = quick_with(|webhooks| webhooks.attempt_timeout_ms = 300);
    let mut registry = Registry::start_with(dir.path(), settings).await;
    let receiver = Receiver::start([Reply::Silence]).await;
    let (hook, _) = registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    let told = receiver.told_times(2).await;
    assert_eq!(told[0].id(), told[1].id());
    assert_eq!(registry.newest_delivery(&hook, is_delivered).await.attempts, 2);
    registry.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_away_is_told_when_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let settings = quick_with(|webhooks| webhooks.retry_pauses_ms = vec![10; 20]);
    let mut registry = Registry::start_with(dir.path(), settings).await;
    let receiver = Receiver::start([]).await;
    let proxy = TcpProxy::start(receiver.address).await;
    proxy.refuse();
    let (hook, _) = registry.hook(&format!("http://{}/", proxy.address()), "").await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    let failed = registry
        .newest_delivery(&hook, |newest| newest.attempts > 0 && !newest.error.is_empty())
        .await;
    assert_eq!((failed.state(), failed.http_status), (wire::DeliveryState::Pending, 0));
    proxy.forward();
    let made = registry.newest_delivery(&hook, is_delivered).await;
    assert_eq!(
        (made.http_status, made.error.as_str(), receiver.told().len()),
        (204, "", 1)
    );
    registry.stop().await;
}

#[tokio::test]
async fn what_fails_after_the_last_pause_is_given_up_and_the_next_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let settings = quick_with(|webhooks| webhooks.retry_pauses_ms = vec![10, 20]);
    let mut registry = Registry::start_with(dir.path(), settings).await;
    let receiver = Receiver::start([500, 503, 404].map(Reply::Status)).await;
    let (hook, _) = registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    let given_up = registry.newest_delivery(&hook, is_failed).await;
    assert_eq!(
        (given_up.attempts, given_up.http_status, given_up.error.as_str()),
        (3, 404, "answered 404")
    );
    assert!(given_up.next_attempt_at.is_none());
    registry.crown(1).await;
    assert_eq!(registry.newest_delivery(&hook, is_delivered).await.generation, 2);
    assert_eq!(receiver.told().len(), 4);
    registry.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = quick_with(|webhooks| webhooks.retry_pauses_ms = vec![]);
    let mut registry = Registry::start_with(dir.path(), settings).await;
    let elsewhere = Receiver::start([]).await;
    let receiver = Receiver::start([Reply::Redirect(elsewhere.url())]).await;
    let (hook, _) = registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    let refused = registry.newest_delivery(&hook, is_failed).await;
    assert_eq!((refused.http_status, refused.attempts), (307, 1));
    assert_eq!(refused.error, "answered 307: redirects are not followed");
    assert!(elsewhere.told().is_empty());
    registry.stop().await;
}

#[tokio::test]
async fn a_disabled_webhook_is_told_nothing_of_what_happened_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let (receiver, witness) = (Receiver::start([]).await, Receiver::start([]).await);
    let (hook, _) = registry.hook_to(&receiver).await;
    registry.hook_to(&witness).await;
    registry.ready_version(b"first").await;
    registry.enable(&hook, false).await;
    registry.crown(1).await;
    witness.told_times(1).await;
    registry.enable(&hook, true).await;
    registry.crown(1).await;
    let told = receiver.told_times(1).await;
    assert_eq!(told[0].generation(), 2);
    registry.newest_delivery(&hook, is_delivered).await;
    assert_eq!(registry.webhook_log(&hook).await.len(), 1);
    registry.stop().await;
}

#[tokio::test]
async fn a_webhook_of_one_model_hears_of_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let (receiver, of_fraud, of_churn) = (
        Receiver::start([]).await,
        Receiver::start([]).await,
        Receiver::start([]).await,
    );
    registry.hook(&of_fraud.url(), "fraud").await;
    registry.hook(&of_churn.url(), MODEL).await;
    registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    registry.crown(1).await;
    receiver.told_times(1).await;
    of_churn.told_times(1).await;
    let fraud = registry
        .webhook_log("")
        .await
        .into_iter()
        .filter(|row| row.model != MODEL)
        .count();
    assert_eq!(
        (fraud, registry.webhook_log("").await.len(), of_fraud.told().len()),
        (0, 2, 0)
    );
    registry.stop().await;
}

#[tokio::test]
async fn a_silent_receiver_does_not_hold_up_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    // It is silent for longer than the test takes.
    let silent = Receiver::start([Reply::Silence, Reply::Silence]).await;
    let receiver = Receiver::start([]).await;
    registry.hook_to(&silent).await;
    registry.hook_to(&receiver).await;
    registry.ready_version(b"first").await;
    for _ in 0..5 {
        registry.crown(1).await;
    }
    let told = receiver.told_times(5).await;
    let generations: Vec<u64> = told.iter().map(|told| told.generation()).collect();
    assert_eq!(generations, [1, 2, 3, 4, 5]);
    eventually("one attempt at the silent receiver", PATIENCE, async || {
        silent.told().len() == 1
    })
    .await;
    registry.stop().await;
}
