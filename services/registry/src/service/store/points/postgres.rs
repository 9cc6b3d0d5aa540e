//! Points into Postgres.

use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgPool, Postgres};
use sqlx::query::Query;

use super::OfRun;
use crate::service::store::database::micros;
use crate::service::store::sql_batches::keep_latest;
use crate::service::tracking::Metric;

const WRITE: &str = concat!(
    "WITH asked AS (
        SELECT a.n, r.run_id, r.position, r.experiment_id
        FROM unnest($1::text[]) WITH ORDINALITY AS a (run_id, n) JOIN runs r ON r.run_id = a.run_id
        WHERE r.lifecycle = 'active'
    ), points AS (
        INSERT INTO metrics (run, key, measured_at_us, step, value, is_nan)
        SELECT r.position, p.key, p.measured_at_us, p.step, coalesce(p.value, 0), CASE WHEN p.value IS NULL THEN 1 ELSE 0 END
        FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::double precision[])
            AS p (n, key, measured_at_us, step, value)
        JOIN asked r ON r.n = p.n
    ), latest AS (
        INSERT INTO latest_metrics (run, key, step, measured_at_us, value, experiment_id)
        SELECT r.position, p.key, p.step, p.measured_at_us, p.value, r.experiment_id
        FROM unnest($7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::double precision[])
            AS p (n, key, measured_at_us, step, value)
        JOIN asked r ON r.n = p.n
        -- Writers of the same rows then wait for each other instead of locking each other out.
        ORDER BY r.position, p.key
        ",
    keep_latest!(),
    ")
    SELECT run_id FROM asked",
);

/// Columns of points: a run, a key, a time, a step and a value of each.
#[derive(Default)]
struct Columns<'m> {
    runs: Vec<i64>,
    keys: Vec<&'m str>,
    measured_at: Vec<i64>,
    steps: Vec<i64>,
    /// None for NaN.
    values: Vec<Option<f64>>,
}

impl<'m> Columns<'m> {
    fn push(&mut self, run: i64, metric: &'m Metric) {
        self.runs.push(run);
        self.keys.push(&metric.key);
        self.measured_at.push(micros(metric.measured_at));
        self.steps.push(metric.step);
        self.values.push((!metric.value.is_nan()).then_some(metric.value));
    }

    /// The query with five arrays more.
    fn bound<'q>(&self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        query
            .bind(&self.runs)
            .bind(&self.keys)
            .bind(&self.measured_at)
            .bind(&self.steps)
            .bind(&self.values)
    }
}

/// Writes the metrics of those runs that are active with one statement, and answers which they are.
pub(super) async fn insert(pool: &PgPool, runs: &[OfRun<'_>]) -> sqlx::Result<Vec<String>> {
    let (mut points, mut last) = (Columns::default(), Columns::default());
    // A run's number is its place, from 1.
    for (n, run) in (1..).zip(runs) {
        run.points.iter().for_each(|metric| points.push(n, metric));
        run.latest.iter().for_each(|metric| last.push(n, metric));
    }
    let ids: Vec<&str> = runs.iter().map(|run| run.run_id).collect();
    let query = last.bound(points.bound(sqlx::query(WRITE).bind(&ids)));
    let rows = query.fetch_all(pool).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
