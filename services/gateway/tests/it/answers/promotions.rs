//! Promotions that wait for approvers.

use holdfast_api::registry::v1 as registry;

use super::{AT, DIGEST, model};

pub(crate) fn waiting() -> registry::Promotion {
    registry::Promotion {
        promotion: 4,
        model: Some(model(9)),
        expected_generation: 5,
        evaluation_digest: DIGEST.to_owned(),
        requested_by: "training".to_owned(),
        run_started_by: "ada".to_owned(),
        note: "accepted by the gate".to_owned(),
        requested_at: Some(AT),
        expires_at: Some(AT),
        needed: 2,
        words: vec![registry::ApproverWord {
            actor: "grace".to_owned(),
            approved: true,
            note: String::new(),
            at: Some(AT),
        }],
        state: registry::PromotionState::Waiting.into(),
        generation: 0,
    }
}

pub(crate) fn decide_promotion(message: registry::DecidePromotionRequest) -> registry::DecidePromotionResponse {
    let (state, generation) = if message.approve {
        (registry::PromotionState::Promoted, 6)
    } else {
        (registry::PromotionState::Rejected, 0)
    };
    registry::DecidePromotionResponse {
        promotion: Some(registry::Promotion {
            state: state.into(),
            generation,
            ..waiting()
        }),
    }
}

pub(crate) fn list_promotions(_: registry::ListPromotionsRequest) -> registry::ListPromotionsResponse {
    registry::ListPromotionsResponse {
        promotions: vec![waiting()],
    }
}
