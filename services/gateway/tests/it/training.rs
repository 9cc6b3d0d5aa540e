//! Snapshots and runs.

use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use holdfast_api::training::v1::TableFormat;
use holdfast_chassis::{Code, Fault, FieldViolation};
use holdfast_testkit::eventually;
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};

use crate::answers::DIGEST;
use crate::fakes::Import;
use crate::stack::{PATIENCE, Stack, errors, events, expected, json_of, ok, problem, problem_in};

#[tokio::test]
async fn an_upload_is_passed_on_whole_and_in_small_parts() {
    let stack = Stack::start().await;
    let table: Vec<u8> = (0..5_000_000_u32).map(|place| (place % 251) as u8).collect();
    let pieces = stream::iter(
        table
            .chunks(3 << 20)
            .map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)))
            .collect::<Vec<_>>(),
    );
    let upload = stack
        .post("/api/v1/snapshots?source=bank.csv")
        .header("content-type", "text/csv; charset=utf-8");
    let answer = json_of(upload.body(Body::wrap_stream(pieces)), StatusCode::CREATED).await;
    assert_eq!(
        (&answer["digest"], &answer["rows"]),
        (&json!(DIGEST), &json!(5_000_000))
    );
    assert_eq!(answer["dropped_columns"], json!(["Naive_Bayes_1"]));
    let Import::Complete {
        format,
        source,
        bytes,
        largest_part,
    } = stack.fakes.import().await
    else {
        panic!("refused")
    };
    assert_eq!((format, source.as_str()), (TableFormat::Csv.into(), "bank.csv"));
    assert!(bytes == table);
    assert!(largest_part <= 1 << 20, "{largest_part}");
    assert!(
        stack
            .metrics()
            .await
            .contains("holdfast_gateway_uploaded_bytes_total 5000000")
    );
}

/// Waits until so many bytes of an upload have reached training's call.
async fn passed_on(stack: &Stack, bytes: usize) {
    let counted = format!("holdfast_gateway_uploaded_bytes_total {bytes}\n");
    eventually("the beginning to be passed on", PATIENCE, async || {
        stack.metrics().await.contains(&counted)
    })
    .await;
}

#[tokio::test]
async fn parquet_is_taken_too_and_nothing_else() {
    let stack = Stack::start().await;
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "application/vnd.apache.parquet")
        .body("PAR1");
    let answer = json_of(upload, StatusCode::CREATED).await;
    assert_eq!(answer["source"], "upload");
    let Import::Complete { format, .. } = stack.fakes.import().await else {
        panic!("refused")
    };
    assert_eq!(format, TableFormat::Parquet as i32);
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "application/json")
        .body("{}");
    assert_eq!(problem(upload, 415).await["reason"], "UNSUPPORTED_MEDIA_TYPE");
}

#[tokio::test]
async fn an_upload_that_grows_too_large_makes_no_snapshot_of_its_beginning() {
    let stack = Stack::with(&[("gateway.max_upload_bytes", json!(1000))]).await;
    let pieces = stream::iter([600, 600].map(|size| Ok::<_, Infallible>(Bytes::from(vec![b'a'; size]))));
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "text/csv")
        .body(Body::wrap_stream(pieces));
    assert_eq!(problem(upload, 413).await["metadata"]["limit_bytes"], "1000");
    assert_eq!(stack.fakes.import().await, Import::Refused);
}

#[tokio::test]
async fn an_upload_that_announces_too_much_is_not_even_begun() {
    let stack = Stack::with(&[("gateway.max_upload_bytes", json!(1000))]).await;
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "text/csv")
        .body(vec![b'a'; 1001]);
    problem(upload, 413).await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_makes_no_snapshot_of_its_beginning() {
    let stack = Stack::start().await;
    let (break_off, broken) = tokio::sync::oneshot::channel();
    let beginning = stream::iter([Ok(Bytes::from_static(b"CLIENTNUM\n1\n"))]);
    let pieces = beginning.chain(stream::once(async { Err(broken.await.unwrap()) }));
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "text/csv")
        .body(Body::wrap_stream(pieces));
    let upload = tokio::spawn(upload.send());
    passed_on(&stack, 12).await;
    break_off
        .send(std::io::Error::other("the caller's disk is gone"))
        .unwrap();
    upload.await.unwrap().unwrap_err();
    assert_eq!(stack.fakes.import().await, Import::Refused);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_snapshot_of_the_beginning() {
    let stack = Stack::start().await;
    let never = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"CLIENTNUM\n1\n"))]).chain(stream::pending());
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "text/csv")
        .body(Body::wrap_stream(never));
    let upload = tokio::spawn(upload.send());
    passed_on(&stack, 12).await;
    upload.abort();
    assert_eq!(stack.fakes.import().await, Import::Refused);
}

