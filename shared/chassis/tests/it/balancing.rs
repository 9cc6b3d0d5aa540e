//! Several replicas of one peer: found by name, balanced, ejected, replaced under load. Real servers, an injected resolver.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use holdfast_chassis::client::retry::{RetryPolicy, idempotent};
use holdfast_chassis::client::{Addresses, Channel, ClientBuilder, ClientMetrics, Resolve};
use holdfast_chassis::metrics::{Exposition, MetricsRegistry};
use holdfast_chassis::settings::{ClientSettings, EjectionSettings, RetrySettings};
use holdfast_testkit::eventually;
use tokio::net::TcpListener;
use tonic::Code;

use crate::support::{Echo, Running, leave, say, serve};

const PATIENCE: Duration = Duration::from_secs(20);

/// Addresses that a test changes.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<SocketAddr>>>);

impl Names {
    fn set(&self, addresses: &[SocketAddr]) {
        *self.0.lock().unwrap() = addresses.to_vec();
    }
}

impl Resolve for Names {
    fn resolve<'r>(&'r self, host: &'r str, _: u16) -> Addresses<'r> {
        assert_eq!(host, "echo.test");
        let found = self.0.lock().unwrap().clone();
        let found = if found.is_empty() {
            Err(io::Error::other("no such name"))
        } else {
            Ok(found)
        };
        Box::pin(async { found })
    }
}

/// A channel to whatever the names say.
struct Client {
    names: Names,
    channel: Channel,
    metrics: MetricsRegistry,
}

impl Client {
    fn new(addresses: &[SocketAddr], settings: &ClientSettings) -> Self {
        let names = Names::default();
        names.set(addresses);
        let metrics = MetricsRegistry::new("test");
        let builder = ClientBuilder::new("http://echo.test:1", settings).resolver(Arc::new(names.clone()));
        let channel = builder
            .metrics(&ClientMetrics::register(&metrics, &["echo"]), "echo")
            .channel()
            .unwrap();
        Self {
            names,
            channel,
            metrics,
        }
    }

    async fn say(&self, text: &str) -> Result<String, tonic::Status> {
        Ok(say(self.channel.clone(), text).await?.text)
    }

    fn metric(&self, name: &str) -> u64 {
        let text = self.metrics.encode(Exposition::Text);
        let series = format!("{name}{{peer=\"echo\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    async fn reaches(&self, name: &str, value: u64) {
        eventually(name, PATIENCE, async || self.metric(name) == value).await;
    }
}

/// Looks up names all the time, ejects at the first failure and for the length of the test.
fn settings() -> ClientSettings {
    ClientSettings {
        resolve_interval_ms: 5,
        ejection: EjectionSettings {
            consecutive_failures: 1,
            first_ms: 600_000,
            longest_ms: 600_000,
        },
        ..ClientSettings::default()
    }
}

async fn servers<const N: usize>() -> [Running; N] {
    let mut servers = Vec::new();
    for _ in 0..N {
        servers.push(serve(Echo::default()).await);
    }
    servers.try_into().ok().unwrap()
}

fn asked(server: &Running) -> usize {
    server.echo.asked.load(Ordering::SeqCst)
}

/// Nobody listens there: servers of tests are at 127.0.0.1.
fn refusing(like: &Running) -> SocketAddr {
    SocketAddr::from(([127, 83, 1, 1], like.grpc.port()))
}

#[tokio::test]
async fn of_three_replicas_the_one_that_hangs_and_the_one_that_refuses_are_left_out() {
    let [good] = servers().await;
    // Connections are made by the system; nobody ever reads from them.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = ClientSettings {
        request_timeout_ms: 100,
        ..settings()
    };
    let client = Client::new(&[good.grpc, refusing(&good), hanging.local_addr().unwrap()], &settings);
    eventually("both left out", PATIENCE, async || {
        if let Err(status) = client.say("hello").await {
            assert_eq!(
                status.code(),
                Code::DeadlineExceeded,
                "only the one that hangs is ever tried: {status}"
            );
        }
        client.metric("client_ejected_replicas") == 2
    })
    .await;
    for _ in 0..50 {
        assert_eq!(client.say("hello").await.unwrap(), "hello");
    }
    assert_eq!(client.metric("client_replicas"), 3);
    assert_eq!(
        client.metric("client_ejections_total"),
        1,
        "the refusing one was never let in"
    );
}

