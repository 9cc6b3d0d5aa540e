//! A canary: who meets the challenger, and what happens when it is no good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_api::common::v1::{RolloutMode, RolloutState};
use holdfast_api::inference::v1 as wire;
use holdfast_api::open_inference::v2::ModelInferRequest;
use holdfast_chassis::clock::{Clock, FakeClock};
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_inference::service::rollout::choice::{Known, chosen};
use holdfast_inference::service::serving::{Serving, ServingModel};
use holdfast_inference::service::target::Target;
use holdfast_records::rollout::{Appended, Change, Limits, Mode, NewEntry, Nonce, RolloutLog, Start};
use holdfast_storage::Operation;
use holdfast_storage::testing::{Fault, Trigger};
use holdfast_testkit::eventually;
use jiff::Timestamp;

use crate::open_inference;
use crate::support::model::{heavy_artifact, model};
use crate::support::rollout::{meets, rollout, seen};
use crate::support::{MODEL, SOON, Sandbox, Service, artifact, customer, customers, full_row};

const SHARE: f64 = 0.3;

fn second() -> Digest {
    Digest::of(&artifact(2))
}

fn own_score(flavour: u32, index: u32) -> u64 {
    model(flavour).score(&full_row(index)).to_bits()
}

/// What a customer must get: the version by the hash, and that version's own bits.
fn expected(revision: u64, index: u32) -> (u32, u64) {
    let version = if meets(revision, index, SHARE) { 2 } else { 1 };
    (version, own_score(version, index))
}

#[tokio::test]
async fn a_share_of_the_customers_meets_the_challenger_on_every_replica_alike_and_the_log_says_so() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.trying(rollout(1, RolloutMode::Canary, SHARE, second())).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = sandbox.start_in(elsewhere.path()).await;
    other.serves(1).await;
    other.rollout_is(1, RolloutState::Running).await;
    let mut by_challenger = 0;
    for index in 0..100 {
        let (here, there) = (
            service.scored(customer(index)).await,
            other.scored(customer(index)).await,
        );
        assert_eq!(
            (here, there),
            (expected(1, index), expected(1, index)),
            "customer {index}"
        );
        by_challenger += u64::from(here.0 == 2);
    }
    assert!((10..60).contains(&by_challenger), "{by_challenger}");

    let tally = service.status().await.rollout.unwrap();
    let (challenger, champion) = (tally.challenger.unwrap(), tally.champion.unwrap());
    assert_eq!(
        (challenger.version, challenger.requests, challenger.errors),
        (2, by_challenger, 0)
    );
    assert_eq!((champion.version, champion.requests), (1, 100 - by_challenger));
    assert!(challenger.median_ms > 0.0 && challenger.p99_ms >= challenger.median_ms);

    service.flush().await.unwrap();
    let records = sandbox.records().await;
    assert_eq!(records.len(), 100);
    for record in records {
        let index = u32::try_from(record.customer_key.unwrap().0 - 700_000_000).unwrap();
        assert_eq!((record.version.0, record.score.to_bits()), expected(1, index));
        assert_eq!(
            record.generation,
            Generation(1),
            "the champion's, beside which it was tried"
        );
    }
    other.stop().await;
    service.stop().await;
}

