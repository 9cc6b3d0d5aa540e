//! A version tried on live traffic: as a shadow, as a canary, and promoted.

use std::collections::BTreeSet;

use holdfast_testkit::eventually;
use serde_json::Value;

use crate::support::{Cluster, Name, PATIENCE, customers};

/// Waits until the replica has the version on trial.
async fn on_trial(cluster: &Cluster) {
    eventually("the version to be on trial", PATIENCE, async || {
        let status = cluster.cli(&["rollout", "status"]).await.json();
        status["replicas"][0]["tally"]["state"] == "running"
    })
    .await;
}

/// The version that each customer meets.
async fn met(cluster: &Cluster, count: usize) -> Vec<u64> {
    let mut names = Vec::new();
    let mut met = Vec::new();
    for customer in &customers(count) {
        // Over REST and over gRPC alike: the call compares the bits.
        met.push(cluster.predict(customer, &mut names).await.0);
    }
    met
}

#[tokio::test]
async fn a_version_is_shadowed_then_answers_half_of_the_customers_then_all() {
    let mut cluster = Cluster::start().await;
    cluster.train(1, &[]).await;
    let second = cluster.train(2, &["--no-promote"]).await;
    assert_eq!(second["version"], 2, "{second}");
    let none = cluster.cli(&["rollout", "end"]).await;
    assert_eq!(none.code(), Some(1), "{none:?}");

    let shadow = cluster
        .cli(&["rollout", "start", "--version", "2", "--mode", "shadow"])
        .await
        .json();
    assert_eq!(
        (&shadow["mode"], &shadow["champion_version"]),
        (&"shadow".into(), &1.into()),
        "{shadow}"
    );
    on_trial(&cluster).await;
    assert!(met(&cluster, 10).await.iter().all(|version| *version == 1));
    eventually("all rows to be compared and reported", PATIENCE, async || {
        let status = cluster.cli(&["rollout", "status"]).await.json();
        status["replicas"][0]["tally"]["compared_rows"] == 20
    })
    .await;
    let status = cluster.cli(&["status"]).await.json();
    assert_eq!(status["rollout"]["version"], 2, "{status}");
    let ended = cluster.cli(&["rollout", "end", "--note", "they agree"]).await.json();
    assert_eq!(ended["ending"]["note"], "they agree", "{ended}");

    let canary = [
        "rollout",
        "start",
        "--version",
        "2",
        "--mode",
        "canary",
        "--share",
        "0.5",
        "--override",
        "--note",
        "a test",
    ];
    cluster.cli(&canary).await.json();
    on_trial(&cluster).await;
    let first = met(&cluster, 40).await;
    assert_eq!(first.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));

    // A replica that dies and comes back is told again, and every customer meets the same version as before.
    cluster.kill(Name::Inference).await;
    cluster.revive(Name::Inference).await;
    on_trial_again(&cluster).await;
    assert_eq!(met(&cluster, 40).await, first);

    let promoted = cluster
        .cli(&["promote", "2", "--override", "--note", "as good as the first"])
        .await
        .json();
    assert_eq!(promoted["version"], 2, "{promoted}");
    // One call a customer: between two of them the replica may take the new champion.
    eventually("version 2 to answer everybody", PATIENCE, async || {
        for customer in customers(5) {
            if cluster.predict_rest(&[customer]).await["version"] != 2 {
                return false;
            }
        }
        true
    })
    .await;
    assert!(met(&cluster, 5).await.iter().all(|version| *version == 2));
    let history = cluster.cli(&["rollout", "history"]).await.json();
    let reasons: Vec<&Value> = history["rollouts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rollout| &rollout["ending"]["reason"])
        .collect();
    assert_eq!(reasons, ["stopped", "promoted"], "{history}");
    assert_eq!(history["chain_intact"], true, "{history}");
}

/// Waits until the replica behind the gateway says of itself that it takes part: the registry may still hold the word of
/// the process before.
async fn on_trial_again(cluster: &Cluster) {
    eventually("the version to be on trial again", PATIENCE, async || {
        let status = cluster.cli(&["status"]).await.json();
        status["serving"]["rollout"]["state"] == "running"
    })
    .await;
}
