//! Imports of registered versions, taken up one after another: the model file is read from the registry's artefacts and a run makes the version's
//! artefact of it, measures it and brings it before the gate.
//!
//! The registry keeps the record, so that nothing is lost with this process: a claim that nobody keeps runs out, and the import is taken up again.
//! What was resolved to do (rows, seed, parameter set) is told to the registry before the run starts and holds for later tries, so that these make
//! the same bytes.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdfast_chassis::{Fault, Shutdown};
use holdfast_domain::{ModelName, ModelVersion, RunId};

use super::pipeline::{Pipelines, SentFile};
use super::registry::RegistryError;
use super::runs::{ImportTarget, Input, Run, RunRequest, State};
use crate::error::Error;
use crate::metrics::VersionImportOutcome;

/// Names a claim on an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimId {
    /// The model.
    pub model: ModelName,
    /// The version.
    pub version: ModelVersion,
    /// Number of the claim.
    pub number: u64,
}

/// An import that was taken up.
#[derive(Debug)]
pub struct Claim {
    /// Its name.
    pub id: ClaimId,
    /// How long it holds unless it is kept.
    pub lease: Duration,
    /// Path of the model file among the artefacts.
    pub file: String,
    /// Names of the columns by the model's signature; may be empty.
    pub signature: Vec<String>,
    /// The run that an earlier try has resolved to start, as JSON; may be empty.
    pub plan: String,
    /// The run that is wished for, and what is said of the file; or what is wrong with the wishes.
    pub wanted: Result<Wanted, Error>,
}

/// What is wished for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The run.
    pub request: RunRequest,
    /// What is said of the file.
    pub sent: SentFile,
    /// Whether the rows are named.
    pub names_rows: bool,
}

/// Whether a claim still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It does; the plan that holds.
    Yes(String),
    /// It has ended.
    No,
}

/// How a claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimEnd {
    /// Nothing came of it, and nothing would come of another try; why, and what to do.
    Failed(String),
    /// It can be taken up again.
    PutBack,
}

/// The imports that the registry asks for, and its artefacts.
#[async_trait]
pub trait ImportQueue: Send + Sync + Debug + 'static {
    /// Takes up the import that waits longest, if one waits.
    async fn claim(&self) -> Result<Option<Claim>, RegistryError>;
    /// Prolongs a claim and brings the plan, which may be empty.
    async fn keep(&self, claim: &ClaimId, run: Option<&RunId>, plan: &str) -> Result<Kept, RegistryError>;
    /// Ends a claim; one that has ended already stays so.
    async fn end(&self, claim: &ClaimId, end: &ClaimEnd) -> Result<(), RegistryError>;
    /// The bytes of an artefact, at most so many.
    async fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, RegistryError>;
}

/// What came of asking for an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing to do, or nothing that can be done now.
    Wait,
    /// One has ended; another may wait.
    GoOn,
}

/// Why an import was not brought to its end.
#[derive(Debug)]
enum Halt {
    /// Another try would end in the same way.
    Failed(String),
    /// Another try may end better.
    PutBack(String),
    /// Somebody else is at it.
    Lost,
}

/// Takes up imports, one after another.
#[derive(Debug)]
pub struct ImportWorker {
    pipelines: Pipelines,
    queue: Arc<dyn ImportQueue>,
    max_model_bytes: u64,
    shutdown: Shutdown,
}

impl ImportWorker {
    /// Takes up the imports of `queue` and starts runs in `pipelines`.
    pub fn new(pipelines: Pipelines, queue: Arc<dyn ImportQueue>, max_model_bytes: u64, shutdown: Shutdown) -> Self {
        Self {
            pipelines,
            queue,
            max_model_bytes,
            shutdown,
        }
    }