#[tokio::test]
async fn a_table_that_is_too_large_for_training_is_413_as_well() {
    let stack = Stack::start().await;
    stack.fakes.fail(
        "import_snapshot",
        Fault::new(Code::ResourceExhausted, "TABLE_TOO_LARGE", "larger than 10 bytes"),
    );
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "text/csv")
        .body("CLIENTNUM\n1\n");
    assert_eq!(problem(upload, 413).await["reason"], "TABLE_TOO_LARGE");
}

#[tokio::test]
async fn a_table_that_breaks_the_schema_is_refused_with_its_cells() {
    let stack = Stack::start().await;
    let violation = FieldViolation::new("row 17, Gender", "unknown_category", "Gender is \"X\"");
    stack.fakes.fail(
        "import_snapshot",
        Fault::invalid_fields("INVALID_TABLE", vec![violation]),
    );
    let upload = stack
        .post("/api/v1/snapshots")
        .header("content-type", "text/csv")
        .body("CLIENTNUM\n1\n");
    let problem = problem(upload, 422).await;
    assert_eq!(errors(&problem), expected(&[("row 17, Gender", "unknown_category")]));
}

#[tokio::test]
async fn snapshots_are_listed_and_found() {
    let stack = Stack::start().await;
    let page = ok(stack.get("/api/v1/snapshots?page_size=1&page_token=abc")).await;
    assert_eq!(
        (&page["snapshots"][0]["digest"], &page["next_page_token"]),
        (&json!(DIGEST), &Value::Null)
    );
    assert!(
        stack
            .fakes
            .last("list_snapshots")
            .contains("page_size: 1, page_token: \"abc\"")
    );
    let one = ok(stack.get(&format!("/api/v1/snapshots/{DIGEST}"))).await;
    assert_eq!(one["created_at"], "2026-01-02T03:04:05Z");
    stack.fakes.fail(
        "get_snapshot",
        Fault::not_found("SNAPSHOT_NOT_FOUND", "no such snapshot"),
    );
    assert_eq!(
        problem(stack.get("/api/v1/snapshots/abc"), 404).await["reason"],
        "SNAPSHOT_NOT_FOUND"
    );
}

