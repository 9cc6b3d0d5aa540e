//! Somebody who is told: a real HTTP server on a free port that answers as the test wants.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_testkit::eventually;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// Moved to another address.
    Redirect(String),
    /// Nothing, ever.
    Silence,
}

/// What it was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Debug, Default)]
struct Script {
    replies: VecDeque<Reply>,
    told: Vec<Told>,
}

type Shared = Arc<Mutex<Script>>;

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    script: Shared,
    task: JoinHandle<()>,
}

impl Receiver {
    /// One that gives these answers in turn, and 204 from then on.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Shared::default();
        script.lock().unwrap().replies.extend(replies);
        let app = app(script.clone());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, script, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?of=me", self.address)
    }

    /// All it was told up to now.
    pub(crate) fn told(&self) -> Vec<Told> {
        self.script.lock().unwrap().told.clone()
    }

    /// What it was told when it was told so often.
    pub(crate) async fn told_times(&self, count: usize) -> Vec<Told> {
        eventually("the receiver to be told", PATIENCE, async || self.told().len() >= count).await;
        self.told()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn app_of_nothing() -> Router {
    app(Shared::default())
}

fn app(script: Shared) -> Router {
    Router::new().fallback(hear).with_state(script)
}

async fn hear(State(script): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let reply = {
        let mut script = script.lock().unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        script.told.push(Told { uri, headers, body });
        script.replies.pop_front().unwrap_or(Reply::Status(204))
    };
    match reply {
        Reply::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Reply::Redirect(to) => (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn id(&self) -> String {
        self.header("webhook-id").to_owned()
    }

    pub(crate) fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.event()["data"]["generation"].as_u64().unwrap()
    }

    /// Whether it was signed with this secret, just now, as Standard Webhooks says.
    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        self.is_signed_by(key, "webhook")
    }

    /// Whether it was signed with this secret, just now, as MLflow's server does.
    pub(crate) fn is_signed_as_by_mlflow(&self, secret: &str) -> bool {
        self.is_signed_by(secret.as_bytes().to_vec(), "x-mlflow")
    }

    /// Worked out from the definition of HMAC.
    fn is_signed_by(&self, mut key: Vec<u8>, prefix: &str) -> bool {
        let header = |name: &str| self.header(&format!("{prefix}-{name}"));
        let id = header(if prefix == "webhook" { "id" } else { "delivery-id" });
        assert!(key.len() <= 64);
        key.resize(64, 0);
        let pad = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
        let signed = format!("{id}.{}.{}", header("timestamp"), self.body);
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(signed).finalize();
        let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        let age = Timestamp::now().as_second() - header("timestamp").parse::<i64>().unwrap();
        age.abs() < 300 && header("signature") == format!("v1,{}", STANDARD.encode(outer))
    }
}
