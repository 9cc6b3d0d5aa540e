//! Promotion, rollback, history and watching, over the champion log in the blob store.

mod approved;
mod proof;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_chassis::clock::Clock;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_records::champion::{Appended, ChampionLog, ChampionReason, NewEntry, Nonce, StoredEntry, Verification};
use holdfast_storage::BlobStore;
use jiff::Timestamp;
use tokio::sync::watch;

use super::approvals::{Approvals, Asked, Candidate, Promotion};
use super::gate::GateDecision;
use super::models::{Models, VersionRecord};
use super::replicas::Replicas;
use crate::error::{Error, Result, Violation};
use crate::metrics::{Metrics, MoveLabels, MoveOutcome, MoveReason};

/// Whether a promotion needs the gate's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateRule {
    /// An accepting decision against the champion in force.
    Decision,
    /// A person's word, with a note.
    Override,
}

/// Whether a rollback needs a version that is proven to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadRule {
    /// Replicas have served it, or its golden rows score as recorded; and no replica failed to load it last.
    Proven,
    /// A person's word, with a note.
    Override,
}

/// How a promotion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// It is in the champion log.
    Made(Box<StoredEntry>),
    /// Approvers have to be asked.
    Waiting(Box<Promotion>),
}

/// The whole champion log of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Oldest first, up to the first that is broken.
    pub entries: Vec<StoredEntry>,
    /// What is broken first, if something is.
    pub broken: Option<Break>,
}

/// Where a champion log is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The generation at fault.
    pub generation: Generation,
    /// What differs, as a sentence that names the model and the generation.
    pub what: String,
}

/// What a promotion or rollback is made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The generation the caller saw; `None`: whatever is newest.
    pub expected: Option<Generation>,
    /// Who does it.
    pub actor: String,
    /// A note in words.
    pub note: String,
}

type State = Option<Arc<StoredEntry>>;

/// The champions of all models.
#[derive(Clone, Debug)]
pub struct Champions {
    blobs: Arc<dyn BlobStore>,
    models: Models,
    approvals: Approvals,
    replicas: Replicas,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    /// One channel for each model that is watched or moved; its value is the newest entry known here.
    channels: Arc<Mutex<HashMap<ModelName, watch::Sender<State>>>>,
    /// Told whenever an entry that is new here is known.
    moved: watch::Sender<()>,
}

impl Champions {
    /// Champions in `blobs`, of versions in `models`; what replicas said about loading them is in `replicas`.
    pub fn new(
        blobs: Arc<dyn BlobStore>,
        models: Models,
        (approvals, replicas): (Approvals, Replicas),
        clock: Arc<dyn Clock>,
        metrics: Metrics,
    ) -> Self {
        Self {
            blobs,
            models,
            approvals,
            replicas,
            clock,
            metrics,
            channels: Arc::default(),
            moved: watch::Sender::new(()),
        }
    }

    fn log(&self, model: &ModelName) -> ChampionLog {
        ChampionLog::new(self.blobs.clone(), model.clone())
    }

    /// Makes a version champion, or asks the approvers if the model has some. An override of the gate needs them too.
    ///
    /// # Errors
    /// [`Error::VersionNotReady`], [`Error::GateRefuses`], [`Error::LostRace`], [`Error::StarterUnknown`]; the stores'.
    pub async fn promote(
        &self,
        model: &ModelName,
        version: ModelVersion,
        rule: GateRule,
        by: Move,
    ) -> Result<Promoted> {
        check_actor(&by)?;
        let record = self.models.version(model, version).await?;
        let artifact_digest = record.id()?.artifact_digest;
        let head = self.log(model).head().await?;
        let expected = expected(&by, head.as_ref())?;
        let reason = match rule {
            GateRule::Override => {
                if by.note.trim().is_empty() {
                    return Err(Violation::new(
                        "note",
                        "required",
                        "an override of the gate needs a note that says why",
                    )
                    .into());
                }
                ChampionReason::Override { note: by.note }
            }
            GateRule::Decision => {
                let decision = accepting(&record, expected)?;
                ChampionReason::Promotion {
                    evaluation_digest: decision.evaluation_digest,
                    run_id: record.run_id.parse().ok(),
                    note: by.note,
                }
            }
        };
        if self.approvals.needed(model) > 0 {
            let candidate = Candidate {
                version,
                artifact_digest,
                expected,
                run_started_by: self.models.run_started_by(&record).await?,
            };
            let note = reason.note().to_owned();
            let asked = Asked {
                candidate,
                reason,
                actor: by.actor,
                note,
            };
            let waiting = self.approvals.ask(model, asked).await?;
            return Ok(Promoted::Waiting(Box::new(waiting)));
        }
        let entry = self.new_entry((version, artifact_digest), by.actor, reason);
        Ok(Promoted::Made(Box::new(self.append(model, expected, entry).await?)))
    }

