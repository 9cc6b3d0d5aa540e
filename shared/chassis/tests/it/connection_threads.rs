//! Connections on threads of their own: which work is done there, and how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get as on_get, post};
use futures::future::BoxFuture;
use futures::stream;
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::{DirectAnswer, HttpServer};
use holdfast_chassis::{Readiness, ServerSettings, Shutdown};
use http::{Method, Request, Response};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::support::{get, send, serve_http};

struct Web {
    http: SocketAddr,
    shutdown: Shutdown,
    arrived: Arc<Semaphore>,
    release: Arc<Notify>,
    /// Closed when no request to `/held` is left.
    held: mpsc::Receiver<()>,
}

fn on_thread_of_connection() -> &'static str {
    match thread::current().name() {
        Some(name) if name.starts_with("http-") => "connection's;",
        _ => "shared;",
    }
}

/// A server whose answers say on what kind of thread they are made; `/pieces` has a body made bit by bit, `/held` never ends.
async fn web() -> Web {
    let direct: DirectAnswer = Arc::new(|_: Request<Body>| -> BoxFuture<'static, Response<Body>> {
        Box::pin(async { Response::new(Body::from(on_thread_of_connection())) })
    });
    let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (holder, held) = mpsc::channel(1);
    let wait = {
        let (arrived, release) = (arrived.clone(), release.clone());
        async move || {
            let released = release.notified();
            arrived.add_permits(1);
            released.await;
            "released"
        }
    };
    let hold = {
        let arrived = arrived.clone();
        async move || {
            let pieces = stream::unfold((holder, arrived), |(holder, arrived)| async move {
                arrived.add_permits(1);
                std::future::pending::<()>().await;
                Some((Ok::<_, std::io::Error>(Bytes::new()), (holder, arrived)))
            });
            Body::from_stream(pieces)
        }
    };
    let pieces = async || {
        let piece = |_| async {
            tokio::task::yield_now().await;
            Ok::<_, std::io::Error>(on_thread_of_connection())
        };
        Body::from_stream(futures::StreamExt::then(stream::iter(0..3), piece))
    };
    let router = Router::new()
        .route("/routed", post(async || on_thread_of_connection()))
        .route("/quick", post(async || on_thread_of_connection()))
        .route("/pieces", on_get(pieces))
        .route("/wait", on_get(wait))
        .route("/held", on_get(hold));
    let (shutdown, metrics) = (Shutdown::new("web"), Arc::new(MetricsRegistry::new("web")));
    let settings = ServerSettings::on_free_ports();
    let server = HttpServer::new("web", &settings, shutdown.clone(), metrics, Readiness::new())
        .router(router)
        .direct(Method::POST, "/direct", direct)
        .own_threads(Some(|path| path == "/quick"));
    let (http, _) = serve_http(server).await;
    Web {
        http,
        shutdown,
        arrived,
        release,
        held,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_small_requests_on_the_direct_path_and_on_quick_ones_are_answered_there() {
    let web = web().await;
    assert_eq!(send(web.http, "POST", "/direct", &[], "{}").await.body, "connection's;");
    let large = "x".repeat(20 << 10);
    assert_eq!(send(web.http, "POST", "/direct", &[], &large).await.body, "shared;");
    assert_eq!(send(web.http, "POST", "/routed", &[], "").await.body, "shared;");
    assert_eq!(send(web.http, "POST", "/quick", &[], "{}").await.body, "connection's;");
    assert_eq!(send(web.http, "POST", "/quick", &[], &large).await.body, "shared;");
    let pieces = get(web.http, "/pieces", &[]).await.body;
    assert_eq!(pieces.matches("shared;").count(), 3, "{pieces}");
    assert!(!pieces.contains("connection's;"), "{pieces}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_waits_for_any_more_is_given_up() {
    let mut web = web().await;
    let mut caller = TcpStream::connect(web.http).await.unwrap();
    caller
        .write_all(b"GET /held HTTP/1.1\r\nhost: here\r\n\r\n")
        .await
        .unwrap();
    web.arrived.acquire().await.unwrap().forget();
    drop(caller);
    // The router keeps one end; the body's goes with the body.
    web.shutdown.trigger("test");
    assert!(web.shutdown.finish().await.in_time);
    assert_eq!(web.held.recv().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_in_flight_is_drained() {
    let web = web().await;
    let http = web.http;
    let waiting = tokio::spawn(async move { get(http, "/wait", &[]).await });
    let idle = TcpStream::connect(http).await.unwrap();
    web.arrived.acquire().await.unwrap().forget();
    web.shutdown.trigger("test");
    while TcpStream::connect(http).await.is_ok() {
        tokio::task::yield_now().await;
    }
    web.release.notify_waiters();
    assert_eq!(waiting.await.unwrap().body, "released");
    assert!(web.shutdown.finish().await.in_time);
    drop(idle);
}
