//! One trace over two hops, as an OTLP collector sees it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use holdfast_chassis::settings::{LogFormat, TelemetrySettings};
use holdfast_chassis::telemetry::{self, TelemetryError};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::support::{Echo, say, serve};

#[derive(Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let received = request
            .into_inner()
            .resource_spans
            .into_iter()
            .flat_map(|resource| resource.scope_spans);
        self.spans
            .lock()
            .unwrap()
            .extend(received.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// The only test that sets up telemetry: it is global to the process. Spans of other tests reach this collector, too, and are left aside by trace id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_id_crosses_two_hops_and_a_job_record() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let receiver = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    tokio::spawn(receiver.serve_with_incoming(TcpListenerStream::new(listener)));

    let settings = TelemetrySettings {
        log_format: LogFormat::Json,
        log_filter: "error".to_owned(),
        otlp_endpoint: Some(endpoint),
        trace_sample_ratio: 1.0,
    };
    assert!(telemetry::current_trace_id().is_none());
    let guard = telemetry::init(&settings, "echo").unwrap();
    assert!(matches!(
        telemetry::init(&settings, "echo"),
        Err(TelemetryError::AlreadyInstalled)
    ));
    telemetry::init_once(&settings, "another service of the same process").unwrap();

    let second = serve(Echo::default()).await;
    let first = serve(Echo {
        next: Some(second.channel()),
        ..Echo::default()
    })
    .await;
    let root = tracing::info_span!(target: "holdfast_test", "drift found");
    let (reply, trace_id, record) = async {
        let trace_id = telemetry::current_trace_id().unwrap();
        let reply = say(first.channel(), "relay").await.unwrap();
        (reply, trace_id, telemetry::current_trace_context().unwrap())
    }
    .instrument(root)
    .await;
    assert_eq!(reply.text, "last hop");
    assert_eq!(reply.trace_id, trace_id);

    // Later, another process reads the job record.
    let stored = serde_json::to_string(&record).unwrap();
    let job = tracing::info_span!(target: "holdfast_test", "retrain");
    serde_json::from_str::<telemetry::TraceContext>(&stored)
        .unwrap()
        .adopt(&job);
    job.in_scope(|| assert_eq!(telemetry::current_trace_id().as_deref(), Some(trace_id.as_str())));
    drop(job);

    tokio::task::spawn_blocking(move || guard.flush()).await.unwrap();
    let spans: Vec<Span> = collector
        .spans
        .lock()
        .unwrap()
        .iter()
        .filter(|span| hex(&span.trace_id) == trace_id)
        .cloned()
        .collect();
    let seen: BTreeSet<(String, i32)> = spans.iter().map(|span| (span.name.clone(), span.kind)).collect();
    let method = "holdfast.test.v1.EchoService/Say".to_owned();
    let expected = BTreeSet::from([
        ("drift found".to_owned(), SpanKind::Internal as i32),
        ("retrain".to_owned(), SpanKind::Internal as i32),
        (method.clone(), SpanKind::Client as i32),
        (method, SpanKind::Server as i32),
    ]);
    assert_eq!(seen, expected);
    assert_eq!(spans.len(), 6, "two client and two server spans, the root and the job");
    // A chain: every span but the root has its parent among the others.
    let ids: BTreeSet<&[u8]> = spans.iter().map(|span| span.span_id.as_slice()).collect();
    let roots = spans
        .iter()
        .filter(|span| !ids.contains(span.parent_span_id.as_slice()))
        .count();
    assert_eq!(roots, 1);
}
