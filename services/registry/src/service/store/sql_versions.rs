//! Model versions and gate decisions in SQL.

use async_trait::async_trait;
use holdfast_domain::{Digest, ModelName, ModelVersion};
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::database::{SqlStore, count, digest as stored_digest, micros, page_of, timestamp};
use super::sql_imports;
use super::sql_registered::{lock_versions, next_version, touch_model};
use super::sql_webhooks::tell;
use super::statement::values;
use super::versions::{RegisteredFrom, VersionStore};
use super::{Page, PageRequest};
use crate::error::{Error, Result};
use crate::service::gate::GateDecision;
use crate::service::models::{FinishedVersion, Origin, VersionRecord, VersionStatus};
use crate::service::webhooks::{Made, RegistryEvent};

const COLUMNS: &str = "model, version, status, \
                       CASE WHEN made_by_run <> '' THEN made_by_run ELSE run_id END, artifact_digest, \
                       artifact_size_bytes, family, training_snapshot, test_snapshot, created_at_us, created_by, origin";

type VersionRow = (
    String,
    i64,
    String,
    String,
    Option<String>,
    i64,
    String,
    String,
    String,
    i64,
    String,
    String,
);

#[async_trait]
impl VersionStore for SqlStore {
    async fn reserve_version(
        &self,
        model: &ModelName,
        run_id: &str,
        by: &str,
        now: Timestamp,
    ) -> Result<VersionRecord> {
        let (name, run, by) = (model.to_string(), run_id.to_owned(), by.to_owned());
        let version = self
            .write(move |mut tx| {
                Box::pin(async move {
                    lock_versions(&mut tx, &name).await?;
                    let reserved = "SELECT version FROM model_versions
                                    WHERE model = $1 AND run_id = $2 AND origin = 'training'";
                    let reserved = tx.fetch_optional::<(i64,)>(reserved, values![&name, &run]).await?;
                    if let Some((version,)) = reserved {
                        return version_number(version);
                    }
                    let sql = "INSERT INTO models (name, created_at_us, updated_at_us) VALUES ($1, $2, $2)
                               ON CONFLICT DO NOTHING";
                    if tx.execute(sql, values![&name, micros(now)]).await? == 1 {
                        tell(&mut tx, &RegistryEvent::model_created(&name, "", &[]), now).await?;
                    } else {
                        touch_model(&mut tx, &name, now).await?;
                    }
                    let version = next_version(&mut tx, &name).await?;
                    // The key of the folder that its artefact will lie in.
                    let source = format!("mlflow-artifacts:/models/{name}/{version}");
                    let sql = "INSERT INTO model_versions (model, version, status, run_id, created_at_us, created_by,
                                                           origin, updated_at_us, source, location)
                               VALUES ($1, $2, 'pending', $3, $4, $5, 'training', $4, $6, $6)";
                    tx.execute(sql, values![&name, version, &run, micros(now), by, &source])
                        .await?;
                    let made = Made {
                        source: &source,
                        run_id: &run,
                        tags: &[],
                        description: "",
                    };
                    tell(&mut tx, &RegistryEvent::version_created(&name, version, &made), now).await?;
                    Ok(ModelVersion(version))
                })
            })
            .await?;
        self.bell.notify_one();
        self.version(model, version).await
    }

    async fn finish_version(
        &self,
        model: &ModelName,
        version: ModelVersion,
        facts: &FinishedVersion,
    ) -> Result<VersionRecord> {
        let values = values![
            facts.artifact_digest.to_string(),
            i64::try_from(facts.artifact_size_bytes).unwrap_or(i64::MAX),
            &facts.family,
            &facts.training_snapshot,
            &facts.test_snapshot,
            model.as_str(),
            version.0,
            facts.run_id.as_str(),
        ];
        let changed = self
            .write(move |mut tx| {
                Box::pin(async move {
                    let sql = "UPDATE model_versions SET status = 'ready', artifact_digest = $1,
                                   artifact_size_bytes = $2, family = $3, training_snapshot = $4, test_snapshot = $5,
                                   made_by_run = $8
                               WHERE model = $6 AND version = $7 AND (status = 'pending' OR artifact_digest = $1)";
                    tx.execute(sql, values).await
                })
            })
            .await?;
        let record = self.version(model, version).await?;
        if changed == 0 {
            return Err(Error::VersionIsOther {
                model: model.clone(),
                version,
            });
        }
        Ok(record)
    }

    async fn version(&self, model: &ModelName, version: ModelVersion) -> Result<VersionRecord> {
        let sql = format!("SELECT {COLUMNS} FROM model_versions WHERE model = $1 AND version = $2");
        let values = values![model.as_str(), version.0];
        let row = self.readers.fetch_optional(AssertSqlSafe(sql), values).await?;
        let row = row.ok_or_else(|| Error::NoSuchVersion {
            model: model.clone(),
            version,
        })?;
        Ok(self.version_of(row).await?.1)
    }

    async fn versions(&self, model: &ModelName, page: &PageRequest) -> Result<Page<VersionRecord>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM model_versions WHERE model = $1 AND version < $2 ORDER BY version DESC LIMIT $3"
        );
        let values = values![model.as_str(), page.before.unwrap_or(i64::MAX), page.size + 1];
        let rows = self.readers.fetch_all::<VersionRow>(AssertSqlSafe(sql), values).await?;
        if rows.is_empty() && page.before.is_none() {
            return Err(Error::NoSuchModel(model.clone()));
        }
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(self.version_of(row).await?);
        }
        Ok(page_of(found, page.size))
    }

    async fn models(&self) -> Result<Vec<(ModelName, u32, ModelVersion)>> {
        let sql = "SELECT m.name, count(v.version), coalesce(max(v.version), 0)
                   FROM models m LEFT JOIN model_versions v ON v.model = m.name GROUP BY m.name ORDER BY m.name";
        let rows = self.readers.fetch_all::<(String, i64, i64)>(sql, values![]).await?;
        rows.into_iter()
            // MLflow allows more names. Models that have one have no champion and nothing that a gate could judge.
            .filter(|(name, ..)| ModelName::is_valid(name))
            .map(|(name, versions, latest)| Ok((model_name(&name)?, count(versions)?, version_number(latest)?)))
            .collect()
    }

    async fn record_decision(
        &self,
        model: &ModelName,
        version: ModelVersion,
        digest: &Digest,
        decision: &GateDecision,
    ) -> Result<()> {
        let json =
            serde_json::to_string(decision).map_err(|source| Error::Corrupt(format!("gate decision: {source}")))?;
        let name = model.to_string();
        let values = values![&name, version.0, digest.to_string(), micros(decision.decided_at), json,];
        self.write(move |mut tx| {
            Box::pin(async move {
                let sql = "INSERT INTO gate_decisions (model, version, evaluation_digest, decided_at_us, decision)
                           VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
                tx.execute(sql, values).await?;
                sql_imports::done(&mut tx, &name, version.0).await
            })
        })
        .await
    }

    async fn registered_from_runs(&self) -> Result<Vec<RegisteredFrom>> {
        let sql = "SELECT run_id, model_id, model, version FROM model_versions
                   WHERE origin = 'registered' AND artifact_digest IS NOT NULL ORDER BY model, version";
        let rows = self
            .readers
            .fetch_all::<(String, String, String, i64)>(sql, values![])
            .await?;
        let found = rows.into_iter().map(|(run_id, model_id, model, version)| {
            Ok(RegisteredFrom {
                run_id,
                model_id,
                model: model_name(&model)?,
                version: version_number(version)?,
            })
        });
        found.collect()
    }

    async fn others_judged_on(&self, model: &ModelName, version: ModelVersion, test_snapshot: &Digest) -> Result<u32> {
        // A model has as many decisions as it had trainings: reading their JSON is cheap enough.
        let sql = self.dialect().pick(
            "SELECT count(DISTINCT version) FROM gate_decisions
             WHERE model = $1 AND version <> $2 AND json_extract(decision, '$.evaluation.test_snapshot') = $3",
            "SELECT count(DISTINCT version) FROM gate_decisions
             WHERE model = $1 AND version <> $2 AND decision::json #>> '{evaluation,test_snapshot}' = $3",
        );
        let values = values![model.as_str(), version.0, test_snapshot.to_string()];
        let found = self.readers.fetch_optional::<(i64,)>(sql, values).await?;
        count(found.map_or(0, |(others,)| others))
    }
}

