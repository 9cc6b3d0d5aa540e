//! Versions on trial: at most one, beside one champion, with a record of why it ended.

use futures::future::join_all;
use holdfast_api::common::v1 as common;
use holdfast_api::common::v1::{RolloutMode, RolloutState};
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::RolloutEndReason;
use holdfast_records::layout;
use tonic::{Code, Status};

use crate::support::{MODEL, Registry, evaluation, reason, violated};

fn start(version: u32, mode: RolloutMode) -> wire::StartRolloutRequest {
    wire::StartRolloutRequest {
        model: MODEL.to_owned(),
        version,
        mode: mode.into(),
        actor: "ada".to_owned(),
        ..Default::default()
    }
}

fn canary(version: u32) -> wire::StartRolloutRequest {
    wire::StartRolloutRequest {
        override_gate: true,
        note: "a test".to_owned(),
        ..start(version, RolloutMode::Canary)
    }
}

fn end(revision: Option<u64>) -> wire::EndRolloutRequest {
    wire::EndRolloutRequest {
        model: MODEL.to_owned(),
        revision,
        actor: "bob".to_owned(),
        note: "seen enough".to_owned(),
    }
}

/// A report of a replica that serves version 1 and sees this of a rollout.
fn report(replica: &str, revision: u64, state: RolloutState) -> wire::ReportReplicaRequest {
    let tally = common::RolloutTally {
        revision,
        mode: RolloutMode::Canary.into(),
        state: state.into(),
        message: "the challenger takes 9 times as long".to_owned(),
        challenger: Some(common::VersionTally {
            version: 2,
            requests: 40,
            errors: 3,
            ..Default::default()
        }),
        champion: Some(common::VersionTally {
            version: 1,
            requests: 700,
            ..Default::default()
        }),
        label_flips: 5,
        deltas: vec![common::DeltaBucket { up_to: 1.0, rows: 9 }],
        ..Default::default()
    };
    let replica = wire::Replica {
        replica: replica.to_owned(),
        model: MODEL.to_owned(),
        serving_generation: 1,
        serving_version: 1,
        target_generation: 1,
        state: wire::ReplicaState::Serving.into(),
        rollout: Some(tally),
        ..Default::default()
    };
    wire::ReportReplicaRequest { replica: Some(replica) }
}

impl Registry {
    /// Three READY versions, the first of them champion.
    async fn with_challengers(dir: &std::path::Path) -> Self {
        let mut registry = Self::start(dir).await;
        for bytes in [b"one".as_slice(), b"two", b"three"] {
            registry.ready_version(bytes).await;
        }
        registry.crown(1).await;
        registry
    }

    async fn begin(&mut self, request: wire::StartRolloutRequest) -> Result<wire::Rollout, Status> {
        let answer = self.rollouts.start_rollout(request).await?;
        Ok(answer.into_inner().rollout.unwrap())
    }

    async fn newest(&mut self) -> wire::GetRolloutResponse {
        let model = MODEL.to_owned();
        let answer = self.rollouts.get_rollout(wire::GetRolloutRequest { model }).await;
        answer.unwrap().into_inner()
    }

    /// Why the newest rollout ended, and by whom.
    async fn ended(&mut self) -> (RolloutEndReason, String) {
        let ending = self.newest().await.rollout.unwrap().ending.unwrap();
        (ending.reason(), ending.actor)
    }

    async fn refusal(&mut self, request: wire::StartRolloutRequest) -> (Code, String) {
        let refused = self.begin(request).await.unwrap_err();
        (refused.code(), reason(&refused))
    }
}

#[tokio::test]
async fn a_shadow_starts_with_the_defaults_and_ends_by_a_persons_word() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    let shadow = registry.begin(start(2, RolloutMode::Shadow)).await.unwrap();
    assert_eq!(
        (shadow.revision, shadow.mode(), shadow.share),
        (1, RolloutMode::Shadow, 1.0)
    );
    assert_eq!((shadow.champion_generation, shadow.champion_version), (1, 1));
    assert_eq!(shadow.challenger.as_ref().unwrap().version, 2);
    let limits = shadow.limits.unwrap();
    assert_eq!(
        (limits.max_error_rate, limits.max_latency_ratio, limits.min_requests),
        (0.01, 3.0, 200)
    );
    assert_eq!(registry.newest().await.rollout.as_ref(), Some(&shadow));

    let wrong = registry.rollouts.end_rollout(end(Some(7))).await.unwrap_err();
    assert_eq!((wrong.code(), reason(&wrong).as_str()), (Code::Aborted, "LOST_RACE"));
    let ended = registry.rollouts.end_rollout(end(Some(1))).await.unwrap().into_inner();
    let ending = ended.rollout.unwrap().ending.unwrap();
    assert_eq!(
        (
            ending.revision,
            ending.reason(),
            ending.actor.as_str(),
            ending.note.as_str()
        ),
        (2, RolloutEndReason::Stopped, "bob", "seen enough")
    );
    let twice = registry.rollouts.end_rollout(end(None)).await.unwrap_err();
    assert_eq!(reason(&twice), "NO_ROLLOUT_RUNS");
    registry.stop().await;
}

