//! `holdfast replicas`: what every replica of inference serves, prepares, or could not load.

use clap::Args;
use serde_json::Value;

use super::{Context, DEFAULT_MODEL};
use crate::failure::Result;
use crate::output::{self, cell, moment};

/// What `replicas` takes.
#[derive(Args, Debug)]
pub(crate) struct ReplicasArgs {
    /// The model
    #[arg(long, default_value = DEFAULT_MODEL, value_name = "NAME")]
    model: String,
}

/// Runs the command.
pub(crate) async fn run(args: ReplicasArgs, context: &Context) -> Result<()> {
    let path = format!("api/v1/models/{}/replicas", args.model);
    let answer = context.rest.get(&path, &[]).await?;
    context.output.emit(&answer, || {
        replicas_table(answer.get("replicas")).unwrap_or_else(|| "no replica has reported yet".to_owned())
    })
}

/// Replicas, one a row; none for none.
pub(super) fn replicas_table(replicas: Option<&Value>) -> Option<String> {
    let replicas = replicas
        .and_then(Value::as_array)
        .filter(|replicas| !replicas.is_empty())?;
    let mut table = output::table([
        "replica",
        "version",
        "generation",
        "told of",
        "state",
        "since",
        "reload ms",
        "what went wrong",
        "heard of",
    ]);
    let part = |value: &Value, name: &str| value.get(name).map_or_else(|| "-".to_owned(), cell);
    for replica in replicas {
        let state = part(replica, "state");
        let state = match replica.get("silent") {
            Some(Value::Bool(true)) => format!("SILENT, was {state}"),
            _ => state,
        };
        table.add_row([
            part(replica, "replica"),
            part(replica, "serving_version"),
            part(replica, "serving_generation"),
            part(replica, "target_generation"),
            state,
            moment(&part(replica, "since")),
            part(replica, "reload_ms"),
            part(replica, "message"),
            moment(&part(replica, "reported_at")),
        ]);
    }
    Some(table.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_replica_that_has_fallen_silent_stands_out() {
        let replicas = json!([
            {"replica": "blue-1", "state": "serving", "serving_version": 3, "silent": false},
            {"replica": "blue-2", "state": "load_failed", "message": "digest does not match", "silent": true},
        ]);
        let text = replicas_table(Some(&replicas)).unwrap();
        for word in ["blue-1", "SILENT, was load_failed", "digest does not match"] {
            assert!(text.contains(word), "{word} in\n{text}");
        }
        assert_eq!(replicas_table(Some(&json!([]))), None);
    }
}
