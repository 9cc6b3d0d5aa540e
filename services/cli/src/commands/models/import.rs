//! `holdfast models import`: a model of another library becomes a version, and is judged like any other.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::ModelArg;
use crate::commands::{Context, data, runs, train};
use crate::failure::{Failure, Result};
use crate::progress::{self, Work};
use crate::rest::{Rest, Run};

/// Between two looks at an import that waits.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  holdfast models import churn.ubj --snapshot bank.csv
  holdfast models import churn.txt --snapshot calibrate.csv --test test.csv --promote
  holdfast models import churn.json --snapshot 5e1f0c9a77b2 --renamed age:Customer_Age --json
  holdfast models import --version 3

The file is what XGBoost's save_model writes as .json or .ubj, or LightGBM's as text. The rows should be rows that the
model was not trained on: they choose its threshold, and its calibration if that makes its probabilities better.

With --version the file is that of a version that MLflow's client has registered, and the rows are the champion's
unless others are named. Training takes such versions up by itself; this asks again, and shows how it goes.";

/// What `models import` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ImportArgs {
    /// The model file
    #[arg(required_unless_present = "version", conflicts_with = "version")]
    file: Option<PathBuf>,
    /// The registered version whose file it is
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Labelled customers: the digest of a snapshot or its beginning, or a table to import first
    #[arg(long, value_name = "DIGEST_OR_FILE", required_unless_present = "version")]
    snapshot: Option<String>,
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

impl Rounds {
    fn name(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::All => "all",
        }
    }
}

/// Runs the command.
pub(super) async fn run(args: ImportArgs, context: &Context) -> Result<()> {
    let rest = &context.rest;
    let run = match (&args.file, args.version) {
        (Some(file), _) => {
            let query = query(&args, file, rest).await?;
            let run_id = send(&args, file, &query, rest).await?;
            let work = Work::spinner(format!("run {run_id}"));
            runs::follow(rest, &run_id, &work).await?
        }
        (None, version) => of_version(&args, version.unwrap_or_default(), rest).await?,
    };
    let result = train::result_of(&run)?;
    context
        .output
        .emit(&train::summary(&run, result), || train::people(&run, result))
}

/// Asks for the import of a registered version and follows it to its end.
async fn of_version(args: &ImportArgs, version: u32, rest: &Rest) -> Result<Run> {
    let path = format!("api/v1/models/{}/versions/{version}/import", args.model.model);
    let wishes = wishes(args, rest).await?;
    let mut import = rest.post(&path, &wishes).await?;
    let work = Work::spinner(format!("version {version} waits for training"));
    loop {
        let text = |name: &str| import.get(name).and_then(Value::as_str).unwrap_or_default();
        match (text("state"), text("run_id")) {
            ("failed", _) => {
                return Err(Failure::new(format!(
                    "version {version} is not imported: {}",
                    text("why")
                )));
            }
            ("running" | "done", run_id) if !run_id.is_empty() => return runs::follow(rest, run_id, &work).await,
            _ => {}
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        import = rest.get(&path, &[]).await?;
    }
}

async fn wishes(args: &ImportArgs, rest: &Rest) -> Result<Value> {
    let pair = |text: &String| {
        let (left, right) = text.split_once(':').ok_or_else(|| {
            Failure::new(format!("{text:?} is no pair"))
                .hint("write NAME_IN_FILE:COLUMN, or COLUMN:A|B|C for categories")
        })?;
        Ok((left.trim().to_owned(), right.trim().to_owned()))
    };
    let pairs = |texts: &[String]| texts.iter().map(pair).collect::<Result<BTreeMap<String, String>>>();
    let categories = pairs(&args.categories)?.into_iter();
    let categories: BTreeMap<String, Vec<String>> = categories
        .map(|(column, names)| (column, names.split('|').map(|name| name.trim().to_owned()).collect()))
        .collect();
    let mut wishes = serde_json::json!({
        "rounds": args.rounds.name(),
        "columns": args.columns,
        "renamed": pairs(&args.renamed)?,
        "categories": categories,
        "promote": args.promote,
        "preset": args.preset,
        "seed": args.seed,
        "test_share": args.test_share,
    });
    for (name, rows) in [("snapshot", &args.snapshot), ("test_snapshot", &args.test)] {
        if let Some(rows) = rows {
            wishes[name] = snapshot(rows, rest).await?.into();
        }
    }
    Ok(wishes)
}

async fn query(args: &ImportArgs, file: &Path, rest: &Rest) -> Result<Vec<(&'static str, String)>> {
    let mut query = vec![
        ("source", name_of(file)),
        ("rounds", args.rounds.name().to_owned()),
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
    if let Some(rows) = &args.snapshot {
        query.push(("snapshot", snapshot(rows, rest).await?));
    }
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
async fn send(args: &ImportArgs, path: &Path, query: &[(&str, String)], rest: &Rest) -> Result<String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| Failure::new(format!("{shown} cannot be read: {error}"));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(Failure::new(format!("{shown} is a directory, not a file")));
    }
    let (_work, body) = progress::counted_file(file, metadata.len(), format!("importing {shown}"));
    let to = format!("api/v1/models/{}/imports", args.model.model);
    let answer = rest.upload_file(&to, query, body).await;
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
