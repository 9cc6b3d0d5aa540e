//! Putting it together: defaults, layers, types, validation; and whom to blame when a value does not fit.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::layers::{Assignment, KeyPath, Layers, collect, merged};
use super::suggest::nearest;
use super::{COMMON_DEFAULTS, Common, SECTIONS, Section, SettingsError, SettingsSources, SettingsViolation};

/// Loads the common settings and the section of one service.
///
/// # Errors
/// [`SettingsError::Invalid`] with *every* unknown key, wrong type and broken rule; the other variants if a source cannot be read at all.
pub fn load<S: Section>(sources: &SettingsSources) -> Result<(Common, S), SettingsError> {
    let defaults = defaults::<S>()?;
    let file = sources.file.as_deref().map(read_file).transpose()?;
    let mut layers = collect(&defaults, file, sources);

    let (common_defaults, section_defaults) = divided::<S>(&defaults);
    let is_section = |path: &KeyPath| path.first().is_some_and(|key| key == S::NAME);
    let (section_layer, common_layer): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut layers.assignments)
        .into_iter()
        .partition(|(path, _)| is_section(path));
    let common: Option<Common> = typed(&common_defaults, common_layer, &[], &mut layers);
    let section: Option<S> = typed(&section_defaults, section_layer, &[S::NAME.to_owned()], &mut layers);

    let mut violations = layers.violations;
    if let Some(common) = &common {
        violations.extend(common.violations());
    }
    if let Some(section) = &section {
        violations.extend(
            section
                .server()
                .map(|server| server.violations(S::NAME))
                .unwrap_or_default(),
        );
    }
    if let (Some(common), Some(section)) = (&common, &section) {
        violations.extend(section.validate(common).err().unwrap_or_default());
    }
    match (common, section) {
        (Some(common), Some(section)) if violations.is_empty() => Ok((common, section)),
        _ => {
            violations.sort_by(|a, b| a.path.cmp(&b.path));
            Err(SettingsError::Invalid(violations))
        }
    }
}

/// The tree of all known keys with their defaults: common keys at the top, the section under its name.
fn defaults<S: Section>() -> Result<Value, SettingsError> {
    let mut tree = embedded("common", COMMON_DEFAULTS)?;
    if !SECTIONS.contains(&S::NAME) {
        let message = "not a known section name".to_owned();
        return Err(SettingsError::BrokenDefaults {
            section: S::NAME,
            message,
        });
    }
    tree.insert(S::NAME.to_owned(), Value::Object(embedded(S::NAME, S::DEFAULTS)?));
    Ok(Value::Object(tree))
}

fn embedded(section: &'static str, text: &str) -> Result<Map<String, Value>, SettingsError> {
    let broken = |message: String| SettingsError::BrokenDefaults { section, message };
    match parse(text).map_err(broken)? {
        Value::Object(keys) => Ok(keys),
        Value::Null => Ok(Map::new()),
        _ => Err(broken("not a mapping".to_owned())),
    }
}

fn divided<S: Section>(defaults: &Value) -> (Value, Value) {
    let mut common = defaults.clone();
    let section = common
        .as_object_mut()
        .and_then(|keys| keys.remove(S::NAME))
        .unwrap_or_default();
    (common, Value::Object(Map::from_iter([(S::NAME.to_owned(), section)])))
}

fn read_file(path: &Path) -> Result<(String, Value), SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let malformed = |message: String| SettingsError::Malformed {
        path: path.to_owned(),
        message,
    };
    match parse(&text).map_err(malformed)? {
        tree @ (Value::Object(_) | Value::Null) => Ok((path.display().to_string(), tree)),
        _ => Err(malformed("expected a mapping at the top level".to_owned())),
    }
}

/// Parses YAML. Snippets of the source stay out of the message: a line of it may hold a secret.
fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options::<Option<Value>>(text, options)
        .map(Option::unwrap_or_default)
        .map_err(|error| error.without_snippet().to_string())
}

