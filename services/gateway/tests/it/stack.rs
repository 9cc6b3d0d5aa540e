//! A gateway in this process, with stand-ins for its peers.

use std::time::Duration;

use holdfast_chassis::settings::{self, Common, SettingsSources};
use holdfast_chassis::{Outcome, Shutdown};
use holdfast_gateway::{Running, Settings};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::fakes::Fakes;

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Stack {
    pub(crate) fakes: Fakes,
    pub(crate) client: Client,
    pub(crate) gateway: Running,
    shutdown: Shutdown,
}

impl Stack {
    /// With all peers there.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With some settings changed.
    pub(crate) async fn with(changes: &[(&str, Value)]) -> Self {
        let fakes = Fakes::default();
        let peer = format!("http://{}", fakes.serve().await);
        Self::among(fakes, &peer, changes).await
    }

    /// With all peers away.
    pub(crate) async fn alone() -> Self {
        let [port] = holdfast_testkit::free_ports();
        Self::among(Fakes::default(), &format!("http://127.0.0.1:{port}"), &[]).await
    }

    async fn among(fakes: Fakes, peer: &str, changes: &[(&str, Value)]) -> Self {
        let (common, settings) = settings_with(peer, changes);
        let shutdown = Shutdown::new("gateway");
        let gateway = holdfast_gateway::start(common, settings, shutdown.clone())
            .await
            .unwrap();
        Self {
            fakes,
            client: Client::new(),
            gateway,
            shutdown,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.gateway.http)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.gateway.admin);
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Starts the end.
    pub(crate) fn end(&self) {
        self.shutdown.trigger("the test says so");
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> Outcome {
        tokio::time::timeout(PATIENCE, self.shutdown.finish()).await.unwrap()
    }
}

fn settings_with(peer: &str, changes: &[(&str, Value)]) -> (Common, Settings) {
    let mut overrides = vec![
        ("gateway.bind".to_owned(), json!("127.0.0.1:0")),
        ("gateway.admin".to_owned(), json!("127.0.0.1:0")),
    ];
    for name in ["registry", "inference", "training", "monitoring"] {
        overrides.push((format!("peers.{name}"), json!(peer)));
    }
    overrides.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    settings::load(&SettingsSources {
        overrides,
        ..Default::default()
    })
    .unwrap()
}

/// The eight required numbers.
pub(crate) fn record() -> Value {
    json!({
        "Total_Relationship_Count": 5, "Credit_Limit": 12_691.0, "Total_Revolving_Bal": 777, "Total_Amt_Chng_Q4_Q1": 1.335,
        "Total_Trans_Amt": 1144, "Total_Trans_Ct": 42, "Total_Ct_Chng_Q4_Q1": 1.625, "Avg_Utilization_Ratio": 0.061,
    })
}

/// [`record`] with some fields changed.
pub(crate) fn record_with(changes: &Value) -> Value {
    let mut record = record();
    for (name, value) in changes.as_object().unwrap() {
        record[name] = value.clone();
    }
    record
}

/// Sends it and reads an answer of that status as JSON.
pub(crate) async fn json_of(request: RequestBuilder, status: StatusCode) -> Value {
    let answer = request.send().await.unwrap();
    let found = answer.status();
    assert_eq!(answer.headers()["content-type"], "application/json", "{found}");
    let body = answer.text().await.unwrap();
    assert_eq!(found, status, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Sends it and reads an answer of 200 as JSON.
pub(crate) async fn ok(request: RequestBuilder) -> Value {
    json_of(request, StatusCode::OK).await
}

/// Sends it and reads the problem document of that status.
pub(crate) async fn problem(request: RequestBuilder, status: u16) -> Value {
    problem_in(request.send().await.unwrap(), status).await
}

/// Reads the problem document of that status.
pub(crate) async fn problem_in(answer: Response, status: u16) -> Value {
    let found = answer.status();
    let kind = answer.headers().get("content-type").cloned();
    let path = answer.url().path().to_owned();
    assert!(answer.headers().contains_key("x-request-id"), "an answer without an id");
    let body = answer.text().await.unwrap();
    assert_eq!(found.as_u16(), status, "{body}");
    assert_eq!(kind.unwrap(), "application/problem+json", "{body}");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["status"], status);
    assert_eq!(document["instance"], path);
    document
}

/// Field and rule of every bad field, sorted.
pub(crate) fn errors(problem: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut errors: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (text(&error["field"]), text(&error["rule"])))
        .collect();
    errors.sort();
    errors
}

/// What [`errors`] should be.
pub(crate) fn expected(errors: &[(&str, &str)]) -> Vec<(String, String)> {
    errors
        .iter()
        .map(|(field, rule)| ((*field).to_owned(), (*rule).to_owned()))
        .collect()
}

/// The events of a stream, `(event, id, data)`.
pub(crate) fn events(body: &str) -> Vec<(String, String, Value)> {
    let field = |event: &str, name: &str| {
        let value = event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        value.unwrap_or_default().to_owned()
    };
    let events = body.split("\n\n").filter(|event| event.contains("data:"));
    events
        .map(|event| {
            (
                field(event, "event"),
                field(event, "id"),
                serde_json::from_str(&field(event, "data")).unwrap(),
            )
        })
        .collect()
}
