//! `holdfast models show`: one version with the gate's checks.

use serde_json::Value;

use super::{Context, Version, VersionArgs, verdict};
use crate::failure::Result;
use crate::output::{self, cell, moment};

/// Runs the command.
pub(super) async fn run(args: VersionArgs, context: &Context) -> Result<()> {
    let answer = context.rest.get(&args.path(), &[]).await?;
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
