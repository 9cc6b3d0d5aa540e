//! Rows of the database as runs, steps and events. What breaks its own rules is an error, never a default.

use holdfast_domain::{Digest, RunId};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::FORMAT_VERSION;
use crate::error::{Error, Result};
use crate::service::runs::{Run, RunEvent, State, Step, StepName};

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::Corrupt(what.to_string())
}

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(corrupt)
}

fn from_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| corrupt(format!("{what}: {error}")))
}

pub(super) fn run_id(text: &str) -> Result<RunId> {
    RunId::parse(text).map_err(corrupt)
}

pub(super) fn sequence(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| corrupt("a negative sequence number"))
}

fn time(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros).map_err(|_| corrupt("a time out of range"))
}

fn optional_time(row: &SqliteRow, column: &str) -> Result<Option<Timestamp>> {
    row.try_get::<Option<i64>, _>(column)?.map(time).transpose()
}

fn digest(row: &SqliteRow, column: &str) -> Result<Option<Digest>> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(corrupt)).transpose()
}

fn state(text: &str) -> Result<State> {
    State::from_name(text).ok_or_else(|| corrupt(format!("state {text:?}")))
}

fn step_name(text: &str) -> Result<StepName> {
    StepName::from_name(text).ok_or_else(|| corrupt(format!("step {text:?}")))
}

pub(super) fn run(row: &SqliteRow, steps: &[SqliteRow]) -> Result<Run> {
    let version: i64 = row.try_get("format_version")?;
    if version != FORMAT_VERSION {
        return Err(corrupt(format!(
            "a run of format version {version}, this program reads {FORMAT_VERSION}"
        )));
    }
    let result: Option<String> = row.try_get("result")?;
    Ok(Run {
        id: run_id(row.try_get("run_id")?)?,
        request: from_json("request", row.try_get("request")?)?,
        state: state(row.try_get("state")?)?,
        steps: steps.iter().map(step).collect::<Result<_>>()?,
        created_at: time(row.try_get("created_at_us")?)?,
        ended_at: optional_time(row, "ended_at_us")?,
        result: result.map(|text| from_json("result", &text)).transpose()?,
        error: row.try_get("error")?,
        violations: from_json("violations", row.try_get("violations")?)?,
        training_snapshot: digest(row, "training_snapshot")?,
        test_snapshot: digest(row, "test_snapshot")?,
        last_sequence: sequence(row.try_get("last_sequence")?)?,
    })
}

fn step(row: &SqliteRow) -> Result<Step> {
    Ok(Step {
        name: step_name(row.try_get("name")?)?,
        state: state(row.try_get("state")?)?,
        started_at: optional_time(row, "started_at_us")?,
        ended_at: optional_time(row, "ended_at_us")?,
        message: row.try_get("message")?,
        progress: row.try_get("progress")?,
    })
}

pub(super) fn event(row: &SqliteRow) -> Result<RunEvent> {
    let trial: Option<String> = row.try_get("trial")?;
    Ok(RunEvent {
        sequence: sequence(row.try_get("sequence")?)?,
        at: time(row.try_get("at_us")?)?,
        step: step_name(row.try_get("step")?)?,
        state: state(row.try_get("state")?)?,
        progress: row.try_get("progress")?,
        message: row.try_get("message")?,
        trial: trial.map(|text| from_json("trial", &text)).transpose()?,
    })
}
