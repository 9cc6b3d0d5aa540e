//! `holdfast log verify`: is the log what the replicas wrote, and do its records name what was champion?

use holdfast_domain::Schema;
use holdfast_records::prediction::{AuditReport, verify_log};

use super::LogArgs;
use crate::commands::Context;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Work;

pub(super) const EXAMPLES: &str = "\
It reads the objects under predictions/ in the blob store and needs no running stack. Of each object: name, checksum, format, hours,
numbers per replica; of each record: score, label, and that it is there once and names the champion of its generation; of each version:
that it is there and is the artefact that was made champion. --from and --to choose whole hours.

Examples:
  holdfast log verify                                  the blob store of the settings
  holdfast log verify --data-dir /var/lib/holdfast --from 2026-03-01T00:00:00Z
  holdfast log verify --blob-store s3://bank/holdfast --json";

/// Faults shown to people; --json has more.
const SHOWN_FAULTS: usize = 20;

/// Runs the command.
pub(super) async fn run(args: LogArgs, context: &Context) -> Result<()> {
    let store = args.store.open().await?;
    let report = {
        let mut work: Option<Work> = None;
        let mut before = 0;
        let progress = |objects: usize, done: usize| {
            let work = work.get_or_insert_with(|| Work::bar(objects as u64, "objects", "checking the prediction log"));
            work.advance((done - before) as u64);
            before = done;
        };
        verify_log(&store, Schema::embedded(), (args.from, args.to), progress).await?
    };
    context.output.emit(&report, || people(&report, &store.describe()))?;
    let faults = report.faults.len() as u64 + report.more_faults;
    if faults == 0 {
        return Ok(());
    }
    Err(Failure::new(format!("the prediction log has {faults} faults"))
        .hint("compare the objects named with a backup, and with the replicas' spools, before they are relied on"))
}

fn people(report: &AuditReport, store: &str) -> String {
    let mut replicas = output::table(["replica", "objects", "numbers", "left out by restarts"]);
    for replica in &report.replicas {
        replicas.add_row([
            replica.replica.clone(),
            replica.objects.to_string(),
            format!("{} to {}", replica.first_sequence, replica.last_sequence),
            replica.restart_gaps.to_string(),
        ]);
    }
    let mut versions = output::table(["model", "version", "records"]);
    for version in &report.versions {
        versions.add_row([
            version.model.clone(),
            version.version.to_string(),
            version.rows.to_string(),
        ]);
    }
    let span = match (report.first_event, report.last_event) {
        (Some(first), Some(last)) => format!(", {first} to {last}"),
        _ => String::new(),
    };
    let mut text = format!(
        "{} objects, {} records ({} of them repeats){span}: {store}\n{replicas}\n{versions}\n",
        report.objects, report.rows, report.repeats
    );
    if report.faults.is_empty() {
        text.push_str("nothing is wrong");
        return text;
    }
    let mut faults = output::table(["object", "row", "fault", "what is wrong"]);
    for fault in report.faults.iter().take(SHOWN_FAULTS) {
        let kind = serde_json::to_value(fault.kind).unwrap_or_default();
        let row = fault.row.map(|row| row.to_string()).unwrap_or_default();
        faults.add_row([fault.object.clone(), row, output::cell(&kind), fault.detail.clone()]);
    }
    text.push_str(&faults.to_string());
    let hidden = report.more_faults + report.faults.len().saturating_sub(SHOWN_FAULTS) as u64;
    if hidden > 0 {
        text.push_str(&format!("\nand {hidden} more"));
    }
    text
}
