//! What went into runs and came out of them, in SQL.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::database::SqlStore;
use super::sql_runs::{ActiveRun, active};
use super::statement::{Dialect, Tx, Value, values};
use crate::error::{Result, Violation};
use crate::service::tracking::{Dataset, DatasetInput, DatasetSummary, KeyValue, Links, ModelOutput};

const MOST_SUMMARIES: i64 = 1_000;

/// Run, data set, name, digest, kind of source, source, schema, profile.
type InputRow = (String, i64, String, String, String, String, String, String);

impl SqlStore {
    pub(super) async fn write_links(&self, run_id: &str, mut links: Links) -> Result<()> {
        let run = run_id.to_owned();
        // On Postgres two writers of the same data sets then wait for each other instead of locking each other out.
        links.datasets.sort_by(|one, other| {
            (&one.dataset.name, &one.dataset.digest).cmp(&(&other.dataset.name, &other.dataset.digest))
        });
        self.write(move |mut tx| {
            Box::pin(async move {
                let ActiveRun { experiment_id, .. } = active(&mut tx, &run).await?;
                for input in &links.datasets {
                    write_dataset(&mut tx, experiment_id, &run, input).await?;
                }
                for (index, model_id) in links.model_inputs.iter().enumerate() {
                    known(&mut tx, &format!("model_ids[{index}]"), model_id).await?;
                    let sql = "INSERT INTO run_model_inputs (run_id, model_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                    tx.execute(sql, values![&run, model_id]).await?;
                }
                for (index, output) in links.model_outputs.iter().enumerate() {
                    known(&mut tx, &format!("models[{index}].model_id"), &output.model_id).await?;
                    let sql = "INSERT INTO run_model_outputs (run_id, model_id, step) VALUES ($1, $2, $3)
                               ON CONFLICT (run_id, model_id) DO UPDATE SET step = excluded.step";
                    tx.execute(sql, values![&run, &output.model_id, output.step]).await?;
                }
                Ok(())
            })
        })
        .await
    }

    pub(super) async fn select_datasets(&self, experiments: &[i64]) -> Result<Vec<DatasetSummary>> {
        let marks: Vec<String> = (1..=experiments.len()).map(|mark| format!("${mark}")).collect();
        let sql = format!(
            "SELECT DISTINCT d.experiment_id, d.name, d.digest, coalesce(t.value, '') AS context
             FROM datasets d JOIN run_datasets i ON i.dataset_id = d.dataset_id
             LEFT JOIN run_dataset_tags t
                 ON t.run_id = i.run_id AND t.dataset_id = i.dataset_id AND t.key = 'mlflow.data.context'
             WHERE d.experiment_id IN ({}) ORDER BY 1, 2, 3, 4 LIMIT {MOST_SUMMARIES}",
            marks.join(", ")
        );
        let values = experiments.iter().map(|id| Value::from(*id)).collect();
        let rows = self.readers.fetch_all(AssertSqlSafe(sql), values).await?;
        let summary = |(experiment_id, name, digest, context)| DatasetSummary {
            experiment_id,
            name,
            digest,
            context,
        };
        Ok(rows.into_iter().map(summary).collect())
    }

