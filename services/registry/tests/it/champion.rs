//! The champion: one at a time, with a record of why.

use bytes::Bytes;
use futures::future::join_all;
use holdfast_api::registry::v1 as wire;
use holdfast_chassis::Fault;
use holdfast_domain::Generation;
use holdfast_records::layout;
use tonic::Code;

use crate::support::{MODEL, Registry, promotion, reason, violated};

fn rollback(to_version: u32) -> wire::RollbackRequest {
    wire::RollbackRequest {
        model: MODEL.to_owned(),
        to_version,
        expected_generation: None,
        actor: "ada".to_owned(),
        note: "back".to_owned(),
        override_load: false,
    }
}

fn watch() -> wire::WatchChampionRequest {
    wire::WatchChampionRequest {
        model: MODEL.to_owned(),
        replica: "inference-0".to_owned(),
    }
}

/// A replica says what it serves, as generation and version, and what it was told of.
async fn report(registry: &mut Registry, state: wire::ReplicaState, (generation, version): (u64, u32), target: u64) {
    let replica = wire::Replica {
        replica: "inference-0".to_owned(),
        model: MODEL.to_owned(),
        serving_generation: generation,
        serving_version: version,
        target_generation: target,
        state: state.into(),
        message: "out of memory".to_owned(),
        ..Default::default()
    };
    let report = wire::ReportReplicaRequest { replica: Some(replica) };
    registry.champions.report_replica(report).await.unwrap();
}

#[tokio::test]
async fn a_version_that_a_replica_could_not_load_is_no_way_back_unless_somebody_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    registry.crown(1).await;
    report(&mut registry, wire::ReplicaState::LoadFailed, (0, 0), 1).await;
    registry.crown(2).await;
    let refused = registry.champions.rollback(rollback(1)).await.unwrap_err();
    assert_eq!(reason(&refused), "NOT_PROVEN_TO_LOAD");
    assert!(refused.message().contains("inference-0") && refused.message().contains("out of memory"));
    let mute = wire::RollbackRequest {
        override_load: true,
        note: String::new(),
        ..rollback(1)
    };
    let refused = registry.champions.rollback(mute).await.unwrap_err();
    assert_eq!(violated(&refused), [("note".to_owned(), "required".to_owned())]);
    let meant = wire::RollbackRequest {
        override_load: true,
        ..rollback(1)
    };
    assert_eq!(
        registry
            .champions
            .rollback(meant)
            .await
            .unwrap()
            .into_inner()
            .entry
            .unwrap()
            .generation,
        3
    );
    registry.stop().await;
}

async fn history(registry: &mut Registry) -> wire::ListChampionsResponse {
    let request = wire::ListChampionsRequest {
        model: MODEL.to_owned(),
    };
    registry.champions.list_champions(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn of_many_racing_writers_exactly_one_wins_each_generation() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    for generation in 0..5_u64 {
        let attempts = (0..16).map(|_| {
            let mut champions = registry.champions.clone();
            let request = wire::PromoteRequest {
                expected_generation: Some(generation),
                ..promotion(1, true)
            };
            async move { champions.promote(request).await }
        });
        let outcomes = join_all(attempts).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1);
        for lost in outcomes.into_iter().filter_map(Result::err) {
            assert_eq!(lost.code(), Code::Aborted);
            let winner = &Fault::from_status(&lost).metadata["champion_generation"];
            assert_eq!(*winner, (generation + 1).to_string());
        }
    }
    let log = history(&mut registry).await;
    assert!(log.chain_intact, "{}", log.chain_break);
    assert_eq!(
        log.entries.iter().map(|entry| entry.generation).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    for pair in log.entries.windows(2) {
        assert_eq!(pair[1].previous_digest, pair[0].entry_digest);
    }
    registry.stop().await;
}

#[tokio::test]
async fn rollback_moves_the_log_forward_to_a_version_that_was_champion() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let nobody = registry.champions.rollback(rollback(0)).await.unwrap_err();
    assert_eq!(reason(&nobody), "NO_CHAMPION");
    for bytes in [b"one".as_slice(), b"two", b"three"] {
        registry.ready_version(bytes).await;
    }
    registry.crown(1).await;
    assert_eq!(
        reason(&registry.champions.rollback(rollback(0)).await.unwrap_err()),
        "NO_EARLIER_CHAMPION"
    );
    registry.crown(2).await;
    let unproven = registry.champions.rollback(rollback(1)).await.unwrap_err();
    assert_eq!(
        reason(&unproven),
        "NOT_PROVEN_TO_LOAD",
        "nobody has served it, and its bytes are no model"
    );
    report(&mut registry, wire::ReplicaState::Serving, (1, 1), 1).await;
    let never = registry.champions.rollback(rollback(3)).await.unwrap_err();
    assert_eq!(reason(&never), "NEVER_CHAMPION");
    let entry = registry
        .champions
        .rollback(rollback(0))
        .await
        .unwrap()
        .into_inner()
        .entry
        .unwrap();
    assert_eq!((entry.generation, entry.model.as_ref().unwrap().version), (3, 1));
    assert_eq!(entry.reason(), wire::ChampionReason::Rollback);
    registry.stop().await;
}

