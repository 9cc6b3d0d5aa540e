//! How champions come into service, and what happens when they cannot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_api::inference::v1 as wire;
use holdfast_api::registry::v1::ReplicaState;
use holdfast_domain::Digest;
use holdfast_storage::Operation;
use holdfast_storage::testing::{Fault, Trigger};
use holdfast_testkit::{eventually, eventually_some};

use crate::support::model::model;
use crate::support::{SOON, Sandbox, Service, artifact, customer, customers, full_row};

const FAILURES: &str = "holdfast_inference_model_load_failures_total";

async fn score(service: &Service) -> u64 {
    service
        .predict(customer(3))
        .await
        .unwrap()
        .prediction
        .unwrap()
        .probability
        .to_bits()
}

fn own_score(flavour: u32) -> u64 {
    model(flavour).score(&full_row(3)).to_bits()
}

#[tokio::test]
async fn a_subscription_reloads_without_a_restart_and_the_registry_hears_of_it() {
    let mut sandbox = Sandbox::new().set("champion.poll_interval_ms", 3_600_000);
    let first = sandbox.publish(1, &artifact(1)).await;
    let second = sandbox.publish(2, &artifact(2)).await;
    sandbox.registry.start();
    sandbox.registry.announce(1, 1, first);
    let service = sandbox.serving(1).await;
    let before = service.status().await;
    assert!(before.registry_connected);
    assert_eq!(score(&service).await, own_score(1));

    sandbox.registry.announce(2, 2, second);
    service.serves(2).await;
    assert_eq!(score(&service).await, own_score(2));
    let after = service.status().await;
    assert_eq!(after.started_at, before.started_at, "the same process");
    assert!(after.last_reload_ms > 0.0);
    assert_eq!(after.serving.unwrap().generation, 2);

    // What is not newer is dropped; what is newer counts, whatever came between.
    sandbox.registry.announce(1, 1, first);
    sandbox.registry.announce(7, 1, first);
    service.serves(1).await;
    let reported = async || {
        let reports = sandbox.registry.reports();
        reports
            .into_iter()
            .find(|report| report.serving_generation == 7 && report.state() == ReplicaState::Serving)
    };
    let report = eventually_some("the report of generation 7", SOON, reported).await;
    assert_eq!(
        (report.replica.as_str(), report.model.as_str(), report.serving_version),
        ("blue-1", "churn", 1)
    );
    service.stop().await;
}

#[tokio::test]
async fn with_the_registry_killed_predictions_go_on_and_the_champion_log_is_followed() {
    let mut sandbox = Sandbox::with_champion().await;
    let first = Digest::of(&artifact(1));
    sandbox.registry.start();
    sandbox.registry.announce(1, 1, first);
    let service = sandbox.serving(1).await;
    eventually("the subscription", SOON, async || {
        service.status().await.registry_connected
    })
    .await;

    sandbox.registry.kill();
    assert_eq!(score(&service).await, own_score(1));
    eventually("the loss to be noticed", SOON, async || {
        !service.status().await.registry_connected
    })
    .await;
    assert_eq!(
        service.admin("/readyz").await.0,
        200,
        "losing the registry does not make it unready"
    );
    let second = sandbox.publish(2, &artifact(2)).await;
    sandbox.promote(1, 2, second).await;
    service.serves(2).await;
    assert_eq!(score(&service).await, own_score(2));

    // The registry comes back, a little behind: nothing moves back.
    sandbox.registry.start();
    eventually("the subscription again", SOON, async || {
        service.status().await.registry_connected
    })
    .await;
    assert_eq!(score(&service).await, own_score(2));
    sandbox.registry.announce(3, 1, first);
    service.serves(1).await;
    service.stop().await;
}

