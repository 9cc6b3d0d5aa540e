//! From the YAML text to a checked [`Schema`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Column, KeyColumn, Rules, Schema, TargetColumn};
use crate::digest::Digest;
use crate::feature::{Feature, FeatureKind};
use crate::suggest::nearest;

/// The version of the file's format that this program reads.
const FORMAT_VERSION: u32 = 1;

/// A schema that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema: {path}: {message}")]
pub struct SchemaError {
    /// The entry that is wrong, such as `columns[3].range`; `.` for the file as a whole.
    pub path: String,
    /// What is wrong with it and what is allowed.
    pub message: String,
}

impl SchemaError {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    key: KeyEntry,
    target: TargetEntry,
    columns: Vec<ColumnEntry>,
    #[serde(default)]
    drop: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    name: String,
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetEntry {
    name: String,
    positive: String,
    negative: String,
    description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnEntry {
    name: String,
    #[serde(rename = "type")]
    kind: KindEntry,
    unit: Option<String>,
    range: Option<[f64; 2]>,
    integer: Option<bool>,
    categories: Option<Vec<String>>,
    nullable: bool,
    presence: PresenceEntry,
    description: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindEntry {
    Numeric,
    Categorical,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PresenceEntry {
    Required,
    Optional,
}

pub(super) fn parse(text: &str) -> Result<Schema, SchemaError> {
    let document = read(text)?;
    if document.version != FORMAT_VERSION {
        let message = format!(
            "version {} is not known; this program reads version {FORMAT_VERSION}",
            document.version
        );
        return Err(SchemaError::new("version", message));
    }
    let key = KeyColumn {
        name: document.key.name,
        description: document.key.description,
    };
    let target = TargetColumn {
        name: document.target.name,
        positive: document.target.positive,
        negative: document.target.negative,
        description: document.target.description,
    };
    check_key_and_target(&key, &target)?;
    check_drop(&document.drop, &key, &target)?;
    let columns = feature_columns(document.columns)?;
    let digest = digest(&key, &target, &columns, &document.drop);
    Ok(Schema {
        version: document.version,
        key,
        target,
        rules: Rules::of(&columns),
        columns,
        drop: document.drop,
        digest,
    })
}

/// Reads the YAML, keeping the path of the entry that does not fit.
fn read(text: &str) -> Result<Document, SchemaError> {
    let mut path = None;
    let read = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize::<_, Document>(deserializer).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| {
        let path = path
            .filter(|path| !path.is_empty() && path != "?")
            .unwrap_or_else(|| ".".to_owned());
        SchemaError::new(path, error.without_snippet().to_string())
    })
}

fn check_key_and_target(key: &KeyColumn, target: &TargetColumn) -> Result<(), SchemaError> {
    for (path, name) in [("key.name", &key.name), ("target.name", &target.name)] {
        if name.trim().is_empty() || name.trim() != name {
            return Err(SchemaError::new(
                path,
                "the name must not be empty nor start or end with a space",
            ));
        }
        if Feature::from_name(name).is_some() {
            return Err(SchemaError::new(
                path,
                format!("{name} is a feature, so it cannot be key or target"),
            ));
        }
    }
    if key.name == target.name {
        return Err(SchemaError::new("target.name", "the target cannot be the key"));
    }
    if target.positive.trim().is_empty() || target.negative.trim().is_empty() || target.positive == target.negative {
        return Err(SchemaError::new(
            "target.positive",
            "positive and negative must be two different texts",
        ));
    }
    Ok(())
}

fn check_drop(drop: &[String], key: &KeyColumn, target: &TargetColumn) -> Result<(), SchemaError> {
    for (index, pattern) in drop.iter().enumerate() {
        let path = format!("drop[{index}]");
        let stem = pattern.strip_suffix('*').unwrap_or(pattern);
        if stem.is_empty() || stem.contains('*') {
            return Err(SchemaError::new(
                path,
                "a column name is needed, with at most one * at its end",
            ));
        }
        let known = Feature::ALL
            .iter()
            .map(|feature| feature.name())
            .chain([key.name.as_str(), target.name.as_str()]);
        let hits = |name: &str| {
            if pattern.ends_with('*') {
                name.starts_with(stem)
            } else {
                name == stem
            }
        };
        if let Some(name) = known.into_iter().find(|name| hits(name)) {
            return Err(SchemaError::new(
                path,
                format!("{pattern:?} would drop {name}, which is needed"),
            ));
        }
    }
    Ok(())
}

fn feature_columns(entries: Vec<ColumnEntry>) -> Result<Vec<Column>, SchemaError> {
    let mut found: BTreeMap<Feature, Column> = BTreeMap::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let path = format!("columns[{index}]");
        let Some(feature) = Feature::from_name(&entry.name) else {
            let hint = match nearest(&entry.name, Feature::ALL.iter().map(|feature| feature.name())) {
                Some(name) => format!("; did you mean {name}?"),
                None => String::new(),
            };
            return Err(SchemaError::new(
                format!("{path}.name"),
                format!("{:?} is not a feature{hint}", entry.name),
            ));
        };
        let column = feature_column(&path, feature, entry)?;
        if found.insert(feature, column).is_some() {
            return Err(SchemaError::new(
                format!("{path}.name"),
                format!("{feature} is listed twice"),
            ));
        }
    }
    let missing: Vec<&str> = Feature::ALL
        .iter()
        .filter(|f| !found.contains_key(f))
        .map(|f| f.name())
        .collect();
    if !missing.is_empty() {
        return Err(SchemaError::new(
            "columns",
            format!("these features are not listed: {}", missing.join(", ")),
        ));
    }
    Ok(found.into_values().collect())
}

fn feature_column(path: &str, feature: Feature, entry: ColumnEntry) -> Result<Column, SchemaError> {
    let at = |key: &str| format!("{path}.{key}");
    let kind = match entry.kind {
        KindEntry::Numeric => FeatureKind::Numeric,
        KindEntry::Categorical => FeatureKind::Categorical,
    };
    if kind != feature.kind() {
        return Err(SchemaError::new(
            at("type"),
            format!("{feature} is {}", feature.kind().name()),
        ));
    }
    if entry.description.trim().is_empty() {
        return Err(SchemaError::new(at("description"), "a description is needed"));
    }
    let required = entry.presence == PresenceEntry::Required;
    if required && entry.nullable {
        return Err(SchemaError::new(at("nullable"), "a required column cannot be nullable"));
    }
    let mut column = Column {
        feature,
        kind,
        unit: entry.unit,
        minimum: None,
        maximum: None,
        integer: entry.integer.unwrap_or(false),
        categories: Vec::new(),
        nullable: entry.nullable,
        required,
        description: entry.description,
    };
    match kind {
        FeatureKind::Numeric => {
            if entry.categories.is_some() {
                return Err(SchemaError::new(at("categories"), "a numeric column has no categories"));
            }
            let [minimum, maximum] = entry
                .range
                .ok_or_else(|| SchemaError::new(at("range"), "a numeric column needs a range [minimum, maximum]"))?;
            check_range(&at("range"), minimum, maximum, column.integer)?;
            column.minimum = Some(minimum);
            column.maximum = Some(maximum);
        }
        FeatureKind::Categorical => {
            if entry.range.is_some() || entry.integer.is_some() {
                return Err(SchemaError::new(
                    path,
                    "a categorical column has neither range nor integer",
                ));
            }
            column.categories = entry.categories.unwrap_or_default();
            check_categories(&at("categories"), &column.categories)?;
        }
    }
    Ok(column)
}

fn check_range(path: &str, minimum: f64, maximum: f64, integer: bool) -> Result<(), SchemaError> {
    if !minimum.is_finite() || !maximum.is_finite() {
        return Err(SchemaError::new(path, "both ends must be finite numbers"));
    }
    if minimum >= maximum {
        return Err(SchemaError::new(
            path,
            format!("the minimum {minimum} must be below the maximum {maximum}"),
        ));
    }
    if integer && (minimum.fract() != 0.0 || maximum.fract() != 0.0) {
        return Err(SchemaError::new(
            path,
            "both ends must be whole numbers, because the column is integer",
        ));
    }
    Ok(())
}

fn check_categories(path: &str, categories: &[String]) -> Result<(), SchemaError> {
    if categories.is_empty() {
        return Err(SchemaError::new(
            path,
            "a categorical column needs at least one category",
        ));
    }
    for (index, category) in categories.iter().enumerate() {
        if category.trim().is_empty() || category.trim() != category {
            return Err(SchemaError::new(
                format!("{path}[{index}]"),
                "a category must not be empty nor start or end with a space",
            ));
        }
        if categories[..index].contains(category) {
            return Err(SchemaError::new(
                format!("{path}[{index}]"),
                format!("{category:?} is listed twice"),
            ));
        }
    }
    Ok(())
}

/// SHA-256 over one line per fact. Debug formatting quotes and escapes the texts, so that no two schemas share their lines.
fn digest(key: &KeyColumn, target: &TargetColumn, columns: &[Column], drop: &[String]) -> Digest {
    let mut lines = vec![
        format!("holdfast schema {FORMAT_VERSION}"),
        format!("key {:?}", key.name),
        format!("target {:?} {:?} {:?}", target.name, target.positive, target.negative),
    ];
    for column in columns {
        lines.push(format!(
            "column {} {} range={:?},{:?} integer={} nullable={} required={} categories={:?}",
            column.name(),
            column.kind.name(),
            column.minimum,
            column.maximum,
            column.integer,
            column.nullable,
            column.required,
            column.categories,
        ));
    }
    lines.extend(drop.iter().map(|pattern| format!("drop {pattern:?}")));
    Digest::of(lines.join("\n").as_bytes())
}
