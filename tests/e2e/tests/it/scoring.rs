//! A whole table scored: the same bits as serving, whatever happens meanwhile, into files and buckets.

use std::path::{Path, PathBuf};

use holdfast_domain::Schema;
use holdfast_simulator::customers_between;
use holdfast_sources::{S3Object, SourceSpec};
use holdfast_storage::{S3Settings, Secret};
use holdfast_testkit::{ProcessBuilder, SeaweedS3, eventually, workspace_root};
use tempfile::TempDir;

use crate::support::{Cluster, Finished, PATIENCE, binary, holdfast, run};

/// The oldest artefact there is.
const SAMPLE: &str = "v1.hfm";

/// A frozen artefact, and customers to score with it.
struct Offline {
    directory: TempDir,
}

impl Offline {
    async fn with(rows: u64) -> Self {
        let offline = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let sample = workspace_root().join("shared/model/tests/samples").join(SAMPLE);
        std::fs::copy(sample, offline.file("model.hfm")).unwrap();
        offline.write("customers.csv", rows).await;
        offline
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    async fn write(&self, name: &str, rows: u64) {
        let spec = SourceSpec::parse(text(&self.file(name))).unwrap();
        let customers = customers_between(0..rows, 11);
        holdfast_sources::write(&spec, &customers, Schema::embedded())
            .await
            .unwrap();
    }

    fn command(&self, out: &str, more: &[&str]) -> ProcessBuilder {
        holdfast(["score", "--json", "--part-rows", "4096"])
            .current_dir(self.directory.path())
            .args([
                "--model-file",
                "model.hfm",
                "--version",
                "1",
                "--source",
                "customers.csv",
            ])
            .args(["--out", out])
            .args(more)
    }

    async fn score(&self, out: &str, more: &[&str]) -> Finished {
        finished(self.command(out, more)).await
    }
}

async fn finished(program: ProcessBuilder) -> Finished {
    let mut process = program.spawn();
    let status = process.wait_exit(PATIENCE).await;
    process.wait_output(PATIENCE).await;
    Finished {
        status,
        stdout: process.stdout().join("\n"),
        stderr: process.stderr().join("\n"),
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn rows(path: &Path) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(path)
        .unwrap()
        .records()
        .collect::<Result<_, _>>()
        .unwrap()
}

#[tokio::test]
async fn batch_scores_are_the_bits_and_reasons_that_serving_answers() {
    let cluster = Cluster::start().await;
    cluster.train(2, &["--preset", "fast"]).await;
    let customers = customers_between(0..300, 5);
    let source = cluster.file("customers.db");
    let spec = SourceSpec::parse(text(&source)).unwrap();
    holdfast_sources::write(&spec, &customers, Schema::embedded())
        .await
        .unwrap();
    let (out, calls) = (cluster.file("scores.csv"), cluster.file("calls.csv"));
    let scored = cluster
        .cli(&[
            "score",
            "--source",
            text(&source),
            "--out",
            text(&out),
            "--call-list",
            text(&calls),
            "--top",
            "10",
        ])
        .await
        .json();
    assert_eq!(
        (&scored["rows"], &scored["versions"][0], &scored["called"]),
        (&300.into(), &1.into(), &10.into()),
        "{scored}"
    );

    let served = cluster.predict_explained(&customers).await;
    for (row, prediction) in rows(&out).iter().zip(served["predictions"].as_array().unwrap()) {
        let probability: f64 = row[1].parse().unwrap();
        assert_eq!(
            probability.to_bits(),
            prediction["probability"].as_f64().unwrap().to_bits()
        );
        assert_eq!(&row[2] == "1", prediction["label"].as_bool().unwrap());
        let reasons = prediction["reasons"].as_array().unwrap().iter();
        let reasons: Vec<&str> = reasons.map(|reason| reason["text"].as_str().unwrap()).collect();
        assert_eq!(row[4], *reasons.join("; "));
    }
    // The artefact as a file scores the same, and nothing of the running stack is needed.
    let (model, offline) = (cluster.file("model.hfm"), cluster.file("offline.csv"));
    let exported = cluster
        .cli(&["models", "export", "1", "--format", "holdfast", "--out", text(&model)])
        .await
        .json();
    assert_eq!(exported["format"], "holdfast");
    let arguments = [
        "--model-file",
        text(&model),
        "--version",
        "1",
        "--source",
        text(&source),
        "--out",
        text(&offline),
    ];
    assert_eq!(run(["score"].into_iter().chain(arguments)).await.code(), Some(0));
    assert!(std::fs::read(&offline).unwrap() == std::fs::read(&out).unwrap());

    let listed: Vec<f64> = rows(&calls).iter().map(|row| row[2].parse().unwrap()).collect();
    let mut expected: Vec<f64> = rows(&out)
        .iter()
        .filter(|row| &row[2] == "1")
        .map(|row| row[1].parse().unwrap())
        .collect();
    expected.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(listed, expected[..10]);
    assert!(!cluster.file("scores.csv.part").exists());
}

#[tokio::test]
async fn a_run_that_is_killed_goes_on_and_ends_in_the_same_bytes() {
    let offline = Offline::with(100_000).await;
    let options = ["--call-list", "calls.csv", "--capacity", "500", "--on-bad-row", "skip"];
    for out in ["scores.parquet", "scores.csv"] {
        let whole = offline
            .score(out, &[&options[..], &["--threads", "1"]].concat())
            .await
            .json();
        assert_eq!(
            (&whole["resumed_rows"], &whole["rows"]),
            (&0.into(), &100_000.into()),
            "{whole}"
        );
        let files = [out, "calls.csv"].map(|name| std::fs::read(offline.file(name)).unwrap());
        for name in [out, "calls.csv"] {
            std::fs::remove_file(offline.file(name)).unwrap();
        }

        let part = |number: u32| offline.file(&format!("{out}.part/part-{number:05}.json"));
        let mut killed = offline.command(out, &options).spawn();
        eventually("a first part", PATIENCE, async || part(0).exists()).await;
        killed.kill();
        killed.wait_exit(PATIENCE).await;
        assert!(!offline.file(out).exists(), "half a result");
        assert!(!part(24).exists(), "it was killed too late to show anything");

        // Another question is refused while these parts are there.
        let refused = offline.score(out, &["--reasons", "1"]).await;
        assert_eq!((refused.code(), refused.stdout.as_str()), (Some(1), ""));
        for word in ["reasons was 3 and is 1", "--restart"] {
            assert!(refused.stderr.contains(word), "no {word} in {}", refused.stderr);
        }

        let resumed = offline.score(out, &options).await.json();
        assert!(resumed["resumed_rows"].as_u64().unwrap() >= 4_096, "{resumed}");
        assert_eq!(resumed["expected_to_leave"], whole["expected_to_leave"]);
        for (name, bytes) in [out, "calls.csv"].into_iter().zip(&files) {
            assert!(std::fs::read(offline.file(name)).unwrap() == *bytes, "{name} differs");
        }
        assert!(!offline.file(&format!("{out}.part")).exists());
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_run_goes_on_when_there_is_room() {
    let offline = Offline::with(30_000).await;
    let whole = offline.score("whole.csv", &[]).await.json();
    // A limit on the size of files stands in for a full disk: the parts are below it, the whole is above.
    let command = format!(
        "trap '' XFSZ; ulimit -f 4000; exec {} score --json --part-rows 4096 --model-file model.hfm --version 1 --source customers.csv --out scores.csv",
        text(&binary("holdfast"))
    );
    let limited = ProcessBuilder::new("/bin/sh")
        .clear_env()
        .args(["-c", &command])
        .current_dir(offline.directory.path());
    let full = finished(limited).await;
    assert_eq!((full.code(), full.stdout.as_str()), (Some(1), ""), "{}", full.stderr);
    assert!(full.stderr.contains("scores.csv cannot be written"), "{}", full.stderr);
    assert!(full.stderr.contains("run the same command again"), "{}", full.stderr);
    assert!(!offline.file("scores.csv").exists());

    let again = offline.score("scores.csv", &[]).await.json();
    assert_eq!(again["rows"], whole["rows"]);
    assert!(again["resumed_rows"].as_u64().unwrap() > 0, "{again}");
    let bytes = |name: &str| std::fs::read(offline.file(name)).unwrap();
    assert!(bytes("scores.csv") == bytes("whole.csv"));
}

#[tokio::test]
async fn bad_rows_end_the_run_or_are_left_out_with_their_reasons() {
    let offline = Offline::with(9_000).await;
    let content = std::fs::read_to_string(offline.file("customers.csv")).unwrap();
    let mut lines: Vec<String> = content.lines().map(str::to_owned).collect();
    let column = lines[0].split(',').position(|name| name == "Total_Trans_Ct").unwrap();
    for row in [17, 8_500] {
        let mut cells: Vec<&str> = lines[row].split(',').collect();
        cells[column] = "-4";
        lines[row] = cells.join(",");
    }
    std::fs::write(offline.file("customers.csv"), lines.join("\n")).unwrap();

    let refused = offline.score("scores.csv", &[]).await;
    assert_eq!((refused.code(), refused.stdout.as_str()), (Some(1), ""));
    for word in ["17", "Total_Trans_Ct", "below_minimum", "--on-bad-row skip"] {
        assert!(refused.stderr.contains(word), "no {word} in {}", refused.stderr);
    }
    assert!(!offline.file("scores.csv").exists() && !offline.file("scores.csv.part").exists());

    let scored = offline.score("scores.csv", &["--on-bad-row", "skip"]).await.json();
    assert_eq!(
        (&scored["rows"], &scored["refused_rows"]),
        (&8_998.into(), &2.into()),
        "{scored}"
    );
    let key = |row: usize| lines[row].split(',').next().unwrap().to_owned();
    let keys: Vec<String> = rows(&offline.file("scores.csv"))
        .iter()
        .map(|row| row[0].to_owned())
        .collect();
    assert!(!keys.contains(&key(17)) && keys.contains(&key(18)));
    let left_out = rows(&offline.file("scores.csv.refused.csv"));
    let found: Vec<[&str; 4]> = left_out
        .iter()
        .map(|row| [&row[0], &row[1], &row[2], &row[3]])
        .collect();
    let (first, second) = (key(17), key(8_500));
    let rule = ["Total_Trans_Ct", "below_minimum"];
    assert_eq!(
        found,
        [
            ["17", first.as_str(), rule[0], rule[1]],
            ["8500", second.as_str(), rule[0], rule[1]]
        ]
    );
}

#[tokio::test]
async fn a_table_in_a_bucket_is_scored_into_a_bucket() {
    let offline = Offline::with(6_000).await;
    let local = offline.score("scores.csv", &[]).await.json();
    let server = SeaweedS3::shared().await;
    let place = |name: &str| format!("s3://{}/scoring/{name}", server.bucket());
    let source = S3Object::parse(&place("customers.csv")).unwrap();
    let (store, key) = source.open(&settings(server)).await.unwrap();
    store.put_file(&key, &offline.file("customers.csv")).await.unwrap();

    let model = offline.file("model.hfm");
    let out = place("scores.csv");
    let program = holdfast(["score", "--json", "--model-file", text(&model), "--version", "1"])
        .args(["--source", &source.to_string(), "--out", &out])
        .current_dir(offline.directory.path())
        .env("HOLDFAST_BLOB_STORE__S3__ENDPOINT", server.endpoint())
        .env("HOLDFAST_BLOB_STORE__S3__PATH_STYLE", "true")
        .env("HOLDFAST_BLOB_STORE__S3__ACCESS_KEY_ID", server.access_key_id())
        .env("HOLDFAST_BLOB_STORE__S3__SECRET_ACCESS_KEY", server.secret_access_key());
    let scored = finished(program).await.json();
    assert_eq!(
        (&scored["rows"], &scored["out"]),
        (&local["rows"], &out.as_str().into()),
        "{scored}"
    );

    let object = S3Object::parse(&out).unwrap();
    let copy = offline.file("copy.csv");
    holdfast_sources::fetch(&object, &settings(server), &copy)
        .await
        .unwrap();
    assert!(std::fs::read(copy).unwrap() == std::fs::read(offline.file("scores.csv")).unwrap());
    assert!(!offline.file("scores.csv.part").exists());
}

fn settings(server: &SeaweedS3) -> S3Settings {
    S3Settings {
        endpoint: Some(server.endpoint().to_owned()),
        path_style: true,
        access_key_id: Some(server.access_key_id().to_owned()),
        secret_access_key: Some(Secret::new(server.secret_access_key())),
        ..S3Settings::default()
    }
}

#[tokio::test]
async fn what_cannot_be_scored_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("scores.xlsx");
    for wrong in [
        ["--out", text(&out), "--reasons", "3"],
        ["--out", "scores.csv", "--reasons", "20"],
        ["--out", "scores.csv", "--top", "5"],
        ["--out", "scores.csv", "--part-rows", "1000"],
        ["--out", "scores.csv", "--bad-rows", "bad.csv"],
    ] {
        let arguments = ["score", "--source", "customers.csv"].into_iter().chain(wrong);
        let refused = run(arguments).await;
        assert_eq!(
            (refused.code(), refused.stdout.as_str()),
            (Some(2), ""),
            "{wrong:?}: {}",
            refused.stderr
        );
    }
    let missing = run([
        "score",
        "--source",
        "/no/such.csv",
        "--out",
        text(&directory.path().join("a.csv")),
    ])
    .await;
    assert_eq!(missing.code(), Some(1));
    assert!(missing.stderr.contains("there is no such file"), "{}", missing.stderr);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
