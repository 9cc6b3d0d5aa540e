//! Promotions that need approvers.

use std::path::Path;

use bytes::Bytes;
use futures::future::join_all;
use holdfast_api::registry::v1 as wire;
use holdfast_domain::{ModelName, RunId};
use holdfast_records::approval::{ApprovalLog, NewEntry, Nonce, Statement, Verdict};
use holdfast_records::layout;
use holdfast_registry::{ApprovalSettings, Settings};
use tonic::{Code, Status};

use crate::support::{MODEL, Registry, evaluation, promotion, reason, settings, violated};

fn model() -> ModelName {
    MODEL.parse().unwrap()
}

/// The settings of a registry whose promotions need so many approvers.
fn with_approvers(dir: &Path, approvers: u32) -> Settings {
    let (_, settings) = settings(dir);
    Settings {
        approval: ApprovalSettings {
            models: [(model(), approvers)].into(),
            ..ApprovalSettings::default()
        },
        ..settings
    }
}

/// A registry that needs so many approvers, with a version 1 that the gate accepts. Its run was started by "test".
async fn registry(dir: &Path, approvers: u32) -> Registry {
    let mut registry = Registry::start_with(dir, with_approvers(dir, approvers)).await;
    registry.ready_version(b"one").await;
    assert!(registry.decide(1, evaluation(0.99)).await.accepted);
    registry
}

fn by_the_gate() -> wire::PromoteRequest {
    wire::PromoteRequest {
        actor: "training".to_owned(),
        ..promotion(1, false)
    }
}

async fn asked(registry: &mut Registry, request: wire::PromoteRequest) -> wire::Promotion {
    let answer = registry.champions.promote(request).await.unwrap().into_inner();
    assert_eq!(answer.entry, None, "nothing is made before the approvers have spoken");
    answer.waiting.unwrap()
}

async fn say(registry: &Registry, promotion: u64, approve: bool, actor: &str) -> Result<wire::Promotion, Status> {
    let request = wire::DecidePromotionRequest {
        model: MODEL.to_owned(),
        promotion,
        approve,
        actor: actor.to_owned(),
        note: if approve {
            String::new()
        } else {
            "the slices".to_owned()
        },
    };
    let answer = registry.promotions.clone().decide_promotion(request).await?;
    Ok(answer.into_inner().promotion.unwrap())
}

async fn log(registry: &mut Registry) -> wire::ListChampionsResponse {
    let request = wire::ListChampionsRequest {
        model: MODEL.to_owned(),
    };
    registry.champions.list_champions(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn the_last_of_two_approvers_makes_the_champion_and_both_stand_in_its_entry() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = registry(dir.path(), 2).await;
    let waiting = asked(&mut registry, by_the_gate()).await;
    assert_eq!(
        (
            waiting.needed,
            waiting.run_started_by.as_str(),
            waiting.requested_by.as_str()
        ),
        (2, "test", "training")
    );
    assert_eq!(
        asked(&mut registry, by_the_gate()).await,
        waiting,
        "asked again, the same waits"
    );
    for (actor, code) in [("Test ", Code::PermissionDenied), ("training", Code::PermissionDenied)] {
        let refused = say(&registry, waiting.promotion, true, actor).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, "MAY_NOT_APPROVE"));
    }
    let first = say(&registry, waiting.promotion, true, "grace").await.unwrap();
    assert_eq!(first.state(), wire::PromotionState::Waiting);
    let again = say(&registry, waiting.promotion, true, "GRACE").await.unwrap_err();
    assert_eq!(again.code(), Code::AlreadyExists);
    let made = say(&registry, waiting.promotion, true, "edsger").await.unwrap();
    assert_eq!((made.state(), made.generation), (wire::PromotionState::Promoted, 1));
    let repeated = say(&registry, waiting.promotion, true, "edsger").await.unwrap();
    assert_eq!(repeated, made, "a caller whose answer was lost may ask again");
    let log = log(&mut registry).await;
    assert!(log.chain_intact, "{}", log.chain_break);
    assert_eq!(log.entries.len(), 1);
    let entry = &log.entries[0];
    assert_eq!(
        (entry.approvers.join(" "), entry.promotion),
        ("grace edsger".to_owned(), 1)
    );
    assert_eq!(entry.reason(), wire::ChampionReason::Promotion);
    registry.stop().await;
}

type Tags<'t> = &'t [(&'t str, &'t str)];

/// A run of this `user_id` that gets these tags once it is there.
async fn run(registry: &mut Registry, user_id: &str, tags: Tags<'_>) -> RunId {
    let run = RunId::generate();
    let request = wire::CreateRunRequest {
        experiment_id: "0".to_owned(),
        run_id: run.to_string(),
        user_id: user_id.to_owned(),
        ..Default::default()
    };
    registry.tracking.create_run(request).await.unwrap();
    let tags = tags.iter().map(|(key, value)| wire::Tag {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    });
    let request = wire::LogBatchRequest {
        run_id: run.to_string(),
        tags: tags.collect(),
        ..Default::default()
    };
    registry.tracking.log_batch(request).await.unwrap();
    run
}

#[tokio::test]
async fn who_started_a_run_cannot_be_renamed_by_a_tag() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start_with(dir.path(), with_approvers(dir.path(), 1)).await;
    let renamed = [("holdfast.requested_by", "eve"), ("mlflow.user", "eve")];
    // The version itself was asked for by "test".
    let runs: [(&str, Tags<'_>, &str); 5] = [
        ("grace", &renamed, "grace"),
        ("", &[("mlflow.user", "grace")], "grace"),
        ("unknown", &[("mlflow.user", "grace")], "grace"),
        ("", &[("mlflow.user", "unknown")], "test"),
        ("unknown", &[], "test"),
    ];
    for (version, (user_id, tags, starter)) in (1..).zip(runs) {
        let run = run(&mut registry, user_id, tags).await;
        registry.ready_version_of(&run, b"one").await;
        let waiting = asked(&mut registry, promotion(version, true)).await;
        assert_eq!(waiting.run_started_by, starter, "{user_id:?} {tags:?}");
        let refused = say(&registry, waiting.promotion, true, starter).await.unwrap_err();
        assert_eq!(reason(&refused), "MAY_NOT_APPROVE");
    }
    registry.stop().await;
}

