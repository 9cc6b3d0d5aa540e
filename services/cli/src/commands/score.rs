//! `holdfast score`: a whole table of customers into a CSV file, chunk by chunk, in the table's own order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use futures::StreamExt as _;
use holdfast_domain::{Customer, Schema, Strictness};
use holdfast_sources::{ChunkReader, SourceSpec};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Context;
use crate::failure::{BadCell, Failure, Result};
use crate::progress::Work;
use crate::record;
use crate::rest::{Predictions, Rest};

const EXAMPLES: &str = "\
The file has the columns CLIENTNUM, probability, label (1: expected to leave), version and reasons, one row a customer, in
the order of the source. It appears whole or not at all.

Examples:
  holdfast score --source customers.csv --out scores.csv
  holdfast score --source 'bank.db?table=customers' --out scores.csv --json";

/// Customers in one request.
const CHUNK_ROWS: usize = 500;

/// Requests under way at once: enough to keep both sides busy, few enough to leave the memory small.
const CHUNKS_AT_ONCE: usize = 3;

/// The columns of the file.
const COLUMNS: [&str; 5] = ["CLIENTNUM", "probability", "label", "version", "reasons"];

/// What `score` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    /// Customers to score: a .csv or .parquet file, or an SQLite database such as bank.db?table=customers
    #[arg(long, value_name = "FILE_OR_URL")]
    source: String,
    /// The CSV file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Default)]
struct Totals {
    rows: u64,
    expected_to_leave: u64,
    versions: BTreeSet<u32>,
}

/// Runs the command.
pub(crate) async fn run(args: ScoreArgs, context: &Context) -> Result<()> {
    let started = std::time::Instant::now();
    let spec = SourceSpec::parse(&args.source)?;
    let mut out = Unfinished::create(&args.out).await?;
    let totals = score(&spec, &mut out, &context.rest).await?;
    out.finish().await?;
    let result = json!({
        "out": args.out,
        "rows": totals.rows,
        "expected_to_leave": totals.expected_to_leave,
        "versions": totals.versions,
        "seconds": started.elapsed().as_secs_f64(),
    });
    context.output.emit(&result, || {
        let versions: Vec<String> = totals.versions.iter().map(u32::to_string).collect();
        let (rows, leaving) = (totals.rows, totals.expected_to_leave);
        format!(
            "{rows} customers scored by version {}, {leaving} expected to leave: {}",
            versions.join(" and "),
            args.out.display()
        )
    })
}

async fn score(spec: &SourceSpec, out: &mut Unfinished, rest: &Rest) -> Result<Totals> {
    let schema = Schema::embedded();
    let work = match rows_expected(spec).await {
        Some(rows) => Work::bar(rows, "customers", "scoring"),
        None => Work::counter("customers", "scoring"),
    };
    let reader = ChunkReader::open(spec, schema, Strictness::Serving, CHUNK_ROWS).await?;
    let chunks = futures::stream::try_unfold((reader, 0_u64), |(mut reader, before)| async move {
        let chunk = reader.next_chunk().await?;
        let after = reader.rows_read();
        Ok::<_, Failure>(chunk.map(|chunk| ((chunk, before), (reader, after))))
    });
    let answers = chunks.map(|chunk| async {
        let (chunk, before) = chunk?;
        let answer = predict(rest, &chunk, before, schema).await?;
        Ok::<_, Failure>((chunk, answer))
    });
    // `buffered` gives the answers in the order of the chunks.
    let mut answers = std::pin::pin!(answers.buffered(CHUNKS_AT_ONCE));
    let mut totals = Totals::default();
    out.write(&csv_row(COLUMNS.map(str::to_owned))?).await?;
    while let Some(answer) = answers.next().await {
        let (chunk, answer) = answer?;
        out.write(&csv_rows(&chunk, &answer)?).await?;
        totals.rows += chunk.len() as u64;
        totals.expected_to_leave += answer.predictions.iter().filter(|prediction| prediction.label).count() as u64;
        totals.versions.insert(answer.version);
        work.advance(chunk.len() as u64);
    }
    Ok(totals)
}

