//! The champion log, one writer at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_records::Error;
use holdfast_records::champion::{
    Appended, BreakCause, ChampionEntry, ChampionLog, RetryPolicy, StoredEntry, Verification,
};
use holdfast_records::layout::champion_key;
use holdfast_storage::testing::{Fault, FaultyStore, Trigger};
use holdfast_storage::{BlobStore, Operation};

use crate::support::{memory, model, new_entry, time};

const PATIENCE: RetryPolicy = RetryPolicy {
    attempts: 4,
    pause: Duration::ZERO,
};

async fn won(log: &ChampionLog, expected: u64, version: u32, at: &str) -> StoredEntry {
    let nonce = u8::try_from(expected + 1).unwrap();
    match log
        .append(Generation(expected), new_entry(version, at, nonce))
        .await
        .unwrap()
    {
        Appended::Won(entry) => entry,
        Appended::Lost { current } => panic!("lost to {current:?}"),
    }
}

/// Five entries, an hour apart.
async fn five(store: &Arc<dyn BlobStore>) -> ChampionLog {
    let log = ChampionLog::new(Arc::clone(store), model());
    for place in 0..5 {
        won(
            &log,
            place,
            u32::try_from(place).unwrap() + 10,
            &format!("2026-11-23T1{place}:00:00Z"),
        )
        .await;
    }
    log
}

async fn broken_at(log: &ChampionLog) -> (u64, BreakCause) {
    match log.verify().await.unwrap() {
        Verification::Broken(chain) => (chain.generation.0, chain.why),
        intact @ Verification::Intact { .. } => panic!("{intact:?}"),
    }
}

fn forge(entry: &ChampionEntry, change: impl FnOnce(&mut ChampionEntry)) -> Bytes {
    let mut forged = entry.clone();
    change(&mut forged);
    forged.encode().unwrap()
}

