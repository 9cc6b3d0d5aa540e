//! `holdfast models card`: what somebody who answers for a model has to know of it.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Context, VersionArgs};
use crate::failure::{Failure, Result};
use crate::unfinished::write_whole;

pub(super) const EXAMPLES: &str = "\
The card is made from the record: purpose, data, quality with intervals, calibration, threshold, groups of customers, what the
model goes by, limits, the gate's decisions, and how to make the version again.

Examples:
  holdfast models card 3                      Markdown on stdout
  holdfast models card 3 --out card.html      one self-contained page with the plots
  holdfast models card 3 --json               its sections as data";

/// What `models card` takes.
#[derive(Args, Debug)]
pub(super) struct CardArgs {
    #[command(flatten)]
    version: VersionArgs,
    /// The file to write; one of this name is replaced
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How it is written; without it, as the file's name ends, or Markdown
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
}

/// How a card is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Markdown; plots are named
    Markdown,
    /// One self-contained page with the plots
    Html,
    /// Its sections as data; plots are named
    Json,
}

impl Format {
    const fn name(self) -> &'static str {
        match self {
            Format::Markdown => "markdown",
            Format::Html => "html",
            Format::Json => "json",
        }
    }

    /// What the end of a file's name asks for.
    fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Format::Markdown),
            "html" | "htm" => Some(Format::Html),
            "json" => Some(Format::Json),
            _ => None,
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: CardArgs, context: &Context) -> Result<()> {
    match &args.out {
        Some(out) => to_file(&args, out, context).await,
        None => to_stdout(&args, context).await,
    }
}

async fn to_file(args: &CardArgs, out: &Path, context: &Context) -> Result<()> {
    let format = args.format.or_else(|| Format::of_file(out)).unwrap_or(Format::Markdown);
    let card = card(args, format, context).await?;
    write_whole(out, &card).await?;
    let result = json!({
        "model": args.version.model.model,
        "version": args.version.version,
        "format": format.name(),
        "out": out,
        "size_bytes": card.len(),
    });
    context.output.emit(&result, || {
        format!(
            "card of {} version {} ({}): {}",
            args.version.model.model,
            args.version.version,
            format.name(),
            out.display()
        )
    })
}

async fn to_stdout(args: &CardArgs, context: &Context) -> Result<()> {
    if context.output.is_json() {
        if args.format.is_some_and(|format| format != Format::Json) {
            return Err(
                Failure::usage("--json prints the card as data").hint("write another format to a file with --out")
            );
        }
        let card = card(args, Format::Json, context).await?;
        let data: Value = serde_json::from_slice(&card)
            .map_err(|error| Failure::new(format!("the gateway's card is not JSON: {error}")))?;
        return context.output.emit(&data, String::new);
    }
    let card = card(args, args.format.unwrap_or(Format::Markdown), context).await?;
    context
        .output
        .emit(&Value::Null, || String::from_utf8_lossy(&card).into_owned())
}

async fn card(args: &CardArgs, format: Format, context: &Context) -> Result<Vec<u8>> {
    let path = format!("{}/card", args.version.path());
    context.rest.download(&path, &[("format", format.name())]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_files_name_says_how_the_card_is_written() {
        let of = |name: &str| Format::of_file(Path::new(name));
        assert_eq!(
            ["card.html", "CARD.HTM", "card.json", "card.md"].map(of),
            [Format::Html, Format::Html, Format::Json, Format::Markdown].map(Some)
        );
        assert_eq!([of("card"), of("card.txt")], [None, None]);
    }
}
