//! One stored object of every format version there ever was, read for ever.
//!
//! A sample is never changed and never removed. A new format version adds one: raise the version, run
//! `cargo test -p holdfast-records -- --ignored`, which writes the samples that are missing, and commit them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use holdfast_domain::{Digest, Generation, ModelVersion, RunId};
use holdfast_records::approval::{self, ApprovalEntry, Request, Statement, Verdict};
use holdfast_records::champion::{self, Approval, Approver, ChampionEntry, ChampionReason, Nonce};
use holdfast_records::evaluation::{self, Evaluation};
use holdfast_records::model_manifest::{self, ModelManifest};
use holdfast_records::rollout::{self, Change, RolloutEntry};
use holdfast_records::snapshot::{self, PredictionWindow, SnapshotManifest, SnapshotSource};
use holdfast_records::{outcome, prediction, shadow};

use crate::evaluations::sample_evaluation;
use crate::support::{
    memory, model, sample_customers, sample_outcomes, sample_predictions, sample_shadows, schema, start, time,
};

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/samples")
        .join(name)
}

fn sample(name: &str) -> Bytes {
    std::fs::read(path(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
        .into()
}

fn run_id() -> RunId {
    RunId::parse("0193a1b2-c3d4-7e5f-8a6b-0123456789ab").unwrap()
}

fn champion_entry() -> ChampionEntry {
    ChampionEntry {
        format_version: 1,
        generation: Generation(2),
        model: model(),
        version: ModelVersion(3),
        artifact_digest: Digest::of(b"artefact"),
        previous_digest: Some(Digest::of(b"previous")),
        actor: "ada".to_owned(),
        reason: ChampionReason::Promotion {
            evaluation_digest: Digest::of(b"evaluation"),
            run_id: Some(run_id()),
            note: "better by 0.004, \"paired\" – é".to_owned(),
        },
        approval: None,
        at: time("2026-11-23T09:59:59.123456789Z"),
        nonce: Nonce::from_bytes(*b"0123456789abcdef"),
    }
}

fn approved_champion_entry() -> ChampionEntry {
    ChampionEntry {
        format_version: 2,
        approval: Some(Approval {
            promotion: 4,
            requested_by: "training".to_owned(),
            run_started_by: "ada".to_owned(),
            approvers: vec![Approver {
                actor: "grace".to_owned(),
                note: "looked at the slices – é".to_owned(),
                at: time("2026-11-23T09:59:58Z"),
            }],
            completed_revision: 5,
            completed_digest: Digest::of(b"word"),
        }),
        ..champion_entry()
    }
}

fn approval_request() -> ApprovalEntry {
    ApprovalEntry {
        format_version: 1,
        revision: 4,
        model: model(),
        statement: Statement::Request(Request {
            version: ModelVersion(3),
            artifact_digest: Digest::of(b"artefact"),
            expected_generation: Generation(1),
            reason: champion_entry().reason,
            run_started_by: "ada".to_owned(),
            needed: 2,
            expires_at: time("2026-11-26T09:59:59Z"),
        }),
        previous_digest: Some(Digest::of(b"previous")),
        actor: "training".to_owned(),
        note: "accepted by the gate".to_owned(),
        at: time("2026-11-23T09:59:59.123456789Z"),
        nonce: Nonce::from_bytes(*b"0123456789abcdef"),
    }
}

fn approval_word() -> ApprovalEntry {
    ApprovalEntry {
        revision: 5,
        statement: Statement::Word {
            promotion: 4,
            verdict: Verdict::Rejected,
        },
        actor: "grace".to_owned(),
        note: "the slices \"by income\" – é".to_owned(),
        ..approval_request()
    }
}

fn rollout_entry() -> RolloutEntry {
    RolloutEntry {
        format_version: 1,
        revision: 5,
        model: model(),
        change: Change::Start(start(4)),
        previous_digest: Some(Digest::of(b"previous")),
        actor: "ada".to_owned(),
        note: "a twentieth of the customers, \"as agreed\" – é".to_owned(),
        at: time("2026-11-23T09:59:59.123456789Z"),
        nonce: Nonce::from_bytes(*b"0123456789abcdef"),
    }
}

fn rollout_end() -> RolloutEntry {
    RolloutEntry {
        revision: 6,
        change: Change::End {
            reason: rollout::EndReason::LatencyLimit,
        },
        actor: "blue-1".to_owned(),
        note: String::new(),
        ..rollout_entry()
    }
}

fn model_manifest() -> ModelManifest {
    ModelManifest {
        format_version: 1,
        model: model(),
        version: ModelVersion(3),
        artifact_digest: Digest::of(b"artefact"),
        size_bytes: 8,
        run_id: run_id(),
        snapshots: BTreeMap::from([
            ("test".to_owned(), Digest::of(b"t")),
            ("training".to_owned(), Digest::of(b"l")),
        ]),
        family: "boosted_trees".to_owned(),
        created_at: time("2026-11-23T09:00:00Z"),
        created_by: "ada".to_owned(),
        metrics: BTreeMap::from([("test_pr_auc".to_owned(), 0.9683), ("test_roc_auc".to_owned(), 0.993)]),
    }
}

async fn snapshot_manifest() -> SnapshotManifest {
    let source = SnapshotSource {
        source: "customers.csv".to_owned(),
        query_or_window: Some("rows 1 to 3".to_owned()),
        parents: vec![Digest::of(b"parent")],
        window: None,
        created_at: time("2026-11-23T09:00:00Z"),
    };
    snapshot::write(&*memory(), &sample_customers(), schema(), source)
        .await
        .unwrap()
}

#[test]
fn customers_of_version_1_are_read() {
    assert_eq!(
        snapshot::decode(sample("snapshot.v1.parquet"), schema()).unwrap(),
        sample_customers()
    );
}

#[test]
fn predictions_of_version_1_are_read() {
    assert_eq!(
        prediction::decode(sample("predictions.v1.parquet"), schema()).unwrap(),
        sample_predictions()
    );
}

#[test]
fn outcomes_of_version_1_are_read() {
    assert_eq!(
        outcome::decode(sample("outcomes.v1.parquet")).unwrap(),
        sample_outcomes()
    );
}

#[test]
fn a_champion_entry_of_version_1_is_read_and_written_to_the_same_bytes() {
    let bytes = sample("champion.v1.json");
    assert_eq!(ChampionEntry::decode(&bytes).unwrap().entry, champion_entry());
    assert_eq!(champion_entry().encode().unwrap(), bytes);
}

#[test]
fn a_champion_entry_of_version_2_is_read_and_written_to_the_same_bytes() {
    let bytes = sample("champion.v2.json");
    assert_eq!(ChampionEntry::decode(&bytes).unwrap().entry, approved_champion_entry());
    assert_eq!(approved_champion_entry().encode().unwrap(), bytes);
}

#[test]
fn a_champion_entry_has_an_approval_from_version_2_on_and_not_before() {
    for entry in [
        ChampionEntry {
            format_version: 1,
            ..approved_champion_entry()
        },
        ChampionEntry {
            format_version: 2,
            ..champion_entry()
        },
    ] {
        assert!(ChampionEntry::decode(&entry.encode().unwrap()).is_err());
    }
}

#[test]
fn approval_entries_of_version_1_are_read_and_written_to_the_same_bytes() {
    for (name, entry) in [
        ("approval_request.v1.json", approval_request()),
        ("approval_word.v1.json", approval_word()),
    ] {
        let bytes = sample(name);
        assert_eq!(ApprovalEntry::decode(&bytes).unwrap(), entry);
        assert_eq!(entry.encode().unwrap(), bytes);
    }
}

#[test]
fn rollout_entries_of_version_1_are_read_and_written_to_the_same_bytes() {
    for (name, entry) in [
        ("rollout_start.v1.json", rollout_entry()),
        ("rollout_end.v1.json", rollout_end()),
    ] {
        let bytes = sample(name);
        assert_eq!(RolloutEntry::decode(&bytes).unwrap(), entry);
        assert_eq!(entry.encode().unwrap(), bytes);
    }
}

#[test]
fn compared_scores_of_version_1_are_read() {
    assert_eq!(shadow::decode(sample("shadows.v1.parquet")).unwrap(), sample_shadows());
}

#[test]
fn a_model_manifest_of_version_1_is_read_and_written_to_the_same_bytes() {
    let bytes = sample("model_manifest.v1.json");
    assert_eq!(ModelManifest::decode(&bytes).unwrap(), model_manifest());
    assert_eq!(model_manifest().encode().unwrap(), bytes);
}

#[test]
fn an_evaluation_of_version_1_is_read_and_written_to_the_same_bytes() {
    let bytes = sample("evaluation.v1.json");
    assert_eq!(Evaluation::decode(&bytes).unwrap(), sample_evaluation());
    assert_eq!(sample_evaluation().encode().unwrap(), bytes);
}

#[tokio::test]
async fn a_snapshot_manifest_of_version_1_is_read() {
    let read = snapshot::decode_manifest(&sample("snapshot_manifest.v1.json")).unwrap();
    // Digest and size are those of the Parquet sample, whatever a newer Parquet crate would write.
    let written = snapshot_manifest().await;
    let rows = sample("snapshot.v1.parquet");
    assert_eq!((read.digest, read.size_bytes), (Digest::of(&rows), rows.len() as u64));
    let expected = SnapshotManifest {
        digest: read.digest,
        size_bytes: read.size_bytes,
        schema_digest: read.schema_digest,
        ..written
    };
    assert_eq!(read, expected);
}

#[tokio::test]
async fn a_snapshot_manifest_of_version_2_is_read() {
    let bytes = sample("snapshot_manifest.v2.json");
    let read = snapshot::decode_manifest(&bytes).unwrap();
    assert_eq!(read.window, Some(window()));
    assert_eq!(read.prediction_window(), Some(window()));
}

#[tokio::test]
async fn a_manifest_of_version_1_says_its_window_in_words() {
    let source = SnapshotSource {
        source: PredictionWindow::SOURCE.to_owned(),
        query_or_window: Some(window().in_words()),
        parents: Vec::new(),
        window: None,
        created_at: time("2026-11-23T09:00:00Z"),
    };
    let manifest = snapshot::write(&*memory(), &sample_customers(), schema(), source)
        .await
        .unwrap();
    assert_eq!(manifest.format_version, 1);
    let expected = PredictionWindow {
        generations: None,
        ..window()
    };
    assert_eq!(manifest.prediction_window(), Some(expected));
}

fn window() -> PredictionWindow {
    PredictionWindow {
        model: model(),
        from: time("2026-11-22T09:00:00Z"),
        to: time("2026-11-23T09:00:00Z"),
        report_id: "r-1".to_owned(),
        generations: Some([Generation(2), Generation(3)].into()),
    }
}

async fn stored_manifest(window: Option<PredictionWindow>) -> Bytes {
    let store = memory();
    let manifest = snapshot_manifest().await;
    let source = SnapshotSource {
        source: manifest.source,
        query_or_window: manifest.query_or_window,
        parents: manifest.parents,
        window,
        created_at: manifest.created_at,
    };
    let written = snapshot::write(&*store, &sample_customers(), schema(), source)
        .await
        .unwrap();
    let key = holdfast_records::layout::snapshot_manifest_key(&written.digest);
    store.get(&key).await.unwrap()
}

/// Digests name snapshots for ever, and a run repeated must find the same ones. When a newer Parquet crate fails this test, it
/// writes the same rows otherwise: say so in the changelog, then let the test compare with a sample written by the new crate.
#[test]
fn todays_writer_makes_the_bytes_of_the_samples() {
    assert_eq!(
        snapshot::encode(&sample_customers(), schema()).unwrap(),
        sample("snapshot.v1.parquet")
    );
    assert_eq!(
        prediction::encode(&sample_predictions(), schema()).unwrap(),
        sample("predictions.v1.parquet")
    );
    assert_eq!(
        outcome::encode(&sample_outcomes()).unwrap(),
        sample("outcomes.v1.parquet")
    );
    assert_eq!(shadow::encode(&sample_shadows()).unwrap(), sample("shadows.v1.parquet"));
}

#[tokio::test]
#[ignore = "writes the samples of a new format version"]
async fn missing_samples_are_written() {
    let samples = [
        (
            format!("snapshot.v{}.parquet", snapshot::FORMAT_VERSION),
            snapshot::encode(&sample_customers(), schema()).unwrap(),
        ),
        ("snapshot_manifest.v1.json".to_owned(), stored_manifest(None).await),
        (
            format!("snapshot_manifest.v{}.json", snapshot::MANIFEST_VERSION),
            stored_manifest(Some(window())).await,
        ),
        (
            format!("predictions.v{}.parquet", prediction::FORMAT_VERSION),
            prediction::encode(&sample_predictions(), schema()).unwrap(),
        ),
        (
            format!("outcomes.v{}.parquet", outcome::FORMAT_VERSION),
            outcome::encode(&sample_outcomes()).unwrap(),
        ),
        (
            format!("shadows.v{}.parquet", shadow::FORMAT_VERSION),
            shadow::encode(&sample_shadows()).unwrap(),
        ),
        (
            format!("rollout_start.v{}.json", rollout::FORMAT_VERSION),
            rollout_entry().encode().unwrap(),
        ),
        (
            format!("rollout_end.v{}.json", rollout::FORMAT_VERSION),
            rollout_end().encode().unwrap(),
        ),
        (
            format!("champion.v{}.json", champion::FORMAT_VERSION),
            approved_champion_entry().encode().unwrap(),
        ),
        (
            format!("approval_request.v{}.json", approval::FORMAT_VERSION),
            approval_request().encode().unwrap(),
        ),
        (
            format!("approval_word.v{}.json", approval::FORMAT_VERSION),
            approval_word().encode().unwrap(),
        ),
        (
            format!("model_manifest.v{}.json", model_manifest::FORMAT_VERSION),
            model_manifest().encode().unwrap(),
        ),
        (
            format!("evaluation.v{}.json", evaluation::FORMAT_VERSION),
            sample_evaluation().encode().unwrap(),
        ),
    ];
    for (name, bytes) in samples {
        if !path(&name).exists() {
            std::fs::write(path(&name), bytes).unwrap();
        }
    }
}
