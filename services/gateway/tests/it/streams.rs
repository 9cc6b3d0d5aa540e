//! Large batches as streams of lines.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use holdfast_chassis::{Code, Fault};
use holdfast_testkit::eventually;
use reqwest::{Body, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::sync::mpsc;

use crate::answers::DIGEST;
use crate::predictions::{HEADER, row};
use crate::stack::{PATIENCE, Stack, problem, record, record_with};

const PATH: &str = "/api/v1/predictions/stream";

/// An upload that a test writes piece by piece.
struct Writer(mpsc::UnboundedSender<Bytes>);

impl Writer {
    fn new() -> (Self, Body) {
        let (pieces, written) = mpsc::unbounded_channel();
        let written = stream::unfold(written, async |mut written: mpsc::UnboundedReceiver<Bytes>| {
            Some((Ok::<_, Infallible>(written.recv().await?), written))
        });
        (Self(pieces), Body::wrap_stream(written))
    }

    fn write(&self, text: impl Into<String>) {
        // A stream that has ended takes no more.
        let _ = self.0.send(text.into().into());
    }
}

/// The lines of an answer, as they come.
struct Reader(Response, String);

impl Reader {
    async fn open(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("x-request-id"));
        Self(answer, String::new())
    }

    async fn line(&mut self) -> Option<String> {
        let reading = async {
            loop {
                if let Some((line, rest)) = self.1.split_once('\n') {
                    let line = line.to_owned();
                    self.1 = rest.to_owned();
                    return Some(line);
                }
                self.1
                    .push_str(str::from_utf8(&self.0.chunk().await.unwrap()?).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap()
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.line().await.unwrap()).unwrap()
    }

    async fn rest(mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(serde_json::from_str(&line).unwrap());
        }
        lines
    }
}

fn ndjson(stack: &Stack, query: &str, body: impl Into<Body>) -> RequestBuilder {
    let request = stack
        .post(&format!("{PATH}{query}"))
        .header("content-type", "application/x-ndjson");
    request.body(body)
}

/// Line, and score or field and rule.
fn brief(line: &Value) -> (u64, String) {
    let number = line["line"].as_u64().unwrap();
    match line.get("error") {
        None => (number, line["probability"].to_string()),
        Some(error) => {
            let broken = error["errors"].as_array().into_iter().flatten();
            let broken = broken.map(|broken| format!("{} {}", broken["field"], broken["rule"]).replace('"', ""));
            let broken: Vec<String> = broken.collect();
            let reason = error["reason"].as_str().unwrap();
            (
                number,
                if broken.is_empty() {
                    reason.to_owned()
                } else {
                    broken.join(", ")
                },
            )
        }
    }
}

fn briefly(lines: &[Value]) -> Vec<(u64, String)> {
    lines.iter().map(brief).collect()
}

fn expected(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    lines
        .iter()
        .map(|(number, text)| (*number, (*text).to_owned()))
        .collect()
}

#[tokio::test]
async fn lines_are_answered_in_order_while_the_upload_still_comes() {
    let stack = Stack::start().await;
    let (writer, body) = Writer::new();
    let request = ndjson(&stack, "?explain=true", body).header("x-request-id", "order-66");
    let mut reader = Reader::open(request).await;
    writer.write(format!("{}\n", record_with(&json!({"CLIENTNUM": 7}))));
    let expected = json!({
        "line": 1, "customer_key": 7, "probability": 0.9, "label": true, "threshold": 0.5, "out_of_domain": [],
        "reasons": [{"feature": "Credit_Limit", "contribution": 1.5, "text": "a high limit speaks for leaving", "code": "CREDIT_LIMIT_HIGH"}],
        "model": "churn", "version": 3, "artifact_digest": DIGEST, "generation": 5, "request_id": "order-66/1",
    });
    assert_eq!(reader.json().await, expected);
    // Half a line is no line.
    let second = format!("{}\n", record_with(&json!({"Credit_Limit": 2000})));
    writer.write(&second[..30]);
    writer.write(&second[30..]);
    let answer = reader.json().await;
    assert_eq!(
        (brief(&answer), &answer["request_id"]),
        ((2, "0.1".to_owned()), &json!("order-66/2"))
    );
    // The last one may lack its end.
    writer.write(record().to_string());
    drop(writer);
    assert_eq!(briefly(&reader.rest().await), [(3, "0.9".to_owned())]);
}

#[tokio::test]
async fn a_bad_line_is_answered_with_field_and_rule_and_the_rest_goes_on_unless_told_otherwise() {
    let stack = Stack::with(&[("gateway.stream.max_record_bytes", json!(400))]).await;
    let good = record().to_string();
    let bad = record_with(&json!({"Credit_Limit": -1, "Nonsense": 1, "Total_Trans_Ct": null}));
    let upload = format!("{good}\n\n{bad}\nnonsense\n[1]\n{}\n{good}\n", " ".repeat(500));
    let lines = Reader::open(ndjson(&stack, "", upload.clone())).await.rest().await;
    let broken = "Nonsense unknown_column, Credit_Limit below_minimum, Total_Trans_Ct required";
    let all = [
        (1, "0.9"),
        (3, broken),
        (4, "record malformed"),
        (5, "record invalid"),
        (6, "record too_long"),
        (7, "0.9"),
    ];
    assert_eq!(briefly(&lines), expected(&all));
    assert_eq!(lines[1]["error"]["type"], "urn:holdfast:problem:invalid-fields");
    let lines = Reader::open(ndjson(&stack, "?on_error=stop", upload))
        .await
        .rest()
        .await;
    assert_eq!(briefly(&lines), expected(&all[..2]));
    assert!(
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_streamed_records_total 3\n")
    );
}

#[tokio::test]
async fn many_lines_go_in_chunks_and_keep_their_order() {
    let stack = Stack::with(&[("gateway.stream.chunk_records", json!(10))]).await;
    let good = format!("{}\n", record());
    let upload = format!("{}{{}}\n{}", good.repeat(500), good.repeat(524));
    let lines = Reader::open(ndjson(&stack, "", upload)).await.rest().await;
    let numbers: Vec<u64> = lines.iter().map(|line| brief(line).0).collect();
    assert_eq!(numbers, (1..=1025).collect::<Vec<u64>>());
    assert!(lines[500].get("error").is_some());
    assert!(stack.fakes.times("predict_batch") >= 103, "chunks of at most ten");
}

#[tokio::test]
async fn a_table_is_answered_as_lines_or_as_a_table() {
    let stack = Stack::start().await;
    let table = format!("{HEADER}\r\n{}\r\n1,2\r\n{}\r\n", row(7, "12691.0"), row(8, "2000"));
    let request = || stack.post(PATH).header("content-type", "text/csv").body(table.clone());
    let lines = Reader::open(request()).await.rest().await;
    assert_eq!(
        briefly(&lines),
        expected(&[(2, "0.9"), (3, "record ragged_row"), (4, "0.1")])
    );
    assert_eq!(lines[2]["customer_key"], 8);

    let request = request().header("accept", "text/csv").header("x-request-id", "a");
    let answer = request.send().await.unwrap();
    assert_eq!(
        answer.headers()["content-type"],
        "text/csv; charset=utf-8; header=present"
    );
    let text = answer.text().await.unwrap();
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(
        rows[0],
        format!("2,7,0.9,true,0.5,Card_Category:unknown_category,,churn,3,{DIGEST},5,a/2,,")
    );
    assert_eq!(
        rows[1],
        "3,,,,,,,,,,,,record:ragged_row,the row has 2 cells and the header has 10"
    );
    assert_eq!(rows.len(), 3);
}

#[tokio::test]
async fn what_is_wrong_before_the_first_line_is_a_problem_as_ever() {
    let stack = Stack::start().await;
    let table = |header: &str| {
        stack
            .post(PATH)
            .header("content-type", "text/csv")
            .body(format!("{header}\n1"))
    };
    problem(table(&HEADER.replace("Credit_Limit", "credit_limit")), 422).await;
    assert_eq!(problem(table("a;b"), 400).await["reason"], "MALFORMED_CSV");
    problem(stack.post(PATH).json(&json!({})), 415).await;
    problem(ndjson(&stack, "?on_error=maybe", ""), 400).await;
    stack.fakes.fail(
        "get_model",
        Fault::new(Code::FailedPrecondition, "NO_CHAMPION", "no champion yet"),
    );
    assert_eq!(
        problem(ndjson(&stack, "", record().to_string()), 503).await["reason"],
        "NO_CHAMPION"
    );
}

#[tokio::test]
async fn a_failure_of_inference_ends_the_stream_and_says_where_to_go_on() {
    let changes = [
        ("gateway.stream.chunk_records", json!(2)),
        ("client.retry.max_attempts", json!(1)),
    ];
    let stack = Stack::with(&changes).await;
    let (writer, body) = Writer::new();
    let mut reader = Reader::open(ndjson(&stack, "", body)).await;
    let good = format!("{}\n", record());
    writer.write(good.repeat(2));
    assert_eq!(brief(&reader.json().await).0, 1);
    assert_eq!(brief(&reader.json().await).0, 2);
    stack
        .fakes
        .fail("predict_batch", Fault::unavailable("ENDING", "restarting"));
    writer.write(good.repeat(9));
    assert_eq!(briefly(&reader.rest().await), expected(&[(3, "ENDING")]));
}

#[tokio::test]
async fn inference_that_has_too_much_to_do_is_waited_for() {
    let stack = Stack::with(&[("client.retry.initial_backoff_ms", json!(1))]).await;
    let full = Fault::new(Code::ResourceExhausted, "TOO_MANY_REQUESTS", "full");
    stack.fakes.fail_once("predict_batch", full);
    let lines = Reader::open(ndjson(&stack, "", record().to_string()))
        .await
        .rest()
        .await;
    assert_eq!(briefly(&lines), expected(&[(1, "0.9")]));
    assert_eq!(stack.fakes.times("predict_batch"), 2);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_work() {
    let stack = Stack::start().await;
    stack.fakes.hang("predict_batch");
    let (writer, body) = Writer::new();
    let reader = Reader::open(ndjson(&stack, "", body)).await;
    writer.write(format!("{}\n", record()));
    eventually("the chunk at inference", PATIENCE, async || {
        stack.fakes.times("predict_batch") == 1
    })
    .await;
    assert!(
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_prediction_streams 1\n")
    );
    drop((reader, writer));
    eventually("the end of the stream", PATIENCE, async || {
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_prediction_streams 0\n")
    })
    .await;
}

#[tokio::test]
async fn an_upload_that_pauses_for_too_long_is_ended_with_a_line() {
    let stack = Stack::with(&[("gateway.stream.idle_timeout_ms", json!(50))]).await;
    let (writer, body) = Writer::new();
    let reader = Reader::open(ndjson(&stack, "", body)).await;
    writer.write(format!("{}\n", record()));
    assert_eq!(
        briefly(&reader.rest().await),
        expected(&[(1, "0.9"), (2, "BODY_TIMEOUT")])
    );
    let (_writer, body) = Writer::new();
    problem(stack.post(PATH).header("content-type", "text/csv").body(body), 408).await;
}

#[tokio::test]
async fn an_upload_that_is_too_large_is_refused_or_ended() {
    let stack = Stack::with(&[("gateway.max_upload_bytes", json!(500))]).await;
    let good = format!("{}\n", record());
    problem(ndjson(&stack, "", good.repeat(5)), 413).await;
    let (writer, body) = Writer::new();
    let reader = Reader::open(ndjson(&stack, "", body)).await;
    writer.write(good.repeat(5));
    let lines = reader.rest().await;
    assert_eq!(brief(lines.last().unwrap()).1, "BODY_TOO_LARGE");
}

#[tokio::test]
async fn one_stream_too_many_is_429_and_a_place_becomes_free() {
    let stack = Stack::with(&[("gateway.stream.max_streams", json!(1))]).await;
    let (writer, body) = Writer::new();
    let reader = Reader::open(ndjson(&stack, "", body)).await;
    let refused = problem(ndjson(&stack, "", ""), 429).await;
    assert_eq!(
        (&refused["reason"], &refused["retry_after_seconds"]),
        (&json!("TOO_MANY_STREAMS"), &json!(1))
    );
    drop(writer);
    assert!(reader.rest().await.is_empty());
    eventually("a free place", PATIENCE, async || {
        ndjson(&stack, "", "").send().await.unwrap().status() == 200
    })
    .await;
}

#[tokio::test]
async fn the_end_of_the_gateway_ends_streams_with_a_line() {
    let stack = Stack::start().await;
    let (writer, body) = Writer::new();
    let mut reader = Reader::open(ndjson(&stack, "", body)).await;
    writer.write(format!("{}\n", record()));
    assert_eq!(brief(&reader.json().await).0, 1);
    stack.end();
    assert_eq!(briefly(&reader.rest().await), expected(&[(2, "ENDING")]));
    drop(writer);
    assert!(stack.ended().await.in_time);
}

#[tokio::test]
async fn a_caller_who_does_not_read_is_not_read_from_and_given_up() {
    // More than the buffers of both ends take.
    const FAR_MORE: usize = 64 << 20;
    let changes = [
        ("gateway.stream.idle_timeout_ms", json!(200)),
        ("gateway.idle_timeout_ms", json!(400)),
    ];
    let stack = Stack::with(&changes).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    let mut client = socket.connect(stack.gateway.http).await.unwrap();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-ndjson\r\ncontent-length: {FAR_MORE}\r\n\r\n"
    );
    client.write_all(head.as_bytes()).await.unwrap();
    let lines = format!("{}\n", record()).repeat(64);
    let sending = async {
        let mut sent = 0;
        while sent < FAR_MORE && client.write_all(lines.as_bytes()).await.is_ok() {
            sent += lines.len();
        }
        sent
    };
    // It ends because the gateway breaks the connection off.
    let sent = tokio::time::timeout(Duration::from_secs(60), sending).await.unwrap();
    assert!(
        sent < FAR_MORE,
        "{sent} bytes were taken from a caller who reads nothing"
    );
    eventually("the end of the stream", PATIENCE, async || {
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_prediction_streams 0\n")
    })
    .await;
}
