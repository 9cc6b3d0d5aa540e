//! What scripts rely on: the line of `up --json`, exit codes, messages, the columns of `score`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use holdfast_testkit::{Process, Stream, free_ports};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Finished, PATIENCE, holdfast, run};

/// A stack that `holdfast up` started.
pub(crate) struct Up {
    process: Process,
    pub(crate) ready: Value,
    directory: TempDir,
}

impl Up {
    pub(crate) async fn start() -> Self {
        Self::with(tempfile::tempdir().unwrap(), &[]).await
    }

    /// With more arguments, over a directory that they may name.
    pub(crate) async fn with(directory: TempDir, more: &[&str]) -> Self {
        let data = directory.path().join("data");
        let own = [
            "up",
            "--http",
            "127.0.0.1:0",
            "--json",
            "--data-dir",
            data.to_str().unwrap(),
        ];
        let process = holdfast(own.iter().chain(more)).spawn();
        let line = process
            .wait_for_line("its ready line", PATIENCE, |line| line.stream == Stream::Stdout)
            .await;
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self {
            process,
            ready,
            directory,
        }
    }

    /// Ends it as Ctrl-C does.
    pub(crate) async fn end(mut self) {
        self.process.interrupt();
        assert_eq!(self.process.wait_exit(PATIENCE).await.code(), Some(0));
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.ready["http"].as_str().unwrap())
    }

    pub(crate) async fn cli(&self, arguments: &[&str]) -> Finished {
        run(arguments.iter().copied().chain(["--url", &self.url()])).await
    }

    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        self.cli(&arguments).await.json()
    }

    pub(crate) async fn simulate(&self, name: &str, rows: &str) -> PathBuf {
        let file = self.file(name);
        self.json(&[
            "simulate",
            "customers",
            "--rows",
            rows,
            "--seed",
            "3",
            "--out",
            file.to_str().unwrap(),
        ])
        .await;
        file
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn up_says_in_one_line_where_it_is_and_ends_with_zero_on_sigterm() {
    let mut up = Up::start().await;
    let address = |pointer: &str| {
        let text = up
            .ready
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {pointer} in {}", up.ready));
        let address: SocketAddr = text.parse().unwrap();
        assert!(
            address.port() != 0 && address.ip().is_loopback(),
            "{pointer} is {address}"
        );
    };
    address("/http");
    for name in ["registry", "inference", "training", "monitoring"] {
        address(&format!("/grpc/{name}"));
        address(&format!("/admin/{name}"));
    }
    address("/admin/gateway");
    let status = up.json(&["status"]).await;
    assert!(
        status["services"]
            .as_array()
            .unwrap()
            .iter()
            .all(|service| service["reachable"] == true),
        "{status}"
    );

    up.process.terminate();
    let status = up.process.wait_exit(PATIENCE).await;
    assert_eq!(status.code(), Some(0));
    up.process.wait_output(PATIENCE).await;
    assert_eq!(
        up.process.stdout().len(),
        1,
        "nothing but the line: {:?}",
        up.process.stdout()
    );
}

#[tokio::test]
async fn a_table_is_trained_on_scored_and_predicted() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "3000").await;
    let trained = up.json(&["train", "--source", text(&bank), "--seed", "7"]).await;
    assert!(
        trained["run_id"].is_string() && trained["accepted"] == true && trained["version"] == 1,
        "{trained}"
    );
    assert!(trained["metrics"]["test_roc_auc"].is_f64(), "{trained}");

    // Longer than one request, so that the order of the answers is seen to be kept.
    let customers = up.simulate("customers.csv", "2200").await;
    let scores = up.file("scores.csv");
    let scored = up
        .json(&["score", "--source", text(&customers), "--out", text(&scores)])
        .await;
    assert_eq!(
        (&scored["rows"], &scored["versions"]),
        (&2_200.into(), &serde_json::json!([1])),
        "{scored}"
    );
    scores_follow_the_customers(&scores, &customers);

    // The latest predictions count, although no segment of the log was due yet; scores of a whole table are none.
    let asked = up.json(&["simulate", "traffic", "--rows", "2200"]).await;
    assert_eq!(asked["answered"], 2_200, "{asked}");
    let checked = up.json(&["drift", "check", "--last", "1h"]).await;
    assert_eq!(checked["report"]["rows"], 2_200, "{checked}");

    let fields = [
        "Total_Relationship_Count=3",
        "Credit_Limit=3200",
        "Total_Revolving_Bal=0",
        "Total_Amt_Chng_Q4_Q1=0.62",
        "Total_Trans_Amt=2100",
        "Total_Trans_Ct=38",
        "Total_Ct_Chng_Q4_Q1=0.45",
        "Avg_Utilization_Ratio=0",
    ];
    let arguments: Vec<&str> = ["predict"]
        .into_iter()
        .chain(fields.into_iter().flat_map(|field| ["--field", field]))
        .collect();
    let over_rest = up.json(&arguments).await;
    let grpc = up.ready["grpc"]["inference"].as_str().unwrap().to_owned();
    let over_grpc = up.json(&[arguments.as_slice(), &["--grpc", &grpc]].concat()).await;
    assert_eq!(over_rest["predictions"], over_grpc["predictions"]);
    assert!(
        !over_rest["predictions"][0]["reasons"].as_array().unwrap().is_empty(),
        "{over_rest}"
    );

    let wrong = up.cli(&["predict", "--field", "Credit_Limit=-5"]).await;
    assert_eq!((wrong.code(), wrong.stdout.as_str()), (Some(1), ""));
    for part in ["Credit_Limit", "below_minimum", "Total_Trans_Ct", "required"] {
        assert!(wrong.stderr.contains(part), "no {part} in: {}", wrong.stderr);
    }

    champions_and_tables_for_people(&up).await;
    up.end().await;
}