    /// Makes an earlier champion champion again: `to`, or the one before the one in force. It needs no approvers: going back
    /// to what served before must not wait for anybody.
    ///
    /// # Errors
    /// [`Error::NoChampion`], [`Error::NeverChampion`], [`Error::NoEarlierChampion`], [`Error::ArtifactMissing`],
    /// [`Error::ArtifactDigest`], [`Error::NotProvenToLoad`], [`Error::LostRace`]; the stores'.
    pub async fn rollback(
        &self,
        model: &ModelName,
        to: Option<ModelVersion>,
        rule: LoadRule,
        by: Move,
    ) -> Result<StoredEntry> {
        check_actor(&by)?;
        if rule == LoadRule::Override && by.note.trim().is_empty() {
            let why = "a rollback to a version that is not proven to load needs a note that says why";
            return Err(Violation::new("note", "required", why).into());
        }
        let history = self.log(model).history().await?;
        let head = history.last().ok_or_else(|| Error::NoChampion(model.clone()))?;
        let expected = expected(&by, Some(head))?;
        let target = match to {
            Some(version) => history
                .iter()
                .rev()
                .find(|stored| stored.entry.version == version)
                .ok_or_else(|| Error::NeverChampion {
                    model: model.clone(),
                    version,
                })?,
            None => history
                .iter()
                .rev()
                .find(|stored| stored.entry.version != head.entry.version)
                .ok_or_else(|| Error::NoEarlierChampion(model.clone()))?,
        };
        let (version, digest) = (target.entry.version, target.entry.artifact_digest);
        let artifact = self.models.artifact(model, version, digest).await?;
        if rule == LoadRule::Proven {
            self.proven_to_load(model, version, &history, artifact).await?;
        }
        let reason = ChampionReason::Rollback { note: by.note };
        let entry = self.new_entry((version, digest), by.actor, reason);
        self.append(model, expected, entry).await
    }

    fn new_entry(
        &self,
        (version, artifact_digest): (ModelVersion, Digest),
        actor: String,
        reason: ChampionReason,
    ) -> NewEntry {
        NewEntry {
            version,
            artifact_digest,
            actor,
            reason,
            approval: None,
            at: self.clock.now(),
            nonce: Nonce::generate(),
        }
    }

    async fn append(&self, model: &ModelName, expected: Generation, entry: NewEntry) -> Result<StoredEntry> {
        let version = entry.version;
        let label = match &entry.reason {
            ChampionReason::Promotion { .. } => MoveReason::Promotion,
            ChampionReason::Rollback { .. } => MoveReason::Rollback,
            ChampionReason::Override { .. } => MoveReason::Override,
        };
        let count = |outcome| {
            self.metrics
                .champion_moves
                .get_or_create(&MoveLabels { reason: label, outcome })
                .inc()
        };
        let appended = self.log(model).append(expected, entry).await.inspect_err(|_| {
            count(MoveOutcome::Failed);
        })?;
        match appended {
            Appended::Won(stored) => {
                tracing::info!(%model, %version, generation = stored.entry.generation.0, actor = stored.entry.actor, "champion moved");
                count(MoveOutcome::Won);
                self.announce(model, stored.clone());
                Ok(stored)
            }
            Appended::Lost { current } => {
                count(MoveOutcome::Lost);
                if let Some(current) = &current {
                    self.announce(model, current.clone());
                }
                Err(Error::LostRace {
                    expected,
                    current: current.map(|stored| Box::new(stored.entry)),
                })
            }
        }
    }

    /// The champion now, or at a time.
    ///
    /// # Errors
    /// [`Error::NoChampion`], [`Error::NoChampionThen`]; the blob store's.
    pub async fn champion(&self, model: &ModelName, at: Option<Timestamp>) -> Result<StoredEntry> {
        let log = self.log(model);
        let found = match at {
            Some(at) => log.at(at).await?,
            None => log.head().await?,
        };
        found.ok_or_else(|| {
            let model = model.clone();
            at.map_or(Error::NoChampion(model.clone()), |at| Error::NoChampionThen(model, at))
        })
    }

