//! `holdfast drift`: recent predictions against what the champion was trained on.

use clap::{Args, Subcommand};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::Context;
use crate::failure::{Failure, Result};
use crate::output::{self, cell, moment, optional};
use crate::rest::{DriftCheck, DriftReport};

const EXAMPLES: &str = "\
Examples:
  holdfast drift                                  check the last window, of the length in the settings
  holdfast drift check --last 1h --retrain        and ask for a training run if the verdict is drift
  holdfast drift check --from 2026-03-01T00:00Z --to 2026-03-02T00:00Z
  holdfast drift list
  holdfast drift show 0195…                       a stored report, feature by feature
  holdfast drift retrain 0195…                    train on the window of a stored report";

/// What `drift` takes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct DriftArgs {
    #[command(subcommand)]
    command: Option<DriftCommand>,
    #[command(flatten)]
    check: CheckArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum DriftCommand {
    /// Compare a window of predictions with the champion's reference
    #[command(after_help = EXAMPLES)]
    Check(CheckArgs),
    /// Stored reports, newest first
    List,
    /// A stored report
    Show {
        /// Its id
        report: String,
    },
    /// Train on the labelled rows of a report's window
    Retrain {
        /// Its id
        report: String,
    },
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// Begin of the window, as 2026-03-01T00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// End of the window; without it, now
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// The window ends now and is this long: 30m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, conflicts_with_all = ["from", "to"])]
    last: Option<SignedDuration>,
    /// Ask for a training run if the verdict is drift
    #[arg(long)]
    retrain: bool,
}

/// Runs the command.
pub(crate) async fn run(args: DriftArgs, context: &Context) -> Result<()> {
    match args.command {
        None => check(args.check, context).await,
        Some(DriftCommand::Check(args)) => check(args, context).await,
        Some(DriftCommand::List) => list(context).await,
        Some(DriftCommand::Show { report }) => show(&report, context).await,
        Some(DriftCommand::Retrain { report }) => retrain(&report, context).await,
    }
}

async fn check(args: CheckArgs, context: &Context) -> Result<()> {
    let request = request(&args, Timestamp::now())?;
    // A window is read from the blob store: the latest predictions are still in the replica's spool. Without inference the rest can be checked.
    if let Err(failure) = context.rest.post("api/v1/prediction-log/flush", &json!({})).await {
        let failure = failure.while_doing("the latest predictions may be missing, the prediction log was not flushed");
        output::note(failure.render().trim_end());
    }
    let answer = context.rest.post("api/v1/drift/checks", &request).await?;
    let check: DriftCheck = context.rest.typed(answer.clone())?;
    context.output.emit(&answer, || {
        let mut text = report_text(&check.report);
        match (&check.run_id, &check.retrain_skipped) {
            (Some(run), _) if !run.is_empty() => text.push_str(&format!("\ntraining run {run} was asked for")),
            (_, Some(why)) if !why.is_empty() => text.push_str(&format!("\nno training run was asked for: {why}")),
            _ => {}
        }
        text
    })
}

fn request(args: &CheckArgs, now: Timestamp) -> Result<Value> {
    let window = match (args.last, args.from, args.to) {
        (Some(length), ..) => Some((now - length, now)),
        (None, Some(from), to) => Some((from, to.unwrap_or(now))),
        (None, None, Some(_)) => return Err(Failure::usage("--to needs --from")),
        (None, None, None) => None,
    };
    let mut request = Map::from_iter([("retrain".to_owned(), json!(args.retrain))]);
    if let Some((from, to)) = window {
        if from >= to {
            return Err(Failure::usage(format!(
                "the window is empty: {from} is not before {to}"
            )));
        }
        request.insert("from".to_owned(), json!(from));
        request.insert("to".to_owned(), json!(to));
    }
    Ok(Value::Object(request))
}

