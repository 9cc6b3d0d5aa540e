//! The gate: evidence in, decision out, and no promotion without one.

use holdfast_api::registry::v1 as wire;
use holdfast_domain::Digest;
use tonic::Code;

use crate::support::{MODEL, Registry, against, evaluation, promotion, quality, reason, violated};

fn failed(decision: &wire::GateDecision) -> Vec<&str> {
    decision
        .checks
        .iter()
        .filter(|check| !check.passed)
        .map(|check| check.name.as_str())
        .collect()
}

#[tokio::test]
async fn a_first_model_is_accepted_when_it_beats_the_baseline() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    let early = registry.champions.promote(promotion(1, false)).await.unwrap_err();
    assert_eq!(
        (early.code(), reason(&early).as_str()),
        (Code::FailedPrecondition, "GATE_REFUSES")
    );

    let poor = wire::Evaluation {
        baseline_p_value: 0.4,
        ..evaluation(0.912)
    };
    let decision = registry.decide(1, poor).await;
    assert_eq!((decision.accepted, failed(&decision)), (false, vec!["beats_baseline"]));
    let refused = registry.champions.promote(promotion(1, false)).await.unwrap_err();
    assert!(refused.message().contains("beats_baseline"), "{}", refused.message());

    let decision = registry.decide(1, evaluation(0.99)).await;
    assert!(decision.accepted, "{:?}", failed(&decision));
    let entry = registry
        .champions
        .promote(promotion(1, false))
        .await
        .unwrap()
        .into_inner()
        .entry
        .unwrap();
    assert_eq!(entry.reason(), wire::ChampionReason::Promotion);
    assert_eq!(entry.evaluation_digest, decision.evaluation_digest);
    registry.stop().await;
}

#[tokio::test]
async fn a_challenger_must_be_better_than_the_champion_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let first = registry.ready_version(b"one").await.r#ref.unwrap();
    registry.ready_version(b"two").await;
    registry.crown(1).await;

    let alone = registry.decide(2, evaluation(0.995)).await;
    assert_eq!(failed(&alone), ["champion_is_current", "better_than_champion"]);

    let noise = wire::Evaluation {
        champion: Some(against(first.clone(), 0.9903, 0.99, 0.3)),
        ..evaluation(0.9903)
    };
    assert_eq!(failed(&registry.decide(2, noise).await), ["better_than_champion"]);

    let worse_lately = wire::Evaluation {
        champion: Some(against(first.clone(), 0.994, 0.99, 0.001)),
        newest_window: Some(against(first.clone(), 0.95, 0.97, 0.9)),
        ..evaluation(0.994)
    };
    assert_eq!(
        failed(&registry.decide(2, worse_lately).await),
        ["not_worse_on_newest_window"]
    );

    let better = wire::Evaluation {
        champion: Some(against(first, 0.994, 0.99, 0.001)),
        ..evaluation(0.994)
    };
    let decision = registry.decide(2, better).await;
    assert!(decision.accepted, "{:?}", failed(&decision));
    assert_eq!(decision.champion_generation, 1);
    registry.stop().await;
}

#[tokio::test]
async fn a_decision_against_a_replaced_champion_is_worth_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    let first = registry.ready_version(b"one").await.r#ref.unwrap();
    registry.ready_version(b"two").await;
    registry.ready_version(b"three").await;
    registry.crown(1).await;
    let better = wire::Evaluation {
        champion: Some(against(first, 0.994, 0.99, 0.001)),
        ..evaluation(0.994)
    };
    assert!(registry.decide(2, better).await.accepted);
    registry.crown(3).await;
    let late = registry.champions.promote(promotion(2, false)).await.unwrap_err();
    assert_eq!(reason(&late), "GATE_REFUSES");
    assert!(late.message().contains("another champion"), "{}", late.message());
    registry.stop().await;
}