#[tokio::test]
async fn a_corrupted_artefact_leaves_the_champion_serving_and_shows_everywhere() {
    let mut sandbox = Sandbox::with_champion().await;
    sandbox.registry.start();
    sandbox.registry.announce(1, 1, Digest::of(&artifact(1)));
    let service = sandbox.serving(1).await;

    let good = artifact(2);
    let mut corrupt = good.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 1;
    sandbox.publish(2, &corrupt).await;
    sandbox.registry.announce(2, 2, Digest::of(&good));
    let failed = async || service.status().await.last_failure;
    let failure = eventually_some("the failure", SOON, failed).await;
    assert_eq!((failure.model.unwrap().version, failure.generation), (2, 2));
    assert!(failure.message.contains("digest does not match"), "{}", failure.message);
    assert!(failure.failed_at.is_some());
    assert!(service.metric(&format!("{FAILURES}{{stage=\"digest\"}}")).await >= 1.0);
    assert_eq!(service.metric("holdfast_inference_model_loaded").await as u64, 1);
    assert_eq!(score(&service).await, own_score(1));
    assert_eq!(service.admin("/readyz").await.0, 200);
    let reported = async || {
        let reports = sandbox.registry.reports();
        reports
            .into_iter()
            .find(|report| report.state() == ReplicaState::LoadFailed)
    };
    let report = eventually_some("the report of the failure", SOON, reported).await;
    assert_eq!((report.serving_generation, report.target_generation), (1, 2));
    assert!(report.message.contains("digest does not match"));

    // Repaired, it loads: the target is tried again for as long as it is the target.
    sandbox.publish(2, &good).await;
    service.serves(2).await;
    assert_eq!(service.status().await.last_failure, None);
    service.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_model_are_refused_even_with_the_right_digest() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let digest = sandbox.publish(2, b"not a model").await;
    sandbox.promote(1, 2, digest).await;
    let failed = async || service.status().await.last_failure;
    eventually_some("the failure", SOON, failed).await;
    assert!(service.metric(&format!("{FAILURES}{{stage=\"decode\"}}")).await >= 1.0);
    assert_eq!(score(&service).await, own_score(1));

    // A newer champion ends the attempts.
    let third = sandbox.publish(3, &artifact(3)).await;
    sandbox.promote(2, 3, third).await;
    service.serves(3).await;
    service.stop().await;
}

#[tokio::test]
async fn a_replica_starts_from_local_disk_while_registry_and_blob_store_are_away() {
    let sandbox = Sandbox::with_champion().await;
    let service = sandbox.serving(1).await;
    let kept = sandbox.data_dir.path().join("inference/models/last_good.json");
    eventually("the model to be kept", SOON, async || kept.exists()).await;
    service.stop().await;

    sandbox.store.refuse_everything();
    let service = sandbox.start().await;
    // Nothing to wait for: it is in service before the port is bound.
    assert_eq!(score(&service).await, own_score(1));
    assert_eq!(service.admin("/readyz").await.0, 200);
    assert_eq!(service.status().await.serving.unwrap().generation, 1);

    sandbox.store.heal();
    let second = sandbox.publish(2, &artifact(2)).await;
    sandbox.promote(1, 2, second).await;
    service.serves(2).await;
    service.stop().await;
}

#[tokio::test]
async fn a_damaged_copy_on_local_disk_is_fetched_again() {
    let sandbox = Sandbox::with_champion().await;
    let models = sandbox.data_dir.path().join("inference/models");
    let service = sandbox.serving(1).await;
    eventually("the model to be kept", SOON, async || {
        models.join("last_good.json").exists()
    })
    .await;
    service.stop().await;
    std::fs::write(models.join(format!("{}.hfm", Digest::of(&artifact(1)))), "damaged").unwrap();
    let service = sandbox.serving(1).await;
    assert_eq!(score(&service).await, own_score(1));
    service.stop().await;
}

#[tokio::test]
async fn a_rollback_to_a_kept_artefact_needs_no_blob_store() {
    let mut sandbox = Sandbox::new();
    let first = sandbox.publish(1, &artifact(1)).await;
    let second = sandbox.publish(2, &artifact(2)).await;
    sandbox.registry.start();
    sandbox.registry.announce(1, 1, first);
    let service = sandbox.serving(1).await;
    sandbox.registry.announce(2, 2, second);
    service.serves(2).await;
    let kept = sandbox.data_dir.path().join(format!("inference/models/{second}.hfm"));
    eventually("the second to be kept", SOON, async || kept.exists()).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Get).below("models"), Fault::Refuse);
    sandbox.registry.announce(3, 1, first);
    service.serves(1).await;
    assert_eq!(score(&service).await, own_score(1));
    service.stop().await;
}

