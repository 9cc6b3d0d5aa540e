//! `holdfast score`: a whole table of customers into a CSV file, chunk by chunk, in the table's own order.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use futures::StreamExt as _;
use holdfast_domain::{Customer, Schema, Strictness};
use holdfast_sources::{ChunkReader, SourceSpec};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::Context;
use crate::failure::{BadCell, Failure, Result};
use crate::progress::Work;
use crate::record;
use crate::rest::{Predictions, Rest};
use crate::unfinished::Unfinished;

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
