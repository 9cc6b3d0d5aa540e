//! Runs and snapshots on their way out.

use holdfast_api::common::v1::TableViolation as WireViolation;
use holdfast_api::time;
use holdfast_api::training::v1 as wire;
use holdfast_domain::Digest;
use holdfast_records::snapshot::SnapshotManifest;
use jiff::Timestamp;

use crate::service::runs::{Run, RunEvent, RunResult, State, Step, TableViolation, Trigger};
use crate::service::tuning::search::TrialState;
use crate::service::tuning::{TrialRecord, TuningRecord};

pub(in crate::grpc) fn snapshot_out(manifest: &SnapshotManifest) -> wire::Snapshot {
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

pub(in crate::grpc) fn run_out(run: Run) -> wire::PipelineRun {
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
        metrics: result.metrics.into_iter().collect(),
        failed_checks: result.failed_checks,
        tuning: result.tuning.map(tuning_out),
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

pub(in crate::grpc) fn event_out(event: RunEvent) -> wire::RunEvent {
    wire::RunEvent {
        sequence: event.sequence,
        at: Some(time::to_wire(event.at)),
        step: event.step.name().to_owned(),
        state: state_out(event.state),
        progress: event.progress,
        message: event.message,
        trial: event.trial.map(trial_out),
    }
}

fn trial_out(trial: TrialRecord) -> wire::Trial {
    let state = match trial.state {
        TrialState::Running => wire::TrialState::Running,
        TrialState::Complete => wire::TrialState::Complete,
        TrialState::Pruned => wire::TrialState::Pruned,
        TrialState::Failed => wire::TrialState::Failed,
    };
    wire::Trial {
        number: trial.number,
        state: state.into(),
        parameters: trial.parameters.into_iter().collect(),
        value: trial.value,
        standard_error: trial.standard_error,
        folds_done: trial.folds_done,
        value_again: trial.value_again,
        run_id: trial.run_id.to_string(),
        duration_seconds: trial.duration_seconds,
    }
}

fn tuning_out(tuning: TuningRecord) -> wire::TuningResult {
    wire::TuningResult {
        objective: tuning.objective,
        trials: tuning.trials,
        pruned: tuning.pruned,
        stopped_by: tuning.stopped_by,
        best: tuning.best.map(trial_out),
        first: tuning.first.map(trial_out),
        importance: tuning.importance.into_iter().collect(),
        outer_values: tuning.outer_values,
    }
}
