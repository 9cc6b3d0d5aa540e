//! Rollouts as the registry tells them, and who meets the challenger.

use holdfast_api::common::v1 as common;
use holdfast_api::common::v1::{ModelRef, RolloutMode};
use holdfast_api::inference::v1 as inference;
use holdfast_api::registry::v1 as wire;
use holdfast_domain::{CustomerKey, Digest};
use holdfast_inference::service::rollout::choice::{Known, chosen};
use holdfast_testkit::eventually_some;

use super::{MODEL, SOON, Sandbox, Service, artifact};

/// A rollout of version 2 beside generation 1, which nothing breaks.
pub(crate) fn rollout(revision: u64, mode: RolloutMode, share: f64, digest: Digest) -> wire::Rollout {
    wire::Rollout {
        revision,
        challenger: Some(ModelRef {
            model: MODEL.to_owned(),
            version: 2,
            artifact_digest: digest.to_string(),
        }),
        mode: mode.into(),
        share,
        limits: Some(wire::RolloutLimits {
            max_error_rate: 1.0,
            max_latency_ratio: 1e9,
            min_requests: 1,
        }),
        champion_generation: 1,
        champion_version: 1,
        actor: "ada".to_owned(),
        ..Default::default()
    }
}

/// Whether the customer of this index meets the challenger.
pub(crate) fn meets(revision: u64, index: u32, share: f64) -> bool {
    let key = CustomerKey(700_000_000 + i64::from(index));
    chosen(revision, Known::Customer(key), share)
}

impl Sandbox {
    /// Version 1 champion, version 2 there too, the registry up and silent about rollouts.
    pub(crate) async fn with_challenger() -> Self {
        let mut sandbox = Self::with_champion().await;
        sandbox.publish(2, &artifact(2)).await;
        sandbox.registry.start();
        sandbox.registry.announce(1, 1, Digest::of(&artifact(1)));
        sandbox
    }

    /// The service with this rollout running.
    pub(crate) async fn trying(&self, rollout: wire::Rollout) -> Service {
        let revision = rollout.revision;
        self.registry.announce_rollout(revision, Some(rollout));
        let service = self.serving(1).await;
        service.rollout_is(revision, common::RolloutState::Running).await;
        service
    }

    /// The tally that the registry was told last.
    pub(crate) fn reported(&self) -> Option<common::RolloutTally> {
        self.registry
            .reports()
            .into_iter()
            .rev()
            .find_map(|report| report.rollout)
    }
}

impl Service {
    /// Waits until the replica says this of this rollout.
    pub(crate) async fn rollout_is(&self, revision: u64, state: common::RolloutState) -> common::RolloutTally {
        let waited = format!("rollout {revision} {state:?}");
        let found = async || {
            let tally = self.status().await.rollout?;
            (tally.revision == revision && tally.state() == state).then_some(tally)
        };
        eventually_some(&waited, SOON, found).await
    }

    /// Version and bits of one prediction.
    pub(crate) async fn scored(&self, customer: common::Customer) -> (u32, u64) {
        seen(&self.predict(customer).await.unwrap())
    }
}

/// Version and bits of an answer.
pub(crate) fn seen(answer: &inference::PredictResponse) -> (u32, u64) {
    let version = answer.served_by.as_ref().unwrap().model.as_ref().unwrap().version;
    (version, answer.prediction.as_ref().unwrap().probability.to_bits())
}
