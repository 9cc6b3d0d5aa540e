//! The whole loop from one command.

use holdfast_testkit::bank_csv;
use serde_json::Value;

use crate::support::{Finished, PATIENCE, holdfast, run};

#[track_caller]
fn check(finished: &Finished) -> Value {
    let report = finished.json_whatever_the_code();
    let steps = report["steps"].as_array().unwrap();
    let failed: Vec<&Value> = steps.iter().filter(|step| step["ok"] != true).collect();
    assert!(failed.is_empty(), "{failed:#?}\n{}", finished.stderr);
    assert_eq!(
        (finished.code(), &report["ok"]),
        (Some(0), &Value::Bool(true)),
        "{report:#}"
    );
    assert!(
        steps
            .iter()
            .all(|step| step["name"].is_string() && step["seconds"].is_f64() && step["detail"].is_string())
    );
    for name in [
        "test_roc_auc",
        "test_pr_auc",
        "test_roc_auc_required_only",
        "test_pr_auc_required_only",
    ] {
        let value = report[name].as_f64().unwrap();
        assert!(value > 0.0 && value < 1.0, "{name} is {value}");
    }
    assert_eq!(report["champion_version"], 1);
    assert_eq!(report["predictions_answered"], report["predictions_logged"]);
    assert!(report["predictions_answered"].as_u64().unwrap() > 0);
    assert_eq!(report["quiet_window_drift"], false);
    assert_eq!(report["restarted"], false);
    assert_eq!(report["chain_intact"], true);
    report
}

#[track_caller]
fn check_retrained(report: &Value) {
    assert_eq!(report["scenario"], "sudden");
    assert_eq!(report["shifted_window_drift"], true);
    assert_eq!(report["retrained_version"], 2);
    assert!(report["reload_ms"].as_f64().unwrap() > 0.0);
    let auc = |name: &str| report["retrained"][name].as_f64().unwrap();
    assert!(
        auc("roc_auc_on_window") > auc("champion_roc_auc_on_window"),
        "{}",
        report["retrained"]
    );
}

#[tokio::test]
async fn the_demo_runs_the_loop_on_a_simulated_bank() {
    let report = check(&run(["demo", "--once", "--json"]).await);
    check_retrained(&report);
    assert!(report["test_roc_auc"].as_f64().unwrap() >= 0.97, "{report:#}");
}

#[tokio::test]
async fn the_demo_reaches_the_quality_asked_for_on_the_banks_own_file() {
    let Some(bank) = bank_csv() else { return };
    let report = check(&run(["demo", "--once", "--json", "--csv", bank.to_str().unwrap()]).await);
    check_retrained(&report);
    assert!(report["test_roc_auc"].as_f64().unwrap() >= 0.990, "{report:#}");
    assert!(
        report["test_roc_auc_required_only"].as_f64().unwrap() >= 0.985,
        "{report:#}"
    );
}

#[tokio::test]
async fn where_nothing_changes_the_demo_retrains_nothing() {
    let report = check(&run(["demo", "--once", "--json", "--rows", "4000", "--scenario", "none"]).await);
    assert_eq!(report["shifted_window_drift"], false);
    assert_eq!(report["retrained_version"], Value::Null);
    assert_eq!(report["retrained"], Value::Null);
}

#[tokio::test]
async fn without_once_the_demo_serves_on_until_it_is_interrupted_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut demo = holdfast(["demo", "--json", "--rows", "2000", "--scenario", "none"])
        .env("TMPDIR", temporary.path())
        .spawn();
    let line = demo
        .wait_for_line("where it serves", PATIENCE, |line| line.text.contains("serves on at"))
        .await;
    let url = line
        .split_whitespace()
        .find(|word| word.starts_with("http://"))
        .unwrap()
        .trim_end_matches(':')
        .to_owned();
    let status = run(["status", "--json", "--url", &url]).await.json();
    assert_eq!(status["champion"]["version"], 1, "{status}");

    demo.interrupt();
    assert_eq!(demo.wait_exit(PATIENCE).await.code(), Some(0));
    demo.wait_output(PATIENCE).await;
    assert_eq!(demo.stdout().len(), 1, "{:?}", demo.stdout());
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_demo_that_fails_says_which_step_and_ends_with_one() {
    let finished = run(["demo", "--once", "--json", "--csv", "no-such-file.csv"]).await;
    assert_eq!(finished.code(), Some(1));
    let report = finished.json_whatever_the_code();
    assert_eq!(report["ok"], false);
    let last = report["steps"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["name"], &last["ok"]), (&"import".into(), &false.into()));
    assert!(
        last["detail"].as_str().unwrap().contains("there is no such file"),
        "{last}"
    );
    assert!(finished.stderr.contains("import"), "{}", finished.stderr);
}
