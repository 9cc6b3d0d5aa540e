//! Sixteen writers race for the champion's place while the store refuses calls and loses replies.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{Generation, ModelVersion};
use holdfast_records::champion::{Appended, ChampionLog, NewEntry, Nonce, RetryPolicy, StoredEntry, Verification};
use holdfast_records::layout::champion_key;
use holdfast_storage::testing::{Fault, FaultyStore, Trigger};
use holdfast_storage::{BlobMeta, BlobStore, Created, DirectoryStore, Key, Operation, Result};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::support::{memory, model, new_entry};

const ROUNDS: u64 = 200;
const WRITERS: u8 = 16;

/// Lets other tasks run before and after each call, as often as the seed says: on one thread, a seed is an interleaving.
#[derive(Debug)]
pub(crate) struct Interleaved {
    inner: Arc<dyn BlobStore>,
    random: Mutex<ChaCha8Rng>,
}

impl Interleaved {
    /// A writer's own way to `inner`; `seed` chooses its turns.
    pub(crate) fn way(inner: &Arc<dyn BlobStore>, seed: u64) -> Arc<dyn BlobStore> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            random: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
        })
    }

    fn random(&self) -> MutexGuard<'_, ChaCha8Rng> {
        self.random.lock().unwrap()
    }

    async fn step_aside(&self) {
        let turns = self.random().random_range(0..4);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl BlobStore for Interleaved {
    async fn create(&self, key: &Key, body: Bytes) -> Result<Created> {
        self.step_aside().await;
        let created = self.inner.create(key, body).await;
        self.step_aside().await;
        created
    }

    async fn put(&self, key: &Key, body: Bytes) -> Result<()> {
        self.inner.put(key, body).await
    }

    async fn create_from_file(&self, key: &Key, path: &Path) -> Result<Created> {
        self.inner.create_from_file(key, path).await
    }

    async fn get(&self, key: &Key) -> Result<Bytes> {
        self.step_aside().await;
        self.inner.get(key).await
    }

    async fn get_to_file(&self, key: &Key, path: &Path) -> Result<u64> {
        self.inner.get_to_file(key, path).await
    }

    async fn head(&self, key: &Key) -> Result<Option<BlobMeta>> {
        self.inner.head(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&Key>, limit: usize) -> Result<Vec<BlobMeta>> {
        let found = self.inner.list(prefix, after, limit).await;
        self.step_aside().await;
        found
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        self.inner.delete(key).await
    }

    fn describe(&self) -> String {
        format!("{} with seeded turns", self.inner.describe())
    }
}

/// A writer's own way to the store, on which its calls fail by the seed.
pub(crate) fn faulty(inner: Arc<dyn BlobStore>, random: &mut ChaCha8Rng) -> FaultyStore {
    let store = FaultyStore::new(inner);
    for _ in 0..random.random_range(0..8) {
        let operation =
            [Operation::Create, Operation::Create, Operation::Get, Operation::List][random.random_range(0..4)];
        let fault = [Fault::Refuse, Fault::LoseReply, Fault::LoseRequest][random.random_range(0..3)].clone();
        store.inject(Trigger::on(operation).nth(random.random_range(1..12)), fault);
    }
    store
}

/// Appends until the log has `target` generations; answers the entries that the log said this writer won.
async fn write(log: ChampionLog, writer: u8, target: u64) -> Vec<StoredEntry> {
    let mut wins = Vec::new();
    let mut seen = Generation(0);
    for attempt in 0_u8.. {
        if seen.0 >= target {
            break;
        }
        let mut nonce = [writer; 16];
        nonce[15] = attempt;
        let base = new_entry(u32::from(writer) + 1, "2026-11-23T10:00:00Z", 0);
        let entry = NewEntry {
            version: ModelVersion(u32::from(writer) + 1),
            nonce: Nonce::from_bytes(nonce),
            ..base
        };
        // An error that may pass leaves open whether the entry was written; the same nonce settles it.
        let outcome = loop {
            match log.append(seen, entry.clone()).await {
                Ok(outcome) => break outcome,
                Err(error) if error.is_retryable() => tokio::task::yield_now().await,
                Err(error) => panic!("writer {writer}: {error}"),
            }
        };
        seen = match outcome {
            Appended::Won(stored) => {
                let generation = stored.entry.generation;
                wins.push(stored);
                generation
            }
            Appended::Lost { current } => current.map_or(Generation(0), |stored| stored.entry.generation),
        };
    }
    wins
}

async fn round(seed: u64, store: Arc<dyn BlobStore>, ways: impl Fn(u8) -> Arc<dyn BlobStore>, target: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let patience = RetryPolicy {
        attempts: 2,
        pause: Duration::ZERO,
    };
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let way = Arc::new(faulty(ways(writer), &mut random));
        writers.spawn(write(
            ChampionLog::new(way, model()).with_retry(patience),
            writer,
            target,
        ));
    }
    let mut won: BTreeMap<Generation, StoredEntry> = BTreeMap::new();
    while let Some(wins) = writers.join_next().await {
        for stored in wins.unwrap() {
            let generation = stored.entry.generation;
            assert!(
                won.insert(generation, stored).is_none(),
                "seed {seed}: two winners of generation {generation}"
            );
        }
    }

    let log = ChampionLog::new(Arc::clone(&store), model());
    let history = log.history().await.unwrap();
    assert!(history.len() as u64 >= target, "seed {seed}");
    assert_eq!(
        won.into_values().collect::<Vec<_>>(),
        history,
        "seed {seed}: every entry has the one winner that was told so"
    );
    assert!(
        matches!(log.verify().await.unwrap(), Verification::Intact { .. }),
        "seed {seed}"
    );

    let damaged = Generation(random.random_range(1..=history.len() as u64));
    let key = champion_key(&model(), damaged);
    let mut bytes = store.get(&key).await.unwrap().to_vec();
    let position = random.random_range(0..bytes.len());
    bytes[position] ^= 1 << random.random_range(0..8);
    store.put(&key, bytes.into()).await.unwrap();
    match log.verify().await.unwrap() {
        Verification::Broken(chain) => assert_eq!(chain.generation, damaged, "seed {seed}"),
        intact @ Verification::Intact { .. } => panic!("seed {seed}: {intact:?}"),
    }
}

#[test]
fn sixteen_writers_make_one_winner_per_generation_in_memory() {
    for seed in 0..ROUNDS {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let store = memory();
            let ways = |writer: u8| Interleaved::way(&store, seed * 1_000 + u64::from(writer));
            round(seed, Arc::clone(&store), ways, 8).await;
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_make_one_winner_per_generation_in_a_directory() {
    for seed in 0..ROUNDS {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn BlobStore> = Arc::new(DirectoryStore::open(directory.path()).await.unwrap());
        round(seed, Arc::clone(&store), |_| Arc::clone(&store), 3).await;
    }
}
