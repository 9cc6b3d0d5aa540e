//! Promotions that wait for approvers, over the record of approvals in the blob store.
//!
//! The record says what was asked for and who said what; [`standing`] says what follows from it. Nothing else is kept, so
//! any registry answers the same, and one that starts finishes what another had begun. The champion's log decides in the end:
//! [`Champions`](super::champions::Champions) makes the entry of a promotion that is complete.

mod standing;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_chassis::clock::Clock;
use holdfast_domain::{Digest, Generation, ModelName, ModelVersion};
use holdfast_records::approval::{Appended, ApprovalLog, NewEntry, Nonce, Request, Statement, Verdict};
use holdfast_records::champion::{ChampionLog, ChampionReason};
use holdfast_records::layout::{Location, approval_key};
use holdfast_storage::BlobStore;
use jiff::{SignedDuration, Timestamp};

use crate::error::{Error, Result, Violation};
use crate::settings::ApprovalSettings;

pub use standing::{Promotion, PromotionState, Word, same_person, standing};

/// Writers of one model's record are a few people: one that loses so often meets a fault and no writers.
const MOST_ATTEMPTS: usize = 32;

/// The records of approvals of all models.
#[derive(Clone, Debug)]
pub struct Approvals {
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    settings: ApprovalSettings,
    /// By model, the revision up to which nothing is left to do here.
    settled: Arc<Mutex<HashMap<ModelName, u64>>>,
}

/// Who asks for what.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The version.
    pub candidate: Candidate,
    /// What the champion log is to say.
    pub reason: ChampionReason,
    /// Who asks.
    pub actor: String,
    /// A note in words.
    pub note: String,
}

/// A version on its way to the champion's place.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The version.
    pub version: ModelVersion,
    /// SHA-256 of its artefact.
    pub artifact_digest: Digest,
    /// The generation it would follow.
    pub expected: Generation,
    /// Who started the run that made it.
    pub run_started_by: String,
}

impl Approvals {
    /// Records in `blobs`, with the numbers and times of `settings`.
    pub fn new(blobs: Arc<dyn BlobStore>, clock: Arc<dyn Clock>, settings: ApprovalSettings) -> Self {
        Self {
            blobs,
            clock,
            settings,
            settled: Arc::default(),
        }
    }

    /// How many have to say yes before a version of the model becomes champion.
    pub fn needed(&self, model: &ModelName) -> u32 {
        self.settings.needed(model)
    }

    /// The record of one model.
    pub fn record(&self, model: &ModelName) -> ApprovalLog {
        ApprovalLog::new(self.blobs.clone(), model.clone())
    }

