//! Deliveries of webhooks in SQL.

use holdfast_domain::{Generation, ModelName};
use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::database::{SqlStore, count, micros, page_of, timestamp};
use super::sql_webhooks::{generation_of, secret_of};
use super::statement::{Tx, Value, values};
use super::{Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::webhooks::{
    Backlog, ClaimRules, Claimed, Convention, Delivery, DeliveryState, EventKind, NewDelivery, RegistryEvent, Settled,
};

/// The deliveries to try now: $1 is now, $2 the latest end of a claim that is good, $3 the latest attempt that can be planned.
/// A time beyond those was written by a clock that was wrong, and would else be waited for.
const DUE: &str = "
    SELECT position, delivery_id, webhook_id, url, secret, events, body, attempts FROM (
        SELECT d.position, d.delivery_id, d.webhook_id, w.url, w.secret, w.events, d.body, d.attempts, d.next_attempt_at_us,
               row_number() OVER (PARTITION BY d.webhook_id ORDER BY d.next_attempt_at_us, d.position) AS turn
        FROM webhook_deliveries d JOIN webhooks w ON w.webhook_id = d.webhook_id
        WHERE w.enabled = 1 AND d.state = 'pending' AND (d.next_attempt_at_us <= $1 OR d.next_attempt_at_us > $3)
          AND NOT EXISTS (
              SELECT 1 FROM webhook_deliveries earlier
              WHERE earlier.webhook_id = d.webhook_id AND earlier.model = d.model AND earlier.state = 'pending'
                AND earlier.generation < d.generation
          )
          AND NOT EXISTS (
              SELECT 1 FROM webhook_deliveries claimed
              WHERE claimed.webhook_id = d.webhook_id AND claimed.state = 'pending'
                AND claimed.claimed_until_us > $1 AND claimed.claimed_until_us <= $2
          )
    ) due
    WHERE turn = 1 ORDER BY next_attempt_at_us, position LIMIT $4";

const COLUMNS: &str =
    "position, delivery_id, webhook_id, event, model, generation, state, attempts, http_status, error,
                       created_at_us, attempted_at_us, next_attempt_at_us";

type DueRow = (i64, String, String, String, String, String, String, i64);
type DeliveryRow = (
    i64,
    String,
    String,
    String,
    String,
    i64,
    String,
    i64,
    i64,
    String,
    i64,
    Option<i64>,
    Option<i64>,
);

impl SqlStore {
    pub(super) async fn claim_due(&self, rules: ClaimRules) -> Result<Vec<Claimed>> {
        // Mostly nothing is due, and a look is cheaper than a write.
        let due = self.readers.fetch_all::<DueRow>(DUE, due_values(&rules)).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |mut tx| Box::pin(async move { claim(&mut tx, &rules).await }))
            .await
    }

    pub(super) async fn write_settled(&self, settled: &Settled) -> Result<bool> {
        let sql = "UPDATE webhook_deliveries SET
                       state = CASE WHEN $3 = 'pending' AND NOT EXISTS (
                           SELECT 1 FROM webhooks w WHERE w.webhook_id = webhook_deliveries.webhook_id AND w.enabled = 1
                       ) THEN 'failed' ELSE $3 END,
                       next_attempt_at_us = (
                           SELECT CAST($6 AS BIGINT) FROM webhooks w
                           WHERE w.webhook_id = webhook_deliveries.webhook_id AND w.enabled = 1
                       ),
                       http_status = $4, error = $5, claim = '', claimed_until_us = 0
                   WHERE delivery_id = $1 AND claim = $2";
        let values = values![
            &settled.delivery_id,
            &settled.claim,
            settled.state.as_str(),
            i64::from(settled.http_status),
            &settled.error,
            settled.next_attempt_at.map(micros),
        ];
        let changed = self
            .write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }))
            .await?;
        Ok(changed > 0)
    }

    pub(super) async fn insert_test(&self, delivery: &Delivery, body: &str) -> Result<()> {
        let sql = "INSERT INTO webhook_deliveries (delivery_id, webhook_id, event, model, generation, body, state,
                                                   attempts, http_status, error, created_at_us, attempted_at_us)
                   SELECT $1, w.webhook_id, $3, '', 0, $4, $5, $6, $7, $8, $9, $10 FROM webhooks w
                   WHERE w.webhook_id = $2";
        let webhook_id = delivery.webhook_id.clone();
        let values = values![
            &delivery.delivery_id,
            &webhook_id,
            delivery.event.as_str(),
            body,
            delivery.state.as_str(),
            delivery.attempts,
            i64::from(delivery.http_status),
            &delivery.error,
            micros(delivery.created_at),
            delivery.attempted_at.map(micros),
        ];
        let added = self
            .write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }))
            .await?;
        match added {
            // It was deleted meanwhile.
            0 => Err(Error::NoSuchWebhook(webhook_id)),
            _ => Ok(()),
        }
    }

    pub(super) async fn select_deliveries(
        &self,
        webhook_id: Option<&str>,
        page: &PageRequest,
    ) -> Result<Page<Delivery>> {
        let mut values = values![page.before.unwrap_or(i64::MAX), page.size + 1];
        let of = webhook_id.map_or("", |webhook_id| {
            values.push(Value::from(webhook_id));
            "AND webhook_id = $3"
        });
        let sql = format!(
            "SELECT {COLUMNS} FROM webhook_deliveries WHERE position < $1 {of} ORDER BY position DESC LIMIT $2"
        );
        let rows = self
            .readers
            .fetch_all::<DeliveryRow>(AssertSqlSafe(sql), values)
            .await?;
        let found = rows.into_iter().map(delivery_of).collect::<Result<Vec<_>>>()?;
        Ok(page_of(found, page.size))
    }

    pub(super) async fn select_backlog(&self) -> Result<Backlog> {
        let sql = "SELECT count(*), min(created_at_us) FROM webhook_deliveries WHERE state = 'pending'";
        let found = self
            .readers
            .fetch_optional::<(i64, Option<i64>)>(sql, values![])
            .await?;
        let (waiting, oldest) = found.unwrap_or_default();
        Ok(Backlog {
            waiting: u64::try_from(waiting).unwrap_or(0),
            oldest: oldest.map(timestamp).transpose()?,
        })
    }

    pub(super) async fn delete_ended(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let sql = "DELETE FROM webhook_deliveries WHERE position IN (
                       SELECT position FROM webhook_deliveries WHERE state <> 'pending' AND created_at_us < $1 LIMIT $2
                   )";
        let values = values![micros(before), limit];
        self.write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }))
            .await
    }
}

