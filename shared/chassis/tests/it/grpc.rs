//! The gRPC server and client: health, reflection, deadlines, panics, limits, what is counted.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use holdfast_chassis::client::ClientBuilder;
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::ServerBuilder;
use holdfast_chassis::settings::ClientSettings;
use holdfast_chassis::{Fault, Readiness, ServerSettings, Shutdown, deadline};
use tokio::net::TcpListener;
use tonic::{Code, Request};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::{Echo, Running, SERVICE, SayRequest, bind_with, say, say_with, serve, serve_with, watch};

async fn health(running: &Running, service: &str) -> Result<ServingStatus, tonic::Status> {
    let mut client = HealthClient::new(running.channel());
    let answer = client
        .check(HealthCheckRequest {
            service: service.to_owned(),
        })
        .await?;
    Ok(answer.into_inner().status())
}

#[tokio::test]
async fn health_is_told_by_service_and_follows_readiness() {
    let readiness = Readiness::new();
    let model = readiness.condition("model");
    let running = serve_with(Echo::default(), &ServerSettings::on_free_ports(), readiness).await;
    for service in ["", "echo", SERVICE] {
        assert_eq!(
            health(&running, service).await.unwrap(),
            ServingStatus::NotServing,
            "{service}"
        );
    }
    assert_eq!(health(&running, "nobody").await.unwrap_err().code(), Code::NotFound);

    let mut client = HealthClient::new(running.channel());
    let request = HealthCheckRequest {
        service: SERVICE.to_owned(),
    };
    let mut changes = client.watch(request).await.unwrap().into_inner();
    let next = async |changes: &mut tonic::Streaming<HealthCheckResponse>| {
        changes.next().await.map(|change| change.unwrap().status())
    };
    assert_eq!(next(&mut changes).await, Some(ServingStatus::NotServing));
    model.set_ready("version 1");
    assert_eq!(next(&mut changes).await, Some(ServingStatus::Serving));
    running.shutdown.trigger("test");
    assert_eq!(next(&mut changes).await, Some(ServingStatus::NotServing));
    assert_eq!(next(&mut changes).await, None);
    assert!(running.shutdown.finish().await.in_time);
}

