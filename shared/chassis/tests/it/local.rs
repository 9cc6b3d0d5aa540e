//! A service called by its own process: the layers of its server hold there too.

use std::sync::Arc;
use std::time::Duration;

use holdfast_chassis::server::Local;
use holdfast_chassis::{Fault, Readiness, ServerSettings, Shutdown};
use tonic::{Code, Request, Response, Status};

use crate::support::{Echo, Running, SAY, SayReply, SayRequest, bind};

async fn serve(settings: &ServerSettings) -> (Running, Local<Echo>) {
    let (echo, shutdown) = (Echo::default(), Shutdown::new("echo"));
    let bound = bind(echo.clone(), settings, Readiness::new(), shutdown.clone()).await;
    let local = bound.local(Arc::new(echo.clone()));
    let (grpc, admin) = (bound.grpc_addr, bound.admin_addr);
    bound.serve();
    let running = Running {
        grpc,
        admin,
        shutdown,
        echo,
    };
    (running, local)
}

async fn say(local: &Local<Echo>, request: Request<SayRequest>) -> Result<SayReply, Status> {
    say_within(Duration::from_secs(60), local, request).await
}

async fn say_within(timeout: Duration, local: &Local<Echo>, request: Request<SayRequest>) -> Result<SayReply, Status> {
    let answer = local.call(SAY, timeout, request, |echo, request| async move {
        echo.say(request.into_inner()).await.map(Response::new)
    });
    Ok(answer.await?.into_inner())
}

fn request(text: &str) -> Request<SayRequest> {
    Request::new(SayRequest { text: text.to_owned() })
}

#[tokio::test]
async fn answers_and_failures_come_as_they_are_and_are_counted() {
    let (running, local) = serve(&ServerSettings::on_free_ports()).await;
    assert_eq!(say(&local, request("hello")).await.unwrap().text, "hello");
    let refused = say(&local, request("invalid")).await.unwrap_err();
    assert_eq!(Fault::from_status(&refused).violations[0].field, "text");
    let metrics = running.metrics().await;
    for code in ["OK", "INVALID_ARGUMENT"] {
        let series = format!("rpc_server_calls_total{{method=\"holdfast.test.v1.EchoService/Say\",code=\"{code}\"}} 1");
        assert!(metrics.contains(&series), "{series} in {metrics}");
    }
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let (_running, local) = serve(&ServerSettings::on_free_ports()).await;
    assert_eq!(say(&local, request("panic")).await.unwrap_err().code(), Code::Internal);
    assert_eq!(say(&local, request("still there")).await.unwrap().text, "still there");
}

#[tokio::test]
async fn the_deadline_of_the_request_holds_and_is_seen_inside() {
    let (_running, local) = serve(&ServerSettings::on_free_ports()).await;
    let mut hurried = request("deadline");
    hurried.set_timeout(Duration::from_secs(3));
    let left: u64 = say(&local, hurried).await.unwrap().text.parse().unwrap();
    assert!(left <= 3_000, "{left}");
    let mut late = request("wait");
    late.set_timeout(Duration::from_millis(1));
    assert_eq!(say(&local, late).await.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn the_time_that_the_caller_gives_holds_and_is_seen_inside() {
    let (_running, local) = serve(&ServerSettings::on_free_ports()).await;
    let hurried = say_within(Duration::from_secs(3), &local, request("deadline")).await;
    let left: u64 = hurried.unwrap().text.parse().unwrap();
    assert!(left <= 3_000, "{left}");
    let late = say_within(Duration::from_millis(1), &local, request("wait")).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn one_request_too_many_is_refused_over_both_ways_together() {
    let settings = ServerSettings {
        max_concurrent_requests: 1,
        ..ServerSettings::on_free_ports()
    };
    let (running, local) = serve(&settings).await;
    let waiting = tokio::spawn(crate::support::say(running.channel(), "wait"));
    running.echo.arrival().await;
    let refused = say(&local, request("hello")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    running.echo.release.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap().text, "released");
    assert_eq!(say(&local, request("hello")).await.unwrap().text, "hello");
}
