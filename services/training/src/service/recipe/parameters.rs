//! A recipe as a flat list of names and values, for an artefact's origin and the registry, and back.
//!
//! Names are paths with dots, list items by their place from 0: `estimators.0.eta`. A value is the text of a JSON value, except that a text
//! stands without quotes unless it would read as JSON. An empty list is `[]`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Recipe;

/// Parameters that are not a recipe's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the parameters are no recipe: {0}")]
pub struct NoRecipe(pub String);

impl Recipe {
    /// Every parameter by its path, sorted by name. [`from_parameters`](Self::from_parameters) reads them back; numbers have to be finite.
    pub fn to_parameters(&self) -> Vec<(String, String)> {
        to_flat(self).into_iter().collect()
    }

    /// The recipe whose [`to_parameters`](Self::to_parameters) these are, in any order. Ranges are not looked at.
    ///
    /// # Errors
    /// [`NoRecipe`] names what is missing, unknown or of the wrong kind.
    pub fn from_parameters(parameters: &[(String, String)]) -> Result<Self, NoRecipe> {
        from_flat(parameters)
    }
}

/// Every leaf of a value by its path. For structs, lists, texts and finite numbers, which JSON can hold.
pub fn to_flat<T: Serialize>(value: &T) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    if let Ok(tree) = serde_json::to_value(value) {
        flatten("", &tree, &mut flat);
    }
    flat
}

/// The value whose [`to_flat`] these are, in any order.
///
/// # Errors
/// [`NoRecipe`] names what is missing, unknown or of the wrong kind.
pub fn from_flat<T: DeserializeOwned>(parameters: &[(String, String)]) -> Result<T, NoRecipe> {
    let mut root = Branch::default();
    for (name, text) in parameters {
        let path: Vec<&str> = name.split('.').collect();
        root.insert(&path, scalar(text))
            .map_err(|problem| NoRecipe(format!("{name} {problem}")))?;
    }
    serde_path_to_error::deserialize(root.into_value()).map_err(|error| NoRecipe(error.to_string()))
}

fn flatten(path: &str, value: &Value, flat: &mut BTreeMap<String, String>) {
    let inside = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                flatten(&inside(name), field, flat);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (place, item) in items.iter().enumerate() {
                flatten(&inside(&place.to_string()), item, flat);
            }
        }
        leaf => {
            flat.insert(path.to_owned(), text(leaf));
        }
    }
}

fn text(leaf: &Value) -> String {
    match leaf {
        Value::String(plain) if serde_json::from_str::<Value>(plain).is_err() => plain.clone(),
        other => other.to_string(),
    }
}

fn scalar(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// A tree of values that grows by paths.
#[derive(Default)]
struct Branch {
    leaf: Option<Value>,
    children: BTreeMap<String, Branch>,
}

impl Branch {
    fn insert(&mut self, path: &[&str], value: Value) -> Result<(), &'static str> {
        let Some((first, rest)) = path.split_first() else {
            if self.leaf.replace(value).is_some() {
                return Err("is there twice");
            }
            return if self.children.is_empty() { Ok(()) } else { Err(BOTH) };
        };
        if self.leaf.is_some() {
            return Err(BOTH);
        }
        self.children
            .entry((*first).to_owned())
            .or_default()
            .insert(rest, value)
    }

    /// A branch whose children are called 0, 1, … is a list.
    fn into_value(mut self) -> Value {
        if let Some(leaf) = self.leaf {
            return leaf;
        }
        let count = self.children.len();
        if count > 0 && (0..count).all(|place| self.children.contains_key(&place.to_string())) {
            let items = (0..count).filter_map(|place| self.children.remove(&place.to_string()));
            return Value::Array(items.map(Branch::into_value).collect());
        }
        let fields = self
            .children
            .into_iter()
            .map(|(name, child)| (name, child.into_value()));
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

const BOTH: &str = "is both a value and a group of values";
