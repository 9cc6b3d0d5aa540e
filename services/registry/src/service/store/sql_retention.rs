//! What a collection looks at and removes, in SQL.

use async_trait::async_trait;
use holdfast_domain::Digest;
use jiff::Timestamp;
use sqlx::AssertSqlSafe;

use super::StoredBytes;
use super::database::{SqlStore, count, digest as stored_digest, micros, timestamp};
use super::retention::{
    DeletedExperiment, DeletedModel, DeletedRun, How, KeptBytes, Of, Reference, RetentionStore, StoredPath,
};
use super::sql_artifacts::{PATHS_LOCK, behind_folder, edition_of, size_of};
use super::statement::{Tx, Value, values};
use crate::error::Result;

/// Where the paths of the registry's files begin in an address.
pub(super) const ADDRESS: &str = "mlflow-artifacts:/";
/// When a run was deleted. Those that were before the time was kept count from their end.
const DELETED_AT: &str = "coalesce(deleted_at_us, ended_at_us, started_at_us)";

/// Whether a logged model was deleted before `$1`, itself or with its experiment.
const DELETED_MODEL: &str = "((l.lifecycle = 'deleted' AND coalesce(l.deleted_at_us, l.updated_at_us) <= $1)
                              OR (e.lifecycle = 'deleted' AND e.updated_at_us <= $1))";

type BytesRow = (String, i64, i64, i64, i64, i64);

