//! The search for runs in SQL.
//!
//! A page is found in two steps: which runs, by their positions, and then everything about them. Which runs is a walk along an
//! index, and there are two it can walk along: the order's, testing each run until the page is full, and that of a metric the
//! filter bounds, sorting what it finds. The second is for filters that leave few; whether they do is counted first, up to
//! a few thousand. So neither "the best hundred of half of all runs" nor "the five above a high bar" looks at every run.

use sqlx::AssertSqlSafe;

use super::conditions::{Conditions, comparator, direction};
use super::database::SqlStore;
use super::sql_tracking::view;
use super::statement::Value;
use crate::error::Result;
use crate::service::search::{
    DatasetText, Direction, NumberOp, Order, RunClause, RunOrderKey, RunText, RunTime, TextTest,
};
use crate::service::tracking::{Found, Place, Run, RunSearch};

/// So many runs, or so many pages of them, are rather sorted than met one by one along the order. A walk looks at
/// page × runs / few of them, so among 100,000 the two cost about the same here.
const FEW: i64 = 3_000;
const FEW_PAGES: i64 = 10;
/// Parts of a result that is ordered by a metric: with a number, with NaN, without the metric.
const LAST_PART: u8 = 2;

const STATUS: &str = "upper(r.status)";
const ARTIFACT_URI: &str = "(SELECT e.artifact_location || '/' || r.run_id || '/artifacts' FROM experiments e WHERE e.experiment_id = r.experiment_id)";

/// A bound of a metric that leaves few runs.
type Bound<'a> = (&'a str, NumberOp, f64);

impl SqlStore {
    pub(super) async fn find_runs(&self, search: &RunSearch) -> Result<Found<Run>> {
        let few = self.few(search).await?;
        let parts = match search.order.first() {
            Some(Order {
                by: RunOrderKey::Metric(_),
                ..
            }) => LAST_PART,
            _ => 0,
        };
        let wanted = search.limit as usize + 1;
        let mut positions: Vec<(i64, Place)> = Vec::new();
        let mut from = search.from;
        while positions.len() < wanted && from.part <= parts {
            let missing = u32::try_from(wanted - positions.len()).unwrap_or(u32::MAX);
            let (sql, values) = self.statement(search, few, from, missing);
            let rows = self.readers.fetch_all::<(i64,)>(AssertSqlSafe(sql), values).await?;
            for (position,) in rows {
                from.offset += 1;
                positions.push((position, from));
            }
            if positions.len() < wanted {
                from = Place {
                    part: from.part + 1,
                    offset: 0,
                };
            }
        }
        let more = positions.len() == wanted;
        positions.truncate(search.limit as usize);
        let items = self.runs_at(&positions).await?;
        Ok(Found { items, more })
    }

