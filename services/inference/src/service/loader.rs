//! Prepare, then swap: how a champion comes into service.
//!
//! It is prepared as [`preparation`](super::preparation) says. Only then one atomic store puts it in service. Whatever fails
//! leaves the model before in service, is counted and reported, and is tried again for as long as that champion is the
//! target.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use holdfast_chassis::clock::Clock;
use holdfast_chassis::{Condition, Shutdown};
use holdfast_model::Model;

use super::preparation::{LoadError, PreparedModel, Preparer, verify};
use super::serving::{Serving, ServingModel};
use super::status::{LoadFailure, LoadState, StatusBoard};
use super::target::{Notice, Target, Targets};
use crate::metrics::Metrics;
use crate::settings::{ChampionSettings, waits};

/// Brings champions into service.
#[derive(Debug)]
pub struct Loader {
    /// What is to serve.
    pub targets: Targets,
    /// What serves.
    pub serving: Arc<Serving>,
    /// What is said about it.
    pub board: StatusBoard,
    /// Prepares champions, and knows the artefacts on local disk.
    pub preparer: Preparer,
    /// Counts and times.
    pub metrics: Metrics,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Holds once a model serves.
    pub ready: Condition,
    /// Waits.
    pub settings: ChampionSettings,
    /// Waits for writes to local disk.
    pub shutdown: Shutdown,
}

impl Loader {
    /// Puts the last good model on local disk in service, if there is one. Registry and blob store are not asked.
    pub async fn start_from_disk(&self, model: &holdfast_domain::ModelName) {
        let Some(target) = self.preparer.disk.entry(model) else {
            self.ready.set_not_ready("no champion yet");
            return;
        };
        let Some(bytes) = self.preparer.disk.artifact(&target.artifact_digest) else {
            self.ready
                .set_not_ready("no champion yet; the one on local disk is damaged");
            return;
        };
        match verify(bytes, target.artifact_digest).await {
            Ok(model) => {
                tracing::info!(version = %target.version, generation = %target.generation, "serving the last good model from local disk");
                self.targets.remember(target.clone());
                self.put_in_service(model, &target, Duration::ZERO);
            }
            Err(error) => {
                tracing::warn!(%error, version = %target.version, "the last good model on local disk cannot be used");
            }
        }
    }

    /// Follows the target, for ever.
    pub async fn run(&self) {
        let mut targets = self.targets.watch();
        loop {
            let notice = targets.borrow_and_update().clone();
            let wanted = notice.filter(|notice| {
                self.serving
                    .current()
                    .is_none_or(|serving| serving.target != notice.target)
            });
            match wanted {
                None => {
                    if targets.changed().await.is_err() {
                        return;
                    }
                }
                Some(notice) => {
                    let newer = async { drop(targets.changed().await) };
                    // A newer champion ends the attempts at this one.
                    let loaded = tokio::select! {
                        fetched = self.load_until_it_works(&notice) => Some(fetched),
                        () = newer => None,
                    };
                    // Outside of the select: what came into service is kept to the end before the next one is looked at,
                    // or an older write could undo a newer one.
                    if let Some(fetched) = loaded {
                        self.keep(notice.target, fetched).await;
                    }
                }
            }
        }
    }

    /// Answers the artefact once it serves, unless it is on local disk already.
    async fn load_until_it_works(&self, notice: &Notice) -> Option<Bytes> {
        let target = &notice.target;
        let mut pauses = waits(self.settings.retry_initial_ms, self.settings.retry_max_ms);
        self.board.change(|state| {
            state.target_generation = target.generation;
            state.load = LoadState::Loading;
        });
        loop {
            match self.load(notice).await {
                Ok(fetched) => return fetched,
                Err(error) => {
                    let pause = pauses.next().unwrap_or_default();
                    self.failed(target, &error, pause);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn failed(&self, target: &Target, error: &LoadError, pause: Duration) {
        tracing::error!(
            %error,
            stage = error.stage.name(),
            version = %target.version,
            generation = %target.generation,
            retry_in_ms = pause.as_millis(),
            "cannot load the champion; the one before serves on"
        );
        self.metrics.load_failed(error.stage);
        let failure = LoadFailure {
            target: target.clone(),
            message: error.message.clone(),
            failed_at: self.clock.now(),
        };
        self.board.change(|state| {
            state.load = LoadState::Failed;
            state.last_failure = Some(failure);
        });
        if self.serving.current().is_none() {
            self.ready.set_not_ready(format!(
                "champion version {} cannot be loaded: {}",
                target.version, error.message
            ));
        }
    }

    async fn load(&self, notice: &Notice) -> Result<Option<Bytes>, LoadError> {
        let target = &notice.target;
        let prepared = match self.serving.with_digest(&target.artifact_digest) {
            // The same artefact under a new generation.
            Some(model) => PreparedModel { model, fetched: None },
            None => self.preparer.prepare(target).await?,
        };
        self.put_in_service(prepared.model, target, notice.at.elapsed());
        Ok(prepared.fetched)
    }

    fn put_in_service(&self, model: Arc<Model>, target: &Target, reload: Duration) {
        let since = self.clock.now();
        let serving = Arc::new(ServingModel::new(model, target.clone(), since));
        self.metrics.serves(
            target.model.as_str(),
            target.version.0,
            &serving.digest_text,
            target.generation.0,
        );
        self.serving.swap(serving);
        if !reload.is_zero() {
            self.metrics.reload.observe(reload);
        }
        tracing::info!(version = %target.version, generation = %target.generation, reload_ms = reload.as_millis(), "model in service");
        self.board.change(|state| {
            state.serving = Some((target.clone(), since));
            state.target_generation = target.generation;
            state.load = LoadState::Settled;
            state.last_reload = reload;
            state.last_failure = None;
        });
        self.ready
            .set_ready(format!("champion version {} loaded", target.version));
    }

    /// Keeps what serves for the next start. A disk that is full must not end the service.
    async fn keep(&self, target: Target, fetched: Option<Bytes>) {
        let disk = self.preparer.disk.clone();
        // Tracked: the end of the service waits for it, so that the next start finds what served last.
        let keeping = self
            .shutdown
            .spawn_blocking("keep model", move || disk.keep(&target, fetched.as_deref()));
        let kept = keeping.await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "cannot keep the model on local disk");
        }
    }
}
