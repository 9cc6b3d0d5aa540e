//! `holdfast models`: versions, the evidence about each, and files of other libraries.

mod card;
mod evaluation;
mod export;
mod import;
mod list;
mod reproduce;
mod show;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Context, DEFAULT_MODEL};
use crate::failure::Result;
use crate::output::cell;

const EXAMPLES: &str = "\
Examples:
  holdfast models                 versions of the model, newest first
  holdfast models show 3          one version with the gate's checks
  holdfast models list --model churn --json
  holdfast models card 3 --out card.html
  holdfast models reproduce 3     made again, the bytes must be the same
  holdfast models import churn.ubj --snapshot bank.csv --promote
  holdfast models import --version 3
  holdfast models export 3 --out churn.json";

/// What `models` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    command: Option<ModelsCommand>,
    #[command(flatten)]
    model: ModelArg,
}

/// What to show.
#[derive(Debug, Subcommand)]
enum ModelsCommand {
    /// Versions of the model, newest first
    List(ModelArg),
    /// One version with the gate's checks
    Show(VersionArgs),
    /// The model card of a version, made from the record
    #[command(after_help = card::EXAMPLES)]
    Card(card::CardArgs),
    /// The files of a version's evaluation: figures, curves, plots
    #[command(after_help = evaluation::EXAMPLES)]
    Evaluation(evaluation::EvaluationArgs),
    /// Make a version again from snapshots, parameters and seed, and compare the bytes
    #[command(after_help = reproduce::EXAMPLES)]
    Reproduce(reproduce::ReproduceArgs),
    /// Make a version of an XGBoost or LightGBM model file, and have it judged
    Import(import::ImportArgs),
    /// Write a version's trees as XGBoost JSON, or its artefact
    Export(export::ExportArgs),
}

/// Which model.
#[derive(Args, Debug)]
struct ModelArg {
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// Which version.
#[derive(Args, Debug)]
struct VersionArgs {
    /// The version
    version: u32,
    #[command(flatten)]
    model: ModelArg,
}

impl VersionArgs {
    /// Where the gateway has it.
    fn path(&self) -> String {
        format!("api/v1/models/{}/versions/{}", self.model.model, self.version)
    }
}

/// Runs the command.
pub(crate) async fn run(args: ModelsArgs, context: &Context) -> Result<()> {
    match args.command {
        None => list::run(args.model, context).await,
        Some(ModelsCommand::List(model)) => list::run(model, context).await,
        Some(ModelsCommand::Show(args)) => show::run(args, context).await,
        Some(ModelsCommand::Card(args)) => card::run(args, context).await,
        Some(ModelsCommand::Evaluation(args)) => evaluation::run(args, context).await,
        Some(ModelsCommand::Reproduce(args)) => reproduce::run(args, context).await,
        Some(ModelsCommand::Import(args)) => import::run(args, context).await,
        Some(ModelsCommand::Export(args)) => export::run(args, context).await,
    }
}

/// The gate's word.
fn verdict(decision: Option<&Value>) -> String {
    match decision
        .and_then(|decision| decision.get("accepted"))
        .and_then(Value::as_bool)
    {
        Some(true) => "accepted".to_owned(),
        Some(false) => "rejected".to_owned(),
        None => "-".to_owned(),
    }
}

/// A version in an answer.
struct Version<'a>(&'a Value);

impl Version<'_> {
    fn text(&self, name: &str) -> String {
        self.0.get(name).map_or_else(|| "-".to_owned(), cell)
    }

    /// The gate's newest word.
    fn last_decision(&self) -> Option<&Value> {
        self.0
            .get("decisions")
            .and_then(Value::as_array)
            .and_then(|decisions| decisions.last())
    }
}
