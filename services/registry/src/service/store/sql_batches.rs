//! What is logged to runs, in SQL.
//!
//! Rows go in many at a time, and sorted: on Postgres two writers of one run then wait for each other instead of locking each
//! other out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::database::{SqlStore, micros, timestamp};
use super::points::Written;
use super::sql_logged_models;
use super::sql_runs::{active, write_tags};
use super::statement::{Dialect, Tx, Value, values};
use crate::error::{Error, Result, Violation};
use crate::service::tracking::{Batch, KeyValue, Metric};

/// Rows of one statement in SQLite, largest first. Few sizes, so that each is prepared once.
const ROWS_AT_ONCE: [usize; 6] = [500, 100, 25, 8, 4, 1];

type MetricRow = (String, i64, i64, f64, i64);

impl SqlStore {
    pub(super) async fn write_batch(&self, run_id: &str, mut batch: Batch) -> Result<()> {
        let alone = batch.params.is_empty() && batch.tags.is_empty();
        let plain = alone && batch.metrics.iter().all(|metric| metric.on.is_none());
        let metrics: Arc<[Metric]> = batch.metrics.into();
        if plain && !metrics.is_empty() && self.points.write(run_id, Arc::clone(&metrics)).await? == Written::Whole {
            return Ok(());
        }
        let run = run_id.to_owned();
        batch.tags.sort_by(|one, other| one.key.cmp(&other.key));
        self.write(move |mut tx| {
            Box::pin(async move {
                let at = active(&mut tx, &run).await?;
                write_params(&mut tx, (&run, at.position), &batch.params).await?;
                write_metrics(&mut tx, at.position, at.experiment_id, &metrics).await?;
                sql_logged_models::write_metrics(&mut tx, &run, &metrics).await?;
                write_tags(&mut tx, at.position, &batch.tags).await
            })
        })
        .await
    }

    pub(super) async fn select_metric_history(
        &self,
        run_id: &str,
        key: &str,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<Metric>> {
        let position = self.position_of(run_id).await?;
        let sql = "SELECT key, step, measured_at_us, value, is_nan FROM metrics WHERE run = $1 AND key = $2
                   ORDER BY measured_at_us, step, value, is_nan LIMIT $3 OFFSET $4";
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        let rows = self
            .readers
            .fetch_all(sql, values![position, key, limit, offset])
            .await?;
        rows.into_iter().map(metric).collect()
    }

    pub(super) async fn select_metric_sample(
        &self,
        run_id: &str,
        key: &str,
        steps: Option<(i64, i64)>,
        most: u32,
    ) -> Result<Vec<Metric>> {
        let position = self.position_of(run_id).await?;
        let (first, last) = steps.unwrap_or((i64::MIN, i64::MAX));
        let sql = if most <= 1 {
            "SELECT key, step, measured_at_us, value, is_nan FROM metrics
             WHERE run = $1 AND key = $2 AND step >= $3 AND step <= $4
             ORDER BY step DESC, measured_at_us DESC, value DESC, is_nan DESC LIMIT $5"
        } else {
            // Row n of N is taken where (n - 1)(most - 1) / (N - 1) comes to a new whole number: the first, the last, and
            // those evenly between.
            "SELECT key, step, measured_at_us, value, is_nan FROM (
                 SELECT key, step, measured_at_us, value, is_nan, count(*) OVER () AS total,
                     row_number() OVER (ORDER BY step, measured_at_us, value, is_nan) AS n
                 FROM metrics WHERE run = $1 AND key = $2 AND step >= $3 AND step <= $4
             ) numbered
             WHERE total <= $5 OR n = 1
                OR (n - 1) * ($5 - 1) / CASE WHEN total > 1 THEN total - 1 ELSE 1 END
                 > (n - 2) * ($5 - 1) / CASE WHEN total > 1 THEN total - 1 ELSE 1 END
             ORDER BY n"
        };
        let values = values![position, key, first, last, most.max(1)];
        let rows = self.readers.fetch_all(sql, values).await?;
        rows.into_iter().map(metric).collect()
    }

    /// The position of a run, active or deleted.
    async fn position_of(&self, run_id: &str) -> Result<i64> {
        let sql = "SELECT position FROM runs WHERE run_id = $1";
        let found = self.readers.fetch_optional::<(i64,)>(sql, values![run_id]).await?;
        Ok(found.ok_or_else(|| Error::NoSuchRun(run_id.to_owned()))?.0)
    }
}