#[tokio::test]
async fn rollback_needs_the_artefact_of_then() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let first = registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    registry.crown(1).await;
    registry.crown(2).await;
    let key = holdfast_storage::Key::parse(&*first.artifact_key).unwrap();
    registry.blobs.put(&key, Bytes::from_static(b"altered")).await.unwrap();
    assert_eq!(
        reason(&registry.champions.rollback(rollback(1)).await.unwrap_err()),
        "ARTIFACT_DIGEST"
    );
    registry.stop().await;
}

#[tokio::test]
async fn an_override_says_who_and_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    let silent = wire::PromoteRequest {
        note: String::new(),
        ..promotion(1, true)
    };
    let refused = registry.champions.promote(silent).await.unwrap_err();
    assert_eq!(violated(&refused), [("note".to_owned(), "required".to_owned())]);
    let nameless = wire::PromoteRequest {
        actor: " ".to_owned(),
        ..promotion(1, true)
    };
    let refused = registry.champions.promote(nameless).await.unwrap_err();
    assert_eq!(violated(&refused), [("actor".to_owned(), "required".to_owned())]);
    let entry = registry.crown(1).await;
    assert_eq!(
        (entry.reason(), entry.actor.as_str(), entry.note.as_str()),
        (wire::ChampionReason::Override, "ada", "a test")
    );
    registry.stop().await;
}

#[tokio::test]
async fn a_watch_begins_with_the_state_and_goes_on_with_newer_generations() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    let mut early = registry.champions.watch_champion(watch()).await.unwrap().into_inner();
    assert_eq!(early.message().await.unwrap().unwrap().entry, None);
    let first = registry.crown(1).await;
    let told = early.message().await.unwrap().unwrap();
    assert_eq!(told.entry.as_ref(), Some(&first));
    assert_eq!(told.artifact_key, "models/churn/1/model.hfm");

    let mut late = registry.champions.watch_champion(watch()).await.unwrap().into_inner();
    assert_eq!(late.message().await.unwrap().unwrap().entry, Some(first));
    let second = registry.crown(2).await;
    for watcher in [&mut early, &mut late] {
        assert_eq!(watcher.message().await.unwrap().unwrap().entry.as_ref(), Some(&second));
    }
    registry.stop().await;
    assert!(matches!(early.message().await, Ok(None) | Err(_)));
}

#[tokio::test]
async fn what_another_registry_writes_is_announced_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = Registry::start(dir.path()).await;
    let mut two = Registry::start(dir.path()).await;
    one.ready_version(b"one").await;
    let mut watcher = two.champions.watch_champion(watch()).await.unwrap().into_inner();
    assert_eq!(watcher.message().await.unwrap().unwrap().entry, None);
    let entry = one.crown(1).await;
    assert_eq!(watcher.message().await.unwrap().unwrap().entry, Some(entry));
    drop(watcher);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn the_champion_of_any_time_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    registry.ready_version(b"two").await;
    let first = registry.crown(1).await;
    let second = registry.crown(2).await;
    registry.stop().await;

    let mut registry = Registry::start(dir.path()).await;
    let at = |at| wire::GetChampionRequest {
        model: MODEL.to_owned(),
        at,
    };
    let now = registry.champions.get_champion(at(None)).await.unwrap().into_inner();
    assert_eq!(now.entry, Some(second));
    let then = registry
        .champions
        .get_champion(at(first.at))
        .await
        .unwrap()
        .into_inner()
        .entry
        .unwrap();
    assert!(then.generation >= 1);
    let before = registry
        .champions
        .get_champion(at(Some(prost_types::Timestamp { seconds: 1, nanos: 0 })))
        .await;
    assert_eq!(before.unwrap_err().code(), Code::NotFound);
    registry.stop().await;
}

#[tokio::test]
async fn a_flipped_byte_in_the_log_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    for _ in 0..3 {
        registry.crown(1).await;
    }
    let key = layout::champion_key(&MODEL.parse().unwrap(), Generation(2));
    let mut bytes = registry.blobs.get(&key).await.unwrap().to_vec();
    let place = bytes.windows(3).position(|window| window == b"ada").unwrap();
    bytes[place] ^= 1;
    registry.blobs.put(&key, Bytes::from(bytes)).await.unwrap();
    let log = history(&mut registry).await;
    assert!(!log.chain_intact);
    assert!(log.chain_break.contains("generation 2"), "{}", log.chain_break);
    assert_eq!(log.entries.len(), 1);
    registry.stop().await;
}

#[tokio::test]
async fn replicas_are_shown_with_what_they_said_last() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    for (state, message) in [
        (wire::ReplicaState::Loading, ""),
        (wire::ReplicaState::LoadFailed, "digest does not match"),
    ] {
        let replica = wire::Replica {
            replica: "inference-0".to_owned(),
            model: MODEL.to_owned(),
            serving_generation: 1,
            serving_version: 1,
            target_generation: 2,
            state: state.into(),
            message: message.to_owned(),
            ..Default::default()
        };
        let report = wire::ReportReplicaRequest { replica: Some(replica) };
        registry.champions.report_replica(report).await.unwrap();
    }
    let request = wire::ListReplicasRequest {
        model: MODEL.to_owned(),
    };
    let replicas = registry
        .champions
        .list_replicas(request)
        .await
        .unwrap()
        .into_inner()
        .replicas;
    assert_eq!(replicas.len(), 1);
    assert_eq!(replicas[0].state(), wire::ReplicaState::LoadFailed);
    assert_eq!(replicas[0].message, "digest does not match");
    assert!(replicas[0].reported_at.is_some());
    registry.stop().await;
}
