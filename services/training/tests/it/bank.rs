//! Quality on the bank's real file.

use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::TableFormat;

use crate::support::{Registry, Setup, directory, metric, of_snapshot, result};

#[tokio::test(flavor = "multi_thread")]
async fn on_the_real_file_one_model_answers_full_rows_and_required_features_well() {
    let Some(path) = holdfast_testkit::bank_csv() else {
        return;
    };
    let dir = directory();
    let registry = Registry::start(dir.path()).await;
    let mut bench = Setup::new(dir.path(), Some(&registry)).start().await;
    let bytes = std::fs::read(path).unwrap();
    let answer = bench
        .import_bytes(TableFormat::Csv, "BankChurners.csv", &bytes)
        .await
        .unwrap();
    assert_eq!(answer.dropped_columns.len(), 2, "{:?}", answer.dropped_columns);
    let request = wire::StartRunRequest {
        preset: "default".into(),
        test_share: Some(0.2),
        ..of_snapshot(&answer.snapshot.unwrap().digest)
    };
    let run = bench.train(request).await;
    let (full, required_only) = (metric(&run, "test_roc_auc"), metric(&run, "test_roc_auc_required_only"));
    println!(
        "ROC-AUC {full:.4} on full rows, {required_only:.4} on the required features; PR-AUC {:.4} and {:.4}; log loss {:.4}; ECE {:.4}",
        metric(&run, "test_pr_auc"),
        metric(&run, "test_pr_auc_required_only"),
        metric(&run, "test_log_loss"),
        metric(&run, "test_calibration_error"),
    );
    assert!(full >= 0.990, "{full}");
    assert!(required_only >= 0.985, "{required_only}");
    assert!(result(&run).accepted, "{:?}", result(&run).failed_checks);
    bench.stop().await;
    registry.stop().await;
}
