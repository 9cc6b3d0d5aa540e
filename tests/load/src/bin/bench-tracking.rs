//! The load of `make bench-tracking`: metrics logged by MLflow's REST, to Holdfast and to MLflow's own server alike.
//!
//! It answers `{"ask": "single" | "batch", "address": ..., "connections": n, "runs": [...], "since_ms": ..., "warm_up": s, "seconds": s}` with the figures
//! of that load: a connection logs to a run of its own, in every call points that the run does not have.

use anyhow::{Context as _, Result, bail, ensure};
use holdfast_load::load::{self, Plan, rest};
use holdfast_load::worker;
use serde_json::Value;

/// Metrics of a batch, each at as many steps as the points need.
const METRICS: usize = 10;
/// Points of a batch: the most that MLflow's server takes at once.
const POINTS: usize = 1_000;

fn main() -> Result<()> {
    worker::serve(|request| {
        let body = match worker::text(request, "ask")? {
            "single" => single,
            "batch" => batch,
            other => bail!("nothing is known of {other:?}"),
        };
        logged(request, body)
    })
}

/// Drives calls of one kind, which a run, a time in milliseconds and the number of the call make.
fn logged(request: &Value, call: fn(&str, u64, usize) -> (&'static str, String)) -> Result<Value> {
    let plan = Plan::asked(request)?;
    let runs = request["runs"].as_array().context("\"runs\" is missing")?;
    ensure!(runs.len() >= plan.connections, "a connection needs a run");
    let runs: Vec<&str> = runs.iter().filter_map(Value::as_str).collect();
    let since = request["since_ms"].as_u64().context("\"since_ms\" is missing")?;
    load::drive(&plan, plan.connections, |place, window| {
        let run = runs.get(place).context("a run is no text")?;
        let requests = (0..).map(|number| {
            let (path, body) = call(run, since, number);
            rest::request(plan.address, path, body.as_bytes())
        });
        rest::connections(plan.address, [requests].into_iter(), window)
    })
}

fn single(run: &str, since: u64, number: usize) -> (&'static str, String) {
    let point = point("loss", since, number, number);
    let body = format!(r#"{{"run_id": "{run}", {point}}}"#);
    ("/api/2.0/mlflow/runs/log-metric", body)
}

fn batch(run: &str, since: u64, number: usize) -> (&'static str, String) {
    let mut body = format!(r#"{{"run_id": "{run}", "metrics": ["#);
    for place in 0..POINTS {
        let key = format!("loss{}", place % METRICS);
        let step = (number * POINTS + place) / METRICS;
        let comma = if place == 0 { "" } else { ", " };
        body += &format!("{comma}{{{}}}", point(&key, since, number * POINTS + place, step));
    }
    body += "]}";
    ("/api/2.0/mlflow/runs/log-batch", body)
}

/// The fields of a point; each number makes another.
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn point(key: &str, since: u64, number: usize, step: usize) -> String {
    let (value, at) = ((number % 1_000) as f64 / 7.0, since + number as u64);
    format!(r#""key": "{key}", "value": {value}, "timestamp": {at}, "step": {step}"#)
}