#[tokio::test]
async fn reflection_lists_what_is_served() {
    let running = serve(Echo::default()).await;
    let mut client = ServerReflectionClient::new(running.channel());
    let ask = |question| ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let questions = [
        MessageRequest::ListServices(String::new()),
        MessageRequest::FileContainingSymbol(SERVICE.to_owned()),
    ];
    let mut answers = client
        .server_reflection_info(futures::stream::iter(questions.map(ask)))
        .await
        .unwrap()
        .into_inner();

    let Some(MessageResponse::ListServicesResponse(list)) = answers.next().await.unwrap().unwrap().message_response
    else {
        panic!("expected a list");
    };
    let mut names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    assert_eq!(
        names,
        ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", SERVICE]
    );
    let found = answers.next().await.unwrap().unwrap().message_response;
    assert!(
        matches!(found, Some(MessageResponse::FileDescriptorResponse(_))),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_panic_in_a_handler_is_internal_and_the_server_lives() {
    let running = serve(Echo::default()).await;
    let channel = running.channel();
    let status = say(channel.clone(), "panic").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert_eq!(Fault::from_status(&status).reason, "HANDLER_PANICKED");
    assert!(!status.message().contains("as asked"));
    assert_eq!(say(channel, "still there").await.unwrap().text, "still there");
    let text = running.metrics().await;
    assert!(
        text.contains("rpc_server_calls_total{method=\"holdfast.test.v1.EchoService/Say\",code=\"INTERNAL\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("rpc_server_requests_in_flight 0\n"), "{text}");
}

#[tokio::test]
async fn violations_of_fields_arrive_at_the_client() {
    let running = serve(Echo::default()).await;
    let fault = Fault::from_status(&say(running.channel(), "invalid").await.unwrap_err());
    assert_eq!(fault.reason, "BAD_TEXT");
    assert_eq!(fault.violations[0].rule, "not_sensible");
}

#[tokio::test]
async fn more_violations_than_headers_hold_are_cut_and_counted() {
    let running = serve(Echo::default()).await;
    let channel = running.channel();
    let fault = Fault::from_status(&say(channel.clone(), "invalid in many fields").await.unwrap_err());
    assert_eq!(
        (fault.code, &*fault.reason),
        (holdfast_chassis::Code::InvalidArgument, "BAD_TEXT")
    );
    assert!(
        (20..1_000).contains(&fault.violations.len()),
        "{}",
        fault.violations.len()
    );
    assert_eq!(fault.violations[0].field, "texts[0]");
    assert_eq!(fault.metadata["violations_total"], "10000");
    assert_eq!(fault.message, "10000 fields are wrong");
    assert_eq!(say(channel, "still there").await.unwrap().text, "still there");
}

#[tokio::test]
async fn the_server_caps_the_time_a_request_may_take() {
    let settings = ServerSettings {
        request_timeout_ms: 20,
        ..ServerSettings::on_free_ports()
    };
    let running = serve_with(Echo::default(), &settings, Readiness::new()).await;
    let status = say(running.channel(), "wait").await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    let text = running.metrics().await;
    assert!(text.contains("code=\"DEADLINE_EXCEEDED\"} 1\n"), "{text}");
}

#[tokio::test]
async fn a_method_may_have_a_time_of_its_own() {
    let settings = ServerSettings {
        request_timeout_ms: 1_000,
        ..ServerSettings::on_free_ports()
    };
    let shutdown = Shutdown::new("echo");
    let metrics = Arc::new(MetricsRegistry::new("echo"));
    let builder = ServerBuilder::new("echo", &settings, shutdown.clone(), metrics, Readiness::new())
        .timeout_of("/holdfast.test.v1.EchoService/Say", Duration::from_secs(600));
    let bound = bind_with(builder, Echo::default()).await;
    let channel = ClientBuilder::new(format!("http://{}", bound.grpc_addr), &ClientSettings::default())
        .channel()
        .unwrap();
    bound.serve();
    let left: u64 = say(channel, "deadline").await.unwrap().text.parse().unwrap();
    assert!(left > 1_000, "{left}");
    shutdown.trigger("the test is over");
    shutdown.finish().await;
}

#[tokio::test]
async fn a_callers_shorter_deadline_wins_and_the_handler_sees_it() {
    let running = serve(Echo::default()).await;
    let mut request = Request::new(SayRequest {
        text: "deadline".to_owned(),
    });
    request.set_timeout(Duration::from_millis(700));
    let left: u64 = say_with(running.channel(), request)
        .await
        .unwrap()
        .text
        .parse()
        .unwrap();
    assert!(left <= 700, "{left}");
    let mut request = Request::new(SayRequest {
        text: "wait".to_owned(),
    });
    request.set_timeout(Duration::from_millis(20));
    let status = say_with(running.channel(), request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn a_call_made_for_a_request_inherits_its_deadline() {
    let last = serve(Echo::default()).await;
    let first = serve(Echo {
        next: Some(last.channel()),
        ..Echo::default()
    })
    .await;
    let mut request = Request::new(SayRequest {
        text: "relay deadline".to_owned(),
    });
    request.set_timeout(Duration::from_millis(700));
    let left: u64 = say_with(first.channel(), request).await.unwrap().text.parse().unwrap();
    assert!(left <= 700, "{left}");
    assert!(deadline::current().is_none());
}

#[tokio::test]
async fn a_peer_that_never_answers_is_deadline_exceeded() {
    // Accepted by the kernel, answered by nobody: what a paused container looks like.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let channel = ClientBuilder::new(url, &ClientSettings::default())
        .deadline(Duration::from_millis(50))
        .channel()
        .unwrap();
    let status = say(channel, "anybody?").await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unavailable_until_it_comes() {
    let reserved = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let channel = ClientBuilder::new(format!("http://{address}"), &ClientSettings::default())
        .channel()
        .unwrap();
    let status = say(channel.clone(), "hello").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains(&address.to_string()), "{status}");

    let settings = ServerSettings {
        bind: address,
        ..ServerSettings::on_free_ports()
    };
    let _running = serve_with(Echo::default(), &settings, Readiness::new()).await;
    assert_eq!(say(channel, "hello").await.unwrap().text, "hello");
}

#[tokio::test]
async fn one_request_too_many_is_refused_but_health_checks_are_not() {
    let settings = ServerSettings {
        max_concurrent_requests: 1,
        ..ServerSettings::on_free_ports()
    };
    let running = serve_with(Echo::default(), &settings, Readiness::new()).await;
    let waiting = tokio::spawn(say(running.channel(), "wait"));
    running.echo.arrival().await;

    let status = say(running.channel(), "me too").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    assert_eq!(health(&running, SERVICE).await.unwrap(), ServingStatus::Serving);

    running.echo.release.notify_waiters();
    assert_eq!(waiting.await.unwrap().unwrap().text, "released");
    assert_eq!(say(running.channel(), "me too").await.unwrap().text, "me too");
}

#[tokio::test]
async fn streams_hold_no_place_under_the_limit_and_are_counted_when_they_end() {
    let settings = ServerSettings {
        max_concurrent_requests: 1,
        ..ServerSettings::on_free_ports()
    };
    let running = serve_with(Echo::default(), &settings, Readiness::new()).await;
    let mut stream = watch(running.channel(), "news").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().text, "news");
    assert_eq!(say(running.channel(), "hello").await.unwrap().text, "hello");
    assert!(running.metrics().await.contains("rpc_server_requests_in_flight 1\n"));

    drop(stream);
    let cancelled = "rpc_server_calls_total{method=\"holdfast.test.v1.EchoService/Watch\",code=\"CANCELLED\"} 1\n";
    // The server learns of it when the reset arrives.
    while !running.metrics().await.contains(cancelled) {
        tokio::task::yield_now().await;
    }
    assert!(running.metrics().await.contains("rpc_server_requests_in_flight 0\n"));
}

#[tokio::test]
async fn calls_are_counted_by_method_and_code() {
    let running = serve(Echo::default()).await;
    for text in ["a", "b", "unavailable"] {
        let _ = say(running.channel(), text).await;
    }
    let mut client = tonic::client::Grpc::new(running.channel());
    client.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<SayRequest, SayRequest>::default();
    let path = http::uri::PathAndQuery::from_static("/nobody.Knows/This");
    let status = client
        .unary(Request::new(SayRequest::default()), path, codec)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);

    let text = running.metrics().await;
    for series in [
        "rpc_server_calls_total{method=\"holdfast.test.v1.EchoService/Say\",code=\"OK\"} 2\n",
        "rpc_server_calls_total{method=\"holdfast.test.v1.EchoService/Say\",code=\"UNAVAILABLE\"} 1\n",
        "rpc_server_calls_total{method=\"other\",code=\"UNIMPLEMENTED\"} 1\n",
        "rpc_server_call_duration_seconds_count{method=\"holdfast.test.v1.EchoService/Say\",code=\"OK\"} 2\n",
    ] {
        assert!(text.contains(series), "{series} is missing in {text}");
    }
}
