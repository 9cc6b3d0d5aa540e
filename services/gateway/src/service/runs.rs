//! Training runs: start, follow, cancel.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _, stream};
use holdfast_api::training::v1 as wire;
use holdfast_api::training::v1::{RunTrigger as WireTrigger, StepState as WireState};
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{counted, finite, names_of, promised, text, time};
use super::object::optional_object;
use super::tuning::{ThresholdRule, Trial, Tuning, TuningResult};
use crate::peers::Peers;

names_of! {
    /// State of a run or step.
    RunState from WireState {
        /// Not begun.
        Waiting,
        /// At work.
        Running,
        /// Done.
        Done,
        /// Not needed in this run.
        Skipped,
        /// Ended by an error.
        Failed,
        /// Ended by a person.
        Cancelled,
    }
}

names_of! {
    /// What made a run start.
    RunTrigger from WireTrigger {
        /// A person or a program asked for it.
        Manual,
        /// A schedule.
        Schedule,
        /// Monitoring found drift.
        Drift,
    }
}

/// Asks for a run. Rows come from the snapshot, or from the configured database when none is named.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRun {
    /// The model to train; the gateway's when absent.
    #[schema(pattern = "^[a-z0-9][a-z0-9_-]{0,63}$")]
    pub model: Option<String>,
    /// Digest of the snapshot to train on.
    pub snapshot: Option<String>,
    /// Digest of the snapshot to test on; then no split is made.
    pub test_snapshot: Option<String>,
    /// Named parameter set.
    pub preset: Option<String>,
    /// Seed of everything random.
    pub seed: Option<u64>,
    /// False: stop after the gate's decision.
    pub promote: Option<bool>,
    /// Share of rows held out for testing, above 0 and at most 0.5.
    pub test_share: Option<f64>,
    /// Who asks, for the record.
    pub requested_by: Option<String>,
    /// How the decision threshold is chosen; as the parameter set says when absent.
    #[serde(default, deserialize_with = "optional_object")]
    pub threshold: Option<ThresholdRule>,
    /// Searches for better parameters before training; those of the parameter set are taken as they are when absent.
    #[serde(default, deserialize_with = "optional_object")]
    pub tuning: Option<Tuning>,
}

/// A run that was started.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StartedRun {
    /// Its id.
    pub run_id: String,
}

/// One step of a run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Step {
    /// `ingest`, `validate`, `transform`, `tune`, `train`, `evaluate`, `register` or `gate`.
    pub name: String,
    /// State.
    pub state: RunState,
    /// How long it took or has taken, in seconds.
    pub duration_seconds: f64,
    /// A sentence about the outcome.
    pub message: String,
    /// Progress within the step, 0 to 1.
    pub progress: f64,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunResult {
    /// Version registered.
    pub version: Option<u32>,
    /// SHA-256 of its artefact.
    pub artifact_digest: Option<String>,
    /// Did the gate accept it?
    pub accepted: bool,
    /// Is it champion by this run?
    pub promoted: bool,
    /// Generation of the champion log it was promoted under.
    pub generation: Option<u64>,
    /// Measured values by name, for example `test_roc_auc`; null for what is not a finite number.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// Why not, when not accepted.
    pub failed_checks: Vec<String>,
    /// What the search for parameters came to, when there was one.
    pub tuning: Option<TuningResult>,
}

/// A cell of the input that breaks the schema.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TableViolation {
    /// Data row, counted from 1; null when the whole table is meant.
    pub row: Option<u64>,
    /// Column name.
    pub column: String,
    /// Name of the rule.
    pub rule: String,
    /// What was found and what is allowed.
    pub message: String,
}

/// A training run.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Run {
    /// Its id, the same as in the registry.
    pub run_id: String,
    /// The model.
    pub model: String,
    /// State of the whole.
    pub state: RunState,
    /// Its steps in order.
    pub steps: Vec<Step>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What made it start.
    pub trigger: RunTrigger,
    /// Who asked for it.
    pub requested_by: String,
    /// The result, once it has one.
    pub result: Option<RunResult>,
    /// Why it failed, when it did.
    pub error: Option<String>,
    /// Rows of the input that broke the schema, when that is why; at most 100.
    pub violations: Vec<TableViolation>,
    /// Digest of the training snapshot, once known.
    pub training_snapshot: Option<String>,
    /// Digest of the test snapshot, once known.
    pub test_snapshot: Option<String>,
    /// Name of the parameter set.
    pub preset: Option<String>,
}

/// A page of runs, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Runs {
    /// The page.
    pub runs: Vec<Run>,
    /// Asks for the next page; null on the last one.
    pub next_page_token: Option<String>,
}

/// One line of a run's log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RunEvent {
    /// Counted from 1 within the run.
    pub sequence: u64,
    /// When.
    pub at: Option<Timestamp>,
    /// The step it belongs to.
    pub step: String,
    /// State of that step after the event.
    pub state: RunState,
    /// Progress within the step, 0 to 1.
    pub progress: f64,
    /// A sentence.
    pub message: String,
    /// In the step `tune`: the trial that changed.
    pub trial: Option<Trial>,
}

