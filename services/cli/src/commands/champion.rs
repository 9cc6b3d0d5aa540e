//! `holdfast champion`: the log of champions.

use clap::{Args, Subcommand};
use comfy_table::Table;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};

use super::{Context, DEFAULT_MODEL};
use crate::failure::{Failure, Result};
use crate::output::{self, cell, moment, short};
use crate::rest::ChampionLog;

const AT_EXAMPLES: &str = "\
Examples:
  holdfast champion at 2026-03-01T12:00:00Z
  holdfast champion at 2026-03-01                  at the beginning of that day, UTC
  holdfast champion at \"2 hours ago\" --json";

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
    /// A time as 2026-03-01T12:00:00Z, a date, or a span as "2 hours ago"; UTC where no offset is given
    #[arg(value_parser = moment_in)]
    time: Timestamp,
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
        "broken_generation": log.broken_generation,
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

/// A time in words: a timestamp, a date or a date and time in UTC, or a span before or after now.
fn moment_in(text: &str) -> std::result::Result<Timestamp, String> {
    relative_to(Timestamp::now(), text)
}

fn relative_to(now: Timestamp, text: &str) -> std::result::Result<Timestamp, String> {
    if text == "now" {
        return Ok(now);
    }
    let utc = |time: DateTime| TimeZone::UTC.to_timestamp(time).ok();
    let found = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| {
            text.parse::<Date>()
                .ok()
                .and_then(|date| utc(date.to_datetime(jiff::civil::Time::midnight())))
        })
        .or_else(|| {
            // Days and longer need a calendar, which a bare timestamp has not.
            let span = text.parse::<Span>().ok()?;
            utc(TimeZone::UTC.to_datetime(now).checked_add(span).ok()?)
        });
    found.ok_or_else(|| "is no time such as 2026-03-01T12:00:00Z, 2026-03-01 or \"2 hours ago\"".to_owned())
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
    output::table([
        "generation",
        "version",
        "artefact",
        "why",
        "who",
        "approved by",
        "when",
        "note",
    ])
}

/// One entry's row.
pub(super) fn entry_row(entry: &Value) -> [String; 8] {
    let text = |name: &str| entry.get(name).map_or_else(|| "-".to_owned(), cell);
    [
        text("generation"),
        text("version"),
        short(&text("artifact_digest")).to_owned(),
        text("reason"),
        text("actor"),
        approvers(entry),
        moment(&text("at")),
        text("note"),
    ]
}

fn approvers(entry: &Value) -> String {
    match entry.get("approvers").and_then(Value::as_array) {
        Some(approvers) if !approvers.is_empty() => approvers.iter().map(cell).collect::<Vec<_>>().join(", "),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("now", "2026-03-01T12:00:00Z"),
            ("2026-02-01T01:00:00+01:00", "2026-02-01T00:00:00Z"),
            ("2026-02-01", "2026-02-01T00:00:00Z"),
            ("2026-02-01 06:30", "2026-02-01T06:30:00Z"),
            ("2 hours ago", "2026-03-01T10:00:00Z"),
            ("1 day 30 min ago", "2026-02-28T11:30:00Z"),
        ] {
            assert_eq!(relative_to(now, text).unwrap().to_string(), expected, "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "ago"] {
            assert!(relative_to(now, text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_shows_who_approved_it() {
        let entry = json!({"generation": 3, "approvers": ["grace", "edsger"]});
        assert_eq!(entry_row(&entry)[5], "grace, edsger");
        assert_eq!(entry_row(&json!({"generation": 3, "approvers": []}))[5], "-");
    }
}
