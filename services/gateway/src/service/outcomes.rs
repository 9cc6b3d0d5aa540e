//! Outcomes: what predicted customers did in the end.

use holdfast_api::monitoring::v1 as wire;
use holdfast_chassis::Fault;
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::object::Object;
use crate::peers::Peers;

/// What a customer did in the end.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The bank's key (`CLIENTNUM`), as in the prediction.
    pub customer_key: i64,
    /// True: left.
    pub attrited: bool,
    /// When it became true; now when absent.
    pub event_time: Option<Timestamp>,
}

/// Outcomes to be stored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Outcomes {
    /// At most 10,000; all or none are stored.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 10_000)]
    pub outcomes: Vec<Outcome>,
}

/// What storing them came to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RecordedOutcomes {
    /// Outcomes stored by this call; 0 when the idempotency key was known.
    pub recorded: u64,
}

fn objects<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Outcome>, D::Error> {
    let outcomes = Vec::<Object<Outcome>>::deserialize(deserializer)?;
    Ok(outcomes.into_iter().map(|Object(outcome)| outcome).collect())
}

/// Stores outcomes; the same idempotency key again stores nothing twice.
///
/// # Errors
/// Monitoring's.
pub async fn record(
    peers: &Peers,
    wanted: Outcomes,
    idempotency_key: String,
    now: Timestamp,
) -> Result<RecordedOutcomes, Fault> {
    let outcomes = wanted.outcomes.into_iter().map(|outcome| wire::Outcome {
        customer_key: outcome.customer_key,
        attrited: outcome.attrited,
        event_time: Some(holdfast_api::time::to_wire(outcome.event_time.unwrap_or(now))),
    });
    let message = wire::RecordOutcomesRequest {
        outcomes: outcomes.collect(),
        idempotency_key,
    };
    Ok(RecordedOutcomes {
        recorded: peers.record_outcomes(message).await?.recorded,
    })
}
