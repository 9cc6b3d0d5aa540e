//! Matching the column names of a table to the schema.

use crate::{Rule, Schema, Strictness, Violation};

/// What keeps a header from being one of a table of customers: unknown columns, columns given twice or without a name, and columns
/// that are needed and absent. In the header's order, the absent ones last.
pub fn header_violations(names: &[&str], schema: &Schema, strictness: Strictness) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            let message = format!("column {} has no name in the header", index + 1);
            violations.push(Violation::new(name, Rule::UnknownColumn, message));
        } else if names[..index].contains(name) {
            let message = format!("{name} is in the header twice");
            violations.push(Violation::new(name, Rule::DuplicateColumn, message));
        }
        if schema.role(name).is_none() && !name.trim().is_empty() {
            violations.push(schema.unknown_column(name));
        }
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
    violations
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
