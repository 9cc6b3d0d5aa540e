//! Evaluations in a store.

use bytes::Bytes;
use holdfast_domain::{Digest, ModelVersion, RunId};
use holdfast_records::evaluation::{
    self, AgainstChampion, CalibrationCheck, Confusion, Dependence, DependencePoint, Evaluation, FILE_NAME,
    FeatureImportance, HeldOutCalibration, Importance, Interval, Measured, MeasuredSlice, NewestWindow, Profit,
    ReliabilityBin, ScoreBin, Slice,
};
use holdfast_records::{Error, FormatError};
use holdfast_storage::{Created, Key};

use crate::support::{memory, model};

fn interval(value: f64) -> Interval {
    Interval {
        value,
        lower: value - 0.01,
        upper: value + 0.01,
    }
}

fn bins() -> Vec<ReliabilityBin> {
    vec![ReliabilityBin {
        lower: 0.9,
        upper: 1.0,
        rows: 12,
        mean_score: 0.97,
        share_left: interval(0.96),
    }]
}

fn measured(roc_auc: f64) -> Measured {
    Measured {
        rows: 60,
        positives: 14,
        threshold: 0.42,
        roc_auc: interval(roc_auc),
        pr_auc: interval(0.96),
        f1: interval(0.9),
        precision: interval(0.92),
        recall: interval(0.88),
        accuracy: interval(0.95),
        log_loss: interval(0.08),
        brier: interval(0.022),
        calibration_error: 0.007,
        top_decile_lift: interval(6.1),
        confusion: Confusion {
            true_positives: 12,
            false_positives: 1,
            true_negatives: 45,
            false_negatives: 2,
        },
        roc_curve: vec![[0.0, 0.0], [0.021_739, 0.857_143], [1.0, 1.0]],
        precision_recall_curve: vec![[0.857_143, 0.923_077], [1.0, 0.233_333]],
        gain_curve: vec![[0.0, 0.0], [0.2, 0.857_143], [1.0, 1.0]],
        reliability: bins(),
        score_histogram: vec![ScoreBin { left: 2, stayed: 45 }, ScoreBin { left: 12, stayed: 1 }],
    }
}

/// An evaluation with everything in it.
pub(crate) fn sample_evaluation() -> Evaluation {
    Evaluation {
        format_version: 1,
        run_id: RunId::parse("0193a1b2-c3d4-7e5f-8a6b-0123456789ab").unwrap(),
        model: model(),
        artifact_digest: Digest::of(b"artefact"),
        test_snapshot: Digest::of(b"t"),
        seed: 42,
        replicates: 400,
        full: measured(0.993),
        required_only: measured(0.99),
        baseline: measured(0.93),
        baseline_p_value: 1.25e-9,
        champion: Some(AgainstChampion {
            version: ModelVersion(2),
            artifact_digest: Digest::of(b"champion"),
            measured: measured(0.991),
            roc_auc_delta: interval(0.002),
            roc_auc_p_value: 0.04,
            pr_auc_delta: interval(0.003),
        }),
        newest_window: Some(NewestWindow {
            snapshot: Digest::of(b"window"),
            rows: 30,
            positives: 7,
            roc_auc: interval(0.97),
            champion_roc_auc: interval(0.9),
        }),
        slices: slices(),
        calibration: CalibrationCheck {
            method: "isotonic".to_owned(),
            error_before: 0.012,
            reliability_before: bins(),
            error_by_chance: 0.006,
            error_by_chance_upper: 0.01,
            held_out: Some(HeldOutCalibration {
                rows: 240,
                error_before: 0.011,
                error_after: 0.004,
                log_loss_before: 0.081,
                log_loss_after: 0.079,
                reliability_before: bins(),
                reliability_after: bins(),
            }),
        },
        profit: Some(Profit {
            offer_cost: 20.0,
            lost_margin: 400.0,
            success_rate: 0.4,
            at_threshold: [0.21, 24.5],
            curve: vec![[0.0, 0.0], [0.21, 24.5], [1.0, 5.0]],
            baseline_curve: vec![[0.0, 0.0], [1.0, 5.0]],
            champion_curve: vec![[0.0, 0.0], [1.0, 5.0]],
        }),
        importance: Importance {
            rows: 60,
            unit: "log_odds".to_owned(),
            features: vec![FeatureImportance {
                feature: "Total_Trans_Ct".to_owned(),
                mean_absolute: 1.5,
                standard_error: 0.04,
                share: 0.31,
            }],
        },
        dependence: vec![Dependence {
            feature: "Total_Trans_Ct".to_owned(),
            points: vec![DependencePoint {
                value: 42.0,
                label: "42".to_owned(),
                mean: 0.31,
                lower: 0.02,
                upper: 0.9,
            }],
        }],
    }
}

