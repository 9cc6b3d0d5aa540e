//! `holdfast score`: a whole table of customers, scored on this machine by one version of the model.
//!
//! [`artifact`] gets the model, [`pipeline`] scores the table into the parts of a work directory ([`workdir`]), [`table`] and [`calls`] make one
//! file of the parts, [`place`] brings it where it is wanted. [`plan`] is what two runs must share for one to go on where the other ended.

mod artifact;
mod calls;
mod pipeline;
mod place;
mod plan;
mod table;
mod workdir;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use holdfast_sources::SourceSpec;
use holdfast_storage::S3Settings;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::Context;
use crate::failure::{Failure, Result};
use crate::progress::{self, Work};
use crate::settings;
use artifact::{ModelArgs, Scorer};
use calls::CallRule;
use place::{Place, TableFormat};
use plan::{CHUNK_ROWS, OnBadRow, Options, Plan, SourceIdentity};
use workdir::{PartFacts, Piece, WorkDirectory};

const EXAMPLES: &str = "\
The table is scored on this machine, on all cores and in bounded memory, by an artefact that is fetched from the running stack
(or named with --model-file, which needs none). These scores are no predictions of the prediction log: drift is not measured on
them. The result has the columns CLIENTNUM, probability, label (expected to leave), version and reasons, one row a customer, in
the order of the source. It appears whole or not at all. While it grows, its parts lie in OUT.part: a run that was interrupted and is
started again goes on there, and the result is the same byte for byte.

S3 is reached by the settings blob_store.s3.* (endpoint, region, path style) and the usual credentials.

Examples:
  holdfast score --source customers.csv --out scores.csv
  holdfast score --source 'bank.db?table=customers' --out scores.parquet --reasons 5 --json
  holdfast score --source s3://bank/customers.parquet --out s3://bank/scores.parquet
  holdfast score --source customers.parquet --out scores.parquet --reasons 0 --call-list calls.csv --top 200
  holdfast score --source customers.csv --out scores.csv --on-bad-row skip
  holdfast score --model-file model.hfm --source customers.parquet --out scores.parquet";

/// The columns of the file of bad rows.
const REFUSED_COLUMNS: &[u8] = b"row,CLIENTNUM,column,rule,what is wrong\n";

/// What `score` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ScoreArgs {
    /// Customers to score: a .csv or .parquet file, here or in S3 (s3://bucket/key.parquet), or an SQLite database such as
    /// bank.db?table=customers
    #[arg(long, value_name = "FILE_OR_URL")]
    source: String,
    /// What to write: a .csv or .parquet file, here or in S3; one of this name is replaced
    #[arg(long, value_name = "FILE_OR_URL")]
    out: String,
    #[command(flatten)]
    model: ModelArgs,
    /// Reasons a customer, 0 to 19; without any, scoring is many times faster
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=19))]
    reasons: u8,
    /// What to do with a row that breaks a rule: end and write nothing, or leave it out
    #[arg(long, value_enum, default_value_t = OnBadRow::Fail, value_name = "WHAT")]
    on_bad_row: OnBadRow,
    /// Where rows that are left out go, as CSV with the rules they break [default: OUT.refused.csv]
    #[arg(long, value_name = "FILE.csv")]
    bad_rows: Option<String>,
    /// Whom to call: a CSV file of the customers whom the version's threshold labels, most likely to leave first, with reasons
    #[arg(long, value_name = "FILE.csv")]
    call_list: Option<String>,
    /// Only the first N of the call list
    #[arg(long, value_name = "N", requires = "call_list", value_parser = clap::value_parser!(u64).range(1..))]
    top: Option<u64>,
    /// N customers on the call list, the most likely to leave, whether labelled or not
    #[arg(long, value_name = "N", requires = "call_list", conflicts_with = "top", value_parser = clap::value_parser!(u64).range(1..))]
    capacity: Option<u64>,
    /// Threads that score, 1 to 256; the result does not depend on them [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Throw away what an interrupted run has left, and begin anew
    #[arg(long)]
    restart: bool,
    /// Rows of a part, a multiple of 4096: what an interruption costs at most, and a row group of a Parquet result
    #[arg(long, value_name = "N", default_value_t = 131_072, value_parser = part_rows)]
    part_rows: u64,
    /// Where the parts lie while the result grows [default: OUT.part; for a result in S3, in the working directory]
    #[arg(long, value_name = "DIR")]
    work_dir: Option<PathBuf>,
}

