//! The HTTP server: the same layers as gRPC, problem documents as answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get as on_get, post};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::HttpServer;
use holdfast_chassis::{Fault, Readiness, ServerSettings, Shutdown};
use http::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, Semaphore};

use crate::support::{get, send, serve_http};

struct Web {
    http: SocketAddr,
    admin: SocketAddr,
    shutdown: Shutdown,
    arrived: Arc<Semaphore>,
    release: Arc<Notify>,
}

async fn web(settings: &ServerSettings) -> Web {
    let shutdown = Shutdown::new("web");
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let wait = {
        let (arrived, release) = (arrived.clone(), release.clone());
        async move || {
            let released = release.notified();
            arrived.add_permits(1);
            released.await;
            "released"
        }
    };
    let router = Router::new()
        .route("/models/{name}", on_get(async |Path(name): Path<String>| name))
        .route("/wait", on_get(wait))
        .route("/panic", on_get(async || -> String { panic!("as asked") }))
        .route(
            "/fault",
            on_get(async || -> Result<String, Fault> { Err(Fault::not_found("NO_MODEL", "no such model")) }),
        )
        .route("/echo", post(async |body: String| body))
        .fallback(async || Fault::not_found("NO_ROUTE", "no such path"));
    let metrics = Arc::new(MetricsRegistry::new("web"));
    let server = HttpServer::new("web", settings, shutdown.clone(), metrics, Readiness::new())
        .router(router)
        .routes([(Method::GET, "/models/{name}")])
        .idle_timeout(Duration::from_millis(200));
    let (http, admin) = serve_http(server).await;
    Web {
        http,
        admin,
        shutdown,
        arrived,
        release,
    }
}

#[tokio::test]
async fn faults_and_panics_are_problem_documents() {
    let web = web(&ServerSettings::on_free_ports()).await;
    for (path, status, reason) in [
        ("/fault", 404, "NO_MODEL"),
        ("/nowhere", 404, "NO_ROUTE"),
        ("/panic", 500, "HANDLER_PANICKED"),
    ] {
        let answer = get(web.http, path, &[]).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(
            answer.head.contains("content-type: application/problem+json"),
            "{answer:?}"
        );
        assert_eq!(answer.json()["reason"], reason);
        assert!(answer.head.contains("\r\nx-request-id: "), "{answer:?}");
    }
    assert_eq!(get(web.http, "/models/churn", &[]).await.body, "churn");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let web = web(&ServerSettings::on_free_ports()).await;
    let zero = "http_server_request_duration_seconds_count{method=\"GET\",route=\"/models/{name}\",status=\"200\"} 0\n";
    let text = get(web.admin, "/metrics", &[]).await.body;
    assert!(text.contains(zero), "{text}");
    for path in ["/models/a", "/models/b", "/panic", "/x", "/y"] {
        get(web.http, path, &[]).await;
    }
    send(web.http, "BREW", "/models/a", &[], "").await;
    let text = get(web.admin, "/metrics", &[]).await.body;
    for series in [
        "{method=\"GET\",route=\"/models/{name}\",status=\"200\"} 2\n",
        "{method=\"GET\",route=\"/panic\",status=\"500\"} 1\n",
        "{method=\"GET\",route=\"unmatched\",status=\"404\"} 2\n",
        "{method=\"OTHER\",route=\"/models/{name}\",status=\"405\"} 1\n",
    ] {
        assert!(
            text.contains(&format!("http_server_request_duration_seconds_count{series}")),
            "{series} is missing in {text}"
        );
    }
}

#[tokio::test]
async fn late_and_surplus_requests_and_large_bodies_are_refused() {
    let settings = ServerSettings {
        request_timeout_ms: 30,
        max_concurrent_requests: 1,
        max_message_bytes: 10,
        ..ServerSettings::on_free_ports()
    };
    let web = web(&settings).await;
    let late = get(web.http, "/wait", &["x-request-id: mine"]).await;
    assert_eq!((late.status, &late.json()["instance"]), (504, &"/wait".into()));
    assert!(late.head.contains("\r\nx-request-id: mine"), "{late:?}");
    assert_eq!(
        send(web.http, "POST", "/echo", &[], "0123456789").await.body,
        "0123456789"
    );
    assert_eq!(send(web.http, "POST", "/echo", &[], "0123456789a").await.status, 413);
}

#[tokio::test]
async fn one_request_too_many_is_refused() {
    let settings = ServerSettings {
        max_concurrent_requests: 1,
        ..ServerSettings::on_free_ports()
    };
    let web = web(&settings).await;
    let http = web.http;
    let waiting = tokio::spawn(async move { get(http, "/wait", &[]).await });
    web.arrived.acquire().await.unwrap().forget();
    let refused = get(web.http, "/models/a", &[]).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["code"], "RESOURCE_EXHAUSTED");
    assert_eq!(refused.json()["instance"], "/models/a");
    assert!(refused.head.contains("\r\nretry-after: 1"), "{refused:?}");
    assert!(refused.head.contains("\r\nx-request-id: "), "{refused:?}");
    web.release.notify_waiters();
    assert_eq!(waiting.await.unwrap().body, "released");
}

#[tokio::test]
async fn a_request_in_flight_is_drained_and_new_ones_are_refused() {
    let web = web(&ServerSettings::on_free_ports()).await;
    let http = web.http;
    let waiting = tokio::spawn(async move { get(http, "/wait", &[]).await });
    web.arrived.acquire().await.unwrap().forget();
    web.shutdown.trigger("test");
    // The listener closes as soon as its task sees the signal.
    while tokio::net::TcpStream::connect(web.http).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(web.admin, "/readyz", &[]).await.status, 503);
    web.release.notify_waiters();
    assert_eq!(waiting.await.unwrap().body, "released");
    assert!(web.shutdown.finish().await.in_time);
}

#[tokio::test]
async fn an_id_that_is_no_good_is_replaced() {
    let web = web(&ServerSettings::on_free_ports()).await;
    for id in ["", "two words", &"x".repeat(129)] {
        let answer = get(web.http, "/models/a", &[&format!("x-request-id: {id}")]).await;
        let given = answer
            .head
            .lines()
            .find_map(|line| line.strip_prefix("x-request-id: "))
            .unwrap();
        assert_eq!(given.len(), 36, "a new one in place of {id:?}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_one_that_does_not_come_ends_the_connection() {
    let web = web(&ServerSettings::on_free_ports()).await;
    let large = format!("x-large: {}", "x".repeat(70 << 10));
    assert_eq!(get(web.http, "/models/a", &[&large]).await.status, 431);
    let many: Vec<String> = (0..101).map(|number| format!("x-{number}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(get(web.http, "/models/a", &many).await.status, 431);

    for begun in ["", "GET /models/a HT", "GET /models/a HTTP/1.1\r\nhost: test\r\n"] {
        let mut stream = tokio::net::TcpStream::connect(web.http).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // Ends by itself.
        stream.read_to_end(&mut answer).await.unwrap();
    }
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let web = web(&ServerSettings::on_free_ports()).await;
    let _silent = tokio::net::TcpStream::connect(web.http).await.unwrap();
    let mut idle = tokio::net::TcpStream::connect(web.http).await.unwrap();
    idle.write_all(b"GET /models/a HTTP/1.1\r\nhost: test\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    web.shutdown.trigger("test");
    assert!(web.shutdown.finish().await.in_time);
}
