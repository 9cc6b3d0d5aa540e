//! Pipeline runs: started, followed, cancelled; one per model at a time.
//!
//! A run is a task of its own. Its steps are functions, each taking what the one before made, so that none can be left out:
//! [`data`] has ingest, validate and transform, [`tune`] the search for parameters with its [`trials`] in the registry, [`learn`] has train,
//! [`evaluate`] is what it says, [`publish`] has register and gate. [`job`] runs them and keeps the log. [`import`] takes in a model file and starts the
//! run that makes a version of it.

mod data;
mod error;
mod evaluate;
mod follow;
mod import;
mod job;
mod learn;
mod publish;
mod trials;
mod tune;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdfast_chassis::clock::Clock;
use holdfast_chassis::settings::Secret;
use holdfast_chassis::{Shutdown, telemetry};
use holdfast_domain::{ModelName, RunId, Schema};
use holdfast_storage::BlobStore;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub use error::StepError;
pub use follow::{Followed, Follower};
pub use import::{ModelUpload, SentFile};

use super::params::Presets;
use super::registry::Registry;
use super::runs::{Input, Run, RunRequest};
use super::snapshots::Snapshots;
use super::store::{Opened, RunPage, RunStore};
use super::versions::Versions;
use crate::error::{Error, Result};
use crate::metrics::Metrics;
use job::Job;

/// What every run works with.
#[derive(Debug)]
pub struct Parts {
    /// The memory of runs.
    pub store: RunStore,
    /// Snapshots taken in.
    pub snapshots: Snapshots,
    /// Where snapshots and artefacts lie.
    pub blobs: Arc<dyn BlobStore>,
    /// The registry.
    pub registry: Arc<dyn Registry>,
    /// The parameter sets.
    pub presets: Presets,
    /// The customer database as a source.
    pub database: Option<Secret>,
    /// The schema of the tables.
    pub schema: &'static Schema,
    /// How runs work.
    pub runs: RunSettings,
    /// The largest model file taken in, in bytes.
    pub max_model_bytes: u64,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The metrics.
    pub metrics: Metrics,
}

/// How runs work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunSettings {
    /// Threads of one training.
    pub threads: usize,
    /// Least time between two progress events of a step.
    pub progress_interval: Duration,
}

/// The runs of this service. Clones are the same runs.
#[derive(Clone)]
pub struct Pipelines {
    parts: Arc<Parts>,
    shutdown: Shutdown,
    at_work: Arc<Mutex<HashMap<RunId, AtWork>>>,
    /// Places for model files that are being sent.
    uploads: Arc<Semaphore>,
}

/// The handles of a run at work.
#[derive(Clone, Debug)]
struct AtWork {
    cancel: CancellationToken,
    /// Moves with every change of the run; goes when the run has ended.
    changed: Arc<watch::Sender<u64>>,
}

impl Pipelines {
    /// No runs yet. Those that a process before left at work are marked as failed.
    ///
    /// # Errors
    /// The database's.
    pub async fn open(parts: Parts, shutdown: Shutdown) -> Result<Self> {
        for run in parts
            .store
            .fail_interrupted("interrupted by a restart", parts.clock.now())
            .await?
        {
            tracing::warn!(run_id = %run, "run was interrupted by a restart");
        }
        Ok(Self {
            parts: Arc::new(parts),
            shutdown,
            at_work: Arc::default(),
            uploads: Arc::new(Semaphore::new(import::UPLOADS_AT_ONCE)),
        })
    }

