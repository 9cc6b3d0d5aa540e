//! From raw fields to a [`Customer`], with every broken rule reported and not just the first.

mod row;

use crate::customer::{CheckedCustomer, Customer, CustomerKey, FieldValue, Strictness};
use crate::feature::{Feature, FeatureKind};
use crate::schema::{Column, ColumnRole, Schema};
use crate::suggest::nearest;
use crate::vector::{FeatureVector, UNKNOWN_CATEGORY};
use crate::violation::{Rule, Violation, cut};

pub use row::RowBuilder;

/// What [`Schema::fields`] writes for a category that the schema does not list. Reading it back under [`Strictness::Serving`]
/// gives [`UNKNOWN_CATEGORY`] again.
pub const UNLISTED_CATEGORY: &str = "(not listed)";

/// Whole numbers up to here are exact in a double: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Characters of a caller's value that a message repeats.
const SHOWN: usize = 60;

impl Schema {
    /// Makes a customer of named fields. Dropped columns are ignored, an absent field is a missing one.
    ///
    /// # Errors
    /// Every violation of the row, in the order of the fields, then the missing ones in column order.
    pub fn customer<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a str, FieldValue<'a>)>,
        strictness: Strictness,
    ) -> Result<Customer, Vec<Violation>> {
        let mut row = RowBuilder::new(self, strictness);
        for (name, value) in fields {
            match self.role(name) {
                Some(role) => row.set(role, value),
                None => row.refuse_column(self.unknown_column(name)),
            }
        }
        row.finish()
    }

    /// The violation for a column that the schema does not know.
    pub fn unknown_column(&self, name: &str) -> Violation {
        let hint = match nearest(name, self.column_names()) {
            Some(known) => format!("did you mean {known}?"),
            None => "the schema has no column of that name".to_owned(),
        };
        Violation::new(
            name,
            Rule::UnknownColumn,
            format!("{} is not a known column; {hint}", cut(name, 100)),
        )
    }

    /// Adds a customer to be scored, of fields by column.
    ///
    /// # Errors
    /// Every violation, those of missing values last.
    #[inline]
    pub fn check_into<'a>(
        &self,
        customers: &mut Vec<CheckedCustomer>,
        fields: impl IntoIterator<Item = (ColumnRole, FieldValue<'a>)>,
    ) -> Result<(), Vec<Violation>> {
        let mut row = RowBuilder::new(self, Strictness::Serving);
        for (role, value) in fields {
            row.set(role, value);
        }
        row.finish_into(customers)
    }

    /// The customer as named fields again: key, target, then the features in order. The inverse of [`Schema::customer`].
    pub fn fields<'s>(&'s self, customer: &'s Customer) -> impl Iterator<Item = (&'s str, FieldValue<'s>)> + 's {
        let key = customer
            .key
            .map_or(FieldValue::Missing, |key| FieldValue::Integer(key.0));
        let label = customer
            .label
            .map_or(FieldValue::Missing, |label| FieldValue::Text(self.label_text(label)));
        let head = [(self.key().name.as_str(), key), (self.target().name.as_str(), label)];
        let features = self
            .columns()
            .iter()
            .map(|column| (column.name(), self.field(column, &customer.features)));
        head.into_iter().chain(features)
    }

    /// A feature's value as a row of features holds it, by the rules of [`RowBuilder::set`]; NaN when it is missing, needed or not. For
    /// callers that go through a table column by column.
    ///
    /// # Errors
    /// The rule that the value breaks.
    pub fn feature_value(
        &self,
        feature: Feature,
        value: FieldValue<'_>,
        strictness: Strictness,
    ) -> Result<f64, Violation> {
        let column = self.column(feature);
        match (blank_is_missing(value), column.kind) {
            (FieldValue::Missing, _) => Ok(f64::NAN),
            (value, FeatureKind::Numeric) => number(column, value),
            (value, FeatureKind::Categorical) => category(column, value, strictness),
        }
    }

    /// A customer's key, by the rules of [`RowBuilder::set`]; `None` when it is missing.
    ///
    /// # Errors
    /// The value is no whole number from 1.
    pub fn key_value(&self, value: FieldValue<'_>) -> Result<Option<CustomerKey>, Violation> {
        match blank_is_missing(value) {
            FieldValue::Missing => Ok(None),
            value => key(&self.key().name, value).map(Some),
        }
    }

    fn field(&self, column: &Column, features: &FeatureVector) -> FieldValue<'_> {
        let Some(value) = features.get(column.feature) else {
            return FieldValue::Missing;
        };
        match column.kind {
            FeatureKind::Numeric => FieldValue::Number(value),
            FeatureKind::Categorical => {
                let name = code_of(value).and_then(|code| self.category_name(column.feature, code));
                FieldValue::Text(name.unwrap_or(UNLISTED_CATEGORY))
            }
        }
    }

    /// Checks a customer that did not come through [`Schema::customer`]: ranges, whole numbers, category codes, what is needed.
    pub fn check(&self, customer: &Customer, strictness: Strictness) -> Vec<Violation> {
        let mut row = RowBuilder::new(self, strictness);
        for (name, value) in self.fields(customer) {
            if let Some(role) = self.role(name) {
                row.set(role, value);
            }
        }
        row.finish().err().unwrap_or_default()
    }
}

