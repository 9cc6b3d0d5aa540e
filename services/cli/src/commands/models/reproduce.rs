//! `holdfast models reproduce`: a version made again must have the same bytes.

use clap::Args;
use serde_json::{Value, json};

use super::{Context, VersionArgs};
use crate::failure::{Failure, Result};
use crate::output::{self, short};
use crate::progress::Work;
use crate::rest::{Reproduction, Rest};

pub(super) const EXAMPLES: &str = "\
The version is made again from its snapshots, parameters and seed; nothing is changed and nothing is stored. Exit code 0: every
byte is the same. Exit code 1: it differs, and the parts that differ are named; or it cannot be made again.

Examples:
  holdfast models reproduce 3
  holdfast models reproduce 3 --threads 1 --json";

/// What `models reproduce` takes.
#[derive(Args, Debug)]
pub(super) struct ReproduceArgs {
    #[command(flatten)]
    version: VersionArgs,
    /// Threads, 1 to 64; the bytes do not depend on it [default: as the stack's settings say]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
}

/// Runs the command.
pub(super) async fn run(args: ReproduceArgs, context: &Context) -> Result<()> {
    let (model, version) = (&args.version.model.model, args.version.version);
    let verdict = follow(&args, &context.rest).await?;
    let found: Reproduction = context.rest.typed(verdict.clone())?;
    context.output.emit(&verdict, || people(version, &found))?;
    if found.identical {
        return Ok(());
    }
    let failure = Failure::new(format!(
        "{model} version {version} was made again, and its bytes differ"
    ));
    Err(if found.code_version == found.registered_code_version {
        failure.hint("the code is of the same version: this should not happen, and is worth a report")
    } else {
        failure.hint(format!(
            "it was made by code version {}, and made again by {}: ask a stack of that version",
            found.registered_code_version, found.code_version
        ))
    })
}

/// Starts it and waits for the verdict.
async fn follow(args: &ReproduceArgs, rest: &Rest) -> Result<Value> {
    let work = Work::percent(format!("making version {} again", args.version.version));
    let body = json!({"threads": args.threads});
    let mut events = rest
        .post_events(&format!("{}/reproduce", args.version.path()), &body)
        .await?;
    while let Some(event) = events.next().await? {
        match event.name.as_str() {
            "progress" => {
                let progress = event.data.get("progress").and_then(Value::as_f64);
                work.at(progress.unwrap_or_default());
            }
            "done" => return Ok(event.data),
            "error" => return Err(rest.refused(event.data)),
            _ => {}
        }
    }
    Err(Failure::new("the gateway ended before the verdict").hint("see `holdfast status`, then try again"))
}

fn people(version: u32, found: &Reproduction) -> String {
    let mut table = output::table([
        "version",
        "artefact",
        "made again",
        "bytes",
        "seconds",
        "code then",
        "code now",
    ]);
    table.add_row([
        version.to_string(),
        short(&found.registered_digest).to_owned(),
        short(&found.rebuilt_digest).to_owned(),
        if found.identical { "the same" } else { "differ" }.to_owned(),
        output::tenths(found.duration_seconds),
        found.registered_code_version.clone(),
        found.code_version.clone(),
    ]);
    let mut lines = vec![table.to_string()];
    if !found.differences.is_empty() {
        lines.push("what differs:".to_owned());
        lines.extend(found.differences.iter().map(|part| format!("- {part}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_what_differs() {
        let mut found = Reproduction {
            registered_digest: "aa11bb22cc33dd44".to_owned(),
            rebuilt_digest: "aa11bb22cc33dd44".to_owned(),
            identical: true,
            differences: Vec::new(),
            duration_seconds: 1.25,
            registered_code_version: "0.1.0".to_owned(),
            code_version: "0.1.0".to_owned(),
        };
        let text = people(3, &found);
        assert!(text.contains("the same") && !text.contains("what differs"), "{text}");
        found.identical = false;
        found.differences = vec!["threshold: 0.3 registered, 0.4 rebuilt".to_owned()];
        let text = people(3, &found);
        assert!(
            text.ends_with("what differs:\n- threshold: 0.3 registered, 0.4 rebuilt"),
            "{text}"
        );
    }
}