fn scores_follow_the_customers(scores: &Path, customers: &Path) {
    let mut scores = csv::Reader::from_path(scores).unwrap();
    assert_eq!(
        scores.headers().unwrap(),
        vec!["CLIENTNUM", "probability", "label", "version", "reasons"]
    );
    let scores: Vec<csv::StringRecord> = scores.records().collect::<Result<_, _>>().unwrap();
    let mut customers = csv::Reader::from_path(customers).unwrap();
    let customers: Vec<csv::StringRecord> = customers.records().collect::<Result<_, _>>().unwrap();
    let keys = |rows: &[csv::StringRecord]| rows.iter().map(|row| row[0].to_owned()).collect::<Vec<_>>();
    assert_eq!(keys(&scores), keys(&customers));
    for row in &scores {
        let probability: f64 = row[1].parse().unwrap();
        assert!((0.0..=1.0).contains(&probability), "{row:?}");
        assert!(
            ["0", "1"].contains(&&row[2]) && &row[3] == "1" && !row[4].is_empty(),
            "{row:?}"
        );
    }
    assert!(scores.iter().any(|row| &row[2] == "1") && scores.iter().any(|row| &row[2] == "0"));
}

async fn champions_and_tables_for_people(up: &Up) {
    let log = up.json(&["champion", "log"]).await;
    let at = log["entries"][0]["at"].as_str().unwrap().to_owned();
    assert_eq!(up.json(&["champion", "at", &at]).await["version"], 1);
    let before = up.cli(&["champion", "at", "2001-01-01T00:00:00Z"]).await;
    assert_eq!((before.code(), before.stdout.as_str()), (Some(1), ""));
    assert!(
        before.stderr.contains("no champion at 2001-01-01T00:00:00Z"),
        "{}",
        before.stderr
    );
    assert_eq!(up.json(&["models"]).await["versions"][0]["version"], 1);
    assert_eq!(up.json(&["models", "show", "1"]).await["status"], "ready");
    for arguments in [
        ["status"].as_slice(),
        &["models"],
        &["models", "show", "1"],
        &["champion", "log"],
        &["data", "list"],
        &["drift", "list"],
    ] {
        let shown = up.cli(arguments).await;
        assert_eq!(shown.code(), Some(0), "{arguments:?}: {}", shown.stderr);
        assert!(
            shown.stdout.contains('│'),
            "{arguments:?} gives no table: {}",
            shown.stdout
        );
    }
    let refused = up.cli(&["promote", "9"]).await;
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr.contains('9'), "{}", refused.stderr);
}