#[async_trait]
impl RetentionStore for SqlStore {
    async fn begin_collection(&self, now: Timestamp, until: Timestamp) -> Result<bool> {
        // An end farther away than that of one that begins now was set by a clock that has gone back since.
        let sql = "UPDATE collections SET until_us = $2 WHERE id = 1 AND (until_us <= $1 OR until_us > $2)";
        let values = values![micros(now), micros(until)];
        let begun = self.write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }));
        Ok(begun.await? > 0)
    }

    async fn keep_collection(&self, until: Timestamp) -> Result<()> {
        let values = values![micros(until)];
        let sql = "UPDATE collections SET until_us = $1 WHERE id = 1";
        let kept = self.write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }));
        kept.await.map(drop)
    }

    async fn deleted_runs(&self, before: Timestamp) -> Result<Vec<DeletedRun>> {
        let sql = format!(
            "SELECT r.run_id, e.artifact_location FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id
             WHERE r.lifecycle = 'deleted' AND {DELETED_AT} <= $1 ORDER BY r.run_id"
        );
        let rows = self
            .readers
            .fetch_all::<(String, String)>(AssertSqlSafe(sql), values![micros(before)]);
        let runs = rows.await?.into_iter().map(|(run_id, location)| DeletedRun {
            folder: folder(&location, &run_id),
            run_id,
        });
        Ok(runs.collect())
    }

    async fn deleted_logged_models(&self, before: Timestamp) -> Result<Vec<DeletedModel>> {
        let sql = format!(
            "SELECT l.model_id, e.artifact_location FROM logged_models l
             JOIN experiments e ON e.experiment_id = l.experiment_id WHERE {DELETED_MODEL} ORDER BY l.model_id"
        );
        let rows = self
            .readers
            .fetch_all::<(String, String)>(AssertSqlSafe(sql), values![micros(before)]);
        let models = rows.await?.into_iter().map(|(model_id, location)| DeletedModel {
            folder: folder(&location, &format!("models/{model_id}")),
            model_id,
        });
        Ok(models.collect())
    }

    async fn references(&self) -> Result<Vec<Reference>> {
        let mut found = Vec::new();
        for (how, sql) in REFERENCES {
            let rows = self.readers.fetch_all::<(String, String)>(sql, values![]).await?;
            found.extend(rows.into_iter().map(|(by, to)| Reference { by, to, how }));
        }
        Ok(found)
    }

    async fn has_owner(&self, id: &str) -> Result<bool> {
        let sql =
            "SELECT run_id FROM runs WHERE run_id = $1 UNION SELECT model_id FROM logged_models WHERE model_id = $1";
        let found = self.readers.fetch_optional::<(String,)>(sql, values![id]).await?;
        Ok(found.is_some())
    }

    async fn deleted_experiments(&self, before: Timestamp) -> Result<Vec<DeletedExperiment>> {
        // Where runs go when nobody has named an experiment: there is always one.
        let sql = "SELECT experiment_id FROM experiments
                   WHERE lifecycle = 'deleted' AND updated_at_us <= $1 AND experiment_id <> 0 ORDER BY experiment_id";
        let rows = self.readers.fetch_all::<(i64,)>(sql, values![micros(before)]).await?;
        let mut found = Vec::with_capacity(rows.len());
        for (id,) in rows {
            let sql = "SELECT run_id FROM runs WHERE experiment_id = $1";
            let runs = self.readers.fetch_all::<(String,)>(sql, values![id]).await?;
            let sql = "SELECT model_id FROM logged_models WHERE experiment_id = $1";
            let models = self.readers.fetch_all::<(String,)>(sql, values![id]).await?;
            found.push(DeletedExperiment {
                id,
                runs: runs.into_iter().map(|(run,)| run).collect(),
                models: models.into_iter().map(|(model,)| model).collect(),
            });
        }
        Ok(found)
    }

    async fn version_of(&self, of: Of<'_>) -> Result<Option<(String, u32)>> {
        for (sql, values) in needing(of) {
            if let Some((model, version)) = self.readers.fetch_optional::<(String, i64)>(sql, values).await? {
                return Ok(Some((model, count(version)?)));
            }
        }
        Ok(None)
    }

    async fn stored_paths(&self, after: &str, limit: u32) -> Result<Vec<StoredPath>> {
        let sql = "SELECT path, digest, updated_at_us FROM artifacts WHERE path > $1 ORDER BY path LIMIT $2";
        let rows = self
            .readers
            .fetch_all::<(String, String, i64)>(sql, values![after, limit]);
        let paths = rows.await?.into_iter().map(|(path, digest, updated_at)| {
            Ok(StoredPath {
                path,
                digest: stored_digest(&digest)?,
                updated_at: timestamp(updated_at)?,
            })
        });
        paths.collect()
    }

    async fn kept_bytes(&self, digest: &Digest) -> Result<Option<KeptBytes>> {
        let sql = "SELECT digest, size_bytes, edition, touched_at_us, condemned,
                       (SELECT count(*) FROM artifacts a WHERE a.digest = b.digest)
                   FROM artifact_blobs b WHERE digest = $1 AND condemned < 2";
        let row = self
            .readers
            .fetch_optional::<BytesRow>(sql, values![digest.to_string()]);
        row.await?.map(bytes_of).transpose()
    }

    async fn unused_bytes(&self, before: Timestamp) -> Result<Vec<KeptBytes>> {
        let sql =
            "SELECT digest, size_bytes, edition, touched_at_us, condemned, CAST(0 AS BIGINT) FROM artifact_blobs b
                   WHERE condemned = 1 OR (condemned = 0 AND touched_at_us <= $1
                       AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.digest = b.digest))
                   ORDER BY digest";
        let rows = self.readers.fetch_all::<BytesRow>(sql, values![micros(before)]).await?;
        rows.into_iter().map(bytes_of).collect()
    }

    async fn remove_run(&self, run: &DeletedRun, before: Timestamp) -> Result<bool> {
        let (run, before) = (run.clone(), micros(before));
        self.write(move |mut tx| Box::pin(async move { remove_run(&mut tx, &run, before).await }))
            .await
    }

    async fn remove_logged_model(&self, model: &DeletedModel, before: Timestamp) -> Result<bool> {
        let (model, before) = (model.clone(), micros(before));
        self.write(move |mut tx| Box::pin(async move { remove_logged_model(&mut tx, &model, before).await }))
            .await
    }

    async fn remove_experiment(&self, id: i64, before: Timestamp) -> Result<bool> {
        let before = micros(before);
        self.write(move |mut tx| Box::pin(async move { remove_experiment(&mut tx, id, before).await }))
            .await
    }

    async fn remove_stray(&self, path: &str, owner: &str, folder: &str, before: Timestamp) -> Result<bool> {
        let (path, owner, folder) = (path.to_owned(), owner.to_owned(), folder.to_owned());
        self.write(move |mut tx| {
            Box::pin(async move {
                tx.lock(PATHS_LOCK).await?;
                let of = Of {
                    folder: Some(&folder),
                    ..Of::default()
                };
                if is_needed(&mut tx, of).await? {
                    return Ok(false);
                }
                let sql = "DELETE FROM artifacts WHERE path = $1 AND updated_at_us <= $2
                           AND NOT EXISTS (SELECT 1 FROM runs WHERE run_id = $3)
                           AND NOT EXISTS (SELECT 1 FROM logged_models WHERE model_id = $3)";
                Ok(tx.execute(sql, values![path, micros(before), owner]).await? > 0)
            })
        })
        .await
    }

    async fn condemn(&self, bytes: &StoredBytes, before: Timestamp) -> Result<bool> {
        let values = values![bytes.digest.to_string(), bytes.edition, micros(before)];
        // Whoever gives them to a path changes this row first, so that one of the two waits for the other and looks again.
        let sql = "UPDATE artifact_blobs SET condemned = 1 WHERE digest = $1 AND edition = $2
                   AND (condemned = 1 OR (condemned = 0 AND touched_at_us <= $3
                       AND NOT EXISTS (SELECT 1 FROM artifacts a WHERE a.digest = artifact_blobs.digest)))";
        let condemned = self.write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }));
        Ok(condemned.await? > 0)
    }

    async fn bury(&self, bytes: &StoredBytes) -> Result<()> {
        let values = values![bytes.digest.to_string(), bytes.edition];
        // The row stays, so that the key of these bytes is never used again: a removal that was sent and came late finds nothing.
        let sql = "UPDATE artifact_blobs SET condemned = 2 WHERE digest = $1 AND edition = $2 AND condemned = 1";
        let buried = self.write(move |mut tx| Box::pin(async move { tx.execute(sql, values).await }));
        buried.await.map(drop)
    }
}

