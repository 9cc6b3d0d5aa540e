//! Checks that only a whole table can fail: repeated keys, a class that is absent, too few rows.

use std::collections::HashMap;

use crate::customer::{Customer, Strictness};
use crate::feature::{FEATURE_COUNT, Feature};
use crate::schema::Schema;
use crate::violation::{Rule, Violation};

/// Fewer rows than this teach a model nothing that a test could confirm.
pub const MINIMUM_ROWS: usize = 50;

/// What a valid table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSummary {
    /// Number of customers.
    pub rows: usize,
    /// Customers who left.
    pub positives: usize,
    /// Missing values per feature, in index order.
    pub missing: [usize; FEATURE_COUNT],
}

impl TableSummary {
    /// Share of customers who left, 0 to 1.
    pub fn positive_share(&self) -> f64 {
        if self.rows == 0 {
            0.0
        } else {
            self.positives as f64 / self.rows as f64
        }
    }

    /// Features that no row has.
    pub fn absent(&self) -> impl Iterator<Item = Feature> + '_ {
        Feature::ALL
            .into_iter()
            .filter(|feature| self.missing[feature.index()] == self.rows)
    }
}

/// Checks a table for training: every row by [`Schema::check`], no key twice, both classes there, at least [`MINIMUM_ROWS`] rows.
///
/// # Errors
/// Every violation; row numbers are positions in `customers` counted from 1.
pub fn validate_table(customers: &[Customer], schema: &Schema) -> Result<TableSummary, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut first_row_of = HashMap::with_capacity(customers.len());
    let mut summary = TableSummary {
        rows: customers.len(),
        positives: 0,
        missing: [0; FEATURE_COUNT],
    };
    for (row, customer) in (1_u64..).zip(customers) {
        violations.extend(
            schema
                .check(customer, Strictness::Training)
                .into_iter()
                .map(|violation| violation.in_row(row)),
        );
        summary.positives += usize::from(customer.label == Some(true));
        for feature in customer.features.missing() {
            summary.missing[feature.index()] += 1;
        }
        if let Some(key) = customer.key
            && let Some(first) = first_row_of.insert(key, row)
        {
            first_row_of.insert(key, first);
            let name = &schema.key().name;
            let message = format!("{name} {key} is in row {first} already; every customer may be in the table once");
            violations.push(Violation::new(name, Rule::DuplicateKey, message).in_row(row));
        }
    }
    violations.extend(whole_table(customers, schema));
    if violations.is_empty() {
        Ok(summary)
    } else {
        Err(violations)
    }
}

fn whole_table(customers: &[Customer], schema: &Schema) -> Vec<Violation> {
    let mut violations = Vec::new();
    if customers.len() < MINIMUM_ROWS {
        let message = format!(
            "the table has {} rows; at least {MINIMUM_ROWS} are needed to train",
            customers.len()
        );
        violations.push(Violation::new("", Rule::TooFewRows, message));
    }
    for label in [true, false] {
        let known = customers.iter().any(|customer| customer.label.is_some());
        if known && !customers.iter().any(|customer| customer.label == Some(label)) {
            let (name, text) = (&schema.target().name, schema.label_text(label));
            let message = format!("{name} is never {text:?}; a model needs rows of both classes");
            violations.push(Violation::new(name, Rule::SingleClass, message));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::CustomerKey;
    use crate::vector::FeatureVector;

    fn table(rows: usize) -> Vec<Customer> {
        let schema = Schema::embedded();
        let mut features = FeatureVector::MISSING;
        for feature in schema.required() {
            features.set(feature, 1.0);
        }
        (1..)
            .take(rows)
            .map(|n| Customer {
                key: Some(CustomerKey(n)),
                label: Some(n % 5 == 0),
                features,
            })
            .collect()
    }

    fn rules(customers: &[Customer]) -> Vec<(Option<u64>, &'static str)> {
        let violations = validate_table(customers, Schema::embedded()).unwrap_err();
        violations
            .iter()
            .map(|violation| (violation.row, violation.rule.code()))
            .collect()
    }

    #[test]
    fn a_good_table_is_summarised() {
        let summary = validate_table(&table(100), Schema::embedded()).unwrap();
        assert_eq!((summary.rows, summary.positives), (100, 20));
        assert!((summary.positive_share() - 0.2).abs() < 1e-12);
        assert_eq!(summary.absent().count(), 11);
    }

    #[test]
    fn a_key_that_comes_back_is_named_with_both_rows() {
        let mut customers = table(60);
        customers[9].key = customers[2].key;
        customers[19].key = customers[2].key;
        let violations = validate_table(&customers, Schema::embedded()).unwrap_err();
        assert_eq!(violations.len(), 2);
        assert_eq!(
            violations[0].to_string(),
            "row 10: CLIENTNUM 3 is in row 3 already; every customer may be in the table once"
        );
        assert_eq!(violations[1].row, Some(20));
        assert!(violations[1].message.contains("row 3"));
    }

    #[test]
    fn one_class_and_few_rows_are_refused() {
        let mut customers = table(10);
        for customer in &mut customers {
            customer.label = Some(false);
        }
        assert_eq!(rules(&customers), [(None, "too_few_rows"), (None, "single_class")]);
        assert_eq!(rules(&[]), [(None, "too_few_rows")]);
    }

    #[test]
    fn values_are_checked_again_with_their_row() {
        let mut customers = table(60);
        customers[0].features.set(Feature::CreditLimit, -1.0);
        customers[1].features.set(Feature::Gender, crate::UNKNOWN_CATEGORY);
        customers[2].label = None;
        customers[3].key = None;
        customers[4].features.set(Feature::TotalTransCt, f64::INFINITY);
        let expected = [
            (Some(1), "below_minimum"),
            (Some(2), "unknown_category"),
            (Some(3), "required"),
            (Some(4), "required"),
            (Some(5), "not_finite"),
        ];
        assert_eq!(rules(&customers), expected);
    }
}
