//! `holdfast tune`: what is told while it searches, what it comes to, and what Ctrl-C does.

use serde_json::Value;

use crate::command_line::Up;
use crate::support::{PATIENCE, holdfast};

/// A stack whose trees are as many, and as deep, as `trees` and `max_depth` allow.
async fn stack(trees: &str, max_depth: &str) -> Up {
    let directory = tempfile::tempdir().unwrap();
    let built_in = holdfast_training::service::params::EMBEDDED;
    let (sets, _) = built_in.split_once("\nsearch_space:").unwrap();
    let space = format!(
        "search_space:
  boosted_trees:
    trees: {{kind: integer, {trees}, scale: log}}
    max_depth: {{kind: integer, {max_depth}, scale: linear}}
    eta: {{kind: real, from: 0.05, to: 0.5, scale: log}}
"
    );
    let params = directory.path().join("params.yaml");
    std::fs::write(&params, format!("{sets}\n{space}")).unwrap();
    let path = format!("training.params_path={}", params.display());
    Up::with(directory, &["--set", &path, "--set", "training.preset=fast"]).await
}

#[tokio::test]
async fn a_search_tells_of_each_trial_and_ends_with_the_version_that_it_made() {
    let up = stack("from: 5, to: 40", "from: 2, to: 5").await;
    let bank = up.simulate("bank.csv", "1500").await;
    let search = ["tune", "--trials", "10", "--folds", "2", "--no-early-stop"];
    let source = ["--source", bank.to_str().unwrap()];
    let tuned = up.cli(&[&search[..], &source, &["--json"]].concat()).await;

    let found = tuned.json();
    assert_eq!((&found["version"], &found["tuning"]["trials"]), (&1.into(), &10.into()));
    assert_eq!(found["tuning"]["stopped_by"], "trials");
    let shares = found["tuning"]["importance"].as_object().unwrap();
    let names: Vec<&str> = shares.keys().map(String::as_str).collect();
    assert_eq!(names, ["eta", "max_depth", "trees"]);

    // Each once, and those between which folds drawn anew decided once more.
    let told = tuned.stderr.lines().filter(|line| line.starts_with("  trial "));
    let (again, once): (Vec<&str>, Vec<&str>) = told.partition(|line| line.contains(", anew "));
    let number = |line: &str| line.split_whitespace().nth(1)?.parse::<u32>().ok();
    let mut numbers: Vec<u32> = once.into_iter().filter_map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<u32>>(), "each once: {}", tuned.stderr);
    let best = &found["tuning"]["best"];
    assert!(best["value_again"].as_f64().is_some_and(|value| value > 0.5), "{best}");
    let settled: Vec<u64> = again.into_iter().filter_map(number).map(u64::from).collect();
    assert!(
        settled.contains(&best["number"].as_u64().unwrap()),
        "{best}: {}",
        tuned.stderr
    );
    assert!(
        tuned.stderr.contains("; the first version judged on these test rows"),
        "{}",
        tuned.stderr
    );

    // The same rows again: for people, and counted.
    let again = up.cli(&[&search[..], &source].concat()).await;
    assert_eq!(again.code(), Some(0), "{}", again.stderr);
    for part in [
        "1 (the parameter set)",
        "importance of the parameters among the best trials",
        "; 2 versions, this one included, have been judged on these test rows",
    ] {
        assert!(again.stdout.contains(part), "no {part:?} in {}", again.stdout);
    }
    up.end().await;
}

#[tokio::test]
async fn ctrl_c_cancels_the_run_and_says_so() {
    let up = stack("from: 5000, to: 10000", "from: 15, to: 16").await;
    let bank = up.simulate("bank.csv", "1500").await;
    let url = up.url();
    let mut tune = holdfast(["tune", "--source", bank.to_str().unwrap(), "--json", "--url", &url]).spawn();
    let begun = tune
        .wait_for_line("the run's number", PATIENCE, |line| line.text.starts_with("  run "))
        .await;
    let run_id = begun.split_whitespace().nth(1).unwrap().to_owned();
    tune.interrupt();
    let status = tune.wait_exit(PATIENCE).await;
    tune.wait_output(PATIENCE).await;

    let said = tune.stderr().join("\n");
    assert_eq!((status.code(), tune.stdout()), (Some(1), Vec::new()), "{said}");
    assert!(said.contains(&format!("cancelling run {run_id}")), "{said}");
    assert!(said.contains(&format!("holdfast: run {run_id} cancelled")), "{said}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let path = format!("{url}/api/v1/runs/{run_id}");
    let run: Value = client.get(path).send().await.unwrap().json().await.unwrap();
    assert_eq!(run["state"], "cancelled", "{run}");
    up.end().await;
}
