//! `holdfast outcomes import`: what customers did in the end.

use std::path::Path;

use clap::{Args, Subcommand};
use holdfast_domain::{Rule, Schema, Strictness, Violation};
use holdfast_sources::SourceSpec;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Context;
use crate::failure::{BadCell, Failure, Result};
use crate::progress::Work;
use crate::rest::Rest;

const EXAMPLES: &str = "\
A CSV file needs the columns CLIENTNUM and Attrition_Flag; event_time, with the time it became true, is optional, and other
columns are ignored. Parquet files and databases need the columns of config/schema.yaml.

Examples:
  holdfast outcomes import --source outcomes.csv
  holdfast outcomes import --source 'bank.db?table=customers' --json";

/// Outcomes in one request; the service's limit.
const BATCH: usize = 10_000;

/// Most bad cells that are listed.
const LISTED: usize = 100;

/// The column with the time an outcome became true.
const EVENT_TIME: &str = "event_time";

/// What customers did in the end.
#[derive(Debug, Subcommand)]
pub(crate) enum OutcomesCommand {
    /// Store outcomes, so that predictions can be judged and learnt from
    #[command(after_help = EXAMPLES)]
    Import(ImportArgs),
}

/// What `outcomes import` takes.
#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    /// A .csv or .parquet file, or an SQLite database such as bank.db?table=customers
    #[arg(long, value_name = "FILE_OR_URL")]
    source: String,
}

/// One outcome.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// CLIENTNUM
    pub(crate) key: i64,
    /// Whether the customer left.
    pub(crate) attrited: bool,
    /// When it became true; when it is stored, if nobody says.
    pub(crate) event_time: Option<Timestamp>,
}

/// Runs the command.
pub(crate) async fn run(command: OutcomesCommand, context: &Context) -> Result<()> {
    let OutcomesCommand::Import(args) = command;
    let outcomes = read(&args.source).await?;
    let recorded = post(&context.rest, &outcomes).await?;
    let left = outcomes.iter().filter(|outcome| outcome.attrited).count();
    let result = json!({"source": args.source, "recorded": recorded, "left": left});
    context.output.emit(&result, || {
        format!("{recorded} outcomes stored, {left} of them customers who left")
    })
}

/// Posts outcomes and answers how many were stored.
pub(crate) async fn post(rest: &Rest, outcomes: &[Outcome]) -> Result<u64> {
    let work = Work::bar(outcomes.len() as u64, "outcomes", "storing");
    let mut recorded = 0;
    for batch in outcomes.chunks(BATCH) {
        let entries: Vec<Value> = batch.iter().map(entry).collect();
        let answer = rest.post("api/v1/outcomes", &json!({ "outcomes": entries })).await?;
        recorded += answer.get("recorded").and_then(Value::as_u64).unwrap_or(0);
        work.advance(batch.len() as u64);
    }
    Ok(recorded)
}

fn entry(outcome: &Outcome) -> Value {
    match outcome.event_time {
        Some(at) => json!({"customer_key": outcome.key, "attrited": outcome.attrited, "event_time": at}),
        None => json!({"customer_key": outcome.key, "attrited": outcome.attrited}),
    }
}

async fn read(source: &str) -> Result<Vec<Outcome>> {
    let schema = Schema::embedded();
    let spec = SourceSpec::parse(source)?;
    if let SourceSpec::Csv { path } = &spec {
        let (path, name) = (path.clone(), spec.to_string());
        let rows = tokio::task::spawn_blocking(move || read_csv(&path, &name, schema)).await;
        return rows.map_err(|error| Failure::new(format!("reading was cut off: {error}")))?;
    }
    let customers = holdfast_sources::read(&spec, schema, Strictness::Training).await?;
    let outcomes = customers.iter().filter_map(|customer| {
        let (key, attrited) = (customer.key?.0, customer.label?);
        Some(Outcome {
            key,
            attrited,
            event_time: None,
        })
    });
    Ok(outcomes.collect())
}