impl SqlStore {
    async fn version_of(&self, row: VersionRow) -> Result<(i64, VersionRecord)> {
        let (model, number, status, run_id, digest, size, family, training, test, created_at, created_by, origin) = row;
        let sql = "SELECT decision FROM gate_decisions WHERE model = $1 AND version = $2 ORDER BY decided_at_us";
        let decisions = self
            .readers
            .fetch_all::<(String,)>(sql, values![&model, number])
            .await?;
        let decisions = decisions
            .iter()
            .map(|(json,)| {
                serde_json::from_str(json).map_err(|source| Error::Corrupt(format!("gate decision: {source}")))
            })
            .collect::<Result<Vec<GateDecision>>>()?;
        let record = VersionRecord {
            model: model_name(&model)?,
            version: version_number(number)?,
            status: match status.as_str() {
                "ready" => VersionStatus::Ready,
                "pending" => VersionStatus::Pending,
                other => return Err(Error::Corrupt(format!("version status {other:?}"))),
            },
            run_id,
            artifact_digest: digest.as_deref().map(stored_digest).transpose()?,
            artifact_size_bytes: u64::try_from(size).unwrap_or(0),
            family,
            training_snapshot: training,
            test_snapshot: test,
            created_at: timestamp(created_at)?,
            created_by,
            origin: match origin.as_str() {
                "training" => Origin::Training,
                "registered" => Origin::Registered,
                other => return Err(Error::Corrupt(format!("version origin {other:?}"))),
            },
            decisions,
        };
        Ok((number, record))
    }
}

fn model_name(text: &str) -> Result<ModelName> {
    text.parse().map_err(|_| Error::Corrupt(format!("model name {text:?}")))
}

fn version_number(stored: i64) -> Result<ModelVersion> {
    Ok(ModelVersion(count(stored)?))
}