#[tokio::test]
async fn an_empty_log_has_no_champion() {
    let log = ChampionLog::new(memory(), model());
    assert_eq!(log.head().await.unwrap(), None);
    assert_eq!(log.at(time("2026-11-23T10:00:00Z")).await.unwrap(), None);
    assert!(log.history().await.unwrap().is_empty());
    assert_eq!(
        log.verify().await.unwrap(),
        Verification::Intact {
            entries: 0,
            head_digest: None
        }
    );
    assert!(log.entry(Generation(1)).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn entries_follow_each_other_in_a_chain() {
    let store = memory();
    let log = five(&store).await;
    let history = log.history().await.unwrap();
    assert_eq!(history.len(), 5);
    assert_eq!(history[0].entry.previous_digest, None);
    for pair in history.windows(2) {
        assert_eq!(pair[1].entry.previous_digest, Some(pair[0].digest));
        assert_eq!(pair[1].entry.generation, pair[0].entry.generation.next().unwrap());
    }
    let stored = store.get(&champion_key(&model(), Generation(5))).await.unwrap();
    assert_eq!(
        history[4].digest,
        Digest::of(&stored),
        "the digest is that of the stored bytes"
    );
    assert_eq!(log.head().await.unwrap().as_ref(), history.last());
    assert_eq!(
        log.verify().await.unwrap(),
        Verification::Intact {
            entries: 5,
            head_digest: Some(history[4].digest)
        }
    );
}

#[tokio::test]
async fn a_poll_reads_nothing_when_nothing_is_new() {
    let store = memory();
    five(&store).await;
    let counted = FaultyStore::new(store);
    let log = ChampionLog::new(Arc::new(counted.clone()), model());
    assert_eq!(log.head_after(Generation(5)).await.unwrap(), None);
    assert_eq!((counted.calls(Operation::List), counted.calls(Operation::Get)), (1, 0));
    assert_eq!(
        log.head_after(Generation(2)).await.unwrap().unwrap().entry.generation,
        Generation(5)
    );
    assert_eq!((counted.calls(Operation::List), counted.calls(Operation::Get)), (2, 1));
}

#[tokio::test]
async fn the_champion_at_a_time_is_the_last_entry_dated_then_or_before() {
    let log = five(&memory()).await;
    for (at, expected) in [
        ("2026-11-23T09:59:59Z", None),
        ("2026-11-23T10:00:00Z", Some(1)),
        ("2026-11-23T11:59:59.999Z", Some(2)),
        ("2026-11-23T12:00:00Z", Some(3)),
        ("2026-12-31T00:00:00Z", Some(5)),
    ] {
        let found = log.at(time(at)).await.unwrap();
        assert_eq!(found.map(|stored| stored.entry.generation.0), expected, "{at}");
    }
}

#[tokio::test]
async fn a_clock_that_runs_backwards_is_held_at_the_entry_before() {
    let log = ChampionLog::new(memory(), model());
    let first = won(&log, 0, 1, "2026-11-23T10:00:00Z").await;
    let second = won(&log, 1, 2, "2026-11-23T09:00:00Z").await;
    assert_eq!(second.entry.at, first.entry.at);
    let at = log.at(first.entry.at).await.unwrap().unwrap();
    assert_eq!(
        at.entry.generation,
        Generation(2),
        "of entries of one time the last counts"
    );
    assert!(matches!(
        log.verify().await.unwrap(),
        Verification::Intact { entries: 2, .. }
    ));
}

#[tokio::test]
async fn a_writer_that_did_not_see_the_newest_champion_loses() {
    let log = five(&memory()).await;
    let head = log.head().await.unwrap();
    for expected in [0, 4, 6, u64::MAX] {
        let outcome = log
            .append(Generation(expected), new_entry(99, "2026-11-24T00:00:00Z", 99))
            .await
            .unwrap();
        assert_eq!(outcome, Appended::Lost { current: head.clone() }, "expected {expected}");
    }
    let empty = ChampionLog::new(memory(), model());
    let outcome = empty
        .append(Generation(1), new_entry(1, "2026-11-24T00:00:00Z", 1))
        .await
        .unwrap();
    assert_eq!(outcome, Appended::Lost { current: None });
}

#[tokio::test]
async fn a_repeat_with_the_same_nonce_finds_its_own_entry() {
    let log = five(&memory()).await;
    let repeat = log
        .append(Generation(2), new_entry(12, "2026-11-25T00:00:00Z", 3))
        .await
        .unwrap();
    let Appended::Won(entry) = repeat else {
        panic!("{repeat:?}")
    };
    assert_eq!(
        (entry.entry.generation, entry.entry.at),
        (Generation(3), time("2026-11-23T12:00:00Z"))
    );
    assert_eq!(log.history().await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_lost_reply_is_a_win_and_a_refusal_is_tried_again() {
    for fault in [Fault::LoseReply, Fault::LoseRequest, Fault::Refuse] {
        let store = memory();
        let faulty = FaultyStore::new(Arc::clone(&store));
        faulty.inject(Trigger::on(Operation::Create).times(2), fault.clone());
        let log = ChampionLog::new(Arc::new(faulty), model()).with_retry(PATIENCE);
        let entry = won(&log, 0, 1, "2026-11-23T10:00:00Z").await;
        assert_eq!(log.head().await.unwrap(), Some(entry), "{fault:?}");
        assert_eq!(log.history().await.unwrap().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_lost_reply_to_a_lost_race_is_a_loss() {
    let store = memory();
    let losing = FaultyStore::new(Arc::clone(&store));
    losing.inject(Trigger::on(Operation::Create).times(1), Fault::LoseReply);
    let waiting = FaultyStore::new(Arc::new(losing));
    let gate = waiting.hold(Trigger::on(Operation::Create).times(1));
    let slow = ChampionLog::new(Arc::new(waiting), model()).with_retry(PATIENCE);
    let racing = tokio::spawn(async move {
        slow.append(Generation(0), new_entry(1, "2026-11-23T10:00:00Z", 77))
            .await
    });
    gate.reached_by(1).await;
    let winner = won(&ChampionLog::new(store, model()), 0, 2, "2026-11-23T10:00:00Z").await;
    gate.release();
    assert_eq!(racing.await.unwrap().unwrap(), Appended::Lost { current: Some(winner) });
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_said_to_be_unknown() {
    let faulty = FaultyStore::new(memory());
    faulty.inject(Trigger::on(Operation::Create), Fault::LoseRequest);
    let log = ChampionLog::new(Arc::new(faulty.clone()), model()).with_retry(PATIENCE);
    let entry = new_entry(1, "2026-11-23T10:00:00Z", 1);
    let error = log.append(Generation(0), entry.clone()).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unresolved {
                generation: Generation(1),
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_retryable());
    assert_eq!(faulty.calls(Operation::Create), 4);
    faulty.heal();
    assert!(matches!(
        log.append(Generation(0), entry).await.unwrap(),
        Appended::Won(_)
    ));

    let refusing = FaultyStore::new(memory());
    refusing.inject(Trigger::on(Operation::Create), Fault::Refuse);
    let log = ChampionLog::new(Arc::new(refusing), model()).with_retry(PATIENCE);
    let error = log
        .append(Generation(0), new_entry(1, "2026-11-23T10:00:00Z", 1))
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Storage(_)),
        "nothing can have been written: {error}"
    );
}

#[tokio::test]
async fn every_flipped_byte_of_every_entry_is_found_and_named() {
    let store = memory();
    let log = five(&store).await;
    for generation in 1..=5 {
        let key = champion_key(&model(), Generation(generation));
        let bytes = store.get(&key).await.unwrap();
        for position in 0..bytes.len() {
            let mut flipped = bytes.to_vec();
            flipped[position] ^= 1 << (position % 8);
            store.put(&key, flipped.into()).await.unwrap();
            let (named, why) = broken_at(&log).await;
            assert_eq!(named, generation, "byte {position}");
            assert!(
                matches!(why, BreakCause::DigestMismatch | BreakCause::Undecodable(_)),
                "byte {position}: {why}"
            );
        }
        store.put(&key, bytes).await.unwrap();
    }
    assert!(matches!(
        log.verify().await.unwrap(),
        Verification::Intact { entries: 5, .. }
    ));
}

#[tokio::test]
async fn every_other_way_to_break_the_chain_is_named() {
    let store = memory();
    let log = five(&store).await;
    let history = log.history().await.unwrap();
    let key = |generation| champion_key(&model(), Generation(generation));
    let third = &history[2].entry;
    let original = store.get(&key(3)).await.unwrap();

    // Another version, put in its place with a good checksum: the entry behind it no longer follows.
    store
        .put(&key(3), forge(third, |entry| entry.version = ModelVersion(66)))
        .await
        .unwrap();
    assert!(matches!(broken_at(&log).await, (4, BreakCause::WrongPrevious { .. })));

    store
        .put(&key(3), forge(third, |entry| entry.previous_digest = None))
        .await
        .unwrap();
    assert!(matches!(
        broken_at(&log).await,
        (3, BreakCause::WrongPrevious { recorded: None, .. })
    ));

    store
        .put(&key(3), forge(third, |entry| entry.generation = Generation(2)))
        .await
        .unwrap();
    assert_eq!(
        broken_at(&log).await,
        (3, BreakCause::WrongGeneration { found: Generation(2) })
    );

    let other = ModelName::parse("upsell").unwrap();
    store
        .put(&key(3), forge(third, |entry| entry.model = other.clone()))
        .await
        .unwrap();
    assert_eq!(broken_at(&log).await, (3, BreakCause::WrongModel { found: other }));

    store
        .put(&key(3), forge(third, |entry| entry.at = time("2026-11-23T10:59:59Z")))
        .await
        .unwrap();
    assert!(matches!(broken_at(&log).await, (3, BreakCause::TimeWentBack { .. })));

    store
        .put(&key(3), forge(third, |entry| entry.format_version = 3))
        .await
        .unwrap();
    assert!(matches!(broken_at(&log).await, (3, BreakCause::Undecodable(why)) if why.contains("format version 3")));

    store.put(&key(3), Bytes::from_static(b"{}")).await.unwrap();
    assert!(matches!(broken_at(&log).await, (3, BreakCause::Undecodable(_))));

    store.delete(&key(3)).await.unwrap();
    assert_eq!(broken_at(&log).await, (3, BreakCause::Gap { found: Generation(4) }));
    assert_eq!(
        log.head().await.unwrap().unwrap().entry.generation,
        Generation(2),
        "the highest without a gap below"
    );

    store.put(&key(3), original).await.unwrap();
    assert!(matches!(
        log.verify().await.unwrap(),
        Verification::Intact { entries: 5, .. }
    ));
}

#[tokio::test]
async fn nothing_is_appended_to_a_broken_log() {
    let store = memory();
    let log = five(&store).await;
    let key = |generation| champion_key(&model(), Generation(generation));
    let third = store.get(&key(3)).await.unwrap();
    store.delete(&key(3)).await.unwrap();
    let error = log
        .append(Generation(2), new_entry(9, "2026-11-24T00:00:00Z", 9))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::BrokenChain(chain) if chain.generation == Generation(3)),
        "{error}"
    );
    assert!(store.head(&key(3)).await.unwrap().is_none());

    store.put(&key(3), third).await.unwrap();
    store.put(&key(5), Bytes::from_static(b"not json")).await.unwrap();
    let error = log
        .append(Generation(5), new_entry(9, "2026-11-24T00:00:00Z", 9))
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(said.contains("churn") && said.contains("generation 5"), "{said}");
    assert!(
        matches!(log.head().await.unwrap_err(), Error::BrokenChain(_)),
        "a damaged champion is no champion"
    );
}

#[tokio::test]
async fn names_that_are_no_entries_are_passed_over() {
    let store = memory();
    let log = five(&store).await;
    for name in [
        "champion/churn/README",
        "champion/churn/1.json",
        "champion/churn-2/00000000000000000006.json",
    ] {
        store
            .put(&holdfast_storage::Key::parse(name).unwrap(), Bytes::from_static(b"x"))
            .await
            .unwrap();
    }
    assert_eq!(log.head().await.unwrap().unwrap().entry.generation, Generation(5));
    assert!(matches!(
        log.verify().await.unwrap(),
        Verification::Intact { entries: 5, .. }
    ));
}

#[tokio::test]
async fn a_log_longer_than_a_page_is_read_whole() {
    let store = memory();
    let log = ChampionLog::new(Arc::clone(&store), model());
    let mut last = won(&log, 0, 1, "2026-11-23T10:00:00Z").await;
    for place in 2..=2_005_u64 {
        let bytes = forge(&last.entry, |entry| {
            entry.generation = Generation(place);
            entry.previous_digest = Some(last.digest);
        });
        store
            .put(&champion_key(&model(), Generation(place)), bytes.clone())
            .await
            .unwrap();
        last = ChampionEntry::decode(&bytes).unwrap();
    }
    assert_eq!(log.head().await.unwrap(), Some(last.clone()));
    assert_eq!(
        log.verify().await.unwrap(),
        Verification::Intact {
            entries: 2_005,
            head_digest: Some(last.digest)
        }
    );
    assert_eq!(log.at(last.entry.at).await.unwrap(), Some(last));
}

/// The calls run in tasks of any runtime: their futures can be sent between threads.
#[test]
fn the_logs_futures_are_send() {
    fn sendable<F: Future + Send>(_: F) {}
    let log = ChampionLog::new(memory(), model());
    sendable(log.head());
    sendable(log.history());
    sendable(log.verify());
    sendable(log.at(time("2026-11-23T10:00:00Z")));
    sendable(log.append(Generation(0), new_entry(1, "2026-11-23T10:00:00Z", 1)));
}
