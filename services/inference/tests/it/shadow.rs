//! A shadow: what the challenger says of the same rows, off the callers' path.

use std::collections::BTreeMap;
use std::sync::Arc;

use holdfast_api::common::v1::{RolloutMode, RolloutState};
use holdfast_api::inference::v1 as wire;
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_inference::metrics::Metrics;
use holdfast_inference::service::rollout::Rollout;
use holdfast_inference::service::rollout::shadow::{Answered, Comparison, ShadowQueue};
use holdfast_inference::service::rollout::tally::Tally;
use holdfast_inference::service::rollout::trial::Trial;
use holdfast_inference::service::serving::{Serving, ServingModel};
use holdfast_inference::service::target::Target;
use holdfast_records::rollout::{Limits, Mode, Start};
use holdfast_records::shadow::{self, ShadowRecord};
use holdfast_storage::testing::{Fault, Trigger};
use holdfast_storage::{BlobStore, Operation, list_all};
use holdfast_testkit::eventually;
use jiff::Timestamp;

use crate::support::model::{heavy_artifact, model};
use crate::support::rollout::rollout;
use crate::support::{MODEL, SOON, Sandbox, artifact, customer, customers, full_row};

fn second() -> Digest {
    Digest::of(&artifact(2))
}

impl Sandbox {
    /// Everything that shadows recorded, by key.
    async fn shadows(&self) -> BTreeMap<String, Vec<ShadowRecord>> {
        let mut found = BTreeMap::new();
        for meta in list_all(&self.store, "shadows").await.unwrap() {
            let bytes = self.store.get(&meta.key).await.unwrap();
            found.insert(meta.key.to_string(), shadow::decode(bytes).unwrap());
        }
        found
    }
}

#[tokio::test]
async fn the_champion_answers_and_the_differences_are_recorded_and_summed_up() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.trying(rollout(1, RolloutMode::Shadow, 1.0, second())).await;
    let (champion, challenger) = (model(1), model(2));
    for index in 0..30 {
        let (version, bits) = service.scored(customer(index)).await;
        assert_eq!((version, bits), (1, champion.score(&full_row(index)).to_bits()));
    }
    let batch = wire::PredictBatchRequest {
        customers: customers(70).into(),
        request_id: "batch-1".to_owned(),
        explain: false,
    };
    service.client.clone().predict_batch(batch).await.unwrap();
    eventually("all to be compared", SOON, async || {
        service.status().await.rollout.unwrap().compared_rows == 100
    })
    .await;

    let tally = service.status().await.rollout.unwrap();
    let rows = (0..30).chain(0..70);
    let pairs: Vec<(f64, f64)> = rows
        .map(|index| (champion.score(&full_row(index)), challenger.score(&full_row(index))))
        .collect();
    let mean = pairs.iter().map(|(one, two)| (two - one).abs()).sum::<f64>() / 100.0;
    assert!((tally.mean_absolute_delta - mean).abs() < 1e-12);
    let flips = pairs
        .iter()
        .filter(|(one, two)| champion.label(*one) != challenger.label(*two));
    assert_eq!(tally.label_flips, flips.count() as u64);
    assert_eq!(tally.deltas.iter().map(|bucket| bucket.rows).sum::<u64>(), 100);
    let (of_challenger, of_champion) = (tally.challenger.unwrap(), tally.champion.unwrap());
    assert_eq!((of_challenger.requests, of_champion.requests), (31, 31));
    assert!(of_challenger.median_ms > 0.0 && of_champion.median_ms > 0.0);
    eventually("the registry to hear of it", SOON, async || {
        sandbox.reported().is_some_and(|tally| tally.compared_rows == 100)
    })
    .await;
    assert_eq!(service.metric("holdfast_inference_shadow_delta_count").await, 100.0);

    // What is held is stored at the end.
    service.stop().await;
    let shadows = sandbox.shadows().await;
    let keys: Vec<&String> = shadows.keys().collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(
        keys[0].starts_with("shadows/churn/date=2026-03-01/hour=10/blue-1-"),
        "{keys:?}"
    );
    let records: Vec<ShadowRecord> = shadows.into_values().flatten().collect();
    assert_eq!(records.len(), 100);
    for record in &records {
        let index = u32::try_from(record.customer_key.unwrap().0 - 700_000_000).unwrap();
        let row = full_row(index);
        assert_eq!(record.champion_score.to_bits(), champion.score(&row).to_bits());
        assert_eq!(
            record.challenger_score.to_bits(),
            challenger.score(&row).to_bits(),
            "bit-equal to its offline score"
        );
        assert_eq!(record.challenger_label, challenger.label(record.challenger_score));
        assert_eq!((record.champion_version.0, record.challenger_version.0), (1, 2));
        assert_eq!((record.rollout_revision, record.model.as_str()), (1, MODEL));
    }
    let last = records.last().unwrap();
    assert_eq!((last.request_id.as_str(), last.row_index), ("batch-1", 69));
}

