//! `holdfast status`: what runs, who is champion, what went wrong.

use clap::Args;
use serde_json::Value;

use super::Context;
use super::champion::{entries_table, entry_row};
use super::replicas::replicas_table;
use super::rollout::rollouts_table;
use crate::failure::Result;
use crate::output::{self, cell, moment};

const EXAMPLES: &str = "\
Examples:
  holdfast status
  holdfast status --json | jq '.replicas[].last_failure'";

/// What `status` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {}

/// Runs the command.
pub(crate) async fn run(_args: StatusArgs, context: &Context) -> Result<()> {
    let status = context.rest.get("api/v1/status", &[]).await?;
    context.output.emit(&status, || people(&status))
}

fn people(status: &Value) -> String {
    let parts = [
        services(status),
        champion(status),
        rollout(status),
        replicas(status),
        serving(status),
        members("prediction log", status.get("prediction_log")),
        last_run(status),
        last_report(status),
    ];
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

fn part(value: &Value, name: &str) -> String {
    value.get(name).map_or_else(|| "-".to_owned(), cell)
}

fn services(status: &Value) -> String {
    let mut table = output::table(["service", "answers", "address", "problem"]);
    for service in status.get("services").and_then(Value::as_array).into_iter().flatten() {
        table.add_row(["name", "reachable", "address", "problem"].map(|name| part(service, name)));
    }
    table.to_string()
}

fn champion(status: &Value) -> String {
    let chain = match status.get("chain_intact").and_then(Value::as_bool) {
        Some(true) => "the champion log's chain is intact".to_owned(),
        Some(false) => format!("THE CHAMPION LOG IS BROKEN: {}", part(status, "chain_break")),
        None => "the champion log could not be asked for".to_owned(),
    };
    let Some(entry) = status.get("champion").filter(|entry| entry.is_object()) else {
        return format!("{chain}; no champion is known");
    };
    let mut table = entries_table();
    table.add_row(entry_row(entry));
    format!("{table}\n{chain}")
}

/// The version on trial, if one is.
fn rollout(status: &Value) -> String {
    let running = status.get("rollout").filter(|rollout| rollout.is_object());
    running.map_or_else(String::new, |rollout| rollouts_table([rollout]).to_string())
}

/// What the replicas told the registry.
fn replicas(status: &Value) -> String {
    replicas_table(status.get("replicas")).unwrap_or_default()
}

/// What the replica behind the gateway says of itself, where that adds something.
fn serving(status: &Value) -> String {
    let Some(failure) = status
        .pointer("/serving/last_failure")
        .filter(|failure| failure.is_object())
    else {
        return String::new();
    };
    let (version, generation, message) = (
        part(failure, "version"),
        part(failure, "generation"),
        part(failure, "message"),
    );
    format!(
        "LOADING FAILED at {}: version {version}, generation {generation}: {message}",
        moment(&part(failure, "failed_at"))
    )
}

fn members(title: &str, value: Option<&Value>) -> String {
    let Some(members) = value.and_then(Value::as_object) else {
        return String::new();
    };
    let mut table = output::table([title, ""]);
    for (name, value) in members {
        table.add_row([name.replace('_', " "), cell(value)]);
    }
    table.to_string()
}

fn last_run(status: &Value) -> String {
    let Some(run) = status.get("last_run").filter(|run| run.is_object()) else {
        return String::new();
    };
    let mut table = output::table([
        "last run",
        "state",
        "trigger",
        "version",
        "accepted",
        "error",
        "asked for",
    ]);
    let result = run.get("result").unwrap_or(&Value::Null);
    let asked = moment(&part(run, "created_at"));
    table.add_row([
        part(run, "run_id"),
        part(run, "state"),
        part(run, "trigger"),
        part(result, "version"),
        part(result, "accepted"),
        part(run, "error"),
        asked,
    ]);
    table.to_string()
}

fn last_report(status: &Value) -> String {
    let Some(report) = status.get("last_drift_report").filter(|report| report.is_object()) else {
        return String::new();
    };
    let mut table = output::table(["last drift report", "verdict", "rows", "drift share", "made"]);
    let made = moment(&part(report, "created_at"));
    table.add_row(
        ["report_id", "verdict", "rows", "drift_share"]
            .map(|name| part(report, name))
            .into_iter()
            .chain([made]),
    );
    table.to_string()
}