/// Deserialises, and on failure blames an assignment, takes it out and tries again, so that every wrong value is found and not just the first.
/// `root` is the path of the value inside the trees.
fn typed<T: DeserializeOwned>(
    defaults: &Value,
    mut assignments: BTreeMap<KeyPath, Assignment>,
    root: &[String],
    layers: &mut Layers,
) -> Option<T> {
    let mut failed = false;
    // Every turn settles, re-reads or removes an assignment, so the loop ends.
    loop {
        let error = match attempt::<T>(defaults, &assignments, root) {
            Ok(value) => return (!failed).then_some(value),
            Err(error) => error,
        };
        let Some(culprit) = culprit::<T>(defaults, &assignments, root, &error) else {
            layers.violations.push(error.into_violation());
            return None;
        };
        let assignment = assignments.get_mut(&culprit)?;
        if let Some(other) = assignment.other_reading.take() {
            assignment.value = other;
            continue;
        }
        failed = true;
        let violation = error.into_violation();
        layers.violations.push(
            SettingsViolation {
                path: culprit.join("."),
                ..violation
            }
            .with_origin(&assignment.origin),
        );
        assignments.remove(&culprit);
    }
}

/// Why a tree does not fit its type.
struct Misfit {
    path: KeyPath,
    message: String,
}

fn attempt<T: DeserializeOwned>(
    defaults: &Value,
    assignments: &BTreeMap<KeyPath, Assignment>,
    root: &[String],
) -> Result<T, Misfit> {
    let mut tree = merged(defaults, assignments);
    for key in root {
        tree = tree
            .as_object_mut()
            .and_then(|keys| keys.remove(key))
            .unwrap_or_else(|| Value::Object(Map::new()));
    }
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let below = error.path().iter().map(ToString::to_string).filter(|key| key != "?");
        Misfit {
            path: root.iter().cloned().chain(below).collect(),
            message: error.inner().to_string(),
        }
    })
}

/// The assignment at fault: the one at the error's path, else the one under it whose removal changes the error (serde loses the exact path inside
/// flattened structs and tagged enums).
fn culprit<T: DeserializeOwned>(
    defaults: &Value,
    assignments: &BTreeMap<KeyPath, Assignment>,
    root: &[String],
    error: &Misfit,
) -> Option<KeyPath> {
    if let Some(path) = assignments.keys().find(|path| error.path.starts_with(path)) {
        return Some(path.clone());
    }
    assignments
        .keys()
        .filter(|path| path.starts_with(&error.path))
        .find_map(|path| {
            let mut without = assignments.clone();
            without.remove(path);
            let changed = match attempt::<T>(defaults, &without, root) {
                Ok(_) => true,
                Err(other) => other.path != error.path || other.message != error.message,
            };
            changed.then(|| path.clone())
        })
}

impl Misfit {
    fn into_violation(self) -> SettingsViolation {
        SettingsViolation::new(self.path.join("."), without_value(&self.message))
            .with_suggestion(suggestion(&self.message))
    }
}

/// serde's message without the value in it: ``invalid type: string "hunter2", expected u16`` becomes `expected u16, found string`.
fn without_value(message: &str) -> String {
    let found = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    match found.and_then(|found| found.rsplit_once(", expected ")) {
        Some((found, expected)) => {
            let kind = found.split(['"', '`']).next().unwrap_or("").trim();
            format!("expected {expected}, found {kind}")
        }
        None => message.to_owned(),
    }
}

/// The nearest of the names that serde lists in ``unknown variant `s33`, expected `s3` or `memory` ``.
fn suggestion(message: &str) -> Option<String> {
    let rest = message
        .strip_prefix("unknown variant ")
        .or_else(|| message.strip_prefix("unknown field "))?;
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    nearest(wrong, quoted).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::{suggestion, without_value};

    #[test]
    fn a_wrong_value_is_not_quoted() {
        let message = without_value(r#"invalid type: string "hunter2, expected", expected u16"#);
        assert_eq!(message, "expected u16, found string");
        assert_eq!(without_value("missing field `bind`"), "missing field `bind`");
    }

    #[test]
    fn a_mistyped_variant_gets_a_suggestion() {
        let suggested = suggestion("unknown variant `s33`, expected one of `directory`, `s3`, `memory`");
        assert_eq!(suggested.as_deref(), Some("s3"));
    }
}