#[tokio::test]
async fn every_answer_is_from_one_version_while_champions_change() {
    let mut sandbox = Sandbox::new().set("predict.inline_rows", 8);
    let digests = [
        sandbox.publish(1, &artifact(1)).await,
        sandbox.publish(2, &artifact(2)).await,
    ];
    sandbox.registry.start();
    sandbox.registry.announce(1, 1, digests[0]);
    let service = sandbox.serving(1).await;
    let own = [model(1), model(2)];
    let done = Arc::new(AtomicBool::new(false));
    let calls = (0..4).map(|_| {
        let (mut client, done) = (service.client.clone(), Arc::clone(&done));
        let own = [model(1), model(2)];
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let request = wire::PredictBatchRequest {
                    customers: customers(20).into(),
                    ..wire::PredictBatchRequest::default()
                };
                let answer = client.predict_batch(request).await.unwrap().into_inner();
                let served = answer.served_by.unwrap();
                let version = served.model.unwrap().version;
                assert_eq!(
                    served.generation % 2,
                    u64::from(version % 2),
                    "version and generation belong together"
                );
                let model = &own[version as usize - 1];
                for (index, prediction) in (0..).zip(answer.predictions) {
                    assert_eq!(
                        prediction.probability.to_bits(),
                        model.score(&full_row(index)).to_bits()
                    );
                }
                seen.insert(version);
            }
            seen
        })
    });
    let calls: Vec<_> = calls.collect();
    for generation in 2..=20_u64 {
        let version = if generation % 2 == 1 { 1 } else { 2 };
        sandbox
            .registry
            .announce(generation, version, digests[version as usize - 1]);
        service.serves(version).await;
    }
    done.store(true, Ordering::Relaxed);
    let mut seen = BTreeSet::new();
    for call in calls {
        seen.extend(call.await.unwrap());
    }
    assert_eq!(seen, BTreeSet::from([1, 2]));
    assert_ne!(
        own[0].score(&full_row(0)).to_bits(),
        own[1].score(&full_row(0)).to_bits()
    );

    // And the log says the same of every record.
    service.flush().await.unwrap();
    for record in sandbox.records().await {
        let model = &own[record.version.0 as usize - 1];
        assert_eq!(record.score.to_bits(), model.score(&record.features).to_bits());
    }
    service.stop().await;
}

#[tokio::test]
async fn the_last_of_many_quick_changes_is_what_the_next_start_finds() {
    let mut sandbox = Sandbox::new().set("champion.keep_artifacts", 1);
    let digests = [
        sandbox.publish(1, &artifact(1)).await,
        sandbox.publish(2, &artifact(2)).await,
        sandbox.publish(3, &artifact(3)).await,
    ];
    sandbox.registry.start();
    for (round, last) in [(0, 17_u64), (1, 35), (2, 52)] {
        sandbox.store.heal();
        let service = sandbox.start().await;
        for generation in round * 17 + 1..=last {
            let version = 1 + u32::try_from(generation % 3).unwrap();
            sandbox
                .registry
                .announce(generation, version, digests[version as usize - 1]);
            // Each is in service, and perhaps still being written to disk, when the next one comes.
            let serves = async || {
                service
                    .status()
                    .await
                    .serving
                    .is_some_and(|serving| serving.generation >= generation)
            };
            eventually("the generation in service", SOON, serves).await;
        }
        service.stop().await;
        sandbox.store.refuse_everything();
        let service = sandbox.start().await;
        let serving = service.status().await.serving.unwrap();
        assert_eq!(
            (serving.generation, serving.model.unwrap().version),
            (last, 1 + u32::try_from(last % 3).unwrap())
        );
        service.stop().await;
    }
}
