//! `holdfast models list`: versions, newest first.

use serde_json::Value;

use super::{Context, ModelArg, Version, verdict};
use crate::failure::Result;
use crate::output::{self, cell, moment, short};

/// Runs the command.
pub(super) async fn run(args: ModelArg, context: &Context) -> Result<()> {
    let answer = context
        .rest
        .get(&format!("api/v1/models/{}/versions", args.model), &[])
        .await?;
    context.output.emit(&answer, || {
        let mut table = output::table(["version", "state", "family", "artefact", "gate", "test ROC-AUC", "made"]);
        for version in answer.get("versions").and_then(Value::as_array).into_iter().flatten() {
            let view = Version(version);
            let decision = view.last_decision();
            let auc = decision
                .and_then(|decision| decision.pointer("/evaluation/full/roc_auc"))
                .map_or_else(|| "-".to_owned(), cell);
            let artefact = view.text("artifact_digest");
            let row = [
                view.text("version"),
                view.text("status"),
                view.text("family"),
                short(&artefact).to_owned(),
                verdict(decision),
                auc,
            ];
            table.add_row(row.into_iter().chain([moment(&view.text("created_at"))]));
        }
        table.to_string()
    })
}
