//! `holdfast champion`: the log of champions.

use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};

use super::{Context, DEFAULT_MODEL};
use crate::failure::{Failure, Result};
use crate::output::{self, cell, moment, short};
use crate::rest::ChampionLog;

const AT_EXAMPLES: &str = "\
Examples:
  holdfast champion at 2026-03-01T12:00:00Z
  holdfast champion at \"2026-03-01 12:00+01\" --json";

/// Who is champion, who was, and by whose word.
#[derive(Debug, Subcommand)]
pub(crate) enum ChampionCommand {
    /// The whole log, oldest first
    Log(ModelArg),
    /// The champion at a time
    #[command(after_help = AT_EXAMPLES)]
    At(AtArgs),
    /// Check the log's hash chain; exit code 1 if it is broken
    Verify(ModelArg),
}

/// Which model.
#[derive(Args, Debug)]
pub(crate) struct ModelArg {
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// What `champion at` takes.
#[derive(Args, Debug)]
pub(crate) struct AtArgs {
    /// A time with its offset from UTC, as 2026-03-01T12:00:00Z
    time: jiff::Timestamp,
    #[command(flatten)]
    model: ModelArg,
}

/// Runs the command.
pub(crate) async fn run(command: ChampionCommand, context: &Context) -> Result<()> {
    match command {
        ChampionCommand::Log(args) => log(args, context).await,
        ChampionCommand::At(args) => at(args, context).await,
        ChampionCommand::Verify(args) => verify(args, context).await,
    }
}

async fn log(args: ModelArg, context: &Context) -> Result<()> {
    let answer = context
        .rest
        .get(&format!("api/v1/models/{}/champions", args.model), &[])
        .await?;
    let log: ChampionLog = context.rest.typed(answer.clone())?;
    context.output.emit(&answer, || {
        let mut table = entries_table();
        for entry in &log.entries {
            table.add_row(entry_row(entry));
        }
        format!("{table}\n{}", verdict(&log))
    })
}

async fn at(args: AtArgs, context: &Context) -> Result<()> {
    let path = format!("api/v1/models/{}/champion", args.model.model);
    let answer = context.rest.get(&path, &[("at", &args.time.to_string())]).await?;
    context.output.emit(&answer, || {
        let mut table = entries_table();
        table.add_row(entry_row(&answer));
        table.to_string()
    })
}

async fn verify(args: ModelArg, context: &Context) -> Result<()> {
    let log: ChampionLog = context
        .rest
        .get_as(&format!("api/v1/models/{}/champions", args.model), &[])
        .await?;
    let result = json!({
        "model": args.model,
        "entries": log.entries.len(),
        "chain_intact": log.chain_intact,
        "chain_break": log.chain_break,
    });
    context.output.emit(&result, || verdict(&log))?;
    if log.chain_intact {
        return Ok(());
    }
    Err(
        Failure::new(format!("the champion log of {} is not what was written", args.model)).hint(
            "compare the objects under champion/ in the blob store with a backup before you trust any later entry",
        ),
    )
}

fn verdict(log: &ChampionLog) -> String {
    match &log.chain_break {
        _ if log.chain_intact => format!("the chain of {} entries is intact", log.entries.len()),
        Some(why) => format!("the chain is broken: {why}"),
        None => "the chain is broken".to_owned(),
    }
}

/// A table for entries of the log.
pub(super) fn entries_table() -> Table {
    output::table(["generation", "version", "artefact", "why", "who", "when", "note"])
}

/// One entry's row.
pub(super) fn entry_row(entry: &Value) -> [String; 7] {
    let text = |name: &str| entry.get(name).map_or_else(|| "-".to_owned(), cell);
    [
        text("generation"),
        text("version"),
        short(&text("artifact_digest")).to_owned(),
        text("reason"),
        text("actor"),
        moment(&text("at")),
        text("note"),
    ]
}
