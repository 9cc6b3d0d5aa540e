//! Points into SQLite.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::OfRun;
use crate::error::Result;
use crate::service::store::sql_batches::{LATEST_METRICS, METRICS, keep_latest, latest_point, point, tuples};
use crate::service::store::statement::{Readers, Value, values};
use crate::service::store::writer::Writer;

const ACTIVE: &str = "SELECT run_id, position, experiment_id FROM runs
    WHERE run_id IN (SELECT value FROM json_each($1)) AND lifecycle = 'active'";

/// Writes the metrics of those runs that are active, and answers which they are. What the writing connection runs is made before it is
/// its turn.
pub(super) async fn insert(readers: &Readers, writer: &Writer, runs: &[OfRun<'_>]) -> Result<Vec<String>> {
    let ids: Vec<&str> = runs.iter().map(|run| run.run_id).collect();
    let list = serde_json::json!(ids).to_string();
    let active: Vec<(String, i64, i64)> = readers.fetch_all(ACTIVE, values![list]).await?;
    if active.is_empty() {
        return Ok(Vec::new());
    }
    let places: HashMap<&str, (i64, i64)> = active
        .iter()
        .map(|(run_id, position, experiment)| (run_id.as_str(), (*position, *experiment)))
        .collect();
    let (mut points, mut last): (Vec<Vec<Value>>, Vec<Vec<Value>>) = Default::default();
    for run in runs {
        let Some((position, experiment)) = places.get(run.run_id) else {
            continue;
        };
        points.extend(run.points.iter().map(|metric| point(*position, metric)));
        last.extend(
            run.latest
                .iter()
                .map(|metric| latest_point(*position, *experiment, metric)),
        );
    }
    let mut statements = tuples(METRICS, "ON CONFLICT DO NOTHING", points);
    statements.extend(tuples(LATEST_METRICS, keep_latest!(), last));
    // Few points are two statements, and the way to the thread of the database and back takes longer than they do.
    if let [(first, of_first), (second, of_second)] = &mut *statements {
        let both = (
            format!("{first}; {second}"),
            of_first.drain(..).chain(of_second.drain(..)).collect(),
        );
        statements = vec![both];
    }
    let work = writer.write(move |mut tx| {
        Box::pin(async move {
            for (sql, values) in statements {
                tx.execute(AssertSqlSafe(sql), values).await?;
            }
            Ok(())
        })
    });
    work.await?;
    Ok(active.into_iter().map(|(run_id, ..)| run_id).collect())
}
