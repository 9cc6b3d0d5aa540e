//! What stands around all routes: origins, compression, the page.

use std::io::{Read as _, Write as _};

use reqwest::Method;
use serde_json::{Value, json};

use crate::stack::{Stack, errors, expected, ok, problem, record};

const ORIGIN: &str = "https://dashboard.example.com";

fn preflight(stack: &Stack, origin: &str) -> reqwest::RequestBuilder {
    stack
        .client
        .request(Method::OPTIONS, stack.url("/predict"))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
}

#[tokio::test]
async fn no_page_of_another_origin_may_call_by_default() {
    let stack = Stack::start().await;
    let answer = preflight(&stack, ORIGIN).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 405);
    let answer = stack.get("/").header("origin", ORIGIN).send().await.unwrap();
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn an_allowed_origin_may_call_and_reads_refusals_too() {
    let stack = Stack::with(&[
        ("gateway.cors.allowed_origins", json!([ORIGIN])),
        ("gateway.request_timeout_ms", json!(50)),
    ])
    .await;
    let answer = preflight(&stack, ORIGIN).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["access-control-allow-origin"], ORIGIN);
    assert!(
        answer.headers()["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("content-type")
    );
    assert!(!answer.headers().contains_key("access-control-allow-credentials"));
    let other = preflight(&stack, "https://elsewhere.example.com").send().await.unwrap();
    assert!(!other.headers().contains_key("access-control-allow-origin"));

    // Answered by the chassis and not by a route.
    stack.fakes.hang("check_drift");
    let late = stack
        .post("/api/v1/drift/checks")
        .header("origin", ORIGIN)
        .send()
        .await
        .unwrap();
    assert_eq!(late.status().as_u16(), 504);
    assert_eq!(late.headers()["access-control-allow-origin"], ORIGIN);
    assert!(
        late.headers()["access-control-expose-headers"]
            .to_str()
            .unwrap()
            .contains("x-request-id")
    );
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_accept_it() {
    let stack = Stack::start().await;
    let ask = |path: &str, encoding: &str| stack.get(path).header("accept-encoding", encoding).send();
    let plain = stack.get("/openapi.json").send().await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = plain.bytes().await.unwrap();

    let answer = ask("/openapi.json", "gzip").await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert!(answer.headers()["vary"].to_str().unwrap().contains("accept-encoding"));
    let packed = answer.bytes().await.unwrap();
    assert!(packed.len() * 4 < plain.len(), "{} of {}", packed.len(), plain.len());
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed[..])
        .read_to_end(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, plain);

    let answer = ask("/openapi.json", "br, zstd;q=0.9, gzip;q=0.5").await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "zstd");
    for small in ["/api/v1/model", "/"] {
        let answer = ask(small, "gzip").await.unwrap();
        assert!(!answer.headers().contains_key("content-encoding"), "{small}");
    }
    // Events are flushed one by one.
    let events = ask("/api/v1/runs/run-1/events", "gzip").await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    assert!(!events.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn a_compressed_batch_reads_as_the_plain_one() {
    let stack = Stack::start().await;
    let batch = json!({"records": vec![record(); 100]});
    let post = || {
        stack
            .post("/api/v1/predictions")
            .header("x-request-id", "same")
            .json(&batch)
    };
    let plain = ok(post()).await;
    let packed = post().header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    let unpacked: Value = serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).unwrap();
    assert_eq!(unpacked, plain);
}

fn packed(text: &str) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text.as_bytes()).unwrap();
    packer.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_body_is_read_and_its_limit_is_for_what_comes_out() {
    let stack = Stack::with(&[
        ("gateway.max_message_bytes", json!(1_000)),
        ("gateway.max_upload_bytes", json!(1_000)),
    ])
    .await;
    let post = |path: &str, kind: &str, coding: &str, body: Vec<u8>| {
        let request = stack.post(path).header("content-type", kind);
        request.header("content-encoding", coding).body(body)
    };
    let predict = |coding: &str, body: Vec<u8>| post("/predict", "application/json", coding, body);
    let probabilities = |answer: Value| answer["probabilities"].clone();
    let plain = probabilities(ok(stack.post("/predict").json(&record())).await);
    let body = packed(&record().to_string());
    assert_eq!(plain, json!([0.9]));
    assert_eq!(probabilities(ok(predict("gzip", body.clone())).await), plain);
    let identity = predict("identity", record().to_string().into_bytes());
    assert_eq!(probabilities(ok(identity).await), plain);

    let bomb = packed(&" ".repeat(100_000));
    assert!(bomb.len() < 1_000, "{}", bomb.len());
    assert_eq!(
        problem(predict("gzip", bomb.clone()), 413).await["reason"],
        "BODY_TOO_LARGE"
    );
    let stream = post("/api/v1/predictions/stream", "application/x-ndjson", "gzip", bomb);
    let lines = stream.send().await.unwrap().text().await.unwrap();
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["error"]["reason"], "BODY_TOO_LARGE");

    let cut = body[..body.len() / 2].to_vec();
    assert_eq!(problem(predict("gzip", cut), 400).await["reason"], "BODY_BROKEN");
    let other = problem(predict("br", body), 415).await;
    assert_eq!(errors(&other), expected(&[("content-encoding", "unsupported")]));
}

#[tokio::test]
async fn the_page_of_all_routes_is_complete_and_may_load_nothing() {
    let stack = Stack::start().await;
    let answer = stack.get("/docs").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let page = answer.text().await.unwrap();
    for text in ["/api/v1/predictions/stream", "CustomerRecord", "curl '"] {
        assert!(page.contains(text), "{text}");
    }
}
