//! An echo service written by hand (what a generator would write, and small), a server of it, and the plainest HTTP client there is.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures::Stream;
use futures::stream::StreamExt;
use holdfast_chassis::client::{Channel, ClientBuilder};
use holdfast_chassis::metrics::MetricsRegistry;
use holdfast_chassis::server::{BoundServer, HttpServer, ServerBuilder};
use holdfast_chassis::settings::ClientSettings;
use holdfast_chassis::{Code, Fault, FieldViolation, Readiness, ServerSettings, Shutdown, deadline, telemetry};
use http::uri::PathAndQuery;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, Semaphore};
use tonic::body::Body;
use tonic::server::{NamedService, ServerStreamingService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

pub(crate) const SERVICE: &str = "holdfast.test.v1.EchoService";
pub(crate) const SAY: &str = "/holdfast.test.v1.EchoService/Say";
const WATCH: &str = "/holdfast.test.v1.EchoService/Watch";
const LEAVE: &str = "/holdfast.test.v1.EchoService/Leave";

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SayRequest {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SayReply {
    #[prost(string, tag = "1")]
    pub(crate) text: String,
    #[prost(string, tag = "2")]
    pub(crate) trace_id: String,
}

/// The descriptors of `tests/proto/echo.proto`, compiled once.
pub(crate) fn descriptors() -> &'static [u8] {
    static DESCRIPTORS: OnceLock<Vec<u8>> = OnceLock::new();
    DESCRIPTORS.get_or_init(|| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proto");
        protox::compile(["echo.proto"], [folder]).unwrap().encode_to_vec()
    })
}

/// The service. What it does depends on the text: `wait` waits for `release`, `panic` panics, `invalid` fails, `relay` asks the next hop, `deadline`
/// answers with the milliseconds left.
#[derive(Clone)]
pub(crate) struct Echo {
    pub(crate) arrived: Arc<Semaphore>,
    pub(crate) release: Arc<Notify>,
    pub(crate) next: Option<Channel>,
    /// Answers everything with `UNAVAILABLE`.
    pub(crate) away: bool,
    /// How often it was asked to say something.
    pub(crate) asked: Arc<AtomicUsize>,
}

impl Default for Echo {
    fn default() -> Self {
        Self {
            arrived: Arc::new(Semaphore::new(0)),
            release: Arc::default(),
            next: None,
            away: false,
            asked: Arc::default(),
        }
    }
}

impl Echo {
    /// Waits until a request is inside the handler.
    pub(crate) async fn arrival(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub(crate) async fn say(&self, request: SayRequest) -> Result<SayReply, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.away {
            return Err(Fault::unavailable("NOT_NOW", "not now").into());
        }
        let text = match request.text.as_str() {
            "wait" => {
                let released = self.release.notified();
                self.arrived.add_permits(1);
                released.await;
                "released".to_owned()
            }
            "panic" => panic!("as asked"),
            "invalid" => {
                let violation = FieldViolation::new("text", "not_sensible", "says nothing");
                return Err(Fault::invalid_fields("BAD_TEXT", vec![violation]).into());
            }
            "invalid in many fields" => {
                let violation =
                    |field: usize| FieldViolation::new(format!("texts[{field}]"), "not_sensible", "says nothing");
                return Err(Fault::invalid_fields("BAD_TEXT", (0..10_000).map(violation).collect()).into());
            }
            "unavailable" => return Err(Fault::unavailable("NOT_NOW", "not now").into()),
            "deadline" => deadline::remaining().unwrap().as_millis().to_string(),
            "relay" | "relay deadline" => {
                let next = self
                    .next
                    .clone()
                    .ok_or_else(|| Status::from(Fault::new(Code::FailedPrecondition, "NO_NEXT", "no next")))?;
                let text = if request.text == "relay" {
                    "last hop"
                } else {
                    "deadline"
                };
                return say(next, text).await;
            }
            other => other.to_owned(),
        };
        Ok(SayReply {
            text,
            trace_id: telemetry::current_trace_id().unwrap_or_default(),
        })
    }
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Replies = Pin<Box<dyn Stream<Item = Result<SayReply, Status>> + Send>>;

struct Say(Echo);

impl UnaryService<SayRequest> for Say {
    type Response = SayReply;
    type Future = Boxed<Result<Response<SayReply>, Status>>;

    fn call(&mut self, request: Request<SayRequest>) -> Self::Future {
        let echo = self.0.clone();
        Box::pin(async move { echo.say(request.into_inner()).await.map(Response::new) })
    }
}

struct Watch(Echo);

impl ServerStreamingService<SayRequest> for Watch {
    type Response = SayReply;
    type ResponseStream = Replies;
    type Future = Boxed<Result<Response<Replies>, Status>>;