    /// Every promotion that was asked for, oldest first, as it stands now, and the length of the record.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn promotions(&self, model: &ModelName) -> Result<(Vec<Promotion>, u64)> {
        let record = self.record(model).history().await?;
        let champions = if record.is_empty() {
            Vec::new()
        } else {
            ChampionLog::new(self.blobs.clone(), model.clone()).history().await?
        };
        let promotions = standing(&record, &champions, self.clock.now());
        Ok((promotions, record.len() as u64))
    }

    /// One promotion as it stands now.
    ///
    /// # Errors
    /// [`Error::NoSuchPromotion`]; the blob store's.
    pub async fn promotion(&self, model: &ModelName, number: u64) -> Result<(Promotion, u64)> {
        let (promotions, length) = self.promotions(model).await?;
        let found = promotions.into_iter().find(|promotion| promotion.number == number);
        let found = found.ok_or_else(|| Error::NoSuchPromotion {
            model: model.clone(),
            promotion: number,
        })?;
        Ok((found, length))
    }

    /// Asks for a promotion. Asking again for what waits already answers that one.
    ///
    /// # Errors
    /// [`Error::RecordContended`]; the blob store's.
    pub async fn ask(&self, model: &ModelName, asked: Asked) -> Result<Promotion> {
        let now = self.clock.now();
        let request = Request {
            version: asked.candidate.version,
            artifact_digest: asked.candidate.artifact_digest,
            expected_generation: asked.candidate.expected,
            reason: asked.reason,
            run_started_by: asked.candidate.run_started_by,
            needed: self.needed(model),
            expires_at: self.expiry(now),
        };
        let new = NewEntry {
            statement: Statement::Request(request.clone()),
            actor: asked.actor,
            note: asked.note,
            at: now,
            before: None,
            nonce: Nonce::generate(),
        };
        for _ in 0..MOST_ATTEMPTS {
            let (promotions, length) = self.promotions(model).await?;
            let same = promotions.into_iter().find(|promotion| promotion.waits_for(&request));
            if let Some(same) = same {
                return Ok(same);
            }
            if let Appended::Won(stored) = self.record(model).append(length, new.clone()).await? {
                tracing::info!(
                    %model, version = %request.version, promotion = stored.entry.revision, needed = request.needed,
                    requested_by = stored.entry.actor, "promotion waits for approvers"
                );
                return self
                    .promotion(model, stored.entry.revision)
                    .await
                    .map(|(found, _)| found);
            }
        }
        Err(Error::RecordContended(model.clone()))
    }

    /// Adds one person's word to a promotion that waits. Saying the same word twice about one that is decided is no error, so
    /// that a caller whose answer was lost may ask again.
    ///
    /// # Errors
    /// [`Error::NoSuchPromotion`], [`Error::PromotionClosed`], [`Error::MayNotApprove`], [`Error::AlreadyApproved`],
    /// [`Error::RecordContended`]; the blob store's.
    pub async fn say(
        &self,
        model: &ModelName,
        number: u64,
        verdict: Verdict,
        (actor, note): (&str, &str),
    ) -> Result<Promotion> {
        if actor.trim().is_empty() {
            return Err(Violation::new("actor", "required", "must name who says it").into());
        }
        if verdict == Verdict::Rejected && note.trim().is_empty() {
            return Err(Violation::new("note", "required", "a rejection needs a note that says why").into());
        }
        let nonce = Nonce::generate();
        for _ in 0..MOST_ATTEMPTS {
            let (promotion, length) = self.promotion(model, number).await?;
            if promotion.state != PromotionState::Waiting {
                let said = promotion.words.iter().any(|word| word.is(actor, verdict));
                return if said { Ok(promotion) } else { Err(promotion.closed()) };
            }
            if verdict == Verdict::Approved {
                promotion.may_approve(actor)?;
            }
            let new = NewEntry {
                statement: Statement::Word {
                    promotion: number,
                    verdict,
                },
                actor: actor.to_owned(),
                note: note.to_owned(),
                at: self.clock.now(),
                before: Some(promotion.request.expires_at),
                nonce,
            };
            if let Appended::Won(stored) = self.record(model).append(length, new).await? {
                tracing::info!(%model, promotion = number, actor, ?verdict, revision = stored.entry.revision, "word about a promotion");
                return self.promotion(model, number).await.map(|(found, _)| found);
            }
        }
        Err(Error::RecordContended(model.clone()))
    }

    /// Promotions that are complete and perhaps not in the champion log yet, of all models whose record has grown since all of
    /// it was [settled](Self::settle).
    ///
    /// # Errors
    /// The blob store's.
    pub async fn unfinished(&self) -> Result<Vec<(ModelName, u64, Vec<Promotion>)>> {
        let mut found = Vec::new();
        for model in self.models().await? {
            let known = self.lock().get(&model).copied().unwrap_or_default();
            if self.record(&model).head_after(known).await?.is_none() {
                continue;
            }
            let (promotions, length) = self.promotions(&model).await?;
            let complete = promotions.into_iter();
            let complete = complete.filter(|promotion| promotion.state == PromotionState::Approved);
            found.push((model, length, complete.collect()));
        }
        Ok(found)
    }

    /// Says that up to `revision` nothing is left to do.
    pub fn settle(&self, model: &ModelName, revision: u64) {
        self.lock().insert(model.clone(), revision);
    }

    /// The models that have a record. One listing for each.
    async fn models(&self) -> Result<Vec<ModelName>> {
        let (mut models, mut after) = (Vec::new(), None);
        loop {
            let page = self.blobs.list("approvals", after.as_ref(), 1).await?;
            let Some(first) = page.first() else {
                return Ok(models);
            };
            after = Some(match Location::parse(&first.key) {
                // Behind every entry of that model.
                Some(Location::Approval(model, _)) => {
                    let last = approval_key(&model, u64::MAX);
                    models.push(model);
                    last
                }
                _ => first.key.clone(),
            });
        }
    }

    fn expiry(&self, now: Timestamp) -> Timestamp {
        let patience = SignedDuration::from_hours(i64::from(self.settings.expires_after_hours));
        now.saturating_add(patience).unwrap_or(Timestamp::MAX)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ModelName, u64>> {
        // The map is whole at every point where a holder could panic.
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