fn due_values(rules: &ClaimRules) -> Vec<Value> {
    let at = |later: SignedDuration| micros(rules.now.checked_add(later).unwrap_or(Timestamp::MAX));
    // Clocks of two registries may differ by less than a lease.
    let (claims, plans) = (rules.lease * 2, rules.longest_pause.saturating_add(rules.lease));
    values![micros(rules.now), at(claims), at(plans), rules.limit]
}

async fn claim(tx: &mut Tx<'_>, rules: &ClaimRules) -> Result<Vec<Claimed>> {
    tx.lock("claims of webhook deliveries").await?;
    let until = rules.now.checked_add(rules.lease).unwrap_or(Timestamp::MAX);
    let mut claimed = Vec::new();
    for row in tx.fetch_all::<DueRow>(DUE, due_values(rules)).await? {
        let (position, delivery_id, webhook_id, url, secret, events, body, attempts) = row;
        let claim = Uuid::now_v7().to_string();
        let sql = "UPDATE webhook_deliveries
                   SET claim = $2, claimed_until_us = $3, attempts = attempts + 1, attempted_at_us = $4
                   WHERE position = $1 AND state = 'pending'";
        let values = values![position, &claim, micros(until), micros(rules.now)];
        if tx.execute(sql, values).await? == 0 {
            continue;
        }
        claimed.push(Claimed {
            delivery_id,
            webhook_id,
            claim,
            url,
            secret: secret_of(&secret, &events)?,
            convention: if events.is_empty() {
                Convention::StandardWebhooks
            } else {
                Convention::Mlflow
            },
            body,
            attempts: count(attempts)?.saturating_add(1),
        });
    }
    Ok(claimed)
}