    /// The bound of a metric that leaves the fewest runs, if it leaves few.
    async fn few<'s>(&self, search: &'s RunSearch) -> Result<Option<Bound<'s>>> {
        let mut fewest = None;
        let few = FEW.max(FEW_PAGES.saturating_mul(search.limit.into()));
        for clause in &search.clauses {
            let RunClause::Metric { key, op, value } = clause else {
                continue;
            };
            if *op == NumberOp::NotEqual {
                continue;
            }
            let mut conditions = Conditions::new(self.dialect());
            bound(&mut conditions, &search.experiments, (key, *op, *value));
            let most = fewest.map_or(few, |(count, _)| count);
            let limit = conditions.bind(most);
            let sql = format!(
                "SELECT count(*) FROM (SELECT 1 FROM latest_metrics b WHERE {} LIMIT {limit}) met",
                conditions.all()
            );
            let row = self
                .readers
                .fetch_optional::<(i64,)>(AssertSqlSafe(sql), conditions.values)
                .await?;
            let count = row.map_or(most, |(count,)| count);
            if count < most {
                fewest = Some((count, (key.as_str(), *op, *value)));
            }
        }
        Ok(fewest.map(|(_, bound)| bound))
    }

    /// The statement for one part of the result.
    fn statement(&self, search: &RunSearch, few: Option<Bound<'_>>, from: Place, limit: u32) -> (String, Vec<Value>) {
        let mut conditions = Conditions::new(self.dialect());
        let mut with = String::new();
        let mut source = "runs r".to_owned();
        if let Some(few) = few {
            let mut inner = Conditions::new(self.dialect());
            bound(&mut inner, &search.experiments, few);
            with = format!(
                "WITH few AS MATERIALIZED (SELECT b.run FROM latest_metrics b WHERE {}) ",
                inner.all()
            );
            conditions.values = inner.values;
            source = "few CROSS JOIN runs r".to_owned();
            conditions.push("r.position = few.run");
        }
        let mut ordered = None;
        if let Some(Order {
            by: RunOrderKey::Metric(key),
            direction,
        }) = search.order.first()
        {
            ordered = part(
                &mut conditions,
                &mut source,
                (key, *direction),
                (few.is_some(), from.part),
                search,
            );
        }
        let experiments = conditions.bind_all(search.experiments.iter().copied());
        conditions.push(format!("r.experiment_id IN ({experiments})"));
        if let Some(view) = view(search.view, "r.lifecycle") {
            conditions.push(view);
        }
        for clause in &search.clauses {
            let condition = condition(&mut conditions, clause);
            conditions.push(condition);
        }
        let order = order(&mut conditions, search, ordered);
        let (sql, values) = conditions.finish(&format!("r.position FROM {source}"), &order, limit, from.offset);
        (format!("{with}{sql}"), values)
    }
}

/// Which runs have a metric within a bound; `latest_metrics` is `b`.
fn bound(conditions: &mut Conditions, experiments: &[i64], (key, op, value): Bound<'_>) {
    let experiments = conditions.bind_all(experiments.iter().copied());
    conditions.push(format!("b.experiment_id IN ({experiments})"));
    let key = conditions.bind(key);
    conditions.push(format!("b.key = {key}"));
    let value = conditions.bind(value);
    conditions.push(format!("b.value {} {value}", comparator(op)));
}

/// Narrows to a part of an order by a metric, whose row is `o` then. Answers the first key of the `ORDER BY`, where the part
/// has one.
fn part(
    conditions: &mut Conditions,
    source: &mut String,
    (ordered, towards): (&str, Direction),
    (few, part): (bool, u8),
    search: &RunSearch,
) -> Option<String> {
    let key = conditions.bind(ordered);
    if part == LAST_PART {
        conditions.push(format!(
            "NOT EXISTS (SELECT 1 FROM latest_metrics o WHERE o.run = r.position AND o.key = {key})"
        ));
        return None;
    }
    // SQLite keeps the order of a CROSS JOIN: the outermost is what it walks along.
    *source = if few {
        format!("{source} CROSS JOIN latest_metrics o")
    } else {
        format!("latest_metrics o CROSS JOIN {source}")
    };
    conditions.push("o.run = r.position");
    conditions.push(format!("o.key = {key}"));
    if !few {
        let experiments = conditions.bind_all(search.experiments.iter().copied());
        conditions.push(format!("o.experiment_id IN ({experiments})"));
    }
    if part == 1 {
        conditions.push("o.value IS NULL");
        return None;
    }
    conditions.push("o.value IS NOT NULL");
    // A bound of the same metric says where on the index the walk begins and ends.
    for clause in &search.clauses {
        if let RunClause::Metric {
            key: bounded,
            op,
            value,
        } = clause
            && bounded == ordered
            && *op != NumberOp::NotEqual
        {
            let value = conditions.bind(*value);
            conditions.push(format!("o.value {} {value}", comparator(*op)));
        }
    }
    Some(format!("o.value {}", direction(towards)))
}

