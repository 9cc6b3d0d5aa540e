//! A registry is killed again and again in the middle of writes: what was acknowledged is there, and nothing is there by half.

use std::collections::HashSet;
use std::sync::Arc;

use futures::stream;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::artifact_service_client::ArtifactServiceClient;
use holdfast_api::registry::v1::tracking_service_client::TrackingServiceClient;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::settings::ClientSettings;
use holdfast_testkit::{Postgres, Process, ProcessBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tonic::Status;

use super::crew::{Crew, Signals};
use crate::support::{PATIENCE, binary};

const WRITERS: usize = 4;

/// Where a registry keeps everything, and how it is started on it.
struct Stage {
    data_dir: TempDir,
    database_url: Option<String>,
}

/// A life of the registry.
struct Registry {
    process: Process,
    channel: Channel,
}

/// What a writer was told is written: a run, its batches and its metrics by number, and files.
#[derive(Default)]
struct Acknowledged {
    run: Option<String>,
    batches: Vec<u64>,
    points: Vec<u64>,
    files: Vec<(String, Vec<u8>)>,
}

impl Stage {
    async fn start(&self) -> Registry {
        let mut builder = ProcessBuilder::new(binary("holdfast-registry"))
            .clear_env()
            .current_dir(self.data_dir.path())
            .env("HOLDFAST_DATA_DIR", self.data_dir.path())
            .env("HOLDFAST_REGISTRY__BIND", "127.0.0.1:0")
            .env("HOLDFAST_REGISTRY__ADMIN", "127.0.0.1:0");
        if let Some(url) = &self.database_url {
            builder = builder.env("HOLDFAST_REGISTRY__DATABASE_URL", url);
        }
        let process = builder.spawn();
        let line = process
            .wait_for_line("its addresses", PATIENCE, |line| {
                line.text.contains("\"message\":\"listening\"")
            })
            .await;
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = format!("http://{}", said["grpc"].as_str().unwrap());
        let channel = ClientBuilder::new(&url, &ClientSettings::default()).channel();
        Registry {
            process,
            channel: channel.unwrap(),
        }
    }
}

/// Opens a run and logs to it until a call fails, as every call does when the registry is killed.
async fn write(channel: Channel, experiment: String, signals: Arc<Signals>) -> Acknowledged {
    let mut told = Acknowledged::default();
    let mut tracking = TrackingServiceClient::new(channel.clone());
    let opened = wire::CreateRunRequest {
        experiment_id: experiment,
        ..wire::CreateRunRequest::default()
    };
    let Ok(opened) = tracking.create_run(opened).await else {
        return told;
    };
    let run = opened.into_inner().run.unwrap().run_id;
    told.run = Some(run.clone());
    signals.answered();
    for number in 0.. {
        if signals.is_over() || log(&mut tracking, &run, number).await.is_err() {
            break;
        }
        told.batches.push(number);
        signals.answered();
        if measure(&mut tracking, &run, number).await.is_err() {
            break;
        }
        told.points.push(number);
        signals.answered();
        if number % 3 == 0 {
            let path = format!("kills/{run}/{number}.bin");
            let bytes = format!("{run} {number}").into_bytes().repeat(50);
            if store(channel.clone(), &path, bytes.clone()).await.is_err() {
                break;
            }
            told.files.push((path, bytes));
            signals.answered();
        }
    }
    told
}

/// A batch that leaves three traces, each with its number.
async fn log(tracking: &mut TrackingServiceClient<Channel>, run: &str, number: u64) -> Result<(), Status> {
    let batch = wire::LogBatchRequest {
        run_id: run.to_owned(),
        metrics: vec![wire::Metric {
            key: format!("m{number}"),
            value: 0.5,
            measured_at: Some(prost_types::Timestamp::default()),
            ..wire::Metric::default()
        }],
        params: vec![wire::Param {
            key: format!("p{number}"),
            value: "v".to_owned(),
        }],
        tags: vec![wire::Tag {
            key: format!("t{number}"),
            value: "v".to_owned(),
        }],
    };
    tracking.log_batch(batch).await.map(drop)
}

/// Two metrics and nothing else, which are written together with those of others.
async fn measure(tracking: &mut TrackingServiceClient<Channel>, run: &str, number: u64) -> Result<(), Status> {
    let metrics = ["x", "y"].map(|name| wire::Metric {
        key: format!("{name}{number}"),
        value: 0.25,
        measured_at: Some(prost_types::Timestamp::default()),
        ..wire::Metric::default()
    });
    let batch = wire::LogBatchRequest {
        run_id: run.to_owned(),
        metrics: metrics.to_vec(),
        ..wire::LogBatchRequest::default()
    };
    tracking.log_batch(batch).await.map(drop)
}

async fn store(channel: Channel, path: &str, bytes: Vec<u8>) -> Result<(), Status> {
    use wire::write_artifact_request::Part;
    let header = wire::ArtifactHeader { path: path.to_owned() };
    let end = wire::ArtifactEnd::default();
    let parts = [Part::Header(header), Part::Chunk(bytes), Part::End(end)];
    let parts = parts.map(|part| wire::WriteArtifactRequest { part: Some(part) });
    let sent = ArtifactServiceClient::new(channel)
        .write_artifact(stream::iter(parts))
        .await;
    sent.map(drop)
}

/// What was acknowledged is there, and every batch left all of its traces or none.
async fn check(channel: &Channel, told: &[Acknowledged]) {
    let mut tracking = TrackingServiceClient::new(channel.clone());
    for acknowledged in told {
        let Some(run) = &acknowledged.run else {
            continue;
        };
        let asked = wire::GetRunRequest { run_id: run.clone() };
        let found = tracking.get_run(asked).await.unwrap().into_inner().run.unwrap();
        let numbers = |first: char, keys: &mut dyn Iterator<Item = &String>| -> HashSet<u64> {
            keys.filter_map(|key| key.strip_prefix(first)?.parse().ok()).collect()
        };
        let measured = |first: char| numbers(first, &mut found.metrics.iter().map(|metric| &metric.key));
        let metrics = measured('m');
        let params = numbers('p', &mut found.params.iter().map(|param| &param.key));
        let tags = numbers('t', &mut found.tags.iter().map(|tag| &tag.key));
        assert_eq!(
            (&metrics, &metrics),
            (&params, &tags),
            "a batch of {run} is there by half"
        );
        for number in &acknowledged.batches {
            assert!(metrics.contains(number), "batch {number} of {run} is lost");
        }
        let points = measured('x');
        assert_eq!(points, measured('y'), "metrics of {run} are there by half");
        for number in &acknowledged.points {
            assert!(points.contains(number), "metrics {number} of {run} are lost");
        }
        for (path, bytes) in &acknowledged.files {
            assert_eq!(&read(channel, path).await, bytes, "{path}");
        }
    }
}

async fn read(channel: &Channel, path: &str) -> Vec<u8> {
    use wire::read_artifact_response::Part;
    let asked = wire::ReadArtifactRequest { path: path.to_owned() };
    let answer = ArtifactServiceClient::new(channel.clone()).read_artifact(asked).await;
    let mut parts = answer.unwrap().into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await.unwrap() {
        if let Some(Part::Chunk(chunk)) = part.part {
            bytes.extend(chunk);
        }
    }
    bytes
}

async fn no_kill_loses_a_write(stage: Stage, kills: u64) {
    let mut told = Vec::new();
    let mut experiment = None;
    for kill in 0..kills {
        let mut registry = stage.start().await;
        if experiment.is_none() {
            let named = wire::CreateExperimentRequest {
                name: "killed".to_owned(),
                ..wire::CreateExperimentRequest::default()
            };
            let made = TrackingServiceClient::new(registry.channel.clone())
                .create_experiment(named)
                .await;
            experiment = Some(made.unwrap().into_inner().experiment.unwrap().experiment_id);
        }
        let id = experiment.clone().unwrap();
        let crew = Crew::start(WRITERS, |_, signals| {
            write(registry.channel.clone(), id.clone(), signals)
        });
        // Lives of different lengths end in different places.
        crew.more_answers(1 + kill * 7 % 40).await;
        registry.process.kill();
        registry.process.wait_exit(PATIENCE).await;
        crew.stop();
        told.extend(crew.reports().await);
    }
    let registry = stage.start().await;
    let batches: usize = told.iter().map(|told| told.batches.len()).sum();
    assert!(batches as u64 > kills, "only {batches} batches were acknowledged");
    check(&registry.channel, &told).await;
    let mut process = registry.process;
    process.terminate();
    assert!(process.wait_exit(PATIENCE).await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_by_a_kill_on_sqlite() {
    let stage = Stage {
        data_dir: tempfile::tempdir().unwrap(),
        database_url: None,
    };
    no_kill_loses_a_write(stage, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_by_a_kill_on_postgres() {
    let postgres = Postgres::start().await;
    let stage = Stage {
        data_dir: tempfile::tempdir().unwrap(),
        database_url: Some(postgres.database().await),
    };
    no_kill_loses_a_write(stage, 50).await;
}
