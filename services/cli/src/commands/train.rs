//! `holdfast train`: import, train, judge, promote.

mod threshold;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Context, DEFAULT_MODEL, data, runs};
use crate::failure::{Failure, Result};
use crate::output::{self, optional, real};
use crate::progress::Work;
use crate::rest::{Rest, Run, RunResult};

const EXAMPLES: &str = "\
Examples:
  holdfast train --source BankChurners.csv
  holdfast train --source train.csv --test test.csv --preset default --seed 7 --json
  holdfast train --source bank.csv --threshold cost:25,400,0.4      whom an offer of 25 dollars pays for
  holdfast train --source bank.csv --threshold capacity:200/10000   200 calls for every 10,000 customers
  holdfast train --no-promote                 from the configured database; the gate judges, nothing is promoted";

/// What `train` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    run: RunArgs,
}

/// What every training run takes.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// Customers to train on: a .csv or .parquet file, or bank.db?table=customers; without it, the stack's configured database
    #[arg(long, value_name = "FILE_OR_URL")]
    source: Option<String>,
    /// Customers to test on; then no split is made
    #[arg(long, value_name = "FILE_OR_URL", requires = "source")]
    test: Option<String>,
    /// Share of the customers held out for testing
    #[arg(long, value_name = "SHARE", conflicts_with = "test")]
    test_share: Option<f64>,
    /// A named parameter set of config/params.yaml
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Seed of everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// From which probability on a customer is labelled: best-f1, cost:OFFER_COST,LOST_MARGIN,SUCCESS_RATE (dollars, dollars, 0 to 1), or
    /// capacity:CALLS/CUSTOMERS; without it, as the parameter set says
    #[arg(long, value_name = "RULE", value_parser = threshold::parse)]
    threshold: Option<Value>,
    /// The model to train
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
    /// Stop after the gate's decision
    #[arg(long)]
    no_promote: bool,
}

/// Runs the command.
pub(crate) async fn run(args: TrainArgs, context: &Context) -> Result<()> {
    let request = Value::Object(request(&args.run, &context.rest).await?);
    let run_id = start(&args.run, &request, &context.rest).await?;
    let run = {
        let work = Work::spinner(format!("run {run_id}"));
        runs::follow(&context.rest, &run_id, &work).await?
    };
    let result = result_of(&run)?;
    context.output.emit(&summary(&run, result), || people(&run, result))
}

/// Starts the run and answers its id.
pub(crate) async fn start(args: &RunArgs, request: &Value, rest: &Rest) -> Result<String> {
    runs::start(rest, request).await.map_err(|failure| match &args.source {
        None if failure.hint.is_none() => {
            failure.hint("name a table with --source FILE, or configure a database for the stack (settings database.*)")
        }
        _ => failure,
    })
}

/// Imports what is named and makes the request for the run.
pub(crate) async fn request(args: &RunArgs, rest: &Rest) -> Result<Map<String, Value>> {
    let mut request = Map::new();
    let mut set = |name: &str, value: Value| request.insert(name.to_owned(), value);
    set("model", json!(args.model));
    set("promote", json!(!args.no_promote));
    if let Some(preset) = &args.preset {
        set("preset", json!(preset));
    }
    if let Some(seed) = args.seed {
        set("seed", json!(seed));
    }
    if let Some(share) = args.test_share {
        set("test_share", json!(share));
    }
    if let Some(rule) = &args.threshold {
        set("threshold", rule.clone());
    }
    for (name, source) in [("snapshot", &args.source), ("test_snapshot", &args.test)] {
        if let Some(source) = source {
            let snapshot = data::import_aloud(rest, source).await?;
            set(name, json!(snapshot.digest));
        }
    }
    Ok(request)
}

/// The result of a run that is done.
pub(crate) fn result_of(run: &Run) -> Result<&RunResult> {
    run.result
        .as_ref()
        .ok_or_else(|| Failure::new(format!("run {} is done and has no result", run.run_id)))
}

/// The run as one JSON object.
pub(crate) fn summary(run: &Run, result: &RunResult) -> Value {
    json!({
        "run_id": run.run_id,
        "version": result.version,
        "accepted": result.accepted,
        "promoted": result.promoted,
        "generation": result.generation,
        "artifact_digest": result.artifact_digest,
        "failed_checks": result.failed_checks,
        "metrics": result.metrics,
    })
}

/// The run for people.
pub(crate) fn people(run: &Run, result: &RunResult) -> String {
    let mut steps = output::table(["step", "state", "seconds", "outcome"]);
    for step in &run.steps {
        let message = step.message.as_deref().unwrap_or_default();
        steps.add_row([&step.name, &step.state, &real(step.duration_seconds), message]);
    }
    let mut metrics = output::table(["measured", "value"]);
    for (name, value) in &result.metrics {
        metrics.add_row([name.clone(), optional(*value)]);
    }
    let version = result.version.unwrap_or_default();
    let verdict = match (result.accepted, result.promoted) {
        (true, true) => format!(
            "version {version} is champion, generation {}",
            result.generation.unwrap_or_default()
        ),
        (true, false) => format!(
            "version {version} is accepted and not champion: `holdfast promotions` shows whether it waits for approvers, \
             `holdfast promote {version}` promotes it"
        ),
        (false, _) => format!("version {version} is rejected: {}", result.failed_checks.join("; ")),
    };
    format!("{steps}\n{metrics}\n{verdict}")
}
