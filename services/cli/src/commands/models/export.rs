//! `holdfast models export`: a version's trees for XGBoost.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::ModelArg;
use crate::commands::Context;
use crate::failure::{Failure, Result};

const EXAMPLES: &str = "\
Examples:
  holdfast models export 3 --out churn.json

XGBoost loads the file with Booster.load_model and answers the raw probability. Calibration and threshold are not part
of the format: they stand in the model's attributes holdfast_calibration and holdfast_threshold, and nothing applies
them. Forests and logistic regression cannot be written.";

/// What `models export` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    /// The version
    version: u32,
    /// The file, which is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    model: ModelArg,
}

/// Runs the command.
pub(super) async fn run(args: ExportArgs, context: &Context) -> Result<()> {
    let path = format!("api/v1/models/{}/versions/{}/export", args.model.model, args.version);
    let bytes = context.rest.download(&path, &[("format", "xgboost_json")]).await?;
    let out = args.out.display().to_string();
    let written = tokio::fs::write(&args.out, &bytes).await;
    written.map_err(|error| Failure::new(format!("{out} cannot be written: {error}")))?;
    let answer = json!({
        "model": args.model.model,
        "version": args.version,
        "format": "xgboost_json",
        "out": out,
        "size_bytes": bytes.len(),
    });
    context.output.emit(&answer, || {
        format!(
            "version {} for XGBoost, {} bytes: {out}\nit answers the raw probability; calibration and threshold are in its attributes, and nothing applies them",
            args.version,
            bytes.len()
        )
    })
}
