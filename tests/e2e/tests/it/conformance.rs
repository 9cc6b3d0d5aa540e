//! Other people's clients and testers against a whole stack (tests/conformance). Their programs run in an environment of their own, which
//! `make tools` installs; `HOLDFAST_TEST_CONFORMANCE_PYTHON` names its Python where it is elsewhere.

use std::path::PathBuf;

use holdfast_testkit::{ProcessBuilder, workspace_root};
use serde_json::{Map, Value, json};

use crate::command_line::{Up, text};
use crate::support::{PATIENCE, customers, record};

const VARIABLE: &str = "HOLDFAST_TEST_CONFORMANCE_PYTHON";

fn suites() -> PathBuf {
    workspace_root().join("tests/conformance/serving")
}

/// The Python of the environment with the clients.
fn python() -> PathBuf {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let python = named.unwrap_or_else(|| workspace_root().join(".tools/conformance-venv/bin/python"));
    assert!(
        python.is_file(),
        "{} is not there: run `make tools`, or name the Python of the environment in {VARIABLE}",
        python.display()
    );
    python
}

/// Runs a program of the environment in the folder of the suites; what it wrote is shown when it fails.
async fn run(up: &Up, arguments: &[&str]) {
    let mut process = ProcessBuilder::new(python())
        .args(arguments)
        .current_dir(suites())
        .env("HOLDFAST_CONFORMANCE_STACK", up.file("stack.json"))
        .env("HYPOTHESIS_STORAGE_DIRECTORY", up.file("hypothesis"))
        .spawn();
    // Thousands of requests in one program: longer than what other tests wait for.
    let status = process.wait_exit(4 * PATIENCE).await;
    process.wait_output(PATIENCE).await;
    assert_eq!(
        status.code(),
        Some(0),
        "{arguments:?}\n{}\n{}",
        process.stdout().join("\n"),
        process.stderr().join("\n")
    );
}

/// A stack with a champion.
async fn with_champion() -> Up {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "2000").await;
    up.json(&["train", "--source", text(&bank), "--seed", "7", "--preset", "fast"])
        .await;
    up
}

/// Customers of whom every third lacks some of what is optional.
fn asked() -> Vec<Value> {
    let mut records: Vec<Value> = customers(30).iter().map(record).collect();
    for record in records.iter_mut().step_by(3) {
        let fields = record.as_object_mut().unwrap();
        for optional in ["Gender", "Customer_Age", "Avg_Open_To_Buy"] {
            fields.remove(optional);
        }
    }
    records
}

/// Writes what the suites need to know: where the stack is, and what the typed API answers about some customers.
async fn describe(up: &Up) {
    let records = asked();
    let answer = reqwest::Client::new()
        .post(format!("{}/api/v1/predictions", up.url()))
        .json(&json!({ "records": records }));
    let answer: Value = answer.send().await.unwrap().json().await.unwrap();
    let predictions = answer["predictions"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let bits = predictions
        .iter()
        .map(|prediction| format!("{:016x}", prediction["probability"].as_f64().unwrap().to_bits()));
    let mut stack = Map::new();
    stack.insert("http".to_owned(), up.ready["http"].clone());
    stack.insert("grpc".to_owned(), up.ready["grpc"]["inference"].clone());
    stack.insert("model".to_owned(), answer["model"].clone());
    stack.insert("version".to_owned(), answer["version"].to_string().into());
    stack.insert("threshold".to_owned(), predictions[0]["threshold"].clone());
    stack.insert("probability_bits".to_owned(), bits.collect());
    stack.insert("customers".to_owned(), records.into());
    std::fs::write(up.file("stack.json"), Value::from(stack).to_string()).unwrap();
}

#[tokio::test]
async fn the_clients_of_triton_and_kserve_get_the_bits_of_the_typed_api() {
    let up = with_champion().await;
    describe(&up).await;
    // Both bring the messages of the protocol under the same names: one process cannot hold both.
    for suite in [
        "test_tritonclient_http.py",
        "test_tritonclient_grpc.py",
        "test_kserve_client.py",
    ] {
        run(&up, &["-m", "pytest", "-q", "-p", "no:cacheprovider", suite]).await;
    }
    up.end().await;
}

#[tokio::test]
async fn generated_requests_find_no_breach_of_the_openapi_document() {
    let up = with_champion().await;
    let document = workspace_root().join("docs/openapi.json");
    let url = up.url();
    let tester = ["-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"];
    let stack = [text(&document), "--url", &url];
    run(&up, &[&tester[..], &stack[..]].concat()).await;
    up.end().await;
}
