//! `holdfast data`: a table of customers becomes a snapshot, or a report.

mod explore;

use std::path::Path;

use clap::{Args, Subcommand};
use holdfast_domain::{Schema, Strictness};
use holdfast_sources::{ObjectFormat, S3Object, SourceSpec};
use serde_json::Value;

use super::Context;
use crate::failure::{Failure, Result};
use crate::output::{self, cell, short};
use crate::progress::{self, Work};
use crate::rest::{Media, Rest, Snapshot};
use crate::settings;

const EXAMPLES: &str = "\
Examples:
  holdfast data import --source BankChurners.csv
  holdfast data import --source 'bank.db?table=customers' --json";

/// Tables of customers.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Check a table against the schema and store it as an immutable snapshot
    #[command(after_help = EXAMPLES)]
    Import(ImportArgs),
    /// Snapshots, newest first
    List,
    /// Look at a table before anything is learnt from it: one HTML report
    #[command(after_help = explore::EXAMPLES)]
    Explore(explore::ExploreArgs),
}

/// What `data import` takes.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// A .csv or .parquet file, here or in S3 (s3://bucket/key.parquet), or an SQLite database such as bank.db?table=customers
    #[arg(long, value_name = "FILE_OR_URL")]
    source: String,
}

/// Runs the command.
pub(crate) async fn run(command: DataCommand, context: &Context) -> Result<()> {
    match command {
        DataCommand::Import(args) => {
            let answer = import(&context.rest, &args.source).await?;
            let snapshot: Snapshot = context.rest.typed(answer.clone())?;
            context.output.emit(&answer, || imported(&snapshot, &answer))
        }
        DataCommand::List => list(context).await,
        DataCommand::Explore(args) => explore::run(args, context).await,
    }
}

fn imported(snapshot: &Snapshot, answer: &Value) -> String {
    let mut table = output::table(["snapshot", "source", "rows", "left", "columns dropped"]);
    let dropped = answer.get("dropped_columns").map_or_else(
        || "-".to_owned(),
        |columns| columns.as_array().map_or(0, Vec::len).to_string(),
    );
    table.add_row([
        short(&snapshot.digest),
        &snapshot.source,
        &snapshot.rows.to_string(),
        &snapshot.positives.to_string(),
        &dropped,
    ]);
    table.to_string()
}

async fn list(context: &Context) -> Result<()> {
    let answer = context.rest.get("api/v1/snapshots", &[]).await?;
    context.output.emit(&answer, || {
        let mut table = output::table(["snapshot", "source", "rows", "left", "taken"]);
        for snapshot in answer.get("snapshots").and_then(Value::as_array).into_iter().flatten() {
            let text = |name: &str| snapshot.get(name).map_or_else(|| "-".to_owned(), cell);
            let row = [
                short(&text("digest")).to_owned(),
                text("source"),
                text("rows"),
                text("positives"),
                output::moment(&text("created_at")),
            ];
            table.add_row(row);
        }
        table.to_string()
    })
}

/// Imports a table. Files go up as they are and are checked there, once; a database's rows are read and checked here.
pub(crate) async fn import(rest: &Rest, source: &str) -> Result<Value> {
    let spec = SourceSpec::parse(source)?;
    match &spec {
        SourceSpec::Csv { path } => import_csv(rest, path).await,
        SourceSpec::Parquet { path } => {
            let answer = upload_file(rest, Media::Parquet, &spec, path).await;
            answer.map_err(|failure| of_table(failure, &spec))
        }
        SourceSpec::S3(object) => import_object(rest, object).await,
        SourceSpec::Sqlite { .. } | SourceSpec::MySql(_) | SourceSpec::Postgres(_) => upload_rows(rest, &spec).await,
    }
}

