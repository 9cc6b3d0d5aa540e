//! Trials of versions beside the champion, over the record of rollouts in the blob store.
//!
//! A rollout belongs to one generation of the champion. When another generation comes, the rollout is ended by whoever
//! notices first: the registry that moved the champion, or, if that one died in between, the next look of any. Inference
//! needs neither: it runs a rollout under its own generation alone.

mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdfast_chassis::clock::Clock;
use holdfast_domain::{ModelName, ModelVersion};
use holdfast_records::champion;
use holdfast_records::rollout::{
    Appended, Change, EndReason, Limits, Mode, NewEntry, Nonce, RolloutLog, Start, Verification,
};
use holdfast_storage::BlobStore;
use tokio::sync::watch;

use super::champions::{Champions, GateRule, accepting};
use super::models::Models;
use super::tally::Tally;
use crate::error::{Error, Result, Violation};
use crate::metrics::{Metrics, RolloutChange, RolloutLabels};
use crate::settings::RolloutDefaults;

pub use state::{Ending, Rollout, State};

/// Who ends a rollout when it is no person and no replica.
const REGISTRY: &str = "registry";
/// Largest share of a canary: half of the customers meet the champion whatever happens.
const LARGEST_CANARY: f64 = 0.5;

/// What a rollout is asked for with. What is `None` is taken from the settings.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The version to try.
    pub version: ModelVersion,
    /// How.
    pub mode: Mode,
    /// Share of the requests.
    pub share: Option<f64>,
    /// Limit of the error rate.
    pub max_error_rate: Option<f64>,
    /// Limit of the latency ratio.
    pub max_latency_ratio: Option<f64>,
    /// Requests before the challenger is judged.
    pub min_requests: Option<u64>,
    /// Whether a canary needs the gate's word.
    pub rule: GateRule,
    /// Who does it.
    pub actor: String,
    /// A note in words.
    pub note: String,
}

/// The rollouts of all models.
#[derive(Clone, Debug)]
pub struct Rollouts {
    blobs: Arc<dyn BlobStore>,
    models: Models,
    champions: Champions,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    defaults: RolloutDefaults,
    /// One channel for each model that is watched or tried; its value is the newest state known here.
    channels: Arc<Mutex<HashMap<ModelName, watch::Sender<Arc<State>>>>>,
}

impl Rollouts {
    /// Rollouts in `blobs`, of versions in `models`, beside `champions`.
    pub fn new(
        blobs: Arc<dyn BlobStore>,
        (models, champions): (Models, Champions),
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        defaults: RolloutDefaults,
    ) -> Self {
        Self {
            blobs,
            models,
            champions,
            clock,
            metrics,
            defaults,
            channels: Arc::default(),
        }
    }

    /// Puts a version on trial.
    ///
    /// # Errors
    /// [`Error::RolloutNeedsChampion`], [`Error::IsChampion`], [`Error::VersionNotReady`], [`Error::GateRefuses`],
    /// [`Error::RolloutRuns`], [`Error::RolloutLostRace`]; a missing or altered artefact; the stores'.
    pub async fn start(&self, model: &ModelName, wanted: Wanted) -> Result<Rollout> {
        let (share, limits) = self.checked(&wanted)?;
        let record = self.models.version(model, wanted.version).await?;
        let artifact_digest = record.id()?.artifact_digest;
        let champion = match self.champions.champion(model, None).await {
            Err(Error::NoChampion(model)) => return Err(Error::RolloutNeedsChampion(model)),
            found => found?.entry,
        };
        if champion.version == wanted.version {
            return Err(Error::IsChampion {
                model: model.clone(),
                version: wanted.version,
            });
        }
        let evaluation_digest = match (wanted.mode, wanted.rule) {
            (Mode::Canary, GateRule::Decision) => Some(accepting(&record, champion.generation)?.evaluation_digest),
            (Mode::Canary, GateRule::Override) | (Mode::Shadow, _) => None,
        };
        let state = self.settled(model).await?;
        if let Some(running) = state.running() {
            return Err(runs(running));
        }
        self.models
            .check_artifact(model, wanted.version, artifact_digest)
            .await?;
        let start = Start {
            version: wanted.version,
            artifact_digest,
            mode: wanted.mode,
            share,
            limits,
            champion_generation: champion.generation,
            champion_version: champion.version,
            evaluation_digest,
        };
        let entry = self.entry(Change::Start(start), &wanted.actor, &wanted.note);
        match self.log(model).append(state.revision, entry).await? {
            Appended::Won(stored) => {
                let started = Rollout::begun(stored)?;
                self.announce(model, State::started(started.clone()));
                self.count(RolloutChange::Started);
                tracing::info!(
                    %model,
                    version = %started.start.version,
                    revision = started.revision,
                    mode = ?started.start.mode,
                    share,
                    actor = started.actor,
                    note = started.note,
                    "rollout started"
                );
                self.still_beside_its_champion(model, started).await
            }
            Appended::Lost { .. } => {
                let state = self.read(model).await?;
                self.announce(model, state.clone());
                Err(state.running().map_or_else(|| lost(&state), runs))
            }
        }
    }