#[tokio::test]
async fn a_run_is_started_with_what_was_asked_for() {
    let stack = Stack::start().await;
    let body = json!({"snapshot": DIGEST, "seed": 7, "promote": false, "test_share": 0.25});
    let answer = stack
        .post("/api/v1/runs")
        .header("idempotency-key", "once")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(answer.headers()["location"], "/api/v1/runs/run-1");
    assert_eq!(answer.json::<Value>().await.unwrap(), json!({"run_id": "run-1"}));
    let asked = stack.fakes.last("start_run");
    for part in [
        "model: \"churn\"",
        "seed: Some(7)",
        "promote: Some(false)",
        "test_share: Some(0.25)",
        "idempotency_key: \"once\"",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
}

#[tokio::test]
async fn a_search_for_parameters_and_a_threshold_rule_are_passed_on() {
    let stack = Stack::start().await;
    let threshold = json!({"policy": "capacity", "calls": 200, "population": 10_000});
    let tuning = json!({"trials": 20, "outer_folds": 3, "early_stop": false});
    let body = json!({"threshold": threshold, "tuning": tuning});
    json_of(stack.post("/api/v1/runs").json(&body), StatusCode::ACCEPTED).await;
    let asked = stack.fakes.last("start_run");
    for part in [
        "Capacity(CapacityRule { calls: 200, population: 10000 })",
        "Tuning { trials: 20, folds: 0, workers: 0, outer_folds: 3, early_stop: Some(false) }",
    ] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    let body = json!({"threshold": {"policy": "best_f1"}, "tuning": {}});
    json_of(stack.post("/api/v1/runs").json(&body), StatusCode::ACCEPTED).await;
    let asked = stack.fakes.last("start_run");
    assert!(
        asked.contains("BestF1(BestF1Rule)") && asked.contains("early_stop: None"),
        "{asked}"
    );
    json_of(
        stack.post("/api/v1/runs").json(&json!({"tuning": null})),
        StatusCode::ACCEPTED,
    )
    .await;
    assert!(stack.fakes.last("start_run").contains("tuning: None"));
}

#[tokio::test]
async fn a_wrong_or_unknown_field_of_a_run_is_named() {
    let stack = Stack::start().await;
    for (body, field, rule) in [
        (json!({"seed": "seven"}), "seed", "invalid"),
        (json!({"seed": -1}), "seed", "invalid"),
        (json!({"sead": 7}), "sead", "unknown_field"),
        (json!({"tuning": {"trials": "many"}}), "tuning.trials", "invalid"),
        (json!({"tuning": {"trails": 7}}), "tuning.trails", "unknown_field"),
        (json!({"tuning": [50]}), "tuning", "invalid"),
    ] {
        let problem = problem(stack.post("/api/v1/runs").json(&body), 422).await;
        assert_eq!(errors(&problem), expected(&[(field, rule)]), "{body}");
    }
    assert_eq!(stack.fakes.times("start_run"), 0);
}

#[tokio::test]
async fn a_second_run_at_once_is_a_conflict_that_names_the_first() {
    let stack = Stack::start().await;
    stack.fakes.fail(
        "start_run",
        Fault::new(Code::Aborted, "RUN_ACTIVE", "run-0 is at work").with("run_id", "run-0"),
    );
    let problem = problem(stack.post("/api/v1/runs").json(&json!({})), 409).await;
    assert_eq!(
        (&problem["reason"], &problem["metadata"]["run_id"]),
        (&json!("RUN_ACTIVE"), &json!("run-0"))
    );
}

#[tokio::test]
async fn runs_are_listed_found_and_cancelled() {
    let stack = Stack::start().await;
    let page = ok(stack.get("/api/v1/runs?model=churn")).await;
    assert_eq!(
        (&page["runs"][0]["state"], &page["next_page_token"]),
        (&json!("done"), &json!("page-2"))
    );
    let run = ok(stack.get("/api/v1/runs/run-1")).await;
    assert_eq!(
        (&run["state"], &run["trigger"], &run["ended_at"]),
        (&json!("running"), &json!("manual"), &Value::Null)
    );
    assert_eq!(
        run["result"]["metrics"],
        json!({"test_roc_auc": 0.99, "auc_delta": null})
    );
    let tuning = &run["result"]["tuning"];
    assert_eq!(
        (&tuning["objective"], &tuning["trials"], &tuning["best"]["number"]),
        (&json!("roc_auc"), &json!(50), &json!(7))
    );
    assert_eq!(
        (&tuning["first"], &tuning["outer_values"]),
        (&Value::Null, &json!([0.99, 0.98]))
    );
    let cancelled = ok(stack.post("/api/v1/runs/run-1/cancel")).await;
    assert_eq!(cancelled["state"], "cancelled");
}

#[tokio::test]
async fn a_run_is_followed_to_its_end() {
    let stack = Stack::start().await;
    let answer = stack.get("/api/v1/runs/run-1/events").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let events = events(&answer.text().await.unwrap());
    let kinds: Vec<_> = events
        .iter()
        .map(|(kind, id, _)| (kind.as_str(), id.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [("progress", "1"), ("progress", "2"), ("progress", "3"), ("done", "")]
    );
    assert_eq!(
        (&events[1].2["message"], &events[1].2["state"]),
        (&json!("round 2"), &json!("running"))
    );
    assert_eq!(
        events[1].2["trial"],
        json!({
            "number": 2, "state": "pruned", "parameters": {"eta": "0.05"}, "value": 0.991, "standard_error": 0.002, "value_again": 0.99,
            "folds_done": 2, "run_id": "trial-2", "duration_seconds": 1.5,
        })
    );
    assert_eq!(events[0].2["trial"], Value::Null);
    assert_eq!(
        (&events[3].2["state"], &events[3].2["run_id"]),
        (&json!("done"), &json!("run-1"))
    );
}

#[tokio::test]
async fn a_client_that_comes_back_gets_only_what_it_has_not_seen() {
    let stack = Stack::start().await;
    let answer = stack
        .get("/api/v1/runs/run-1/events")
        .header("last-event-id", "2")
        .send()
        .await
        .unwrap();
    let events = events(&answer.text().await.unwrap());
    assert_eq!(
        events.iter().map(|(_, id, _)| id.as_str()).collect::<Vec<_>>(),
        ["3", ""]
    );
    let wrong = stack.get("/api/v1/runs/run-1/events").header("last-event-id", "two");
    problem(wrong, 422).await;
}

#[tokio::test]
async fn a_log_that_breaks_ends_with_a_problem() {
    let stack = Stack::start().await;
    let body = stack
        .get("/api/v1/runs/torn/events")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let (kind, _, data) = events(&body).pop().unwrap();
    assert_eq!(
        (kind.as_str(), &data["reason"], &data["status"]),
        ("error", &json!("ENDING"), &json!(503))
    );
}

#[tokio::test]
async fn following_an_unknown_run_is_404_and_no_stream() {
    let stack = Stack::start().await;
    stack
        .fakes
        .fail("watch_run", Fault::not_found("RUN_NOT_FOUND", "no such run"));
    problem_in(stack.get("/api/v1/runs/nobody/events").send().await.unwrap(), 404).await;
}

#[tokio::test]
async fn a_stream_that_is_open_ends_with_the_gateway_and_is_counted_till_then() {
    let stack = Stack::start().await;
    stack.fakes.open_run();
    let answer = stack.get("/api/v1/runs/run-1/events").send().await.unwrap();
    let mut body = answer.bytes_stream();
    let first = body.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"event: progress"));
    assert!(stack.metrics().await.contains("holdfast_gateway_event_streams 1"));
    stack.end();
    let rest: Vec<u8> = body
        .map(|piece| piece.unwrap().to_vec())
        .collect::<Vec<_>>()
        .await
        .concat();
    assert!(String::from_utf8(rest).unwrap().contains("shutting down"));
    assert!(stack.ended().await.in_time);
}
