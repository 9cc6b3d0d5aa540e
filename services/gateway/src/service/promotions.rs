//! Promotions that wait for approvers.

use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::PromotionState as WireState;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::convert::{counted, names_of, promised, text, time};
use crate::peers::Peers;

names_of! {
    /// How a promotion stands.
    PromotionState from WireState {
        /// Too few have said yes.
        Waiting,
        /// Enough have said yes, and the champion log is about to be written.
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
}

/// One person's word.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ApproverWord {
    /// Who.
    pub actor: String,
    /// True: yes.
    pub approved: bool,
    /// A note in words.
    pub note: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
}

/// A promotion that was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PromotionRequest {
    /// Its number within the model.
    pub promotion: u64,
    /// The model.
    pub model: String,
    /// The version that is to be champion.
    pub version: u32,
    /// SHA-256 of its artefact.
    pub artifact_digest: String,
    /// The generation it would follow; 0 when there was no champion.
    pub expected_generation: u64,
    /// Digest of the evaluation that the approvers decide on; null for an override of the gate.
    pub evaluation_digest: Option<String>,
    /// Who asked.
    pub requested_by: String,
    /// Who started the run that made the version.
    pub run_started_by: String,
    /// A note in words.
    pub note: Option<String>,
    /// When it was asked for.
    pub requested_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// How many have to say yes.
    pub needed: u32,
    /// What was said, oldest first.
    pub words: Vec<ApproverWord>,
    /// How it stands.
    pub state: PromotionState,
    /// Its generation in the champion log, once it is there.
    pub generation: Option<u64>,
}

/// A model's promotions, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PromotionRequests {
    /// The promotions.
    pub promotions: Vec<PromotionRequest>,
}

/// One person's yes or no.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// A note in words; a no needs one.
    pub note: Option<String>,
    /// Who says it, for the record.
    #[schema(min_length = 1)]
    pub actor: Option<String>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Reject,
}

impl TryFrom<wire::Promotion> for PromotionRequest {
    type Error = Fault;

    fn try_from(wire: wire::Promotion) -> Result<Self, Fault> {
        let model = promised(wire.model, "the promotion's version")?;
        let words = wire.words.into_iter().map(|word| ApproverWord {
            actor: word.actor,
            approved: word.approved,
            note: text(word.note),
            at: time(word.at),
        });
        Ok(Self {
            promotion: wire.promotion,
            model: model.model,
            version: model.version,
            artifact_digest: model.artifact_digest,
            expected_generation: wire.expected_generation,
            evaluation_digest: text(wire.evaluation_digest),
            requested_by: wire.requested_by,
            run_started_by: wire.run_started_by,
            note: text(wire.note),
            requested_at: time(wire.requested_at),
            expires_at: time(wire.expires_at),
            needed: wire.needed,
            words: words.collect(),
            state: wire.state.into(),
            generation: counted(wire.generation),
        })
    }
}

/// A model's promotions, newest first.
///
/// # Errors
/// The registry's.
pub async fn list(peers: &Peers, model: String, waiting_only: bool) -> Result<PromotionRequests, Fault> {
    let answer = peers
        .list_promotions(wire::ListPromotionsRequest { model, waiting_only })
        .await?;
    let promotions = answer.promotions.into_iter().map(PromotionRequest::try_from);
    Ok(PromotionRequests {
        promotions: promotions.collect::<Result<_, _>>()?,
    })
}

/// Says yes or no to one.
///
/// # Errors
/// The registry's.
pub async fn decide(
    peers: &Peers,
    model: String,
    promotion: u64,
    verdict: Verdict,
    decision: Decision,
) -> Result<PromotionRequest, Fault> {
    let message = wire::DecidePromotionRequest {
        model,
        promotion,
        approve: verdict == Verdict::Approve,
        actor: decision.actor.unwrap_or_else(|| super::ACTOR.to_owned()),
        note: decision.note.unwrap_or_default(),
    };
    promised(peers.decide_promotion(message).await?.promotion, "the promotion")?.try_into()
}
