//! The gateway's REST surface, as its callers see it: JSON in, JSON out, problem documents as [`Failure`]s that say what to do.

mod events;
mod files;
mod shapes;

use std::time::Duration;

use holdfast_chassis::error::Problem;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use crate::failure::{BadCell, Failure, Result};

pub(crate) use events::{Event, Events};
pub(crate) use shapes::{
    ChampionLog, DriftCheck, DriftReport, Prediction, Predictions, Reason, Reproduction, Run, RunResult, Snapshot,
    TuningResult,
};

/// How long a connection may take to come about: the gateway is near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an answer may take. Checks and uploads take seconds; what takes longer is followed by events.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest piece of an answer that is no problem document and is shown all the same.
const SHOWN_BODY: usize = 200;

/// A client of one gateway. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Rest {
    base: Url,
    http: reqwest::Client,
}

/// The media type of an uploaded table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Media {
    /// `text/csv`
    Csv,
    /// `application/vnd.apache.parquet`
    Parquet,
}

impl Rest {
    /// A client of the gateway at `url`, `http://host:port`. Nothing is sent yet.
    pub(crate) fn new(url: &str) -> Result<Self> {
        let wrong =
            |why: &str| Failure::usage(format!("--url {url:?} {why}")).hint("name a gateway as http://host:port");
        let mut base = Url::parse(url).map_err(|error| wrong(&format!("is not a URL: {error}")))?;
        if base.scheme() != "http" {
            return Err(wrong("does not begin with http://"));
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true);
        if is_loopback(&base) {
            // A proxy for the world outside cannot reach this machine's own ports.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Failure::new(format!("no HTTP client can be made: {error}")))?;
        Ok(Self { base, http })
    }

    /// The gateway's address as people write it.
    pub(crate) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// `GET`, the answer as it is.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let request = self.http.get(self.url(path)?).query(query).timeout(ANSWER_TIMEOUT);
        self.json(request).await
    }

