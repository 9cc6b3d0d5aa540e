//! `holdfast models export`: a version's trees for XGBoost, or its artefact.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::VersionArgs;
use crate::commands::Context;
use crate::failure::Result;
use crate::unfinished::write_whole;

const EXAMPLES: &str = "\
Examples:
  holdfast models export 3 --out churn.json
  holdfast models export 3 --format holdfast --out model.hfm     the artefact, for `holdfast score --model-file`

XGBoost loads the file with Booster.load_model and answers the raw probability. Calibration and threshold are not part
of the format: they stand in the model's attributes holdfast_calibration and holdfast_threshold, and nothing applies
them. Forests and logistic regression cannot be written.";

/// What `models export` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    version: VersionArgs,
    /// What is written
    #[arg(long, value_enum, default_value_t = Format::XgboostJson, value_name = "FORMAT")]
    format: Format,
    /// The file, which is replaced
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// What can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Format {
    /// The trees as XGBoost's JSON.
    XgboostJson,
    /// The artefact, byte for byte as registered.
    Holdfast,
}

impl Format {
    /// As the gateway knows it.
    fn name(self) -> &'static str {
        match self {
            Format::XgboostJson => "xgboost_json",
            Format::Holdfast => "holdfast",
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: ExportArgs, context: &Context) -> Result<()> {
    let path = format!("{}/export", args.version.path());
    let format = args.format;
    let bytes = context.rest.download(&path, &[("format", format.name())]).await?;
    write_whole(&args.out, &bytes).await?;
    let (version, out) = (args.version.version, args.out.display().to_string());
    let answer = json!({
        "model": args.version.model.model,
        "version": version,
        "format": format.name(),
        "out": out,
        "size_bytes": bytes.len(),
    });
    context.output.emit(&answer, || match format {
        Format::Holdfast => format!("artefact of version {version}, {} bytes: {out}", bytes.len()),
        Format::XgboostJson => format!(
            "version {version} for XGBoost, {} bytes: {out}\nit answers the raw probability; calibration and threshold are in its attributes, and nothing applies them",
            bytes.len()
        ),
    })
}
