//! Trials in the registry: each a run of its own, a child of the run that searches.
//!
//! While the registry is away the trials wait for it, in their order, and the search goes on. When it is still away after the search, for as long as
//! a run waits, the run fails as it would at its next step. The run's own log has all trials in any case.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdfast_chassis::clock::Clock;
use holdfast_domain::RunId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::job::Job;
use super::publish;
use crate::service::registry::{Batch, Registry, RegistryError, TrackedEnd, TrackedRun};
use crate::service::tuning::search::TrialState;
use crate::service::tuning::tune::OuterFold;
use crate::service::tuning::{TrialRecord, TuningObjective, TuningRecord};

/// What makes a run a child, as MLflow's clients know it.
const PARENT_TAG: &str = "mlflow.parentRunId";

/// How long a cancelled run waits for the registry to hear of its trials.
const CANCELLED_PATIENCE: Duration = Duration::from_secs(2);

/// What becomes a child run.
pub(super) enum Child {
    /// A trial that changed; with its values, by fold when it is complete and before in the order in which it takes the folds.
    Trial(TrialRecord, Vec<f64>),
    /// What was found within an outer fold, and its worth.
    Outer(BTreeMap<String, String>, OuterFold),
}

/// The children of a run.
pub(super) struct Children {
    registry: Arc<dyn Registry>,
    clock: Arc<dyn Clock>,
    parent: TrackedRun,
    objective: &'static str,
    search_is_over: AtomicBool,
}

impl Children {
    pub(super) fn of(job: &Job, objective: TuningObjective) -> Self {
        Self {
            registry: Arc::clone(&job.parts.registry),
            clock: Arc::clone(&job.parts.clock),
            parent: publish::tracked(job),
            objective: objective.name(),
            search_is_over: AtomicBool::new(false),
        }
    }

    /// From now on a registry that is away fails the run.
    pub(super) fn search_is_over(&self) {
        self.search_is_over.store(true, Ordering::Relaxed);
    }

    /// Opens the parent and keeps the children until no more come. After `cancel` only for a moment: a run that is cancelled should end, whether
    /// or not the registry is there to hear of it.
    pub(super) async fn keep(
        &self,
        children: mpsc::UnboundedReceiver<Child>,
        cancel: &CancellationToken,
    ) -> Result<(), RegistryError> {
        let given_up = async {
            cancel.cancelled().await;
            tokio::time::sleep(CANCELLED_PATIENCE).await;
        };
        tokio::select! {
            kept = self.keep_all(children) => kept,
            () = given_up => Ok(()),
        }
    }

    async fn keep_all(&self, mut children: mpsc::UnboundedReceiver<Child>) -> Result<(), RegistryError> {
        self.lasting(|| self.registry.open_run(&self.parent)).await?;
        let mut open: BTreeMap<u32, RunId> = BTreeMap::new();
        while let Some(child) = children.recv().await {
            match child {
                Child::Trial(trial, values) => self.keep_trial(&mut open, &trial, &values).await?,
                Child::Outer(parameters, fold) => self.keep_outer(parameters, &fold).await?,
            }
        }
        // Those that the search left behind when it was stopped.
        for run in open.into_values() {
            self.lasting(|| self.registry.close_run(&run, TrackedEnd::Killed))
                .await?;
        }
        Ok(())
    }

    async fn keep_trial(
        &self,
        open: &mut BTreeMap<u32, RunId>,
        trial: &TrialRecord,
        values: &[f64],
    ) -> Result<(), RegistryError> {
        if let Some(again) = trial.value_again {
            let mut batch = self.batch();
            batch.metrics.insert(format!("mean_{}_again", self.objective), again);
            return self.lasting(|| self.registry.log(&trial.run_id, &batch)).await;
        }
        let end = match trial.state {
            TrialState::Running if open.contains_key(&trial.number) => return Ok(()),
            TrialState::Running => {
                open.insert(trial.number, trial.run_id.clone());
                let name = format!("trial-{}", trial.number);
                let tags = [("holdfast.trial", trial.number.to_string())];
                return self.open(&trial.run_id, name, tags, trial.parameters.clone()).await;
            }
            TrialState::Complete => TrackedEnd::Finished,
            TrialState::Pruned => TrackedEnd::Killed,
            TrialState::Failed => TrackedEnd::Failed,
        };
        open.remove(&trial.number);
        let mut batch = self.measured(values.to_vec());
        // Once more, with what the trial has found on its way.
        batch.params = trial.parameters.clone();
        if !values.is_empty() {
            batch.metrics.insert(format!("mean_{}", self.objective), trial.value);
            batch.metrics.insert("standard_error".to_owned(), trial.standard_error);
        }
        self.close(&trial.run_id, batch, end).await
    }