#[tokio::test]
async fn an_override_needs_approvers_too_and_a_rollback_needs_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = registry(dir.path(), 1).await;
    registry.ready_version(b"two").await;
    for version in [1, 2] {
        let waiting = asked(&mut registry, promotion(version, true)).await;
        let made = say(&registry, waiting.promotion, true, "grace").await.unwrap();
        assert_eq!(made.state(), wire::PromotionState::Promoted);
    }
    let rollback = wire::RollbackRequest {
        model: MODEL.to_owned(),
        actor: "ada".to_owned(),
        note: "its bytes are no model".to_owned(),
        override_load: true,
        ..Default::default()
    };
    let entry = registry
        .champions
        .rollback(rollback)
        .await
        .unwrap()
        .into_inner()
        .entry
        .unwrap();
    assert_eq!((entry.generation, entry.approvers.len()), (3, 0));
    registry.stop().await;
}

#[tokio::test]
async fn a_no_with_a_note_ends_it_and_another_champion_overtakes_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = registry(dir.path(), 1).await;
    let waiting = asked(&mut registry, by_the_gate()).await;
    let silent = wire::DecidePromotionRequest {
        model: MODEL.to_owned(),
        promotion: waiting.promotion,
        actor: "grace".to_owned(),
        ..Default::default()
    };
    let refused = registry.promotions.decide_promotion(silent).await.unwrap_err();
    assert_eq!(violated(&refused), [("note".to_owned(), "required".to_owned())]);
    let rejected = say(&registry, waiting.promotion, false, "grace").await.unwrap();
    assert_eq!(rejected.state(), wire::PromotionState::Rejected);
    let late = say(&registry, waiting.promotion, true, "edsger").await.unwrap_err();
    assert_eq!(
        (late.code(), reason(&late).as_str()),
        (Code::FailedPrecondition, "PROMOTION_CLOSED")
    );

    registry.ready_version(b"two").await;
    let gated = asked(&mut registry, by_the_gate()).await;
    let overridden = asked(&mut registry, promotion(2, true)).await;
    say(&registry, overridden.promotion, true, "grace").await.unwrap();
    let overtaken = say(&registry, gated.promotion, true, "grace").await.unwrap_err();
    assert!(overtaken.message().contains("overtaken"), "{overtaken}");
    registry.stop().await;
}

#[tokio::test]
async fn many_approvers_at_once_make_one_champion() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = registry(dir.path(), 2).await;
    let waiting = asked(&mut registry, by_the_gate()).await;
    let people: Vec<String> = (0..8).map(|person| format!("approver-{person}")).collect();
    let words = people
        .iter()
        .map(|person| say(&registry, waiting.promotion, true, person));
    let heard = join_all(words).await;
    let counted = heard.iter().filter(|heard| heard.is_ok()).count();
    assert_eq!(counted, 2, "{heard:?}");
    let log = log(&mut registry).await;
    assert_eq!((log.entries.len(), log.entries[0].approvers.len()), (1, 2));
    assert!(log.chain_intact, "{}", log.chain_break);
    registry.stop().await;
}

#[tokio::test]
async fn what_a_registry_left_between_the_last_word_and_the_champion_log_is_finished_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = registry(dir.path(), 1).await;
    let waiting = asked(&mut first, by_the_gate()).await;
    let blobs = first.blobs.clone();
    first.stop().await;
    // The word as a registry writes it that dies before it writes the champion log.
    let word = NewEntry {
        statement: Statement::Word {
            promotion: waiting.promotion,
            verdict: Verdict::Approved,
        },
        actor: "grace".to_owned(),
        note: String::new(),
        at: jiff::Timestamp::now(),
        before: None,
        nonce: Nonce::generate(),
    };
    ApprovalLog::new(blobs, model()).append(1, word).await.unwrap();

    let settings = with_approvers(dir.path(), 1);
    let mut one = Registry::start_with(dir.path(), settings.clone()).await;
    let two = Registry::start_with(dir.path(), settings).await;
    let finished = join_all([&one, &two].map(|registry| say(registry, waiting.promotion, true, "grace"))).await;
    for promotion in finished {
        let promotion = promotion.unwrap();
        assert_eq!(
            (promotion.state(), promotion.generation),
            (wire::PromotionState::Promoted, 1)
        );
    }
    let log = log(&mut one).await;
    assert_eq!(log.entries.len(), 1);
    assert!(log.chain_intact, "{}", log.chain_break);
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_word_that_was_changed_breaks_the_champion_it_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = registry(dir.path(), 1).await;
    let waiting = asked(&mut registry, by_the_gate()).await;
    say(&registry, waiting.promotion, true, "grace").await.unwrap();
    let key = layout::approval_key(&model(), 2);
    let mut bytes = registry.blobs.get(&key).await.unwrap().to_vec();
    let place = bytes.windows(5).position(|window| window == b"grace").unwrap();
    bytes[place] ^= 1;
    registry.blobs.put(&key, Bytes::from(bytes)).await.unwrap();
    let log = log(&mut registry).await;
    assert!(!log.chain_intact);
    assert_eq!(log.broken_generation, 1);
    assert!(log.chain_break.contains("record of approvals"), "{}", log.chain_break);
    registry.stop().await;
}