    /// The whole log, oldest first, and the verdict on its chain and on the words of approvers that it names. A broken log
    /// answers the entries before the break.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn history(&self, model: &ModelName) -> Result<History> {
        let (entries, verdict) = self.log(model).audit().await?;
        let broken = match verdict {
            Verification::Intact { .. } => self.unapproved(model, &entries).await?,
            Verification::Broken(chain) => Some(Break {
                generation: chain.generation,
                what: chain.to_string(),
            }),
        };
        Ok(History { entries, broken })
    }

    /// The champion as it changes. The receiver holds the state of now; a later value always has a higher generation.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn watch(&self, model: &ModelName) -> Result<watch::Receiver<State>> {
        // Subscribed before the read, so that a change between the two is not missed.
        let receiver = self.channel(model).subscribe();
        if let Some(head) = self.log(model).head().await? {
            self.announce(model, head);
        }
        Ok(receiver)
    }

    /// Looks for entries that other registry replicas have written, for every model somebody watches.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn refresh(&self) -> Result<()> {
        let known: Vec<(ModelName, Generation)> = self
            .lock()
            .iter()
            .map(|(model, channel)| {
                let generation = channel
                    .borrow()
                    .as_ref()
                    .map_or(Generation(0), |stored| stored.entry.generation);
                (model.clone(), generation)
            })
            .collect();
        for (model, generation) in known {
            if let Some(newer) = self.log(&model).head_after(generation).await? {
                self.announce(&model, newer);
            }
        }
        Ok(())
    }

    /// Tells that some champion has moved, as soon as it is known here.
    pub fn moved(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Number of watchers over all models.
    pub fn watchers(&self) -> usize {
        self.lock().values().map(watch::Sender::receiver_count).sum()
    }

    /// The newest generation known here by model.
    pub fn generations(&self) -> Vec<(ModelName, Generation)> {
        self.lock()
            .iter()
            .filter_map(|(model, channel)| Some((model.clone(), channel.borrow().as_ref()?.entry.generation)))
            .collect()
    }

    fn channel(&self, model: &ModelName) -> watch::Sender<State> {
        self.lock()
            .entry(model.clone())
            .or_insert_with(|| watch::Sender::new(None))
            .clone()
    }

    /// Tells the watchers, unless they know as much or more.
    fn announce(&self, model: &ModelName, stored: StoredEntry) {
        self.channel(model).send_if_modified(|state| {
            let newer = state
                .as_ref()
                .is_none_or(|known| known.entry.generation < stored.entry.generation);
            if newer {
                *state = Some(Arc::new(stored));
                self.moved.send_replace(());
            }
            newer
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ModelName, watch::Sender<State>>> {
        // The map is whole at every point where a holder could panic.
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_actor(by: &Move) -> Result<()> {
    if by.actor.trim().is_empty() {
        return Err(Violation::new("actor", "required", "must name who moves the champion").into());
    }
    Ok(())
}

/// The generation to follow: the one the caller saw, which must be the newest, or the newest.
fn expected(by: &Move, head: Option<&StoredEntry>) -> Result<Generation> {
    let newest = head.map_or(Generation(0), |stored| stored.entry.generation);
    match by.expected {
        Some(expected) if expected != newest => Err(Error::LostRace {
            expected,
            current: head.map(|stored| Box::new(stored.entry.clone())),
        }),
        _ => Ok(newest),
    }
}

/// The newest decision that accepts the version against this champion.
pub(super) fn accepting(record: &VersionRecord, champion: Generation) -> Result<&GateDecision> {
    let against = |decision: &&GateDecision| decision.champion_generation == champion;
    let accepted = record
        .decisions
        .iter()
        .rev()
        .filter(against)
        .find(|decision| decision.accepted);
    accepted.ok_or_else(|| Error::GateRefuses {
        model: record.model.clone(),
        version: record.version,
        against: match champion.0 {
            0 => "no champion".to_owned(),
            generation => format!("the champion of generation {generation}"),
        },
        why: match record.decisions.last() {
            None => "it has not been evaluated".to_owned(),
            Some(decision) if decision.champion_generation != champion => {
                "it was evaluated against another champion: evaluate it again".to_owned()
            }
            Some(decision) => decision
                .checks
                .iter()
                .filter(|check| !check.passed)
                .map(|check| format!("{}: {}", check.name, check.message))
                .collect::<Vec<_>>()
                .join("; "),
        },
    })
}