#[tokio::test]
async fn impossible_numbers_are_refused_or_a_failed_check() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    for (field, unfit) in [
        (
            "roc_auc",
            wire::Quality {
                roc_auc: f64::NAN,
                ..quality(0.99)
            },
        ),
        (
            "log_loss",
            wire::Quality {
                log_loss: f64::INFINITY,
                ..quality(0.99)
            },
        ),
    ] {
        let request = wire::EvaluateGateRequest {
            model: MODEL.to_owned(),
            version: 1,
            evaluation: Some(wire::Evaluation {
                full: Some(unfit),
                ..evaluation(0.99)
            }),
        };
        let refused = registry.models.evaluate_gate(request).await.unwrap_err();
        assert_eq!(
            violated(&refused),
            [(format!("evaluation.full.{field}"), "finite".to_owned())]
        );
    }
    for broken in [
        wire::Quality {
            roc_auc: 1.4,
            ..quality(0.99)
        },
        wire::Quality {
            positives: 0,
            ..quality(0.99)
        },
        wire::Quality {
            brier: -0.1,
            ..quality(0.99)
        },
    ] {
        let evaluation = wire::Evaluation {
            full: Some(broken),
            ..evaluation(0.99)
        };
        let decision = registry.decide(1, evaluation).await;
        assert!(!decision.accepted);
        assert!(
            failed(&decision).contains(&"numbers_are_possible"),
            "{broken:?}: {:?}",
            failed(&decision)
        );
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_bad_group_and_a_bad_calibration_stop_a_model() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    let slice = |roc_auc, too_small| wire::SliceQuality {
        column: "Gender".to_owned(),
        group: "F".to_owned(),
        quality: Some(quality(roc_auc)),
        too_small,
    };
    let uneven = wire::Evaluation {
        slices: vec![slice(0.8, false)],
        ..evaluation(0.99)
    };
    assert_eq!(failed(&registry.decide(1, uneven).await), ["slices"]);
    // The same ROC-AUC in a group so small that its interval reaches the others is no evidence.
    let mut uncertain = slice(0.8, false);
    uncertain.quality = Some(wire::Quality {
        roc_auc_upper: 0.96,
        ..quality(0.8)
    });
    let unsure = wire::Evaluation {
        slices: vec![uncertain],
        ..evaluation(0.99)
    };
    assert!(registry.decide(1, unsure).await.accepted);
    let small = wire::Evaluation {
        slices: vec![slice(0.1, true)],
        ..evaluation(0.99)
    };
    assert!(registry.decide(1, small).await.accepted);
    let uncalibrated = wire::Evaluation {
        full: Some(wire::Quality {
            calibration_error: 0.2,
            ..quality(0.99)
        }),
        ..evaluation(0.99)
    };
    assert_eq!(failed(&registry.decide(1, uncalibrated).await), ["calibrated"]);
    registry.stop().await;
}

#[tokio::test]
async fn a_decision_outlives_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    registry.ready_version(b"one").await;
    let decision = registry.decide(1, evaluation(0.99)).await;
    let model = MODEL.parse().unwrap();
    let evidence: Digest = decision.evaluation_digest.parse().unwrap();
    let key = holdfast_records::layout::decision_key(&model, holdfast_domain::ModelVersion(1), &evidence);
    let stored: serde_json::Value = serde_json::from_slice(&registry.blobs.get(&key).await.unwrap()).unwrap();
    assert_eq!(stored["accepted"], true);
    assert_eq!(stored["policy"]["alpha"], 0.05);
    registry.stop().await;
}

#[tokio::test]
async fn the_uses_of_a_test_snapshot_are_counted_at_the_time_of_the_decision() {
    let dir = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(dir.path()).await;
    for bytes in [b"one".as_slice(), b"two", b"three"] {
        registry.ready_version(bytes).await;
    }
    let elsewhere = wire::Evaluation {
        test_snapshot: Digest::of(b"other rows").to_string(),
        ..evaluation(0.99)
    };
    assert_eq!(registry.decide(1, evaluation(0.99)).await.test_snapshot_uses, 1);
    // Another word about the same version is no further use.
    assert_eq!(registry.decide(1, evaluation(0.98)).await.test_snapshot_uses, 1);
    assert_eq!(registry.decide(2, elsewhere).await.test_snapshot_uses, 1);
    assert_eq!(registry.decide(2, evaluation(0.99)).await.test_snapshot_uses, 2);
    assert_eq!(registry.decide(3, evaluation(0.99)).await.test_snapshot_uses, 3);

    // The same evidence again is answered with the decision that was made first.
    let again = registry.decide(1, evaluation(0.99)).await;
    assert_eq!(again.test_snapshot_uses, 1);
    let request = wire::GetModelVersionRequest {
        model: MODEL.to_owned(),
        version: 1,
    };
    let version = registry
        .models
        .get_model_version(request)
        .await
        .unwrap()
        .into_inner()
        .version
        .unwrap();
    assert_eq!(version.decisions.len(), 2);
    assert_eq!(version.decisions[0], again);
    registry.stop().await;
}