fn read_csv(path: &Path, name: &str, schema: &Schema) -> Result<Vec<Outcome>> {
    let broken = |error: csv::Error| Failure::new(format!("{name}: {error}"));
    let file = std::fs::File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::new(format!("{name}: there is no such file")),
        _ => Failure::new(format!("{name}: the file cannot be read: {error}")),
    })?;
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(broken)?.clone();
    let place = |column: &str| {
        header
            .iter()
            .position(|name| name.trim_start_matches('\u{feff}') == column)
    };
    let (key_name, target_name) = (schema.key().name.as_str(), schema.target().name.as_str());
    let (Some(key), Some(target)) = (place(key_name), place(target_name)) else {
        return Err(Failure::new(format!(
            "{name}: the columns {key_name} and {target_name} are needed"
        )));
    };
    let time = place(EVENT_TIME);
    let (mut outcomes, mut bad, mut more) = (Vec::new(), Vec::new(), 0_u64);
    for (number, row) in reader.records().enumerate() {
        let row = row.map_err(broken)?;
        let text = |place: usize| row.get(place).unwrap_or_default().trim();
        match outcome(text(key), text(target), time.map(text), schema) {
            Ok(outcome) => outcomes.push(outcome),
            Err(violation) if bad.len() < LISTED => bad.push(Violation {
                row: Some(number as u64 + 1),
                ..violation
            }),
            Err(_) => more += 1,
        }
    }
    if bad.is_empty() {
        return Ok(outcomes);
    }
    let total = bad.len() as u64 + more;
    let failure =
        Failure::new(format!("{name} has {total} bad cells")).hint("correct them and import again; nothing was stored");
    Err(Failure {
        violations: bad.iter().map(BadCell::from).collect(),
        more,
        ..failure
    })
}

fn outcome(key: &str, target: &str, time: Option<&str>, schema: &Schema) -> Result<Outcome, Violation> {
    let wrong = |column: &str, rule, message: String| Violation::new(column, rule, message);
    let column = &schema.key().name;
    let key = key.parse().map_err(|_| {
        wrong(
            column,
            Rule::Key,
            format!("{column} is {key:?}, and must be a whole number"),
        )
    })?;
    let column = &schema.target().name;
    let label = [true, false]
        .into_iter()
        .find(|label| schema.label_text(*label) == target);
    let attrited = label.ok_or_else(|| {
        let allowed = [true, false].map(|label| format!("{:?}", schema.label_text(label)));
        wrong(
            column,
            Rule::Label,
            format!("{column} is {target:?}, and must be {}", allowed.join(" or ")),
        )
    })?;
    let event_time = match time.filter(|time| !time.is_empty()) {
        Some(time) => {
            let parsed = time.parse::<Timestamp>();
            let message = || format!("{EVENT_TIME} is {time:?}, and must be a time as 2026-03-01T12:00:00Z");
            Some(parsed.map_err(|_| wrong(EVENT_TIME, Rule::NotANumber, message()))?)
        }
        None => None,
    };
    Ok(Outcome {
        key,
        attrited,
        event_time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Outcome>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read_csv(file.path(), "outcomes.csv", Schema::embedded())
    }

    #[test]
    fn outcomes_need_two_columns_and_ignore_the_others() {
        let text = "x,Attrition_Flag,CLIENTNUM,event_time\n1,Attrited Customer,7,2026-01-01T00:00:00Z\n2,Existing Customer,8,\n";
        let first = Outcome {
            key: 7,
            attrited: true,
            event_time: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        };
        assert_eq!(
            read_text(text).unwrap(),
            [
                first,
                Outcome {
                    key: 8,
                    attrited: false,
                    event_time: None
                }
            ]
        );
    }

    #[test]
    fn bad_cells_are_named_by_row_and_column_all_at_once() {
        let failure =
            read_text("CLIENTNUM,Attrition_Flag\nseven,Attrited Customer\n8,Existing Customer\n9,maybe\n").unwrap_err();
        let places: Vec<_> = failure
            .violations
            .iter()
            .map(|cell| (cell.row.as_str(), cell.column.as_str(), cell.rule.as_str()))
            .collect();
        assert_eq!(places, [("1", "CLIENTNUM", "key"), ("3", "Attrition_Flag", "label")]);
    }

    #[test]
    fn a_file_without_the_columns_is_refused() {
        assert!(
            read_text("a,b\n1,2\n")
                .unwrap_err()
                .message
                .contains("CLIENTNUM and Attrition_Flag are needed")
        );
    }
}
