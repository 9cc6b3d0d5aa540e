//! Versions on trial.

use holdfast_api::common::v1 as common;
use holdfast_api::registry::v1 as registry;

use super::{AT, model};

fn rollout(revision: u64) -> registry::Rollout {
    registry::Rollout {
        revision,
        challenger: Some(model(4)),
        mode: common::RolloutMode::Canary.into(),
        share: 0.05,
        limits: Some(registry::RolloutLimits {
            max_error_rate: 0.01,
            max_latency_ratio: 3.0,
            min_requests: 200,
        }),
        champion_generation: 5,
        champion_version: 3,
        actor: "ada".to_owned(),
        started_at: Some(AT),
        ..Default::default()
    }
}

fn ended(revision: u64, reason: registry::RolloutEndReason) -> registry::Rollout {
    registry::Rollout {
        ending: Some(registry::RolloutEnding {
            revision: revision + 1,
            reason: reason.into(),
            actor: "blue-1".to_owned(),
            note: "takes 40 us where the champion takes 10".to_owned(),
            at: Some(AT),
        }),
        ..rollout(revision)
    }
}

pub(crate) fn start_rollout(_: registry::StartRolloutRequest) -> registry::StartRolloutResponse {
    registry::StartRolloutResponse {
        rollout: Some(rollout(3)),
    }
}

pub(crate) fn end_rollout(_: registry::EndRolloutRequest) -> registry::EndRolloutResponse {
    registry::EndRolloutResponse {
        rollout: Some(ended(3, registry::RolloutEndReason::Stopped)),
    }
}

pub(crate) fn get_rollout(_: registry::GetRolloutRequest) -> registry::GetRolloutResponse {
    let tally = common::RolloutTally {
        revision: 3,
        mode: common::RolloutMode::Canary.into(),
        state: common::RolloutState::Running.into(),
        challenger: Some(common::VersionTally {
            version: 4,
            requests: 10,
            errors: 1,
            mean_ms: 0.02,
            median_ms: 0.01,
            p99_ms: 0.05,
        }),
        champion: Some(common::VersionTally {
            version: 3,
            ..Default::default()
        }),
        deltas: vec![common::DeltaBucket { up_to: 1.0, rows: 0 }],
        ..Default::default()
    };
    registry::GetRolloutResponse {
        rollout: Some(rollout(3)),
        replicas: vec![registry::ReplicaTally {
            replica: "blue-1".to_owned(),
            tally: Some(tally),
            reported_at: Some(AT),
        }],
    }
}

pub(crate) fn list_rollouts(_: registry::ListRolloutsRequest) -> registry::ListRolloutsResponse {
    registry::ListRolloutsResponse {
        rollouts: vec![ended(1, registry::RolloutEndReason::LatencyLimit), rollout(3)],
        chain_intact: true,
        chain_break: String::new(),
    }
}
