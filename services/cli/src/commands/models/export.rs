//! `holdfast models export`: a version's trees for XGBoost.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::VersionArgs;
use crate::commands::Context;
use crate::failure::Result;
use crate::unfinished::write_whole;

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
    #[command(flatten)]
    version: VersionArgs,
    /// The file, which is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the command.
pub(super) async fn run(args: ExportArgs, context: &Context) -> Result<()> {
    let path = format!("{}/export", args.version.path());
    let bytes = context.rest.download(&path, &[("format", "xgboost_json")]).await?;
    write_whole(&args.out, &bytes).await?;
    let (version, out) = (args.version.version, args.out.display().to_string());
    let answer = json!({
        "model": args.version.model.model,
        "version": version,
        "format": "xgboost_json",
        "out": out,
        "size_bytes": bytes.len(),
    });
    context.output.emit(&answer, || {
        format!(
            "version {version} for XGBoost, {} bytes: {out}\nit answers the raw probability; calibration and threshold are in its attributes, and nothing applies them",
            bytes.len()
        )
    })
}