#[tokio::test]
async fn rows_are_stored_by_number_and_what_cannot_be_stored_is_dropped_and_counted() {
    let sandbox = Sandbox::with_challenger().await.set("rollout.shadow_segment_rows", 5);
    let service = sandbox.trying(rollout(1, RolloutMode::Shadow, 1.0, second())).await;
    let metric = |name: &'static str| service.metric(name);
    for index in 0..5 {
        service.scored(customer(index)).await;
    }
    eventually("five rows in the blob store", SOON, async || {
        metric("holdfast_inference_shadow_recorded_rows_total").await == 5.0
    })
    .await;
    sandbox.store.inject(Trigger::on(Operation::Create), Fault::Refuse);
    for index in 0..5 {
        assert_eq!(service.scored(customer(index)).await.0, 1);
    }
    eventually("five rows to be dropped", SOON, async || {
        metric("holdfast_inference_shadow_dropped_rows_total").await == 5.0
    })
    .await;
    sandbox.store.heal();
    // The clock stands still: the name of the first object is taken, and the next one is found.
    for index in 0..5 {
        service.scored(customer(index)).await;
    }
    eventually("five more rows in the blob store", SOON, async || {
        metric("holdfast_inference_shadow_recorded_rows_total").await == 10.0
    })
    .await;
    let sizes: Vec<usize> = sandbox.shadows().await.values().map(Vec::len).collect();
    assert_eq!(sizes, [5, 5]);
    service.stop().await;
}

#[tokio::test]
async fn a_shadow_that_is_too_slow_is_taken_off_too() {
    let sandbox = Sandbox::with_challenger().await;
    let digest = sandbox.publish(2, &heavy_artifact(20_000)).await;
    let mut slow = rollout(1, RolloutMode::Shadow, 1.0, digest);
    slow.limits.as_mut().unwrap().max_latency_ratio = 2.0;
    slow.limits.as_mut().unwrap().min_requests = 20;
    let service = sandbox.trying(slow).await;
    eventually("the challenger to be taken off", SOON, async || {
        assert_eq!(service.scored(customer(1)).await.0, 1);
        service.metric("holdfast_inference_rollout_active").await == 0.0
    })
    .await;
    let tally = service.rollout_is(1, RolloutState::LatencyLimit).await;
    assert!(tally.challenger.unwrap().requests >= 20);
    service.stop().await;
}

#[tokio::test]
async fn a_share_of_a_shadow_is_the_same_customers() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.trying(rollout(1, RolloutMode::Shadow, 0.3, second())).await;
    let chosen = |index: &u32| crate::support::rollout::meets(1, *index, 0.3);
    for index in 0..40 {
        service.scored(customer(index)).await;
    }
    let wanted = (0..40).filter(chosen).count() as u64;
    eventually("the chosen to be compared", SOON, async || {
        service.status().await.rollout.unwrap().compared_rows == wanted
    })
    .await;
    service.stop().await;
    let records: Vec<ShadowRecord> = sandbox.shadows().await.into_values().flatten().collect();
    let mut keys: Vec<i64> = records.iter().map(|record| record.customer_key.unwrap().0).collect();
    keys.sort_unstable();
    let expected: Vec<i64> = (0..40)
        .filter(chosen)
        .map(|index| 700_000_000 + i64::from(index))
        .collect();
    assert_eq!(keys, expected);
}

