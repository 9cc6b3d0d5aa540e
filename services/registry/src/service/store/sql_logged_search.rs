//! The search for logged models in SQL.

use sqlx::AssertSqlSafe;

use super::conditions::{Conditions, comparator, direction};
use super::database::SqlStore;
use super::sql_logged_models::{COLUMNS, FROM, LoggedRow};
use crate::error::Result;
use crate::service::logged_models::{DatasetRef, LoggedModel, LoggedModelSearch};
use crate::service::search::{
    LoggedModelClause, LoggedModelOrderKey, LoggedModelText, LoggedModelTime, NumberOp, Order, TextTest,
};

impl SqlStore {
    pub(super) async fn find_logged_models(&self, search: &LoggedModelSearch) -> Result<Vec<LoggedModel>> {
        let mut conditions = Conditions::new(self.dialect());
        let experiments = conditions.bind_all(search.experiments.iter().copied());
        conditions.push(format!("l.experiment_id IN ({experiments})"));
        conditions.push("l.lifecycle = 'active'");
        for clause in &search.clauses {
            let condition = condition(&mut conditions, clause, &search.datasets);
            conditions.push(condition);
        }
        let order = order(&mut conditions, &search.order);
        let what = format!("{COLUMNS} FROM {FROM}");
        let (sql, values) = conditions.finish(&what, &order, search.limit, search.offset);
        let rows = self.readers.fetch_all::<LoggedRow>(AssertSqlSafe(sql), values).await?;
        self.logged_of(rows).await
    }
}

fn condition(conditions: &mut Conditions, clause: &LoggedModelClause, datasets: &[DatasetRef]) -> String {
    match clause {
        LoggedModelClause::Metric { key, op, value } => {
            let key = conditions.bind(key);
            let value = conditions.bind(*value);
            let passes = match op {
                NumberOp::NotEqual => format!("(m.value <> {value} OR m.value IS NULL)"),
                op => format!("m.value {} {value}", comparator(*op)),
            };
            let on = measured_on(conditions, datasets);
            format!(
                "EXISTS (SELECT 1 FROM logged_model_metrics m WHERE m.model = l.position AND m.key = {key} AND {passes}{on})"
            )
        }
        LoggedModelClause::Param { key, test } => pair(conditions, "logged_model_params", key, test),
        LoggedModelClause::Tag { key, test } => pair(conditions, "logged_model_tags", key, test),
        LoggedModelClause::Text { attribute, test } => conditions.text(text(*attribute), test),
        LoggedModelClause::Time { attribute, test } => conditions.time(time(*attribute), test),
    }
}

fn pair(conditions: &mut Conditions, table: &str, key: &str, test: &TextTest) -> String {
    let key = conditions.bind(key);
    let passes = conditions.text("t.value", test);
    format!("EXISTS (SELECT 1 FROM {table} t WHERE t.model = l.position AND t.key = {key} AND {passes})")
}

fn measured_on(conditions: &mut Conditions, datasets: &[DatasetRef]) -> String {
    if datasets.is_empty() {
        return String::new();
    }
    let mut any = Vec::new();
    for dataset in datasets {
        let mut one = format!("m.dataset_name = {}", conditions.bind(&dataset.name));
        if !dataset.digest.is_empty() {
            one = format!("({one} AND m.dataset_digest = {})", conditions.bind(&dataset.digest));
        }
        any.push(one);
    }
    format!(" AND ({})", any.join(" OR "))
}

fn text(attribute: LoggedModelText) -> &'static str {
    match attribute {
        LoggedModelText::ModelId => "l.model_id",
        LoggedModelText::Name => "l.name",
        LoggedModelText::ModelType => "l.model_type",
        LoggedModelText::Status => "l.status",
        LoggedModelText::SourceRunId => "l.source_run_id",
    }
}

fn time(attribute: LoggedModelTime) -> &'static str {
    match attribute {
        LoggedModelTime::CreatedAt => "l.created_at_us",
        LoggedModelTime::UpdatedAt => "l.updated_at_us",
    }
}

fn order(conditions: &mut Conditions, order: &[Order<LoggedModelOrderKey>]) -> String {
    let mut keys = Vec::new();
    for key in order {
        let towards = direction(key.direction);
        match &key.by {
            LoggedModelOrderKey::Text(attribute) => keys.push(format!("{} {towards}", text(*attribute))),
            LoggedModelOrderKey::Time(attribute) => keys.push(format!("{} {towards}", time(*attribute))),
            LoggedModelOrderKey::Metric {
                key,
                dataset_name,
                dataset_digest,
            } => {
                let mut of = format!(
                    "FROM logged_model_metrics m WHERE m.model = l.position AND m.key = {}",
                    conditions.bind(key)
                );
                if let Some(name) = dataset_name {
                    of = format!("{of} AND m.dataset_name = {}", conditions.bind(name));
                }
                if let Some(digest) = dataset_digest {
                    of = format!("{of} AND m.dataset_digest = {}", conditions.bind(digest));
                }
                // The newest value counts. Models without one come last whichever way, those with NaN just before.
                let newest = "ORDER BY m.measured_at_us DESC, m.step DESC LIMIT 1";
                keys.push(format!(
                    "coalesce((SELECT CASE WHEN m.value IS NULL THEN 1 ELSE 0 END {of} {newest}), 2)"
                ));
                keys.push(format!("(SELECT m.value {of} {newest}) {towards}"));
            }
        }
    }
    keys.push("l.created_at_us DESC".to_owned());
    keys.push("l.model_id".to_owned());
    keys.join(", ")
}
