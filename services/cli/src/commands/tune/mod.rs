//! `holdfast tune`: search for better parameters, then train, judge and promote with them.

mod report;
mod view;

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Context, runs, train};
use crate::failure::{Failure, Result};
use crate::output::real;
use crate::progress;
use crate::rest::{Event, Rest, Run};
use report::people;
use view::View;

const EXAMPLES: &str = "\
Examples:
  holdfast tune --source BankChurners.csv
  holdfast tune --source train.csv --test test.csv --trials 100 --no-early-stop --json
  holdfast tune --source train.csv --outer-folds 5 --no-promote    what is tuning itself worth?

How it searches:
  Trial 1 is the parameter set itself (--preset); the others lie in `search_space` of config/params.yaml. Each is measured by cross-validation on
  the training rows, is given up after a fold when it has no hope left of becoming the best, and is a child run in the registry. The search ends
  after --trials, or when gains have sunk under the folds' noise. The best trial's parameters are trained on all training rows. The test rows
  take no part until then: the finished version is judged on them once, and the last line of the gate says how many versions have been.

Without a terminal each trial is a line on stderr when it has ended. With --json the result is one object on stdout.
Ctrl-C cancels the run; the trials that have ended stay in the registry.";

/// What `tune` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TuneArgs {
    #[command(flatten)]
    run: train::RunArgs,
    /// Most trials, 1 to 1000; without it, as the stack's settings say (50)
    #[arg(long, value_name = "N")]
    trials: Option<u32>,
    /// Folds of the cross-validation on the training rows, 2 to 20; without it, as the stack's settings say (5)
    #[arg(long, value_name = "N")]
    folds: Option<u32>,
    /// Trials at work at once, 1 to 64; the trials themselves do not depend on it
    #[arg(long, value_name = "N")]
    workers: Option<u32>,
    /// Estimate what tuning itself is worth by a nested cross-validation with so many outer folds; takes as many times longer
    #[arg(long, value_name = "N")]
    outer_folds: Option<u32>,
    /// Use up all trials, also when gains have sunk under the folds' noise
    #[arg(long)]
    no_early_stop: bool,
}

/// Runs the command.
pub(crate) async fn run(args: TuneArgs, context: &Context) -> Result<()> {
    let mut request = train::request(&args.run, &context.rest).await?;
    request.insert("tuning".to_owned(), tuning(&args));
    // From before the run begins: no Ctrl-C leaves it behind.
    let mut interrupts = signal(SignalKind::interrupt())
        .map_err(|error| Failure::new(format!("signals cannot be waited for: {error}")))?;
    let run_id = train::start(&args.run, &Value::Object(request), &context.rest).await?;
    let mut view = View::new(&run_id);
    let followed = follow(&context.rest, &run_id, &mut view, &mut interrupts).await;
    let trials = view.into_trials();
    let run = followed.map_err(|failure| what_remains(failure, trials.best(), trials.ended()))?;
    let result = train::result_of(&run)?;
    let mut summary = train::summary(&run, result);
    if let Value::Object(members) = &mut summary {
        members.insert("tuning".to_owned(), json!(result.tuning));
    }
    context.output.emit(&summary, || people(&run, result, &trials))
}

fn tuning(args: &TuneArgs) -> Value {
    json!({
        "trials": args.trials,
        "folds": args.folds,
        "workers": args.workers,
        "outer_folds": args.outer_folds,
        "early_stop": !args.no_early_stop,
    })
}

/// Follows the run to its end. The first Ctrl-C asks the service to cancel it; the next one ends this command at once.
async fn follow(rest: &Rest, run_id: &str, view: &mut View, interrupts: &mut Signal) -> Result<Run> {
    let mut show = |event: &Event| view.show(event);
    let mut followed = std::pin::pin!(runs::follow_with(rest, run_id, &mut show));
    tokio::select! {
        run = &mut followed => return run,
        _ = interrupts.recv() => {}
    }
    progress::line(format!("  {:<10} run {run_id}", "cancelling"));
    rest.post(&format!("api/v1/runs/{run_id}/cancel"), &json!({})).await?;
    tokio::select! {
        run = followed => run,
        _ = interrupts.recv() => {
            Err(Failure::new(format!("run {run_id} was asked to end, and has not yet")).hint("see `holdfast status`"))
        }
    }
}

/// Says what is left of a search that did not come to its end.
fn what_remains(failure: Failure, best: Option<&view::Trial>, ended: usize) -> Failure {
    match best {
        Some(best) if failure.hint.is_none() => failure.hint(format!(
            "{ended} trials have ended and stay in the registry as child runs of this one; the best is trial {} with {} ({})",
            best.number,
            real(best.value.unwrap_or_default()),
            best.parameters(),
        )),
        _ => failure,
    }
}
