//! Matching a table's column names to what is wanted of it, once per table.

use std::sync::Arc;

use holdfast_domain::{ColumnRole, Schema, Strictness, Violation, header_violations};

/// What is wanted of a table.
#[derive(Clone, Debug)]
pub(crate) enum Reading {
    /// Customers: the columns that the schema knows, checked by it.
    Customers {
        /// The schema.
        schema: Arc<Schema>,
        /// How strictly rows are taken.
        strictness: Strictness,
    },
    /// What a prediction needs of customers: key and features, by the rules of serving. The target is left alone, whatever it holds.
    Features {
        /// The schema.
        schema: Arc<Schema>,
    },
    /// Every column as it is, nothing checked.
    Raw,
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// A field of a customer.
    Field(ColumnRole),
    /// The raw column at this place.
    Raw(usize),
}

/// What each column of the table is for; `None` for columns that are left out.
///
/// # Errors
/// For customers and features: unknown columns, columns given twice, and columns that are needed and absent.
pub(crate) fn resolve(names: &[&str], reading: &Reading) -> Result<Vec<Option<Slot>>, Vec<Violation>> {
    match reading {
        Reading::Raw => Ok((0..names.len()).map(|place| Some(Slot::Raw(place))).collect()),
        Reading::Customers { schema, strictness } => fields(names, schema, *strictness, &[ColumnRole::Dropped]),
        Reading::Features { schema } => {
            let left_out = [ColumnRole::Dropped, ColumnRole::Target];
            fields(names, schema, Strictness::Serving, &left_out)
        }
    }
}

fn fields(
    names: &[&str],
    schema: &Schema,
    strictness: Strictness,
    left_out: &[ColumnRole],
) -> Result<Vec<Option<Slot>>, Vec<Violation>> {
    let violations = header_violations(names, schema, strictness);
    if !violations.is_empty() {
        return Err(violations);
    }
    let role = |name: &&str| schema.role(name).filter(|role| !left_out.contains(role));
    Ok(names.iter().map(|name| role(name).map(Slot::Field)).collect())
}