    /// Starts a run and returns at once. The same idempotency key again answers the run it started first.
    ///
    /// # Errors
    /// [`Error::Busy`] with the run at work, [`Error::NoSuchSnapshot`], [`Error::NoDatabase`], an unknown parameter set; the stores'.
    pub async fn start(&self, request: RunRequest) -> Result<RunId> {
        self.check(&request).await?;
        if self.shutdown.is_stopping() {
            return Err(Error::Ending);
        }
        let id = RunId::generate();
        let at_work = AtWork {
            cancel: self.shutdown.stopping_token().child_token(),
            changed: Arc::new(watch::Sender::new(0)),
        };
        // Before the run is in the database, so that whoever finds it there can follow it.
        self.lock().insert(id.clone(), at_work.clone());
        let opened = self.parts.store.create(&id, &request, self.parts.clock.now()).await;
        match opened {
            Ok(Opened::New) => {}
            Ok(Opened::Before(before)) => {
                self.lock().remove(&id);
                return Ok(before);
            }
            Ok(Opened::Busy(run)) => {
                self.lock().remove(&id);
                return Err(Error::Busy {
                    model: request.model,
                    run,
                });
            }
            Err(error) => {
                self.lock().remove(&id);
                return Err(error);
            }
        }
        self.spawn(id.clone(), request, at_work);
        Ok(id)
    }

    /// Whether there is what the request names.
    async fn check(&self, request: &RunRequest) -> Result<()> {
        self.parts.presets.get(&request.preset)?;
        match &request.input {
            Input::Snapshot { table, test } => {
                self.parts.snapshots.get(table).await?;
                if let Some(test) = test {
                    self.parts.snapshots.get(test).await?;
                }
            }
            Input::Window { window } => drop(self.parts.snapshots.get(window).await?),
            Input::Database if self.parts.database.is_none() => return Err(Error::NoDatabase),
            Input::Database => {}
        }
        Ok(())
    }

    fn spawn(&self, id: RunId, request: RunRequest, at_work: AtWork) {
        let span = tracing::info_span!("run", run_id = %id, model = %request.model, otel.name = "training run");
        // The run goes on when the request that started it is answered, in the same trace.
        if let Some(context) = telemetry::current_trace_context() {
            context.adopt(&span);
        }
        tracing::info!(
            run_id = %id, model = %request.model, preset = request.preset, trigger = request.trigger.name(),
            requested_by = request.requested_by, "run started"
        );
        let this = self.clone();
        let run = async move {
            let job = Job::new(
                id.clone(),
                request,
                Arc::clone(&this.parts),
                this.shutdown.clone(),
                at_work,
            );
            job.run().await;
            // The followers' channel goes with this.
            this.lock().remove(&id);
        };
        self.shutdown.spawn("training run", run.instrument(span));
    }

    /// One run.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`]; the database's.
    pub async fn run(&self, id: &RunId) -> Result<Run> {
        self.parts.store.run(id).await
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// The database's.
    pub async fn runs(&self, model: Option<&ModelName>, before: Option<i64>, size: u32) -> Result<RunPage> {
        self.parts.store.runs(model, before, size).await
    }

    /// Ends a run at the next point where that is safe: within the fitting of a model, between steps, but not while a version is registered or
    /// promoted. A run that has ended stays as it is.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`]; the database's.
    pub async fn cancel(&self, id: &RunId) -> Result<Run> {
        let at_work = self.lock().get(id).cloned();
        if let Some(at_work) = at_work {
            at_work.cancel.cancel();
        }
        self.run(id).await
    }

    /// Follows a run's log from after line `after` until the run has ended.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`]; the database's.
    pub async fn follow(&self, id: &RunId, after: u64) -> Result<Follower> {
        let changed = self.lock().get(id).map(|at_work| at_work.changed.subscribe());
        self.run(id).await?;
        Ok(Follower::new(self.parts.store.clone(), id.clone(), after, changed))
    }

    /// The snapshots that runs work on.
    pub fn snapshots(&self) -> &Snapshots {
        &self.parts.snapshots
    }

    /// The metrics.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.parts.metrics
    }

    /// What is on record of versions.
    pub fn versions(&self) -> Versions {
        Versions {
            registry: Arc::clone(&self.parts.registry),
            blobs: Arc::clone(&self.parts.blobs),
            snapshots: self.parts.snapshots.clone(),
            schema: self.parts.schema,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, AtWork>> {
        // The map is whole at every point where a holder could panic.
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipelines")
            .field("parts", &self.parts)
            .field("at_work", &self.at_work)
            .finish_non_exhaustive()
    }
}
