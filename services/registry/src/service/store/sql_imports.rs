//! Imports of registered versions in SQL.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::{SqlStore, count, micros, timestamp};
use super::imports::ImportStore;
use super::sql_registered::lock_version;
use super::statement::{Tx, Value, values};
use crate::error::{Error, Result};
use crate::service::imports::{ClaimId, ImportClaim, ImportEnd, ImportRecord, ImportRefusal, ImportState, NewImport};

const COLUMNS: &str = "model, version, state, why, run_id, library, file, requested_by, requested_at_us, claimed_at_us";
/// Held by who hands imports out.
const CLAIMS_LOCK: &str = "imports";

type ImportRow = (String, i64, String, String, String, String, String, String, i64, i64);

#[async_trait]
impl ImportStore for SqlStore {
    async fn request_import(&self, model: &str, version: u32, new: &NewImport, now: Timestamp) -> Result<ImportRecord> {
        let (name, new) = (model.to_owned(), new.clone());
        self.write(move |mut tx| {
            Box::pin(async move {
                lock_version(&mut tx, &name, version).await?;
                ask(&mut tx, &name, version, &new, now).await?;
                let sql = format!("SELECT {COLUMNS} FROM imports WHERE model = $1 AND version = $2");
                record_of(tx.fetch_one(AssertSqlSafe(sql), values![name, version]).await?)
            })
        })
        .await
    }

    async fn import(&self, model: &str, version: u32) -> Result<Option<ImportRecord>> {
        let sql = format!("SELECT {COLUMNS} FROM imports WHERE model = $1 AND version = $2");
        let row = self.readers.fetch_optional(AssertSqlSafe(sql), values![model, version]);
        row.await?.map(record_of).transpose()
    }

    async fn claim_import(&self, now: Timestamp, lease: Duration, most_tries: u32) -> Result<Option<ImportClaim>> {
        let (at, until) = (micros(now), micros(now + lease));
        // The usual case costs no writer anything.
        let sql = format!("SELECT version FROM imports WHERE {OPEN} LIMIT 1");
        let waiting = self
            .readers
            .fetch_optional::<(i64,)>(AssertSqlSafe(sql), values![at, until]);
        if waiting.await?.is_none() {
            return Ok(None);
        }
        self.write(move |mut tx| Box::pin(async move { claim(&mut tx, at, until, most_tries).await }))
            .await
    }

    async fn keep_import(&self, claim: &ClaimId, run_id: &str, plan: &str, until: Timestamp) -> Result<String> {
        // One that is done may still be promoted: whoever is at it is to be let finish.
        let sql = "UPDATE imports SET lease_until_us = $4,
                       run_id = CASE WHEN $5 <> '' THEN $5 ELSE run_id END,
                       plan = CASE WHEN plan = '' THEN $6 ELSE plan END
                   WHERE model = $1 AND version = $2 AND claim = $3 AND state IN ('running', 'done')
                   RETURNING plan";
        let mut values = claim_values(claim);
        values.extend(values![micros(until), run_id, plan]);
        let held: Option<(String,)> = self
            .write(move |mut tx| Box::pin(async move { tx.fetch_optional(sql, values).await }))
            .await?;
        held.map(|(plan,)| plan).ok_or_else(|| ended(claim))
    }

    async fn end_import(&self, claim: &ClaimId, end: &ImportEnd) -> Result<ImportRecord> {
        let (sql, why) = match end {
            ImportEnd::Failed(why) => (
                "UPDATE imports SET state = 'failed', why = $4
                 WHERE model = $1 AND version = $2 AND claim = $3 AND state = 'running'",
                why.as_str(),
            ),
            ImportEnd::PutBack => (
                "UPDATE imports SET state = 'requested', why = $4, tries = tries - 1
                 WHERE model = $1 AND version = $2 AND claim = $3 AND state = 'running'",
                "",
            ),
        };
        let mut values = claim_values(claim);
        values.extend(values![why]);
        let changed = self
            .write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }))
            .await?;
        let found = self.import(&claim.model, claim.version).await?;
        let found = found.ok_or_else(|| ended(claim))?;
        if changed == 0 && found.state != ImportState::Done {
            return Err(ended(claim));
        }
        Ok(found)
    }
}

/// Waiting at `$1`, or at work with a lease that has run out by then. A lease that ends later than `$2`, when one that is given
/// now would, was given by a clock that has gone back since.
const OPEN: &str = "(state = 'requested' OR (state = 'running' AND (lease_until_us <= $1 OR lease_until_us > $2)))";