    /// Links of runs, by the run's id. Runs without any are not in it.
    pub(super) async fn links_of(&self, run_ids: &[&str]) -> Result<HashMap<String, Links>> {
        let listed = listed(self.dialect());
        let list = || vec![texts(run_ids)];
        let inputs = format!(
            "SELECT i.run_id, d.dataset_id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile
             FROM run_datasets i JOIN datasets d ON d.dataset_id = i.dataset_id
             WHERE i.run_id IN ({listed}) ORDER BY i.run_id, d.dataset_id"
        );
        let tags = format!(
            "SELECT run_id, dataset_id, key, value FROM run_dataset_tags WHERE run_id IN ({listed})
             ORDER BY run_id, dataset_id, key"
        );
        let models_in = format!(
            "SELECT run_id, model_id FROM run_model_inputs WHERE run_id IN ({listed}) ORDER BY run_id, model_id"
        );
        let models_out = format!(
            "SELECT run_id, model_id, step FROM run_model_outputs WHERE run_id IN ({listed})
             ORDER BY run_id, step, model_id"
        );
        let (inputs, tags, models_in, models_out) = futures::try_join!(
            self.readers.fetch_all::<InputRow>(AssertSqlSafe(inputs), list()),
            self.readers
                .fetch_all::<(String, i64, String, String)>(AssertSqlSafe(tags), list()),
            self.readers
                .fetch_all::<(String, String)>(AssertSqlSafe(models_in), list()),
            self.readers
                .fetch_all::<(String, String, i64)>(AssertSqlSafe(models_out), list()),
        )?;
        let mut uses: HashMap<(String, i64), Vec<KeyValue>> = HashMap::new();
        for (run, dataset, key, value) in tags {
            uses.entry((run, dataset)).or_default().push(KeyValue { key, value });
        }
        let mut found: HashMap<String, Links> = HashMap::new();
        for (run, id, name, digest, source_type, source, schema, profile) in inputs {
            let dataset = Dataset {
                name,
                digest,
                source_type,
                source,
                schema,
                profile,
            };
            let tags = uses.remove(&(run.clone(), id)).unwrap_or_default();
            let links = found.entry(run).or_default();
            links.datasets.push(DatasetInput { dataset, tags });
        }
        for (run, model_id) in models_in {
            found.entry(run).or_default().model_inputs.push(model_id);
        }
        for (run, model_id, step) in models_out {
            let links = found.entry(run).or_default();
            links.model_outputs.push(ModelOutput { model_id, step });
        }
        Ok(found)
    }
}

async fn write_dataset(tx: &mut Tx<'_>, experiment: i64, run: &str, input: &DatasetInput) -> Result<()> {
    let Dataset {
        name,
        digest,
        source_type,
        source,
        schema,
        profile,
    } = &input.dataset;
    let sql = "INSERT INTO datasets (experiment_id, name, digest, source_type, source, schema, profile)
               VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
    let values = values![experiment, name, digest, source_type, source, schema, profile];
    tx.execute(sql, values).await?;
    let sql = "SELECT dataset_id FROM datasets WHERE experiment_id = $1 AND name = $2 AND digest = $3";
    let (dataset,): (i64,) = tx.fetch_one(sql, values![experiment, name, digest]).await?;
    let sql = "INSERT INTO run_datasets (run_id, dataset_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    tx.execute(sql, values![run, dataset]).await?;
    for tag in &input.tags {
        let sql = "INSERT INTO run_dataset_tags (run_id, dataset_id, key, value) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (run_id, dataset_id, key) DO UPDATE SET value = excluded.value";
        tx.execute(sql, values![run, dataset, &tag.key, &tag.value]).await?;
    }
    Ok(())
}

/// Refuses a logged model that is not there.
async fn known(tx: &mut Tx<'_>, field: &str, model_id: &str) -> Result<()> {
    let sql = "SELECT position FROM logged_models WHERE model_id = $1";
    if tx.fetch_optional::<(i64,)>(sql, values![model_id]).await?.is_some() {
        return Ok(());
    }
    let rule = format!("{model_id:?} is no logged model");
    Err(Violation::new(field, "logged_model", &rule).into())
}

/// The texts of the list `$1`, as rows.
pub(super) fn listed(dialect: Dialect) -> &'static str {
    dialect.pick(
        "SELECT value FROM json_each($1)",
        "SELECT value FROM json_array_elements_text(CAST($1 AS JSON))",
    )
}

/// Such a list.
pub(super) fn texts(list: &[&str]) -> Value {
    Value::from(serde_json::Value::from(list).to_string())
}