fn slices() -> Vec<Slice> {
    let slice = |group: &str, measured| Slice {
        column: "Gender".to_owned(),
        group: group.to_owned(),
        rows: 30,
        positives: 7,
        measured,
    };
    let measured = MeasuredSlice {
        roc_auc: interval(0.99),
        precision: Some(interval(0.9)),
        recall: interval(0.8),
        false_positive_rate: interval(0.02),
        call_rate: interval(0.2),
        share_left: interval(0.23),
        mean_score: 0.24,
        calibration_gap: interval(0.01),
    };
    vec![slice("F", Some(measured)), slice("M", None)]
}

#[tokio::test]
async fn an_evaluation_reads_back_and_is_written_once() {
    let store = memory();
    let evaluation = sample_evaluation();
    assert_eq!(evaluation::write(&*store, &evaluation).await.unwrap(), Created::Yes);
    assert_eq!(
        evaluation::write(&*store, &evaluation).await.unwrap(),
        Created::AlreadyExists
    );
    assert_eq!(evaluation::read(&*store, &evaluation.run_id).await.unwrap(), evaluation);
    let other = Evaluation { seed: 1, ..evaluation };
    let refused = evaluation::write(&*store, &other).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
}

#[tokio::test]
async fn a_figure_that_is_no_number_is_not_stored() {
    let mut evaluation = sample_evaluation();
    evaluation.full.log_loss.upper = f64::INFINITY;
    let refused = evaluation::write(&*memory(), &evaluation).await.unwrap_err();
    assert!(
        matches!(refused, Error::Encode(FormatError::Unstorable(_))),
        "{refused}"
    );
}

#[tokio::test]
async fn the_evaluation_of_another_run_is_refused() {
    let store = memory();
    let evaluation = sample_evaluation();
    let other = RunId::from_parts(7, &[1; 10]);
    let bytes = evaluation.encode().unwrap();
    let _ = evaluation::write_file(&*store, &other, FILE_NAME, bytes).await.unwrap();
    let refused = evaluation::read(&*store, &other).await.unwrap_err();
    assert!(refused.to_string().contains("of run 0193a1b2"), "{refused}");
}

#[tokio::test]
async fn only_the_files_of_the_evaluation_are_listed() {
    let store = memory();
    let evaluation = sample_evaluation();
    let run = &evaluation.run_id;
    let _ = evaluation::write(&*store, &evaluation).await.unwrap();
    let _ = evaluation::write_file(&*store, run, "roc.svg", Bytes::from_static(b"<svg/>"))
        .await
        .unwrap();
    for other in ["trials.json", "folder/roc.svg"] {
        let key = Key::parse(format!("runs/{run}/artifacts/{other}")).unwrap();
        let _ = store.create(&key, Bytes::from_static(b"1")).await.unwrap();
    }
    let files = evaluation::files(&*store, run).await.unwrap();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [FILE_NAME, "roc.svg"]);
    assert_eq!(files[1].1, 6);
    for wrong in ["../manifest.json", "a/b.svg", "", ".svg"] {
        assert!(evaluation::file_key(run, wrong).is_err(), "{wrong}");
        assert!(!evaluation::is_file(wrong), "{wrong}");
    }
}