/// Writes those that are new, and refuses to change one. On Postgres a writer of the same key is waited for, and what it
/// wrote is then seen.
async fn write_params(tx: &mut Tx<'_>, (run_id, position): (&str, i64), params: &[KeyValue]) -> Result<()> {
    if params.is_empty() {
        return Ok(());
    }
    let mut sorted: Vec<&KeyValue> = params.iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    let row = |param: &&KeyValue| values![position, &param.key, &param.value];
    insert(tx, "params (run, key, value)", "ON CONFLICT DO NOTHING", &sorted, row).await?;

    let sql = "SELECT key, value FROM params WHERE run = $1";
    let stored: HashMap<String, String> = tx.fetch_all(sql, values![position]).await?.into_iter().collect();
    let mut found = Vec::new();
    for (index, param) in params.iter().enumerate() {
        if let Some(before) = stored.get(&param.key)
            && *before != param.value
        {
            let rule = format!(
                // MLflow's words, which its users know.
                "Param with key='{}' was already logged with value='{before}' for run ID='{run_id}'. Attempted logging new value '{}'.",
                param.key, param.value
            );
            found.push(Violation::new(&format!("params[{index}].value"), "immutable", &rule));
        }
    }
    Violation::none(found)
}

async fn write_metrics(tx: &mut Tx<'_>, position: i64, experiment: i64, metrics: &[Metric]) -> Result<()> {
    if metrics.is_empty() {
        return Ok(());
    }
    let row = |metric: &&Metric| point(position, metric);
    insert(tx, METRICS, "ON CONFLICT DO NOTHING", &sorted(metrics), row).await?;
    let latest: Vec<&Metric> = latest(metrics).into_values().collect();
    let row = |metric: &&Metric| latest_point(position, experiment, metric);
    insert(tx, LATEST_METRICS, keep_latest!(), &latest, row).await
}

pub(super) const METRICS: &str = "metrics (run, key, measured_at_us, step, value, is_nan)";
pub(super) const LATEST_METRICS: &str = "latest_metrics (run, key, step, measured_at_us, value, experiment_id)";

/// In the order of the table.
pub(super) fn sorted<'m>(metrics: impl IntoIterator<Item = &'m Metric>) -> Vec<&'m Metric> {
    let mut sorted: Vec<&Metric> = metrics.into_iter().collect();
    sorted.sort_by(|one, other| {
        (&one.key, one.measured_at, one.step)
            .cmp(&(&other.key, other.measured_at, other.step))
            .then(one.value.total_cmp(&other.value))
    });
    sorted
}

/// A row of [`METRICS`].
pub(super) fn point(position: i64, metric: &Metric) -> Vec<Value> {
    let is_nan = metric.value.is_nan();
    let value = if is_nan { 0.0 } else { metric.value };
    let at = micros(metric.measured_at);
    values![position, &metric.key, at, metric.step, value, i64::from(is_nan)]
}

/// A row of [`LATEST_METRICS`].
pub(super) fn latest_point(position: i64, experiment: i64, metric: &Metric) -> Vec<Value> {
    let value = (!metric.value.is_nan()).then_some(metric.value);
    let at = micros(metric.measured_at);
    values![position, &metric.key, metric.step, at, value, experiment]
}

/// The latest value is that of the highest step, then the latest time, then the largest value: MLflow's rule.
macro_rules! keep_latest {
    () => {
        "ON CONFLICT (run, key) DO UPDATE SET step = excluded.step,
            measured_at_us = excluded.measured_at_us, value = excluded.value
        WHERE (excluded.step, excluded.measured_at_us) > (latest_metrics.step, latest_metrics.measured_at_us)
           OR ((excluded.step, excluded.measured_at_us) = (latest_metrics.step, latest_metrics.measured_at_us)
               AND (latest_metrics.value IS NULL OR excluded.value > latest_metrics.value))"
    };
}
pub(super) use keep_latest;

/// The latest of each key by that rule; one statement may not touch a row twice.
pub(super) fn latest<'m>(metrics: impl IntoIterator<Item = &'m Metric>) -> BTreeMap<&'m str, &'m Metric> {
    let mut latest: BTreeMap<&str, &Metric> = BTreeMap::new();
    for metric in metrics {
        let place = (metric.step, metric.measured_at);
        let is_later = |before: &&Metric| {
            let held = (before.step, before.measured_at);
            place > held || (place == held && (before.value.is_nan() || metric.value > before.value))
        };
        if latest.get(&*metric.key).is_none_or(is_later) {
            latest.insert(&metric.key, metric);
        }
    }
    latest
}

/// Inserts rows, as many as possible with one statement.
async fn insert<T>(
    tx: &mut Tx<'_>,
    table: &str,
    conflict: &str,
    rows: &[T],
    row: impl Fn(&T) -> Vec<Value>,
) -> Result<()> {
    match tx.dialect() {
        Dialect::Sqlite => {
            for (sql, values) in tuples(table, conflict, rows.iter().map(row).collect()) {
                tx.execute(AssertSqlSafe(sql), values).await?;
            }
            Ok(())
        }
        Dialect::Postgres => {
            let rows: Vec<Vec<Value>> = rows.iter().map(row).collect();
            let (sql, values) = as_arrays(table, conflict, &rows);
            tx.execute(AssertSqlSafe(sql), values).await.map(drop)
        }
    }
}