/// What following a run brings.
#[derive(Clone, Debug)]
pub enum RunNews {
    /// A line of its log.
    Progress(Box<RunEvent>),
    /// It has ended.
    Done(Box<Run>),
}

impl From<wire::PipelineRun> for Run {
    fn from(wire: wire::PipelineRun) -> Self {
        let steps = wire.steps.into_iter().map(|step| Step {
            name: step.name,
            state: step.state.into(),
            duration_seconds: step.duration_seconds,
            message: step.message,
            progress: step.progress,
        });
        let violations = wire.violations.into_iter().map(|broken| TableViolation {
            row: counted(broken.row),
            column: broken.column,
            rule: broken.rule,
            message: broken.message,
        });
        Self {
            run_id: wire.run_id,
            model: wire.model,
            state: wire.state.into(),
            steps: steps.collect(),
            created_at: time(wire.created_at),
            ended_at: time(wire.ended_at),
            trigger: wire.trigger.into(),
            requested_by: wire.requested_by,
            result: wire.result.map(RunResult::from),
            error: text(wire.error),
            violations: violations.collect(),
            training_snapshot: text(wire.training_snapshot),
            test_snapshot: text(wire.test_snapshot),
            preset: text(wire.preset),
        }
    }
}

impl From<wire::RunResult> for RunResult {
    fn from(wire: wire::RunResult) -> Self {
        Self {
            version: counted(wire.version),
            artifact_digest: text(wire.artifact_digest),
            accepted: wire.accepted,
            promoted: wire.promoted,
            generation: counted(wire.generation),
            metrics: wire
                .metrics
                .into_iter()
                .map(|(name, value)| (name, finite(value)))
                .collect(),
            failed_checks: wire.failed_checks,
            tuning: wire.tuning.map(TuningResult::from),
        }
    }
}

impl From<wire::RunEvent> for RunEvent {
    fn from(wire: wire::RunEvent) -> Self {
        Self {
            sequence: wire.sequence,
            at: time(wire.at),
            step: wire.step,
            state: wire.state.into(),
            progress: wire.progress,
            message: wire.message,
            trial: wire.trial.map(Trial::from),
        }
    }
}

/// Starts a run of `model`; the same idempotency key again answers the run that it started first.
///
/// # Errors
/// Training's; `ABORTED` while another run of the model is at work.
pub async fn start(
    peers: &Peers,
    model: String,
    wanted: StartRun,
    idempotency_key: String,
) -> Result<StartedRun, Fault> {
    let message = wire::StartRunRequest {
        model,
        snapshot: wanted.snapshot.unwrap_or_default(),
        test_snapshot: wanted.test_snapshot.unwrap_or_default(),
        preset: wanted.preset.unwrap_or_default(),
        seed: wanted.seed,
        trigger: WireTrigger::Manual.into(),
        requested_by: wanted.requested_by.unwrap_or_else(|| super::ACTOR.to_owned()),
        promote: wanted.promote,
        test_share: wanted.test_share,
        idempotency_key,
        threshold: wanted.threshold.map(Into::into),
        tuning: wanted.tuning.map(Into::into),
        ..Default::default()
    };
    let answer = peers.start_run(message).await?;
    Ok(StartedRun { run_id: answer.run_id })
}

/// A run with its steps and result.
///
/// # Errors
/// Training's.
pub async fn get(peers: &Peers, run_id: String) -> Result<Run, Fault> {
    let answer = peers.get_run(wire::GetRunRequest { run_id }).await?;
    Ok(promised(answer.run, "the run")?.into())
}

/// A page of runs; of all models when `model` is empty.
///
/// # Errors
/// Training's.
pub async fn list(peers: &Peers, model: String, page_size: u32, page_token: String) -> Result<Runs, Fault> {
    let answer = peers
        .list_runs(wire::ListRunsRequest {
            model,
            page_size,
            page_token,
        })
        .await?;
    Ok(Runs {
        runs: answer.runs.into_iter().map(Run::from).collect(),
        next_page_token: text(answer.next_page_token),
    })
}

/// Ends a run at the next point where that is safe.
///
/// # Errors
/// Training's.
pub async fn cancel(peers: &Peers, run_id: String) -> Result<Run, Fault> {
    let answer = peers.cancel_run(wire::CancelRunRequest { run_id }).await?;
    Ok(promised(answer.run, "the run")?.into())
}

/// Follows a run from the event after `after_sequence` to its end.
///
/// # Errors
/// Training's to begin with, later ones as items.
pub async fn follow(
    peers: &Peers,
    run_id: String,
    after_sequence: u64,
) -> Result<impl Stream<Item = Result<RunNews, Fault>> + Send + use<>, Fault> {
    let messages = peers
        .watch_run(wire::WatchRunRequest { run_id, after_sequence })
        .await?;
    Ok(messages.flat_map(|message| {
        let news = match message {
            Ok(wire::WatchRunResponse { event, run }) => {
                let event = event.map(|event| Ok(RunNews::Progress(Box::new(event.into()))));
                let run = run.map(|run| Ok(RunNews::Done(Box::new(run.into()))));
                [event, run]
            }
            Err(fault) => [Some(Err(fault)), None],
        };
        stream::iter(news.into_iter().flatten())
    }))
}