/// Where the results go.
struct Places {
    table: Place,
    format: TableFormat,
    refused: Option<Place>,
    calls: Option<(Place, CallRule)>,
}

/// Runs the command.
pub(crate) async fn run(args: ScoreArgs, context: &Context) -> Result<()> {
    let started = Instant::now();
    let spec = SourceSpec::parse(&args.source)?;
    let places = places(&args)?;
    let s3 = s3_settings(&spec, &places)?;
    let source = SourceIdentity::of(&spec, &s3).await?;
    let scorer = {
        let _work = Work::spinner("fetching the model");
        Arc::new(args.model.load(&context.rest).await?)
    };
    let rule = places.calls.as_ref().map(|(_, rule)| *rule);
    let options = Options {
        reasons: args.reasons.into(),
        on_bad_row: args.on_bad_row,
        table: places.format,
        calls: rule,
        part_rows: args.part_rows,
    };
    let plan = Plan::new(source, &scorer, options);
    let path = args.work_dir.clone().unwrap_or_else(|| places.table.work_directory());
    let mut directory = WorkDirectory::open(&path, &plan, args.restart)?;
    let resumed = rows_read(directory.parts());
    if resumed > 0 {
        progress::line(format!("going on behind row {resumed}, where an earlier run ended"));
    }

    let threads = args.threads.map_or_else(cores, usize::from);
    let job = Job {
        spec: &spec,
        s3: &s3,
        plan: &plan,
        scorer: &scorer,
        places: &places,
    };
    let scored = tokio::select! {
        scored = job.score(&mut directory, threads) => scored,
        _ = tokio::signal::ctrl_c() => Err(Failure::new("interrupted")),
    };
    let called = match scored {
        Ok(called) => called,
        Err(failure) => return Err(job.given_up(failure, directory).await),
    };
    let parts = directory.parts().to_vec();
    if let Err(error) = directory.remove() {
        progress::line(format!("{} cannot be removed: {error}", path.display()));
    }
    report(context, &job, &parts, called, (resumed, started))
}

/// What is to be done, once everything is known.
struct Job<'a> {
    spec: &'a SourceSpec,
    s3: &'a S3Settings,
    plan: &'a Plan,
    scorer: &'a Arc<Scorer>,
    places: &'a Places,
}

