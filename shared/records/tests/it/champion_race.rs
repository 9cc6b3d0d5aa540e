//! Sixteen writers race for the champion's place while the store refuses calls, answers 412 and 409, loses replies, and lets
//! writes arrive after their callers have given up. `make prove-champion` shows the figures.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::Generation;
use holdfast_records::champion::{Appended, ChampionLog, NewEntry, Nonce, RetryPolicy, StoredEntry, Verification};
use holdfast_records::layout::champion_key;
use holdfast_storage::testing::{Fault, FaultyStore, Trigger};
use holdfast_storage::{BlobBody, BlobMeta, BlobStore, Created, DirectoryStore, Key, Operation, Result};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::support::{memory, model, new_entry};

/// Races in memory, where a seed chooses every turn.
const SEEDS: u64 = 1_000;
/// Races in a directory, where the machine chooses the turns.
const DIRECTORY_SEEDS: u64 = 200;
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

    async fn open(&self, key: &Key) -> Result<BlobBody> {
        self.inner.open(key).await
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

/// A writer's own way to the store, on which its calls fail by the seed: refused, in conflict (409), with a lost reply, with a
/// lost request, or timed out with the write under way.
pub(crate) fn faulty(inner: Arc<dyn BlobStore>, random: &mut ChaCha8Rng) -> FaultyStore {
    let store = FaultyStore::new(inner);
    for _ in 0..random.random_range(0..8) {
        let operation =
            [Operation::Create, Operation::Create, Operation::Get, Operation::List][random.random_range(0..4)];
        let fault = match random.random_range(0..5) {
            0 => Fault::Refuse,
            1 => Fault::LoseReply,
            2 => Fault::LoseRequest,
            3 => Fault::Conflict,
            _ => Fault::ArriveLate(random.random_range(1..9)),
        };
        store.inject(Trigger::on(operation).nth(random.random_range(1..12)), fault);
    }
    store
}

/// What a writer does when the log cannot say whether its entry was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// It appends again with the same nonce until it knows.
    Endless,
    /// It gives up now and then, as a caller whose deadline has passed.
    GivesUp,
}

/// What the writers were told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    won: Vec<StoredEntry>,
    lost: Vec<Nonce>,
    never_heard: Vec<Nonce>,
    faults: usize,
}

impl Told {
    fn add(&mut self, other: Self) {
        self.won.extend(other.won);
        self.lost.extend(other.lost);
        self.never_heard.extend(other.never_heard);
        self.faults += other.faults;
    }
}

