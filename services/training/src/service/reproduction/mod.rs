//! Versions made again: the same snapshots, recipe and seed must give the same bytes; of an imported version, the same snapshots, file and seed.
//!
//! Nothing is changed and nothing is stored. One version at a time: making one takes all threads that a training takes. A version made by
//! another version of the code is tried like any other; the verdict says which code made which.

mod differences;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use holdfast_chassis::Shutdown;
use holdfast_domain::{Customer, Digest, ModelName, ModelVersion, Schema};
use holdfast_model::{Model, Origin, Provenance};
use holdfast_records::{model_file, snapshot};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::fitting::{FitError, ImportedPlan, Plan, fit, take_over};
use super::imported::ImportPlan;
use super::recipe::{NoRecipe, Recipe};
use super::trainer::{Progress, TrainError};
use super::versions::{RegisteredArtifact, Versions};
use crate::error::{Error, Result};

/// Most threads that a caller may ask for.
pub const MAX_THREADS: usize = 64;

/// What a reproduction came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Reproduction {
    /// SHA-256 of the registered artefact.
    pub registered_digest: Digest,
    /// SHA-256 of the artefact made again.
    pub rebuilt_digest: Digest,
    /// Where the two differ, part by part; empty when they are the same bytes.
    pub differences: Vec<String>,
    /// How long it took.
    pub duration: Duration,
    /// Version of the code that trained the registered artefact.
    pub registered_code_version: String,
    /// Version of the code that made it again.
    pub code_version: &'static str,
}

impl Reproduction {
    /// Whether every byte is the same.
    pub fn is_identical(&self) -> bool {
        self.registered_digest == self.rebuilt_digest
    }
}

/// What comes of following a reproduction.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// 0 to 1.
    Progress(f64),
    /// The last news.
    Verdict(Box<Reproduction>),
}

/// Makes versions again. Clones count as one.
#[derive(Clone, Debug)]
pub struct Reproductions {
    versions: Versions,
    shutdown: Shutdown,
    threads: usize,
    progress_interval: Duration,
    at_work: Arc<Semaphore>,
}

impl Reproductions {
    /// Of the versions on record, with `threads` threads unless a caller asks for others.
    pub fn new(versions: Versions, shutdown: Shutdown, threads: usize, progress_interval: Duration) -> Self {
        Self {
            versions,
            shutdown,
            threads,
            progress_interval,
            at_work: Arc::new(Semaphore::new(1)),
        }
    }

    /// Starts making a version again; `threads` 0 means the service's own.
    ///
    /// # Errors
    /// [`Error::ReproductionAtWork`]; [`Error::NoSuchVersion`], [`Error::VersionPending`]; [`Error::NotReproducible`] for a version whose
    /// snapshots, recipe or model file are not known; [`Error::Damaged`] when the artefact, a snapshot or the file is not what was
    /// registered; the stores'.
    pub async fn start(&self, model: &ModelName, version: ModelVersion, threads: usize) -> Result<Reproducing> {
        let permit = Arc::clone(&self.at_work)
            .try_acquire_owned()
            .map_err(|_| Error::ReproductionAtWork)?;
        if self.shutdown.is_stopping() {
            return Err(Error::Ending);
        }
        let facts = self.versions.facts(model, version).await?;
        let registered = self.versions.artifact(&facts).await?;
        let (origin, training, test) = ingredients(version, &registered)?;
        let source = self.source(version, origin).await?;
        let rows = self.rows(version, &training).await?;
        // The test rows have no part in the bytes, but a reproduction vouches for the whole record.
        self.rows(version, &test).await?;
        let work = Work {
            version,
            registered,
            source,
            training,
            test,
            rows,
            threads: if threads == 0 { self.threads } else { threads },
            schema: self.versions.schema,
        };
        tracing::info!(%model, %version, threads = work.threads, "reproduction started");
        Ok(self.spawn(work, permit))
    }

