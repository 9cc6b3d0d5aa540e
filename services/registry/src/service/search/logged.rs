//! Logged models. MLflow parses their filters with other code: prefixes are in the plural alone, lists are allowed for every text, and a number stands
//! for its text.

use super::clauses::{LoggedModelClause, LoggedModelOrderKey, LoggedModelText, LoggedModelTime};
use super::experiments::invalid_attribute;
use super::scan::RawClause;
use super::values::{Fractions, Lists, Unquoted, listed, metric, text, time};

const ENTITIES: &[&str] = &["attributes", "metrics", "params", "tags"];
const KEYS: &[&str] = &[
    "name",
    "model_id",
    "model_type",
    "status",
    "source_run_id",
    "creation_timestamp",
    "creation_time",
    "last_updated_timestamp",
    "last_updated_time",
];

enum Attribute {
    Text(LoggedModelText),
    Time(LoggedModelTime),
}

fn attribute(key: &str) -> Result<Attribute, String> {
    Ok(match key {
        "name" => Attribute::Text(LoggedModelText::Name),
        "model_id" => Attribute::Text(LoggedModelText::ModelId),
        "model_type" => Attribute::Text(LoggedModelText::ModelType),
        "status" => Attribute::Text(LoggedModelText::Status),
        "source_run_id" => Attribute::Text(LoggedModelText::SourceRunId),
        "creation_timestamp" | "creation_time" | "creation_timestamp_ms" => Attribute::Time(LoggedModelTime::CreatedAt),
        "last_updated_timestamp" | "last_updated_time" | "last_updated_timestamp_ms" => {
            Attribute::Time(LoggedModelTime::UpdatedAt)
        }
        other => return Err(invalid_attribute(other, KEYS)),
    })
}

pub(super) fn clause(raw: &RawClause<'_>) -> Result<LoggedModelClause, String> {
    let key = raw.subject.key;
    let test = &raw.test;
    let value = |what| text(what, test, Lists::Allowed, Unquoted::Numbers);
    Ok(match raw.subject.prefix {
        None | Some("attributes") => match attribute(key)? {
            Attribute::Text(attribute) => LoggedModelClause::Text {
                attribute,
                test: value("attributes")?,
            },
            Attribute::Time(attribute) => LoggedModelClause::Time {
                attribute,
                test: time(key, test, Fractions::Allowed)?,
            },
        },
        Some("metrics") => {
            let (op, value) = metric(test)?;
            let key = key.to_owned();
            LoggedModelClause::Metric { key, op, value }
        }
        Some("params") => LoggedModelClause::Param {
            key: key.to_owned(),
            test: value("params")?,
        },
        Some("tags") => LoggedModelClause::Tag {
            key: key.to_owned(),
            test: value("tags")?,
        },
        Some(other) => {
            let valid = listed(ENTITIES);
            return Err(format!("invalid entity type: '{other}', expected one of {valid}"));
        }
    })
}

/// The key of an order, which comes in parts: everything behind `metrics.` is the metric's key as it is.
pub(super) fn order_key(field: &str, dataset_name: &str, dataset_digest: &str) -> Result<LoggedModelOrderKey, String> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match field.split_once('.') {
        Some(("metrics", "")) => Err("the key behind 'metrics.' is empty".to_owned()),
        Some(_) | None if dataset_name.is_empty() && !dataset_digest.is_empty() => {
            Err("dataset_digest can only be specified if dataset_name is also specified".to_owned())
        }
        Some(("metrics", key)) => Ok(LoggedModelOrderKey::Metric {
            key: key.to_owned(),
            dataset_name: given(dataset_name),
            dataset_digest: given(dataset_digest),
        }),
        Some(_) => Err(format!(
            "invalid order by field name: {field}, only 'metrics.<name>' is allowed"
        )),
        None => match attribute(field.trim()) {
            Ok(Attribute::Text(attribute)) => Ok(LoggedModelOrderKey::Text(attribute)),
            Ok(Attribute::Time(attribute)) => Ok(LoggedModelOrderKey::Time(attribute)),
            Err(_) => Err(format!(
                "invalid order by field name: {field}, valid names are {}, 'metrics.<name>'",
                listed(KEYS)
            )),
        },
    }
}