async fn list(context: &Context) -> Result<()> {
    let answer = context.rest.get("api/v1/drift/reports", &[]).await?;
    context.output.emit(&answer, || {
        let mut table = output::table(["report", "verdict", "rows", "with outcome", "drift share", "from", "to"]);
        for report in answer.get("reports").and_then(Value::as_array).into_iter().flatten() {
            let part = |path: &str| report.pointer(path).map_or_else(|| "-".to_owned(), cell);
            let window = ["/window/from", "/window/to"].map(|path| moment(&part(path)));
            table.add_row(
                ["/report_id", "/verdict", "/rows", "/labelled_rows", "/drift_share"]
                    .map(part)
                    .into_iter()
                    .chain(window),
            );
        }
        table.to_string()
    })
}

async fn show(id: &str, context: &Context) -> Result<()> {
    let answer = context.rest.get(&format!("api/v1/drift/reports/{id}"), &[]).await?;
    let report: DriftReport = context.rest.typed(answer.clone())?;
    context.output.emit(&answer, || report_text(&report))
}

async fn retrain(id: &str, context: &Context) -> Result<()> {
    let answer = context
        .rest
        .post(&format!("api/v1/drift/reports/{id}/retrain"), &json!({}))
        .await?;
    context.output.emit(&answer, || {
        let part = |key: &str| answer.get(key).map_or_else(|| "-".to_owned(), cell);
        format!(
            "training run {} was asked for, with {} labelled rows of the window",
            part("run_id"),
            part("labelled_rows")
        )
    })
}

fn report_text(report: &DriftReport) -> String {
    let mut table = output::table(["feature", "drifted", "effect", "adjusted p", "statistic", "method"]);
    for feature in &report.features {
        let drifted = if feature.drifted { "yes" } else { "no" };
        let numbers = [feature.effect_size, feature.adjusted_p_value, feature.statistic].map(optional);
        table.add_row([
            &feature.feature,
            drifted,
            &numbers[0],
            &numbers[1],
            &numbers[2],
            &feature.method,
        ]);
    }
    let summary = report.summary.clone().filter(|summary| !summary.is_empty());
    let summary = summary.unwrap_or_else(|| {
        format!(
            "{} of {} predictions, drift share {}",
            report.verdict,
            report.rows,
            optional(report.drift_share)
        )
    });
    format!(
        "{table}\n{summary}\noutcomes known: {}; report {}",
        report.labelled_rows, report.report_id
    )
}

/// A length of time as people write it: `30m`, `1h 30m`, `7d`.
fn parse_duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{text:?} is not a duration such as 30m, 1h or 7d");
    let days = text
        .trim()
        .strip_suffix('d')
        .and_then(|days| days.trim().parse::<u32>().ok());
    let duration = match days {
        Some(days) => SignedDuration::from_hours(24 * i64::from(days)),
        None => text.parse().map_err(|_| wrong())?,
    };
    if duration > SignedDuration::ZERO {
        Ok(duration)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> CheckArgs {
        CheckArgs {
            from: None,
            to: None,
            last: None,
            retrain: false,
        }
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("1h").unwrap(), SignedDuration::from_hours(1));
        assert_eq!(parse_duration("1h 30m").unwrap(), SignedDuration::from_mins(90));
        assert_eq!(parse_duration("7d").unwrap(), SignedDuration::from_hours(168));
        for wrong in ["", "1", "soon", "-1h", "0s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn without_a_window_the_settings_decide() {
        assert_eq!(
            request(&args(), Timestamp::UNIX_EPOCH).unwrap(),
            json!({"retrain": false})
        );
    }

    #[test]
    fn a_window_by_its_length_ends_now() {
        let args = CheckArgs {
            last: Some(SignedDuration::from_hours(1)),
            retrain: true,
            ..args()
        };
        let expected = json!({"retrain": true, "from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"});
        assert_eq!(request(&args, time("2026-01-01T01:00:00Z")).unwrap(), expected);
    }

    #[test]
    fn a_window_that_ends_before_it_begins_is_wrong_usage() {
        let (from, to) = (Some(time("2026-01-02T00:00:00Z")), Some(time("2026-01-01T00:00:00Z")));
        assert!(
            request(&CheckArgs { from, to, ..args() }, Timestamp::UNIX_EPOCH)
                .unwrap_err()
                .usage
        );
        assert!(
            request(&CheckArgs { to, ..args() }, Timestamp::UNIX_EPOCH)
                .unwrap_err()
                .usage
        );
    }
}
