//! What is told, as JSON. Fields may be added; none changes its meaning.

use holdfast_domain::{Digest, Generation, ModelName, ModelVersion, RunId};
use holdfast_records::champion::{ChampionReason, StoredEntry};
use jiff::Timestamp;
use serde::Serialize;
use uuid::{Builder, Uuid};

use super::registry_event::{self, RegistryEvent};
use super::{EventKind, NewDelivery, Webhook};
use crate::error::{Error, Result, Violation};

#[derive(Serialize)]
struct Event<D> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: D,
}

#[derive(Serialize)]
struct ChampionChanged<'e> {
    model: &'e ModelName,
    generation: Generation,
    version: ModelVersion,
    artifact_sha256: Digest,
    /// None for the first champion.
    previous_version: Option<ModelVersion>,
    kind: &'static str,
    actor: &'e str,
    approvers: Vec<&'e str>,
    note: &'e str,
    /// Where the gate accepted it.
    evaluation_sha256: Option<Digest>,
    run_id: Option<RunId>,
    /// Of the stored bytes of the entry of the champion log.
    entry_sha256: Digest,
}

#[derive(Serialize)]
struct Tested<'e> {
    webhook_id: &'e str,
}

/// What a webhook is told about an entry of the champion log. Its id follows from both, so that whoever finds the entry again,
/// after a restart or beside another registry, makes the same delivery.
pub(super) fn champion_changed(
    webhook: &Webhook,
    stored: &StoredEntry,
    previous: Option<ModelVersion>,
) -> Result<NewDelivery> {
    let entry = &stored.entry;
    let delivery_id = delivery_id(&webhook.webhook_id, stored);
    if webhook.subscription.is_some() {
        let event = RegistryEvent::champion(entry.model.as_str(), entry.version);
        return Ok(NewDelivery {
            delivery_id,
            event: event.kind,
            generation: entry.generation,
            body: event.body(entry.at),
        });
    }
    let (kind, evaluation, run_id) = match &entry.reason {
        ChampionReason::Promotion {
            evaluation_digest,
            run_id,
            ..
        } => ("promotion", Some(*evaluation_digest), run_id.clone()),
        ChampionReason::Rollback { .. } => ("rollback", None, None),
        ChampionReason::Override { .. } => ("override", None, None),
    };
    let approvers = entry.approval.iter().flat_map(|approval| &approval.approvers);
    let data = ChampionChanged {
        model: &entry.model,
        generation: entry.generation,
        version: entry.version,
        artifact_sha256: entry.artifact_digest,
        previous_version: previous,
        kind,
        actor: &entry.actor,
        approvers: approvers.map(|approver| approver.actor.as_str()).collect(),
        note: entry.reason.note(),
        evaluation_sha256: evaluation,
        run_id,
        entry_sha256: stored.digest,
    };
    Ok(NewDelivery {
        delivery_id,
        event: EventKind::ChampionChanged,
        generation: entry.generation,
        body: encoded(EventKind::ChampionChanged, entry.at, data)?,
    })
}

/// What a webhook is told to test it: that it is tested, or an example of an event, the first of its own when none is named.
pub(super) fn tested(webhook: &Webhook, event: &str, now: Timestamp) -> Result<NewDelivery> {
    let body = match (&webhook.subscription, event) {
        (None, "") => {
            let webhook_id = &webhook.webhook_id;
            encoded(EventKind::Test, now, Tested { webhook_id })?
        }
        (None, _) => {
            let rule = "must be empty: the webhook is told of champions";
            return Err(Violation::new("event", "champions", rule).into());
        }
        (Some(subscription), "") => {
            let first = subscription.events.first().copied().unwrap_or(EventKind::ModelCreated);
            RegistryEvent::example(first).body(now)
        }
        (Some(_), named) => RegistryEvent::example(registry_event::event("event", named)?).body(now),
    };
    Ok(NewDelivery {
        delivery_id: Uuid::now_v7().to_string(),
        event: EventKind::Test,
        generation: Generation(0),
        body,
    })
}

fn encoded(kind: EventKind, timestamp: Timestamp, data: impl Serialize) -> Result<String> {
    let event = Event {
        r#type: kind.as_str(),
        timestamp,
        data,
    };
    serde_json::to_string(&event).map_err(|source| Error::Corrupt(format!("event of a webhook: {source}")))
}

/// A UUID of version 7 at the time of the entry; its other bits are a digest of webhook and entry.
fn delivery_id(webhook_id: &str, stored: &StoredEntry) -> String {
    let entry = &stored.entry;
    let what = format!("{webhook_id} {} {} {}", entry.model, entry.generation, stored.digest);
    let digest = Digest::of(what.as_bytes());
    let mut bits = [0; 10];
    bits.copy_from_slice(&digest.as_bytes()[..10]);
    let millis = u64::try_from(entry.at.as_millisecond()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &bits)
        .into_uuid()
        .to_string()
}
