//! `holdfast serve` and `holdfast-serving`: gateway and inference in one process, the rest elsewhere.

use holdfast_testkit::{ProcessBuilder, Stream, eventually};
use serde_json::Value;

use crate::command_line::{Up, text};
use crate::support::{PATIENCE, binary, customers, holdfast, record};

async fn ask(url: &str, customer: &Value) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{url}/predict")).json(customer);
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_serving_node_answers_as_the_stack_does_follows_its_champions_and_outlives_it() {
    let up = Up::start().await;
    for seed in ["7", "8"] {
        let bank = up.simulate(&format!("bank-{seed}.csv"), "3000").await;
        let promote = if seed == "7" { [].as_slice() } else { &["--no-promote"] };
        let train = [&["train", "--source", text(&bank), "--seed", seed], promote].concat();
        up.json(&train).await;
    }
    let own = up.file("node");
    let blobs = format!("blob_store.directory.path={}", text(&up.file("data").join("blobs")));
    let registry = format!(
        "peers.registry=http://{}",
        up.ready["grpc"]["registry"].as_str().unwrap()
    );
    let arguments = ["serve", "--http", "127.0.0.1:0", "--json", "--data-dir", text(&own)];
    let mut node = holdfast(arguments.iter().chain(&["--set", &blobs, "--set", &registry])).spawn();
    let line = node
        .wait_for_line("its ready line", PATIENCE, |line| line.stream == Stream::Stdout)
        .await;
    let ready: Value = serde_json::from_str(&line).unwrap();
    for pointer in ["/http", "/grpc/inference", "/admin/gateway", "/admin/inference"] {
        assert!(
            ready.pointer(pointer).is_some_and(Value::is_string),
            "no {pointer} in {ready}"
        );
    }
    assert!(ready.pointer("/grpc/registry").is_none(), "{ready}");
    let url = format!("http://{}", ready["http"].as_str().unwrap());

    let customer = record(&customers(1)[0]);
    let by_version = |version: &'static str| {
        let (url, customer) = (url.clone(), customer.clone());
        eventually("the node has the champion", PATIENCE, async move || {
            let answer: Value = ask(&url, &customer).await.json().await.unwrap();
            answer["model_version"] == version
        })
    };
    let asked = async |url: &str| {
        let answer = ask(url, &customer).await.error_for_status().unwrap();
        let answer: Value = answer.json().await.unwrap();
        (
            answer["model_version"].clone(),
            answer["probabilities"][0].as_f64().unwrap().to_bits(),
        )
    };
    by_version("1").await;
    assert_eq!(asked(&url).await, asked(&up.url()).await);

    up.json(&["promote", "2", "--override", "--note", "to be followed"])
        .await;
    by_version("2").await;
    let before = asked(&url).await;
    up.end().await;
    assert_eq!(asked(&url).await, before);

    node.terminate();
    assert_eq!(node.wait_exit(PATIENCE).await.code(), Some(0));
    node.wait_output(PATIENCE).await;
    assert_eq!(node.stdout().len(), 1, "nothing but the line: {:?}", node.stdout());
}

#[tokio::test]
async fn the_program_for_a_node_answers_as_the_stack_does_and_says_when_it_is_ready() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "3000").await;
    up.json(&["train", "--source", text(&bank), "--seed", "7"]).await;
    let registry = format!("http://{}", up.ready["grpc"]["registry"].as_str().unwrap());
    let mut node = ProcessBuilder::new(binary("holdfast-serving"))
        .clear_env()
        .current_dir(up.file("."))
        .env("HOLDFAST_DATA_DIR", up.file("node"))
        .env("HOLDFAST_BLOB_STORE__DIRECTORY__PATH", up.file("data").join("blobs"))
        .env("HOLDFAST_PEERS__REGISTRY", registry)
        .env("HOLDFAST_GATEWAY__BIND", "127.0.0.1:0")
        .env("HOLDFAST_GATEWAY__ADMIN", "127.0.0.1:0")
        .env("HOLDFAST_INFERENCE__BIND", "127.0.0.1:0")
        .env("HOLDFAST_INFERENCE__ADMIN", "127.0.0.1:0")
        .spawn();
    let mut said = Vec::new();
    for place in ["\"grpc\":", "\"http\":"] {
        let line = node.wait_for_line(place, PATIENCE, |line| {
            line.text.contains("\"message\":\"listening\"") && line.text.contains(place)
        });
        said.push(serde_json::from_str::<Value>(&line.await).unwrap());
    }
    for said in &said {
        eventually("both are ready", PATIENCE, async || {
            let mut health = ProcessBuilder::new(binary("holdfast-serving"))
                .args(["health", "--address", said["admin"].as_str().unwrap()])
                .spawn();
            health.wait_exit(PATIENCE).await.code() == Some(0)
        })
        .await;
    }

    let customer = record(&customers(1)[0]);
    let scores = async |url: String| {
        let answer = ask(&url, &customer).await.error_for_status().unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["probabilities"].clone()
    };
    let own = format!("http://{}", said[1]["http"].as_str().unwrap());
    assert_eq!(scores(own).await, scores(up.url()).await);

    node.terminate();
    assert_eq!(node.wait_exit(PATIENCE).await.code(), Some(0));
    up.end().await;
}