#[tokio::test]
async fn without_a_customers_key_the_request_id_decides_and_a_batch_has_one_version() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.trying(rollout(1, RolloutMode::Canary, SHARE, second())).await;
    let mut met = [0; 2];
    for number in 0..40 {
        let request_id = format!("request-{number}");
        let chosen = chosen(1, Known::Request(&request_id), SHARE);
        let wanted = if chosen { 2 } else { 1 };
        met[usize::from(chosen)] += 1;
        let mut nameless = customer(number);
        nameless.customer_key = None;
        let single = wire::PredictRequest {
            customer: Some(nameless),
            request_id: request_id.clone(),
            explain: true,
        };
        let single = service.client.clone().predict(single).await.unwrap().into_inner();
        assert_eq!(seen(&single), (wanted, own_score(wanted, number)), "{request_id}");
        assert!(!single.prediction.unwrap().reasons.is_empty());

        // Large ones are scored on threads of their own.
        let size = if number % 2 == 0 { 5 } else { 100 };
        let batch = wire::PredictBatchRequest {
            customers: customers(size).into(),
            request_id,
            explain: false,
        };
        let batch = service.client.clone().predict_batch(batch).await.unwrap().into_inner();
        assert_eq!(batch.served_by.unwrap().model.unwrap().version, wanted);
        for (index, prediction) in batch.predictions.iter().enumerate() {
            let index = u32::try_from(index).unwrap();
            assert_eq!(prediction.probability.to_bits(), own_score(wanted, index));
        }
    }
    assert!(met[0] > 10 && met[1] > 3, "{met:?}");
    service.stop().await;
}

