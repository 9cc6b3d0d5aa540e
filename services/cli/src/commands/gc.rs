//! `holdfast gc`: what nothing refers to any more, found or removed.

use clap::Args;
use serde_json::{Value, json};

use super::Context;
use crate::failure::Result;
use crate::output::{self, cell};
use crate::progress::Work;

const EXAMPLES: &str = "\
Examples:
  holdfast gc                          what would go: nothing is removed
  holdfast gc --remove                 remove it
  holdfast gc --older-than-days 0      what was deleted a moment ago, too

What goes: runs and experiments that were deleted, files whose run is gone, bytes in the blob store that no file has.
What stays: every version, what it was made from, and whatever a champion log or another record names.";

/// Rows shown of each list; all of them are in the JSON.
const SHOWN: usize = 50;

/// What `gc` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct GcArgs {
    /// Remove what is found
    #[arg(long)]
    remove: bool,
    /// Only what was deleted, or last referred to, so many days ago
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=36_500))]
    older_than_days: u32,
}

/// Runs the command.
pub(crate) async fn run(args: GcArgs, context: &Context) -> Result<()> {
    let request = json!({ "remove": args.remove, "older_than_days": args.older_than_days });
    let answer = {
        let _work = Work::spinner("looking for what nothing refers to");
        context.rest.post("api/v1/retention/collections", &request).await?
    };
    context.output.emit(&answer, || people(&answer))
}

fn people(answer: &Value) -> String {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let removed = answer.get("removed").and_then(Value::as_bool).unwrap_or_default();
    let (total, bytes) = (number("total"), number("total_bytes"));
    let mut text = match (total, removed) {
        (0, _) => "nothing to remove".to_owned(),
        (_, true) => format!("removed {total} things, {bytes} bytes"),
        (_, false) => format!("{total} things, {bytes} bytes, would be removed: holdfast gc --remove"),
    };
    for (name, title) in [("garbage", "because"), ("kept", "stays, because")] {
        let listed = answer
            .get(name)
            .and_then(Value::as_array)
            .filter(|listed| !listed.is_empty());
        let Some(listed) = listed else { continue };
        let mut table = output::table(["kind", "id", "bytes", title]);
        for thing in listed.iter().take(SHOWN) {
            let part = |name: &str| thing.get(name).map_or_else(|| "-".to_owned(), cell);
            table.add_row([part("kind"), part("id"), part("size_bytes"), part("reason")]);
        }
        text += &format!("\n{table}");
        if listed.len() > SHOWN {
            text += &format!("\n… and {} more: see --json", listed.len() - SHOWN);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_go_and_what_stays_are_told_apart() {
        let blob = json!({"kind": "blob", "id": "aa11", "size_bytes": 7, "reason": "no file has these bytes"});
        let run = json!({"kind": "run", "id": "run-1", "reason": "version 3 of churn was made of it"});
        let mut answer = json!({
            "removed": false, "total": 60, "total_bytes": 420, "garbage": vec![blob; 60], "kept": [run],
        });
        let text = people(&answer);
        for part in [
            "60 things, 420 bytes, would be removed",
            "holdfast gc --remove",
            "… and 10 more",
            "stays, because",
            "version 3",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        answer["removed"] = true.into();
        assert!(people(&answer).starts_with("removed 60 things"));
        assert_eq!(
            people(&json!({"removed": true, "total": 0, "garbage": [], "kept": []})),
            "nothing to remove"
        );
    }
}
