//! Sixteen writers promote through two registries on one S3 bucket, and one of the registries ends in the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::champion_service_client::ChampionServiceClient;
use holdfast_storage::{BlobStoreKind, BlobStoreSettings, S3Settings, Secret};
use holdfast_testkit::SeaweedS3;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{MODEL, Registry, promotion, reason, settings};

const WRITERS: usize = 16;
/// What each writer must win.
const WINS: usize = 2;

/// A registry with a directory of its own, and database and bucket in common with others.
async fn beside(own: &Path, database: &Path, prefix: &str) -> Registry {
    let seaweed = SeaweedS3::shared().await;
    let (mut common, mut service) = settings(own);
    common.blob_store = BlobStoreSettings {
        kind: BlobStoreKind::S3,
        s3: S3Settings {
            bucket: seaweed.bucket().to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(seaweed.endpoint().to_owned()),
            path_style: true,
            access_key_id: Some(seaweed.access_key_id().to_owned()),
            secret_access_key: Some(Secret::new(seaweed.secret_access_key())),
            ..S3Settings::default()
        },
        ..BlobStoreSettings::default()
    };
    service.database_path = Some(database.to_owned());
    Registry::start_as(own, common, service).await
}

async fn newest(client: &mut ChampionServiceClient<Channel>) -> Result<u64, tonic::Status> {
    let request = wire::GetChampionRequest {
        model: MODEL.to_owned(),
        at: None,
    };
    match client.get_champion(request).await {
        Ok(answer) => Ok(answer.into_inner().entry.unwrap().generation),
        Err(status) if status.code() == Code::NotFound => Ok(0),
        Err(status) => Err(status),
    }
}

/// Promotes after what it saw until it has won often enough, through the registry at hand; where that is gone, through the
/// other. Answers what it won, and how often it was beaten.
async fn writer(
    mut ways: Vec<ChampionServiceClient<Channel>>,
    version: u32,
    (wins, half): (Arc<AtomicUsize>, Arc<Notify>),
) -> (Vec<u64>, usize) {
    let (mut won, mut beaten) = (Vec::new(), 0);
    while won.len() < WINS {
        let attempt = async {
            let expected = newest(&mut ways[0]).await?;
            let request = wire::PromoteRequest {
                expected_generation: Some(expected),
                ..promotion(version, true)
            };
            let entry = ways[0].promote(request).await?.into_inner().entry.unwrap();
            assert_eq!(entry.generation, expected + 1);
            Ok::<_, tonic::Status>(entry.generation)
        };
        match attempt.await {
            Ok(generation) => {
                won.push(generation);
                if wins.fetch_add(1, Ordering::SeqCst) + 1 == WRITERS * WINS / 2 {
                    half.notify_one();
                }
            }
            Err(status) if status.code() == Code::Aborted => {
                assert_eq!(reason(&status), "LOST_RACE");
                beaten += 1;
            }
            // This registry is gone, perhaps in the middle of this very call.
            Err(_) => ways.rotate_left(1),
        }
    }
    (won, beaten)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixteen_writers_racing_through_two_registries_have_one_champion_each_generation() {
    let (database, first, second) = (
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
        tempfile::tempdir().unwrap(),
    );
    let (file, prefix) = (
        database.path().join("registry.db"),
        format!("race-{}", uuid::Uuid::now_v7()),
    );
    let mut stays = beside(first.path(), &file, &prefix).await;
    let ends = beside(second.path(), &file, &prefix).await;
    let version = stays.ready_version(b"an artefact").await.r#ref.unwrap().version;

    let (wins, half) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let mut ways = vec![stays.champions.clone(), ends.champions.clone()];
        ways.rotate_left(number % 2);
        writers.spawn(writer(ways, version, (wins.clone(), half.clone())));
    }
    half.notified().await;
    ends.stop().await;

    let (mut winners, mut beaten) = (BTreeMap::<u64, usize>::new(), 0);
    while let Some(done) = writers.join_next().await {
        let (won, lost) = done.unwrap();
        beaten += lost;
        for generation in won {
            *winners.entry(generation).or_default() += 1;
        }
    }
    assert_eq!(winners.len(), WRITERS * WINS, "a generation was won twice: {winners:?}");
    let request = wire::ListChampionsRequest {
        model: MODEL.to_owned(),
    };
    let log = stays.champions.list_champions(request).await.unwrap().into_inner();
    assert!(log.chain_intact, "{}", log.chain_break);
    let generations: Vec<u64> = log.entries.iter().map(|entry| entry.generation).collect();
    assert_eq!(generations, (1..=generations.len() as u64).collect::<Vec<_>>());
    // More than were answered only where an answer was lost with its registry.
    let unanswered = generations.len() - winners.len();
    assert!(unanswered <= WRITERS, "{unanswered} entries that nobody was told of");
    eprintln!(
        "{WRITERS} writers, 2 registries, one ended in the middle: {} generations, {beaten} beaten writes, {unanswered} answers lost",
        generations.len()
    );
    stays.stop().await;
}
