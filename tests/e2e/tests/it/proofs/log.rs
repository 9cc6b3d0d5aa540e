//! A replica is killed again and again under load, S3 is away, the spool fills up: what was acknowledged is in Parquet, and what was refused was counted.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_api::common::v1::Customer;
use holdfast_api::inference::v1 as wire;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, Schema};
use holdfast_records::champion::{ChampionLog, ChampionReason, NewEntry, Nonce};
use holdfast_records::{layout, prediction};
use holdfast_storage::{BlobStore, BlobStoreKind, BlobStoreSettings, S3Settings, Secret, list_all};
use holdfast_testkit::{SeaweedS3, TcpProxy, eventually};
use holdfast_training::service::fitting::{self, Plan};
use holdfast_training::service::params::Presets;
use jiff::Timestamp;
use tempfile::TempDir;

use super::crew::{Client, Crew};
use super::offline::on_the_wire;
use super::replica::{Limits, Replica};
use super::show;
use super::told::{self, Told};
use crate::support::{PATIENCE, customers};

/// How much is proved.
#[derive(Clone, Copy, Debug)]
struct Size {
    kills: u32,
    callers: usize,
    /// Answers of a life before it is ended, at least.
    answers_per_life: u64,
    /// How long S3 refuses under load.
    away: Away,
}

#[derive(Clone, Copy, Debug)]
enum Away {
    /// Until so many requests were answered.
    Answers(u64),
    /// For this time.
    Time(Duration),
}

/// The limit of the spool in the life that reaches it.
const NARROW: Limits = Limits { spool_bytes: 400_000 };
/// Refusals that are seen before there is room again.
const REFUSALS: u64 = 50;

/// A real S3 server behind a proxy, a champion in it, and a replica's disk.
struct Stage {
    s3: SeaweedS3,
    proxy: TcpProxy,
    store: Arc<dyn BlobStore>,
    data_dir: TempDir,
    customers: Arc<Vec<Customer>>,
    lives: u32,
    told: Told,
}

impl Stage {
    async fn set() -> Self {
        let s3 = SeaweedS3::start().await;
        let server: SocketAddr = s3.endpoint().trim_start_matches("http://").parse().unwrap();
        let proxy = TcpProxy::start(server).await;
        // What is read at the end goes around the proxy.
        let settings = BlobStoreSettings {
            kind: BlobStoreKind::S3,
            s3: S3Settings {
                bucket: s3.bucket().to_owned(),
                endpoint: Some(s3.endpoint().to_owned()),
                path_style: true,
                access_key_id: Some(s3.access_key_id().to_owned()),
                secret_access_key: Some(Secret::new(s3.secret_access_key())),
                ..Default::default()
            },
            ..Default::default()
        };
        let data_dir = tempfile::tempdir().unwrap();
        let store = settings.open(data_dir.path()).await.unwrap();
        crown(&store).await;
        Self {
            s3,
            proxy,
            store,
            data_dir,
            customers: Arc::new(on_the_wire(&customers(50))),
            lives: 0,
            told: Told::default(),
        }
    }

    /// A new life of the replica, with callers.
    async fn live(&mut self, callers: usize, limits: Limits) -> (Replica, Crew<Told>) {
        self.lives += 1;
        let replica = Replica::start(self.data_dir.path(), &self.s3, self.proxy.address(), limits).await;
        let callers = told::start(callers, self.lives, &replica.url, &self.customers);
        (replica, callers)
    }

    async fn kill(&mut self, replica: Replica, callers: Crew<Told>) {
        replica.kill().await;
        self.told.add(Told::by(callers).await);
    }

    /// Lives that end by a kill under load. S3 is away for all of one of them and for the beginning of the next, which starts without it.
    async fn killed_lives(&mut self, size: Size) {
        let away = size.kills / 2;
        for kill in 0..size.kills {
            if kill == away {
                self.proxy.refuse();
            }
            let (replica, callers) = self.live(size.callers, Limits::WIDE).await;
            callers.more_answers(size.answers_per_life).await;
            if kill == away {
                match size.away {
                    Away::Answers(answers) => callers.more_answers(answers).await,
                    Away::Time(time) => under_load(&callers, time).await,
                }
            }
            if kill == away + 1 {
                self.proxy.forward();
            }
            self.kill(replica, callers).await;
        }
    }

    /// A life without S3 whose spool fills up: requests are refused and counted, and answered again when S3 is back.
    async fn full_life(&mut self, callers: usize) -> u64 {
        let (replica, none) = self.live(0, Limits::WIDE).await;
        self.told.add(Told::by(none).await);
        flush(&replica.client).await;
        replica.end().await;

        let (replica, callers) = self.live(callers, NARROW).await;
        self.proxy.refuse();
        callers.refusals(REFUSALS).await;
        self.proxy.forward();
        callers.more_answers(100).await;
        callers.stop();
        let told = Told::by(callers).await;
        assert!(
            told.unknown.is_empty(),
            "no call of this life failed: {:?}",
            told.unknown
        );
        let mut client = replica.client.clone();
        let status = client.get_replica_status(wire::GetReplicaStatusRequest {}).await;
        let log = status.unwrap().into_inner().prediction_log.unwrap();
        assert_eq!(
            log.refused_predictions,
            told.refused.len() as u64,
            "every refusal is counted"
        );
        assert_eq!(log.dropped_records, 0);
        self.told.add(told);
        flush(&replica.client).await;
        replica.end().await;
        log.refused_predictions
    }