#[tokio::test]
async fn who_asks_for_the_champions_version_gets_it() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.trying(rollout(1, RolloutMode::Canary, 0.5, second())).await;
    let mut ids = (0..).map(|number| format!("oip-{number}"));
    let id = ids.find(|id| chosen(1, Known::Request(id), 0.5)).unwrap();
    for (asked, answered) in [("", "2"), ("1", "1")] {
        let request = ModelInferRequest {
            model_version: asked.to_owned(),
            id: id.clone(),
            ..open_inference::typed()
        };
        let answer = open_inference::infer(&service, request).await.unwrap();
        assert_eq!(answer.model_version, answered, "asked for {asked:?}");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_slow_challenger_is_taken_off_with_no_failed_request_and_the_registry_hears_of_it() {
    let sandbox = Sandbox::with_challenger().await;
    let heavy = heavy_artifact(60_000);
    let digest = sandbox.publish(2, &heavy).await;
    let mut slow = rollout(1, RolloutMode::Canary, 0.5, digest);
    slow.limits.as_mut().unwrap().max_latency_ratio = 1.5;
    slow.limits.as_mut().unwrap().min_requests = 5;
    let service = sandbox.trying(slow.clone()).await;
    let mut by_challenger = 0;
    for index in 0..200 {
        by_challenger += u32::from(service.scored(customer(index)).await.0 == 2);
    }
    assert!((5..50).contains(&by_challenger), "{by_challenger}");
    let tally = service.rollout_is(1, RolloutState::LatencyLimit).await;
    assert!(tally.message.contains("allowed is a ratio of 1.5"), "{}", tally.message);
    eventually("the report", SOON, async || {
        sandbox
            .reported()
            .is_some_and(|tally| tally.state() == RolloutState::LatencyLimit)
    })
    .await;
    assert_eq!(
        service
            .metric("holdfast_inference_rollout_returns_total{limit=\"latency\"}")
            .await,
        1.0
    );
    assert_eq!(service.metric("holdfast_inference_rollout_active").await, 0.0);

    // Told of it again, by a registry that does not know yet: it does not come back.
    sandbox.registry.announce_rollout(1, Some(slow));
    assert_eq!(service.scored(customer(0)).await.0, 1);
    // Another rollout is another trial.
    sandbox.publish(2, &artifact(2)).await;
    sandbox
        .registry
        .announce_rollout(3, Some(rollout(3, RolloutMode::Canary, 0.5, second())));
    service.rollout_is(3, RolloutState::Running).await;
    let index = (0..).find(|index| meets(3, *index, 0.5)).unwrap();
    assert_eq!(service.scored(customer(index)).await, (2, own_score(2, index)));
    service.stop().await;
}

/// A clock that panics once when told to: it stands for a challenger that does, because the challenger is what asks first.
#[derive(Debug)]
struct Trap {
    clock: FakeClock,
    armed: AtomicBool,
}

impl Clock for Trap {
    fn now(&self) -> Timestamp {
        assert!(!self.armed.swap(false, Ordering::SeqCst), "the challenger panics");
        self.clock.now()
    }
}

#[tokio::test]
async fn a_challenger_that_fails_is_answered_for_by_the_champion_and_taken_off() {
    let mut sandbox = Sandbox::with_challenger().await;
    let trap = Arc::new(Trap {
        clock: sandbox.clock.clone(),
        armed: AtomicBool::new(false),
    });
    sandbox.own_clock = Some(trap.clone());
    let mut strict = rollout(1, RolloutMode::Canary, 0.5, second());
    strict.limits.as_mut().unwrap().max_error_rate = 0.01;
    strict.limits.as_mut().unwrap().min_requests = 200;
    let service = sandbox.trying(strict).await;
    let mut chosen = (0..).filter(|index| meets(1, *index, 0.5));
    let well = chosen.next().unwrap();
    assert_eq!(service.scored(customer(well)).await.0, 2);
    // Of 200 requests 2 may fail; the third is one too many, long before there are 200.
    for failures in 1..=3 {
        let index = chosen.next().unwrap();
        trap.armed.store(true, Ordering::SeqCst);
        assert_eq!(
            service.scored(customer(index)).await,
            (1, own_score(1, index)),
            "the champion answers what the challenger could not, failure {failures}"
        );
        assert!(!trap.armed.load(Ordering::SeqCst), "the challenger was asked");
    }
    let tally = service.rollout_is(1, RolloutState::ErrorLimit).await;
    assert_eq!(tally.challenger.unwrap().errors, 3);
    assert_eq!(service.scored(customer(well)).await, (1, own_score(1, well)));
    assert_eq!(service.metric("holdfast_inference_rollout_errors_total").await, 3.0);
    assert_eq!(
        service
            .metric("holdfast_inference_predictions_total{outcome=\"ok\"}")
            .await,
        5.0
    );
    service.flush().await.unwrap();
    let by_challenger = sandbox
        .records()
        .await
        .iter()
        .filter(|record| record.version.0 == 2)
        .count();
    assert_eq!(by_challenger, 1, "what failed is logged once, as the champion's");
    service.stop().await;
}

#[tokio::test]
async fn a_challenger_that_cannot_be_prepared_leaves_the_champion_untouched() {
    let sandbox = Sandbox::with_challenger().await;
    let mut corrupt = artifact(2);
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 1;
    sandbox.publish(2, &corrupt).await;
    sandbox
        .registry
        .announce_rollout(1, Some(rollout(1, RolloutMode::Canary, 0.5, second())));
    let service = sandbox.serving(1).await;
    let tally = service.rollout_is(1, RolloutState::LoadFailed).await;
    assert!(tally.message.contains("digest does not match"), "{}", tally.message);
    for index in 0..20 {
        assert_eq!(service.scored(customer(index)).await, (1, own_score(1, index)));
    }
    assert_eq!(service.status().await.last_failure, None, "no champion failed to load");
    assert_eq!(
        service.metric("holdfast_inference_rollout_load_failures_total").await,
        1.0
    );
    eventually("the report", SOON, async || {
        sandbox
            .reported()
            .is_some_and(|tally| tally.state() == RolloutState::LoadFailed)
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn a_challenger_that_cannot_be_read_is_tried_again() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.serving(1).await;
    sandbox
        .store
        .inject(Trigger::on(Operation::Get).below("models"), Fault::Refuse);
    sandbox
        .registry
        .announce_rollout(1, Some(rollout(1, RolloutMode::Canary, 0.5, second())));
    eventually("three attempts", SOON, async || {
        service.metric("holdfast_inference_rollout_load_failures_total").await >= 3.0
    })
    .await;
    let tally = service.rollout_is(1, RolloutState::Preparing).await;
    assert!(!tally.message.is_empty(), "why is said");
    sandbox.store.heal();
    service.rollout_is(1, RolloutState::Running).await;
    service.stop().await;
}

#[tokio::test]
async fn a_rollout_ends_with_the_registrys_word_and_with_another_champion() {
    let sandbox = Sandbox::with_challenger().await;
    let service = sandbox.trying(rollout(1, RolloutMode::Canary, 0.5, second())).await;
    let index = (0..)
        .find(|index| meets(1, *index, 0.5) && meets(3, *index, 0.5))
        .unwrap();
    assert_eq!(service.scored(customer(index)).await.0, 2);
    sandbox.registry.announce_rollout(2, None);
    gone(&service).await;
    service.rollout_is(1, RolloutState::Ended).await;
    assert_eq!(service.scored(customer(index)).await, (1, own_score(1, index)));

    sandbox
        .registry
        .announce_rollout(3, Some(rollout(3, RolloutMode::Canary, 0.5, second())));
    service.rollout_is(3, RolloutState::Running).await;
    assert_eq!(service.scored(customer(index)).await.0, 2);
    // The champion moves before anybody ended the rollout: it is not tried beside another champion.
    let third = sandbox.publish(3, &artifact(3)).await;
    sandbox.registry.announce(2, 3, third);
    service.serves(3).await;
    gone(&service).await;
    assert_eq!(service.scored(customer(index)).await, (3, own_score(3, index)));
    service.stop().await;
}

async fn gone(service: &Service) {
    eventually("the trial to end", SOON, async || {
        service.metric("holdfast_inference_rollout_active").await == 0.0
    })
    .await;
}

#[tokio::test]
async fn with_the_registry_away_the_record_in_the_blob_store_is_followed() {
    let sandbox = Sandbox::with_champion().await;
    sandbox.publish(2, &artifact(2)).await;
    let log = RolloutLog::new(Arc::new(sandbox.store.clone()), ModelName::parse(MODEL).unwrap());
    let entry = |change| NewEntry {
        change,
        actor: "ada".to_owned(),
        note: String::new(),
        at: Timestamp::UNIX_EPOCH,
        nonce: Nonce::generate(),
    };
    let start = Start {
        version: ModelVersion(2),
        artifact_digest: second(),
        mode: Mode::Canary,
        share: 0.5,
        limits: Limits {
            max_error_rate: 1.0,
            max_latency_ratio: 1e9,
            min_requests: 1,
        },
        champion_generation: Generation(1),
        champion_version: ModelVersion(1),
        evaluation_digest: None,
    };
    let begun = log.append(0, entry(Change::Start(start))).await.unwrap();
    assert!(matches!(begun, Appended::Won(_)));
    let service = sandbox.serving(1).await;
    service.rollout_is(1, RolloutState::Running).await;
    let index = (0..).find(|index| meets(1, *index, 0.5)).unwrap();
    assert_eq!(service.scored(customer(index)).await.0, 2);
    let reason = holdfast_records::rollout::EndReason::Stopped;
    let ended = log.append(1, entry(Change::End { reason })).await.unwrap();
    assert!(matches!(ended, Appended::Won(_)));
    gone(&service).await;
    service.stop().await;
}

#[test]
fn a_model_is_freed_when_the_last_request_that_took_it_ends() {
    let serving = Serving::default();
    let put = |flavour: u32| {
        let target = Target {
            model: ModelName::parse(MODEL).unwrap(),
            version: ModelVersion(flavour),
            artifact_digest: Digest::of(&artifact(flavour)),
            generation: Generation(u64::from(flavour)),
        };
        let model = Arc::new(model(flavour));
        let weak = Arc::downgrade(&model);
        serving.swap(Arc::new(ServingModel::new(model, target, Timestamp::UNIX_EPOCH)));
        weak
    };
    let first = put(1);
    let (one, another) = (serving.current(), serving.current());
    let second = put(2);
    drop(one);
    assert!(first.upgrade().is_some(), "a request still has it");
    drop(another);
    assert!(first.upgrade().is_none(), "nobody has it");
    assert!(second.upgrade().is_some());
    let third = put(3);
    assert!(second.upgrade().is_none(), "nobody took it");
    drop(serving);
    assert!(third.upgrade().is_none());
}
