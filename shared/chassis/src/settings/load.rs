//! Putting it together: defaults, layers, types, validation; and whom to blame when a value does not fit.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::layers::{Assignment, KeyPath, Layers, collect, merged};
use super::suggest::nearest;
use super::{
    COMMON_DEFAULTS, Common, SECTIONS, Section, ServerSettings, SettingsError, SettingsSources, SettingsViolation,
};

/// Loads the common settings and the section of one service.
///
/// # Errors
/// [`SettingsError::Invalid`] with *every* unknown key, wrong type and broken rule; the other variants if a source cannot be read at all.
pub fn load<S: Section>(sources: &SettingsSources) -> Result<(Common, S), SettingsError> {
    let mut loading = Loading::start(S::NAME, S::DEFAULTS, sources)?;
    let section: Option<S> = typed(|fit| loading.section(fit));
    if let Some(section) = &section {
        loading.check_server(section.server());
    }
    if let (Some(common), Some(section)) = (&loading.common, &section) {
        let broken = section.validate(common).err().unwrap_or_default();
        loading.layers.violations.extend(broken);
    }
    let violations = loading.layers.violations;
    match (loading.common, section) {
        (Some(common), Some(section)) if violations.is_empty() => Ok((common, section)),
        _ => Err(invalid(violations)),
    }
}

fn invalid(mut violations: Vec<SettingsViolation>) -> SettingsError {
    violations.sort_by(|a, b| a.path.cmp(&b.path));
    SettingsError::Invalid(violations)
}

/// What loading is about whatever the section's type: with this apart, a crate that loads a section compiles the section's own reading and no more.
struct Loading {
    name: &'static str,
    section_defaults: Value,
    section_layer: BTreeMap<KeyPath, Assignment>,
    common: Option<Common>,
    layers: Layers,
}

impl Loading {
    /// Collects all layers and reads the common settings.
    fn start(
        name: &'static str,
        section_defaults: &'static str,
        sources: &SettingsSources,
    ) -> Result<Self, SettingsError> {
        let defaults = defaults(name, section_defaults)?;
        let file = sources.file.as_deref().map(read_file).transpose()?;
        let mut layers = collect(&defaults, file, sources);
        let (common_defaults, section_defaults) = divided(name, &defaults);
        let is_section = |path: &KeyPath| path.first().is_some_and(|key| key == name);
        let (section_layer, common_layer): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut layers.assignments)
            .into_iter()
            .partition(|(path, _)| is_section(path));
        let common: Option<Common> = typed(|fit| settled(&common_defaults, common_layer, &[], &mut layers, fit));
        if let Some(common) = &common {
            layers.violations.extend(common.violations());
        }
        Ok(Self {
            name,
            section_defaults,
            section_layer,
            common,
            layers,
        })
    }

    fn section(&mut self, fit: Fit<'_>) -> bool {
        let layer = std::mem::take(&mut self.section_layer);
        settled(
            &self.section_defaults,
            layer,
            &[self.name.to_owned()],
            &mut self.layers,
            fit,
        )
    }

    fn check_server(&mut self, server: Option<&ServerSettings>) {
        let violations = server.map(|server| server.violations(self.name));
        self.layers.violations.extend(violations.unwrap_or_default());
    }
}

/// The tree of all known keys with their defaults: common keys at the top, the section under its name.
fn defaults(name: &'static str, section: &'static str) -> Result<Value, SettingsError> {
    let mut tree = embedded("common", COMMON_DEFAULTS)?;
    if !SECTIONS.contains(&name) {
        let message = "not a known section name".to_owned();
        return Err(SettingsError::BrokenDefaults { section: name, message });
    }
    tree.insert(name.to_owned(), Value::Object(embedded(name, section)?));
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

fn divided(name: &str, defaults: &Value) -> (Value, Value) {
    let mut common = defaults.clone();
    let section = common
        .as_object_mut()
        .and_then(|keys| keys.remove(name))
        .unwrap_or_default();
    (common, Value::Object(Map::from_iter([(name.to_owned(), section)])))
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

/// Reads a tree as some type and keeps the value, or says why it does not fit.
type Fit<'a> = &'a mut dyn FnMut(Value) -> Result<(), serde_path_to_error::Error<serde_json::Error>>;

/// The value, if `settle` found one that fits. The one part that is compiled for every type.
fn typed<T: DeserializeOwned>(settle: impl FnOnce(Fit<'_>) -> bool) -> Option<T> {
    let mut value = None;
    let fits = settle(&mut |tree| {
        value = Some(serde_path_to_error::deserialize(tree)?);
        Ok(())
    });
    value.filter(|_| fits)
}

/// Deserialises, and on failure blames an assignment, takes it out and tries again, so that every wrong value is found and not just the first.
/// `root` is the path of the value inside the trees. True if nothing was wrong; the last value that `fit` got is then the one.
fn settled(
    defaults: &Value,
    mut assignments: BTreeMap<KeyPath, Assignment>,
    root: &[String],
    layers: &mut Layers,
    fit: Fit<'_>,
) -> bool {
    let mut failed = false;
    // Every turn settles, re-reads or removes an assignment, so the loop ends.
    loop {
        let Err(error) = attempt(defaults, &assignments, root, fit) else {
            return !failed;
        };
        let Some(culprit) = culprit(defaults, &assignments, root, &error, fit) else {
            layers.violations.push(error.into_violation());
            return false;
        };
        let Some(assignment) = assignments.get_mut(&culprit) else {
            return false;
        };
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

fn attempt(
    defaults: &Value,
    assignments: &BTreeMap<KeyPath, Assignment>,
    root: &[String],
    fit: Fit<'_>,
) -> Result<(), Misfit> {
    let mut tree = merged(defaults, assignments);
    for key in root {
        tree = tree
            .as_object_mut()
            .and_then(|keys| keys.remove(key))
            .unwrap_or_else(|| Value::Object(Map::new()));
    }
    fit(tree).map_err(|error| {
        let below = error.path().iter().map(ToString::to_string).filter(|key| key != "?");
        Misfit {
            path: root.iter().cloned().chain(below).collect(),
            message: error.inner().to_string(),
        }
    })
}

/// The assignment at fault: the one at the error's path, else the one under it whose removal changes the error (serde loses the exact path inside
/// flattened structs and tagged enums).
fn culprit(
    defaults: &Value,
    assignments: &BTreeMap<KeyPath, Assignment>,
    root: &[String],
    error: &Misfit,
    fit: Fit<'_>,
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
            let changed = match attempt(defaults, &without, root, fit) {
                Ok(()) => true,
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
