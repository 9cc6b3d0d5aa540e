//! `holdfast models`: versions, and the evidence about each.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Context, DEFAULT_MODEL};
use crate::failure::Result;
use crate::output::{self, cell, moment, short};

const EXAMPLES: &str = "\
Examples:
  holdfast models                 versions of the model, newest first
  holdfast models show 3          one version with the gate's checks
  holdfast models list --model churn --json";

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
    Show(ShowArgs),
}

#[derive(Args, Debug)]
struct ModelArg {
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

#[derive(Args, Debug)]
struct ShowArgs {
    /// The version
    version: u32,
    #[command(flatten)]
    model: ModelArg,
}

/// Runs the command.
pub(crate) async fn run(args: ModelsArgs, context: &Context) -> Result<()> {
    match args.command {
        None => list(args.model, context).await,
        Some(ModelsCommand::List(model)) => list(model, context).await,
        Some(ModelsCommand::Show(args)) => show(args, context).await,
    }
}

async fn list(args: ModelArg, context: &Context) -> Result<()> {
    let answer = context
        .rest
        .get(&format!("api/v1/models/{}/versions", args.model), &[])
        .await?;
    context.output.emit(&answer, || {
        let mut table = output::table(["version", "state", "family", "artefact", "gate", "test ROC-AUC", "made"]);
        for version in answer.get("versions").and_then(Value::as_array).into_iter().flatten() {
            let view = Version(version);
            let decision = view.last_decision();
            let auc = decision
                .and_then(|decision| decision.pointer("/evaluation/full/roc_auc"))
                .map_or_else(|| "-".to_owned(), cell);
            let artefact = view.text("artifact_digest");
            let row = [
                view.text("version"),
                view.text("status"),
                view.text("family"),
                short(&artefact).to_owned(),
                verdict(decision),
                auc,
            ];
            table.add_row(row.into_iter().chain([moment(&view.text("created_at"))]));
        }
        table.to_string()
    })
}

async fn show(args: ShowArgs, context: &Context) -> Result<()> {
    let answer = context
        .rest
        .get(
            &format!("api/v1/models/{}/versions/{}", args.model.model, args.version),
            &[],
        )
        .await?;
    context.output.emit(&answer, || {
        let version = Version(&answer);
        let mut facts = output::table(["", ""]);
        for name in [
            "model",
            "version",
            "status",
            "family",
            "artifact_digest",
            "artifact_size_bytes",
            "run_id",
            "training_snapshot",
            "test_snapshot",
        ] {
            facts.add_row([name.replace('_', " "), version.text(name)]);
        }
        facts.add_row(["made".to_owned(), moment(&version.text("created_at"))]);
        let mut text = facts.to_string();
        if let Some(decision) = version.last_decision() {
            text.push_str(&decision_text(decision));
        }
        text
    })
}

fn decision_text(decision: &Value) -> String {
    let mut quality = output::table([
        "on the test rows",
        "ROC-AUC",
        "PR-AUC",
        "F1",
        "log-loss",
        "Brier",
        "ECE",
    ]);
    for (name, pointer) in [
        ("all features", "/evaluation/full"),
        ("required features only", "/evaluation/required_only"),
        ("logistic baseline", "/evaluation/baseline"),
        ("champion then", "/evaluation/champion/champion"),
    ] {
        if let Some(measured) = decision.pointer(pointer).filter(|measured| measured.is_object()) {
            let part = |key: &str| measured.get(key).map_or_else(|| "-".to_owned(), cell);
            let values = ["roc_auc", "pr_auc", "f1", "log_loss", "brier", "calibration_error"].map(part);
            quality.add_row(std::iter::once(name.to_owned()).chain(values));
        }
    }
    let mut checks = output::table(["check", "passed", "measured", "limit", "in words"]);
    for check in decision.get("checks").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| check.get(key).map_or_else(|| "-".to_owned(), cell);
        checks.add_row(["name", "passed", "measured", "limit", "message"].map(part));
    }
    format!("\n{quality}\n{checks}\nthe gate's word: {}", verdict(Some(decision)))
}

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