    /// Bits of the score of every record in the blob store by request id, and how many records repeat another's id.
    async fn logged(&self) -> (HashMap<String, u64>, usize) {
        let (mut records, mut repeats) = (HashMap::new(), 0);
        for meta in list_all(self.store.as_ref(), "predictions").await.unwrap() {
            let bytes = self.store.get(&meta.key).await.unwrap();
            for record in prediction::decode(bytes, Schema::embedded()).unwrap() {
                let score = record.score.to_bits();
                if let Some(before) = records.insert(record.request_id, score) {
                    assert_eq!(before, score, "a repeat is the same record");
                    repeats += 1;
                }
            }
        }
        (records, repeats)
    }
}

/// Waits while requests are answered all the time.
async fn under_load(callers: &Crew<Told>, time: Duration) {
    let began = Instant::now();
    while began.elapsed() < time {
        callers.more_answers(100).await;
    }
}

async fn flush(client: &Client) {
    let mut client = client.clone();
    // S3 was away a moment ago, and may be waited for.
    eventually("the flush", PATIENCE, async || {
        client
            .flush_prediction_log(wire::FlushPredictionLogRequest {})
            .await
            .is_ok_and(|answer| answer.into_inner().prediction_log.unwrap().spooled_records == 0)
    })
    .await;
}

/// Learns a model of simulated customers and makes it champion.
async fn crown(store: &Arc<dyn BlobStore>) {
    let presets = Presets::load(None).unwrap();
    let plan = Plan {
        recipe: &presets.get("fast").unwrap().recipe,
        seed: 1,
        threads: 1,
        training_snapshot: Digest::of(b"simulated customers"),
        test_snapshot: Digest::of(b"none"),
    };
    let learnt = fitting::fit(&customers(1_000), &plan, Schema::embedded(), &mut |_| {
        ControlFlow::Continue(())
    });
    let artifact = learnt.unwrap().artifact;
    let (model, version) = (ModelName::parse("churn").unwrap(), ModelVersion(1));
    let artifact_digest = Digest::of(&artifact);
    store
        .put(&layout::model_key(&model, version), artifact.into())
        .await
        .unwrap();
    let entry = NewEntry {
        version,
        artifact_digest,
        actor: "test".to_owned(),
        reason: ChampionReason::Override {
            note: "test".to_owned(),
        },
        approval: None,
        at: Timestamp::UNIX_EPOCH,
        nonce: Nonce::generate(),
    };
    let log = ChampionLog::new(Arc::clone(store), model);
    log.append(Generation(0), entry).await.unwrap();
}

async fn prove(size: Size) {
    let mut stage = Stage::set().await;
    stage.killed_lives(size).await;
    let refused = stage.full_life(size.callers).await;
    let (logged, repeats) = stage.logged().await;
    let Told {
        acknowledged,
        unknown,
        refused: refused_ids,
    } = &stage.told;
    let lost = acknowledged
        .iter()
        .filter(|(id, score)| logged.get(*id) != Some(*score))
        .count();
    let invented = logged
        .keys()
        .filter(|id| !acknowledged.contains_key(*id) && !unknown.contains(*id))
        .count();
    show(&format!(
        "{} kills, {} acknowledged, {} of unknown fate, {refused} refused; {} records logged and {repeats} repeats; {lost} lost, {invented} invented",
        size.kills,
        acknowledged.len(),
        unknown.len(),
        logged.len(),
    ));
    assert_eq!(lost, 0, "acknowledged, and not logged with the answered score");
    assert_eq!(
        invented, 0,
        "logged, and neither acknowledged nor under way when the replica died"
    );
    assert!(
        refused_ids.iter().all(|id| !logged.contains_key(id)),
        "what was refused is not logged"
    );
    assert!(refused >= REFUSALS);
    assert!(acknowledged.len() as u64 >= size.answers_per_life * u64::from(size.kills));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_logged_once_whatever_is_killed_away_or_full() {
    prove(Size {
        kills: 4,
        callers: 4,
        answers_per_life: 200,
        away: Away::Answers(300),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes: make prove-log"]
async fn full_fifty_kills_and_a_minute_without_s3_lose_nothing() {
    prove(Size {
        kills: 50,
        callers: 16,
        answers_per_life: 2_000,
        away: Away::Time(Duration::from_secs(60)),
    })
    .await;
}
