//! Answers about who is champion, and about the replicas that serve it.

use holdfast_api::registry::v1 as registry;

use super::promotions::waiting;
use super::{AT, DIGEST, model};

fn entry(generation: u64, version: u32) -> registry::ChampionEntry {
    registry::ChampionEntry {
        generation,
        model: Some(model(version)),
        previous_digest: if generation == 1 {
            String::new()
        } else {
            DIGEST.to_owned()
        },
        entry_digest: DIGEST.to_owned(),
        actor: "rest".to_owned(),
        reason: registry::ChampionReason::Promotion.into(),
        at: Some(AT),
        ..Default::default()
    }
}

pub(crate) fn promote(message: registry::PromoteRequest) -> registry::PromoteResponse {
    // Version 9 is one that needs approvers.
    if message.version == 9 {
        return registry::PromoteResponse {
            entry: None,
            waiting: Some(waiting()),
        };
    }
    registry::PromoteResponse {
        entry: Some(entry(6, message.version)),
        waiting: None,
    }
}

pub(crate) fn rollback(_: registry::RollbackRequest) -> registry::RollbackResponse {
    let reason = registry::ChampionReason::Rollback.into();
    registry::RollbackResponse {
        entry: Some(registry::ChampionEntry { reason, ..entry(6, 2) }),
    }
}

pub(crate) fn get_champion(_: registry::GetChampionRequest) -> registry::GetChampionResponse {
    registry::GetChampionResponse {
        entry: Some(entry(5, 3)),
        artifact_key: "models/churn/3/model.hfm".to_owned(),
    }
}

pub(crate) fn list_champions(_: registry::ListChampionsRequest) -> registry::ListChampionsResponse {
    let entries = vec![entry(1, 1), entry(5, 3)];
    registry::ListChampionsResponse {
        entries,
        chain_intact: true,
        ..Default::default()
    }
}

pub(crate) fn list_replicas(_: registry::ListReplicasRequest) -> registry::ListReplicasResponse {
    let failed = registry::Replica {
        replica: "replica-a".to_owned(),
        model: "churn".to_owned(),
        serving_generation: 5,
        serving_version: 3,
        target_generation: 6,
        state: registry::ReplicaState::LoadFailed.into(),
        message: "artefact digest does not match".to_owned(),
        reported_at: Some(AT),
        ..Default::default()
    };
    registry::ListReplicasResponse { replicas: vec![failed] }
}
