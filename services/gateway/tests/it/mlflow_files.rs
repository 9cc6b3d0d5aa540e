//! Files of MLflow's clients: streamed both ways, in bounded memory, with deadlines for silence.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use holdfast_chassis::{Code, Fault};
use holdfast_testkit::eventually;
use reqwest::{Body, RequestBuilder};
use serde_json::json;

use crate::answers::mlflow::{MODEL, RUN};
use crate::mlflow::{get, refused, said};
use crate::stack::{PATIENCE, Stack, ok};

const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

fn put(stack: &Stack, path: &str, body: impl Into<Body>) -> RequestBuilder {
    stack.client.put(stack.url(&format!("{FILES}/{path}"))).body(body)
}

fn fetch(stack: &Stack, path: &str) -> RequestBuilder {
    stack.get(&format!("{FILES}/{path}"))
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|index| (index % 251) as u8).collect()
}

/// A body whose pieces come when the test sends them.
fn body() -> (tokio::sync::mpsc::UnboundedSender<Bytes>, Body) {
    let (pieces, written) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
    let written = stream::unfold(written, async |mut written| {
        Some((Ok::<_, Infallible>(written.recv().await?), written))
    });
    (pieces, Body::wrap_stream(written))
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out_as_it_was() {
    // Neither the limit of JSON bodies nor any other of this server is that of files.
    let stack = Stack::with(&[
        ("gateway.max_message_bytes", json!(1_000)),
        ("gateway.max_upload_bytes", json!(1_000)),
    ])
    .await;
    let file = bytes(3_500_000);
    let answer = put(&stack, "1/r/artifacts/bins/f.bin", file.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "");
    let stored = stack.fakes.stored().await;
    assert_eq!(
        (&*stored.path, stored.bytes, stored.whole),
        ("1/r/artifacts/bins/f.bin", 3_500_000, true)
    );
    assert!(stored.largest_part <= 1 << 20, "{}", stored.largest_part);
    let answer = fetch(&stack, "1/r/artifacts/bins/f.bin")
        .header("accept-encoding", "gzip")
        .send()
        .await
        .unwrap();
    let headers = answer.headers().clone();
    assert_eq!(headers["content-length"], "3500000");
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert_eq!(headers["content-disposition"], "attachment; filename=f.bin");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(answer.bytes().await.unwrap() == file, "other bytes");
    assert!(
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_uploaded_bytes_total 3500000")
    );
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let stack = Stack::start().await;
    assert_eq!(
        put(&stack, "1/r/artifacts/__init__.py", "")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let answer = fetch(&stack, "1/r/artifacts/__init__.py").send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-length"]),
        (200, &"0".parse().unwrap())
    );
}

#[tokio::test]
async fn paths_are_decoded_once() {
    let stack = Stack::start().await;
    for (sent, path) in [
        ("1/a%20b+c.txt", "1/a b+c.txt"),
        ("1/a%252e%2Fb", "1/a%2e/b"),
        ("1/gr%C3%B6%C3%9Fe", "1/größe"),
    ] {
        assert_eq!(put(&stack, sent, "x").send().await.unwrap().status(), 200, "{sent}");
        assert_eq!(stack.fakes.kept(path).unwrap(), b"x", "{path}");
    }
    for sent in ["1/..%2Fsecret", "1/a%5Cb", "%2Fetc/passwd", "1/a%00b", "1/a%2F%2Fb"] {
        for request in [
            put(&stack, sent, "x"),
            fetch(&stack, sent),
            stack.client.delete(stack.url(&format!("{FILES}/{sent}"))),
        ] {
            assert_eq!(refused(request, 400).await.0, "INVALID_PARAMETER_VALUE", "{sent}");
        }
    }
    assert_eq!(
        (stack.fakes.times("write_artifact"), stack.fakes.times("read_artifact")),
        (3, 0)
    );
    assert_eq!(refused(fetch(&stack, "1/%ff"), 400).await.0, "INVALID_PARAMETER_VALUE");
}

#[tokio::test]
async fn folders_are_listed_by_names_and_runs_by_paths() {
    let stack = Stack::start().await;
    let list = |path: &str| stack.get(FILES).query(&[("path", path)]);
    let files = json!([{"path": "bins", "is_dir": true}, {"path": "cfg", "is_dir": true}, {"path": "notes.txt", "is_dir": false, "file_size": 5}]);
    assert_eq!(ok(list("1/r/artifacts/")).await, json!({"files": files}));
    assert_eq!(stack.fakes.times("list_artifacts"), 2, "both pages");
    assert_eq!(
        ok(list("1/r/artifacts/notes.txt")).await,
        json!({}),
        "a file has nothing in it"
    );
    assert_eq!(ok(stack.get(FILES)).await, json!({}));
    said(&stack, "list_artifacts", &["path: \"\""]);
    assert_eq!(refused(list("1/../2"), 400).await.0, "INVALID_PARAMETER_VALUE");

    let of_run = ok(get(&stack, "artifacts/list", &[("run_id", RUN)])).await;
    assert_eq!(
        of_run,
        json!({"root_uri": format!("mlflow-artifacts:/1/{RUN}/artifacts"), "files": files})
    );
    let within = ok(get(
        &stack,
        "artifacts/list",
        &[("run_id", RUN), ("path", "a/artifacts")],
    ))
    .await;
    assert_eq!(within["files"][2]["path"], "a/artifacts/notes.txt");
    said(
        &stack,
        "list_artifacts",
        &[&format!("path: \"1/{RUN}/artifacts/a/artifacts\"")],
    );
    assert_eq!(
        refused(get(&stack, "artifacts/list", &[("run_id", RUN), ("path", "..")]), 400)
            .await
            .0,
        "INVALID_PARAMETER_VALUE"
    );

    let directories = format!("logged-models/{MODEL}/artifacts/directories");
    let of_model = ok(get(&stack, &directories, &[("artifact_directory_path", "artifacts")])).await;
    assert_eq!(
        of_model["root_uri"],
        format!("mlflow-artifacts:/1/models/{MODEL}/artifacts")
    );
    assert_eq!(of_model["files"][0], json!({"path": "artifacts/bins", "is_dir": true}));
}

#[tokio::test]
async fn files_are_removed_and_missing_ones_are_missing() {
    let stack = Stack::start().await;
    let removed = ok(stack.client.delete(stack.url(&format!("{FILES}/1/r/artifacts/bins")))).await;
    assert_eq!(removed, json!({}));
    said(&stack, "delete_artifacts", &["path: \"1/r/artifacts/bins\""]);
    assert_eq!(
        refused(fetch(&stack, "1/nothing"), 404).await.0,
        "RESOURCE_DOES_NOT_EXIST"
    );
    for (code, reason, status, error_code) in [
        (
            Code::ResourceExhausted,
            "ARTIFACT_TOO_LARGE",
            413,
            "INVALID_PARAMETER_VALUE",
        ),
        (Code::FailedPrecondition, "READ_ONLY_PATH", 403, "PERMISSION_DENIED"),
        (
            Code::FailedPrecondition,
            "ARTIFACT_PATH_TAKEN",
            409,
            "RESOURCE_CONFLICT",
        ),
        (Code::ResourceExhausted, "SPOOL_FULL", 429, "RESOURCE_EXHAUSTED"),
    ] {
        stack.fakes.fail("write_artifact", Fault::new(code, reason, "no"));
        assert_eq!(refused(put(&stack, "1/a", "x"), status).await.0, error_code, "{reason}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let stack = Stack::start().await;
    let (pieces, body) = body();
    pieces.send(Bytes::from(bytes(100_000))).unwrap();
    let sending = tokio::spawn(put(&stack, "1/half", body).send());
    let mut received = stack.fakes.received();
    received.wait_for(|bytes| *bytes == 100_000).await.unwrap();
    sending.abort();
    let stored = stack.fakes.stored().await;
    assert!(!stored.whole, "{stored:?}");
    assert_eq!(stack.fakes.kept("1/half"), None);
    drop(pieces);
}

#[tokio::test]
async fn an_upload_that_falls_silent_is_ended() {
    let stack = Stack::with(&[("gateway.artifacts.silence_timeout_ms", json!(100))]).await;
    let (pieces, body) = body();
    pieces.send(Bytes::from_static(b"begun")).unwrap();
    assert_eq!(refused(put(&stack, "1/half", body), 408).await.0, "DEADLINE_EXCEEDED");
    assert!(!stack.fakes.stored().await.whole);
    drop(pieces);
}

#[tokio::test]
async fn an_upload_takes_as_long_as_it_takes() {
    let stack = Stack::with(&[
        ("gateway.request_timeout_ms", json!(200)),
        ("client.request_timeout_ms", json!(100_000)),
    ])
    .await;
    let (pieces, body) = body();
    pieces.send(Bytes::from_static(b"begun, ")).unwrap();
    let sending = tokio::spawn(put(&stack, "1/slow", body).send());
    let mut received = stack.fakes.received();
    received.wait_for(|bytes| *bytes == 7).await.unwrap();
    // Another request begins later, and its time is over before that of the upload.
    stack.fakes.hang("get_run");
    let hanging = get(&stack, "runs/get", &[("run_id", RUN)]).send().await.unwrap();
    assert_eq!(hanging.status(), 504);
    pieces.send(Bytes::from_static(b"and ended")).unwrap();
    drop(pieces);
    assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    assert_eq!(stack.fakes.kept("1/slow").unwrap(), b"begun, and ended");
}

#[tokio::test]
async fn a_registry_that_takes_nothing_is_not_waited_for_and_nothing_piles_up() {
    const PIECE: usize = 256 << 10;
    let stack = Stack::with(&[("gateway.artifacts.silence_timeout_ms", json!(300))]).await;
    stack.fakes.hang("write_artifact");
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    let pieces = stream::iter(0..1_024).map(move |_| {
        counted.fetch_add(PIECE, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from(vec![0; PIECE]))
    });
    let request = put(&stack, "1/stuck", Body::wrap_stream(pieces));
    assert_eq!(refused(request, 504).await.0, "DEADLINE_EXCEEDED");
    // Of 256 MiB: buffers of sockets and windows of streams, on four ways.
    let read = read.load(Ordering::SeqCst);
    assert!(read < 64 << 20, "{read} bytes were read");
}

#[tokio::test]
async fn a_download_that_breaks_off_is_not_taken_for_a_whole_one() {
    let stack = Stack::with(&[("gateway.artifacts.silence_timeout_ms", json!(100))]).await;
    for path in ["1/broken", "1/silent"] {
        stack.fakes.keep(path, bytes(500_000));
        let answer = fetch(&stack, path).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-length"]),
            (200, &"500000".parse().unwrap())
        );
        let read = tokio::time::timeout(PATIENCE, answer.bytes()).await.unwrap();
        assert!(read.is_err(), "{path}: {} bytes", read.unwrap().len());
    }
    stack.fakes.keep("1/a", "a");
    stack.fakes.hang("read_artifact");
    assert_eq!(refused(fetch(&stack, "1/a"), 504).await.0, "DEADLINE_EXCEEDED");
}

#[tokio::test]
async fn ways_around_this_server_are_refused_in_words_that_clients_go_on_from() {
    let stack = Stack::start().await;
    let expected = |what: &str| {
        (
            "NOT_IMPLEMENTED".to_owned(),
            format!("{what} is not supported for the current artifact repository"),
        )
    };
    for part in ["create", "complete", "abort"] {
        let request = stack
            .post(&format!("/api/2.0/mlflow-artifacts/mpu/{part}/1/a"))
            .json(&json!({}));
        assert_eq!(refused(request, 501).await, expected("Multipart upload"));
    }
    let presigned = stack.get("/ajax-api/2.0/mlflow-artifacts/presigned/1/a");
    assert_eq!(refused(presigned, 501).await, expected("Multipart download"));
}

#[tokio::test]
async fn an_upload_under_way_is_waited_for_at_the_end() {
    let stack = Stack::start().await;
    let (pieces, body) = body();
    pieces.send(Bytes::from_static(b"begun, ")).unwrap();
    let sending = tokio::spawn(put(&stack, "1/last", body).send());
    stack.fakes.received().wait_for(|bytes| *bytes == 7).await.unwrap();
    stack.end();
    eventually("no new connection to be taken", PATIENCE, async || {
        reqwest::Client::new().get(stack.url("/")).send().await.is_err()
    })
    .await;
    pieces.send(Bytes::from_static(b"and ended")).unwrap();
    drop(pieces);
    assert_eq!(sending.await.unwrap().unwrap().status(), 200);
    assert_eq!(stack.fakes.kept("1/last").unwrap(), b"begun, and ended");
    stack.ended().await;
}
