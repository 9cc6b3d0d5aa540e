//! `holdfast rollout`: a version on trial beside the champion.

use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use serde_json::{Map, Value, json};

use super::{Context, DEFAULT_MODEL};
use crate::failure::{Failure, Result};
use crate::output::{self, cell, moment};

const START_EXAMPLES: &str = "\
Examples:
  holdfast rollout start --version 4 --mode shadow       scored beside the champion; no caller sees it
  holdfast rollout start --version 4 --mode canary --share 0.05
  holdfast rollout start --version 4 --mode canary --override --note \"a pilot branch\"";

/// Try a version on live traffic beside the champion.
#[derive(Debug, Subcommand)]
pub(crate) enum RolloutCommand {
    /// Put a version on trial
    #[command(after_help = START_EXAMPLES)]
    Start(StartArgs),
    /// What both versions did, replica by replica
    Status(ModelArg),
    /// Take the version off trial
    End(EndArgs),
    /// All trials, oldest first
    History(ModelArg),
}

/// How a version is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The champion answers; the version scores the same rows afterwards
    Shadow,
    /// The version answers a share of the requests
    Canary,
}

/// Which model.
#[derive(Args, Debug)]
pub(crate) struct ModelArg {
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// What `rollout start` takes. Limits that are left out are those of the registry's settings.
#[derive(Args, Debug)]
pub(crate) struct StartArgs {
    /// The version
    #[arg(long, value_name = "N")]
    version: u32,
    /// How it is tried
    #[arg(long)]
    mode: Mode,
    /// Share of the requests: at most 0.5 in a canary, 1 in a shadow
    #[arg(long, value_name = "SHARE")]
    share: Option<f64>,
    /// Highest share of requests that it may fail to score
    #[arg(long, value_name = "SHARE")]
    max_error_rate: Option<f64>,
    /// Highest ratio of its median time of scoring to the champion's
    #[arg(long, value_name = "RATIO")]
    max_latency_ratio: Option<f64>,
    /// Requests before it is judged
    #[arg(long, value_name = "N")]
    min_requests: Option<u64>,
    /// Why, in words
    #[arg(long, value_name = "TEXT", required_if_eq("override_gate", "true"))]
    note: Option<String>,
    /// A canary without an accepting decision of the gate; needs --note
    #[arg(long = "override")]
    override_gate: bool,
    #[command(flatten)]
    model: ModelArg,
}

/// What `rollout end` takes.
#[derive(Args, Debug)]
pub(crate) struct EndArgs {
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Fail if another rollout runs by now
    #[arg(long, value_name = "N")]
    revision: Option<u64>,
    #[command(flatten)]
    model: ModelArg,
}

/// Runs the command.
pub(crate) async fn run(command: RolloutCommand, context: &Context) -> Result<()> {
    match command {
        RolloutCommand::Start(args) => start(args, context).await,
        RolloutCommand::Status(args) => status(args, context).await,
        RolloutCommand::End(args) => end(args, context).await,
        RolloutCommand::History(args) => history(args, context).await,
    }
}

async fn start(args: StartArgs, context: &Context) -> Result<()> {
    let mode = match args.mode {
        Mode::Shadow => "shadow",
        Mode::Canary => "canary",
    };
    let mut body = Map::from_iter([
        ("version".to_owned(), json!(args.version)),
        ("mode".to_owned(), json!(mode)),
        ("override".to_owned(), json!(args.override_gate)),
    ]);
    let given = [
        ("share", args.share.map(Value::from)),
        ("max_error_rate", args.max_error_rate.map(Value::from)),
        ("max_latency_ratio", args.max_latency_ratio.map(Value::from)),
        ("min_requests", args.min_requests.map(Value::from)),
        ("note", args.note.map(Value::from)),
    ];
    body.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?))),
    );
    let answer = context
        .rest
        .post(&path(&args.model), &Value::Object(body))
        .await
        .map_err(|failure| match failure {
            Failure { hint: None, .. } => failure.hint(
                "`holdfast rollout status` shows what is on trial, `holdfast models show VERSION` what the gate said",
            ),
            failure => failure,
        })?;
    context.output.emit(&answer, || rollouts_table([&answer]).to_string())
}

async fn end(args: EndArgs, context: &Context) -> Result<()> {
    let revision = args.revision.map(|revision| revision.to_string());
    let query: Vec<(&str, &str)> = [("note", args.note.as_deref()), ("revision", revision.as_deref())]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let answer = context.rest.delete(&path(&args.model), &query).await?;
    context.output.emit(&answer, || rollouts_table([&answer]).to_string())
}

async fn status(args: ModelArg, context: &Context) -> Result<()> {
    let answer = context.rest.get(&path(&args), &[]).await?;
    context.output.emit(&answer, || {
        let parts = [
            rollouts_table([&answer["rollout"]]).to_string(),
            versions(&answer),
            differences(&answer),
        ];
        parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n")
    })
}

async fn history(args: ModelArg, context: &Context) -> Result<()> {
    let answer = context.rest.get(&format!("{}s", path(&args)), &[]).await?;
    context.output.emit(&answer, || {
        let rollouts = answer["rollouts"].as_array().into_iter().flatten();
        let chain = match answer["chain_break"].as_str() {
            Some(why) => format!("the chain is broken: {why}"),
            None => "the chain of the record is intact".to_owned(),
        };
        format!("{}\n{chain}", rollouts_table(rollouts))
    })
}

