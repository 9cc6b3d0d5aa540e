//! Eight writers race to start and to end rollouts while the store refuses calls and loses replies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdfast_records::rollout::{
    Appended, Change, EndReason, NewEntry, Nonce, RetryPolicy, RolloutLog, StoredEntry, Verification,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use crate::champion_race::{Interleaved, faulty};
use crate::support::{memory, model, rollout_change, start};

const ROUNDS: u64 = 100;
const WRITERS: u8 = 8;
const TARGET: u64 = 8;

/// Starts what is ended and ends what runs, until the record is long enough; answers the entries that this writer won.
async fn write(log: RolloutLog, writer: u8) -> Vec<StoredEntry> {
    let mut wins = Vec::new();
    let mut seen = 0;
    for attempt in 0_u8.. {
        if seen >= TARGET {
            break;
        }
        let change = if seen % 2 == 0 {
            Change::Start(start(u32::from(writer) + 1))
        } else {
            Change::End {
                reason: EndReason::Stopped,
            }
        };
        let mut nonce = [writer; 16];
        nonce[15] = attempt;
        let new = NewEntry {
            nonce: Nonce::from_bytes(nonce),
            ..rollout_change(change, "2026-11-23T10:00:00Z", 0)
        };
        // An error that may pass leaves open whether the entry was written; the same nonce settles it.
        let outcome = loop {
            match log.append(seen, new.clone()).await {
                Ok(outcome) => break outcome,
                Err(error) if error.is_retryable() => tokio::task::yield_now().await,
                Err(error) => panic!("writer {writer}: {error}"),
            }
        };
        seen = match outcome {
            Appended::Won(stored) => {
                let revision = stored.entry.revision;
                wins.push(stored);
                revision
            }
            Appended::Lost { current } => current.map_or(0, |stored| stored.entry.revision),
        };
    }
    wins
}

async fn round(seed: u64) {
    let store = memory();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let patience = RetryPolicy {
        attempts: 2,
        pause: Duration::ZERO,
    };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let way = faulty(Interleaved::way(&store, seed * 1_000 + u64::from(writer)), &mut random);
        let log = RolloutLog::new(Arc::new(way), model()).with_retry(patience);
        writers.spawn(write(log, writer));
    }
    let mut won: BTreeMap<u64, StoredEntry> = BTreeMap::new();
    while let Some(wins) = writers.join_next().await {
        for stored in wins.unwrap() {
            let revision = stored.entry.revision;
            assert!(
                won.insert(revision, stored).is_none(),
                "seed {seed}: two winners of revision {revision}"
            );
        }
    }
    let log = RolloutLog::new(store, model());
    let history = log.history().await.unwrap();
    assert!(history.len() as u64 >= TARGET, "seed {seed}");
    assert_eq!(
        won.into_values().collect::<Vec<_>>(),
        history,
        "seed {seed}: every entry has the one winner that was told so"
    );
    for stored in &history {
        let starts = stored.entry.revision % 2 == 1;
        assert_eq!(stored.entry.start().is_some(), starts, "seed {seed}: at most one runs");
    }
    assert!(
        matches!(log.verify().await.unwrap(), Verification::Intact { .. }),
        "seed {seed}"
    );
}

#[test]
fn eight_writers_make_one_winner_per_revision_and_at_most_one_rollout_runs() {
    for seed in 0..ROUNDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(round(seed));
    }
}