#[tokio::test]
async fn what_cannot_be_tried_is_refused_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    for bytes in [b"one".as_slice(), b"two"] {
        registry.ready_version(bytes).await;
    }
    let precondition = |reason: &str| (Code::FailedPrecondition, reason.to_owned());
    let shadow = |version| start(version, RolloutMode::Shadow);
    assert_eq!(
        registry.refusal(shadow(2)).await,
        precondition("ROLLOUT_NEEDS_CHAMPION")
    );
    registry.crown(1).await;
    assert_eq!(registry.refusal(shadow(1)).await, precondition("IS_CHAMPION"));
    assert_eq!(
        registry.refusal(shadow(9)).await,
        (Code::NotFound, "NO_SUCH_VERSION".to_owned())
    );
    let pending = wire::CreateModelVersionRequest {
        model: MODEL.to_owned(),
        run_id: holdfast_domain::RunId::generate().to_string(),
        created_by: "test".to_owned(),
    };
    registry.models.create_model_version(pending).await.unwrap();
    assert_eq!(registry.refusal(shadow(3)).await, precondition("VERSION_NOT_READY"));
    let ungated = start(2, RolloutMode::Canary);
    assert_eq!(registry.refusal(ungated).await, precondition("GATE_REFUSES"));

    let key = layout::model_key(&MODEL.parse().unwrap(), holdfast_domain::ModelVersion(2));
    registry.blobs.put(&key, "altered".into()).await.unwrap();
    assert_eq!(registry.refusal(shadow(2)).await, precondition("ARTIFACT_DIGEST"));

    let model = MODEL.to_owned();
    let none = registry.rollouts.get_rollout(wire::GetRolloutRequest { model }).await;
    assert_eq!(reason(&none.unwrap_err()), "NO_ROLLOUT");
    registry.stop().await;
}

#[tokio::test]
async fn every_broken_rule_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    let request = wire::StartRolloutRequest {
        share: Some(0.6),
        max_error_rate: Some(1.5),
        max_latency_ratio: Some(1.0),
        min_requests: Some(0),
        actor: " ".to_owned(),
        note: String::new(),
        ..canary(2)
    };
    let refused = registry.begin(request).await.unwrap_err();
    let fields: Vec<String> = violated(&refused).into_iter().map(|(field, _)| field).collect();
    assert_eq!(
        fields,
        [
            "share",
            "max_error_rate",
            "max_latency_ratio",
            "min_requests",
            "actor",
            "note"
        ]
    );
    let unset = registry.begin(start(2, RolloutMode::Unspecified)).await.unwrap_err();
    assert_eq!(violated(&unset), [("mode".to_owned(), "required".to_owned())]);
    for (mode, share, allowed) in [
        (RolloutMode::Canary, 0.5, true),
        (RolloutMode::Shadow, 0.6, true),
        (RolloutMode::Shadow, 1.1, false),
        (RolloutMode::Shadow, f64::NAN, false),
        (RolloutMode::Canary, 0.0, false),
    ] {
        let request = wire::StartRolloutRequest {
            mode: mode.into(),
            share: Some(share),
            ..canary(2)
        };
        let begun = registry.begin(request).await;
        assert_eq!(begun.is_ok(), allowed, "{mode:?} {share}");
        if allowed {
            registry.rollouts.end_rollout(end(None)).await.unwrap();
        }
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_canary_that_the_gate_accepted_needs_no_override() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let first = registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    registry.crown(1).await;
    let evaluation = wire::Evaluation {
        champion: Some(crate::support::against(first.r#ref.unwrap(), 0.99, 0.97, 1e-9)),
        ..evaluation(0.99)
    };
    let decision = registry.decide(2, evaluation).await;
    assert!(decision.accepted, "{decision:?}");
    let begun = registry.begin(start(2, RolloutMode::Canary)).await.unwrap();
    assert_eq!(begun.evaluation_digest, decision.evaluation_digest);
    assert_eq!(begun.share, 0.05);
    registry.stop().await;
}

#[tokio::test]
async fn of_many_racing_starts_exactly_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    let attempts = (0..12).map(|attempt| {
        let mut rollouts = registry.rollouts.clone();
        let request = start(2 + attempt % 2, RolloutMode::Shadow);
        async move { rollouts.start_rollout(request).await }
    });
    let outcomes = join_all(attempts).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for lost in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(reason(&lost), "ROLLOUT_RUNS");
    }
    let request = wire::ListRolloutsRequest {
        model: MODEL.to_owned(),
    };
    let list = registry.rollouts.list_rollouts(request).await.unwrap().into_inner();
    assert!(list.chain_intact, "{}", list.chain_break);
    assert_eq!(list.rollouts.len(), 1);
    registry.stop().await;
}

