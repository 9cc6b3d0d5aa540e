//! One row, built field by field.

use super::{blank_is_missing, label, plain_zero};
use crate::customer::{CheckedCustomer, Customer, FieldValue, Strictness, UnlistedCategory};
use crate::feature::{FEATURE_COUNT, Feature, FeatureKind};
use crate::schema::{ColumnRole, Schema};
use crate::vector::{FeatureVector, UNKNOWN_CATEGORY};
use crate::violation::{Rule, Violation};

/// Builds one customer field by field, for callers that resolve the columns of a table once ([`Schema::role`]).
#[derive(Debug)]
pub struct RowBuilder<'s> {
    schema: &'s Schema,
    strictness: Strictness,
    customer: Customer,
    /// One bit per feature, then key and target: set when a value was offered.
    seen: u32,
    /// The same bits, set when that value was refused, so that it is not reported as missing too.
    refused: u32,
    /// The bits of the features that have a value.
    given: u32,
    /// Categories that were taken though the schema does not list them.
    unlisted: Vec<UnlistedCategory>,
    violations: Vec<Violation>,
}

const KEY_BIT: u32 = 1 << FEATURE_COUNT;
const TARGET_BIT: u32 = 1 << (FEATURE_COUNT + 1);

impl<'s> RowBuilder<'s> {
    /// An empty row.
    #[inline]
    pub fn new(schema: &'s Schema, strictness: Strictness) -> Self {
        let customer = Customer {
            key: None,
            label: None,
            features: FeatureVector::MISSING,
        };
        Self {
            schema,
            strictness,
            customer,
            seen: 0,
            refused: 0,
            given: 0,
            unlisted: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Sets one field. A field set twice is a violation.
    #[inline]
    pub fn set(&mut self, role: ColumnRole, value: FieldValue<'_>) {
        let ColumnRole::Feature(feature) = role else {
            return self.set_with_care(role, value);
        };
        let bit = 1 << feature.index();
        let kept = match value {
            FieldValue::Missing => Some(f64::NAN),
            FieldValue::Number(number) => self.schema.rules.kept(feature, number),
            FieldValue::Integer(number) => self.schema.rules.kept(feature, number as f64),
            FieldValue::Text(_) => None,
        };
        match kept {
            Some(kept) if self.seen & bit == 0 => {
                self.seen |= bit;
                self.give(feature, plain_zero(kept));
            }
            _ => self.set_with_care(role, value),
        }
    }

    #[inline]
    fn give(&mut self, feature: Feature, value: f64) {
        self.given |= u32::from(!value.is_nan()) << feature.index();
        self.customer.features.set(feature, value);
    }

    fn take(&mut self, feature: Feature, sent: FieldValue<'_>, taken: f64) {
        self.give(feature, taken);
        if let FieldValue::Text(text) = sent
            && feature.kind() == FeatureKind::Categorical
            && taken == UNKNOWN_CATEGORY
        {
            self.unlisted.push(UnlistedCategory {
                feature,
                text: text.to_owned(),
            });
        }
    }

    /// Sets one field, with a violation for every rule that it breaks.
    fn set_with_care(&mut self, role: ColumnRole, value: FieldValue<'_>) {
        let value = blank_is_missing(value);
        let schema = self.schema;
        let (bit, name) = match role {
            ColumnRole::Dropped => return,
            ColumnRole::Key => (KEY_BIT, schema.key().name.as_str()),
            ColumnRole::Target => (TARGET_BIT, schema.target().name.as_str()),
            ColumnRole::Feature(feature) => (1 << feature.index(), feature.name()),
        };
        if self.seen & bit != 0 {
            self.violations.push(Violation::new(
                name,
                Rule::DuplicateColumn,
                format!("{name} is given twice"),
            ));
            return;
        }
        self.seen |= bit;
        let outcome = match (role, value) {
            (_, FieldValue::Missing) | (ColumnRole::Dropped, _) => return,
            (ColumnRole::Key, value) => schema.key_value(value).map(|key| self.customer.key = key),
            (ColumnRole::Target, value) => label(schema, value).map(|label| self.customer.label = Some(label)),
            (ColumnRole::Feature(feature), value) => schema
                .feature_value(feature, value, self.strictness)
                .map(|taken| self.take(feature, value, taken)),
        };
        if let Err(violation) = outcome {
            self.refused |= bit;
            self.violations.push(violation);
        }
    }

    /// Reports a value that the source could not even read; its field does not count as missing.
    pub fn refuse(&mut self, role: ColumnRole, violation: Violation) {
        let bit = match role {
            ColumnRole::Dropped => return,
            ColumnRole::Key => KEY_BIT,
            ColumnRole::Target => TARGET_BIT,
            ColumnRole::Feature(feature) => 1 << feature.index(),
        };
        self.seen |= bit;
        self.refused |= bit;
        self.violations.push(violation);
    }

    /// Reports a column that the schema does not know.
    pub(super) fn refuse_column(&mut self, violation: Violation) {
        self.violations.push(violation);
    }

    /// The finished customer.
    ///
    /// # Errors
    /// Every violation, those of missing values last.
    #[inline]
    pub fn finish(mut self) -> Result<Customer, Vec<Violation>> {
        self.complete()?;
        Ok(self.customer)
    }

    /// The finished customer, to be scored. What learning asks of a row is asked of one that is scored, too.
    ///
    /// # Errors
    /// As [`RowBuilder::finish`].
    #[inline]
    pub fn finish_checked(mut self) -> Result<CheckedCustomer, Vec<Violation>> {
        self.complete()?;
        Ok(self.take_checked())
    }

    /// Adds the finished customer to others, where it is made: moving it there, or the builder here, costs a large batch more than checking it. Nothing
    /// should be set any more.
    ///
    /// # Errors
    /// As [`RowBuilder::finish`].
    #[inline]
    pub fn finish_into(&mut self, customers: &mut Vec<CheckedCustomer>) -> Result<(), Vec<Violation>> {
        self.complete()?;
        customers.push(self.take_checked());
        Ok(())
    }

    #[inline]
    fn complete(&mut self) -> Result<(), Vec<Violation>> {
        self.report_missing();
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(std::mem::take(&mut self.violations))
        }
    }

    #[inline]
    fn take_checked(&mut self) -> CheckedCustomer {
        CheckedCustomer {
            key: self.customer.key,
            features: self.customer.features,
            unlisted: std::mem::take(&mut self.unlisted),
        }
    }

    /// What holds of the customer, values that were refused being missing, and every violation: for those who look at a table before
    /// they trust it.
    pub fn finish_with_violations(mut self) -> (Customer, Vec<Violation>) {
        self.report_missing();
        (self.customer, self.violations)
    }

    #[inline]
    fn report_missing(&mut self) {
        let training = self.strictness == Strictness::Training;
        if training && self.customer.key.is_none() && self.refused & KEY_BIT == 0 {
            self.missing(&self.schema.key().name);
        }
        if training && self.customer.label.is_none() && self.refused & TARGET_BIT == 0 {
            self.missing(&self.schema.target().name);
        }
        let absent = self.schema.rules.needed(self.strictness) & !(self.given | self.refused);
        if absent != 0 {
            for feature in Feature::ALL
                .into_iter()
                .filter(|feature| absent & (1 << feature.index()) != 0)
            {
                self.missing(feature.name());
            }
        }
    }

    fn missing(&mut self, column: &str) {
        let why = match self.strictness {
            Strictness::Training => "training data needs it in every row",
            Strictness::Serving => "every prediction needs it",
        };
        self.violations.push(Violation::new(
            column,
            Rule::Required,
            format!("{column} is missing; {why}"),
        ));
    }
}