    fn spawn(&self, work: Work, permit: OwnedSemaphorePermit) -> Reproducing {
        let cancel = self.shutdown.stopping_token().child_token();
        let (sender, progress) = watch::channel(0.0);
        let given_up = cancel.clone();
        let work = self.shutdown.spawn_blocking("reproducing", move || {
            // Given back when the work has ended, also if nobody waits for it any more.
            let _permit = permit;
            work.run(&sender, &given_up)
        });
        let mut ticks = tokio::time::interval(self.progress_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Reproducing {
            work: Some(work),
            progress,
            last: 0.0,
            ticks,
            _cancel: cancel.drop_guard(),
        }
    }

    /// The recipe, or the plan with its file.
    async fn source(&self, version: ModelVersion, origin: &Origin) -> Result<Source> {
        let refused = |why: String| Error::NotReproducible { version, why };
        let unread = |what: &str, error: NoRecipe| {
            refused(format!(
                "code version {} wrote its {what} in another way than {} reads: {error}",
                origin.code_version,
                env!("CARGO_PKG_VERSION")
            ))
        };
        if origin.provenance == Provenance::Trained {
            let recipe = Recipe::from_parameters(&origin.parameters);
            return Ok(Source::Recipe(recipe.map_err(|error| unread("recipe", error))?));
        }
        let plan = ImportPlan::from_parameters(&origin.parameters).map_err(|error| unread("import", error))?;
        match model_file::read(&*self.versions.blobs, &plan.file).await {
            Ok(file) => Ok(Source::File(plan, file)),
            Err(error) if error.is_not_found() => Err(refused(format!(
                "its model file {} is not in the blob store",
                plan.file
            ))),
            Err(error) => Err(unreadable(version, error)),
        }
    }

    async fn rows(&self, version: ModelVersion, digest: &Digest) -> Result<Vec<Customer>> {
        let read = snapshot::read(&*self.versions.blobs, digest, self.versions.schema).await;
        match read {
            Ok((_, rows)) => Ok(rows),
            Err(error) if error.is_not_found() => Err(Error::NotReproducible {
                version,
                why: format!("snapshot {digest} is not in the blob store"),
            }),
            Err(error) => Err(unreadable(version, error)),
        }
    }
}

fn unreadable(version: ModelVersion, error: holdfast_records::Error) -> Error {
    match error {
        holdfast_records::Error::Format { key, source } => Error::Damaged {
            version,
            why: format!("{key}: {source}"),
        },
        other => other.into(),
    }
}

/// What the artefact says it was made of.
fn ingredients(version: ModelVersion, registered: &RegisteredArtifact) -> Result<(&Origin, Digest, Digest)> {
    let origin = registered.model.origin();
    let refused = |why: String| Error::NotReproducible { version, why };
    let one = |what: &str, digests: &[Digest]| match digests {
        [digest] => Ok(*digest),
        others => Err(refused(format!("it names {} {what} snapshots, not one", others.len()))),
    };
    let training = one("training", &origin.training_snapshots)?;
    let test = one("test", &origin.test_snapshots)?;
    Ok((origin, training, test))
}

/// What a version was made of beside rows and seed.
enum Source {
    Recipe(Recipe),
    File(ImportPlan, Bytes),
}

/// Everything that is needed to make a version again.
struct Work {
    version: ModelVersion,
    registered: RegisteredArtifact,
    source: Source,
    training: Digest,
    test: Digest,
    rows: Vec<Customer>,
    threads: usize,
    schema: &'static Schema,
}

impl Work {
    fn run(self, progress: &watch::Sender<f64>, given_up: &CancellationToken) -> Result<Reproduction> {
        let begun = Instant::now();
        let origin = self.registered.model.origin();
        let rebuilt = self.rebuild(&mut |done| {
            progress.send_replace(done);
            if given_up.is_cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let (bytes, model) = rebuilt.map_err(|error| match error {
            FitError::Train(TrainError::Cancelled) => Error::GivenUp,
            other => Error::NotReproducible {
                version: self.version,
                why: other.to_string(),
            },
        })?;
        let rebuilt_digest = Digest::of(&bytes);
        let differences = if rebuilt_digest == self.registered.digest {
            Vec::new()
        } else {
            differences::between(&self.registered.model, &model)
        };
        let reproduction = Reproduction {
            registered_digest: self.registered.digest,
            rebuilt_digest,
            differences,
            duration: begun.elapsed(),
            registered_code_version: origin.code_version.clone(),
            code_version: env!("CARGO_PKG_VERSION"),
        };
        tracing::info!(
            version = %self.version, identical = reproduction.is_identical(), differences = ?reproduction.differences,
            duration_ms = reproduction.duration.as_millis(), "reproduction done"
        );
        Ok(reproduction)
    }

    /// The artefact's bytes, and the model in them.
    fn rebuild(&self, progress: Progress<'_>) -> std::result::Result<(Vec<u8>, Model), FitError> {
        let seed = self.registered.model.origin().seed;
        match &self.source {
            Source::Recipe(recipe) => {
                let plan = Plan {
                    recipe,
                    seed,
                    threads: self.threads,
                    training_snapshot: self.training,
                    test_snapshot: self.test,
                };
                let made = fit(&self.rows, &plan, self.schema, progress)?;
                Ok((made.artifact, made.model))
            }
            Source::File(plan, file) => {
                let imported = ImportedPlan {
                    plan,
                    file,
                    seed,
                    training_snapshot: self.training,
                    test_snapshot: self.test,
                };
                let made = take_over(&self.rows, &imported, self.schema, progress)?;
                Ok((made.bytes, made.model))
            }
        }
    }
}

/// A version being made again. Dropping it gives the work up.
#[derive(Debug)]
pub struct Reproducing {
    work: Option<JoinHandle<Result<Reproduction>>>,
    progress: watch::Receiver<f64>,
    last: f64,
    ticks: Interval,
    _cancel: DropGuard,
}

impl Reproducing {
    /// Waits for news; `None` after the verdict.
    ///
    /// # Errors
    /// [`Error::NotReproducible`] when it cannot be trained again, [`Error::GivenUp`] when the service ends.
    pub async fn next(&mut self) -> Result<Option<News>> {
        let Some(work) = &mut self.work else { return Ok(None) };
        loop {
            tokio::select! {
                biased;
                ended = &mut *work => {
                    self.work = None;
                    let reproduction = ended.map_err(|_| Error::Panicked)??;
                    return Ok(Some(News::Verdict(Box::new(reproduction))));
                }
                _ = self.ticks.tick() => {
                    let now = *self.progress.borrow();
                    if now > self.last {
                        self.last = now;
                        return Ok(Some(News::Progress(now)));
                    }
                }
            }
        }
    }
}
