//! Requests, runs and snapshots between the wire and the domain.

use std::collections::HashMap;

use holdfast_api::common::v1::TableViolation as WireViolation;
use holdfast_api::time;
use holdfast_api::training::v1 as wire;
use holdfast_domain::{Digest, ModelName, RunId};
use holdfast_records::snapshot::SnapshotManifest;
use jiff::Timestamp;

use crate::error::{BadField, Error, Result};
use crate::service::runs::{Input, Run, RunEvent, RunRequest, RunResult, State, Step, TableViolation, Trigger};
use crate::service::snapshots::TableFormat;
use crate::settings::{Settings, is_test_share};

const DEFAULT_PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

/// Longest free text in a request, in characters.
const MAX_TEXT_CHARS: usize = 500;

pub(super) fn digest_in(field: &'static str, text: &str) -> Result<Digest> {
    text.parse()
        .map_err(|_| Error::field(field, "digest", "must be 64 lower-case hexadecimal digits"))
}

pub(super) fn optional_digest(field: &'static str, text: &str) -> Result<Option<Digest>> {
    if text.is_empty() {
        Ok(None)
    } else {
        digest_in(field, text).map(Some)
    }
}

pub(super) fn model_name(text: &str) -> Result<ModelName> {
    ModelName::parse(text).map_err(|invalid| Error::field("model", "model_name", invalid.to_string()))
}

/// A text that is no run id names no run.
pub(super) fn run_id(text: &str) -> Result<RunId> {
    RunId::parse(text).map_err(|_| Error::NoSuchRun(text.chars().take(100).collect()))
}

pub(super) fn page_size(size: u32) -> Result<u32> {
    match size {
        0 => Ok(DEFAULT_PAGE),
        size if size <= LARGEST_PAGE => Ok(size),
        _ => Err(Error::field(
            "page_size",
            "above_maximum",
            "must be 0 (the default, 100) to 1,000",
        )),
    }
}

/// A page token is the position to go on from, as text.
pub(super) fn run_token(token: &str) -> Result<Option<i64>> {
    match token {
        "" => Ok(None),
        token => match token.parse() {
            Ok(position) => Ok(Some(position)),
            Err(_) => Err(Error::field(
                "page_token",
                "page_token",
                "must be a token of an earlier answer",
            )),
        },
    }
}

pub(super) fn format_in(format: wire::TableFormat) -> Result<TableFormat> {
    match format {
        wire::TableFormat::Csv => Ok(TableFormat::Csv),
        wire::TableFormat::Parquet => Ok(TableFormat::Parquet),
        wire::TableFormat::Unspecified => Err(Error::field("header.format", "required", "must be CSV or PARQUET")),
    }
}

/// What is asked for, with the settings in place of what is not said. All bad fields are named at once.
pub(super) fn run_request_in(request: wire::StartRunRequest, settings: &Settings) -> Result<RunRequest> {
    let mut bad = Vec::new();
    let mut take = |parsed: Result<Option<Digest>>| {
        parsed.unwrap_or_else(|error| {
            collect(error, &mut bad);
            None
        })
    };
    let table = take(optional_digest("snapshot", &request.snapshot));
    let test = take(optional_digest("test_snapshot", &request.test_snapshot));
    let window = take(optional_digest("window_snapshot", &request.window_snapshot));
    let mut wrong = |field, rule, description: &str| {
        bad.push(BadField {
            field,
            rule,
            description: description.to_owned(),
        });
    };
    let names_a_table = !request.snapshot.is_empty() || !request.test_snapshot.is_empty();
    if names_a_table && !request.window_snapshot.is_empty() {
        wrong(
            "window_snapshot",
            "exclusive",
            "goes without snapshot and test_snapshot: its base is the champion's",
        );
    }
    if !request.test_snapshot.is_empty() && request.snapshot.is_empty() {
        wrong("test_snapshot", "needs_snapshot", "needs a snapshot to train on");
    }
    if request.test_share.is_some_and(|share| !is_test_share(share)) {
        wrong("test_share", "out_of_range", "must be above 0 and at most 0.5");
    }
    for (field, text) in [
        ("requested_by", &request.requested_by),
        ("report_id", &request.report_id),
        ("idempotency_key", &request.idempotency_key),
    ] {
        if text.chars().count() > MAX_TEXT_CHARS {
            wrong(field, "too_long", "must have at most 500 characters");
        }
    }
    let trigger = match request.trigger() {
        wire::RunTrigger::Unspecified | wire::RunTrigger::Manual => Trigger::Manual,
        wire::RunTrigger::Schedule => Trigger::Schedule,
        wire::RunTrigger::Drift => Trigger::Drift,
    };
    let model = if request.model.is_empty() {
        Ok(settings.model.clone())
    } else {
        model_name(&request.model)
    };
    let model = model.unwrap_or_else(|error| {
        collect(error, &mut bad);
        settings.model.clone()
    });
    if !bad.is_empty() {
        return Err(Error::Invalid(bad));
    }
    let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
    let (input, default_share) = match (table, window) {
        (_, Some(window)) => (Input::Window { window }, settings.window_test_share),
        (Some(table), None) => (Input::Snapshot { table, test }, settings.test_share),
        (None, None) => (Input::Database, settings.test_share),
    };
    Ok(RunRequest {
        model,
        input,
        preset: or(request.preset, &settings.preset),
        seed: request.seed.unwrap_or(settings.seed),
        test_share: request.test_share.unwrap_or(default_share),
        trigger,
        requested_by: or(request.requested_by, "anonymous"),
        report_id: request.report_id,
        promote: request.promote.unwrap_or(true),
        idempotency_key: request.idempotency_key,
    })
}

