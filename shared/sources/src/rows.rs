//! What a source reads into: customers, and what was wrong with the rows that became none; or the table as it is.

use std::sync::Arc;

use holdfast_domain::{Customer, FieldValue, RowBuilder, Schema, Strictness, Violation};

use crate::error::{LISTED_VIOLATIONS, SourceError};
use crate::features::{FeatureRows, RefusedRow};
use crate::header::Slot;
use crate::raw::RawTable;

/// A field of a row, or why the source could not read it.
pub(crate) type Field<'v> = (Slot, Result<FieldValue<'v>, Violation>);

/// Collects rows.
#[derive(Debug)]
pub struct Rows {
    seen: u64,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    Customers(Checked),
    Features(Features),
    Raw(RawTable),
    /// Rows that are only counted.
    Nothing,
}

/// Checks each row as serving does and keeps good and bad ones apart.
#[derive(Debug)]
struct Features {
    schema: Arc<Schema>,
    rows: FeatureRows,
}

/// Checks each row, keeps the good ones, lists the first violations and counts the others.
#[derive(Debug)]
struct Checked {
    schema: Arc<Schema>,
    strictness: Strictness,
    customers: Vec<Customer>,
    violations: Vec<Violation>,
    more: u64,
}

impl Rows {
    pub(crate) fn customers(schema: Arc<Schema>, strictness: Strictness) -> Self {
        let checked = Checked {
            schema,
            strictness,
            customers: Vec::new(),
            violations: Vec::new(),
            more: 0,
        };
        Self {
            seen: 0,
            kept: Kept::Customers(checked),
        }
    }

    /// Rows of features, counted on from `seen`.
    pub(crate) fn features(schema: Arc<Schema>, seen: u64) -> Self {
        let rows = FeatureRows::starting_at(seen + 1);
        Self {
            seen,
            kept: Kept::Features(Features { schema, rows }),
        }
    }

    /// Rows that nobody looks at.
    pub(crate) fn counted() -> Self {
        Self {
            seen: 0,
            kept: Kept::Nothing,
        }
    }

    pub(crate) fn raw(table: RawTable) -> Self {
        Self {
            seen: 0,
            kept: Kept::Raw(table),
        }
    }

    /// Rows read so far, good and bad.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Checks one row and keeps it.
    pub(crate) fn push<'v>(&mut self, fields: impl Iterator<Item = Field<'v>>) {
        self.seen += 1;
        match &mut self.kept {
            Kept::Customers(checked) => checked.push(self.seen, fields),
            Kept::Features(features) => features.push(self.seen, fields),
            Kept::Nothing => {}
            Kept::Raw(table) => table.push(
                self.seen,
                fields.filter_map(|(slot, value)| match slot {
                    Slot::Raw(place) => Some((place, value)),
                    Slot::Field(_) => None,
                }),
            ),
        }
    }

    /// Counts a row that could not be taken apart at all.
    pub(crate) fn push_broken(&mut self, violation: Violation) {
        self.seen += 1;
        match &mut self.kept {
            Kept::Customers(checked) => checked.refuse_all(self.seen, vec![violation]),
            Kept::Features(features) => features.rows.refused.push(RefusedRow {
                row: self.seen,
                key: None,
                violations: vec![violation.in_row(self.seen)],
            }),
            Kept::Nothing => {}
            Kept::Raw(table) => table.push_broken(violation.in_row(self.seen)),
        }
    }

    /// Takes the rows of features out, leaving the row count; `None` where something else was read into.
    pub(crate) fn take_features(&mut self) -> Option<FeatureRows> {
        match &mut self.kept {
            Kept::Features(features) => {
                let next = FeatureRows::starting_at(self.seen + 1);
                let mut rows = std::mem::replace(&mut features.rows, next);
                rows.rows = self.seen + 1 - rows.first_row;
                Some(rows)
            }
            _ => None,
        }
    }

    /// Takes the customers out, leaving the row count. A raw table has none.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] when any row so far was bad.
    pub(crate) fn take(&mut self, name: &str) -> Result<Vec<Customer>, SourceError> {
        match &mut self.kept {
            Kept::Customers(checked) => checked.take(name),
            Kept::Raw(_) | Kept::Features(_) | Kept::Nothing => Ok(Vec::new()),
        }
    }

    /// The raw table, where that is what was read into.
    pub(crate) fn into_raw(self) -> Option<RawTable> {
        match self.kept {
            Kept::Raw(table) => Some(table),
            Kept::Customers(_) | Kept::Features(_) | Kept::Nothing => None,
        }
    }
}

impl Features {
    fn push<'v>(&mut self, number: u64, fields: impl Iterator<Item = Field<'v>>) {
        let mut row = RowBuilder::new(&self.schema, Strictness::Serving);
        for (slot, value) in fields {
            match (slot, value) {
                (Slot::Field(role), Ok(value)) => row.set(role, value),
                (Slot::Field(role), Err(violation)) => row.refuse(role, violation),
                (Slot::Raw(_), _) => {}
            }
        }
        self.rows.push(number, row);
    }
}

impl Checked {
    fn push<'v>(&mut self, number: u64, fields: impl Iterator<Item = Field<'v>>) {
        let mut row = RowBuilder::new(&self.schema, self.strictness);
        for (slot, value) in fields {
            match (slot, value) {
                (Slot::Field(role), Ok(value)) => row.set(role, value),
                (Slot::Field(role), Err(violation)) => row.refuse(role, violation),
                (Slot::Raw(_), _) => {}
            }
        }
        match row.finish() {
            // After the first violation the table will be refused as a whole, and its rows are of no more use.
            Ok(customer) if self.violations.is_empty() => self.customers.push(customer),
            Ok(_) => {}
            Err(violations) => self.refuse_all(number, violations),
        }
    }

    fn refuse_all(&mut self, number: u64, violations: Vec<Violation>) {
        self.customers = Vec::new();
        for violation in violations {
            if self.violations.len() < LISTED_VIOLATIONS {
                self.violations.push(violation.in_row(number));
            } else {
                self.more += 1;
            }
        }
    }

    fn take(&mut self, name: &str) -> Result<Vec<Customer>, SourceError> {
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