#[tokio::test]
async fn a_damaged_record_of_rollouts_does_not_keep_anybody_from_the_champion() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    registry.begin(canary(2)).await.unwrap();
    let key = layout::rollout_key(&MODEL.parse().unwrap(), 1);
    registry.blobs.put(&key, "{}".into()).await.unwrap();
    registry.stop().await;
    let mut registry = Registry::start(dir.path()).await;
    let watch = wire::WatchChampionRequest {
        model: MODEL.to_owned(),
        replica: "inference-0".to_owned(),
    };
    let mut watcher = registry.champions.watch_champion(watch).await.unwrap().into_inner();
    let told = watcher.message().await.unwrap().unwrap();
    assert_eq!((told.entry.unwrap().generation, told.rollout), (1, None));
    assert_eq!(registry.crown(3).await.generation, 2, "and promotion works");
    assert_eq!(watcher.message().await.unwrap().unwrap().entry.unwrap().generation, 2);
    registry.stop().await;
}

#[tokio::test]
async fn a_change_of_champion_ends_the_rollout_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    registry.begin(canary(2)).await.unwrap();
    registry.crown(2).await;
    assert_eq!(
        registry.ended().await,
        (RolloutEndReason::Promoted, "registry".to_owned())
    );

    registry.begin(canary(3)).await.unwrap();
    registry.crown(1).await;
    assert_eq!(registry.ended().await.0, RolloutEndReason::ChampionReplaced);

    registry.begin(canary(3)).await.unwrap();
    let rollback = wire::RollbackRequest {
        model: MODEL.to_owned(),
        to_version: 2,
        expected_generation: None,
        actor: "ada".to_owned(),
        note: "its bytes are no model".to_owned(),
        override_load: true,
    };
    registry.champions.rollback(rollback).await.unwrap();
    assert_eq!(registry.ended().await.0, RolloutEndReason::ChampionReplaced);
    registry.stop().await;
}

#[tokio::test]
async fn a_rollout_that_a_dead_registry_left_beside_an_old_champion_is_ended_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    registry.begin(canary(2)).await.unwrap();
    // The champion moves, and the registry dies before it can end the rollout: the log alone says so.
    let log = holdfast_records::champion::ChampionLog::new(registry.blobs.clone(), MODEL.parse().unwrap());
    let head = log.head().await.unwrap().unwrap().entry;
    let new = holdfast_records::champion::NewEntry {
        version: holdfast_domain::ModelVersion(3),
        artifact_digest: head.artifact_digest,
        actor: "ada".to_owned(),
        reason: head.reason,
        approval: None,
        at: head.at,
        nonce: holdfast_records::champion::Nonce::generate(),
    };
    let _ = log.append(head.generation, new).await.unwrap();
    registry.stop().await;

    let mut registry = Registry::start(dir.path()).await;
    let watch = wire::WatchChampionRequest {
        model: MODEL.to_owned(),
        replica: "inference-0".to_owned(),
    };
    let mut watcher = registry.champions.watch_champion(watch).await.unwrap().into_inner();
    let told = watcher.message().await.unwrap().unwrap();
    assert_eq!((told.rollout, told.rollout_revision), (None, 2));
    assert_eq!(registry.ended().await.0, RolloutEndReason::ChampionReplaced);
    registry.stop().await;
}

