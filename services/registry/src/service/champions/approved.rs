//! Promotions with approvers: from the last word to the entry of the champion log.

use holdfast_domain::ModelName;
use holdfast_records::approval::Verdict;
use holdfast_records::champion::StoredEntry;

use super::super::approvals::{Promotion, PromotionState};
use super::{Break, Champions};
use crate::error::{Error, Result};

impl Champions {
    /// Says yes or no to a promotion. The yes that completes it makes the version champion.
    ///
    /// When the registry dies between the last word and the entry of the champion log, the promotion stays
    /// [`PromotionState::Approved`] until any registry comes round to [`Champions::finish_approved`], or the same word is
    /// said again.
    ///
    /// # Errors
    /// Those of [`Approvals::say`](super::super::approvals::Approvals::say); the stores'.
    pub async fn decide(
        &self,
        model: &ModelName,
        number: u64,
        verdict: Verdict,
        by: (&str, &str),
    ) -> Result<Promotion> {
        let (before, _) = self.approvals.promotion(model, number).await?;
        if before.state == PromotionState::Approved {
            self.finish(&before).await?;
        }
        let heard = self.approvals.say(model, number, verdict, by).await?;
        if heard.state != PromotionState::Approved {
            return Ok(heard);
        }
        self.finish(&heard).await?;
        self.approvals.promotion(model, number).await.map(|(found, _)| found)
    }

    /// Every promotion that was asked for, newest first.
    ///
    /// # Errors
    /// The blob store's.
    pub async fn promotions(&self, model: &ModelName) -> Result<Vec<Promotion>> {
        let (mut promotions, _) = self.approvals.promotions(model).await?;
        promotions.reverse();
        Ok(promotions)
    }

    /// Makes the promotions that are complete and not in the champion log, whoever left them so; answers whose champion
    /// moved. One that cannot be made does not keep the others.
    ///
    /// # Errors
    /// The blob store's, while looking for them.
    pub async fn finish_approved(&self) -> Result<Vec<ModelName>> {
        let mut moved = Vec::new();
        for (model, revision, promotions) in self.approvals.unfinished().await? {
            let mut left = 0;
            for promotion in promotions {
                match self.finish(&promotion).await {
                    Ok(()) => moved.push(model.clone()),
                    Err(error) => {
                        left += 1;
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(%model, promotion = promotion.number, error, "approved promotion cannot be made yet");
                    }
                }
            }
            if left == 0 {
                self.approvals.settle(&model, revision);
            }
        }
        Ok(moved)
    }

    /// Writes the entry of a complete promotion. Somebody else's entry in its place is no error: then it was overtaken.
    async fn finish(&self, promotion: &Promotion) -> Result<()> {
        let Some(entry) = promotion.entry() else {
            return Ok(());
        };
        let (model, request) = (&promotion.model, &promotion.request);
        self.models
            .artifact(model, request.version, request.artifact_digest)
            .await?;
        match self.append(model, request.expected_generation, entry).await {
            Ok(_) | Err(Error::LostRace { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Checks the words of approvers that champion entries name: the record of approvals must be whole and hold them.
    pub(super) async fn unapproved(&self, model: &ModelName, entries: &[StoredEntry]) -> Result<Option<Break>> {
        let approved = entries.iter().filter_map(|stored| {
            let approval = stored.entry.approval.as_ref()?;
            Some((stored.entry.generation, approval))
        });
        let approved: Vec<_> = approved.collect();
        if approved.is_empty() {
            return Ok(None);
        }
        let (record, _) = self.approvals.record(model).audit().await?;
        for (generation, approval) in approved {
            let revision = approval.completed_revision;
            let word = record.iter().find(|stored| stored.entry.revision == revision);
            let differs = match word {
                None => Some("is missing, or the record is broken before it".to_owned()),
                Some(found) if found.digest == approval.completed_digest => None,
                Some(found) => Some(format!(
                    "has the digest {}, not {}",
                    found.digest, approval.completed_digest
                )),
            };
            if let Some(how) = differs {
                return Ok(Some(Break {
                    generation,
                    what: format!(
                        "the champion log of {model} is broken at generation {generation}: the word of its approvers, revision \
                         {revision} of the record of approvals, {how}"
                    ),
                }));
            }
        }
        Ok(None)
    }
}
