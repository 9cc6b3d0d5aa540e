//! Taking outcomes: once, however often they are sent.
//!
//! A request is first written down under the digest of its idempotency key, with the time it counts as recorded at; then its outcomes are
//! stored with that time. So a repeat makes the very same bytes, and bytes are stored once: after a crash between the two steps, a repeat
//! completes what was begun. The note lies at `outcomes/by-request/{sha256}.json`, before all batches in the order of keys, where readers of
//! windows do not look.

use std::collections::HashSet;
use std::sync::Arc;

use holdfast_chassis::clock::Clock;
use holdfast_domain::{CustomerKey, Digest};
use holdfast_records::outcome::{self, OutcomeRecord};
use holdfast_storage::{BlobStore, Created, Key};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::stored_json::{self, Versioned};
use crate::error::{Error, Result, Violation};
use crate::metrics::Metrics;

/// Outcomes in one request.
pub const MAX_OUTCOMES: usize = 10_000;

/// Characters of an idempotency key.
const MAX_KEY_CHARS: usize = 200;

/// What a caller knows about a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOutcome {
    /// The customer.
    pub customer_key: CustomerKey,
    /// Whether the customer left.
    pub attrited: bool,
    /// When it became true; `None`: when it is recorded.
    pub event_time: Option<Timestamp>,
}

/// What was asked for under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Receipt {
    format_version: u32,
    /// Of the outcomes as sent.
    request_digest: Digest,
    recorded_at: Timestamp,
}

impl Versioned for Receipt {
    const KIND: &'static str = "outcome receipt";
    const VERSION: u32 = 1;
}

/// The outcomes of the bank's customers.
#[derive(Clone, Debug)]
pub struct Outcomes {
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

impl Outcomes {
    /// Outcomes in `blobs`.
    pub fn new(blobs: Arc<dyn BlobStore>, clock: Arc<dyn Clock>, metrics: Metrics) -> Self {
        Self { blobs, clock, metrics }
    }

    /// Stores outcomes, all or none, and answers how many this call stored: none when they were there already.
    ///
    /// # Errors
    /// [`Error::Invalid`] for none or too many, or a customer twice; [`Error::IdempotencyKeyReused`]; the blob store's: repeat the call with the
    /// same key then.
    pub async fn record(&self, outcomes: &[NewOutcome], idempotency_key: &str) -> Result<u64> {
        check(outcomes, idempotency_key)?;
        let key = match idempotency_key {
            "" => Uuid::now_v7().hyphenated().to_string(),
            key => key.to_owned(),
        };
        let asked = Receipt {
            format_version: Receipt::VERSION,
            request_digest: request_digest(outcomes),
            recorded_at: self.clock.now(),
        };
        let request_digest = asked.request_digest;
        let receipt = stored_json::settle(&*self.blobs, &receipt_key(&key)?, asked).await?;
        if receipt.request_digest != request_digest {
            return Err(Error::IdempotencyKeyReused(key));
        }
        let records: Vec<OutcomeRecord> = outcomes
            .iter()
            .map(|outcome| OutcomeRecord {
                customer_key: outcome.customer_key,
                label: outcome.attrited,
                event_time: outcome.event_time.unwrap_or(receipt.recorded_at),
                recorded_at: receipt.recorded_at,
            })
            .collect();
        let batches = outcome::write(&*self.blobs, &records).await?;
        let recorded = batches
            .iter()
            .filter(|batch| batch.created == Created::Yes)
            .map(|batch| batch.rows)
            .sum();
        self.metrics.outcomes_recorded.inc_by(recorded);
        tracing::info!(
            recorded,
            sent = records.len(),
            attrited = records.iter().filter(|record| record.label).count(),
            "outcomes recorded"
        );
        Ok(recorded)
    }
}

fn check(outcomes: &[NewOutcome], idempotency_key: &str) -> Result<()> {
    let mut found = Vec::new();
    if outcomes.is_empty() {
        found.push(Violation::new("outcomes", "required", "must hold at least one outcome"));
    }
    if outcomes.len() > MAX_OUTCOMES {
        let description = format!("holds {} outcomes, at most {MAX_OUTCOMES} are taken", outcomes.len());
        found.push(Violation::new("outcomes", "too_many", description));
    }
    if idempotency_key.chars().count() > MAX_KEY_CHARS {
        let description = format!("must have at most {MAX_KEY_CHARS} characters");
        found.push(Violation::new("idempotency_key", "too_long", description));
    }
    // Two words about one customer at one time: which is the last?
    let mut seen = HashSet::with_capacity(outcomes.len());
    for (index, outcome) in outcomes.iter().take(MAX_OUTCOMES).enumerate() {
        if !seen.insert(outcome.customer_key) {
            let description = format!("customer {} is in the request twice", outcome.customer_key);
            found.push(Violation::new(
                format!("outcomes[{index}].customer_key"),
                "duplicate_key",
                description,
            ));
        }
    }
    Violation::none(found)
}

fn request_digest(outcomes: &[NewOutcome]) -> Digest {
    let mut text = String::with_capacity(outcomes.len() * 32);
    for outcome in outcomes {
        let event_time = outcome.event_time.map(|at| at.to_string()).unwrap_or_default();
        text.push_str(&format!("{} {} {event_time}\n", outcome.customer_key, outcome.attrited));
    }
    Digest::of(text.as_bytes())
}

fn receipt_key(idempotency_key: &str) -> Result<Key> {
    let name = Digest::of(idempotency_key.as_bytes());
    Key::parse(format!("outcomes/by-request/{name}.json"))
        .map_err(|error| holdfast_records::Error::Key(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A receipt of format 1, which is read for ever.
    const RECEIPT_V1: &str = r#"{"format_version":1,"request_digest":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","recorded_at":"2026-11-23T12:00:00.000001Z"}"#;

    #[test]
    fn the_first_version_of_a_receipt_reads_back_and_is_written_so() {
        let receipt: Receipt = stored_json::decode(RECEIPT_V1.as_bytes()).unwrap();
        assert_eq!(receipt.request_digest, Digest::of(b"abc"));
        assert_eq!(stored_json::encode(&receipt).unwrap(), RECEIPT_V1);
    }

    #[test]
    fn the_digest_of_a_request_tells_every_difference_and_is_frozen() {
        let outcome = NewOutcome {
            customer_key: CustomerKey(7),
            attrited: true,
            event_time: None,
        };
        // A retry after an upgrade must be known again: the text behind the digest never changes.
        assert_eq!(request_digest(&[outcome]), Digest::of(b"7 true \n"));
        let stayed = NewOutcome {
            attrited: false,
            ..outcome
        };
        let dated = NewOutcome {
            event_time: Some(Timestamp::UNIX_EPOCH),
            ..outcome
        };
        assert_eq!(request_digest(&[dated]), Digest::of(b"7 true 1970-01-01T00:00:00Z\n"));
        assert_ne!(request_digest(&[stayed]), request_digest(&[outcome]));
    }
}
