//! The customer and the raw fields one is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vector::FeatureVector;

/// The customer's key, `CLIENTNUM`: never a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerKey(pub i64);

impl fmt::Display for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One row of the bank's table, checked against the schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Customer {
    /// The key; always there in training data, optional when serving.
    pub key: Option<CustomerKey>,
    /// Whether the customer left; always there in training data.
    pub label: Option<bool>,
    /// The nineteen features.
    pub features: FeatureVector,
}

/// A value as a source delivered it, before any check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    /// No value: an empty cell, SQL NULL, JSON null.
    Missing,
    /// A number of any kind that fits a double.
    Number(f64),
    /// A whole number; kept apart because a key may not fit a double exactly.
    Integer(i64),
    /// Text: a category, or a number written out.
    Text(&'a str),
}

/// How strictly a row is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// For learning: key and label are needed, every column that is not nullable too, and an unlisted category is an error.
    Training,
    /// For predicting: only the required features are needed, and an unlisted category becomes
    /// [`UNKNOWN_CATEGORY`](crate::UNKNOWN_CATEGORY).
    Serving,
}
