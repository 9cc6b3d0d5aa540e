//! One run: its steps in order, its log, its end.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use futures::FutureExt as _;
use holdfast_chassis::Shutdown;
use holdfast_domain::RunId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::error::{Failure, StepError};
use super::{AtWork, Parts, data, evaluate, learn, publish, tune};
use crate::error::Error;
use crate::metrics::RunOutcome;
use crate::service::recipe::Recipe;
use crate::service::registry::TrackedEnd;
use crate::service::runs::{RunRequest, RunResult, State, StepName, Violations};
use crate::service::store::{Ending, StepChange};
use crate::service::tuning::TrialRecord;

/// One run at work.
pub(super) struct Job {
    pub(super) id: RunId,
    pub(super) request: RunRequest,
    pub(super) parts: Arc<Parts>,
    pub(super) shutdown: Shutdown,
    pub(super) cancel: CancellationToken,
    changed: Arc<watch::Sender<u64>>,
    result: Mutex<RunResult>,
    current: Mutex<StepName>,
    /// What the search for parameters found.
    tuned: OnceLock<Recipe>,
}

/// What a step made, and a sentence about it.
pub(super) struct Made<T> {
    pub(super) value: T,
    pub(super) message: String,
}

impl Job {
    pub(super) fn new(id: RunId, request: RunRequest, parts: Arc<Parts>, shutdown: Shutdown, at_work: AtWork) -> Self {
        Self {
            id,
            request,
            parts,
            shutdown,
            cancel: at_work.cancel,
            changed: at_work.changed,
            result: Mutex::default(),
            current: Mutex::new(StepName::Ingest),
            tuned: OnceLock::new(),
        }
    }

