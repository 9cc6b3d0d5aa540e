//! The record of rollouts, one writer at a time.

use std::sync::Arc;

use holdfast_domain::Digest;
use holdfast_records::Error;
use holdfast_records::layout::rollout_key;
use holdfast_records::rollout::{
    Appended, BreakCause, Change, EndReason, RolloutEntry, RolloutLog, StoredEntry, Verification,
};
use holdfast_storage::testing::FaultyStore;
use holdfast_storage::{BlobStore, Operation};

use crate::support::{memory, model, rollout_change, start};

const AT: &str = "2026-11-23T10:00:00Z";

fn end() -> Change {
    Change::End {
        reason: EndReason::Stopped,
    }
}

async fn won(log: &RolloutLog, expected: u64, change: Change) -> StoredEntry {
    let nonce = u8::try_from(expected + 1).unwrap();
    match log.append(expected, rollout_change(change, AT, nonce)).await.unwrap() {
        Appended::Won(entry) => entry,
        Appended::Lost { current } => panic!("lost to {current:?}"),
    }
}

/// A rollout that ended, and one that runs.
async fn three(store: &Arc<dyn BlobStore>) -> RolloutLog {
    let log = RolloutLog::new(Arc::clone(store), model());
    won(&log, 0, Change::Start(start(4))).await;
    won(&log, 1, end()).await;
    won(&log, 2, Change::Start(start(5))).await;
    log
}

#[tokio::test]
async fn starts_and_ends_take_turns_in_a_chain() {
    let store = memory();
    let log = three(&store).await;
    let history = log.history().await.unwrap();
    let revisions: Vec<u64> = history.iter().map(|stored| stored.entry.revision).collect();
    assert_eq!(revisions, [1, 2, 3]);
    assert_eq!(history[2].entry.start().unwrap().version.0, 5);
    assert_eq!(history[2].entry.previous_digest, Some(history[1].digest));
    let stored = store.get(&rollout_key(&model(), 3)).await.unwrap();
    assert_eq!(history[2].digest, Digest::of(&stored));
    assert_eq!(log.head_after(0).await.unwrap().as_ref(), history.last());
    assert!(matches!(
        log.verify().await.unwrap(),
        Verification::Intact { entries: 3, .. }
    ));
}

#[tokio::test]
async fn a_second_start_and_an_end_without_a_start_are_lost() {
    let empty = RolloutLog::new(memory(), model());
    let nothing = empty.append(0, rollout_change(end(), AT, 9)).await.unwrap();
    assert_eq!(nothing, Appended::Lost { current: None });
    let log = three(&memory()).await;
    let head = log.head_after(0).await.unwrap();
    let second = rollout_change(Change::Start(start(6)), AT, 9);
    let outcome = log.append(3, second).await.unwrap();
    assert_eq!(outcome, Appended::Lost { current: head });
    won(&log, 3, end()).await;
    let head = log.head_after(0).await.unwrap();
    let twice = log.append(4, rollout_change(end(), AT, 9)).await.unwrap();
    assert_eq!(twice, Appended::Lost { current: head });
}

#[tokio::test]
async fn a_writer_that_did_not_see_the_newest_entry_loses_unless_it_was_its_own() {
    let log = three(&memory()).await;
    let head = log.head_after(0).await.unwrap();
    for expected in [0, 2, 4, u64::MAX] {
        let change = Change::Start(start(6));
        let outcome = log.append(expected, rollout_change(change, AT, 99)).await.unwrap();
        assert_eq!(outcome, Appended::Lost { current: head.clone() }, "expected {expected}");
    }
    // The nonce of revision 3: its writer asks again because the reply was lost.
    let again = log
        .append(2, rollout_change(Change::Start(start(5)), AT, 3))
        .await
        .unwrap();
    assert_eq!(again, Appended::Won(head.unwrap()));
}

#[tokio::test]
async fn a_poll_reads_nothing_when_nothing_is_new() {
    let store = memory();
    three(&store).await;
    let counted = FaultyStore::new(store);
    let log = RolloutLog::new(Arc::new(counted.clone()), model());
    assert_eq!(log.head_after(3).await.unwrap(), None);
    assert_eq!((counted.calls(Operation::List), counted.calls(Operation::Get)), (1, 0));
}

#[tokio::test]
async fn a_damaged_entry_is_named() {
    let store = memory();
    let log = three(&store).await;
    let key = rollout_key(&model(), 2);
    let mut entry = RolloutEntry::decode(&store.get(&key).await.unwrap()).unwrap();
    entry.actor = "eve".to_owned();
    store.put(&key, entry.encode().unwrap()).await.unwrap();
    let Verification::Broken(chain) = log.verify().await.unwrap() else {
        panic!("a forged entry went unseen");
    };
    assert!(matches!(chain.why, BreakCause::WrongPrevious { .. }));
    assert!(
        chain
            .to_string()
            .starts_with("the record of rollouts of churn is broken at revision 3"),
        "{chain}"
    );
    store.put(&key, "{}".into()).await.unwrap();
    assert!(matches!(log.entry(2).await.unwrap_err(), Error::BrokenChain(chain) if chain.generation.0 == 2));
}