    /// `GET`, typed.
    pub(crate) async fn get_as<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        self.typed(self.get(path, query).await?)
    }

    /// `POST` of JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(self.url(path)?).json(body).timeout(ANSWER_TIMEOUT);
        self.json(request).await
    }

    /// `POST` of JSON, the answer typed.
    pub(crate) async fn post_as<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.typed(self.post(path, body).await?)
    }

    /// `PATCH` with a JSON body, the answer as it is.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.patch(self.url(path)?).json(body).timeout(ANSWER_TIMEOUT);
        self.json(request).await
    }

    /// `DELETE`, the answer as it is.
    pub(crate) async fn delete(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let request = self.http.delete(self.url(path)?).query(query).timeout(ANSWER_TIMEOUT);
        self.json(request).await
    }

    /// Uploads a table; `source` is what its manifest will say of where it comes from.
    pub(crate) async fn upload(&self, media: Media, source: &str, body: impl Into<reqwest::Body>) -> Result<Value> {
        let media = match media {
            Media::Csv => "text/csv",
            Media::Parquet => "application/vnd.apache.parquet",
        };
        let request = self
            .http
            .post(self.url("api/v1/snapshots")?)
            .query(&[("source", source)]);
        self.json(request.header("content-type", media).body(body)).await
    }

    /// Subscribes to server-sent events.
    pub(crate) async fn events(&self, path: &str) -> Result<Events> {
        self.event_stream(self.http.get(self.url(path)?)).await
    }

    /// `POST` of JSON, answered with server-sent events.
    pub(crate) async fn post_events(&self, path: &str, body: &Value) -> Result<Events> {
        self.event_stream(self.http.post(self.url(path)?).json(body)).await
    }

    async fn event_stream(&self, request: RequestBuilder) -> Result<Events> {
        let response = self.send(request.header("accept", "text/event-stream")).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        Ok(Events::new(response))
    }

    /// What a problem document in an event says.
    pub(crate) fn refused(&self, problem: Value) -> Failure {
        match serde_json::from_value::<Problem>(problem) {
            Ok(problem) => from_problem(problem),
            Err(_) => self.stranger("its failure is no problem document"),
        }
    }

    /// A typed view of an answer.
    pub(crate) fn typed<T: DeserializeOwned>(&self, answer: Value) -> Result<T> {
        serde_json::from_value(answer).map_err(|error| {
            Failure::new(format!(
                "the gateway at {} answers in a form that this command does not know: {error}",
                self.address()
            ))
            .hint("use the holdfast command and the services of one version")
        })
    }

    fn url(&self, path: &str) -> Result<Url> {
        self.base
            .join(path)
            .map_err(|error| Failure::new(format!("{path:?} is no path: {error}")))
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value> {
        let response = self.send(request).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        response
            .json()
            .await
            .map_err(|_| self.stranger("its answer is not JSON"))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let address = self.address();
        if error.is_connect() {
            return Failure::new(format!("no gateway answers at {address}"))
                .hint("start one with `holdfast up` or name it with --url");
        }
        if error.is_timeout() {
            return Failure::new(format!("the gateway at {address} did not answer in time"))
                .hint("see `holdfast status`, then try again");
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Failure::new(format!("the connection to the gateway at {address} broke: {cause}"))
            .hint("see `holdfast status`, then try again")
    }

    fn stranger(&self, why: &str) -> Failure {
        Failure::new(format!(
            "what answers at {} is no Holdfast gateway: {why}",
            self.address()
        ))
        .hint("name the gateway with --url")
    }

    async fn refusal(&self, response: Response) -> Failure {
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => from_problem(problem),
            Err(_) if status == StatusCode::NOT_FOUND => self.stranger("it knows no such path"),
            Err(_) => {
                let text: String = String::from_utf8_lossy(&body).chars().take(SHOWN_BODY).collect();
                Failure::new(format!("the gateway at {} answers {status}: {text}", self.address()))
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn from_problem(problem: Problem) -> Failure {
    let hint = match problem.reason.as_str() {
        "NO_CHAMPION" => Some("there is no champion yet: train one with `holdfast train --source FILE`".to_owned()),
        "CHAMPION_MOVED" => {
            Some("somebody else was faster: look at `holdfast champion log` and decide again".to_owned())
        }
        "NO_ROLLOUT" | "NO_ROLLOUT_RUNS" => {
            Some("start one with `holdfast rollout start --version N --mode shadow`".to_owned())
        }
        "ROLLOUT_RUNS" => {
            Some("look at it with `holdfast rollout status`, end it with `holdfast rollout end`".to_owned())
        }
        "NOT_PROVEN_TO_LOAD" => Some(
            "go to another version with --to, or go there all the same with --override-load --note TEXT".to_owned(),
        ),
        "NO_SUCH_THING" => Some(
            "`holdfast lineage --help` shows what can be named, and how; a prediction is on record once its part of the log is in the blob store"
                .to_owned(),
        ),
        "PROMOTION_CLOSED" | "NO_SUCH_PROMOTION" => {
            Some("see how promotions stand with `holdfast promotions`".to_owned())
        }
        "NO_SUCH_WEBHOOK" => Some("`holdfast webhooks list` shows those that are there".to_owned()),
        "WINDOW_TOO_SMALL" => Some("take a longer window, or wait for more predictions".to_owned()),
        "TOO_FEW_OUTCOMES" => Some("import more outcomes with `holdfast outcomes import --source FILE`".to_owned()),
        "REPRODUCTION_AT_WORK" => Some("one version at a time is made again: try again when it is done".to_owned()),
        _ if problem.code == "UNAVAILABLE" => Some("see `holdfast status`, then try again".to_owned()),
        _ => None,
    };
    let listed = problem.errors.len() as u64;
    let more = problem
        .metadata
        .get("violations_total")
        .and_then(|total| total.parse::<u64>().ok())
        .map_or(0, |total| total.saturating_sub(listed));
    Failure {
        hint,
        more,
        violations: problem.errors.into_iter().map(BadCell::from_problem).collect(),
        ..Failure::new(problem.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_http_is_wrong_usage() {
        for url in ["127.0.0.1:8080", "https://bank.example", "nonsense"] {
            assert!(Rest::new(url).unwrap_err().usage, "{url}");
        }
    }

    #[test]
    fn a_path_below_the_gateways_root_is_kept() {
        let rest = Rest::new("http://127.0.0.1:1/holdfast").unwrap();
        assert_eq!(
            rest.url("api/v1/status").unwrap().as_str(),
            "http://127.0.0.1:1/holdfast/api/v1/status"
        );
        assert_eq!(rest.address(), "http://127.0.0.1:1/holdfast");
    }

    #[tokio::test]
    async fn where_nobody_listens_the_failure_says_what_to_do() {
        // Port 1 of the loopback address: no test machine serves tcpmux.
        let failure = Rest::new("http://127.0.0.1:1")
            .unwrap()
            .get("api/v1/status", &[])
            .await
            .unwrap_err();
        assert_eq!(failure.message, "no gateway answers at http://127.0.0.1:1");
        assert_eq!(
            failure.hint.as_deref(),
            Some("start one with `holdfast up` or name it with --url")
        );
    }
}