pub(super) async fn add(
    tx: &mut Tx<'_>,
    webhook_id: &str,
    model: &ModelName,
    new: &[NewDelivery],
    now: Timestamp,
) -> Result<()> {
    for delivery in new {
        let sql = "INSERT INTO webhook_deliveries (delivery_id, webhook_id, event, model, generation, body, state,
                                                   created_at_us, next_attempt_at_us)
                   VALUES ($1, $2, $3, $4, $5, $6, 'pending', $7, $7) ON CONFLICT (delivery_id) DO NOTHING";
        let values = values![
            &delivery.delivery_id,
            webhook_id,
            delivery.event.as_str(),
            model.as_str(),
            i64::try_from(delivery.generation.0).unwrap_or(i64::MAX),
            &delivery.body,
            micros(now),
        ];
        tx.execute(sql, values).await?;
    }
    Ok(())
}

/// Adds a delivery of an event of a registered model, to come after those of the model that wait.
pub(super) async fn add_event(tx: &mut Tx<'_>, webhook_id: &str, event: &RegistryEvent, now: Timestamp) -> Result<()> {
    // Their places in order, which a champion's generation is for others: the microsecond, unless a clock went back.
    let last = "SELECT max(generation) FROM webhook_deliveries
                WHERE webhook_id = $1 AND model = $2 AND state = 'pending'";
    let (last,): (Option<i64>,) = tx.fetch_one(last, values![webhook_id, &event.model]).await?;
    let place = last.map_or(0, |last| last.saturating_add(1)).max(micros(now));
    // It may have been disabled or deleted a moment ago.
    let sql = "INSERT INTO webhook_deliveries (delivery_id, webhook_id, event, model, generation, body, state,
                                               created_at_us, next_attempt_at_us)
               SELECT $1, w.webhook_id, $3, $4, $5, $6, 'pending', $7, $7 FROM webhooks w
               WHERE w.webhook_id = $2 AND w.enabled = 1";
    let values = values![
        Uuid::now_v7().to_string(),
        webhook_id,
        event.kind.as_str(),
        &event.model,
        place,
        event.body(now),
        micros(now),
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Ends what waits. Whoever makes an attempt just now keeps the claim, and may still write that it arrived.
pub(super) async fn give_up(tx: &mut Tx<'_>, webhook_id: &str) -> Result<()> {
    let sql =
        "UPDATE webhook_deliveries SET state = 'failed', error = 'the webhook was disabled', next_attempt_at_us = NULL
               WHERE webhook_id = $1 AND state = 'pending'";
    tx.execute(sql, values![webhook_id]).await?;
    Ok(())
}

pub(super) async fn hasten(tx: &mut Tx<'_>, webhook_id: &str, now: Timestamp) -> Result<()> {
    let sql = "UPDATE webhook_deliveries SET next_attempt_at_us = $2
               WHERE webhook_id = $1 AND state = 'pending' AND next_attempt_at_us > $2";
    tx.execute(sql, values![webhook_id, micros(now)]).await?;
    Ok(())
}

fn delivery_of(row: DeliveryRow) -> Result<(i64, Delivery)> {
    let (created_at, attempted_at, next_attempt_at) = (row.10, row.11, row.12);
    let (position, delivery_id, webhook_id, event, model, generation, state, attempts, http_status, error, ..) = row;
    let corrupt = |what: &str, found: &str| Error::Corrupt(format!("{what} {found:?} of a delivery"));
    let event = EventKind::ALL
        .into_iter()
        .find(|known| known.as_str() == event)
        .ok_or_else(|| corrupt("event", &event))?;
    let delivery = Delivery {
        delivery_id,
        webhook_id,
        event,
        model,
        generation: match event {
            EventKind::ChampionChanged => generation_of(generation)?,
            // A place in order, which means nothing outside.
            _ => Generation(0),
        },
        state: DeliveryState::ALL
            .into_iter()
            .find(|known| known.as_str() == state)
            .ok_or_else(|| corrupt("state", &state))?,
        attempts: count(attempts)?,
        http_status: u16::try_from(http_status).map_err(|_| corrupt("status", &http_status.to_string()))?,
        error,
        created_at: timestamp(created_at)?,
        attempted_at: attempted_at.map(timestamp).transpose()?,
        next_attempt_at: next_attempt_at.map(timestamp).transpose()?,
    };
    Ok((position, delivery))
}