fn bytes_of(row: BytesRow) -> Result<KeptBytes> {
    let (digest, size, edition, touched_at, condemned, paths) = row;
    Ok(KeptBytes {
        bytes: StoredBytes {
            digest: stored_digest(&digest)?,
            size_bytes: size_of(size)?,
            edition: edition_of(edition)?,
        },
        touched_at: timestamp(touched_at)?,
        paths: size_of(paths)?,
        is_condemned: condemned > 0,
    })
}

/// The folder of files in the registry below an experiment's location.
fn folder(location: &str, below: &str) -> Option<String> {
    let location = location.strip_prefix(ADDRESS)?;
    Some(format!("{}/{below}/artifacts", location.trim_matches('/')))
}

/// How runs and logged models refer to each other.
const REFERENCES: [(How, &str); 3] = [
    (
        How::Nested,
        "SELECT r.run_id, t.value FROM run_tags t JOIN runs r ON r.position = t.run WHERE t.key = 'mlflow.parentRunId'",
    ),
    (
        How::CameFrom,
        "SELECT model_id, source_run_id FROM logged_models WHERE source_run_id <> ''
         UNION SELECT l.model_id, m.run_id FROM logged_model_metrics m JOIN logged_models l ON l.position = m.model
         WHERE m.run_id <> ''",
    ),
    (
        How::Uses,
        "SELECT i.run_id, i.model_id FROM run_model_inputs i
         JOIN logged_models l ON l.model_id = i.model_id AND l.lifecycle = 'active'
         UNION SELECT o.run_id, o.model_id FROM run_model_outputs o
         JOIN logged_models l ON l.model_id = o.model_id AND l.lifecycle = 'active'",
    ),
];

/// Statements that find versions which need one of these.
fn needing(of: Of<'_>) -> Vec<(&'static str, Vec<Value>)> {
    let run = of.run_id.map(|run_id| {
        let sql = "SELECT model, version FROM model_versions WHERE run_id = $1 OR made_by_run = $1
                   UNION ALL SELECT model, version FROM imports WHERE run_id = $1 LIMIT 1";
        (sql, values![run_id])
    });
    let model = of.model_id.map(|model_id| {
        let sql = "SELECT model, version FROM model_versions WHERE model_id = $1 LIMIT 1";
        (sql, values![model_id])
    });
    let folder = of.folder.map(|folder| {
        let (from, to) = (
            format!("{ADDRESS}{folder}"),
            format!("{ADDRESS}{}", behind_folder(folder)),
        );
        let sql = "SELECT model, version FROM model_versions WHERE location >= $1 AND location < $2 LIMIT 1";
        (sql, values![from, to])
    });
    [run, model, folder].into_iter().flatten().collect()
}

