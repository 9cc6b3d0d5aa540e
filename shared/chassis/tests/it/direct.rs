//! A path that is answered without the router: what its callers see is what they would see with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get as on_get, post};
use futures::future::BoxFuture;
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::{DirectAnswer, HttpServer, RequestId, cors};
use holdfast_chassis::{Readiness, ServerSettings, Shutdown};
use http::{Method, Request, Response};
use tokio::sync::{Notify, Semaphore};

use crate::support::{get, send, serve_http};

struct Web {
    http: SocketAddr,
    admin: SocketAddr,
    arrived: Arc<Semaphore>,
    release: Arc<Notify>,
}

/// A server whose `/asked` is answered with the request's id directly, and by the router with `routed`.
async fn web(settings: &ServerSettings, allow_origins: bool) -> Web {
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let direct: DirectAnswer = {
        let (arrived, release) = (arrived.clone(), release.clone());
        Arc::new(move |request: Request<Body>| -> BoxFuture<'static, Response<Body>> {
            let (arrived, release) = (arrived.clone(), release.clone());
            Box::pin(async move {
                match request.headers().get("do").and_then(|what| what.to_str().ok()) {
                    Some("panic") => panic!("as asked"),
                    Some("wait") => {
                        let released = release.notified();
                        arrived.add_permits(1);
                        released.await;
                    }
                    _ => {}
                }
                let id = request.extensions().get::<RequestId>().map(RequestId::as_str);
                Response::new(Body::from(format!("direct {}", id.unwrap_or("without an id"))))
            })
        })
    };
    let router = Router::new()
        .route("/asked", post(async || "routed"))
        .route("/other", on_get(async || "other"));
    let metrics = Arc::new(MetricsRegistry::new("web"));
    let server = HttpServer::new("web", settings, Shutdown::new("web"), metrics, Readiness::new())
        .router(router)
        .direct(Method::POST, "/asked", direct)
        .routes([(Method::POST, "/asked")])
        .cors(allow_origins.then(|| cors::CorsLayer::new().allow_origin(cors::Any)));
    let (http, admin) = serve_http(server).await;
    Web {
        http,
        admin,
        arrived,
        release,
    }
}

#[tokio::test]
async fn only_its_plain_requests_go_around_the_router() {
    let web = web(&ServerSettings::on_free_ports(), false).await;
    let answer = send(web.http, "POST", "/asked", &["x-request-id: mine"], "").await;
    assert_eq!(answer.body, "direct mine");
    assert!(answer.head.contains("\r\nx-request-id: mine"), "{answer:?}");
    // One of ours, for who brings none.
    let answer = send(web.http, "POST", "/asked", &["origin: https://bank.example"], "").await;
    let id = answer.body.strip_prefix("direct ").unwrap();
    assert!(answer.head.contains(&format!("\r\nx-request-id: {id}")), "{answer:?}");
    let compressed = send(web.http, "POST", "/asked", &["content-encoding: gzip"], "").await;
    assert_eq!(compressed.body, "routed");
    assert_eq!(send(web.http, "POST", "/asked?more", &[], "").await.status, 200);
    assert_eq!(get(web.http, "/asked", &[]).await.status, 405);
    assert_eq!(send(web.http, "POST", "/asked/", &[], "").await.status, 404);
    assert_eq!(get(web.http, "/other", &[]).await.body, "other");
}

#[tokio::test]
async fn pages_of_other_origins_are_answered_by_the_router_when_they_may_call() {
    let web = web(&ServerSettings::on_free_ports(), true).await;
    let answer = send(web.http, "POST", "/asked", &["origin: https://bank.example"], "").await;
    assert_eq!(answer.body, "routed");
    assert!(answer.head.contains("\r\naccess-control-allow-origin: *"), "{answer:?}");
    assert!(
        send(web.http, "POST", "/asked", &[], "")
            .await
            .body
            .starts_with("direct ")
    );
}

#[tokio::test]
async fn it_is_counted_limited_and_ended_like_any_other() {
    let settings = ServerSettings {
        max_concurrent_requests: 1,
        request_timeout_ms: 60_000,
        ..ServerSettings::on_free_ports()
    };
    let web = web(&settings, false).await;
    let panicked = send(web.http, "POST", "/asked", &["do: panic"], "").await;
    assert_eq!((panicked.status, &panicked.json()["instance"]), (500, &"/asked".into()));
    let http = web.http;
    let waiting = tokio::spawn(async move { send(http, "POST", "/asked", &["do: wait"], "").await });
    web.arrived.acquire().await.unwrap().forget();
    // One limit for both ways.
    assert_eq!(get(web.http, "/other", &[]).await.status, 429);
    assert_eq!(send(web.http, "POST", "/asked", &[], "").await.status, 429);
    web.release.notify_waiters();
    assert_eq!(waiting.await.unwrap().status, 200);
    let text = get(web.admin, "/metrics", &[]).await.body;
    for (status, count) in [(200, 1), (429, 1), (500, 1)] {
        let series = format!(
            "http_server_request_duration_seconds_count{{method=\"POST\",route=\"/asked\",status=\"{status}\"}} {count}\n"
        );
        assert!(text.contains(&series), "{series} is missing in {text}");
    }
    assert!(text.contains("http_server_requests_in_flight 0\n"), "{text}");
}

#[tokio::test]
async fn it_has_the_deadline_of_the_settings() {
    let settings = ServerSettings {
        request_timeout_ms: 30,
        ..ServerSettings::on_free_ports()
    };
    let web = web(&settings, false).await;
    let late = tokio::time::timeout(
        Duration::from_secs(60),
        send(web.http, "POST", "/asked", &["do: wait"], ""),
    );
    let late = late.await.unwrap();
    assert_eq!((late.status, &late.json()["instance"]), (504, &"/asked".into()));
}