fn collect(error: Error, bad: &mut Vec<BadField>) {
    if let Error::Invalid(found) = error {
        bad.extend(found);
    }
}

pub(super) fn snapshot_out(manifest: &SnapshotManifest) -> wire::Snapshot {
    wire::Snapshot {
        digest: manifest.digest.to_string(),
        source: manifest.source.clone(),
        rows: manifest.rows,
        positives: manifest.positives,
        schema_digest: manifest.schema_digest.to_string(),
        created_at: Some(time::to_wire(manifest.created_at)),
        parents: manifest.parents.iter().map(Digest::to_string).collect(),
    }
}

fn state_out(state: State) -> i32 {
    match state {
        State::Waiting => wire::StepState::Waiting,
        State::Running => wire::StepState::Running,
        State::Done => wire::StepState::Done,
        State::Skipped => wire::StepState::Skipped,
        State::Failed => wire::StepState::Failed,
        State::Cancelled => wire::StepState::Cancelled,
    }
    .into()
}

pub(super) fn run_out(run: Run) -> wire::PipelineRun {
    let now = Timestamp::now();
    let digest = |digest: Option<Digest>| digest.map(|digest| digest.to_string()).unwrap_or_default();
    let trigger = match run.request.trigger {
        Trigger::Manual => wire::RunTrigger::Manual,
        Trigger::Schedule => wire::RunTrigger::Schedule,
        Trigger::Drift => wire::RunTrigger::Drift,
    };
    wire::PipelineRun {
        run_id: run.id.to_string(),
        model: run.request.model.to_string(),
        state: state_out(run.state),
        steps: run.steps.into_iter().map(|step| step_out(step, now)).collect(),
        created_at: Some(time::to_wire(run.created_at)),
        ended_at: run.ended_at.map(time::to_wire),
        trigger: trigger.into(),
        requested_by: run.request.requested_by,
        result: run.result.map(result_out),
        error: run.error.unwrap_or_default(),
        violations: run.violations.into_iter().map(violation_out).collect(),
        training_snapshot: digest(run.training_snapshot),
        test_snapshot: digest(run.test_snapshot),
        preset: run.request.preset,
    }
}

fn step_out(step: Step, now: Timestamp) -> wire::Step {
    wire::Step {
        name: step.name.name().to_owned(),
        state: state_out(step.state),
        duration_seconds: step.duration_seconds(now),
        message: step.message,
        progress: step.progress,
    }
}

fn result_out(result: RunResult) -> wire::RunResult {
    wire::RunResult {
        version: result.version.unwrap_or(0),
        artifact_digest: result
            .artifact_digest
            .map(|digest| digest.to_string())
            .unwrap_or_default(),
        accepted: result.accepted,
        promoted: result.promoted,
        generation: result.generation,
        metrics: result.metrics.into_iter().collect::<HashMap<_, _>>(),
        failed_checks: result.failed_checks,
    }
}

fn violation_out(violation: TableViolation) -> WireViolation {
    WireViolation {
        row: violation.row,
        column: violation.column,
        rule: violation.rule,
        message: violation.message,
    }
}

pub(super) fn event_out(event: RunEvent) -> wire::RunEvent {
    wire::RunEvent {
        sequence: event.sequence,
        at: Some(time::to_wire(event.at)),
        step: event.step.name().to_owned(),
        state: state_out(event.state),
        progress: event.progress,
        message: event.message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(error: &Error) -> Vec<&'static str> {
        match error {
            Error::Invalid(bad) => bad.iter().map(|bad| bad.field).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_not_said_is_in_the_settings() {
        let settings = Settings::on_free_ports();
        let request = run_request_in(wire::StartRunRequest::default(), &settings).unwrap();
        assert_eq!(request.input, Input::Database);
        assert_eq!(
            (request.preset.as_str(), request.seed, request.promote),
            ("default", 42, true)
        );
        assert_eq!((request.test_share, request.model.as_str()), (0.2, "churn"));
        let window = wire::StartRunRequest {
            window_snapshot: Digest::of(b"w").to_string(),
            ..wire::StartRunRequest::default()
        };
        assert_eq!(run_request_in(window, &settings).unwrap().test_share, 0.3);
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let request = wire::StartRunRequest {
            model: "Churn!".into(),
            window_snapshot: "abc".into(),
            test_snapshot: Digest::of(b"t").to_string(),
            test_share: Some(0.9),
            requested_by: "x".repeat(501),
            ..wire::StartRunRequest::default()
        };
        let error = run_request_in(request, &Settings::on_free_ports()).unwrap_err();
        let expected = [
            "window_snapshot",
            "window_snapshot",
            "test_snapshot",
            "test_share",
            "requested_by",
            "model",
        ];
        assert_eq!(fields(&error), expected);
    }
}