async fn is_needed(tx: &mut Tx<'_>, of: Of<'_>) -> Result<bool> {
    for (sql, values) in needing(of) {
        if tx.fetch_optional::<(String, i64)>(sql, values).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes the paths of a folder. Their bytes are not touched: they were referred to last when their owner was there.
async fn remove_files(tx: &mut Tx<'_>, folder: Option<&str>) -> Result<()> {
    if let Some(folder) = folder {
        let sql = "DELETE FROM artifacts WHERE path > $1 AND path < $2";
        tx.execute(sql, values![format!("{folder}/"), behind_folder(folder)])
            .await?;
    }
    Ok(())
}

/// What was logged to a run, by the run's position and by its id.
const OF_POSITION: [&str; 4] = [
    "DELETE FROM params WHERE run = $1",
    "DELETE FROM run_tags WHERE run = $1",
    "DELETE FROM metrics WHERE run = $1",
    "DELETE FROM latest_metrics WHERE run = $1",
];
const OF_ID: [&str; 5] = [
    "DELETE FROM run_dataset_tags WHERE run_id = $1",
    "DELETE FROM run_datasets WHERE run_id = $1",
    "DELETE FROM run_model_inputs WHERE run_id = $1",
    "DELETE FROM run_model_outputs WHERE run_id = $1",
    "DELETE FROM runs WHERE run_id = $1",
];

async fn remove_run(tx: &mut Tx<'_>, run: &DeletedRun, before: i64) -> Result<bool> {
    // Held by who registers versions of files too.
    tx.lock(PATHS_LOCK).await?;
    // Nothing changes, but whoever restores it waits for this transaction.
    let sql = format!(
        "UPDATE runs SET lifecycle = 'deleted' WHERE run_id = $1 AND lifecycle = 'deleted' AND {DELETED_AT} <= $2
         RETURNING position"
    );
    let still: Option<(i64,)> = tx
        .fetch_optional(AssertSqlSafe(sql), values![&run.run_id, before])
        .await?;
    let Some((position,)) = still else {
        return Ok(false);
    };
    let of = Of {
        run_id: Some(&run.run_id),
        folder: run.folder.as_deref(),
        ..Of::default()
    };
    let sql = "SELECT model_id FROM logged_models WHERE source_run_id = $1 LIMIT 1";
    let has_models = tx
        .fetch_optional::<(String,)>(sql, values![&run.run_id])
        .await?
        .is_some();
    if has_models || is_needed(tx, of).await? {
        return Ok(false);
    }
    remove_files(tx, run.folder.as_deref()).await?;
    for sql in OF_POSITION {
        tx.execute(sql, values![position]).await?;
    }
    for sql in OF_ID {
        tx.execute(sql, values![&run.run_id]).await?;
    }
    Ok(true)
}

async fn remove_logged_model(tx: &mut Tx<'_>, model: &DeletedModel, before: i64) -> Result<bool> {
    tx.lock(PATHS_LOCK).await?;
    // Whoever restores its experiment waits for this transaction, or has done so.
    let sql = format!(
        "UPDATE logged_models SET updated_at_us = updated_at_us WHERE position = (
             SELECT l.position FROM logged_models l JOIN experiments e ON e.experiment_id = l.experiment_id
             WHERE l.model_id = $2 AND {DELETED_MODEL}) RETURNING position"
    );
    let still: Option<(i64,)> = tx
        .fetch_optional(AssertSqlSafe(sql), values![before, &model.model_id])
        .await?;
    let Some((position,)) = still else {
        return Ok(false);
    };
    let of = Of {
        model_id: Some(&model.model_id),
        folder: model.folder.as_deref(),
        ..Of::default()
    };
    if is_needed(tx, of).await? {
        return Ok(false);
    }
    remove_files(tx, model.folder.as_deref()).await?;
    for sql in [
        "DELETE FROM logged_model_params WHERE model = $1",
        "DELETE FROM logged_model_tags WHERE model = $1",
        "DELETE FROM logged_model_metrics WHERE model = $1",
        "DELETE FROM logged_models WHERE position = $1",
    ] {
        tx.execute(sql, values![position]).await?;
    }
    for sql in [
        "DELETE FROM run_model_inputs WHERE model_id = $1",
        "DELETE FROM run_model_outputs WHERE model_id = $1",
    ] {
        tx.execute(sql, values![&model.model_id]).await?;
    }
    Ok(true)
}

async fn remove_experiment(tx: &mut Tx<'_>, id: i64, before: i64) -> Result<bool> {
    let sql = "UPDATE experiments SET lifecycle = 'deleted'
               WHERE experiment_id = $1 AND lifecycle = 'deleted' AND updated_at_us <= $2";
    if tx.execute(sql, values![id, before]).await? == 0 {
        return Ok(false);
    }
    let sql = "SELECT run_id FROM runs WHERE experiment_id = $1
               UNION ALL SELECT model_id FROM logged_models WHERE experiment_id = $1 LIMIT 1";
    if tx.fetch_optional::<(String,)>(sql, values![id]).await?.is_some() {
        return Ok(false);
    }
    for sql in [
        "DELETE FROM datasets WHERE experiment_id = $1",
        "DELETE FROM experiment_tags WHERE experiment_id = $1",
        "DELETE FROM experiments WHERE experiment_id = $1",
    ] {
        tx.execute(sql, values![id]).await?;
    }
    Ok(true)
}
