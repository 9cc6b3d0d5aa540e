//! Model versions and gate decisions in SQLite.

use holdfast_domain::{Digest, ModelName, ModelVersion};
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::sqlite::{SqliteStore, micros, page_of, timestamp};
use super::{Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::gate::GateDecision;
use crate::service::models::{FinishedVersion, VersionRecord, VersionStatus};

const COLUMNS: &str = "model, version, status, run_id, artifact_digest, artifact_size_bytes, family, \
                       training_snapshot, test_snapshot, created_at_us, created_by";

impl SqliteStore {
    pub(super) async fn insert_version(
        &self,
        model: &ModelName,
        run_id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<VersionRecord> {
        let mut tx = self.write().await?;
        sqlx::query("INSERT INTO models (name, created_at_us) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(model.as_str())
            .bind(micros(now))
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "INSERT INTO model_versions (model, version, status, run_id, created_at_us, created_by)
             SELECT ?1, coalesce(max(version), 0) + 1, 'pending', ?2, ?3, ?4 FROM model_versions WHERE model = ?1
             ON CONFLICT (model, run_id) DO NOTHING",
        )
        .bind(model.as_str())
        .bind(run_id)
        .bind(micros(now))
        .bind(by)
        .execute(&mut *tx)
        .await?;
        let version: u32 = sqlx::query_scalar("SELECT version FROM model_versions WHERE model = ? AND run_id = ?")
            .bind(model.as_str())
            .bind(run_id)
            .fetch_one(&mut *tx)
            .await?;
        tx.commit().await?;
        self.select_version(model, ModelVersion(version)).await
    }

    pub(super) async fn set_version_ready(
        &self,
        model: &ModelName,
        version: ModelVersion,
        facts: &FinishedVersion,
    ) -> Result<VersionRecord> {
        let changed = sqlx::query(
            "UPDATE model_versions SET status = 'ready', artifact_digest = ?, artifact_size_bytes = ?, family = ?,
                                       training_snapshot = ?, test_snapshot = ?
             WHERE model = ? AND version = ? AND (status = 'pending' OR artifact_digest = ?)",
        )
        .bind(facts.artifact_digest.to_string())
        .bind(i64::try_from(facts.artifact_size_bytes).unwrap_or(i64::MAX))
        .bind(&facts.family)
        .bind(&facts.training_snapshot)
        .bind(&facts.test_snapshot)
        .bind(model.as_str())
        .bind(version.0)
        .bind(facts.artifact_digest.to_string())
        .execute(&self.writer)
        .await?;
        let record = self.select_version(model, version).await?;
        if changed.rows_affected() == 0 {
            return Err(Error::VersionIsOther {
                model: model.clone(),
                version,
            });
        }
        Ok(record)
    }

    pub(super) async fn select_version(&self, model: &ModelName, version: ModelVersion) -> Result<VersionRecord> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM model_versions WHERE model = ? AND version = ?"
        )))
        .bind(model.as_str())
        .bind(version.0)
        .fetch_optional(&self.readers)
        .await?
        .ok_or_else(|| Error::NoSuchVersion {
            model: model.clone(),
            version,
        })?;
        Ok(self.version_of(&row).await?.1)
    }

    pub(super) async fn select_versions(&self, model: &ModelName, page: &PageRequest) -> Result<Page<VersionRecord>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM model_versions WHERE model = ? AND version < ? ORDER BY version DESC LIMIT ?"
        )))
        .bind(model.as_str())
        .bind(page.before.unwrap_or(i64::MAX))
        .bind(page.size + 1)
        .fetch_all(&self.readers)
        .await?;
        if rows.is_empty() && page.before.is_none() {
            return Err(Error::NoSuchModel(model.clone()));
        }
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push(self.version_of(row).await?);
        }
        Ok(page_of(found, page.size))
    }

    pub(super) async fn select_models(&self) -> Result<Vec<(ModelName, u32, ModelVersion)>> {
        let rows = sqlx::query(
            "SELECT m.name AS name, count(v.version) AS versions, coalesce(max(v.version), 0) AS latest
             FROM models m LEFT JOIN model_versions v ON v.model = m.name GROUP BY m.name ORDER BY m.name",
        )
        .fetch_all(&self.readers)
        .await?;
        rows.iter()
            .map(|row| {
                let name = model_name(row.try_get("name")?)?;
                Ok((name, row.try_get("versions")?, ModelVersion(row.try_get("latest")?)))
            })
            .collect()
    }

    async fn version_of(&self, row: &SqliteRow) -> Result<(i64, VersionRecord)> {
        let model = model_name(row.try_get("model")?)?;
        let version: u32 = row.try_get("version")?;
        let decisions =
            sqlx::query("SELECT decision FROM gate_decisions WHERE model = ? AND version = ? ORDER BY decided_at_us")
                .bind(model.as_str())
                .bind(version)
                .fetch_all(&self.readers)
                .await?;
        let decisions = decisions
            .iter()
            .map(|row| {
                let json: &str = row.try_get("decision")?;
                serde_json::from_str(json).map_err(|source| Error::Corrupt(format!("gate decision: {source}")))
            })
            .collect::<Result<Vec<GateDecision>>>()?;
        let digest: Option<String> = row.try_get("artifact_digest")?;
        let digest = digest
            .map(|hex| {
                hex.parse::<Digest>()
                    .map_err(|_| Error::Corrupt(format!("digest {hex:?}")))
            })
            .transpose()?;
        let size: i64 = row.try_get("artifact_size_bytes")?;
        let record = VersionRecord {
            model,
            version: ModelVersion(version),
            status: match row.try_get("status")? {
                "ready" => VersionStatus::Ready,
                "pending" => VersionStatus::Pending,
                other => return Err(Error::Corrupt(format!("version status {other:?}"))),
            },
            run_id: row.try_get("run_id")?,
            artifact_digest: digest,
            artifact_size_bytes: u64::try_from(size).unwrap_or(0),
            family: row.try_get("family")?,
            training_snapshot: row.try_get("training_snapshot")?,
            test_snapshot: row.try_get("test_snapshot")?,
            created_at: timestamp(row.try_get("created_at_us")?)?,
            created_by: row.try_get("created_by")?,
            decisions,
        };
        Ok((i64::from(version), record))
    }

    pub(super) async fn insert_decision(
        &self,
        model: &ModelName,
        version: ModelVersion,
        digest: &Digest,
        decision: &GateDecision,
    ) -> Result<()> {
        let json =
            serde_json::to_string(decision).map_err(|source| Error::Corrupt(format!("gate decision: {source}")))?;
        sqlx::query(
            "INSERT INTO gate_decisions (model, version, evaluation_digest, decided_at_us, decision)
             VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind(model.as_str())
        .bind(version.0)
        .bind(digest.to_string())
        .bind(micros(decision.decided_at))
        .bind(json)
        .execute(&self.writer)
        .await?;
        Ok(())
    }

    pub(super) async fn count_judged_on(
        &self,
        model: &ModelName,
        version: ModelVersion,
        test_snapshot: &Digest,
    ) -> Result<u32> {
        // A model has as many decisions as it had trainings: reading their JSON is cheap enough.
        let others = sqlx::query_scalar(
            "SELECT count(DISTINCT version) FROM gate_decisions
             WHERE model = ? AND version <> ? AND json_extract(decision, '$.evaluation.test_snapshot') = ?",
        )
        .bind(model.as_str())
        .bind(version.0)
        .bind(test_snapshot.to_string())
        .fetch_one(&self.readers)
        .await?;
        Ok(others)
    }
}

fn model_name(text: &str) -> Result<ModelName> {
    text.parse().map_err(|_| Error::Corrupt(format!("model name {text:?}")))
}
