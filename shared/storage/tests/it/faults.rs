//! The store that fails on demand, and the resolution of lost replies that is tested with it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_storage::testing::{Fault, FaultyStore, Trigger};
use holdfast_storage::{BlobStore, Created, Error, Key, MemoryStore, Operation, create_resolving};

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn faulty() -> (Arc<MemoryStore>, FaultyStore) {
    let inner = Arc::new(MemoryStore::new());
    (Arc::clone(&inner), FaultyStore::new(inner))
}

#[tokio::test]
async fn the_nth_call_is_refused_and_changes_nothing() {
    let (inner, store) = faulty();
    store.inject(Trigger::on(Operation::Put).below("log/").nth(2), Fault::Refuse);
    store.put(&key("log/1"), "x".into()).await.unwrap();
    store.put(&key("other"), "x".into()).await.unwrap();
    assert!(store.put(&key("log/2"), "x".into()).await.unwrap_err().is_retryable());
    store.put(&key("log/3"), "x".into()).await.unwrap();
    assert_eq!(inner.list("log", None, 10).await.unwrap().len(), 2);
    assert_eq!(store.calls(Operation::Put), 4);
}

#[tokio::test]
async fn a_store_that_is_away_comes_back() {
    let (_, store) = faulty();
    store.refuse_everything();
    assert!(store.get(&key("a")).await.unwrap_err().is_retryable());
    assert!(store.list("", None, 1).await.unwrap_err().is_retryable());
    store.heal();
    assert!(store.get(&key("a")).await.unwrap_err().is_not_found());
    assert_eq!(
        store.history(),
        [
            (Operation::Get, "a".into()),
            (Operation::List, String::new()),
            (Operation::Get, "a".into())
        ]
    );
}

#[tokio::test]
async fn a_lost_reply_comes_after_the_deed() {
    let (inner, store) = faulty();
    store.inject(Trigger::any().times(2), Fault::LoseReply);
    assert!(matches!(
        store.create(&key("a"), "x".into()).await,
        Err(Error::Ambiguous { .. })
    ));
    assert!(matches!(
        store.put(&key("b"), "x".into()).await,
        Err(Error::TimedOut { .. })
    ));
    assert_eq!(inner.list("", None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_held_call_waits_for_its_release() {
    let (inner, store) = faulty();
    let held = store.hold(Trigger::on(Operation::Create));
    let call = tokio::spawn({
        let store = store.clone();
        async move { store.create(&key("a"), "x".into()).await }
    });
    held.reached_by(1).await;
    assert_eq!(inner.head(&key("a")).await.unwrap(), None);
    held.release();
    assert_eq!(call.await.unwrap().unwrap(), Created::Yes);
}

#[tokio::test]
async fn a_create_whose_reply_is_lost_is_found_to_be_ours() {
    let (_, store) = faulty();
    store.inject(Trigger::on(Operation::Create).nth(1), Fault::LoseReply);
    assert_eq!(
        create_resolving(&store, &key("a"), "nonce 1".into()).await.unwrap(),
        Created::Yes
    );
    assert_eq!(
        create_resolving(&store, &key("a"), "nonce 2".into()).await.unwrap(),
        Created::AlreadyExists
    );
}

#[tokio::test]
async fn a_create_whose_request_is_lost_is_sent_again() {
    let (inner, store) = faulty();
    store.inject(Trigger::on(Operation::Create).nth(1), Fault::LoseRequest);
    store.inject(Trigger::on(Operation::Get).nth(1), Fault::Refuse);
    assert_eq!(
        create_resolving(&store, &key("a"), "nonce 1".into()).await.unwrap(),
        Created::Yes
    );
    assert_eq!(inner.get(&key("a")).await.unwrap(), "nonce 1");
}

#[tokio::test]
async fn a_create_that_lost_the_race_and_its_reply_is_not_called_a_win() {
    let (inner, store) = faulty();
    assert_eq!(
        inner.create(&key("a"), "nonce of another".into()).await.unwrap(),
        Created::Yes
    );
    store.inject(Trigger::on(Operation::Create).nth(1), Fault::LoseReply);
    assert_eq!(
        create_resolving(&store, &key("a"), "nonce 1".into()).await.unwrap(),
        Created::AlreadyExists
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_resolved_stays_ambiguous() {
    let (_, store) = faulty();
    store.inject(Trigger::on(Operation::Create), Fault::LoseRequest);
    assert!(matches!(
        create_resolving(&store, &key("a"), "x".into()).await,
        Err(Error::Ambiguous { .. })
    ));
    store.inject(Trigger::on(Operation::Get), Fault::Refuse);
    assert!(matches!(
        create_resolving(&store, &key("a"), "x".into()).await,
        Err(Error::Ambiguous { .. })
    ));
}

#[tokio::test]
async fn an_error_before_anything_was_sent_is_passed_on() {
    let (_, store) = faulty();
    store.inject(Trigger::on(Operation::Create), Fault::Refuse);
    assert!(
        create_resolving(&store, &key("a"), "x".into())
            .await
            .unwrap_err()
            .is_retryable()
    );
    assert_eq!(store.calls(Operation::Create), 1);
}

/// Sixteen writers with lost requests and replies among them: never two that were told they won, and the stored bytes are the winner's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn resolving_writers_agree_on_one_winner_however_replies_are_lost() {
    for round in 1..=40 {
        let (inner, store) = faulty();
        for call in [round % 3, round % 5, round % 7, round % 16] {
            let fault = if round % 2 == 0 {
                Fault::LoseReply
            } else {
                Fault::LoseRequest
            };
            store.inject(Trigger::on(Operation::Create).nth(call + 1), fault);
        }
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..16 {
            let store = store.clone();
            writers.spawn(async move {
                let body = Bytes::from(format!("nonce {writer}"));
                (
                    body.clone(),
                    create_resolving(&store, &key("champion/1"), body).await.unwrap(),
                )
            });
        }
        let won: Vec<Bytes> = writers
            .join_all()
            .await
            .into_iter()
            .filter(|(_, created)| *created == Created::Yes)
            .map(|(body, _)| body)
            .collect();
        assert_eq!(won, [inner.get(&key("champion/1")).await.unwrap()], "round {round}");
    }
}

#[tokio::test]
async fn the_description_tells_of_the_faults() {
    let (_, store) = faulty();
    assert_eq!(store.describe(), "memory behind injected faults");
    assert!(
        tokio::time::timeout(Duration::from_secs(60), store.head(&key("a")))
            .await
            .unwrap()
            .unwrap()
            .is_none()
    );
}
