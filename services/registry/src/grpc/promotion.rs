//! `PromotionService`.

use holdfast_api::common::v1::ModelRef;
use holdfast_api::registry::v1 as wire;
use holdfast_api::registry::v1::promotion_service_server::PromotionService;
use holdfast_api::time;
use holdfast_records::approval::Verdict;
use holdfast_records::champion::ChampionReason;
use tonic::{Request, Response, Status};

use super::{model_name, status};
use crate::service::approvals::{Promotion, PromotionState};
use crate::service::champions::Champions;
use crate::service::rollouts::Rollouts;

/// `PromotionService` over [`Champions`] and the [`Rollouts`] beside them.
#[derive(Clone, Debug)]
pub(crate) struct PromotionAdapter {
    champions: Champions,
    rollouts: Rollouts,
}

impl PromotionAdapter {
    /// The adapter.
    pub(crate) fn new(champions: Champions, rollouts: Rollouts) -> Self {
        Self { champions, rollouts }
    }
}

#[tonic::async_trait]
impl PromotionService for PromotionAdapter {
    async fn decide_promotion(
        &self,
        request: Request<wire::DecidePromotionRequest>,
    ) -> Result<Response<wire::DecidePromotionResponse>, Status> {
        // The name is the caller's claim. Where callers sign in, the authenticated name takes its place, here and in
        // the other requests that carry an actor.
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let verdict = if request.approve {
            Verdict::Approved
        } else {
            Verdict::Rejected
        };
        let promotion = self
            .champions
            .decide(&model, request.promotion, verdict, (&request.actor, &request.note))
            .await
            .map_err(status)?;
        if promotion.state == PromotionState::Promoted {
            self.rollouts.champion_moved(&model).await;
        }
        Ok(Response::new(wire::DecidePromotionResponse {
            promotion: Some(promotion_out(promotion)),
        }))
    }

    async fn list_promotions(
        &self,
        request: Request<wire::ListPromotionsRequest>,
    ) -> Result<Response<wire::ListPromotionsResponse>, Status> {
        let request = request.into_inner();
        let model = model_name(&request.model)?;
        let promotions = self.champions.promotions(&model).await.map_err(status)?.into_iter();
        let waiting = |promotion: &Promotion| {
            !request.waiting_only || matches!(promotion.state, PromotionState::Waiting | PromotionState::Approved)
        };
        Ok(Response::new(wire::ListPromotionsResponse {
            promotions: promotions.filter(waiting).map(promotion_out).collect(),
        }))
    }
}

pub(super) fn promotion_out(promotion: Promotion) -> wire::Promotion {
    let state = match promotion.state {
        PromotionState::Waiting => wire::PromotionState::Waiting,
        PromotionState::Approved => wire::PromotionState::Approved,
        PromotionState::Promoted => wire::PromotionState::Promoted,
        PromotionState::Rejected => wire::PromotionState::Rejected,
        PromotionState::Expired => wire::PromotionState::Expired,
        PromotionState::Overtaken => wire::PromotionState::Overtaken,
    };
    let request = promotion.request;
    let words = promotion.words.into_iter().map(|word| wire::ApproverWord {
        actor: word.actor,
        approved: word.verdict == Verdict::Approved,
        note: word.note,
        at: Some(time::to_wire(word.at)),
    });
    wire::Promotion {
        promotion: promotion.number,
        model: Some(ModelRef {
            model: promotion.model.to_string(),
            version: request.version.0,
            artifact_digest: request.artifact_digest.to_string(),
        }),
        expected_generation: request.expected_generation.0,
        evaluation_digest: match &request.reason {
            ChampionReason::Promotion { evaluation_digest, .. } => evaluation_digest.to_string(),
            ChampionReason::Rollback { .. } | ChampionReason::Override { .. } => String::new(),
        },
        requested_by: promotion.requested_by,
        run_started_by: request.run_started_by,
        note: promotion.note,
        requested_at: Some(time::to_wire(promotion.requested_at)),
        expires_at: Some(time::to_wire(request.expires_at)),
        needed: request.needed,
        words: words.collect(),
        state: state.into(),
        generation: promotion.generation.map_or(0, |generation| generation.0),
    }
}