fn serving(flavour: u32) -> Arc<ServingModel> {
    let target = Target {
        model: ModelName::parse(MODEL).unwrap(),
        version: ModelVersion(flavour),
        artifact_digest: Digest::of(&artifact(flavour)),
        generation: Generation(1),
    };
    Arc::new(ServingModel::new(
        Arc::new(model(flavour)),
        target,
        Timestamp::UNIX_EPOCH,
    ))
}

fn trial(queue: ShadowQueue) -> Arc<Trial> {
    let start = Start {
        version: ModelVersion(2),
        artifact_digest: second(),
        mode: Mode::Shadow,
        share: 1.0,
        limits: Limits {
            max_error_rate: 1.0,
            max_latency_ratio: 1e9,
            min_requests: 1,
        },
        champion_generation: Generation(1),
        champion_version: ModelVersion(1),
        evaluation_digest: None,
    };
    Arc::new(Trial {
        rollout: Arc::new(Rollout {
            revision: 1,
            model: ModelName::parse(MODEL).unwrap(),
            start,
        }),
        challenger: serving(2),
        tally: Arc::<Tally>::default(),
        queue,
        metrics: Metrics::register(&MetricsRegistry::new("inference")).rollout,
        broken: Arc::default(),
    })
}

fn comparison(trial: &Arc<Trial>, champion: &Arc<ServingModel>) -> Comparison {
    Comparison {
        trial: Arc::clone(trial),
        champion: Arc::clone(champion),
        request_id: "one".to_owned(),
        event_time: Timestamp::UNIX_EPOCH,
        rows: vec![Answered {
            customer_key: None,
            features: full_row(1),
            score: 0.5,
            label: true,
        }],
    }
}

#[test]
fn a_full_queue_passes_requests_over_and_counts_them() {
    let (queue, mut waiting) = ShadowQueue::new(2);
    let (trial, champion) = (trial(queue), serving(1));
    for _ in 0..5 {
        trial.compare(comparison(&trial, &champion));
    }
    assert_eq!((trial.tally.skipped(), trial.metrics.skipped.get()), (3, 3));
    assert!(waiting.try_recv().is_ok());
    trial.compare(comparison(&trial, &champion));
    assert_eq!(trial.tally.skipped(), 3, "there is a place again");
}

#[test]
fn a_challenger_is_freed_when_the_last_request_and_the_last_comparison_that_took_it_end() {
    let (queue, mut waiting) = ShadowQueue::new(2);
    let (board, champion) = (Serving::default(), serving(1));
    board.swap(Arc::clone(&champion));
    let begun = trial(queue);
    let challenger = Arc::downgrade(&begun.challenger.model);
    assert!(board.begin_trial(&begun));
    begun.compare(comparison(&begun, &champion));
    drop(begun);
    let request = board.current().unwrap();
    board.end_trial(1);
    assert!(board.current().unwrap().trial.is_none());
    assert!(challenger.upgrade().is_some());
    drop(request);
    assert!(challenger.upgrade().is_some(), "a comparison still has it");
    drop(waiting.try_recv());
    assert!(challenger.upgrade().is_none(), "nobody has it");
    // Beside another champion than its own it does not come in.
    let (queue, _waiting) = ShadowQueue::new(1);
    let other = Target {
        generation: Generation(2),
        ..champion.target.clone()
    };
    board.swap(Arc::new(ServingModel::new(
        Arc::clone(&champion.model),
        other,
        Timestamp::UNIX_EPOCH,
    )));
    assert!(!board.begin_trial(&trial(queue)));
}
