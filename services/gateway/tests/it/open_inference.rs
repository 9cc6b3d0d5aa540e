//! The Open Inference Protocol over REST.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use holdfast_chassis::{Code, Fault, FieldViolation};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::answers::{DIGEST, PROBABILITY};
use crate::stack::{Stack, json_of, ok};

const LENGTH: &str = "inference-header-content-length";
const INFER: &str = "/v2/models/churn/infer";

/// Two customers in JSON.
fn request() -> Value {
    json!({"id": "oip-1", "inputs": [
        {"name": "Credit_Limit", "shape": [2], "datatype": "FP64", "data": [12_691.0, null]},
        {"name": "Gender", "shape": [2, 1], "datatype": "BYTES", "data": [["F"], [""]]},
    ]})
}

/// The text of an error in the protocol's form.
async fn error(request: RequestBuilder, status: u16) -> String {
    let answer = request.send().await.unwrap();
    assert!(answer.headers().contains_key("x-request-id"));
    error_in(answer, status).await
}

async fn error_in(answer: Response, status: u16) -> String {
    let found = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json", "{found}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(found, status, "{body}");
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn health_is_a_status_and_a_json() {
    let stack = Stack::start().await;
    assert_eq!(ok(stack.get("/v2/health/live")).await, json!({"live": true}));
    assert_eq!(ok(stack.get("/v2/health/ready")).await, json!({"ready": true}));
    for path in ["/v2/models/churn/ready", "/v2/models/churn/versions/3/ready"] {
        assert_eq!(ok(stack.get(path)).await, json!({"name": "churn", "ready": true}));
    }
    let other = json_of(stack.get("/v2/models/churn/versions/4/ready"), StatusCode::BAD_REQUEST).await;
    assert_eq!(other, json!({"name": "churn", "ready": false}));
    let other = json_of(stack.get("/v2/models/a%2Fb/ready"), StatusCode::BAD_REQUEST).await;
    assert_eq!(other, json!({"name": "a/b", "ready": false}));
}

#[tokio::test]
async fn without_inference_the_server_is_alive_and_not_ready() {
    let alone = Stack::alone().await;
    assert_eq!(ok(alone.get("/v2/health/live")).await, json!({"live": true}));
    let ready = json_of(alone.get("/v2/health/ready"), StatusCode::BAD_REQUEST).await;
    assert_eq!(ready, json!({"ready": false}));
    let text = error(alone.post(INFER).json(&request()), 503).await;
    assert!(text.contains("http://127.0.0.1:"), "{text}");

    let hangs = Stack::with(&[("gateway.health_timeout_ms", json!(50))]).await;
    hangs.fakes.hang("server_ready");
    hangs.fakes.hang("model_ready");
    json_of(hangs.get("/v2/health/ready"), StatusCode::BAD_REQUEST).await;
    json_of(hangs.get("/v2/models/churn/ready"), StatusCode::BAD_REQUEST).await;
}

#[tokio::test]
async fn server_model_and_index_are_described() {
    let stack = Stack::start().await;
    let server = ok(stack.get("/v2")).await;
    assert_eq!(
        server,
        json!({"name": "holdfast", "version": env!("CARGO_PKG_VERSION"), "extensions": ["binary_tensor_data"]})
    );
    for path in ["/v2/models/churn", "/v2/models/churn/versions/3"] {
        let model = ok(stack.get(path)).await;
        assert_eq!((&model["name"], &model["versions"]), (&json!("churn"), &json!(["3"])));
        assert_eq!(
            model["inputs"][0],
            json!({"name": "Credit_Limit", "datatype": "FP64", "shape": [-1]})
        );
        assert_eq!(model["outputs"][1]["name"], "label");
    }
    let all = ok(stack.post("/v2/repository/index")).await;
    let ready = json!({"name": "churn", "version": "3", "state": "READY", "reason": ""});
    let failed = json!({"name": "churn", "version": "4", "state": "UNAVAILABLE", "reason": "digest does not match"});
    assert_eq!(all, json!([ready, failed]));
    let some = ok(stack.post("/v2/repository/index").json(&json!({"ready": true}))).await;
    assert_eq!(some, json!([ready]));
}

#[tokio::test]
async fn json_goes_to_inference_in_raw_contents_and_comes_back_with_all_bits() {
    let stack = Stack::start().await;
    for path in [INFER, "/v2/models/churn/versions/3/infer"] {
        let answer = ok(stack.post(path).json(&request())).await;
        let expected = json!({
            "model_name": "churn", "model_version": "3", "id": "oip-1",
            "parameters": {"artifact_digest": DIGEST, "generation": 5, "threshold": 0.5},
            "outputs": [
                {"name": "probability", "datatype": "FP64", "shape": [2], "data": [PROBABILITY, 0.75]},
                {"name": "label", "datatype": "BOOL", "shape": [2], "data": [false, true]},
            ],
        });
        assert_eq!(answer, expected);
    }
    let asked = stack.fakes.last("model_infer");
    let number = format!("{:?}", [12_691.0_f64.to_le_bytes(), f64::NAN.to_le_bytes()].concat());
    for part in [
        "model_name: \"churn\", model_version: \"3\", id: \"oip-1\"",
        &number,
        "[1, 0, 0, 0, 70, 0, 0, 0, 0]",
        "contents: None",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn a_request_without_an_id_is_logged_under_that_of_the_header() {
    let stack = Stack::start().await;
    let mut unnamed = request();
    unnamed.as_object_mut().unwrap().remove("id");
    let answer = ok(stack.post(INFER).header("x-request-id", "order-66").json(&unnamed)).await;
    assert_eq!(answer["id"], "order-66");
}

/// The same two customers with the bytes behind the JSON, as tritonclient sends them: without a content type.
fn binary(stack: &Stack, outputs: &Value) -> RequestBuilder {
    let numbers = [12_691.0_f64, f64::NAN].iter().flat_map(|value| value.to_le_bytes());
    let tail: Vec<u8> = numbers.chain([1, 0, 0, 0, b'F', 0, 0, 0, 0]).collect();
    let json = json!({"outputs": outputs, "parameters": {"binary_data_output": true}, "inputs": [
        {"name": "Credit_Limit", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}},
        {"name": "Gender", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 9}},
    ]});
    let json = json.to_string().into_bytes();
    stack.post(INFER).header(LENGTH, json.len()).body([json, tail].concat())
}

#[tokio::test]
async fn bytes_behind_the_json_are_passed_on_and_come_back_so() {
    let stack = Stack::start().await;
    ok(stack.post(INFER).json(&request())).await;
    let by_json = stack.fakes.last("model_infer");
    let answer = binary(&stack, &Value::Null).send().await.unwrap();
    let contents = |asked: &str| asked.split_once("raw_input_contents").unwrap().1.to_owned();
    assert_eq!(contents(&stack.fakes.last("model_infer")), contents(&by_json));

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    let length: usize = answer.headers()[LENGTH].to_str().unwrap().parse().unwrap();
    let body = answer.bytes().await.unwrap();
    let json: Value = serde_json::from_slice(&body[..length]).unwrap();
    assert_eq!(json["outputs"][0]["parameters"], json!({"binary_data_size": 16}));
    assert_eq!(json["outputs"][0].get("data"), None);
    let expected = [&PROBABILITY.to_le_bytes()[..], &0.75_f64.to_le_bytes(), &[0, 1]].concat();
    assert_eq!(body[length..], expected);

    // One in the JSON, one behind it.
    let outputs = json!([{"name": "label"}, {"name": "probability", "parameters": {"binary_data": false}}]);
    let answer = binary(&stack, &outputs).send().await.unwrap();
    let length: usize = answer.headers()[LENGTH].to_str().unwrap().parse().unwrap();
    let body = answer.bytes().await.unwrap();
    let json: Value = serde_json::from_slice(&body[..length]).unwrap();
    assert_eq!(json["outputs"][0]["parameters"], json!({"binary_data_size": 2}));
    assert_eq!(json["outputs"][1]["data"], json!([PROBABILITY, 0.75]));
    assert_eq!(body[length..], [0, 1]);
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_400_and_said() {
    let stack = Stack::start().await;
    let json = "application/json";
    for (body, length, part) in [
        ("{", None, "not valid JSON"),
        ("{}", None, "missing field `inputs`"),
        ("[]", None, "body"),
        (r#"{"inputs": [], "output": []}"#, None, "unknown field `output`"),
        (r#"{"inputs": [["a", [1], "FP64"]]}"#, None, "inputs[0]"),
        (
            r#"{"inputs": [{"name": "a", "shape": [1], "datatype": "FP64"}]}"#,
            None,
            "inputs.a.data",
        ),
        (r#"{"inputs": []}"#, Some("15"), "inference-header-content-length"),
        (r#"{"inputs": []}"#, Some("x"), "inference-header-content-length"),
        (r#"{"inputs": []}"#, Some("13"), "not valid JSON"),
        (r#"{"inputs": []}12"#, Some("14"), "belong to no input"),
    ] {
        let mut request = stack.post(INFER).header("content-type", json).body(body);
        if let Some(length) = length {
            request = request.header(LENGTH, length);
        }
        let text = error(request, 400).await;
        assert!(text.contains(part), "no {part} in {text}, the answer to {body}");
    }
    let empty = |number: usize| json!({"name": number.to_string(), "shape": [1], "datatype": "FP64"});
    let many = json!({"inputs": (0..8).map(empty).collect::<Vec<_>>()});
    let text = error(stack.post(INFER).json(&many), 400).await;
    for part in [
        "8 fields are wrong: inputs.0.data: is missing",
        "inputs.4.data",
        "; and others",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(stack.fakes.times("model_infer"), 0);
    error(stack.post(INFER).header("content-type", "text/csv").body("a"), 415).await;
}

#[tokio::test]
async fn failures_of_inference_keep_their_status_and_their_words() {
    let stack = Stack::with(&[("client.retry.max_attempts", json!(1))]).await;
    let cases = [
        (
            Fault::new(Code::FailedPrecondition, "NO_CHAMPION", "no champion"),
            503,
            "no champion",
        ),
        (Fault::not_found("NOT_SERVED", "only version 3"), 404, "only version 3"),
        (Fault::internal("BUG", "a bug"), 500, "a bug"),
    ];
    for (fault, status, part) in cases {
        stack.fakes.fail("model_infer", fault);
        let text = error(stack.post(INFER).json(&request()), status).await;
        assert!(text.contains(part), "{text}");
    }
    let violation = FieldViolation::new("inputs.Credit_Limit.shape", "shape", "has 2 rows");
    let invalid = Fault::invalid_fields("INVALID_FIELDS", vec![violation]);
    stack.fakes.fail("model_infer", invalid);
    let text = error(stack.post(INFER).json(&request()), 400).await;
    assert_eq!(text, "inputs.Credit_Limit.shape: has 2 rows");
    let full = Fault::new(Code::ResourceExhausted, "FULL", "full").retry_after(Duration::from_secs(5));
    stack.fakes.fail("model_infer", full);
    let answer = stack.post(INFER).json(&request()).send().await.unwrap();
    assert_eq!(answer.headers()["retry-after"], "5");
    assert_eq!(error_in(answer, 429).await, "full");
}

#[tokio::test]
async fn an_answer_whose_contents_do_not_fit_their_shape_is_not_passed_on() {
    let stack = Stack::start().await;
    for outputs in [json!([{"name": "label"}]), json!([{"name": "probability"}])] {
        let mut request = request();
        request["outputs"] = outputs;
        let text = error(stack.post("/v2/models/short/infer").json(&request), 500).await;
        assert!(text.contains("contents that fit their shape"), "{text}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_the_protocol_does_not_have_are_errors_in_its_form() {
    let stack = Stack::start().await;
    error(stack.get("/v2/models/churn/config"), 404).await;
    error(stack.post("/v2/repository/models/churn/load"), 404).await;
    let answer = stack
        .client
        .request(Method::DELETE, stack.url("/v2/models/churn"))
        .send()
        .await
        .unwrap();
    assert!(answer.headers()["allow"].to_str().unwrap().contains("GET"));
    error_in(answer, 405).await;
    // What only begins alike has nothing to do with it.
    let other = stack.get("/v22").send().await.unwrap();
    assert_eq!(other.headers()["content-type"], "application/problem+json");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies_are_read_on_every_route() {
    let stack = Stack::start().await;
    let body = request().to_string().into_bytes();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(&body).unwrap();
    let deflated = deflate.finish().unwrap();
    for (encoding, body) in [
        ("gzip", gzip(&body)),
        ("GZIP", gzip(&body)),
        ("deflate", deflated),
        ("identity", body),
    ] {
        let answer = ok(stack.post(INFER).header("content-encoding", encoding).body(body)).await;
        assert_eq!(answer["id"], "oip-1", "{encoding}");
    }
    let record = gzip(crate::stack::record().to_string().as_bytes());
    let classic = stack.post("/predict").header("content-type", "application/json");
    ok(classic.header("content-encoding", "gzip").body(record)).await;
}

#[tokio::test]
async fn compressed_bodies_have_the_limits_of_what_comes_out_of_them() {
    let stack = Stack::with(&[("gateway.max_message_bytes", json!(10_000))]).await;
    let bomb = gzip(&[b' '; 100_000]);
    assert!(bomb.len() < 1_000);
    let text = error(stack.post(INFER).header("content-encoding", "gzip").body(bomb), 413).await;
    assert!(text.contains("10000"), "{text}");
    let broken = stack.post(INFER).header("content-encoding", "gzip").body("no gzip");
    error(broken, 400).await;
    let answer = stack
        .post(INFER)
        .header("content-encoding", "br")
        .body("x")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["accept-encoding"], "gzip, deflate");
    error_in(answer, 415).await;
}
