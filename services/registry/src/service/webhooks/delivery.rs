//! A delivery: one event to one address, from its making to its end.

use holdfast_domain::Generation;
use jiff::{SignedDuration, Timestamp};

use super::signing::SigningSecret;
use super::webhook::{Convention, EventKind};

/// State of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Will be tried, or tried again.
    Pending,
    /// Answered with a status from 200 to 299.
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Failed];

    /// As the database knows it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// One event to one address, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// UUID version 7, the same for every attempt.
    pub delivery_id: String,
    /// The webhook.
    pub webhook_id: String,
    /// What happened.
    pub event: EventKind,
    /// The model; empty for a test.
    pub model: String,
    /// Generation of its champion; 0 where it is not about one.
    pub generation: Generation,
    /// State.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last answer; 0 when there was none.
    pub http_status: u16,
    /// Why the last attempt failed, in words.
    pub error: String,
    /// When the event was noticed.
    pub created_at: Timestamp,
    /// When it was tried last.
    pub attempted_at: Option<Timestamp>,
    /// When it will be tried next.
    pub next_attempt_at: Option<Timestamp>,
}

/// A delivery to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Its id.
    pub delivery_id: String,
    /// What happened.
    pub event: EventKind,
    /// Generation of the champion; 0 for a test.
    pub generation: Generation,
    /// The event as JSON.
    pub body: String,
}

/// Until when whose attempts count, and which deliveries are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimRules {
    /// Now.
    pub now: Timestamp,
    /// How long a claim is good.
    pub lease: SignedDuration,
    /// No attempt is ever planned further ahead: one that is was planned by a clock that was wrong, and is due.
    pub longest_pause: SignedDuration,
    /// At most this many.
    pub limit: u32,
}

/// A delivery whose next attempt is the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The delivery.
    pub delivery_id: String,
    /// Its webhook.
    pub webhook_id: String,
    /// Names this claim among all.
    pub claim: String,
    /// Where to.
    pub url: String,
    /// Whose headers it carries.
    pub convention: Convention,
    /// Signed with; not signed without.
    pub secret: Option<SigningSecret>,
    /// The event as JSON.
    pub body: String,
    /// How often it was tried, this attempt among them.
    pub attempts: u32,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The delivery.
    pub delivery_id: String,
    /// The claim it was made under; of another's the database takes nothing.
    pub claim: String,
    /// Its state now.
    pub state: DeliveryState,
    /// HTTP status of the answer; 0 when there was none.
    pub http_status: u16,
    /// Why it failed, in words.
    pub error: String,
    /// When it will be tried next, for one that waits.
    pub next_attempt_at: Option<Timestamp>,
}

/// What waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Deliveries that will be tried.
    pub waiting: u64,
    /// When the oldest of them was noticed.
    pub oldest: Option<Timestamp>,
}