    /// Runs the steps and writes down how it ended.
    pub(super) async fn run(&self) {
        self.parts.metrics.active_runs.inc();
        // A panic must end the run as well: it would hold its model for ever. The panic hook has logged the place.
        let outcome = AssertUnwindSafe(self.steps()).catch_unwind().await;
        let outcome = outcome.unwrap_or_else(|_| Err(self.broken_off()));
        let ended = match &outcome {
            Ok(()) => self.end_done().await,
            Err(failure) => self.end_failed(failure).await,
        };
        if let Err(error) = ended {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "run's end could not be stored"
            );
        }
        self.changed.send_modify(|changes| *changes += 1);
        self.parts.metrics.active_runs.dec();
        self.parts
            .metrics
            .last_run_ended
            .set(self.parts.clock.now().as_second());
        // A run that searches is opened when the search begins, so that its trials have a parent.
        let opened_at = match self.request.tuning {
            Some(_) => StepName::Tune,
            None => StepName::Register,
        };
        if outcome.is_err_and(|failure| failure.step >= opened_at) {
            self.close_tracked_run().await;
        }
    }

    fn broken_off(&self) -> Failure {
        let step = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Failure {
            step,
            error: StepError::Panicked,
        }
    }

    async fn steps(&self) -> Result<(), Failure> {
        let tables = self
            .step(StepName::Ingest, self.unless_cancelled(data::ingest(self)))
            .await?;
        let tables = self
            .step(StepName::Validate, self.unless_cancelled(data::validate(self, tables)))
            .await?;
        let split = self
            .step(
                StepName::Transform,
                self.unless_cancelled(data::transform(self, tables)),
            )
            .await?;
        let split = Arc::new(split);
        match self.request.tuning {
            None => {
                let why = match self.request.import {
                    Some(_) => "an imported model is taken as it is",
                    None => "not asked for",
                };
                self.skip(StepName::Tune, why).await?;
            }
            Some(asked) => {
                let found = self.step(StepName::Tune, tune::tune(self, &split, asked)).await?;
                self.tuned.get_or_init(|| found);
            }
        }
        let candidate = Arc::new(self.step(StepName::Train, learn::train(self, &split)).await?);
        let evaluated = self
            .step(
                StepName::Evaluate,
                self.unless_cancelled(evaluate::evaluate(self, &split, &candidate)),
            )
            .await?;
        // From here on others see what happens: these two are not broken off midway.
        let version = self
            .step(
                StepName::Register,
                publish::register(self, &split, &candidate, &evaluated),
            )
            .await?;
        self.step(
            StepName::Gate,
            publish::gate(self, &split, &candidate, evaluated.evidence, &version),
        )
        .await
    }

    /// Runs one step and logs its beginning and its end.
    async fn step<T>(
        &self,
        step: StepName,
        work: impl Future<Output = Result<Made<T>, StepError>> + Send,
    ) -> Result<T, Failure> {
        let failed = |error: StepError| Failure { step, error };
        if self.cancel.is_cancelled() {
            return Err(failed(StepError::Cancelled));
        }
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = step;
        let begun = Instant::now();
        self.log(step, State::Running, 0.0, String::new())
            .await
            .map_err(failed)?;
        let outcome = work.await;
        self.parts.metrics.step_took(step, begun.elapsed());
        let made = outcome.map_err(failed)?;
        tracing::info!(
            step = step.name(),
            duration_ms = begun.elapsed().as_millis(),
            outcome = made.message,
            "step done"
        );
        self.log(step, State::Done, 1.0, made.message).await.map_err(failed)?;
        Ok(made.value)
    }

    async fn skip(&self, step: StepName, why: &str) -> Result<(), Failure> {
        let logged = self.log(step, State::Skipped, 0.0, why.to_owned()).await;
        logged.map_err(|error| Failure { step, error })
    }

    /// The work, given up when the run is cancelled. For work that leaves nothing half done.
    async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, StepError>> + Send,
    ) -> Result<T, StepError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(StepError::Cancelled),
            outcome = work => outcome,
        }
    }

    /// Logs how far a step is.
    pub(super) async fn progress(&self, step: StepName, progress: f64, message: &str) -> Result<(), StepError> {
        self.log(step, State::Running, progress, message.to_owned()).await
    }

    async fn log(&self, step: StepName, state: State, progress: f64, message: String) -> Result<(), StepError> {
        let trial = None;
        self.write(StepChange {
            step,
            state,
            progress,
            message,
            trial,
        })
        .await
    }

    /// Logs that a trial changed.
    pub(super) async fn trial(&self, progress: f64, message: String, trial: TrialRecord) -> Result<(), StepError> {
        self.write(StepChange {
            step: StepName::Tune,
            state: State::Running,
            progress,
            message,
            trial: Some(trial),
        })
        .await
    }

    async fn write(&self, change: StepChange) -> Result<(), StepError> {
        let stored = self
            .parts
            .store
            .change_step(&self.id, &change, self.parts.clock.now())
            .await;
        self.changed.send_modify(|changes| *changes += 1);
        stored.map(drop).map_err(StepError::Service)
    }

    /// The recipe that the search for parameters found, once it has.
    pub(super) fn tuned(&self) -> Option<&Recipe> {
        self.tuned.get()
    }

    /// Changes what the run has come to, and stores it.
    pub(super) async fn note(&self, change: impl FnOnce(&mut RunResult) + Send) -> Result<(), StepError> {
        let result = {
            let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut result);
            result.clone()
        };
        self.parts
            .store
            .set_result(&self.id, &result)
            .await
            .map_err(StepError::Service)
    }

    /// What the run has come to so far.
    pub(super) fn result(&self) -> RunResult {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn end_done(&self) -> Result<(), Error> {
        let result = self.result();
        let outcome = if result.accepted {
            RunOutcome::Accepted
        } else {
            RunOutcome::Rejected
        };
        self.parts.metrics.run_ended(self.request.trigger, outcome);
        tracing::info!(
            version = result.version, accepted = result.accepted, promoted = result.promoted,
            failed_checks = ?result.failed_checks, "run done"
        );
        let ending = Ending {
            state: State::Done,
            error: None,
            violations: &[],
            step: None,
        };
        self.parts.store.end(&self.id, &ending, self.parts.clock.now()).await
    }

    async fn end_failed(&self, failure: &Failure) -> Result<(), Error> {
        let Failure { step, error } = failure;
        let stopped = self.shutdown.is_stopping();
        let (state, why) = match error {
            StepError::Cancelled if stopped => (State::Failed, "interrupted: the service was stopped".to_owned()),
            StepError::Cancelled => (State::Cancelled, "cancelled".to_owned()),
            other => (State::Failed, other.to_string()),
        };
        let outcome = if state == State::Cancelled {
            RunOutcome::Cancelled
        } else {
            RunOutcome::Failed
        };
        self.parts.metrics.run_ended(self.request.trigger, outcome);
        if state == State::Cancelled || stopped {
            tracing::info!(step = step.name(), outcome = why, "run ended early");
        } else {
            tracing::error!(
                step = step.name(),
                error = error as &dyn std::error::Error,
                "run failed"
            );
        }
        let none = Violations::default();
        let violations = match error {
            StepError::Table { violations, .. } => violations,
            _ => &none,
        };
        let ending = Ending {
            state,
            error: (state == State::Failed).then_some(why.as_str()),
            violations: &violations.listed,
            step: Some(StepChange {
                step: *step,
                state,
                progress: self.progress_of(*step).await,
                message: why.clone(),
                trial: None,
            }),
        };
        self.parts.store.end(&self.id, &ending, self.parts.clock.now()).await
    }

    /// How far a step had come; 0 when that is not known.
    async fn progress_of(&self, step: StepName) -> f64 {
        let run = self.parts.store.run(&self.id).await;
        let steps = run.map(|run| run.steps).unwrap_or_default();
        steps
            .into_iter()
            .find(|found| found.name == step)
            .map_or(0.0, |found| found.progress)
    }

    /// A run that the registry has been told of should not look at work for ever. Nothing depends on it.
    async fn close_tracked_run(&self) {
        let end = if self.cancel.is_cancelled() {
            TrackedEnd::Killed
        } else {
            TrackedEnd::Failed
        };
        if let Err(error) = self.parts.registry.close_run(&self.id, end).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the registry still shows the run as running"
            );
        }
    }
}