/// Appends until the log has `target` generations.
async fn write(log: ChampionLog, writer: u8, target: u64, patience: Patience, mut random: ChaCha8Rng) -> Told {
    let mut told = Told::default();
    let mut seen = Generation(0);
    for attempt in 0_u8.. {
        if seen.0 >= target {
            break;
        }
        let mut nonce = [writer; 16];
        nonce[15] = attempt;
        let nonce = Nonce::from_bytes(nonce);
        let entry = NewEntry {
            nonce,
            ..new_entry(u32::from(writer) + 1, "2026-11-23T10:00:00Z", 0)
        };
        // An error that may pass leaves open whether the entry was written; the same nonce settles it.
        let outcome = loop {
            match log.append(seen, entry.clone()).await {
                Ok(outcome) => break Some(outcome),
                Err(error) if error.is_retryable() => {
                    if patience == Patience::GivesUp && random.random_bool(0.5) {
                        break None;
                    }
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("writer {writer}: {error}"),
            }
        };
        seen = match outcome {
            Some(Appended::Won(stored)) => {
                let generation = stored.entry.generation;
                told.won.push(stored);
                generation
            }
            Some(Appended::Lost { current }) => {
                told.lost.push(nonce);
                current.map_or(Generation(0), |stored| stored.entry.generation)
            }
            None => {
                told.never_heard.push(nonce);
                newest(&log).await
            }
        };
    }
    told
}

async fn newest(log: &ChampionLog) -> Generation {
    loop {
        match log.head().await {
            Ok(head) => return head.map_or(Generation(0), |stored| stored.entry.generation),
            Err(error) if error.is_retryable() => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks what the writers were told against what the log holds.
async fn judge(seed: u64, log: &ChampionLog, told: &Told) -> Vec<StoredEntry> {
    let history = log.history().await.unwrap();
    let mut acknowledged: BTreeMap<Generation, &StoredEntry> = BTreeMap::new();
    for stored in &told.won {
        let generation = stored.entry.generation;
        assert!(
            acknowledged.insert(generation, stored).is_none(),
            "seed {seed}: two writers were told that they won generation {generation}"
        );
    }
    for (generation, stored) in &acknowledged {
        let place = usize::try_from(generation.0).unwrap() - 1;
        assert_eq!(
            history.get(place),
            Some(*stored),
            "seed {seed}: what was acknowledged is missing at {generation}"
        );
    }
    for stored in &history {
        let nonce = stored.entry.nonce;
        let known = acknowledged.contains_key(&stored.entry.generation) || told.never_heard.contains(&nonce);
        assert!(
            known && !told.lost.contains(&nonce),
            "seed {seed}: generation {} was written by one who was told that it lost",
            stored.entry.generation
        );
    }
    assert_eq!(
        log.verify().await.unwrap(),
        Verification::Intact {
            entries: history.len() as u64,
            head_digest: history.last().map(|stored| stored.digest),
        },
        "seed {seed}"
    );
    history
}

/// Flips one bit of one entry: the verdict names that generation.
async fn damage(seed: u64, store: &Arc<dyn BlobStore>, log: &ChampionLog, length: usize, random: &mut ChaCha8Rng) {
    let damaged = Generation(random.random_range(1..=length as u64));
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

async fn round(
    seed: u64,
    store: Arc<dyn BlobStore>,
    ways: impl Fn(u8) -> Arc<dyn BlobStore>,
    target: u64,
) -> (Vec<StoredEntry>, Told) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let retry = RetryPolicy {
        attempts: 2,
        pause: Duration::ZERO,
    };
    let mut writers = tokio::task::JoinSet::new();
    let mut faults = Vec::new();
    for writer in 0..WRITERS {
        let way = Arc::new(faulty(ways(writer), &mut random));
        faults.push(Arc::clone(&way));
        let patience = if random.random_bool(0.5) {
            Patience::GivesUp
        } else {
            Patience::Endless
        };
        let own = ChaCha8Rng::seed_from_u64(random.random());
        let log = ChampionLog::new(way, model()).with_retry(retry);
        writers.spawn(write(log, writer, target, patience, own));
    }
    let mut told = Told::default();
    while let Some(heard) = writers.join_next().await {
        told.add(heard.unwrap());
    }
    let log = ChampionLog::new(Arc::clone(&store), model());
    let history = judge(seed, &log, &told).await;
    assert!(history.len() as u64 >= target, "seed {seed}");
    // Writes that are still under way arrive after everybody has gone.
    for way in &faults {
        way.land().await;
        told.faults += way.struck_calls();
    }
    let history = judge(seed, &log, &told).await;
    damage(seed, &store, &log, history.len(), &mut random).await;
    (history, told)
}

/// A round whose every turn the seed chooses: one thread, a clock that moves only when all wait.
fn seeded(seed: u64) -> (Vec<StoredEntry>, Told) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = memory();
        let ways = |writer: u8| Interleaved::way(&store, seed * 1_000 + u64::from(writer));
        round(seed, Arc::clone(&store), ways, 8).await
    })
}

#[test]
fn a_thousand_seeded_races_of_sixteen_writers_make_one_champion_per_generation() {
    let mut all = Told::default();
    let mut generations = 0;
    for seed in 0..SEEDS {
        let (history, told) = seeded(seed);
        generations += history.len();
        all.add(told);
    }
    println!(
        "champion race: {SEEDS} seeds, {WRITERS} writers, {} faults struck; {generations} generations, each with one champion; \
         {} promotions acknowledged and all in the log, {} told that they lost and none in it, {} gave up unheard; \
         every chain verified, one flipped bit in each found and named",
        all.faults,
        all.won.len(),
        all.lost.len(),
        all.never_heard.len()
    );
    assert!(
        all.faults as u64 > SEEDS && !all.never_heard.is_empty(),
        "the faults strike"
    );
}

#[test]
fn a_seed_is_one_race_and_no_other() {
    for seed in 0..20 {
        assert_eq!(seeded(seed), seeded(seed), "seed {seed}");
    }
    assert_ne!(seeded(1).0, seeded(2).0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_make_one_champion_per_generation_in_a_directory() {
    for seed in 0..DIRECTORY_SEEDS {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn BlobStore> = Arc::new(DirectoryStore::open(directory.path()).await.unwrap());
        round(seed, Arc::clone(&store), |_| Arc::clone(&store), 3).await;
    }
}
