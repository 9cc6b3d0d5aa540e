//! How promotions stand: a pure function of the record of approvals, the champion log and the time.
//!
//! A word counts when it comes before the promotion is complete or rejected, before it expires, from somebody who may say it
//! and has not said it before. A promotion is complete with the yes that makes them enough; whether it became champion is
//! what the entry of its generation says. Writers check the same before they write; a word that breaks a rule all the same,
//! by another build or hand, does not count.

use holdfast_domain::{Generation, ModelName};
use holdfast_records::approval::{Nonce, Request, Statement, StoredEntry, Verdict};
use holdfast_records::champion::{self, Approval, Approver, ChampionReason, NewEntry};
use jiff::Timestamp;

use crate::error::{Error, Result};

/// How a promotion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromotionState {
    /// Too few have said yes.
    Waiting,
    /// Enough have said yes, and the champion log does not have it yet.
    Approved,
    /// It is in the champion log.
    Promoted,
    /// Somebody said no.
    Rejected,
    /// Nobody decided in time.
    Expired,
    /// Another champion came first.
    Overtaken,
}

impl PromotionState {
    /// In words, for a sentence about the promotion.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Waiting => "waits for approvers",
            Self::Approved => "is approved",
            Self::Promoted => "was made",
            Self::Rejected => "was rejected",
            Self::Expired => "has expired",
            Self::Overtaken => "was overtaken by another champion",
        }
    }
}

/// One person's word that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Who.
    pub actor: String,
    /// Yes or no.
    pub verdict: Verdict,
    /// A note in words.
    pub note: String,
    /// When.
    pub at: Timestamp,
    /// Where it stands in the record.
    revision: u64,
    /// SHA-256 of its stored bytes.
    digest: holdfast_domain::Digest,
}

impl Word {
    /// Whether it is this person's and says that.
    pub fn is(&self, actor: &str, verdict: Verdict) -> bool {
        self.verdict == verdict && same_person(&self.actor, actor)
    }
}

/// A promotion that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The revision of its request.
    pub number: u64,
    /// The model.
    pub model: ModelName,
    /// What was asked for.
    pub request: Request,
    /// Who asked.
    pub requested_by: String,
    /// A note in words.
    pub note: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The words that count, oldest first.
    pub words: Vec<Word>,
    /// How it stands.
    pub state: PromotionState,
    /// Its generation in the champion log, once it is there.
    pub generation: Option<Generation>,
}

impl Promotion {
    fn yes(&self) -> impl Iterator<Item = &Word> {
        self.words.iter().filter(|word| word.verdict == Verdict::Approved)
    }

    fn is_complete(&self) -> bool {
        self.yes().count() as u64 >= u64::from(self.request.needed)
    }

    fn is_rejected(&self) -> bool {
        self.words.iter().any(|word| word.verdict == Verdict::Rejected)
    }

    /// Whether it is on its way and is what `request` asks for.
    pub fn waits_for(&self, request: &Request) -> bool {
        let same_kind = matches!(
            (&self.request.reason, &request.reason),
            (ChampionReason::Promotion { .. }, ChampionReason::Promotion { .. })
                | (ChampionReason::Override { .. }, ChampionReason::Override { .. })
        );
        matches!(self.state, PromotionState::Waiting | PromotionState::Approved)
            && same_kind
            && self.request.version == request.version
            && self.request.expected_generation == request.expected_generation
    }

    /// Whether this person's yes may count.
    ///
    /// # Errors
    /// [`Error::MayNotApprove`], [`Error::AlreadyApproved`].
    pub fn may_approve(&self, actor: &str) -> Result<()> {
        let may_not = |why| Error::MayNotApprove {
            actor: actor.to_owned(),
            promotion: self.number,
            why,
        };
        if same_person(actor, &self.request.run_started_by) {
            return Err(may_not("started the run that made the version"));
        }
        if same_person(actor, &self.requested_by) {
            return Err(may_not("asked for the promotion"));
        }
        if self.words.iter().any(|word| same_person(&word.actor, actor)) {
            return Err(Error::AlreadyApproved {
                actor: actor.to_owned(),
                promotion: self.number,
            });
        }
        Ok(())
    }

    /// What a word about it is answered when none is wanted any more.
    pub fn closed(&self) -> Error {
        Error::PromotionClosed {
            model: self.model.clone(),
            promotion: self.number,
            state: self.state,
        }
    }

