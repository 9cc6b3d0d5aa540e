//! MLflow's own clients against a whole stack (tests/conformance/mlflow). Each generation has a Python of its own, which `make tools` installs;
//! `HOLDFAST_TEST_MLFLOW3_PYTHON` and `HOLDFAST_TEST_MLFLOW2_PYTHON` name them where they are elsewhere.

use std::path::PathBuf;

use holdfast_testkit::{ProcessBuilder, workspace_root};

use crate::command_line::{Up, text};
use crate::support::PATIENCE;

/// The Python of a generation of clients.
fn python(generation: u8) -> PathBuf {
    let variable = format!("HOLDFAST_TEST_MLFLOW{generation}_PYTHON");
    let named = std::env::var_os(&variable).map(PathBuf::from);
    let installed = format!(".tools/mlflow{generation}-venv/bin/python");
    let python = named.unwrap_or_else(|| workspace_root().join(installed));
    assert!(
        python.is_file(),
        "{} is not there: run `make tools`, or name the Python with the client in {variable}",
        python.display()
    );
    python
}

/// Runs a part of the suite about a model and a version that are champion, and the table it learnt from; what it wrote is shown when it fails.
async fn passes(generation: u8, part: &str, up: &Up, (champion, table): (&str, &str)) {
    let mut process = ProcessBuilder::new(python(generation))
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", part])
        .current_dir(workspace_root().join("tests/conformance/mlflow"))
        .env("HOLDFAST_CONFORMANCE_MLFLOW", up.url())
        .env("HOLDFAST_CONFORMANCE_CHAMPION", champion)
        .env("HOLDFAST_CONFORMANCE_TABLE", table)
        .env("HOME", up.file("home"))
        .spawn();
    let status = process.wait_exit(4 * PATIENCE).await;
    process.wait_output(PATIENCE).await;
    assert_eq!(
        status.code(),
        Some(0),
        "client {generation}\n{}\n{}",
        process.stdout().join("\n"),
        process.stderr().join("\n")
    );
}

/// Runs the suite against a stack with a champion, and then what changes the champion.
async fn suite_passes(generation: u8) {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "2000").await;
    let trained = up
        .json(&["train", "--source", text(&bank), "--seed", "7", "--preset", "fast"])
        .await;
    let champion = format!(
        "{}/{}",
        trained["model"].as_str().unwrap_or("churn"),
        trained["version"].as_u64().unwrap_or(1)
    );
    let about = (champion.as_str(), text(&bank));
    passes(generation, ".", &up, about).await;
    passes(generation, "notebook/champion.py", &up, about).await;
    up.end().await;
}

#[tokio::test]
async fn the_client_of_mlflow_3_works_unmodified() {
    suite_passes(3).await;
}

#[tokio::test]
async fn the_client_of_mlflow_2_works_unmodified() {
    suite_passes(2).await;
}

#[tokio::test]
async fn every_answer_is_as_a_server_of_mlflow_was_recorded() {
    let up = Up::start().await;
    passes(3, "recorded/replay.py", &up, ("", "")).await;
    up.end().await;
}
