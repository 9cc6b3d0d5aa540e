//! Matching a table's column names to the schema, once per table.

use holdfast_domain::{ColumnRole, Rule, Schema, Strictness, Violation};

/// What each column of the table is for; `None` for columns that are left out.
///
/// # Errors
/// Unknown columns, columns given twice, and columns that are needed and absent.
pub(crate) fn resolve(
    names: &[&str],
    schema: &Schema,
    strictness: Strictness,
) -> Result<Vec<Option<ColumnRole>>, Vec<Violation>> {
    let mut violations = Vec::new();
    let mut roles = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            let message = format!("column {} has no name in the header", index + 1);
            violations.push(Violation::new(name, Rule::UnknownColumn, message));
        } else if names[..index].contains(name) {
            let message = format!("{name} is in the header twice");
            violations.push(Violation::new(name, Rule::DuplicateColumn, message));
        }
        let role = schema.role(name);
        if role.is_none() && !name.trim().is_empty() {
            violations.push(schema.unknown_column(name));
        }
        roles.push(role.filter(|role| *role != ColumnRole::Dropped));
    }
    for (name, why) in needed(schema, strictness) {
        if !names.contains(&name) {
            violations.push(Violation::new(
                name,
                Rule::Required,
                format!("there is no column {name}; {why}"),
            ));
        }
    }
    if violations.is_empty() {
        Ok(roles)
    } else {
        Err(violations)
    }
}

fn needed(schema: &Schema, strictness: Strictness) -> Vec<(&str, &'static str)> {
    match strictness {
        Strictness::Serving => schema
            .required()
            .map(|feature| (feature.name(), "every prediction needs it"))
            .collect(),
        Strictness::Training => {
            let features = schema
                .columns()
                .iter()
                .filter(|column| !column.nullable)
                .map(|column| -> &str { column.name() });
            let head: [&str; 2] = [&schema.key().name, &schema.target().name];
            head.into_iter()
                .chain(features)
                .map(|name| (name, "training data needs it"))
                .collect()
        }
    }
}
