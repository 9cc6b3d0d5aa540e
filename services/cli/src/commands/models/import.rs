//! `holdfast models import`: a model of another library becomes a version, and is judged like any other.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::ModelArg;
use crate::commands::{Context, data, runs, train};
use crate::failure::{Failure, Result};
use crate::progress::{self, Work};
use crate::rest::Rest;

const EXAMPLES: &str = "\
Examples:
  holdfast models import churn.ubj --snapshot bank.csv
  holdfast models import churn.txt --snapshot calibrate.csv --test test.csv --promote
  holdfast models import churn.json --snapshot 5e1f0c9a77b2 --renamed age:Customer_Age --json

The file is what XGBoost's save_model writes as .json or .ubj, or LightGBM's as text. The rows should be rows that the
model was not trained on: they choose its threshold, and its calibration if that makes its probabilities better.";

/// What `models import` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// The model file
    file: PathBuf,
    /// Labelled customers: the digest of a snapshot or its beginning, or a table to import first
    #[arg(long, value_name = "DIGEST_OR_FILE")]
    snapshot: String,
    /// Customers to test on, named in the same way; then no split is made
    #[arg(long, value_name = "DIGEST_OR_FILE")]
    test: Option<String>,
    /// Share of the customers held out for testing
    #[arg(long, value_name = "SHARE", conflicts_with = "test")]
    test_share: Option<f64>,
    /// Which trees of the file become the model
    #[arg(long, value_enum, default_value_t = Rounds::Best)]
    rounds: Rounds,
    /// Names of all columns in the model's order, for a file without names
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    columns: Vec<String>,
    /// A column that the file calls otherwise
    #[arg(long, value_name = "NAME_IN_FILE:COLUMN", value_delimiter = ',')]
    renamed: Vec<String>,
    /// A column's categories in the order of their codes, where the file does not tell
    #[arg(long, value_name = "COLUMN:A|B|C", value_delimiter = ',')]
    categories: Vec<String>,
    /// The parameter set whose engineered features, calibration and threshold rule hold
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Seed of every draw of rows
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Make the version champion if the gate accepts it
    #[arg(long)]
    promote: bool,
    #[command(flatten)]
    model: ModelArg,
}

/// Which trees of a file become the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Rounds {
    /// Those up to the best iteration, where early stopping recorded one
    Best,
    /// All of them
    All,
}

/// Runs the command.
pub(super) async fn run(args: ImportArgs, context: &Context) -> Result<()> {
    let rest = &context.rest;
    let query = query(&args, rest).await?;
    let run_id = send(&args, &query, rest).await?;
    let run = {
        let work = Work::spinner(format!("run {run_id}"));
        runs::follow(rest, &run_id, &work).await?
    };
    let result = train::result_of(&run)?;
    context
        .output
        .emit(&train::summary(&run, result), || train::people(&run, result))
}

async fn query(args: &ImportArgs, rest: &Rest) -> Result<Vec<(&'static str, String)>> {
    let rounds = match args.rounds {
        Rounds::Best => "best",
        Rounds::All => "all",
    };
    let mut query = vec![
        ("source", name_of(&args.file)),
        ("rounds", rounds.to_owned()),
        ("promote", args.promote.to_string()),
    ];
    for (name, list) in [
        ("columns", &args.columns),
        ("renamed", &args.renamed),
        ("categories", &args.categories),
    ] {
        if !list.is_empty() {
            query.push((name, list.join(",")));
        }
    }
    query.extend(args.preset.clone().map(|preset| ("preset", preset)));
    query.extend(args.seed.map(|seed| ("seed", seed.to_string())));
    query.extend(args.test_share.map(|share| ("test_share", share.to_string())));
    query.push(("snapshot", snapshot(&args.snapshot, rest).await?));
    if let Some(test) = &args.test {
        query.push(("test_snapshot", snapshot(test, rest).await?));
    }
    Ok(query)
}

/// The digest of the snapshot that a text names.
async fn snapshot(text: &str, rest: &Rest) -> Result<String> {
    if is_hexadecimal(text) && !Path::new(text).exists() {
        return whole_digest(text, rest).await;
    }
    Ok(data::import_aloud(rest, text).await?.digest)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

async fn whole_digest(beginning: &str, rest: &Rest) -> Result<String> {
    if beginning.len() == 64 {
        return Ok(beginning.to_owned());
    }
    let answer = rest.get("api/v1/snapshots", &[("page_size", "1000")]).await?;
    let listed = answer.get("snapshots").and_then(Value::as_array).into_iter().flatten();
    let digests = listed.filter_map(|snapshot| snapshot.get("digest")?.as_str());
    let found: Vec<&str> = digests.filter(|digest| digest.starts_with(beginning)).collect();
    match found.as_slice() {
        [digest] => Ok((*digest).to_owned()),
        [] => Err(Failure::new(format!("no snapshot begins with {beginning:?}"))
            .hint("see `holdfast data list`, or name a table to import")),
        several => Err(
            Failure::new(format!("{} snapshots begin with {beginning:?}", several.len()))
                .hint("give more digits of the one that is meant"),
        ),
    }
}

/// Uploads the file and answers the run that was started.
async fn send(args: &ImportArgs, query: &[(&str, String)], rest: &Rest) -> Result<String> {
    let shown = args.file.display();
    let unreadable = |error: std::io::Error| Failure::new(format!("{shown} cannot be read: {error}"));
    let file = tokio::fs::File::open(&args.file).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Failure::new(format!("{shown} is a directory, not a file")));
    }
    let (_work, body) = progress::counted_file(file, metadata.len(), format!("importing {shown}"));
    let path = format!("api/v1/models/{}/imports", args.model.model);
    let answer = rest.upload_file(&path, query, body).await;
    let answer = answer.map_err(|failure| match failure.hint {
        None => failure.while_doing(&shown.to_string()),
        Some(_) => failure,
    })?;
    let id = answer.get("run_id").and_then(Value::as_str);
    id.map(str::to_owned)
        .ok_or_else(|| Failure::new("the gateway started a run and did not say which"))
}

/// The file's name without the machine's folders.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