    /// Asks for imports `every` so often until the service stops.
    pub async fn run(self, every: Duration) {
        let stopping = self.shutdown.stopping_token();
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            while !self.shutdown.is_stopping() && self.turn().await == Turn::GoOn {}
        }
    }

    async fn turn(&self) -> Turn {
        let claim = match self.queue.claim().await {
            Ok(Some(claim)) => claim,
            Ok(None) => return Turn::Wait,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "imports cannot be asked for");
                return Turn::Wait;
            }
        };
        let ClaimId { model, version, number } = claim.id.clone();
        tracing::info!(%model, %version, claim = number, file = claim.file, "import taken up");
        let lease = claim.lease;
        let started = Mutex::new(None);
        let outcome = tokio::select! {
            outcome = self.work(&claim, &started) => outcome,
            () = self.keep_until_lost(&claim.id, lease) => Err(Halt::Lost),
        };
        self.pipelines.metrics().version_import_ended(match &outcome {
            Ok(_) => VersionImportOutcome::Done,
            Err(Halt::Failed(_)) => VersionImportOutcome::Failed,
            Err(Halt::PutBack(_)) => VersionImportOutcome::PutBack,
            Err(Halt::Lost) => VersionImportOutcome::Lost,
        });
        let (end, turn) = match outcome {
            // The gate's decision has marked it as done.
            Ok(run) => {
                tracing::info!(%model, %version, run_id = %run.id, "import done");
                return Turn::GoOn;
            }
            Err(Halt::Lost) => {
                tracing::warn!(%model, %version, claim = number, "claim on an import has ended: left to whoever has it now");
                self.cancel(&started).await;
                return Turn::GoOn;
            }
            Err(Halt::Failed(why)) => {
                tracing::warn!(%model, %version, why, "import failed");
                (ClaimEnd::Failed(why), Turn::GoOn)
            }
            Err(Halt::PutBack(why)) => {
                tracing::info!(%model, %version, why, "import put back");
                (ClaimEnd::PutBack, Turn::Wait)
            }
        };
        if let Err(error) = self.queue.end(&claim.id, &end).await {
            // The lease runs out, and it is taken up again.
            tracing::warn!(%model, %version, error = &error as &dyn std::error::Error, "registry was not told how an import ended");
        }
        turn
    }

    /// Prolongs the claim until somebody else has it.
    async fn keep_until_lost(&self, claim: &ClaimId, lease: Duration) {
        loop {
            tokio::time::sleep(lease / 3).await;
            match self.queue.keep(claim, None, "").await {
                Ok(Kept::Yes(_)) => {}
                Ok(Kept::No) => return,
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "claim could not be kept"),
            }
        }
    }

    async fn cancel(&self, started: &Mutex<Option<RunId>>) {
        let run = started.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(run) = run
            && let Err(error) = self.pipelines.cancel(&run).await
        {
            tracing::warn!(run_id = %run, error = &error as &dyn std::error::Error, "run could not be cancelled");
        }
    }

    async fn work(&self, claim: &Claim, started: &Mutex<Option<RunId>>) -> Result<Run, Halt> {
        let resolved = self.resolve(claim).await?;
        let plan = serde_json::to_string(&resolved).map_err(|error| Halt::Failed(error.to_string()))?;
        let mut request = match self.queue.keep(&claim.id, None, &plan).await? {
            Kept::Yes(held) => plan_in(&held)?,
            Kept::No => return Err(Halt::Lost),
        };
        let ClaimId { model, version, number } = &claim.id;
        request.model = model.clone();
        request.target = Some(ImportTarget {
            version: *version,
            claim: *number,
        });
        request.idempotency_key = format!("import of {model} {version}, claim {number}");
        let run = self.pipelines.start(request).await?;
        *started.lock().unwrap_or_else(PoisonError::into_inner) = Some(run.clone());
        if self.queue.keep(&claim.id, Some(&run), "").await? == Kept::No {
            return Err(Halt::Lost);
        }
        let run = self.ended(&run).await?;
        match run.state {
            State::Done => Ok(run),
            _ if self.shutdown.is_stopping() => Err(Halt::PutBack("the service is stopped".to_owned())),
            _ => {
                let why = run.error.unwrap_or_else(|| "it was cancelled".to_owned());
                Err(Halt::Failed(format!("run {}: {why}", run.id)))
            }
        }
    }

    /// The run to start. Its model file is kept.
    async fn resolve(&self, claim: &Claim) -> Result<RunRequest, Halt> {
        let bytes = self.queue.read(&claim.file, self.max_model_bytes).await?;
        if !claim.plan.is_empty() {
            let request = plan_in(&claim.plan)?;
            if let Some(file) = &request.import {
                self.pipelines.keep_again(&file.digest, bytes).await?;
            }
            return Ok(request);
        }
        let wanted = match &claim.wanted {
            Ok(wanted) => wanted.clone(),
            Err(error) => return Err(Halt::Failed(error.to_string())),
        };
        let mut request = wanted.request;
        if !wanted.names_rows {
            request.input = self.pipelines.known_rows(&claim.id.model).await?;
        } else if let Input::Snapshot { table, .. } = &request.input {
            self.pipelines.snapshots().get(table).await?;
        }
        let signature = claim.signature.clone();
        Ok(self.pipelines.take_in(request, wanted.sent, bytes, signature).await?)
    }

    /// Waits for the end of a run.
    async fn ended(&self, run: &RunId) -> Result<Run, Halt> {
        let mut follower = self.pipelines.follow(run, 0).await?;
        loop {
            let seen = follower.next().await?;
            if let Some(run) = seen.iter().find_map(|seen| seen.run.clone()) {
                return Ok(run);
            }
            if seen.is_empty() {
                return Err(Halt::PutBack(format!("run {run} is not at work here")));
            }
        }
    }
}

fn plan_in(text: &str) -> Result<RunRequest, Halt> {
    // Written by another release of Holdfast.
    let read = serde_json::from_str(text);
    read.map_err(|error| {
        Halt::Failed(format!(
            "what an earlier try resolved to do cannot be read ({error}): ask for the import again"
        ))
    })
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        let why = error.to_string();
        let passes = matches!(error, Error::Busy { .. } | Error::UploadsAtWork | Error::GivenUp);
        if passes || Fault::from(error).code.is_retryable() {
            Self::PutBack(why)
        } else {
            Self::Failed(why)
        }
    }
}

impl From<RegistryError> for Halt {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Away(_) => Self::PutBack(error.to_string()),
            RegistryError::Refused { .. } => Self::Failed(error.to_string()),
        }
    }
}