    fn call(&mut self, request: Request<SayRequest>) -> Self::Future {
        let reply = SayReply {
            text: request.into_inner().text,
            trace_id: String::new(),
        };
        let once_then_silence = futures::stream::iter([Ok(reply)]).chain(futures::stream::pending());
        self.0.arrived.add_permits(1);
        Box::pin(async move { Ok(Response::new(Box::pin(once_then_silence) as Replies)) })
    }
}

/// What a generator would call `EchoServiceServer`.
#[derive(Clone)]
pub(crate) struct EchoServer(pub(crate) Echo);

impl NamedService for EchoServer {
    const NAME: &'static str = SERVICE;
}

impl Service<http::Request<Body>> for EchoServer {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let echo = self.0.clone();
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<SayReply, SayRequest>::default());
        match request.uri().path() {
            SAY => Box::pin(async move { Ok(grpc.unary(Say(echo), request).await) }),
            LEAVE => Box::pin(async move {
                let released = echo.release.notified();
                echo.arrived.add_permits(1);
                released.await;
                // The body is still held, unread.
                drop(request);
                Ok(Status::ok("left").into_http())
            }),
            WATCH => Box::pin(async move { Ok(grpc.server_streaming(Watch(echo), request).await) }),
            _ => Box::pin(async { Ok(Status::unimplemented("no such method").into_http()) }),
        }
    }
}

/// Calls `Say` as a generated client would.
pub(crate) async fn say(channel: Channel, text: &str) -> Result<SayReply, Status> {
    say_with(channel, Request::new(SayRequest { text: text.to_owned() })).await
}

pub(crate) async fn say_with(channel: Channel, request: Request<SayRequest>) -> Result<SayReply, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let codec = ProstCodec::<SayRequest, SayReply>::default();
    grpc.unary(request, PathAndQuery::from_static(SAY), codec)
        .await
        .map(Response::into_inner)
}

/// Sends that many bytes to a method that leaves them unread until it is released, and then answers without a message.
pub(crate) async fn leave(channel: Channel, size: usize) -> Status {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<SayRequest, SayReply>::default();
    let request = Request::new(SayRequest { text: "x".repeat(size) });
    grpc.unary(request, PathAndQuery::from_static(LEAVE), codec)
        .await
        .unwrap_err()
}

/// Calls `Watch`.
pub(crate) async fn watch(channel: Channel, text: &str) -> Result<tonic::Streaming<SayReply>, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let codec = ProstCodec::<SayRequest, SayReply>::default();
    let request = Request::new(SayRequest { text: text.to_owned() });
    grpc.server_streaming(request, PathAndQuery::from_static(WATCH), codec)
        .await
        .map(Response::into_inner)
}

/// A running echo service and everything a test may want of it.
pub(crate) struct Running {
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) shutdown: Shutdown,
    pub(crate) echo: Echo,
}

impl Running {
    pub(crate) fn channel(&self) -> Channel {
        self.channel_with(&ClientSettings::default())
    }

    pub(crate) fn channel_with(&self, settings: &ClientSettings) -> Channel {
        ClientBuilder::new(format!("http://{}", self.grpc), settings)
            .channel()
            .unwrap()
    }

    pub(crate) async fn metrics(&self) -> String {
        get(self.admin, "/metrics", &[]).await.body
    }
}

pub(crate) async fn serve(echo: Echo) -> Running {
    serve_with(echo, &ServerSettings::on_free_ports(), Readiness::new()).await
}

pub(crate) async fn serve_with(echo: Echo, settings: &ServerSettings, readiness: Readiness) -> Running {
    let shutdown = Shutdown::new("echo");
    let bound = bind(echo.clone(), settings, readiness, shutdown.clone()).await;
    let (grpc, admin) = (bound.grpc_addr, bound.admin_addr);
    bound.serve();
    Running {
        grpc,
        admin,
        shutdown,
        echo,
    }
}

pub(crate) async fn bind(
    echo: Echo,
    settings: &ServerSettings,
    readiness: Readiness,
    shutdown: Shutdown,
) -> BoundServer {
    let metrics = Arc::new(MetricsRegistry::new("echo"));
    let builder = ServerBuilder::new("echo", settings, shutdown, metrics, readiness);
    bind_with(builder, echo).await
}

pub(crate) async fn bind_with(builder: ServerBuilder, echo: Echo) -> BoundServer {
    builder
        .service(EchoServer(echo))
        .descriptors(descriptors())
        .bind()
        .await
        .unwrap()
}

/// An HTTP answer, read to the end of the connection.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    send(address, "GET", path, headers, "").await
}

pub(crate) async fn send(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    // HTTP/1.0 answers are not chunked and end with the connection.
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.0\r\nhost: test\r\ncontent-length: {length}\r\n{more}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

/// Starts an HTTP server: its address, and that of its admin server.
pub(crate) async fn serve_http(server: HttpServer) -> (SocketAddr, SocketAddr) {
    let bound = server.bind().await.unwrap();
    let addresses = (bound.http_addr, bound.admin_addr);
    bound.serve();
    addresses
}
