//! `holdfast promotions`, `holdfast approve` and `holdfast reject`: what waits for approvers, and their word.

use clap::Args;
use comfy_table::Table;
use serde_json::{Map, Value, json};

use super::{Context, DEFAULT_MODEL};
use crate::failure::Result;
use crate::output::{self, cell, moment};

const EXAMPLES: &str = "\
Nobody approves who started the run or asked for the promotion. Names are taken as they are told: there is no sign-in yet.

Examples:
  holdfast promotions --waiting
  holdfast approve 4 --actor grace --note \"looked at the slices\"
  holdfast reject 4 --actor grace --note \"too few customers of the new product\"";

/// What `promotions` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PromotionsArgs {
    /// Only those that wait
    #[arg(long)]
    waiting: bool,
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// What `approve` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ApproveArgs {
    /// The promotion, as `holdfast promotions` numbers it
    promotion: u64,
    /// Who says it
    #[arg(long, value_name = "NAME")]
    actor: String,
    /// A note in words
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// What `reject` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RejectArgs {
    /// The promotion, as `holdfast promotions` numbers it
    promotion: u64,
    /// Who says it
    #[arg(long, value_name = "NAME")]
    actor: String,
    /// Why, in words
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// Runs `promotions`.
pub(crate) async fn list(args: PromotionsArgs, context: &Context) -> Result<()> {
    let query: &[(&str, &str)] = if args.waiting { &[("waiting", "true")] } else { &[] };
    let path = format!("api/v1/models/{}/promotions", args.model);
    let answer = context.rest.get(&path, query).await?;
    context.output.emit(&answer, || {
        let promotions = answer["promotions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if promotions.is_empty() {
            return format!("no promotion of {} waits for approvers or ever did", args.model);
        }
        promotions_table(promotions).to_string()
    })
}

/// Runs `approve`.
pub(crate) async fn approve(args: ApproveArgs, context: &Context) -> Result<()> {
    let mut body = Map::from_iter([("actor".to_owned(), json!(args.actor))]);
    body.extend(args.note.map(|note| ("note".to_owned(), json!(note))));
    decide(&args.model, args.promotion, "approve", &Value::Object(body), context).await
}

/// Runs `reject`.
pub(crate) async fn reject(args: RejectArgs, context: &Context) -> Result<()> {
    let body = json!({"actor": args.actor, "note": args.note});
    decide(&args.model, args.promotion, "reject", &body, context).await
}

async fn decide(model: &str, promotion: u64, verb: &str, body: &Value, context: &Context) -> Result<()> {
    let path = format!("api/v1/models/{model}/promotions/{promotion}/{verb}");
    let answer = context.rest.post(&path, body).await?;
    context.output.emit(&answer, || promotions_table([&answer]).to_string())
}

/// Promotions, one a row.
pub(super) fn promotions_table<'v>(promotions: impl IntoIterator<Item = &'v Value>) -> Table {
    let mut table = output::table([
        "promotion",
        "version",
        "follows",
        "state",
        "approved by",
        "asked by",
        "run by",
        "expires",
        "generation",
        "note",
    ]);
    for promotion in promotions {
        let words = promotion["words"].as_array().into_iter().flatten();
        let (yes, no): (Vec<&Value>, Vec<&Value>) = words.partition(|word| word["approved"] == true);
        let names: Vec<String> = yes.iter().map(|word| cell(&word["actor"])).collect();
        let said = format!(
            "{} of {}: {}",
            names.len(),
            cell(&promotion["needed"]),
            names.join(", ")
        );
        // What was said against it matters more than what it was asked for with.
        let note = no.first().map_or(&promotion["note"], |word| &word["note"]);
        table.add_row([
            cell(&promotion["promotion"]),
            cell(&promotion["version"]),
            cell(&promotion["expected_generation"]),
            cell(&promotion["state"]),
            said.trim_end_matches(": ").to_owned(),
            cell(&promotion["requested_by"]),
            cell(&promotion["run_started_by"]),
            moment(&cell(&promotion["expires_at"])),
            cell(&promotion["generation"]),
            cell(note),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promotion_says_who_approved_and_why_it_was_rejected() {
        let promotion = json!({
            "promotion": 4, "version": 9, "needed": 2, "state": "rejected", "requested_by": "training", "run_started_by": "ada",
            "note": "accepted by the gate", "generation": null,
            "words": [
                {"actor": "grace", "approved": true, "note": null},
                {"actor": "edsger", "approved": false, "note": "too few rows"},
            ],
        });
        let text = promotions_table([&promotion]).to_string();
        for word in ["1 of 2: grace", "too few rows", "rejected", "ada"] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert!(!text.contains("accepted by the gate"), "{text}");
    }
}