#[tokio::test]
async fn watchers_are_told_of_rollouts_with_the_champion() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    let mut other = Registry::start(dir.path()).await;
    let watch = || wire::WatchChampionRequest {
        model: MODEL.to_owned(),
        replica: "inference-0".to_owned(),
    };
    let mut here = registry.champions.watch_champion(watch()).await.unwrap().into_inner();
    let mut there = other.champions.watch_champion(watch()).await.unwrap().into_inner();
    for watcher in [&mut here, &mut there] {
        let first = watcher.message().await.unwrap().unwrap();
        assert_eq!((first.rollout, first.rollout_revision), (None, 0));
        assert_eq!(first.entry.unwrap().generation, 1);
    }
    let begun = registry.begin(canary(2)).await.unwrap();
    // Another registry replica finds it in the blob store.
    for watcher in [&mut here, &mut there] {
        let told = watcher.message().await.unwrap().unwrap();
        assert_eq!((told.rollout.as_ref(), told.rollout_revision), (Some(&begun), 1));
        assert_eq!(told.entry.unwrap().generation, 1);
    }
    registry.rollouts.end_rollout(end(None)).await.unwrap();
    let told = here.message().await.unwrap().unwrap();
    assert_eq!((told.rollout, told.rollout_revision), (None, 2));
    drop((here, there));
    registry.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn a_replica_that_breaks_a_limit_ends_the_rollout_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    for (state, expected) in [
        (RolloutState::ErrorLimit, RolloutEndReason::ErrorLimit),
        (RolloutState::LatencyLimit, RolloutEndReason::LatencyLimit),
        (RolloutState::LoadFailed, RolloutEndReason::LoadFailed),
    ] {
        let revision = registry.begin(canary(2)).await.unwrap().revision;
        let running = report("blue-1", revision, RolloutState::Running);
        registry.champions.report_replica(running).await.unwrap();
        let stale = report("green-1", revision.saturating_sub(2), state);
        registry.champions.report_replica(stale).await.unwrap();
        let seen = registry.newest().await;
        assert_eq!(
            seen.rollout.unwrap().ending,
            None,
            "what is not about this rollout does not end it"
        );
        assert_eq!(seen.replicas.len(), 1);
        let tally = seen.replicas[0].tally.clone().unwrap();
        assert_eq!((tally.label_flips, tally.challenger.unwrap().requests), (5, 40));

        let broken = report("blue-1", revision, state);
        for _ in 0..2 {
            registry.champions.report_replica(broken.clone()).await.unwrap();
        }
        assert_eq!(registry.ended().await, (expected, "blue-1".to_owned()));
        let ending = registry.newest().await.rollout.unwrap().ending.unwrap();
        assert_eq!(ending.note, "the challenger takes 9 times as long");
    }
    let mut newer = report("blue-1", 1, RolloutState::Running);
    newer.replica.as_mut().unwrap().rollout.as_mut().unwrap().state = 99;
    registry.champions.report_replica(newer).await.unwrap();
    let unset = report("blue-1", 1, RolloutState::Unspecified);
    let refused = registry.champions.report_replica(unset).await.unwrap_err();
    assert_eq!(
        violated(&refused),
        [("replica.rollout.state".to_owned(), "required".to_owned())]
    );
    registry.stop().await;
}

#[tokio::test]
async fn the_record_survives_a_restart_and_a_break_in_its_chain_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::with_challengers(dir.path()).await;
    for version in [2, 3] {
        registry.begin(canary(version)).await.unwrap();
        registry.rollouts.end_rollout(end(None)).await.unwrap();
    }
    registry.stop().await;
    let mut registry = Registry::start(dir.path()).await;
    let request = || wire::ListRolloutsRequest {
        model: MODEL.to_owned(),
    };
    let list = registry.rollouts.list_rollouts(request()).await.unwrap().into_inner();
    let tried: Vec<(u32, bool)> = list
        .rollouts
        .iter()
        .map(|rollout| (rollout.challenger.as_ref().unwrap().version, rollout.ending.is_some()))
        .collect();
    assert_eq!(tried, [(2, true), (3, true)]);

    let key = layout::rollout_key(&MODEL.parse().unwrap(), 3);
    registry.blobs.put(&key, "{}".into()).await.unwrap();
    let list = registry.rollouts.list_rollouts(request()).await.unwrap().into_inner();
    assert!(!list.chain_intact);
    assert!(list.chain_break.contains("revision 3"), "{}", list.chain_break);
    assert_eq!(list.rollouts.len(), 1);
    registry.stop().await;
}