/// In SQLite: `VALUES` of many rows. Where a little more fills a statement the last row fills it up: said again it changes nothing, by any
/// `conflict` that there is.
pub(super) fn tuples(table: &str, conflict: &str, mut rows: Vec<Vec<Value>>) -> Vec<(String, Vec<Value>)> {
    // A named placeholder is looked up among all, which for hundreds costs more than the rows: these have no names.
    let tuple = format!("({})", vec!["?"; table.matches(',').count() + 1].join(", "));
    let mut statements = Vec::new();
    while let Some(last) = rows.last() {
        let size = rows_at_once(rows.len());
        if rows.len() < size {
            let last = last.clone();
            rows.resize(size, last);
        }
        let rest = rows.split_off(size);
        let tuples = vec![tuple.as_str(); size].join(", ");
        let sql = format!("INSERT INTO {table} VALUES {tuples} {conflict}");
        statements.push((sql, rows.into_iter().flatten().collect()));
        rows = rest;
    }
    statements
}

/// Rows of the next statement where so many are left: the largest size that they fill, or one that they fill by more than half.
fn rows_at_once(left: usize) -> usize {
    let fits = |size: &&usize| left >= **size || 2 * left > **size;
    ROWS_AT_ONCE.iter().find(fits).copied().unwrap_or(1)
}

/// In Postgres: a column is an array, so that one short statement, which is planned once, takes any number of rows.
fn as_arrays(table: &str, conflict: &str, rows: &[Vec<Value>]) -> (String, Vec<Value>) {
    let columns = rows.first().map_or(0, Vec::len);
    let (mut arrays, mut values) = (Vec::new(), Vec::new());
    for column in 0..columns {
        let cells = || rows.iter().filter_map(|row| row.get(column));
        let kind = match cells().next() {
            Some(Value::Real(_)) => "double precision",
            Some(Value::Text(_)) => "text",
            Some(Value::Integer(_)) | None => "bigint",
        };
        values.push(Value::from(array(cells())));
        arrays.push(format!("${}::text::{kind}[]", values.len()));
    }
    let arrays = arrays.join(", ");
    (
        format!("INSERT INTO {table} SELECT * FROM unnest({arrays}) {conflict}"),
        values,
    )
}

/// An array as Postgres reads it. Numbers are written so that they come back to the bit.
fn array<'v>(cells: impl Iterator<Item = &'v Value>) -> String {
    let mut text = String::from("{");
    for cell in cells {
        if text.len() > 1 {
            text.push(',');
        }
        match cell {
            Value::Integer(Some(value)) => text.push_str(&value.to_string()),
            Value::Real(Some(value)) => text.push_str(&value.to_string()),
            Value::Text(Some(value)) => {
                text.push('"');
                for character in value.chars() {
                    if matches!(character, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(character);
                }
                text.push('"');
            }
            Value::Integer(None) | Value::Real(None) | Value::Text(None) => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

fn metric((key, step, measured_at, value, is_nan): MetricRow) -> Result<Metric> {
    Ok(Metric {
        key,
        value: if is_nan == 1 { f64::NAN } else { value },
        measured_at: timestamp(measured_at)?,
        step,
        on: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_hold_all_rows_and_the_last_one_again() {
        for (count, sizes) in [
            (1, vec![1]),
            (2, vec![1, 1]),
            (3, vec![4]),
            (9, vec![8, 1]),
            (13, vec![25]),
            (1_304, vec![500, 500, 500]),
            (1_030, vec![500, 500, 25, 8]),
        ] {
            let rows: Vec<Vec<Value>> = (0..count).map(|row: i64| values![row, "k"]).collect();
            let statements = tuples("t (a, b)", "ON CONFLICT DO NOTHING", rows);
            let found: Vec<usize> = statements.iter().map(|(_, values)| values.len() / 2).collect();
            assert_eq!(found, sizes, "{count}");
            let mut said: Vec<Value> = statements
                .into_iter()
                .flat_map(|(_, values)| values.into_iter().step_by(2))
                .collect();
            said.dedup();
            assert_eq!(said, (0..count).map(Value::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn arrays_are_written_as_postgres_reads_them() {
        let texts = values!["a", "", "b\"c\\d", "{,}", "NULL"];
        assert_eq!(array(texts.iter()), r#"{"a","","b\"c\\d","{,}","NULL"}"#);
        let reals = values![0.1, f64::INFINITY, -0.0, 1e300, Option::<f64>::None];
        assert!(
            array(reals.iter()).starts_with("{0.1,inf,-0,1000000"),
            "{}",
            array(reals.iter())
        );
        assert!(array(reals.iter()).ends_with(",NULL}"));
        assert_eq!(array(values![-7_i64, i64::MAX].iter()), format!("{{-7,{}}}", i64::MAX));
    }
}