async fn predict(rest: &Rest, customers: &[Customer], rows_before: u64, schema: &Schema) -> Result<Predictions> {
    let body = json!({"records": record::records(customers, schema), "explain": true});
    let answer: Value = rest.post("api/v1/predictions", &body).await.map_err(|mut failure| {
        // The service counts within the request; the file's rows are what the caller knows.
        for BadCell { row, .. } in &mut failure.violations {
            if let Ok(number) = row.parse::<u64>() {
                *row = (rows_before + number).to_string();
            }
        }
        failure
    })?;
    let answer: Predictions = rest.typed(answer)?;
    if answer.predictions.len() != customers.len() {
        return Err(Failure::new(format!(
            "{} customers were sent and {} scores came back",
            customers.len(),
            answer.predictions.len()
        )));
    }
    Ok(answer)
}

fn csv_rows(customers: &[Customer], answer: &Predictions) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(customers.len() * 200);
    for (customer, prediction) in customers.iter().zip(&answer.predictions) {
        let reasons: Vec<&str> = prediction.reasons.iter().map(|reason| reason.text.as_str()).collect();
        bytes.extend(csv_row([
            customer.key.map(|key| key.0.to_string()).unwrap_or_default(),
            prediction.probability.to_string(),
            u8::from(prediction.label).to_string(),
            answer.version.to_string(),
            reasons.join("; "),
        ])?);
    }
    Ok(bytes)
}

fn csv_row(cells: [String; 5]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(cells)
        .map_err(|error| Failure::new(format!("a row cannot be written as CSV: {error}")))?;
    writer
        .into_inner()
        .map_err(|error| Failure::new(format!("a row cannot be written as CSV: {error}")))
}

/// How many rows a CSV file has, by its line ends: near enough for a bar. Other sources do not say.
async fn rows_expected(spec: &SourceSpec) -> Option<u64> {
    let SourceSpec::Csv { path } = spec else { return None };
    if !tokio::fs::metadata(path).await.ok()?.is_file() {
        return None;
    }
    let mut file = tokio::fs::File::open(path).await.ok()?;
    let mut buffer = vec![0; 256 << 10];
    let mut lines = 0_u64;
    loop {
        match file.read(&mut buffer).await.ok()? {
            0 => return Some(lines.saturating_sub(1)),
            read => lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

/// A file that grows beside its place and moves there when it is whole; dropped before that, it is removed.
struct Unfinished {
    target: PathBuf,
    partial: Option<PathBuf>,
    file: tokio::io::BufWriter<tokio::fs::File>,
}

impl Unfinished {
    async fn create(target: &Path) -> Result<Self> {
        let mut name = target
            .file_name()
            .map(ToOwned::to_owned)
            .ok_or_else(|| Failure::usage("--out names no file"))?;
        name.push(format!(".{}.partial", std::process::id()));
        let partial = target.with_file_name(name);
        let file = tokio::fs::File::create(&partial)
            .await
            .map_err(|error| unwritable(target, &error))?;
        Ok(Self {
            target: target.to_owned(),
            partial: Some(partial),
            file: tokio::io::BufWriter::new(file),
        })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .await
            .map_err(|error| unwritable(&self.target, &error))
    }

    async fn finish(mut self) -> Result<()> {
        let finished = async {
            self.file.flush().await?;
            self.file.get_ref().sync_all().await?;
            if let Some(partial) = &self.partial {
                tokio::fs::rename(partial, &self.target).await?;
            }
            Ok(())
        };
        finished.await.map_err(|error| unwritable(&self.target, &error))?;
        self.partial = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(partial) = &self.partial {
            // If it cannot be removed, the failure that led here is the one to hear of.
            let _ = std::fs::remove_file(partial);
        }
    }
}

fn unwritable(target: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be written: {error}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("scores.csv");
        let mut dropped = Unfinished::create(&target).await.unwrap();
        dropped.write(b"half").await.unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);

        let mut finished = Unfinished::create(&target).await.unwrap();
        finished.write(b"whole").await.unwrap();
        assert!(!target.exists());
        finished.finish().await.unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