fn path(model: &ModelArg) -> String {
    format!("api/v1/models/{}/rollout", model.model)
}

/// Rollouts, one a row.
pub(super) fn rollouts_table<'a>(rollouts: impl IntoIterator<Item = &'a Value>) -> Table {
    let mut table = output::table([
        "rollout", "version", "mode", "share", "beside", "who", "since", "ended", "by", "note",
    ]);
    for rollout in rollouts {
        let ending = &rollout["ending"];
        // What was said at the end says more than what was said at the start.
        let note = if ending["note"].is_string() {
            &ending["note"]
        } else {
            &rollout["note"]
        };
        table.add_row([
            cell(&rollout["revision"]),
            cell(&rollout["version"]),
            cell(&rollout["mode"]),
            cell(&rollout["share"]),
            format!(
                "version {}, generation {}",
                cell(&rollout["champion_version"]),
                cell(&rollout["champion_generation"])
            ),
            cell(&rollout["actor"]),
            moment(&cell(&rollout["started_at"])),
            cell(&ending["reason"]),
            cell(&ending["actor"]),
            cell(note),
        ]);
    }
    table
}

fn replicas(answer: &Value) -> impl Iterator<Item = &Value> {
    answer["replicas"].as_array().into_iter().flatten()
}

/// Both versions of each replica, one below the other.
fn versions(answer: &Value) -> String {
    let mut table = output::table([
        "replica",
        "",
        "version",
        "requests",
        "errors",
        "mean ms",
        "median ms",
        "p99 ms",
        "state",
        "why",
    ]);
    for replica in replicas(answer) {
        let tally = &replica["tally"];
        for (role, state, why) in [
            ("champion", &Value::Null, &Value::Null),
            ("challenger", &tally["state"], &tally["message"]),
        ] {
            let did = &tally[role];
            let numbers = ["version", "requests", "errors", "mean_ms", "median_ms", "p99_ms"];
            let row = [cell(&replica["replica"]), role.to_owned()];
            let row = row.into_iter().chain(numbers.map(|name| cell(&did[name])));
            table.add_row(row.chain([cell(state), cell(why)]));
        }
    }
    if table.is_empty() {
        return "no replica has said anything of it yet".to_owned();
    }
    table.to_string()
}

/// What a shadow showed, over all replicas.
fn differences(answer: &Value) -> String {
    let sum = |name: &str| -> u64 {
        replicas(answer)
            .filter_map(|replica| replica["tally"][name].as_u64())
            .sum()
    };
    let rows = sum("compared_rows");
    if rows == 0 {
        return String::new();
    }
    let weighted = replicas(answer).filter_map(|replica| {
        let tally = &replica["tally"];
        Some(tally["mean_absolute_delta"].as_f64()? * tally["compared_rows"].as_f64()?)
    });
    let mean = weighted.sum::<f64>() / rows as f64;
    format!(
        "{rows} rows compared: probabilities differ by {} on average, {} labels differ; {} requests were not compared",
        output::real(mean),
        sum("label_flips"),
        sum("skipped_requests")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        let tally = |rows: u64, mean: f64| {
            json!({
                "state": "latency_limit", "message": "takes 9 times as long",
                "champion": {"version": 3, "requests": 90, "errors": 0, "mean_ms": 0.01, "median_ms": 0.01, "p99_ms": 0.02},
                "challenger": {"version": 4, "requests": 10, "errors": 0, "mean_ms": 0.09, "median_ms": 0.09, "p99_ms": null},
                "compared_rows": rows, "mean_absolute_delta": mean, "label_flips": 1, "skipped_requests": 2,
            })
        };
        json!({
            "rollout": {
                "revision": 3, "version": 4, "mode": "shadow", "share": 1.0, "champion_version": 3, "champion_generation": 5,
                "actor": "ada", "started_at": "2026-01-02T03:04:05.678Z", "note": "a try",
                "ending": {"reason": "latency_limit", "actor": "blue-1", "note": "takes 9 times as long"},
            },
            "replicas": [
                {"replica": "blue-1", "tally": tally(30, 0.02)},
                {"replica": "blue-2", "tally": tally(10, 0.06)},
            ],
        })
    }

    #[test]
    fn both_versions_of_every_replica_are_told_apart() {
        let text = versions(&answer());
        for word in [
            "champion",
            "challenger",
            "blue-1",
            "blue-2",
            "takes 9 times as long",
            "0.09",
        ] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert_eq!(
            versions(&json!({"replicas": []})),
            "no replica has said anything of it yet"
        );
    }

    #[test]
    fn differences_are_averaged_over_rows_and_not_over_replicas() {
        let text = differences(&answer());
        assert!(
            text.starts_with("40 rows compared: probabilities differ by 0.03 on average, 2 labels differ"),
            "{text}"
        );
        assert_eq!(differences(&json!({"replicas": []})), "");
    }

    #[test]
    fn a_rollout_says_how_it_ended() {
        let text = rollouts_table([&answer()["rollout"]]).to_string();
        for word in ["latency_limit", "blue-1", "2026-01-02"] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert!(!text.contains("a try"), "the note of the end counts");
    }
}