    /// The entry of the champion log that a complete promotion is. All who make it make the same one, with the same nonce, so
    /// it is made once.
    pub fn entry(&self) -> Option<NewEntry> {
        let completing = self.yes().last().filter(|_| self.is_complete())?;
        let approvers = self.yes().map(|word| Approver {
            actor: word.actor.clone(),
            note: word.note.clone(),
            at: word.at,
        });
        Some(NewEntry {
            version: self.request.version,
            artifact_digest: self.request.artifact_digest,
            actor: self.requested_by.clone(),
            reason: self.request.reason.clone(),
            approval: Some(Approval {
                promotion: self.number,
                requested_by: self.requested_by.clone(),
                run_started_by: self.request.run_started_by.clone(),
                approvers: approvers.collect(),
                completed_revision: completing.revision,
                completed_digest: completing.digest,
            }),
            at: completing.at,
            nonce: Nonce::of(&completing.digest),
        })
    }

    /// Takes a word that counts.
    fn hear(&mut self, stored: &StoredEntry, verdict: Verdict) {
        let entry = &stored.entry;
        let is_open = !self.is_complete() && !self.is_rejected() && entry.at < self.request.expires_at;
        let may = verdict == Verdict::Rejected || self.may_approve(&entry.actor).is_ok();
        if is_open && may {
            self.words.push(Word {
                actor: entry.actor.clone(),
                verdict,
                note: entry.note.clone(),
                at: entry.at,
                revision: entry.revision,
                digest: stored.digest,
            });
        }
    }

    /// Says how it stands.
    fn settle(&mut self, champions: &[champion::StoredEntry], now: Timestamp) {
        let follower = usize::try_from(self.request.expected_generation.0)
            .ok()
            .and_then(|place| champions.get(place));
        self.state = match (self.entry(), follower) {
            (Some(own), Some(follower)) if follower.entry.nonce == own.nonce => {
                self.generation = Some(follower.entry.generation);
                PromotionState::Promoted
            }
            (Some(_), Some(_)) => PromotionState::Overtaken,
            (Some(_), None) => PromotionState::Approved,
            (None, _) if self.is_rejected() => PromotionState::Rejected,
            (None, Some(follower)) if follower.entry.at < self.request.expires_at => PromotionState::Overtaken,
            (None, _) if now >= self.request.expires_at => PromotionState::Expired,
            (None, Some(_)) => PromotionState::Overtaken,
            (None, None) => PromotionState::Waiting,
        };
    }
}

/// Whether two names are one person's. Names are claims until there is a sign-in; spelling a name otherwise makes nobody
/// another person.
pub fn same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