#[tokio::test]
async fn replicas_come_and_go_under_load_and_no_request_fails() {
    let [first, second] = servers().await;
    let client = Arc::new(Client::new(&[first.grpc], &settings()));
    let (ending, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (client, ending, failed) = (client.clone(), ending.clone(), failed.clone());
            tokio::spawn(async move {
                while !ending.load(Ordering::SeqCst) {
                    if client.say("load").await.is_err() {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    let held = {
        let channel = client.channel.clone();
        tokio::spawn(async move { say(channel, "wait").await })
    };
    first.echo.arrival().await;

    client.names.set(&[first.grpc, second.grpc]);
    eventually("calls at the replica that came", PATIENCE, async || asked(&second) > 20).await;
    client.names.set(&[second.grpc]);
    client.reaches("client_replicas", 1).await;
    let before = asked(&second);
    eventually("calls go on", PATIENCE, async || asked(&second) > before + 20).await;
    ending.store(true, Ordering::SeqCst);
    for task in load {
        task.await.unwrap();
    }
    assert_eq!(failed.load(Ordering::SeqCst), 0);

    let gone = asked(&first);
    for _ in 0..20 {
        client.say("hello").await.unwrap();
    }
    assert_eq!(asked(&first), gone, "a replica that is gone gets no calls");
    first.echo.release.notify_waiters();
    assert_eq!(
        held.await.unwrap().unwrap().text,
        "released",
        "what was under way there ends there"
    );
}

#[tokio::test]
async fn a_call_goes_where_fewer_are_under_way() {
    let [first, second] = servers().await;
    let client = Client::new(&[first.grpc, second.grpc], &settings());
    client.say("hello").await.unwrap();
    client.reaches("client_ejected_replicas", 0).await;
    let before = [asked(&first), asked(&second)];
    let mut held = Vec::new();
    for _ in 0..10 {
        let channel = client.channel.clone();
        held.push(tokio::spawn(async move { say(channel, "wait").await }));
        let (first, second) = (&first.echo, &second.echo);
        tokio::select! {
            () = first.arrival() => {}
            () = second.arrival() => {}
        }
    }
    let got = [asked(&first) - before[0], asked(&second) - before[1]];
    assert_eq!(got, [5, 5]);
    first.echo.release.notify_waiters();
    second.echo.release.notify_waiters();
    for call in held {
        assert_eq!(call.await.unwrap().unwrap().text, "released");
    }
}

#[tokio::test]
async fn a_large_body_does_not_hold_up_short_calls() {
    let [server] = servers().await;
    let client = Client::new(&[server.grpc], &settings());
    // More than HTTP/2 lets be under way on a connection whose other end does not read.
    let channel = client.channel.bulk();
    let large = tokio::spawn(async move { leave(channel, 3 << 20).await });
    server.echo.arrival().await;
    for _ in 0..10 {
        assert_eq!(client.say("short").await.unwrap(), "short");
    }
    assert!(!large.is_finished(), "it is answered after the short ones");
    server.echo.release.notify_waiters();
    large.await.unwrap();
}

#[tokio::test]
async fn what_is_safe_to_repeat_is_repeated_at_another_replica() {
    let [good] = servers().await;
    let away = serve(Echo {
        away: true,
        ..Echo::default()
    })
    .await;
    let mut patient = settings();
    patient.ejection.consecutive_failures = 1_000_000;
    let client = Client::new(&[good.grpc, away.grpc], &patient);
    let policy = RetryPolicy::new(&RetrySettings {
        max_attempts: 2,
        initial_backoff_ms: 1,
        max_backoff_ms: 1,
        budget_ratio: 1.0,
    });
    eventually("the one that is away was asked", PATIENCE, async || {
        assert_eq!(idempotent(&policy, || client.say("again")).await.unwrap(), "again");
        asked(&away) > 0
    })
    .await;
}

#[tokio::test]
async fn the_last_replica_is_never_given_up() {
    let replicas = [
        serve(Echo {
            away: true,
            ..Echo::default()
        })
        .await,
        serve(Echo {
            away: true,
            ..Echo::default()
        })
        .await,
    ];
    let client = Client::new(&replicas.each_ref().map(|replica| replica.grpc), &settings());
    for _ in 0..20 {
        assert_eq!(client.say("hello").await.unwrap_err().message(), "not now");
    }
    client.reaches("client_ejected_replicas", 1).await;
}

#[tokio::test]
async fn an_ejected_replica_comes_back_when_it_can_be_reached() {
    let [good] = servers().await;
    let away = serve(Echo {
        away: true,
        ..Echo::default()
    })
    .await;
    let mut brief = settings();
    brief.ejection.first_ms = 20;
    let client = Client::new(&[good.grpc, away.grpc], &brief);
    // Again and again: it can be reached, and is still away.
    eventually("two ejections", PATIENCE, async || {
        let _ = client.say("hello").await;
        client.metric("client_ejections_total") >= 2
    })
    .await;
}

#[tokio::test]
async fn a_name_that_cannot_be_looked_up_is_an_answer_and_later_looks_go_on() {
    let [server] = servers().await;
    let client = Client::new(&[], &settings());
    let status = client.say("hello").await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(
        status
            .message()
            .contains("http://echo.test:1: echo.test cannot be looked up"),
        "{status}"
    );
    client.names.set(&[server.grpc]);
    eventually("an answer", PATIENCE, async || client.say("hello").await.is_ok()).await;
    // Names fail more often than services move.
    client.names.set(&[]);
    for _ in 0..20 {
        client.say("hello").await.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_nobody_listens_at_costs_no_call_even_one_that_must_not_be_repeated() {
    let [server] = servers().await;
    // Has an IPv6 address on most systems, and the server listens on IPv4 only.
    let url = format!("http://localhost:{}", server.grpc.port());
    let channel = ClientBuilder::new(url, &ClientSettings::default()).channel().unwrap();
    for _ in 0..20 {
        assert_eq!(say(channel.clone(), "hello").await.unwrap().text, "hello");
    }
    let client = Client::new(&[refusing(&server), server.grpc], &settings());
    for _ in 0..20 {
        assert_eq!(client.say("hello").await.unwrap(), "hello");
    }
}
