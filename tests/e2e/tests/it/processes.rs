//! Five processes: each may die and come back, and what was promised holds.

use std::collections::HashSet;

use bytes::Bytes;
use holdfast_domain::{ModelName, ModelVersion, Schema};
use holdfast_records::layout::model_key;
use holdfast_records::prediction::{PredictionFilter, WindowRequest, read_window};
use holdfast_testkit::eventually;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::support::{Cluster, Name, PATIENCE, customers};

#[tokio::test]
async fn each_process_is_killed_and_comes_back_and_predictions_stay_the_same() {
    let began = Timestamp::now() - SignedDuration::from_secs(1);
    let mut cluster = Cluster::start().await;
    let trained = cluster.train(1, &[]).await;
    assert_eq!(
        (&trained["version"], &trained["accepted"]),
        (&1.into(), &true.into()),
        "{trained}"
    );
    assert!(trained["metrics"]["test_roc_auc"].as_f64().unwrap() > 0.95, "{trained}");

    let customer = customers(1)[0];
    let mut names = Vec::new();
    let (version, probability) = cluster.predict(&customer, &mut names).await;
    assert_eq!(version, 1);
    for name in Name::ALL {
        cluster.kill(name).await;
        cluster.revive(name).await;
        assert_eq!(
            cluster.predict(&customer, &mut names).await,
            (version, probability),
            "after {} came back",
            name.text()
        );
    }

    // What the killed processes had been told is still known.
    let runs = cluster.get("/api/v1/runs").await;
    assert_eq!(runs["runs"][0]["run_id"], trained["run_id"]);
    let chain = cluster.cli(&["champion", "verify"]).await.json();
    assert_eq!(
        (&chain["entries"], &chain["chain_intact"]),
        (&1.into(), &true.into()),
        "{chain}"
    );

    // And all of them still work.
    let again = cluster.train(2, &["--no-promote"]).await;
    assert_eq!(
        (&again["version"], &again["promoted"]),
        (&2.into(), &false.into()),
        "{again}"
    );
    every_answer_is_logged(&cluster, began, &names).await;
}

/// The records of the process that was killed among them.
async fn every_answer_is_logged(cluster: &Cluster, began: Timestamp, names: &[String]) {
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    let request = WindowRequest {
        from: began,
        to: Timestamp::now() + SignedDuration::from_hours(1),
        filter: PredictionFilter::default(),
        row_cap: 1_000_000,
    };
    let blobs = cluster.blobs().await;
    // A new process uploads what the one before left behind, off the request path; what it has itself is uploaded when asked.
    let flushed = cluster.flush().await;
    assert_eq!(flushed["spooled_records"], 0, "{flushed}");
    let window = read_window(blobs, Schema::embedded(), request).await.unwrap();
    let logged: HashSet<&str> = window.records.iter().map(|record| record.request_id.as_str()).collect();
    assert_eq!(logged, wanted);
    assert_eq!(window.records.len(), names.len());
}

#[tokio::test]
async fn predictions_go_on_while_the_registry_is_away() {
    let mut cluster = Cluster::start().await;
    cluster.train(1, &[]).await;
    let customers = customers(20);
    let mut names = Vec::new();
    let before = cluster.predict(&customers[0], &mut names).await;

    cluster.kill(Name::Registry).await;
    for customer in &customers {
        let (version, _) = cluster.predict(customer, &mut names).await;
        assert_eq!(version, before.0);
    }
    let status = cluster.cli(&["status"]).await.json();
    let service = |name: &str| {
        status["services"]
            .as_array()
            .unwrap()
            .iter()
            .find(|service| service["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(service("registry")["reachable"], false, "{status}");
    assert_eq!(service("inference")["reachable"], true, "{status}");

    // A replica that starts now finds its model on its own disk.
    cluster.kill(Name::Inference).await;
    cluster.revive(Name::Inference).await;
    assert_eq!(cluster.predict(&customers[0], &mut names).await, before);
}

#[tokio::test]
async fn a_corrupted_artefact_is_not_served_and_is_seen_in_status_and_metric() {
    let mut cluster = Cluster::start().await;
    cluster.train(1, &[]).await;
    let second = cluster.train(2, &["--no-promote"]).await;
    assert_eq!(second["version"], 2, "{second}");
    let customer = customers(1)[0];
    let mut names = Vec::new();
    let before = cluster.predict(&customer, &mut names).await;
    assert_eq!(before.0, 1);
    assert_eq!(
        cluster
            .metric(Name::Inference, "holdfast_inference_model_load_failures_total")
            .await,
        0.0
    );

    // The artefact is damaged after the registry took it and before inference reads it.
    cluster.pause(Name::Inference);
    let promoted = cluster
        .cli(&[
            "promote",
            "2",
            "--override",
            "--note",
            "to see what a damaged artefact does",
        ])
        .await
        .json();
    assert_eq!(
        (&promoted["generation"], &promoted["version"]),
        (&2.into(), &2.into()),
        "{promoted}"
    );
    corrupt(&cluster, 2).await;
    cluster.resume(Name::Inference);

    eventually("the failed load to be counted", PATIENCE, async || {
        cluster
            .metric(Name::Inference, "holdfast_inference_model_load_failures_total")
            .await
            > 0.0
    })
    .await;
    assert_eq!(cluster.predict(&customer, &mut names).await, before);
    eventually("the failed load to be seen in the status", PATIENCE, async || {
        let status = cluster.cli(&["status"]).await.json();
        let replica = &status["replicas"][0];
        let told =
            replica["state"] == "load_failed" && replica["serving_version"] == 1 && replica["message"].is_string();
        let says = &status["serving"]["last_failure"];
        told && says["version"] == 2
            && says["message"]
                .as_str()
                .is_some_and(|message| message.contains("digest"))
    })
    .await;

    // Back to a champion that loads; the replica is told and has nothing to complain about any more.
    cluster
        .cli(&["rollback", "--note", "version 2 is damaged"])
        .await
        .json();
    eventually("the replica to serve what the log says", PATIENCE, async || {
        let status = cluster.cli(&["status"]).await.json();
        status["serving"]["serving"]["generation"] == 3 && status["serving"]["last_failure"] == Value::Null
    })
    .await;
    assert_eq!(cluster.predict(&customer, &mut names).await, before);
}

/// Flips one bit in the middle of an artefact.
async fn corrupt(cluster: &Cluster, version: u32) {
    let blobs = cluster.blobs().await;
    let key = model_key(&ModelName::parse("churn").unwrap(), ModelVersion(version));
    let mut bytes = blobs.get(&key).await.unwrap().to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    blobs.put(&key, Bytes::from(bytes)).await.unwrap();
}