/// Every promotion that the record asks for, oldest first. `record` and `champions` are whole logs, oldest first.
pub fn standing(record: &[StoredEntry], champions: &[champion::StoredEntry], now: Timestamp) -> Vec<Promotion> {
    let mut promotions: Vec<Promotion> = Vec::new();
    for stored in record {
        let entry = &stored.entry;
        match &entry.statement {
            Statement::Request(request) => promotions.push(Promotion {
                number: entry.revision,
                model: entry.model.clone(),
                request: request.clone(),
                requested_by: entry.actor.clone(),
                note: entry.note.clone(),
                requested_at: entry.at,
                words: Vec::new(),
                state: PromotionState::Waiting,
                generation: None,
            }),
            Statement::Word { promotion, verdict } => {
                let about = promotions.iter_mut().find(|known| known.number == *promotion);
                if let Some(about) = about {
                    about.hear(stored, *verdict);
                }
            }
        }
    }
    for promotion in &mut promotions {
        promotion.settle(champions, now);
    }
    promotions
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{Digest, ModelVersion};
    use holdfast_records::approval::ApprovalEntry;
    use holdfast_records::champion::ChampionEntry;

    use super::*;

    const EXPIRES: i64 = 1_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn stored(revision: u64, actor: &str, second: i64, statement: Statement) -> StoredEntry {
        let entry = ApprovalEntry {
            format_version: 1,
            revision,
            model: "churn".parse().unwrap(),
            statement,
            previous_digest: None,
            actor: actor.to_owned(),
            note: String::new(),
            at: at(second),
            nonce: Nonce::generate(),
        };
        let digest = Digest::of(&entry.encode().unwrap());
        StoredEntry { entry, digest }
    }

    fn request(needed: u32) -> StoredEntry {
        let request = Request {
            version: ModelVersion(3),
            artifact_digest: Digest::of(b"artefact"),
            expected_generation: Generation(0),
            reason: ChampionReason::Override { note: String::new() },
            run_started_by: "ada".to_owned(),
            needed,
            expires_at: at(EXPIRES),
        };
        stored(1, "training", 10, Statement::Request(request))
    }

    fn word(revision: u64, actor: &str, second: i64, verdict: Verdict) -> StoredEntry {
        stored(revision, actor, second, Statement::Word { promotion: 1, verdict })
    }

    fn yes(revision: u64, actor: &str, second: i64) -> StoredEntry {
        word(revision, actor, second, Verdict::Approved)
    }

    fn champion(new: NewEntry) -> champion::StoredEntry {
        let entry = ChampionEntry {
            format_version: 2,
            generation: Generation(1),
            model: "churn".parse().unwrap(),
            version: new.version,
            artifact_digest: new.artifact_digest,
            previous_digest: None,
            actor: new.actor,
            reason: new.reason,
            approval: new.approval,
            at: new.at,
            nonce: new.nonce,
        };
        champion::StoredEntry {
            digest: Digest::of(&entry.encode().unwrap()),
            entry,
        }
    }

    fn only(record: &[StoredEntry], champions: &[champion::StoredEntry], second: i64) -> Promotion {
        let mut promotions = standing(record, champions, at(second));
        assert_eq!(promotions.len(), 1);
        promotions.remove(0)
    }

    #[test]
    fn the_starter_of_the_run_and_who_asked_do_not_count_however_their_name_is_spelt() {
        let record = [request(1), yes(2, " Ada", 20), yes(3, "TRAINING ", 21)];
        let promotion = only(&record, &[], 30);
        assert_eq!((promotion.state, promotion.words.len()), (PromotionState::Waiting, 0));
        assert!(matches!(promotion.may_approve("ADA"), Err(Error::MayNotApprove { .. })));
    }

    #[test]
    fn one_person_is_one_approver() {
        let record = [request(2), yes(2, "grace", 20), yes(3, "Grace", 21)];
        let promotion = only(&record, &[], 30);
        assert_eq!((promotion.state, promotion.words.len()), (PromotionState::Waiting, 1));
        assert!(matches!(
            promotion.may_approve("grace"),
            Err(Error::AlreadyApproved { .. })
        ));
        let record = [record.as_slice(), &[yes(4, "edsger", 22)]].concat();
        assert_eq!(only(&record, &[], 30).state, PromotionState::Approved);
    }

    #[test]
    fn a_word_at_the_moment_of_expiry_comes_too_late_and_one_before_it_counts_for_ever() {
        let late = [request(1), yes(2, "grace", EXPIRES)];
        assert_eq!(only(&late, &[], EXPIRES).state, PromotionState::Expired);
        let in_time = [request(1), yes(2, "grace", EXPIRES - 1)];
        assert_eq!(only(&in_time, &[], EXPIRES + 500).state, PromotionState::Approved);
    }

    #[test]
    fn a_no_ends_it_and_what_comes_after_does_not_count() {
        let record = [
            request(1),
            word(2, "grace", 20, Verdict::Rejected),
            yes(3, "edsger", 21),
        ];
        let promotion = only(&record, &[], 30);
        assert_eq!((promotion.state, promotion.words.len()), (PromotionState::Rejected, 1));
        let record = [
            request(1),
            yes(2, "edsger", 20),
            word(3, "grace", 21, Verdict::Rejected),
        ];
        assert_eq!(only(&record, &[], 30).state, PromotionState::Approved);
    }

    #[test]
    fn the_champion_log_says_whether_it_was_made_or_overtaken() {
        let record = [request(1), yes(2, "grace", 20)];
        let own = only(&record, &[], 30).entry().unwrap();
        let made = only(&record, &[champion(own.clone())], 30);
        assert_eq!(
            (made.state, made.generation),
            (PromotionState::Promoted, Some(Generation(1)))
        );
        let other = champion(NewEntry {
            nonce: Nonce::generate(),
            ..own
        });
        assert_eq!(
            only(&record, std::slice::from_ref(&other), 30).state,
            PromotionState::Overtaken
        );
        assert_eq!(only(&record[..1], &[other], 30).state, PromotionState::Overtaken);
    }

    #[test]
    fn who_finishes_a_promotion_makes_the_same_entry_as_everybody_else() {
        let record = [request(1), yes(2, "grace", 20)];
        assert_eq!(
            only(&record, &[], 30).entry().unwrap(),
            only(&record, &[], 3_000).entry().unwrap()
        );
        assert!(only(&record[..1], &[], 30).entry().is_none());
    }
}
