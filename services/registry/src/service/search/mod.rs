//! The search language of MLflow: filters and orders, as text in, as typed clauses out.
//!
//! Nothing here knows a database. A filter is a list of clauses joined by `AND`, for example ``metrics.auc > 0.9 AND tags.`mlflow.user` LIKE 'an%'``; an
//! order is a key and a direction, for example `metrics.auc DESC`. What is not in the language is refused with the clause it stands in and what is
//! allowed.

mod clauses;
mod experiments;
mod logged;
#[cfg(test)]
mod oracle;
mod quotes;
mod registered;
mod runs;
mod scan;
#[cfg(test)]
mod tests;
mod values;

use crate::error::Violation;

pub use clauses::{
    DatasetText, Direction, ExperimentClause, ExperimentOrderKey, ExperimentTime, IS_PROMPT_TAG, IdTest, KeyTest,
    LoggedModelClause, LoggedModelOrderKey, LoggedModelText, LoggedModelTime, NumberOp, Order, RegisteredModelClause,
    RegisteredModelOrderKey, RunClause, RunOrderKey, RunText, RunTime, TextTest, TimeTest, VersionClause,
    VersionOrderKey, VersionText, asks_for_prompts,
};

use scan::{RawClause, RawTest, Subject};

/// Most clauses of a filter, and most keys of an order.
pub const MAX_CLAUSES: usize = 100;
/// Most entries of all lists of a filter.
pub const MAX_LISTED: usize = 10_000;

/// The clauses of a filter over runs.
///
/// # Errors
/// A violation of `filter`.
pub fn run_filter(text: &str) -> Result<Vec<RunClause>, Violation> {
    filter(text, runs::clause)
}

/// The clauses of a filter over experiments.
///
/// # Errors
/// A violation of `filter`.
pub fn experiment_filter(text: &str) -> Result<Vec<ExperimentClause>, Violation> {
    filter(text, experiments::clause)
}

/// The clauses of a filter over registered models.
///
/// # Errors
/// A violation of `filter`.
pub fn registered_model_filter(text: &str) -> Result<Vec<RegisteredModelClause>, Violation> {
    filter(text, registered::model_clause)
}

/// The clauses of a filter over versions of registered models.
///
/// # Errors
/// A violation of `filter`.
pub fn version_filter(text: &str) -> Result<Vec<VersionClause>, Violation> {
    filter(text, registered::version_clause)
}

/// The clauses of a filter over logged models.
///
/// # Errors
/// A violation of `filter`.
pub fn logged_model_filter(text: &str) -> Result<Vec<LoggedModelClause>, Violation> {
    filter(text, logged::clause)
}

/// The order of runs. Ties are for the caller to break: by start time, newest first, then by id.
///
/// # Errors
/// A violation of `order_by`.
pub fn run_order(keys: &[String]) -> Result<Vec<Order<RunOrderKey>>, Violation> {
    order(keys, runs::order_key)
}

/// The order of experiments. Ties are for the caller to break: by id, newest first.
///
/// # Errors
/// A violation of `order_by`.
pub fn experiment_order(keys: &[String]) -> Result<Vec<Order<ExperimentOrderKey>>, Violation> {
    order(keys, experiments::order_key)
}

/// The order of registered models. Ties are for the caller to break: by name.
///
/// # Errors
/// A violation of `order_by`.
pub fn registered_model_order(keys: &[String]) -> Result<Vec<Order<RegisteredModelOrderKey>>, Violation> {
    order(keys, registered::model_order_key)
}

/// The order of versions of registered models. Ties are for the caller to break: by name, then by number, newest first.
///
/// # Errors
/// A violation of `order_by`.
pub fn version_order(keys: &[String]) -> Result<Vec<Order<VersionOrderKey>>, Violation> {
    order(keys, registered::version_order_key)
}

/// One key of an order of logged models, which comes in parts and not as text.
#[derive(Clone, Copy, Debug)]
pub struct LoggedModelOrderField<'a> {
    /// For example `creation_timestamp` or `metrics.auc`.
    pub field: &'a str,
    /// Which way.
    pub direction: Direction,
    /// Of a metric: only values measured on data sets of this name; any when empty.
    pub dataset_name: &'a str,
    /// Of a metric: only values measured on data sets of this digest; any when empty.
    pub dataset_digest: &'a str,
}

/// The order of logged models. Ties are for the caller to break: newest first, then by id.
///
/// # Errors
/// A violation of `order_by`.
pub fn logged_model_order(fields: &[LoggedModelOrderField<'_>]) -> Result<Vec<Order<LoggedModelOrderKey>>, Violation> {
    unique(fields.iter().map(|given| {
        let by = logged::order_key(given.field, given.dataset_name, given.dataset_digest)?;
        let direction = given.direction;
        Ok(Order { by, direction })
    }))
}

fn filter<C>(text: &str, clause: fn(&RawClause<'_>) -> Result<C, String>) -> Result<Vec<C>, Violation> {
    let refused = |problem: &str| Violation::new("filter", "mlflow_filter", problem);
    let raw = scan::clauses(text).map_err(|problem| refused(&problem))?;
    let listed = raw.iter().map(|raw| match &raw.test {
        RawTest::In(list) | RawTest::NotIn(list) => list.len(),
        RawTest::Compare(..) | RawTest::Null | RawTest::NotNull => 0,
    });
    if raw.len() > MAX_CLAUSES {
        return Err(refused("has more than 100 clauses"));
    }
    if listed.sum::<usize>() > MAX_LISTED {
        return Err(refused("has more than 10,000 values in its lists"));
    }
    raw.iter()
        .map(|raw| clause(raw).map_err(|problem| refused(&format!("{problem} (in the clause {:?})", raw.text))))
        .collect()
}

fn order<K: PartialEq>(keys: &[String], key: fn(Subject<'_>) -> Result<K, String>) -> Result<Vec<Order<K>>, Violation> {
    unique(keys.iter().map(|text| {
        let (subject, word) = scan::order(text)?;
        let direction = match word.as_deref() {
            None | Some("asc") => Direction::Ascending,
            Some("desc") => Direction::Descending,
            Some(_) => {
                return Err(format!(
                    "invalid ordering key in order_by clause '{text}', not one of 'asc', 'desc'"
                ));
            }
        };
        let by = key(subject)?;
        Ok(Order { by, direction })
    }))
}

/// All keys of an order, none twice.
fn unique<K: PartialEq>(keys: impl Iterator<Item = Result<Order<K>, String>>) -> Result<Vec<Order<K>>, Violation> {
    let mut order = Vec::<Order<K>>::new();
    for (index, key) in keys.enumerate() {
        let refused = |problem: &str| Violation::new(&format!("order_by[{index}]"), "mlflow_order_by", problem);
        let key = key.map_err(|problem| refused(&problem))?;
        if index >= MAX_CLAUSES {
            return Err(refused("is more than 100 keys"));
        }
        if order.iter().any(|before| before.by == key.by) {
            return Err(refused("duplicates a field of order_by"));
        }
        order.push(key);
    }
    Ok(order)
}
