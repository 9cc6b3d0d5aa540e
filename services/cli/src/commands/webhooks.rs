//! `holdfast webhooks`: addresses that are told when a champion changes, and the log of what they were told.

use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Map, Value, json};

use super::Context;
use crate::failure::{Failure, Result};
use crate::output::{self, cell, moment};

const PATH: &str = "api/v1/webhooks";

const ADD_EXAMPLES: &str = "\
What is sent is signed with the secret, as Standard Webhooks says; docs/registry.md shows how a receiver verifies it.

Examples:
  holdfast webhooks add https://crm.example.com/champion
  holdfast webhooks add https://crm.example.com/champion --model churn --description \"the CRM\"
  holdfast webhooks add http://127.0.0.1:9000/ --secret-env HOOK_SECRET";

/// Addresses that are told when a champion changes.
#[derive(Debug, Subcommand)]
pub(crate) enum WebhooksCommand {
    /// All of them, newest first
    List(ListArgs),
    /// Add one, and print its secret for the only time
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// Remove one with its log
    Remove(WebhookArg),
    /// Send a test event now, and show what came of it
    Test(WebhookArg),
    /// What was sent, or will be, newest first
    Log(LogArgs),
    /// Tell it of changes from now on
    Enable(WebhookArg),
    /// Tell it nothing; what waits is given up, and changes meanwhile are not sent later
    Disable(WebhookArg),
}

/// Which webhook.
#[derive(Args, Debug)]
pub(crate) struct WebhookArg {
    /// The webhook, as `holdfast webhooks list` shows it
    #[arg(value_name = "ID")]
    webhook: String,
}

/// What `webhooks list` takes.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// At most this many, 1 to 1,000
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
}

/// What `webhooks add` takes.
#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// https://…, or http://… to a loopback address
    #[arg(value_name = "URL")]
    address: String,
    /// Only changes of this model; of all when left out
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// What it is for, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Environment variable with the secret, "whsec_" and Base64 of 24 to 64 bytes; one is made when left out
    #[arg(long, value_name = "NAME")]
    secret_env: Option<String>,
}

/// What `webhooks log` takes.
#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    /// Only of this webhook
    #[arg(value_name = "ID")]
    webhook: Option<String>,
    /// At most this many, 1 to 1,000
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
}

/// Runs the command.
pub(crate) async fn run(command: WebhooksCommand, context: &Context) -> Result<()> {
    match command {
        WebhooksCommand::List(args) => list(args, context).await,
        WebhooksCommand::Add(args) => add(args, context).await,
        WebhooksCommand::Remove(args) => remove(args, context).await,
        WebhooksCommand::Test(args) => test(args, context).await,
        WebhooksCommand::Log(args) => log(args, context).await,
        WebhooksCommand::Enable(args) => switch(args, true, context).await,
        WebhooksCommand::Disable(args) => switch(args, false, context).await,
    }
}

async fn list(args: ListArgs, context: &Context) -> Result<()> {
    let limit = args.limit.to_string();
    let answer = context.rest.get(PATH, &[("page_size", &limit)]).await?;
    context.output.emit(&answer, || {
        let webhooks = answer["webhooks"].as_array().map(Vec::as_slice).unwrap_or_default();
        if webhooks.is_empty() {
            return "there are no webhooks: add one with `holdfast webhooks add URL`".to_owned();
        }
        webhooks_table(webhooks).to_string()
    })
}

async fn add(args: AddArgs, context: &Context) -> Result<()> {
    let secret = args.secret_env.as_deref().map(secret_of).transpose()?;
    let mut body = Map::from_iter([("url".to_owned(), json!(args.address))]);
    let given = [
        ("model", args.model),
        ("description", args.description),
        ("secret", secret),
    ];
    body.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))),
    );
    let answer = context.rest.post(PATH, &Value::Object(body)).await?;
    context.output.emit(&answer, || {
        format!(
            "{}\nits secret, which is not shown again: {}",
            webhooks_table([&answer]),
            cell(&answer["secret"])
        )
    })
}

/// A secret among the arguments would be seen by everybody on the machine.
fn secret_of(variable: &str) -> Result<String> {
    std::env::var(variable).map_err(|_| Failure::usage(format!("--secret-env: {variable} is not set, or is no text")))
}

async fn remove(args: WebhookArg, context: &Context) -> Result<()> {
    let answer = context.rest.delete(&path(&args)?, &[]).await?;
    context
        .output
        .emit(&answer, || format!("webhook {} is removed with its log", args.webhook))
}