impl Job<'_> {
    /// Scores what is left, makes the results of the parts and brings them into their places. Answers how many are on the call list.
    async fn score(&self, directory: &mut WorkDirectory, threads: usize) -> Result<Option<u64>> {
        if !directory.is_complete() {
            let local = self.local_source(directory).await?;
            let name = self.spec.to_string();
            let written = pipeline::run((&local, &name), self.plan, self.scorer, directory, threads).await?;
            written.map_err(|error| self.places.table.unwritable(&error))?;
            let now = SourceIdentity::of(self.spec, self.s3).await?;
            if now != *self.plan.source() {
                let failure = Failure::new(format!("{name} was changed while it was scored; nothing is written"));
                return Err(failure.hint("score it again when nobody writes to it"));
            }
            directory.refresh()?;
        }
        self.publish(directory).await
    }

    /// What is to be said of a run that failed. Parts that another run can go on with are kept; others go.
    async fn given_up(&self, failure: Failure, mut directory: WorkDirectory) -> Failure {
        let some_done = directory.refresh().is_ok() && !directory.parts().is_empty();
        // A source that cannot be looked at may be the same when it can be again.
        let is_changed = SourceIdentity::of(self.spec, self.s3)
            .await
            .is_ok_and(|now| now != *self.plan.source());
        if !some_done || is_changed || !failure.violations.is_empty() {
            // What is left of it is in nobody's way.
            let _ = directory.remove();
            return failure;
        }
        if failure.hint.is_some() {
            return failure;
        }
        let kept = directory.path().display();
        let hint = format!("what is done is kept in {kept}: run the same command again to go on");
        failure.hint(hint)
    }

    /// The source as a file of this machine.
    async fn local_source(&self, directory: &WorkDirectory) -> Result<SourceSpec> {
        let SourceSpec::S3(object) = self.spec else {
            return Ok(self.spec.clone());
        };
        let path = directory.file("source");
        // It is whole when it is there, and the plan says that it is the same object.
        if !path.exists() {
            let _work = Work::spinner(format!("fetching {object}"));
            holdfast_sources::fetch(object, self.s3, &path).await?;
        }
        Ok(object.local(&path))
    }

    /// The table comes last: when it is there, everything is.
    async fn publish(&self, directory: &WorkDirectory) -> Result<Option<u64>> {
        let _work = Work::spinner(format!("writing {}", self.places.table));
        let pieces = |piece: Piece| -> Vec<PathBuf> {
            (0..directory.parts().len())
                .map(|part| directory.piece(part, piece))
                .collect()
        };
        if let Some(place) = &self.places.refused {
            let (parts, target) = (pieces(Piece::Refused), directory.file("refused"));
            let made = target.clone();
            aside(place, move || table::join_csv(REFUSED_COLUMNS, &parts, &target)).await?;
            place.publish(&made, self.s3).await?;
        }
        let mut called = None;
        if let Some((place, rule)) = &self.places.calls {
            let (parts, rule, target) = (pieces(Piece::Calls), *rule, directory.file("calls"));
            let (made, scratch) = (target.clone(), directory.path().to_owned());
            let threshold = *self.scorer.model.threshold_policy();
            let write = move || calls::write_list(parts, rule, &threshold, &scratch, &target);
            called = Some(aside(place, write).await?);
            place.publish(&made, self.s3).await?;
        }
        let facts = table::TableFacts {
            model: self.scorer.name.clone(),
            version: self.scorer.version,
            artifact_digest: self.scorer.digest.to_string(),
            threshold: self.scorer.model.threshold(),
            source: self.spec.to_string(),
            part_rows: self.plan.part_rows,
        };
        let (parts, format, target) = (pieces(Piece::Table), self.places.format, directory.file("table"));
        let made = target.clone();
        aside(&self.places.table, move || table::join(&parts, format, &facts, &target)).await?;
        self.places.table.publish(&made, self.s3).await?;
        Ok(called)
    }
}

/// Runs what writes files where it holds up nobody.
async fn aside<T: Send + 'static>(
    place: &Place,
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| place.unwritable(&error))
}

fn part_rows(text: &str) -> std::result::Result<u64, String> {
    let chunk = CHUNK_ROWS as u64;
    match text.parse::<u64>() {
        Ok(rows) if rows > 0 && rows <= 1_024 * chunk && rows % chunk == 0 => Ok(rows),
        _ => Err(format!("must be a multiple of {chunk}, at most {}", 1_024 * chunk)),
    }
}

