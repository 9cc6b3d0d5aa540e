//! The customer and the raw fields one is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::feature::Feature;
use crate::vector::FeatureVector;
use crate::violation::Violation;

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

/// A customer to be scored, who passed the checks of [`Strictness::Serving`]: there is no other way to one.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedCustomer {
    pub(crate) key: Option<CustomerKey>,
    pub(crate) features: FeatureVector,
    pub(crate) unlisted: Vec<UnlistedCategory>,
}

impl CheckedCustomer {
    /// The key, if the caller said.
    pub fn key(&self) -> Option<CustomerKey> {
        self.key
    }

    /// The nineteen features.
    pub fn features(&self) -> &FeatureVector {
        &self.features
    }

    /// What was sent where the features hold [`UNKNOWN_CATEGORY`](crate::UNKNOWN_CATEGORY).
    pub fn unlisted(&self) -> &[UnlistedCategory] {
        &self.unlisted
    }
}

impl AsRef<FeatureVector> for CheckedCustomer {
    fn as_ref(&self) -> &FeatureVector {
        &self.features
    }
}

/// One of several customers that breaks rules: its place among them, from 0, and all of its violations.
pub type Refused = (usize, Vec<Violation>);

/// Several customers, all of whom passed `check`, which adds those who do to the list.
///
/// # Errors
/// Those who did not.
pub fn all_checked<T>(
    customers: impl ExactSizeIterator<Item = T>,
    check: impl Fn(T, &mut Vec<CheckedCustomer>) -> Result<(), Vec<Violation>>,
) -> Result<Vec<CheckedCustomer>, Vec<Refused>> {
    let mut checked = Vec::with_capacity(customers.len());
    let mut refused = Vec::new();
    for (place, customer) in customers.enumerate() {
        if let Err(violations) = check(customer, &mut checked) {
            refused.push((place, violations));
        }
    }
    if refused.is_empty() { Ok(checked) } else { Err(refused) }
}

/// A category as a caller sent it, of a kind that the schema does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlistedCategory {
    /// The feature.
    pub feature: Feature,
    /// The text received.
    pub text: String,
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
