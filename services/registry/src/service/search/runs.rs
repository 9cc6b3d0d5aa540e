//! Runs: metrics, parameters, tags, attributes and data sets.

use super::clauses::{DatasetText, RunClause, RunOrderKey, RunText, RunTime, TextTest};
use super::scan::{RawClause, RawTest, Subject};
use super::values::{Fractions, Lists, Unquoted, key_test, listed, metric, not_null_test, text, time};

const ENTITIES: &[&str] = &["metric", "parameter", "tag", "attribute", "dataset"];
const DATASET_KEYS: &[&str] = &["name", "digest", "context"];
const LIST_KEYS: &[&str] = &["run_id"];
const FILTER_KEYS: &[&str] = &[
    "run_id",
    "run_name",
    "Run Name",
    "Run name",
    "run name",
    "status",
    "user_id",
    "artifact_uri",
    "start_time",
    "created",
    "Created",
    "end_time",
];
const ORDER_KEYS: &[&str] = &[
    "run_id",
    "run_name",
    "status",
    "user_id",
    "artifact_uri",
    "start_time",
    "created",
    "Created",
    "end_time",
];

/// Whose key it is.
enum Entity<'a> {
    Metric(&'a str),
    Param(&'a str),
    Tag(&'a str),
    Attribute(Attribute),
    Dataset(DatasetText),
}

enum Attribute {
    Text(RunText),
    Time(RunTime),
}

fn attribute(key: &str, valid: &[&str]) -> Result<Attribute, String> {
    if !valid.contains(&key) {
        let valid = listed(valid);
        return Err(format!(
            "invalid attribute key '{key}' specified, valid keys are {valid}"
        ));
    }
    Ok(match key {
        "start_time" | "created" | "Created" => Attribute::Time(RunTime::StartedAt),
        "end_time" => Attribute::Time(RunTime::EndedAt),
        "run_id" => Attribute::Text(RunText::RunId),
        "status" => Attribute::Text(RunText::Status),
        "user_id" => Attribute::Text(RunText::UserId),
        "artifact_uri" => Attribute::Text(RunText::ArtifactUri),
        _ => Attribute::Text(RunText::Name),
    })
}

fn entity<'a>(subject: Subject<'a>, valid: &[&str]) -> Result<Entity<'a>, String> {
    let key = subject.key;
    Ok(match subject.prefix {
        None | Some("attribute" | "attributes" | "attr" | "run") => Entity::Attribute(attribute(key, valid)?),
        Some("metric" | "metrics") => Entity::Metric(key),
        Some("parameter" | "parameters" | "param" | "params") => Entity::Param(key),
        Some("tag" | "tags") => Entity::Tag(key),
        Some("dataset" | "datasets") => Entity::Dataset(match key {
            "name" => DatasetText::Name,
            "digest" => DatasetText::Digest,
            "context" => DatasetText::Context,
            other => {
                let valid = listed(DATASET_KEYS);
                return Err(format!(
                    "invalid dataset key '{other}' specified, valid keys are {valid}"
                ));
            }
        }),
        Some(other) => {
            let valid = listed(ENTITIES);
            return Err(format!("invalid entity type '{other}', valid values are {valid}"));
        }
    })
}

pub(super) fn clause(raw: &RawClause<'_>) -> Result<RunClause, String> {
    let test = &raw.test;
    let never_null = |kind| not_null_test(test, kind, raw.subject.key, "tags and params");
    Ok(match entity(raw.subject, FILTER_KEYS)? {
        Entity::Metric(key) => {
            never_null("metric")?;
            let (op, value) = metric(test)?;
            let key = key.to_owned();
            RunClause::Metric { key, op, value }
        }
        Entity::Param(key) => RunClause::Param {
            key: key.to_owned(),
            test: key_test("parameter", test)?,
        },
        Entity::Tag(key) => RunClause::Tag {
            key: key.to_owned(),
            test: key_test("tag", test)?,
        },
        Entity::Attribute(Attribute::Text(attribute)) => {
            never_null("attribute")?;
            RunClause::Text {
                attribute,
                test: attribute_test(attribute, test)?,
            }
        }
        Entity::Attribute(Attribute::Time(attribute)) => {
            never_null("attribute")?;
            RunClause::Time {
                attribute,
                test: time(raw.subject.key, test, Fractions::Allowed)?,
            }
        }
        Entity::Dataset(attribute) => {
            never_null("dataset")?;
            RunClause::Dataset {
                attribute,
                test: text("dataset attributes", test, Lists::Allowed, Unquoted::Refused)?,
            }
        }
    })
}

fn attribute_test(attribute: RunText, test: &RawTest<'_>) -> Result<TextTest, String> {
    let lists = match attribute {
        RunText::RunId => Lists::Allowed,
        RunText::Name | RunText::Status | RunText::UserId | RunText::ArtifactUri => Lists::OnlyFor(LIST_KEYS),
    };
    text("attributes", test, lists, Unquoted::Refused)
}

pub(super) fn order_key(subject: Subject<'_>) -> Result<RunOrderKey, String> {
    Ok(match entity(subject, ORDER_KEYS)? {
        Entity::Metric(key) => RunOrderKey::Metric(key.to_owned()),
        Entity::Param(key) => RunOrderKey::Param(key.to_owned()),
        Entity::Tag(key) => RunOrderKey::Tag(key.to_owned()),
        Entity::Attribute(Attribute::Text(attribute)) => RunOrderKey::Text(attribute),
        Entity::Attribute(Attribute::Time(attribute)) => RunOrderKey::Time(attribute),
        Entity::Dataset(_) => return Err("runs cannot be ordered by data sets".to_owned()),
    })
}
