//! One module a command, and how a command is run.

pub(crate) mod champion;
pub(crate) mod data;
pub(crate) mod drift;
pub(crate) mod gc;
pub(crate) mod lineage;
pub(crate) mod log;
pub(crate) mod models;
pub(crate) mod outcomes;
pub(crate) mod predict;
pub(crate) mod promote;
pub(crate) mod promotions;
pub(crate) mod replicas;
pub(crate) mod rollout;
pub(crate) mod runs;
pub(crate) mod score;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod status;
pub(crate) mod train;
pub(crate) mod tune;
pub(crate) mod up;
pub(crate) mod webhooks;

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;

use holdfast_chassis::UsageError;

use crate::args::{Cli, Command, Global};
use crate::demo;
use crate::failure::{Failure, Result};
use crate::output::{self, Output};
use crate::rest::Rest;

/// The model that commands mean unless told otherwise.
pub(crate) const DEFAULT_MODEL: &str = "churn";

/// What every command has at hand.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// The gateway. Commands that need none never ask it.
    pub(crate) rest: Rest,
    /// Where results go.
    pub(crate) output: Output,
}

impl Context {
    fn new(global: &Global) -> Result<Self> {
        Ok(Self {
            rest: Rest::new(&global.url)?,
            output: Output::new(global.json),
        })
    }
}

/// Runs the command and gives the process's exit code.
pub(crate) fn dispatch(cli: Cli) -> ExitCode {
    let Cli { global, command } = cli;
    match command {
        // These are servers: the chassis owns their signals and their end.
        Command::Up(args) => up::main(args, Output::new(global.json)),
        Command::Serve(args) => serve::main(args, Output::new(global.json)),
        Command::Demo(args) => demo::main(args, Output::new(global.json)),
        // Boxed, or the runtime's several ways to wait would each have the code of all commands in them.
        command => finish(block_on(Box::pin(client(global, command)))),
    }
}

async fn client(global: Global, command: Command) -> Result<()> {
    let context = Context::new(&global)?;
    match command {
        Command::Data(command) => data::run(command, &context).await,
        Command::Simulate(command) => simulate::run(command, &context).await,
        Command::Train(args) => train::run(args, &context).await,
        Command::Tune(args) => tune::run(args, &context).await,
        Command::Score(args) => score::run(args, &context).await,
        Command::Predict(args) => predict::run(args, &context).await,
        Command::Models(args) => models::run(args, &context).await,
        Command::Promote(args) => promote::promote(args, &context).await,
        Command::Rollback(args) => promote::rollback(args, &context).await,
        Command::Promotions(args) => promotions::list(args, &context).await,
        Command::Approve(args) => promotions::approve(args, &context).await,
        Command::Reject(args) => promotions::reject(args, &context).await,
        Command::Replicas(args) => replicas::run(args, &context).await,
        Command::Champion(command) => champion::run(command, &context).await,
        Command::Rollout(command) => rollout::run(command, &context).await,
        Command::Lineage(args) => lineage::run(args, &context).await,
        Command::Webhooks(command) => webhooks::run(command, &context).await,
        Command::Log(command) => log::run(command, &context).await,
        Command::Drift(args) => drift::run(args, &context).await,
        Command::Outcomes(command) => outcomes::run(command, &context).await,
        Command::Gc(args) => gc::run(args, &context).await,
        Command::Status(args) => status::run(args, &context).await,
        Command::Up(_) | Command::Serve(_) | Command::Demo(_) => {
            Err(Failure::usage("this command serves and is not a client's"))
        }
    }
}

/// Clients keep the system's own way with signals, Ctrl-C ends them at once; but for `tune`, which has its run cancelled first.
fn block_on(work: Pin<Box<dyn Future<Output = Result<()>>>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime
        .map_err(|error| Failure::new(format!("the runtime cannot start: {error}")))?
        .block_on(work)
}

fn finish(outcome: Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::note(failure.render());
            ExitCode::from(if failure.usage { 2 } else { 1 })
        }
    }
}

/// A failure for the chassis' `run`, which reports it and gives it its exit code.
pub(crate) fn reported(failure: &Failure) -> anyhow::Error {
    let text = match &failure.hint {
        Some(hint) => format!("{}: {hint}", failure.message),
        None => failure.message.clone(),
    };
    if failure.usage {
        anyhow::Error::new(UsageError(text))
    } else {
        anyhow::Error::msg(text)
    }
}