    /// The champion may have moved while the rollout was written.
    async fn still_beside_its_champion(&self, model: &ModelName, started: Rollout) -> Result<Rollout> {
        let state = self.settled(model).await?;
        match state.newest {
            Some(newest) if newest.revision == started.revision => Ok(newest),
            _ => Ok(started),
        }
    }

    /// Share and limits as they will be, or every rule they break.
    fn checked(&self, wanted: &Wanted) -> Result<(f64, Limits)> {
        let (default_share, largest) = match wanted.mode {
            Mode::Canary => (self.defaults.canary_share, LARGEST_CANARY),
            Mode::Shadow => (self.defaults.shadow_share, 1.0),
        };
        let share = wanted.share.unwrap_or(default_share);
        let limits = Limits {
            max_error_rate: wanted.max_error_rate.unwrap_or(self.defaults.max_error_rate),
            max_latency_ratio: wanted.max_latency_ratio.unwrap_or(self.defaults.max_latency_ratio),
            min_requests: wanted.min_requests.unwrap_or(self.defaults.min_requests),
        };
        let mut found = Vec::new();
        let mut check = |field: &str, holds: bool, description: &str| {
            if !holds {
                found.push(Violation::new(field, "range", description));
            }
        };
        let shares = format!("is {share}, but must be above 0 and at most {largest}");
        check("share", share > 0.0 && share <= largest, &shares);
        check(
            "max_error_rate",
            (0.0..=1.0).contains(&limits.max_error_rate),
            "must be between 0 and 1",
        );
        check(
            "max_latency_ratio",
            limits.max_latency_ratio > 1.0 && limits.max_latency_ratio.is_finite(),
            "must be above 1",
        );
        check("min_requests", limits.min_requests > 0, "must be at least 1");
        if wanted.actor.trim().is_empty() {
            found.push(Violation::new("actor", "required", "must name who starts the rollout"));
        }
        if wanted.mode == Mode::Canary && wanted.rule == GateRule::Override && wanted.note.trim().is_empty() {
            let why = "an override of the gate needs a note that says why";
            found.push(Violation::new("note", "required", why));
        }
        Violation::none(found)?;
        Ok((share, limits))
    }

    /// Ends the rollout that runs, if it is the one of `revision`.
    ///
    /// # Errors
    /// [`Error::NoRolloutRuns`], [`Error::RolloutLostRace`]; the blob store's.
    pub async fn stop(&self, model: &ModelName, revision: Option<u64>, actor: &str, note: &str) -> Result<Rollout> {
        if actor.trim().is_empty() {
            return Err(Violation::new("actor", "required", "must name who ends the rollout").into());
        }
        let state = self.read(model).await?;
        let Some(running) = state.running() else {
            return Err(Error::NoRolloutRuns(model.clone()));
        };
        if revision.is_some_and(|revision| revision != running.revision) {
            return Err(lost(&state));
        }
        match self.end(model, &state, EndReason::Stopped, (actor, note)).await? {
            Some(ended) => Ok(ended),
            None => Err(lost(&self.read(model).await?)),
        }
    }

    /// Writes the end of what runs in `state`. `None`: somebody else was first, and the watchers are told what is now.
    async fn end(
        &self,
        model: &ModelName,
        state: &State,
        reason: EndReason,
        (actor, note): (&str, &str),
    ) -> Result<Option<Rollout>> {
        let Some(running) = state.running() else {
            return Ok(None);
        };
        let entry = self.entry(Change::End { reason }, actor, note);
        match self.log(model).append(state.revision, entry).await? {
            Appended::Won(stored) => {
                let ended = Rollout {
                    ending: Ending::of(&stored),
                    ..running.clone()
                };
                let now = State {
                    revision: stored.entry.revision,
                    newest: Some(ended.clone()),
                };
                self.announce(model, now);
                self.count(RolloutChange::of(reason));
                tracing::info!(
                    %model,
                    version = %ended.start.version,
                    revision = ended.revision,
                    ?reason,
                    actor,
                    note,
                    "rollout ended"
                );
                Ok(Some(ended))
            }
            Appended::Lost { .. } => {
                let now = self.read(model).await?;
                self.announce(model, now);
                Ok(None)
            }
        }
    }

    /// The newest rollout.
    ///
    /// # Errors
    /// [`Error::NoRollout`]; the blob store's.
    pub async fn newest(&self, model: &ModelName) -> Result<Rollout> {
        let state = self.settled(model).await?;
        state.newest.ok_or_else(|| Error::NoRollout(model.clone()))
    }