    async fn keep_outer(&self, parameters: BTreeMap<String, String>, fold: &OuterFold) -> Result<(), RegistryError> {
        let id = RunId::generate();
        let tags = [("holdfast.outer_fold", fold.number.to_string())];
        self.open(&id, format!("outer-fold-{}", fold.number), tags, parameters)
            .await?;
        self.close(&id, self.measured(vec![fold.value]), TrackedEnd::Finished)
            .await
    }

    async fn open(
        &self,
        id: &RunId,
        name: String,
        tags: [(&str, String); 1],
        params: BTreeMap<String, String>,
    ) -> Result<(), RegistryError> {
        let mut all = self.parent.tags.clone();
        all.insert(PARENT_TAG.to_owned(), self.parent.id.to_string());
        all.extend(tags.map(|(key, value)| (key.to_owned(), value)));
        let run = TrackedRun {
            id: id.clone(),
            experiment: self.parent.experiment.clone(),
            name,
            user: self.parent.user.clone(),
            tags: all,
        };
        self.lasting(|| self.registry.open_run(&run)).await?;
        let batch = Batch { params, ..self.batch() };
        self.lasting(|| self.registry.log(id, &batch)).await
    }

    async fn close(&self, id: &RunId, batch: Batch, end: TrackedEnd) -> Result<(), RegistryError> {
        self.lasting(|| self.registry.log(id, &batch)).await?;
        self.lasting(|| self.registry.close_run(id, end)).await
    }

    /// The objective by fold, a step each.
    fn measured(&self, values: Vec<f64>) -> Batch {
        Batch {
            series: [(self.objective.to_owned(), values)].into(),
            ..self.batch()
        }
    }

    fn batch(&self) -> Batch {
        Batch {
            at: self.clock.now(),
            ..Batch::default()
        }
    }

    /// Tells the parent what the search came to.
    pub(super) async fn sum_up(&self, record: &TuningRecord) -> Result<(), RegistryError> {
        let best = record.best.as_ref().map(|trial| ("tuning_best", trial.value));
        let again = record
            .best
            .as_ref()
            .and_then(|trial| Some(("tuning_best_again", trial.value_again?)));
        let first = record.first.as_ref().map(|trial| ("tuning_first", trial.value));
        let trials = [
            ("tuning_trials", f64::from(record.trials)),
            ("tuning_pruned", f64::from(record.pruned)),
        ];
        let importance = record.importance.iter();
        let mut metrics: BTreeMap<String, f64> = importance
            .map(|(name, share)| (format!("importance.{name}"), *share))
            .collect();
        let named = trials.into_iter().chain(best).chain(again).chain(first);
        metrics.extend(named.map(|(name, value)| (name.to_owned(), value)));
        let batch = Batch {
            metrics,
            series: [("tuning_outer".to_owned(), record.outer_values.clone())].into(),
            tags: [
                ("holdfast.tuning_objective".to_owned(), record.objective.clone()),
                ("holdfast.tuning_stopped_by".to_owned(), record.stopped_by.clone()),
            ]
            .into(),
            ..self.batch()
        };
        self.registry.log(&self.parent.id, &batch).await
    }

    /// A call that is made again while the registry is away and the search at work.
    async fn lasting<Fut>(&self, call: impl Fn() -> Fut) -> Result<(), RegistryError>
    where
        Fut: Future<Output = Result<(), RegistryError>>,
    {
        loop {
            let was_over = self.search_is_over.load(Ordering::Relaxed);
            match call().await {
                Err(RegistryError::Away(why)) if !was_over => {
                    tracing::warn!(error = why, "the registry is away: trials wait for it");
                }
                done => return done,
            }
        }
    }
}
