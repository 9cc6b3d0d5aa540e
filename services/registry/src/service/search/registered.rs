//! Registered models and their versions: attributes and tags.

use super::clauses::{RegisteredModelClause, RegisteredModelOrderKey, VersionClause, VersionOrderKey, VersionText};
use super::experiments::{Entity, entity, invalid_attribute};
use super::scan::{RawClause, RawTest, RawValue, Subject};
use super::values::{Lists, Unquoted, number, text};

const MODEL_ORDER_KEYS: &[&str] = &["name", "timestamp", "last_updated_timestamp", "creation_timestamp"];
const VERSION_KEYS: &[&str] = &["name", "version_number", "run_id", "source_path"];
const VERSION_ORDER_KEYS: &[&str] = &["name", "version_number", "creation_timestamp", "last_updated_timestamp"];
const VERSION_LIST_KEYS: &[&str] = &["name", "run_id"];

pub(super) fn model_clause(raw: &RawClause<'_>) -> Result<RegisteredModelClause, String> {
    match entity(raw.subject)? {
        Entity::Attribute("name") => {
            let test = text("attributes", &raw.test, Lists::Allowed, Unquoted::Refused)?;
            Ok(RegisteredModelClause::Name(test))
        }
        Entity::Attribute(other) => Err(invalid_attribute(other, &["name"])),
        Entity::Tag(key) => Ok(RegisteredModelClause::Tag {
            key: key.to_owned(),
            test: text("tag", &raw.test, Lists::OnlyFor(&[]), Unquoted::Refused)?,
        }),
    }
}

pub(super) fn model_order_key(subject: Subject<'_>) -> Result<RegisteredModelOrderKey, String> {
    match entity(subject)? {
        Entity::Attribute("name") => Ok(RegisteredModelOrderKey::Name),
        Entity::Attribute("creation_timestamp") => Ok(RegisteredModelOrderKey::CreatedAt),
        Entity::Attribute("timestamp" | "last_updated_timestamp") => Ok(RegisteredModelOrderKey::UpdatedAt),
        Entity::Attribute(other) => Err(invalid_attribute(other, MODEL_ORDER_KEYS)),
        Entity::Tag(_) => Err(no_tags()),
    }
}

pub(super) fn version_clause(raw: &RawClause<'_>) -> Result<VersionClause, String> {
    let (attribute, lists) = match entity(raw.subject)? {
        Entity::Attribute("name") => (VersionText::ModelName, Lists::Allowed),
        Entity::Attribute("run_id") => (VersionText::RunId, Lists::Allowed),
        Entity::Attribute("source_path") => (VersionText::Source, Lists::OnlyFor(VERSION_LIST_KEYS)),
        Entity::Attribute("version_number") => return version_number(&raw.test),
        Entity::Attribute(other) => return Err(invalid_attribute(other, VERSION_KEYS)),
        Entity::Tag(key) => {
            let test = text("tag", &raw.test, Lists::OnlyFor(&[]), Unquoted::Refused)?;
            let key = key.to_owned();
            return Ok(VersionClause::Tag { key, test });
        }
    };
    Ok(VersionClause::Text {
        attribute,
        test: text("attributes", &raw.test, lists, Unquoted::Refused)?,
    })
}

/// The number may stand in quotes.
fn version_number(test: &RawTest<'_>) -> Result<VersionClause, String> {
    let (op, value) = number("version_number", test)?;
    let whole = match value {
        RawValue::Integer(text) | RawValue::Text(text) => text.trim().parse().ok(),
        RawValue::Float(_) | RawValue::Other(_) => None,
    };
    match whole {
        Some(value) => Ok(VersionClause::Number { op, value }),
        None => Err(format!(
            "invalid value for numeric attribute 'version_number': {}, must be a whole number",
            value.shown()
        )),
    }
}

pub(super) fn version_order_key(subject: Subject<'_>) -> Result<VersionOrderKey, String> {
    match entity(subject)? {
        Entity::Attribute("name") => Ok(VersionOrderKey::ModelName),
        Entity::Attribute("version_number") => Ok(VersionOrderKey::Number),
        Entity::Attribute("creation_timestamp") => Ok(VersionOrderKey::CreatedAt),
        Entity::Attribute("last_updated_timestamp") => Ok(VersionOrderKey::UpdatedAt),
        Entity::Attribute(other) => Err(invalid_attribute(other, VERSION_ORDER_KEYS)),
        Entity::Tag(_) => Err(no_tags()),
    }
}

fn no_tags() -> String {
    "invalid order_by entity: tag; models and versions are ordered by attributes".to_owned()
}