#[tokio::test]
async fn a_bad_table_is_refused_with_row_column_and_rule() {
    let up = Up::start().await;
    let bank = up.simulate("bank.csv", "1000").await;
    let content = std::fs::read_to_string(&bank).unwrap();
    let mut lines: Vec<String> = content.lines().map(str::to_owned).collect();
    let column = lines[0].split(',').position(|name| name == "Gender").unwrap();
    let mut cells: Vec<&str> = lines[17].split(',').collect();
    cells[column] = "X";
    lines[17] = cells.join(",");
    std::fs::write(&bank, lines.join("\n")).unwrap();

    for arguments in [["data", "import", "--source"], ["train", "--json", "--source"]] {
        let refused = up.cli(&[&arguments[..], &[text(&bank)]].concat()).await;
        assert_eq!(
            (refused.code(), refused.stdout.as_str()),
            (Some(1), ""),
            "{arguments:?}"
        );
        for part in ["17", "Gender", "unknown_category"] {
            assert!(
                refused.stderr.contains(part),
                "{arguments:?}: no {part} in: {}",
                refused.stderr
            );
        }
    }
}

#[tokio::test]
async fn where_no_gateway_answers_the_message_says_what_to_do() {
    let [port] = free_ports::<1>();
    let url = format!("http://127.0.0.1:{port}");
    let expected = format!("holdfast: no gateway answers at {url}: start one with `holdfast up` or name it with --url");
    let mut by_variable = holdfast(["status", "--json"]).env("HOLDFAST_URL", &url).spawn();
    assert_eq!(by_variable.wait_exit(PATIENCE).await.code(), Some(1));
    by_variable.wait_output(PATIENCE).await;
    assert_eq!(
        (by_variable.stdout(), by_variable.stderr()),
        (vec![], vec![expected.clone()])
    );

    let by_flag = run(["status", "--json", "--url", &url]).await;
    assert_eq!(
        (by_flag.code(), by_flag.stdout, by_flag.stderr),
        (Some(1), String::new(), expected)
    );
}

#[tokio::test]
async fn wrong_usage_ends_with_two() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().to_str().unwrap();
    for arguments in [
        ["frobnicate"].as_slice(),
        &["train", "--sauce", "bank.csv"],
        &["status", "--url", "127.0.0.1:8080"],
        &["predict"],
        &["score", "--source", "bank.xlsx", "--out", "scores.csv"],
        &["simulate", "customers", "--out", "bank.csv", "--scenario", "earthquake"],
        &["drift", "check", "--last", "soon"],
        &["up", "--data-dir", data, "--set", "inference.bimd=127.0.0.1:0"],
        &[
            "up",
            "--data-dir",
            data,
            "--http",
            "127.0.0.1:0",
            "--set",
            "blob_store.kind=memory",
        ],
    ] {
        let wrong = run(arguments).await;
        assert_eq!(
            (wrong.code(), wrong.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}: {}",
            wrong.stderr
        );
        assert!(!wrong.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn every_command_shows_examples_in_its_help() {
    for command in [
        ["up"].as_slice(),
        &["serve"],
        &["demo"],
        &["data", "import"],
        &["data", "explore"],
        &["simulate", "customers"],
        &["simulate", "traffic"],
        &["simulate", "outcomes"],
        &["train"],
        &["tune"],
        &["score"],
        &["predict"],
        &["models"],
        &["models", "card"],
        &["models", "evaluation"],
        &["models", "reproduce"],
        &["promote"],
        &["rollback"],
        &["champion", "at"],
        &["webhooks", "add"],
        &["drift"],
        &["log", "verify"],
        &["log", "replay"],
        &["outcomes", "import"],
        &["status"],
    ] {
        let help = run(command.iter().copied().chain(["--help"])).await;
        assert_eq!(help.code(), Some(0), "{command:?}");
        assert!(
            help.stdout.contains("Examples:") && help.stdout.contains("holdfast "),
            "{command:?}: {}",
            help.stdout
        );
    }
}
