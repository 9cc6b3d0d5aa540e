//! The binary as a process of its own: what a container runs, and what a kill leaves.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use holdfast_api::inference::v1 as wire;
use holdfast_api::inference::v1::inference_service_client::InferenceServiceClient;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::settings::ClientSettings;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, Schema};
use holdfast_records::champion::{ChampionLog, ChampionReason, NewEntry, Nonce};
use holdfast_records::{layout, prediction};
use holdfast_storage::{BlobStore, DirectoryStore, list_all};
use holdfast_testkit::{Process, ProcessBuilder, eventually};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::{SOON, artifact, customer};

async fn blobs(data_dir: &Path) -> Arc<dyn BlobStore> {
    Arc::new(DirectoryStore::open(data_dir.join("blobs")).await.unwrap())
}

async fn crown(store: &Arc<dyn BlobStore>) {
    let (model, bytes) = (ModelName::parse("churn").unwrap(), artifact(1));
    store
        .put(&layout::model_key(&model, ModelVersion(1)), bytes.clone().into())
        .await
        .unwrap();
    let new = NewEntry {
        version: ModelVersion(1),
        artifact_digest: Digest::of(&bytes),
        actor: "test".to_owned(),
        reason: ChampionReason::Override {
            note: "test".to_owned(),
        },
        approval: None,
        at: Timestamp::UNIX_EPOCH,
        nonce: Nonce::generate(),
    };
    ChampionLog::new(Arc::clone(store), model)
        .append(Generation(0), new)
        .await
        .unwrap();
}

fn binary() -> ProcessBuilder {
    ProcessBuilder::new(env!("CARGO_BIN_EXE_holdfast-inference"))
}

fn serve(data_dir: &Path) -> Process {
    binary()
        .env("HOLDFAST_DATA_DIR", data_dir)
        .env("HOLDFAST_INFERENCE__BIND", "127.0.0.1:0")
        .env("HOLDFAST_INFERENCE__ADMIN", "127.0.0.1:0")
        .env("HOLDFAST_INFERENCE__REPLICA", "blue-1")
        .env("HOLDFAST_INFERENCE__CHAMPION__POLL_INTERVAL_MS", "20")
        .env("HOLDFAST_INFERENCE__PREDICTION_LOG__SEGMENT_BYTES", "20000")
        // Nobody listens there.
        .env("HOLDFAST_PEERS__REGISTRY", "http://127.0.0.1:1")
        .current_dir(data_dir)
        .spawn()
}

/// The addresses in the line that says so.
async fn listening(process: &Process) -> (InferenceServiceClient<Channel>, String) {
    let line = process
        .wait_for_line("the addresses", SOON, |line| line.text.contains("\"listening\""))
        .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let channel = ClientBuilder::new(
        format!("http://{}", line["grpc"].as_str().unwrap()),
        &ClientSettings::default(),
    );
    (
        InferenceServiceClient::new(channel.channel().unwrap()),
        line["admin"].as_str().unwrap().to_owned(),
    )
}

async fn ready(admin: &str) {
    let address = format!("http://{admin}/readyz");
    let is_ready = async || {
        reqwest::get(&address)
            .await
            .is_ok_and(|response| response.status() == 200)
    };
    eventually("readiness", SOON, is_ready).await;
}

async fn health(admin: &str) -> bool {
    let mut process = binary().args(["health", "--address", admin]).spawn();
    process.wait_exit(SOON).await.success()
}

#[tokio::test]
async fn the_binary_serves_without_arguments_and_says_whether_it_is_ready() {
    let data_dir = tempfile::tempdir().unwrap();
    let store = blobs(data_dir.path()).await;
    let mut process = serve(data_dir.path());
    let (mut client, admin) = listening(&process).await;
    assert!(!health(&admin).await, "no model, not ready");
    crown(&store).await;
    ready(&admin).await;
    assert!(health(&admin).await);
    let request = wire::PredictRequest {
        customer: Some(customer(1)),
        ..Default::default()
    };
    client.predict(request).await.unwrap();
    process.terminate();
    assert!(process.wait_exit(SOON).await.success());
    let logged = list_all(store.as_ref(), "predictions").await.unwrap();
    assert_eq!(logged.len(), 1, "uploaded at the end");
}

#[tokio::test]
async fn a_replica_killed_under_load_again_and_again_loses_no_acknowledged_prediction() {
    let data_dir = tempfile::tempdir().unwrap();
    let store = blobs(data_dir.path()).await;
    crown(&store).await;
    let mut acknowledged = BTreeSet::new();
    for round in 0..4_u64 {
        let mut process = serve(data_dir.path());
        let (client, admin) = listening(&process).await;
        ready(&admin).await;
        let callers = (0..8).map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                let mut answered = Vec::new();
                loop {
                    let request = wire::PredictRequest {
                        customer: Some(customer(1)),
                        ..Default::default()
                    };
                    match client.predict(request).await {
                        Ok(answer) => answered.push(answer.into_inner().request_id),
                        Err(_) => return answered,
                    }
                }
            })
        });
        let callers: Vec<_> = callers.collect();
        let enough = 300 * (round + 1);
        let mut asking = client.clone();
        let loaded = async || {
            let status = asking.get_replica_status(wire::GetReplicaStatusRequest {}).await;
            status.is_ok_and(|status| status.into_inner().prediction_log.unwrap().acknowledged_records > enough)
        };
        eventually("some load", SOON, loaded).await;
        process.kill();
        for caller in callers {
            acknowledged.extend(caller.await.unwrap());
        }
        process.wait_exit(SOON).await;
    }
    let mut process = serve(data_dir.path());
    let (mut client, _) = listening(&process).await;
    client
        .flush_prediction_log(wire::FlushPredictionLogRequest {})
        .await
        .unwrap();
    process.terminate();
    assert!(process.wait_exit(SOON).await.success());

    let mut logged = Vec::new();
    for meta in list_all(store.as_ref(), "predictions").await.unwrap() {
        let bytes = store.get(&meta.key).await.unwrap();
        logged.extend(
            prediction::decode(bytes, Schema::embedded())
                .unwrap()
                .into_iter()
                .map(|record| record.request_id),
        );
    }
    let distinct: BTreeSet<String> = logged.iter().cloned().collect();
    assert_eq!(distinct.len(), logged.len(), "each once");
    assert!(acknowledged.len() > 1_000);
    assert!(
        acknowledged.is_subset(&distinct),
        "{} acknowledged, {} logged",
        acknowledged.len(),
        distinct.len()
    );
}
