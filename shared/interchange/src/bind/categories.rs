//! Which code each category of a column has.

use holdfast_domain::{Feature, Schema};
use holdfast_model::{Preprocessing, Step};

use super::{AssumedOrder, BindOptions};
use crate::error::BindError;
use crate::imported::{Imported, ImportedKind};

/// The categories of a column in the order of their codes.
pub(super) struct Order {
    pub(super) names: Vec<String>,
    pub(super) is_assumed: bool,
}

/// The order of each column that is to be encoded, `None` for the others.
pub(super) fn orders(
    imported: &Imported,
    columns: &[String],
    encoded: &[Option<Feature>],
    options: &BindOptions,
    schema: &Schema,
) -> Result<Vec<Option<Order>>, BindError> {
    if let Some((column, _)) = options.categories.iter().find(|(column, _)| {
        let place = columns.iter().position(|name| name == column);
        place.and_then(|place| encoded[place]).is_none()
    }) {
        let problem = "an order is given, and the model has no such column that is to be encoded".to_owned();
        let column = column.clone();
        return Err(BindError::Categories { column, problem });
    }
    let unplaced = place(imported, columns, encoded, options)?;
    let mut orders = Vec::with_capacity(columns.len());
    for (place, column) in columns.iter().enumerate() {
        let Some(feature) = encoded[place] else {
            orders.push(None);
            continue;
        };
        let given = options
            .categories
            .iter()
            .find(|(name, _)| name == column)
            .map(|(_, names)| names);
        let of_file = imported.columns[place].categories.as_ref().or(unplaced[place].as_ref());
        let order = match (given, of_file) {
            (Some(names), _) => known(names),
            (None, Some(names)) => {
                check_known(column, names, feature, schema)?;
                known(names)
            }
            (None, None) => assumed(column, feature, options.assumed_order, schema)?,
        };
        orders.push(Some(order));
    }
    Ok(orders)
}

/// How many codes each column has; `None` for columns of numbers.
pub(super) fn counts(preprocessing: &Preprocessing) -> Vec<Option<usize>> {
    let count = |column: &String| {
        preprocessing.steps.iter().find_map(|step| match step {
            Step::OrdinalEncoding {
                column: encoded,
                categories,
                ..
            } if encoded == column => Some(categories.len()),
            _ => None,
        })
    };
    preprocessing.columns.iter().map(count).collect()
}

/// Lists of names that the file does not place, by column: in order, if there are as many as columns to be encoded.
fn place(
    imported: &Imported,
    columns: &[String],
    encoded: &[Option<Feature>],
    options: &BindOptions,
) -> Result<Vec<Option<Vec<String>>>, BindError> {
    let mut placed = vec![None; columns.len()];
    if imported.unplaced_categories.is_empty() {
        return Ok(placed);
    }
    let places: Vec<usize> = (0..columns.len()).filter(|place| encoded[*place].is_some()).collect();
    if places.len() == imported.unplaced_categories.len() {
        for (place, names) in places.into_iter().zip(&imported.unplaced_categories) {
            placed[place].clone_from(names);
        }
        return Ok(placed);
    }
    let is_given = |column: &String| options.categories.iter().any(|(name, _)| name == column);
    match places.into_iter().find(|place| !is_given(&columns[*place])) {
        None => Ok(placed),
        Some(place) => Err(BindError::Categories {
            column: columns[place].clone(),
            problem: format!(
                "the file has {} lists of categories and does not say whose they are: give the categories of every categorical column",
                imported.unplaced_categories.len()
            ),
        }),
    }
}

fn known(names: &[String]) -> Order {
    Order {
        names: names.to_vec(),
        is_assumed: false,
    }
}

fn assumed(column: &str, feature: Feature, order: AssumedOrder, schema: &Schema) -> Result<Order, BindError> {
    let mut names = schema.column(feature).categories.clone();
    match order {
        AssumedOrder::Schema => {}
        AssumedOrder::Alphabetical => names.sort_unstable(),
        AssumedOrder::Refuse => {
            return Err(BindError::Categories {
                column: column.to_owned(),
                problem: "the file does not name them: give them in the order of their codes".to_owned(),
            });
        }
    }
    Ok(Order {
        names,
        is_assumed: true,
    })
}

/// A file's names must be those of this column, at least one of them.
fn check_known(column: &str, names: &[String], feature: Feature, schema: &Schema) -> Result<(), BindError> {
    if names.iter().any(|name| schema.category_code(feature, name).is_some()) {
        return Ok(());
    }
    Err(BindError::Categories {
        column: column.to_owned(),
        problem: format!("the file lists {names:?}, none of which is in the schema"),
    })
}

/// Checks that every code the model knows is the code of a category.
pub(super) fn check_codes(imported: &Imported, columns: &[String], counts: &[Option<usize>]) -> Result<(), BindError> {
    for ((of_file, column), count) in imported.columns.iter().zip(columns).zip(counts) {
        let (ImportedKind::Category { codes }, Some(count)) = (of_file.kind, *count) else {
            continue;
        };
        if codes > count {
            return Err(BindError::Categories {
                column: column.clone(),
                problem: format!(
                    "the model knows codes up to {}, and there are {count} names: give all categories in the order of their codes",
                    codes - 1
                ),
            });
        }
    }
    Ok(())
}