async fn claim(tx: &mut Tx<'_>, at: i64, until: i64, most_tries: u32) -> Result<Option<ImportClaim>> {
    tx.lock(CLAIMS_LOCK).await?;
    let sql = format!("UPDATE imports SET state = 'failed', why = $4 WHERE {OPEN} AND tries >= $3");
    let why = format!(
        "whoever took it up ended {most_tries} times without a word: the log of the training service may say why; then ask for it again"
    );
    tx.execute(AssertSqlSafe(sql), values![at, until, most_tries, why])
        .await?;
    let sql = format!(
        "SELECT model, version FROM imports WHERE {OPEN} ORDER BY claimed_at_us, requested_at_us, model, version LIMIT 1"
    );
    let next: Option<(String, i64)> = tx.fetch_optional(AssertSqlSafe(sql), values![at, until]).await?;
    let Some((model, version)) = next else {
        return Ok(None);
    };
    let sql = format!(
        "UPDATE imports SET state = 'running', why = '', claim = claim + 1, tries = tries + 1, claimed_at_us = $3,
             lease_until_us = $4
         WHERE model = $1 AND version = $2 RETURNING {COLUMNS}"
    );
    let row = tx.fetch_one(AssertSqlSafe(sql), values![&model, version, at, until]);
    let record = record_of(row.await?)?;
    let sql = "SELECT claim, columns, wishes, plan FROM imports WHERE model = $1 AND version = $2";
    let (number, columns, wishes, plan): (i64, String, String, String) =
        tx.fetch_one(sql, values![model, version]).await?;
    let corrupt = |what: &str| Error::Corrupt(format!("{what} of an import"));
    Ok(Some(ImportClaim {
        record,
        number: u64::try_from(number).map_err(|_| corrupt("claim"))?,
        columns: serde_json::from_str(&columns).map_err(|_| corrupt("columns"))?,
        wishes: hex::decode(wishes).map_err(|_| corrupt("wishes"))?,
        plan,
    }))
}

/// Asks for an import in the transaction of another: anew if it has failed or waits.
pub(super) async fn ask(tx: &mut Tx<'_>, model: &str, version: u32, new: &NewImport, now: Timestamp) -> Result<()> {
    let columns = serde_json::to_string(&new.columns);
    let columns = columns.map_err(|source| Error::Corrupt(format!("columns: {source}")))?;
    let sql =
        "INSERT INTO imports (model, version, state, library, file, columns, requested_by, requested_at_us, wishes)
               VALUES ($1, $2, 'requested', $3, $4, $5, $6, $7, $8)
               ON CONFLICT (model, version) DO UPDATE SET state = 'requested', why = '', library = excluded.library,
                   file = excluded.file, columns = excluded.columns, requested_by = excluded.requested_by,
                   requested_at_us = excluded.requested_at_us, wishes = excluded.wishes, plan = '', tries = 0
               WHERE imports.state IN ('requested', 'failed')";
    let wishes = hex::encode(&new.wishes);
    let values = values![
        model,
        version,
        &new.library,
        &new.file,
        columns,
        &new.requested_by,
        micros(now),
        wishes,
    ];
    tx.execute(sql, values).await?;
    Ok(())
}

/// Marks the import of a version as done, if there is one, in the transaction that keeps the gate's decision about it.
pub(super) async fn done(tx: &mut Tx<'_>, model: &str, version: u32) -> Result<()> {
    let sql = "UPDATE imports SET state = 'done', why = '' WHERE model = $1 AND version = $2";
    tx.execute(sql, values![model, version]).await?;
    Ok(())
}

fn claim_values(claim: &ClaimId) -> Vec<Value> {
    values![
        &claim.model,
        claim.version,
        i64::try_from(claim.number).unwrap_or(i64::MAX)
    ]
}

fn ended(claim: &ClaimId) -> Error {
    let refusal = ImportRefusal::ClaimEnded {
        model: claim.model.clone(),
        version: claim.version,
        number: claim.number,
    };
    refusal.into()
}

fn record_of(row: ImportRow) -> Result<ImportRecord> {
    let (model, version, state, why, run_id, library, file, requested_by, requested_at, claimed_at) = row;
    let known = ImportState::ALL.into_iter().find(|known| known.name() == state);
    Ok(ImportRecord {
        model,
        version: count(version)?,
        state: known.ok_or_else(|| Error::Corrupt(format!("state {state:?} of an import")))?,
        why,
        run_id,
        library,
        file,
        requested_by,
        requested_at: timestamp(requested_at)?,
        claimed_at: (claimed_at > 0).then(|| timestamp(claimed_at)).transpose()?,
    })
}
