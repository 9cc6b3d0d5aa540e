//! Registries that die, were not there, or are two.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::Shutdown;
use holdfast_chassis::clock::{Clock as _, FakeClock};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_records::champion::{Appended, ChampionLog, ChampionReason, NewEntry, Nonce};
use holdfast_registry::metrics::Metrics;
use holdfast_registry::service::store::{SqlStore, WebhookStore};
use holdfast_registry::service::webhooks::{ClaimRules, NewWebhook, Webhooks};
use holdfast_storage::{BlobStore, Secret};
use holdfast_testkit::Postgres;
use jiff::{SignedDuration, Timestamp};

use super::quick;
use super::receiver::Receiver;
use crate::support::{MODEL, Registry, settings};

/// Moves the champion as a registry does that is not here.
async fn move_champion(blobs: &Arc<dyn BlobStore>, name: &str, after: u64) {
    let model: ModelName = name.parse().unwrap();
    let entry = NewEntry {
        version: ModelVersion(1),
        artifact_digest: Digest::of(b"artefact"),
        actor: "ada".to_owned(),
        reason: ChampionReason::Override {
            note: "a test".to_owned(),
        },
        approval: None,
        at: Timestamp::now(),
        nonce: Nonce::generate(),
    };
    let appended = ChampionLog::new(blobs.clone(), model)
        .append(Generation(after), entry)
        .await
        .unwrap();
    assert!(matches!(appended, Appended::Won(_)));
}

#[tokio::test]
async fn changes_while_no_registry_ran_are_told_when_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), quick()).await;
    let receiver = Receiver::start([]).await;
    let blobs = registry.blobs.clone();
    move_champion(&blobs, MODEL, 0).await;
    registry.hook_to(&receiver).await;
    registry.stop().await;
    for (name, after) in [(MODEL, 1), (MODEL, 2), ("churn-b", 0), ("a", 0)] {
        move_champion(&blobs, name, after).await;
    }
    let registry = Registry::start_with(dir.path(), quick()).await;
    let told = receiver.told_times(4).await;
    let seen: BTreeSet<(String, u64)> = told
        .iter()
        .map(|told| {
            (
                told.event()["data"]["model"].as_str().unwrap().to_owned(),
                told.generation(),
            )
        })
        .collect();
    let expected = [("a", 1), ("churn", 2), ("churn", 3), ("churn-b", 1)];
    assert_eq!(
        seen,
        expected.map(|(name, generation)| (name.to_owned(), generation)).into()
    );
    registry.stop().await;
    assert_eq!(receiver.told().len(), 4, "what was before it is not told");
}

/// A registry's webhooks without the registry, under a clock that the test moves.
async fn webhooks(dir: &std::path::Path, clock: &FakeClock) -> (Webhooks, Arc<SqlStore>, Arc<dyn BlobStore>) {
    let (common, _) = settings(dir);
    let blobs = common.blob_store.open(dir).await.unwrap();
    let store = Arc::new(SqlStore::open_sqlite(&dir.join("webhooks.db")).await.unwrap());
    let metrics = Metrics::new(&MetricsRegistry::new("registry"));
    let clock = Arc::new(clock.clone());
    let webhooks = Webhooks::new(store.clone(), blobs.clone(), clock, quick().webhooks, metrics);
    (webhooks, store, blobs)
}

#[tokio::test]
async fn a_registry_that_dies_in_an_attempt_leaves_it_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let clock = FakeClock::at(Timestamp::now());
    let receiver = Receiver::start([]).await;
    let (dead, store, blobs) = webhooks(dir.path(), &clock).await;
    let new = NewWebhook {
        url: receiver.url(),
        model: None,
        description: String::new(),
        secret: String::new(),
        name: String::new(),
        events: Vec::new(),
        enabled: true,
    };
    dead.create(new).await.unwrap();
    move_champion(&blobs, MODEL, 0).await;
    assert_eq!(dead.notice().await.unwrap(), 1);
    assert_eq!(dead.notice().await.unwrap(), 0, "it is noticed once");
    // What it does before the attempt: then it is gone.
    let rules = ClaimRules {
        now: clock.now(),
        lease: SignedDuration::from_secs(60),
        longest_pause: SignedDuration::from_secs(60),
        limit: 1,
    };
    let claimed = store.claim_deliveries(&rules).await.unwrap().remove(0);
    drop((dead, store));

    clock.advance(Duration::from_secs(61));
    let (alive, ..) = webhooks(dir.path(), &clock).await;
    let shutdown = Shutdown::new("webhooks test");
    let delivering = tokio::spawn(alive.deliver_all(shutdown.clone()));
    let told = receiver.told_times(1).await;
    assert_eq!((told[0].id(), told[0].generation()), (claimed.delivery_id, 1));
    shutdown.trigger("the test is over");
    delivering.await.unwrap();
    assert_eq!(receiver.told().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_registries_on_one_postgres_tell_everything_once_and_in_order() {
    const CHANGES: usize = 20;
    let postgres = Postgres::start().await;
    let url = postgres.database().await;
    let dir = tempfile::tempdir().unwrap();
    let with_postgres = || {
        let mut settings = quick();
        settings.database_url = Some(Secret::new(url.clone()));
        settings
    };
    let mut one = Registry::start_with(dir.path(), with_postgres()).await;
    let mut other = Registry::start_with(dir.path(), with_postgres()).await;
    let receivers = [Receiver::start([]).await, Receiver::start([]).await];
    let mut hooks = Vec::new();
    for receiver in &receivers {
        hooks.push(one.hook_to(receiver).await.0);
    }
    one.ready_version(b"first").await;
    for change in 0..CHANGES {
        if change % 2 == 0 {
            one.crown(1).await
        } else {
            other.crown(1).await
        };
    }
    for (receiver, hook) in receivers.iter().zip(&hooks) {
        let told = receiver.told_times(CHANGES).await;
        let generations: Vec<u64> = told.iter().map(|told| told.generation()).collect();
        let expected: Vec<u64> = (1..=CHANGES as u64).collect();
        assert_eq!(generations, expected);
        one.newest_delivery(hook, super::is_delivered).await;
    }
    one.stop().await;
    other.stop().await;
    for receiver in &receivers {
        assert_eq!(receiver.told().len(), CHANGES, "nothing was told twice");
    }
}