async fn switch(args: WebhookArg, enabled: bool, context: &Context) -> Result<()> {
    let answer = context.rest.patch(&path(&args)?, &json!({"enabled": enabled})).await?;
    context.output.emit(&answer, || webhooks_table([&answer]).to_string())
}

/// Exit code 1 when the test did not arrive.
async fn test(args: WebhookArg, context: &Context) -> Result<()> {
    let answer = context.rest.post(&format!("{}/test", path(&args)?), &json!({})).await?;
    context
        .output
        .emit(&answer, || deliveries_table([&answer]).to_string())?;
    if answer["state"] == "delivered" {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the test did not arrive: {}",
        cell(&answer["error"])
    )))
}

async fn log(args: LogArgs, context: &Context) -> Result<()> {
    let limit = args.limit.to_string();
    let mut query = vec![("page_size", limit.as_str())];
    query.extend(args.webhook.as_deref().map(|webhook| ("webhook_id", webhook)));
    let answer = context.rest.get(&format!("{PATH}/deliveries"), &query).await?;
    context.output.emit(&answer, || {
        let deliveries = answer["deliveries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if deliveries.is_empty() {
            return "nothing was sent, and nothing waits".to_owned();
        }
        deliveries_table(deliveries).to_string()
    })
}

/// The path of a webhook. An id that is none could name another path.
fn path(args: &WebhookArg) -> Result<String> {
    let id = &args.webhook;
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        let failure = Failure::usage(format!("{id:?} is no id of a webhook"));
        return Err(failure.hint("`holdfast webhooks list` shows them"));
    }
    Ok(format!("{PATH}/{id}"))
}

fn webhooks_table<'v>(webhooks: impl IntoIterator<Item = &'v Value>) -> Table {
    let mut table = output::table(["webhook", "url", "told of", "enabled", "created", "description"]);
    for webhook in webhooks {
        let events: Vec<&str> = webhook["events"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let told_of = match (events.as_slice(), webhook["model"].as_str()) {
            ([], Some(model)) => format!("champions of {model}"),
            ([], None) => "all champions".to_owned(),
            (events, _) => events.join(", "),
        };
        table.add_row([
            cell(&webhook["webhook_id"]),
            cell(&webhook["url"]),
            told_of,
            cell(&webhook["enabled"]),
            moment(&cell(&webhook["created_at"])),
            cell(&webhook["description"]),
        ]);
    }
    table
}

fn deliveries_table<'v>(deliveries: impl IntoIterator<Item = &'v Value>) -> Table {
    let mut table = output::table([
        "noticed",
        "event",
        "model",
        "generation",
        "state",
        "attempts",
        "status",
        "error",
        "next attempt",
        "delivery",
        "webhook",
    ]);
    for delivery in deliveries {
        table.add_row([
            moment(&cell(&delivery["created_at"])),
            cell(&delivery["event"]),
            cell(&delivery["model"]),
            cell(&delivery["generation"]),
            cell(&delivery["state"]),
            cell(&delivery["attempts"]),
            cell(&delivery["http_status"]),
            cell(&delivery["error"]),
            moment(&cell(&delivery["next_attempt_at"])),
            cell(&delivery["delivery_id"]),
            cell(&delivery["webhook_id"]),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_that_waits_says_why_and_until_when() {
        let delivery = json!({
            "delivery_id": "01a2", "webhook_id": "01a1", "event": "champion.changed", "model": "churn", "generation": 5,
            "state": "pending", "attempts": 2, "http_status": null, "error": "no connection",
            "created_at": "2026-01-02T03:04:05Z", "next_attempt_at": "2026-01-02T03:09:05Z",
        });
        let text = deliveries_table([&delivery]).to_string();
        for word in ["pending", "no", "connection", "03:09:05Z", "01a2"] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
    }

    #[test]
    fn what_is_no_id_names_no_path() {
        for id in ["", "deliveries", "../models", "01a2/test", "01a2?x"] {
            let refused = path(&WebhookArg { webhook: id.to_owned() });
            assert!(refused.is_err_and(|failure| failure.usage), "{id}");
        }
        let fine = path(&WebhookArg {
            webhook: "01a219cb-97f8".to_owned(),
        });
        assert!(fine.is_ok_and(|path| path == "api/v1/webhooks/01a219cb-97f8"));
    }
}
