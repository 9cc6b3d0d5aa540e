//! The admin server: metrics in two formats, liveness, readiness.

use holdfast_chassis::metrics::{Counter, EncodeLabelSet, Exposition, Family, MetricsRegistry, Unit};
use holdfast_chassis::{Readiness, ServerSettings};

use crate::support::{Echo, get, serve, serve_with};

#[tokio::test]
async fn metrics_come_as_openmetrics_to_who_asks_and_as_text_to_others() {
    let running = serve(Echo::default()).await;
    let text = get(running.admin, "/metrics", &[]).await;
    assert!(
        text.head.contains("content-type: text/plain; version=0.0.4"),
        "{}",
        text.head
    );
    assert!(
        text.body.contains("# TYPE rpc_server_calls_total counter\n"),
        "{}",
        text.body
    );
    assert!(text.body.contains("# TYPE process_start_time_seconds gauge\n"));
    assert!(text.body.contains("holdfast_build_info{service=\"echo\",version="));
    assert!(!text.body.contains("# EOF"));

    let open = get(
        running.admin,
        "/metrics",
        &["accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1"],
    )
    .await;
    assert!(
        open.head.contains("content-type: application/openmetrics-text"),
        "{}",
        open.head
    );
    assert!(open.body.contains("# TYPE rpc_server_calls counter\n"));
    assert!(open.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn every_method_and_code_shows_a_zero_from_the_start() {
    let running = serve(Echo::default()).await;
    let text = running.metrics().await;
    for code in ["OK", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"] {
        for method in [
            "holdfast.test.v1.EchoService/Say",
            "holdfast.test.v1.EchoService/Watch",
            "other",
        ] {
            let series = format!("rpc_server_calls_total{{method=\"{method}\",code=\"{code}\"}} 0\n");
            assert!(text.contains(&series), "{series} is missing in {text}");
        }
    }
    assert!(text.contains(
        "rpc_server_call_duration_seconds_count{method=\"holdfast.test.v1.EchoService/Say\",code=\"OK\"} 0\n"
    ));
    assert!(text.contains("rpc_server_requests_in_flight 0\n"));
}

#[tokio::test]
async fn liveness_is_not_readiness() {
    let readiness = Readiness::new();
    let model = readiness.condition("model");
    let spool = readiness.condition("spool");
    let running = serve_with(Echo::default(), &ServerSettings::on_free_ports(), readiness).await;
    spool.set_ready("writable");

    assert_eq!(get(running.admin, "/livez", &[]).await.status, 200);
    let waiting = get(running.admin, "/readyz", &[]).await;
    assert_eq!(waiting.status, 503);
    let expected = serde_json::json!({
        "service": "echo",
        "ready": false,
        "stopping": false,
        "conditions": {
            "model": {"ready": false, "detail": "starting"},
            "spool": {"ready": true, "detail": "writable"},
        },
    });
    assert_eq!(waiting.json(), expected);

    model.set_ready("version 3");
    assert_eq!(get(running.admin, "/readyz", &[]).await.status, 200);
    model.set_not_ready("gone");
    let answer = get(running.admin, "/readyz", &[]).await;
    assert_eq!(answer.json()["conditions"]["model"]["detail"], "gone");
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[test]
fn names_carry_unit_and_type_and_families_start_at_zero() {
    let metrics = MetricsRegistry::new("test");
    let rows: Family<Outcome, Counter> = metrics.counters(
        "holdfast_test_read",
        "Rows read",
        Unit::Rows,
        ["taken", "refused"].map(|outcome| Outcome { outcome }),
    );
    metrics.gauge("holdfast_test_spool", "Spool size", Unit::Bytes).set(7);
    metrics
        .histogram("holdfast_test_load", "Load time")
        .observe(std::time::Duration::from_millis(3));
    rows.get_or_create_owned(&Outcome { outcome: "taken" }).inc_by(2);

    let text = metrics.encode(Exposition::Text);
    for line in [
        "# HELP holdfast_test_read_rows_total Rows read.\n",
        "holdfast_test_read_rows_total{outcome=\"taken\"} 2\n",
        "holdfast_test_read_rows_total{outcome=\"refused\"} 0\n",
        "holdfast_test_spool_bytes 7\n",
        "holdfast_test_load_seconds_bucket{le=\"0.0025\"} 0\n",
        "holdfast_test_load_seconds_bucket{le=\"0.005\"} 1\n",
        "holdfast_test_load_seconds_bucket{le=\"+Inf\"} 1\n",
        "holdfast_test_load_seconds_sum 0.003\n",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
    let names: Vec<String> = metrics.descriptions().into_iter().map(|metric| metric.name).collect();
    assert!(names.contains(&"holdfast_test_read_rows_total".to_owned()), "{names:?}");
    assert!(names.contains(&"process_cpu_seconds_total".to_owned()), "{names:?}");
}
