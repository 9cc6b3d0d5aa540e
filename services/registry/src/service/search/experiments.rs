//! Experiments: attributes and tags.

use super::clauses::{ExperimentClause, ExperimentOrderKey, ExperimentTime, IdTest, TextTest};
use super::scan::{RawClause, RawTest, Subject};
use super::values::{Fractions, Lists, Unquoted, key_test, listed, not_null_test, text, time};

const KEYS: &[&str] = &["name", "experiment_id", "creation_time", "last_update_time"];
const LIST_KEYS: &[&str] = &["experiment_id"];

/// What registered models and their versions have too: attributes and tags under these prefixes.
pub(super) enum Entity<'a> {
    /// An attribute.
    Attribute(&'a str),
    /// A tag.
    Tag(&'a str),
}

/// Whose key it is.
pub(super) fn entity<'a>(subject: Subject<'a>) -> Result<Entity<'a>, String> {
    match subject.prefix {
        None | Some("attribute") => Ok(Entity::Attribute(subject.key)),
        Some("tag" | "tags") => Ok(Entity::Tag(subject.key)),
        Some(other) => Err(format!(
            "invalid entity type '{other}', valid entity types are 'attribute', 'tag', 'tags'"
        )),
    }
}

/// The error about an attribute that there is not.
pub(super) fn invalid_attribute(key: &str, valid: &[&str]) -> String {
    let valid = listed(valid);
    format!("invalid attribute key '{key}' specified, valid keys are {valid}")
}

fn attribute(key: &str) -> Result<ExperimentOrderKey, String> {
    Ok(match key {
        "name" => ExperimentOrderKey::Name,
        "experiment_id" => ExperimentOrderKey::Id,
        "creation_time" => ExperimentOrderKey::Time(ExperimentTime::CreatedAt),
        "last_update_time" => ExperimentOrderKey::Time(ExperimentTime::UpdatedAt),
        other => return Err(invalid_attribute(other, KEYS)),
    })
}

pub(super) fn clause(raw: &RawClause<'_>) -> Result<ExperimentClause, String> {
    let test = &raw.test;
    let key = match entity(raw.subject)? {
        Entity::Attribute(key) => key,
        Entity::Tag(key) => {
            let test = key_test("tag", test)?;
            let key = key.to_owned();
            return Ok(ExperimentClause::Tag { key, test });
        }
    };
    let attribute = attribute(key)?;
    not_null_test(test, "attribute", key, "tags")?;
    Ok(match attribute {
        ExperimentOrderKey::Name => {
            ExperimentClause::Name(text("attributes", test, Lists::OnlyFor(LIST_KEYS), Unquoted::Refused)?)
        }
        ExperimentOrderKey::Id => ExperimentClause::Id(id_test(test)?),
        ExperimentOrderKey::Time(attribute) => ExperimentClause::Time {
            attribute,
            test: time(key, test, Fractions::Refused)?,
        },
    })
}

fn id_test(test: &RawTest<'_>) -> Result<IdTest, String> {
    let number = |text: String| {
        text.parse::<i64>()
            .map_err(|_| format!("invalid experiment id '{text}', must be a decimal number"))
    };
    let numbers = |list: Vec<String>| list.into_iter().map(number).collect::<Result<Vec<_>, _>>();
    match text("attributes", test, Lists::Allowed, Unquoted::Refused)? {
        TextTest::Equal(id) => Ok(IdTest::In(vec![number(id)?])),
        TextTest::NotEqual(id) => Ok(IdTest::NotIn(vec![number(id)?])),
        TextTest::In(ids) => numbers(ids).map(IdTest::In),
        TextTest::NotIn(ids) => numbers(ids).map(IdTest::NotIn),
        TextTest::Like(_) | TextTest::ILike(_) => {
            Err("invalid comparator for experiment_id, not one of '=', '!=', 'IN', 'NOT IN'".to_owned())
        }
    }
}

pub(super) fn order_key(subject: Subject<'_>) -> Result<ExperimentOrderKey, String> {
    match entity(subject)? {
        Entity::Attribute(key) => attribute(key),
        Entity::Tag(_) => Err("invalid order_by entity: tag; experiments are ordered by attributes".to_owned()),
    }
}