/// Imports an object of S3, through a temporary copy.
async fn import_object(rest: &Rest, object: &S3Object) -> Result<Value> {
    let directory =
        tempfile::tempdir().map_err(|error| Failure::new(format!("no temporary directory can be made: {error}")))?;
    // The manifest names the file, so the copy has the object's own name.
    let name = object.key.rsplit('/').next().unwrap_or(&object.key);
    let path = directory.path().join(name);
    let s3 = settings::common(None, None)?.blob_store.s3;
    {
        let _work = Work::spinner(format!("fetching {object}"));
        holdfast_sources::fetch(object, &s3, &path).await?;
    }
    let (local, original) = (object.local(&path), SourceSpec::S3(object.clone()));
    let media = match object.format {
        ObjectFormat::Csv => Media::Csv,
        ObjectFormat::Parquet => Media::Parquet,
    };
    let answer = upload_file(rest, media, &local, &path).await;
    answer.map_err(|failure| of_table(failure, &original))
}

/// Imports a table and says on stderr what became of it.
pub(crate) async fn import_aloud(rest: &Rest, source: &str) -> Result<Snapshot> {
    let answer = import(rest, source).await?;
    let snapshot: Snapshot = rest.typed(answer)?;
    output::note(format!(
        "  {:<10} {} rows, {} left, snapshot {}",
        "import",
        snapshot.rows,
        snapshot.positives,
        short(&snapshot.digest)
    ));
    Ok(snapshot)
}

/// Imports a CSV file, whatever its name ends in.
pub(crate) async fn import_csv(rest: &Rest, path: &Path) -> Result<Value> {
    let spec = SourceSpec::Csv { path: path.to_owned() };
    upload_file(rest, Media::Csv, &spec, path)
        .await
        .map_err(|failure| of_table(failure, &spec))
}

/// What was refused, and what to do about it. A failure that knows what to do is about the gateway and not about the table.
fn of_table(failure: Failure, spec: &SourceSpec) -> Failure {
    if failure.hint.is_some() {
        return failure;
    }
    let bad_cells = !failure.violations.is_empty();
    let failure = failure.while_doing(&spec.to_string());
    if bad_cells {
        failure.hint("correct these cells and import again; rows are counted from 1, without the header")
    } else {
        failure
    }
}

async fn upload_file(rest: &Rest, media: Media, spec: &SourceSpec, path: &Path) -> Result<Value> {
    let file = tokio::fs::File::open(path).await.map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().await.map_err(|error| unreadable(&error))?;
    if metadata.is_dir() {
        return Err(Failure::new("this is a directory, not a file"));
    }
    let (_work, body) = progress::counted_file(file, metadata.len(), format!("importing {spec}"));
    rest.upload(media, &name_of(spec), body).await
}

async fn upload_rows(rest: &Rest, spec: &SourceSpec) -> Result<Value> {
    let schema = Schema::embedded();
    let work = Work::spinner(format!("reading {spec}"));
    let customers = holdfast_sources::read(spec, schema, Strictness::Training).await?;
    work.say(format!("importing {} rows of {spec}", customers.len()));
    let answer = upload_customers(rest, &name_of(spec), &customers, schema).await;
    answer.map_err(|failure| of_table(failure, spec))
}

/// Imports customers that are in memory.
pub(crate) async fn upload_customers(
    rest: &Rest,
    source: &str,
    customers: &[holdfast_domain::Customer],
    schema: &Schema,
) -> Result<Value> {
    let body =
        holdfast_records::snapshot::encode(customers, schema).map_err(|error| Failure::new(error.to_string()))?;
    rest.upload(Media::Parquet, source, body).await
}

/// What the manifest says of the source: a file's name without the machine's folders, a server without secrets.
fn name_of(spec: &SourceSpec) -> String {
    let file = spec
        .path()
        .and_then(|path| path.file_name())
        .map(|name| name.to_string_lossy().into_owned());
    match (spec, file) {
        (SourceSpec::Sqlite { table, .. }, Some(file)) => format!("{file}?table={table}"),
        (_, Some(file)) => file,
        _ => spec.to_string(),
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        Failure::new("there is no such file")
    } else {
        Failure::new(format!("the file cannot be read: {error}"))
    }
}
