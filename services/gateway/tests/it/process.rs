//! The gateway as a process of its own: serves with its defaults, answers its health check, ends cleanly.

use holdfast_testkit::{ProcessBuilder, Stream};
use serde_json::Value;

use crate::stack::PATIENCE;

fn gateway() -> ProcessBuilder {
    let directory = std::env::temp_dir();
    // No arguments, as in a container; free ports, as in a test.
    ProcessBuilder::new(env!("CARGO_BIN_EXE_holdfast-gateway"))
        .clear_env()
        .current_dir(directory)
        .env("HOLDFAST_GATEWAY__BIND", "127.0.0.1:0")
        .env("HOLDFAST_GATEWAY__ADMIN", "127.0.0.1:0")
}

#[tokio::test]
async fn it_serves_without_arguments_and_says_whether_it_is_healthy() {
    let mut process = gateway().spawn();
    let listening =
        |line: &holdfast_testkit::Line| line.stream == Stream::Stderr && line.text.contains("\"listening\"");
    let line = process.wait_for_line("the addresses", PATIENCE, listening).await;
    let line: Value = serde_json::from_str(&line).unwrap();
    let (http, admin) = (line["http"].as_str().unwrap(), line["admin"].as_str().unwrap());
    let index: Value = reqwest::get(format!("http://{http}/"))
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(index["service"], "holdfast");

    let mut health = gateway().args(["health", "--address", admin]).spawn();
    assert!(health.wait_exit(PATIENCE).await.success());
    process.terminate();
    assert!(process.wait_exit(PATIENCE).await.success());
    let mut health = gateway().args(["health", "--address", admin]).spawn();
    assert_eq!(health.wait_exit(PATIENCE).await.code(), Some(1));
}

#[tokio::test]
async fn binding_beyond_this_machine_must_be_meant() {
    let mut process = gateway().env("HOLDFAST_GATEWAY__BIND", "0.0.0.0:0").spawn();
    assert_eq!(process.wait_exit(PATIENCE).await.code(), Some(2));
    process.wait_output(PATIENCE).await;
    assert!(process.stderr().join("\n").contains("gateway.allow_insecure_bind"));
}

#[tokio::test]
async fn wrong_settings_are_all_named() {
    let mut process = gateway()
        .env("HOLDFAST_GATEWAY__MAX_BATCH_RECORDS", "0")
        .env("HOLDFAST_GATEWAY__BODY_TIMEOUT_MS", "0")
        .env("HOLDFAST_GATEWAY__MAX_UPLOAD_BITES", "1")
        .spawn();
    assert_eq!(process.wait_exit(PATIENCE).await.code(), Some(2));
    process.wait_output(PATIENCE).await;
    let said = process.stderr().join("\n");
    for name in [
        "gateway.max_batch_records",
        "gateway.body_timeout_ms",
        "gateway.max_upload_bites",
        "HOLDFAST_GATEWAY__MAX_UPLOAD_BYTES",
    ] {
        assert!(said.contains(name), "{name} in {said}");
    }
}
