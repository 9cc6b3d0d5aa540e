//! `holdfast promote` and `holdfast rollback`: the champion moves, or approvers are asked whether it may.

use clap::Args;
use serde_json::{Map, Value, json};

use super::champion::entry_row;
use super::promotions::promotions_table;
use super::{Context, DEFAULT_MODEL};
use crate::failure::{Failure, Result};

const PROMOTE_EXAMPLES: &str = "\
Examples:
  holdfast promote 3                                    version 3, which the gate accepted
  holdfast promote 3 --override --note \"incident 4711\"  without the gate's word; recorded as such
  holdfast promote 3 --expected-generation 7            only if nobody moved the champion meanwhile";

const ROLLBACK_EXAMPLES: &str = "\
Examples:
  holdfast rollback                          to the champion before this one
  holdfast rollback --to 2 --note \"3 misreads new customers\"";

/// What `promote` takes.
#[derive(Args, Debug)]
#[command(after_help = PROMOTE_EXAMPLES)]
pub(crate) struct PromoteArgs {
    /// The version
    version: u32,
    /// Why, in words
    #[arg(long, value_name = "TEXT", required_if_eq("override_gate", "true"))]
    note: Option<String>,
    /// Without an accepting decision of the gate; needs --note
    #[arg(long = "override")]
    override_gate: bool,
    /// Fail if the champion has another generation by now
    #[arg(long, value_name = "N")]
    expected_generation: Option<u64>,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// What `rollback` takes.
#[derive(Args, Debug)]
#[command(after_help = ROLLBACK_EXAMPLES)]
pub(crate) struct RollbackArgs {
    /// Also to a version that is not proven to load; needs --note
    #[arg(long)]
    override_load: bool,
    /// A version that was champion once; without it, the one before this
    #[arg(long, value_name = "VERSION")]
    to: Option<u32>,
    /// Why, in words
    #[arg(long, value_name = "TEXT", required_if_eq("override_load", "true"))]
    note: Option<String>,
    /// Who does it, for the record
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// Runs `promote`.
pub(crate) async fn promote(args: PromoteArgs, context: &Context) -> Result<()> {
    let mut body = Map::from_iter([("override".to_owned(), json!(args.override_gate))]);
    body.extend(args.note.map(|note| ("note".to_owned(), json!(note))));
    body.extend(args.actor.map(|actor| ("actor".to_owned(), json!(actor))));
    body.extend(
        args.expected_generation
            .map(|generation| ("expected_generation".to_owned(), json!(generation))),
    );
    let path = format!("api/v1/models/{}/versions/{}/promote", args.model, args.version);
    let answer = context
        .rest
        .post(&path, &Value::Object(body))
        .await
        .map_err(|failure| {
            if failure.hint.is_some() || args.override_gate {
                return failure;
            }
            failure.hint(format!(
                "see the gate's decision with `holdfast models show {}`; --override --note TEXT goes without it",
                args.version
            ))
        })?;
    moved(context, &answer)
}

/// Runs `rollback`.
pub(crate) async fn rollback(args: RollbackArgs, context: &Context) -> Result<()> {
    let mut body = Map::from_iter([("override_load".to_owned(), json!(args.override_load))]);
    body.extend(args.actor.map(|actor| ("actor".to_owned(), json!(actor))));
    body.extend(args.to.map(|version| ("to_version".to_owned(), json!(version))));
    body.extend(args.note.map(|note| ("note".to_owned(), json!(note))));
    let answer = context
        .rest
        .post(&format!("api/v1/models/{}/rollback", args.model), &Value::Object(body))
        .await
        .map_err(|failure| match failure {
            Failure { hint: None, .. } => failure.hint("`holdfast champion log` shows which versions were champion"),
            failure => failure,
        })?;
    moved(context, &answer)
}

fn moved(context: &Context, entry: &Value) -> Result<()> {
    if entry.get("promotion").is_some() && entry.get("state").is_some() {
        return context.output.emit(entry, || {
            format!(
                "{}\nversion {} waits for approvers: `holdfast approve {}`",
                promotions_table([entry]),
                entry["version"],
                entry["promotion"]
            )
        });
    }
    context.output.emit(entry, || {
        let mut table = super::champion::entries_table();
        table.add_row(entry_row(entry));
        table.to_string()
    })
}