    /// All rollouts, oldest first, and the verdict on the record's chain. A broken chain answers what lies before the break.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn history(&self, model: &ModelName) -> Result<(Vec<Rollout>, Verification)> {
        let (entries, verdict) = self.log(model).audit().await?;
        Ok((state::rollouts(entries)?, verdict))
    }

    /// The state as it changes. The receiver holds the state of now; a later value always has a higher revision. A record
    /// that cannot be read is logged and looks empty: following the champion must not depend on it.
    pub async fn watch(&self, model: &ModelName) -> watch::Receiver<Arc<State>> {
        // Subscribed before the read, so that a change between the two is not missed.
        let receiver = self.channel(model).subscribe();
        if let Err(error) = self.settled(model).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, %model, "the record of rollouts cannot be read; watchers are told of none");
        }
        receiver
    }

    /// Takes note that a model's champion may have moved, and ends the rollout beside the one before. A failure is logged:
    /// the next look makes up for it.
    pub async fn champion_moved(&self, model: &ModelName) {
        if let Err(error) = self.settled(model).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, %model, "the rollout beside the champion before cannot be ended yet");
        }
    }

    /// Takes a replica's word. One that broke a limit, or could not prepare the challenger, ends the rollout for all. A
    /// failure is logged: the replica says it again.
    pub async fn heard(&self, model: &ModelName, replica: &str, tally: &Tally) {
        let Some(reason) = tally.state.ends() else {
            return;
        };
        if self.channel(model).borrow().revision > tally.revision {
            // It has ended already.
            return;
        }
        let ended = async {
            let state = self.read(model).await?;
            match state.running() {
                Some(running) if running.revision == tally.revision => self
                    .end(model, &state, reason, (replica, &tally.message))
                    .await
                    .map(drop),
                _ => {
                    self.announce(model, state);
                    Ok(())
                }
            }
        };
        if let Err(error) = ended.await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error, %model, replica, "a rollout that broke a limit cannot be ended yet");
        }
    }

    /// Looks for what other registry replicas have written, for every model somebody watches, and ends what its champion
    /// has left behind.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn refresh(&self) -> Result<()> {
        let known: Vec<(ModelName, Arc<State>)> = self
            .lock()
            .iter()
            .map(|(model, channel)| (model.clone(), channel.borrow().clone()))
            .collect();
        for (model, state) in known {
            let news = self.log(&model).head_after(state.revision).await?.is_some();
            if news || state.running().is_some() {
                self.settled(&model).await?;
            }
        }
        Ok(())
    }

    /// What the record says, after a rollout that its champion has left behind was ended. The watchers are told.
    async fn settled(&self, model: &ModelName) -> Result<State> {
        let state = self.read(model).await?;
        self.announce(model, state.clone());
        let Some(running) = state.running() else {
            return Ok(state);
        };
        let champion: champion::ChampionEntry = self.champions.champion(model, None).await?.entry;
        if champion.generation <= running.start.champion_generation {
            return Ok(state);
        }
        let reason = if champion.version == running.start.version {
            EndReason::Promoted
        } else {
            EndReason::ChampionReplaced
        };
        let note = format!(
            "generation {} of the champion: version {}",
            champion.generation, champion.version
        );
        self.end(model, &state, reason, (REGISTRY, &note)).await?;
        self.read(model).await
    }

    async fn read(&self, model: &ModelName) -> Result<State> {
        State::read(&self.log(model)).await
    }

    fn entry(&self, change: Change, actor: &str, note: &str) -> NewEntry {
        NewEntry {
            change,
            actor: actor.to_owned(),
            note: note.to_owned(),
            at: self.clock.now(),
            nonce: Nonce::generate(),
        }
    }

    fn count(&self, change: RolloutChange) {
        self.metrics.rollouts.get_or_create(&RolloutLabels { change }).inc();
    }

    fn log(&self, model: &ModelName) -> RolloutLog {
        RolloutLog::new(Arc::clone(&self.blobs), model.clone())
    }

    fn channel(&self, model: &ModelName) -> watch::Sender<Arc<State>> {
        self.lock().entry(model.clone()).or_default().clone()
    }

    /// Tells the watchers, unless they know as much or more.
    fn announce(&self, model: &ModelName, state: State) {
        self.channel(model).send_if_modified(|known| {
            let newer = known.revision < state.revision;
            if newer {
                *known = Arc::new(state);
            }
            newer
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ModelName, watch::Sender<Arc<State>>>> {
        // The map is whole at every point where a holder could panic.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runs(running: &Rollout) -> Error {
    Error::RolloutRuns {
        model: running.model.clone(),
        version: running.start.version,
        revision: running.revision,
    }
}

fn lost(state: &State) -> Error {
    Error::RolloutLostRace {
        revision: state.revision,
        running: state.running().map(|running| running.revision),
    }
}