fn condition(conditions: &mut Conditions, clause: &RunClause) -> String {
    match clause {
        RunClause::Metric { key, op, value } => {
            let key = conditions.bind(key);
            let value = conditions.bind(*value);
            let passes = match op {
                NumberOp::NotEqual => format!("(m.value <> {value} OR m.value IS NULL)"),
                op => format!("m.value {} {value}", comparator(*op)),
            };
            format!("EXISTS (SELECT 1 FROM latest_metrics m WHERE m.run = r.position AND m.key = {key} AND {passes})")
        }
        RunClause::Param { key, test } => conditions.pair("params t WHERE t.run = r.position", key, test),
        RunClause::Tag { key, test } => conditions.pair("run_tags t WHERE t.run = r.position", key, test),
        RunClause::Text { attribute, test } => conditions.text(text(*attribute), test),
        RunClause::Time { attribute, test } => conditions.time(time(*attribute), test),
        RunClause::Dataset { attribute, test } => dataset(conditions, *attribute, test),
    }
}

fn dataset(conditions: &mut Conditions, attribute: DatasetText, test: &TextTest) -> String {
    let (from, column) = match attribute {
        DatasetText::Name => (
            "run_datasets i JOIN datasets d ON d.dataset_id = i.dataset_id WHERE i.run_id = r.run_id",
            "d.name",
        ),
        DatasetText::Digest => (
            "run_datasets i JOIN datasets d ON d.dataset_id = i.dataset_id WHERE i.run_id = r.run_id",
            "d.digest",
        ),
        DatasetText::Context => (
            "run_dataset_tags i WHERE i.run_id = r.run_id AND i.key = 'mlflow.data.context'",
            "i.value",
        ),
    };
    let passes = conditions.text(column, test);
    format!("EXISTS (SELECT 1 FROM {from} AND {passes})")
}

fn text(attribute: RunText) -> &'static str {
    match attribute {
        RunText::RunId => "r.run_id",
        RunText::Name => "r.name",
        RunText::Status => STATUS,
        RunText::UserId => "r.user_id",
        RunText::ArtifactUri => ARTIFACT_URI,
    }
}

fn time(attribute: RunTime) -> &'static str {
    match attribute {
        RunTime::StartedAt => "r.started_at_us",
        RunTime::EndedAt => "r.ended_at_us",
    }
}

/// `first`: the first key of the order, where a metric is; its part decides.
fn order(conditions: &mut Conditions, search: &RunSearch, first: Option<String>) -> String {
    let mut keys: Vec<String> = first.into_iter().collect();
    let by_metric = matches!(
        search.order.first(),
        Some(Order {
            by: RunOrderKey::Metric(_),
            ..
        })
    );
    let mut by_start = false;
    for (index, key) in search.order.iter().enumerate() {
        if index == 0 && by_metric {
            continue;
        }
        let towards = direction(key.direction);
        // Runs without a value come last whichever way, those with NaN just before.
        let nullable = match &key.by {
            RunOrderKey::Metric(key) => {
                let key = conditions.bind(key);
                let of = format!("FROM latest_metrics m WHERE m.run = r.position AND m.key = {key}");
                keys.push(format!(
                    "coalesce((SELECT CASE WHEN m.value IS NULL THEN 1 ELSE 0 END {of}), 2)"
                ));
                format!("(SELECT m.value {of})")
            }
            RunOrderKey::Param(key) => {
                let key = conditions.bind(key);
                format!("(SELECT t.value FROM params t WHERE t.run = r.position AND t.key = {key})")
            }
            RunOrderKey::Tag(key) => {
                let key = conditions.bind(key);
                format!("(SELECT t.value FROM run_tags t WHERE t.run = r.position AND t.key = {key})")
            }
            RunOrderKey::Text(attribute) => {
                keys.push(format!("{} {towards}", text(*attribute)));
                continue;
            }
            RunOrderKey::Time(RunTime::StartedAt) => {
                by_start = true;
                keys.push(format!("{} {towards}", time(RunTime::StartedAt)));
                continue;
            }
            RunOrderKey::Time(RunTime::EndedAt) => time(RunTime::EndedAt).to_owned(),
        };
        keys.push(format!("CASE WHEN {nullable} IS NULL THEN 1 ELSE 0 END"));
        keys.push(format!("{nullable} {towards}"));
    }
    if !by_start {
        keys.push("r.started_at_us DESC".to_owned());
    }
    keys.push("r.run_id".to_owned());
    keys.join(", ")
}
