//! From sources to assignments: which known key gets which value, from where. Unknown keys are found here, against the defaults.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::environment::{ALIASES, NOT_SETTINGS, PREFIX, TEST_PREFIX};
use super::suggest::nearest;
use super::{SECTIONS, SettingsSources, SettingsViolation};

/// A key's path, outermost first.
pub(super) type KeyPath = Vec<String>;

/// A value that a source gives to a known key.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    pub(super) value: Value,
    /// The other reading of an environment variable: text that could be a number is tried as text first where the default is text or nothing.
    pub(super) other_reading: Option<Value>,
    pub(super) origin: String,
}

/// What the sources say, one assignment per key: the last source wins.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub(super) assignments: BTreeMap<KeyPath, Assignment>,
    pub(super) violations: Vec<SettingsViolation>,
}

/// Reads every source against the known keys (`defaults`: the common keys and the sections being loaded).
pub(super) fn collect(defaults: &Value, file: Option<(String, Value)>, sources: &SettingsSources) -> Layers {
    let mut layers = Layers::default();
    if let Some((name, tree)) = file {
        layers.assign(defaults, &mut Vec::new(), tree, &name);
    }
    for (alias, path) in ALIASES {
        if let Some(raw) = sources.environment.get(alias) {
            layers.assign_variable(defaults, path.iter().map(ToString::to_string).collect(), alias, raw);
        }
    }
    for (name, raw) in &sources.environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let is_setting = !NOT_SETTINGS.contains(&name.as_str())
            && !name.starts_with(TEST_PREFIX)
            && ALIASES.iter().all(|(alias, _)| alias != name);
        if is_setting {
            let path = rest.to_ascii_lowercase().split("__").map(str::to_owned).collect();
            layers.assign_variable(defaults, path, name, raw);
        }
    }
    for (path, value) in &sources.overrides {
        let nested = path.rsplit('.').fold(value.clone(), |inner, key| {
            Value::Object(Map::from_iter([(key.to_owned(), inner)]))
        });
        layers.assign(defaults, &mut Vec::new(), nested, "command line");
    }
    layers
}

impl Layers {
    /// Walks `value` along the known keys and records its leaves.
    fn assign(&mut self, known: &Value, path: &mut KeyPath, value: Value, origin: &str) {
        let Some(known) = branch(known) else {
            self.record(path.clone(), value, None, origin);
            return;
        };
        let entries = match value {
            Value::Object(entries) => entries,
            // `inference:` with nothing under it.
            Value::Null => return,
            other => {
                let message = format!("expected a mapping, found {}", kind(&other));
                self.violations
                    .push(SettingsViolation::new(path.join("."), message).with_origin(origin));
                return;
            }
        };
        for (key, value) in entries {
            let foreign = path.is_empty() && is_foreign(&key, known);
            path.push(key);
            match path.last().and_then(|key| known.get(key)) {
                Some(below) => self.assign(below, path, value, origin),
                None if foreign => {}
                None => self.unknown_key(path, known, origin),
            }
            path.pop();
        }
    }

    fn unknown_key(&mut self, path: &KeyPath, known: &Map<String, Value>, origin: &str) {
        let key = path.last().map_or("", String::as_str);
        let sections = if path.len() == 1 { SECTIONS.as_slice() } else { &[] };
        let suggestion = nearest(key, known.keys().map(String::as_str).chain(sections.iter().copied()));
        self.violations.push(
            SettingsViolation::new(path.join("."), "unknown key")
                .with_origin(origin)
                .with_suggestion(suggestion),
        );
    }

    fn assign_variable(&mut self, defaults: &Value, path: KeyPath, name: &str, raw: &str) {
        let mut known = defaults;
        for (depth, key) in path.iter().enumerate() {
            let Some(keys) = branch(known) else {
                // Below a key whose default is an open mapping anything goes; below any other leaf nothing exists.
                if known.as_object().is_some() {
                    self.record(path.clone(), Value::String(raw.to_owned()), parse_scalar(raw), name);
                } else {
                    self.unknown_variable(defaults, &path, name);
                }
                return;
            };
            match keys.get(key) {
                Some(below) => known = below,
                None if depth == 0 && is_foreign(key, keys) => return,
                None => return self.unknown_variable(defaults, &path, name),
            }
        }
        let text = Value::String(raw.to_owned());
        match known {
            Value::String(_) => self.record(path, text, None, name),
            Value::Null if raw.is_empty() => self.record(path, Value::Null, None, name),
            Value::Null => self.record(path, text, parse_scalar(raw), name),
            _ => match parse_scalar(raw) {
                Some(value) if branch(known).is_some() => self.assign(known, &mut path.clone(), value, name),
                Some(value) => self.record(path, value, None, name),
                None => {
                    let violation = SettingsViolation::new(path.join("."), "not a YAML value");
                    self.violations.push(violation.with_origin(name));
                }
            },
        }
    }

    fn unknown_variable(&mut self, defaults: &Value, path: &KeyPath, name: &str) {
        let mut variables = Vec::new();
        variable_names(defaults, PREFIX.to_owned(), &mut variables);
        variables.extend(NOT_SETTINGS.iter().map(ToString::to_string));
        let suggestion = nearest(name, variables.iter().map(String::as_str));
        self.violations.push(
            SettingsViolation::new(path.join("."), "unknown key")
                .with_origin(name)
                .with_suggestion(suggestion),
        );
    }

    fn record(&mut self, path: KeyPath, value: Value, other_reading: Option<Value>, origin: &str) {
        self.assignments.insert(
            path,
            Assignment {
                value,
                other_reading,
                origin: origin.to_owned(),
            },
        );
    }
}

/// The keys below a default that is a mapping with named keys; an empty mapping is a leaf that takes any keys.
fn branch(known: &Value) -> Option<&Map<String, Value>> {
    known.as_object().filter(|keys| !keys.is_empty())
}

/// A section of another service: its own loader checks it.
fn is_foreign(key: &str, known: &Map<String, Value>) -> bool {
    SECTIONS.contains(&key) && !known.contains_key(key)
}

fn variable_names(known: &Value, name: String, into: &mut Vec<String>) {
    let Some(keys) = branch(known) else {
        into.push(name);
        return;
    };
    let separator = if name == PREFIX { "" } else { "__" };
    for (key, below) in keys {
        variable_names(below, format!("{name}{separator}{}", key.to_ascii_uppercase()), into);
    }
}

/// Text as a YAML scalar or flow collection, the way environment variables and `--set` are read; `None` if it is not YAML.
#[must_use]
pub fn parse_scalar(raw: &str) -> Option<Value> {
    serde_saphyr::from_str::<Option<Value>>(raw)
        .ok()
        .map(Option::unwrap_or_default)
}

/// What a value is, without showing it.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// The defaults with the assignments applied. Keys without a value are left out, so that an absent key and `null` mean the same.
pub(super) fn merged(defaults: &Value, assignments: &BTreeMap<KeyPath, Assignment>) -> Value {
    let mut tree = defaults.clone();
    for (path, assignment) in assignments {
        let mut place = &mut tree;
        for key in path {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(keys) = place else { break };
            place = keys.entry(key.clone()).or_insert(Value::Null);
        }
        *place = assignment.value.clone();
    }
    without_nulls(&mut tree);
    tree
}

fn without_nulls(value: &mut Value) {
    if let Value::Object(keys) = value {
        keys.retain(|_, below| !below.is_null());
        keys.values_mut().for_each(without_nulls);
    }
}
