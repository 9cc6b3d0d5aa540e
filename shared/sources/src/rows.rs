//! What a source reads into: customers, and what was wrong with the rows that became none.

use std::sync::Arc;

use holdfast_domain::{ColumnRole, Customer, FieldValue, RowBuilder, Schema, Strictness, Violation};

use crate::error::{LISTED_VIOLATIONS, SourceError};

/// A field of a row, or why the source could not read it.
pub(crate) type Field<'v> = (ColumnRole, Result<FieldValue<'v>, Violation>);

/// Collects rows: checks each, keeps the good ones, lists the first violations and counts the others.
#[derive(Debug)]
pub struct Rows {
    schema: Arc<Schema>,
    strictness: Strictness,
    seen: u64,
    customers: Vec<Customer>,
    violations: Vec<Violation>,
    more: u64,
}

impl Rows {
    pub(crate) fn new(schema: Arc<Schema>, strictness: Strictness) -> Self {
        Self {
            schema,
            strictness,
            seen: 0,
            customers: Vec::new(),
            violations: Vec::new(),
            more: 0,
        }
    }

    /// Rows read so far, good and bad.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Checks one row and keeps it.
    pub(crate) fn push<'v>(&mut self, fields: impl Iterator<Item = Field<'v>>) {
        let mut row = RowBuilder::new(&self.schema, self.strictness);
        for (role, value) in fields {
            match value {
                Ok(value) => row.set(role, value),
                Err(violation) => row.refuse(role, violation),
            }
        }
        let outcome = row.finish();
        self.seen += 1;
        match outcome {
            // After the first violation the table will be refused as a whole, and its rows are of no more use.
            Ok(customer) if self.violations.is_empty() => self.customers.push(customer),
            Ok(_) => {}
            Err(violations) => self.refuse_all(violations),
        }
    }

    /// Counts a row that could not be taken apart at all.
    pub(crate) fn push_broken(&mut self, violation: Violation) {
        self.seen += 1;
        self.refuse_all(vec![violation]);
    }

    fn refuse_all(&mut self, violations: Vec<Violation>) {
        self.customers = Vec::new();
        for violation in violations {
            if self.violations.len() < LISTED_VIOLATIONS {
                self.violations.push(violation.in_row(self.seen));
            } else {
                self.more += 1;
            }
        }
    }

    /// Takes the customers out, leaving the row count.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] when any row so far was bad.
    pub(crate) fn take(&mut self, name: &str) -> Result<Vec<Customer>, SourceError> {
        if self.violations.is_empty() {
            return Ok(std::mem::take(&mut self.customers));
        }
        let violations = std::mem::take(&mut self.violations);
        Err(SourceError::Invalid {
            name: name.to_owned(),
            violations,
            more: std::mem::take(&mut self.more),
        })
    }
}