/// A cell of spaces holds no value.
fn blank_is_missing(value: FieldValue<'_>) -> FieldValue<'_> {
    match value {
        FieldValue::Text(text) if text.trim_start().is_empty() => FieldValue::Missing,
        other => other,
    }
}

/// A category's index, if `value` is one.
fn code_of(value: f64) -> Option<usize> {
    ((0.0..65_536.0).contains(&value) && value.fract() == 0.0).then_some(value as usize)
}

fn key(name: &str, value: FieldValue<'_>) -> Result<CustomerKey, Violation> {
    let refuse = |shown: String| {
        let message = format!("{name} is {shown}; a customer key is a whole number from 1");
        Violation::new(name, Rule::Key, message)
    };
    let parsed = match value {
        FieldValue::Missing => None,
        FieldValue::Integer(number) => Some(number),
        FieldValue::Number(number) => whole(number),
        // A key that went through a spreadsheet or a data frame may have become 768805383.0.
        FieldValue::Text(text) => digits(text).or_else(|| parse(text).and_then(whole)),
    };
    parsed
        .filter(|number| *number >= 1)
        .map(CustomerKey)
        .ok_or_else(|| refuse(shown(value)))
}

/// A whole number written as such, in full precision.
fn digits(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// By a conversion there and back, which is cheaper than asking for the fraction.
#[inline]
pub(crate) fn whole(number: f64) -> Option<i64> {
    let integer = number as i64;
    (number.abs() < EXACT && integer as f64 == number).then_some(integer)
}

fn label(schema: &Schema, value: FieldValue<'_>) -> Result<bool, Violation> {
    let target = schema.target();
    match value {
        FieldValue::Text(text) if text == target.positive => Ok(true),
        FieldValue::Text(text) if text == target.negative => Ok(false),
        other => {
            let allowed = format!("allowed are {:?} and {:?}", target.positive, target.negative);
            let message = format!("{} is {}; {allowed}", target.name, shown(other));
            Err(Violation::new(&target.name, Rule::Label, message))
        }
    }
}

fn number(column: &Column, value: FieldValue<'_>) -> Result<f64, Violation> {
    let refuse = |rule, what: &str| {
        let message = format!(
            "{} is {}{what}; allowed are {}",
            column.name(),
            shown(value),
            allowed(column)
        );
        Err(Violation::new(column.name(), rule, message))
    };
    let number = match value {
        FieldValue::Missing => f64::NAN,
        FieldValue::Number(number) => number,
        FieldValue::Integer(number) => number as f64,
        FieldValue::Text(text) => match parse(text) {
            Some(number) => number,
            None => {
                return refuse(
                    Rule::NotANumber,
                    &format!(", which is not a number{}", spelling_hint(text)),
                );
            }
        },
    };
    if !number.is_finite() {
        return refuse(Rule::NotFinite, ", which is not a finite number");
    }
    if column.integer && number.fract() != 0.0 {
        return refuse(Rule::NotInteger, ", which is not a whole number");
    }
    if column.minimum.is_some_and(|minimum| number < minimum) {
        return refuse(Rule::BelowMinimum, ", which is too small");
    }
    if column.maximum.is_some_and(|maximum| number > maximum) {
        return refuse(Rule::AboveMaximum, ", which is too large");
    }
    Ok(plain_zero(number))
}

/// Adding zero turns -0.0 into 0.0: one value, one bit pattern, one digest.
#[inline]
fn plain_zero(number: f64) -> f64 {
    number + 0.0
}

fn category(column: &Column, value: FieldValue<'_>, strictness: Strictness) -> Result<f64, Violation> {
    let list = || {
        column
            .categories
            .iter()
            .map(|name| format!("{name:?}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let FieldValue::Text(text) = value else {
        let message = format!(
            "{} is {}, which is not a category; allowed are {}",
            column.name(),
            shown(value),
            list()
        );
        return Err(Violation::new(column.name(), Rule::NotText, message));
    };
    if let Some(code) = column.categories.iter().position(|known| known == text) {
        return Ok(code as f64);
    }
    if strictness == Strictness::Serving {
        return Ok(UNKNOWN_CATEGORY);
    }
    let hint = match nearest(text, column.categories.iter().map(String::as_str)) {
        Some(known) => format!("did you mean {known:?}? "),
        None => String::new(),
    };
    let message = format!(
        "{} is {}, which is not a known category; {hint}allowed are {}",
        column.name(),
        shown(value),
        list()
    );
    Err(Violation::new(column.name(), Rule::UnknownCategory, message))
}

/// Reads a number written in digits, with an optional sign, decimal point and exponent. NaN and infinity are read as such, to be
/// refused by name; spaces, separators and currency signs are not read at all.
fn parse(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// How to write what was probably meant: "$1,200" is 1200.
fn spelling_hint(text: &str) -> String {
    if text.len() > SHOWN {
        return String::new();
    }
    let bare: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, ',' | '_' | '\'' | '$' | '€' | '£'))
        .collect();
    match parse(&bare) {
        Some(number) if number.is_finite() && bare != text => {
            format!(" (write digits and a decimal point only, such as {bare})")
        }
        _ => String::new(),
    }
}

fn allowed(column: &Column) -> String {
    let what = if column.integer { "whole numbers" } else { "numbers" };
    let range = match (column.minimum, column.maximum) {
        (Some(minimum), Some(maximum)) => format!(" from {minimum} to {maximum}"),
        (Some(minimum), None) => format!(" from {minimum}"),
        (None, Some(maximum)) => format!(" up to {maximum}"),
        (None, None) => String::new(),
    };
    let unit = column
        .unit
        .as_ref()
        .map(|unit| format!(" ({unit})"))
        .unwrap_or_default();
    format!("{what}{range}{unit}")
}

/// A caller's value as a message shows it: text quoted and cut, numbers never hundreds of digits long.
fn shown(value: FieldValue<'_>) -> String {
    match value {
        FieldValue::Missing => "missing".to_owned(),
        FieldValue::Integer(number) => number.to_string(),
        FieldValue::Number(number) if number != 0.0 && !(1e-6..1e15).contains(&number.abs()) => {
            format!("{number:e}")
        }
        FieldValue::Number(number) => number.to_string(),
        FieldValue::Text(text) => format!("{:?}", cut(text, SHOWN)),
    }
}

#[cfg(test)]
mod tests;