fn places(args: &ScoreArgs) -> Result<Places> {
    let csv_only = |flag: &str, text: &str| match Place::parse(flag, text)? {
        (place, TableFormat::Csv) => Ok(place),
        _ => Err(Failure::usage(format!("{flag} {text:?} must end in .csv"))),
    };
    let (table, format) = Place::parse("--out", &args.out)?;
    let refused = match (args.on_bad_row, &args.bad_rows) {
        (OnBadRow::Skip, Some(text)) => Some(csv_only("--bad-rows", text)?),
        (OnBadRow::Skip, None) => Some(table.beside(".refused.csv")),
        (OnBadRow::Fail, Some(_)) => return Err(Failure::usage("--bad-rows needs --on-bad-row skip")),
        (OnBadRow::Fail, None) => None,
    };
    let rule = match (args.top, args.capacity) {
        (Some(top), _) => CallRule::Top(top),
        (None, Some(capacity)) => CallRule::Capacity(capacity),
        (None, None) => CallRule::Labelled,
    };
    let calls = args
        .call_list
        .as_deref()
        .map(|text| csv_only("--call-list", text))
        .transpose()?;
    Ok(Places {
        table,
        format,
        refused,
        calls: calls.map(|place| (place, rule)),
    })
}

/// The settings of S3, read only when something lies there: everything else works without any.
fn s3_settings(spec: &SourceSpec, places: &Places) -> Result<S3Settings> {
    let calls = places.calls.as_ref().map(|(place, _)| place);
    let mut written = [Some(&places.table), places.refused.as_ref(), calls]
        .into_iter()
        .flatten();
    if matches!(spec, SourceSpec::S3(_)) || written.any(Place::is_s3) {
        return Ok(settings::common(None, None)?.blob_store.s3);
    }
    Ok(S3Settings::default())
}

fn rows_read(parts: &[PartFacts]) -> u64 {
    parts.iter().map(|part| part.rows_read).sum()
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn report(
    context: &Context,
    job: &Job<'_>,
    parts: &[PartFacts],
    called: Option<u64>,
    (resumed, started): (u64, Instant),
) -> Result<()> {
    let sum = |of: fn(&PartFacts) -> u64| parts.iter().map(of).sum::<u64>();
    let (rows, leaving, refused) = (
        sum(|part| part.rows),
        sum(|part| part.expected_to_leave),
        sum(|part| part.refused),
    );
    let seconds = started.elapsed().as_secs_f64();
    let (scorer, places) = (job.scorer, job.places);
    let text = |place: &Place| place.to_string();
    let calls = places.calls.as_ref().map(|(place, _)| text(place));
    let bad_rows = places.refused.as_ref().map(text);
    let result = json!({
        "out": places.table.to_string(),
        "rows": rows,
        "expected_to_leave": leaving,
        "refused_rows": refused,
        "bad_rows": bad_rows,
        "call_list": calls,
        "called": called,
        "model": scorer.name,
        "versions": scorer.version.into_iter().collect::<Vec<_>>(),
        "artifact_digest": scorer.digest.to_string(),
        "threshold": scorer.model.threshold(),
        "resumed_rows": resumed,
        "seconds": seconds,
        "rows_per_second": (rows_read(parts) - resumed) as f64 / seconds,
    });
    context.output.emit(&result, || {
        let by = scorer
            .version
            .map_or_else(|| "the artefact".to_owned(), |version| format!("version {version}"));
        let mut lines = format!(
            "{rows} customers scored by {by}, {leaving} expected to leave: {}",
            places.table
        );
        if let (Some(calls), Some(called)) = (calls, called) {
            lines.push_str(&format!("\n{called} customers to call: {calls}"));
        }
        if let Some(bad_rows) = bad_rows.filter(|_| refused > 0) {
            lines.push_str(&format!("\n{refused} rows were left out: {bad_rows}"));
        }
        lines
    })
}

/// How many rows a CSV file has, by its line ends: near enough for a bar. Other sources do not say.
async fn rows_of_csv(spec: &SourceSpec) -> Option<u64> {
    let SourceSpec::Csv { path } = spec else { return None };
    let lines = count_lines(path).await.ok()?;
    Some(lines.saturating_sub(1))
}

async fn count_lines(path: &Path) -> std::io::Result<u64> {
    let mut file = tokio::fs::File::open(path).await?;
    let mut buffer = vec![0; 256 << 10];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer).await? {
            0 => return Ok(lines),
            read => lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}
