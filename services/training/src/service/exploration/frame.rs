//! A raw table made ready to be looked at: columns with types, rows with labels, and an account of everything that is wrong.

use std::collections::{BTreeMap, HashMap, HashSet};

use holdfast_domain::{
    ColumnRole, Customer, CustomerKey, Feature, FeatureKind, FieldValue, RowBuilder, Rule, Schema, Strictness,
    header_violations,
};
use holdfast_sources::{RawColumn, RawTable};

use super::ExploreError;
use super::overview::Problem;

/// A column of text with more different values than this is no list of categories.
pub(super) const MOST_CATEGORIES: usize = 50;

/// A table whose rows have labels. Rows without one, and later rows of a customer who was there already, are left out of `labels`,
/// `customers` and all values: they are counted.
#[derive(Debug)]
pub(super) struct Frame {
    /// Every column but the target, in the table's order.
    pub(super) columns: Vec<FrameColumn>,
    /// Whether the customer left.
    pub(super) labels: Vec<bool>,
    /// The same rows as customers; what the schema refuses is missing.
    pub(super) customers: Vec<Customer>,
    /// Rows of the table.
    pub(super) rows_read: usize,
    /// Of them, rows whose target is missing or neither of its two values.
    pub(super) without_label: usize,
    /// Of them, later rows of a customer who was there already.
    pub(super) repeated_keys: usize,
    /// What is wrong with the table, most frequent first within the order of the columns.
    pub(super) problems: Vec<Problem>,
}

/// What a column is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The customer key.
    Key,
    /// A feature of the schema.
    Feature(Feature),
    /// The schema drops it.
    Dropped,
    /// The schema does not know it, or has had a column of that name already.
    Unknown,
}

/// A column with its values, one for each row of the frame.
#[derive(Debug)]
pub(super) struct FrameColumn {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) values: Values,
}

/// Values of one kind.
#[derive(Debug)]
pub(super) enum Values {
    /// Numbers; NaN is missing.
    Numbers(Vec<f64>),
    /// Places in a list of names; `None` is missing.
    Categories {
        /// Place of each row's category.
        codes: Vec<Option<usize>>,
        /// The names.
        names: Vec<String>,
    },
}

impl Values {
    pub(super) fn missing(&self, row: usize) -> bool {
        match self {
            Values::Numbers(values) => values[row].is_nan(),
            Values::Categories { codes, .. } => codes[row].is_none(),
        }
    }

    /// Different values, missing ones not counted.
    pub(super) fn distinct(&self) -> usize {
        match self {
            Values::Numbers(values) => {
                let present = values.iter().filter(|value| !value.is_nan());
                present
                    .map(|value| (value + 0.0).to_bits())
                    .collect::<HashSet<_>>()
                    .len()
            }
            Values::Categories { codes, .. } => codes.iter().flatten().collect::<HashSet<_>>().len(),
        }
    }
}

impl Frame {
    pub(super) fn of(table: &RawTable, schema: &Schema) -> Result<Self, ExploreError> {
        let roles = roles(table, schema);
        check_target(table, &roles, schema)?;
        let mut problems = Problems::default();
        let names: Vec<&str> = table.columns().iter().map(RawColumn::name).collect();
        for violation in header_violations(&names, schema, Strictness::Training) {
            problems.add(&violation.column, violation.rule, violation.message);
        }
        for violation in table.broken_rows() {
            problems.add("", violation.rule, violation.to_string());
        }
        if let Some(first) = table.broken_rows().first() {
            problems.add_more("", first.rule, table.more_broken_rows());
        }
        let customers = read_customers(table, &roles, schema, &mut problems);
        let without_label = customers.iter().filter(|customer| customer.label.is_none()).count();
        let (kept, repeated_keys) = first_of_each(table, &customers, schema, &mut problems);
        let labels: Vec<bool> = kept.iter().map(|row| customers[*row].label == Some(true)).collect();
        check_labels(&labels, schema)?;
        let kept_customers: Vec<Customer> = kept.iter().map(|row| customers[*row]).collect();
        let columns = table.columns().iter().zip(&roles);
        let columns = columns.filter_map(|(column, role)| {
            let role = match role {
                ColumnRole::Target => return None,
                ColumnRole::Key => Role::Key,
                ColumnRole::Feature(feature) => Role::Feature(*feature),
                ColumnRole::Dropped if schema.dropped(column.name()) => Role::Dropped,
                ColumnRole::Dropped => Role::Unknown,
            };
            let values = match role {
                Role::Feature(feature) => checked_values(feature, &kept_customers, schema),
                _ => raw_values(column, &kept),
            };
            Some(FrameColumn {
                name: column.name().to_owned(),
                role,
                values,
            })
        });
        Ok(Self {
            columns: columns.collect(),
            labels,
            customers: kept_customers,
            rows_read: table.rows()
                + table.broken_rows().len()
                + usize::try_from(table.more_broken_rows()).unwrap_or(0),
            without_label,
            repeated_keys,
            problems: problems.into_list(),
        })
    }

    /// The column of a feature, where the table has one.
    pub(super) fn feature(&self, feature: Feature) -> Option<&FrameColumn> {
        self.columns.iter().find(|column| column.role == Role::Feature(feature))
    }

    /// Customers who left.
    pub(super) fn left(&self) -> usize {
        self.labels.iter().filter(|label| **label).count()
    }
}

/// The schema's role of each column; `Dropped` for columns it drops, does not know or has had already.
fn roles(table: &RawTable, schema: &Schema) -> Vec<ColumnRole> {
    let mut taken = HashSet::new();
    let columns = table.columns().iter();
    columns
        .map(|column| match schema.role(column.name()) {
            Some(role) if taken.insert(column.name()) => role,
            _ => ColumnRole::Dropped,
        })
        .collect()
}

fn check_target(table: &RawTable, roles: &[ColumnRole], schema: &Schema) -> Result<(), ExploreError> {
    let target = &schema.target().name;
    if !roles.contains(&ColumnRole::Target) {
        let mut columns: Vec<String> = table
            .columns()
            .iter()
            .take(8)
            .map(|column| column.name().to_owned())
            .collect();
        if table.columns().len() > columns.len() {
            columns.push(format!("and {} more", table.columns().len() - columns.len()));
        }
        return Err(ExploreError::NoTarget {
            target: target.clone(),
            columns: columns.join(", "),
        });
    }
    if !roles.iter().any(|role| matches!(role, ColumnRole::Feature(_))) {
        return Err(ExploreError::NoFeatures);
    }
    if table.rows() == 0 {
        return Err(ExploreError::NoRows);
    }
    Ok(())
}

fn check_labels(labels: &[bool], schema: &Schema) -> Result<(), ExploreError> {
    let left = labels.iter().filter(|label| **label).count();
    let least = left.min(labels.len() - left);
    if least < LEAST_OF_A_CLASS {
        return Err(ExploreError::TooFewOfAClass {
            target: schema.target().name.clone(),
            positive: schema.target().positive.clone(),
            left,
            negative: schema.target().negative.clone(),
            stayed: labels.len() - left,
            least: LEAST_OF_A_CLASS,
        });
    }
    Ok(())
}

/// Fewer customers of a class than this show nothing.
const LEAST_OF_A_CLASS: usize = 10;

fn read_customers(table: &RawTable, roles: &[ColumnRole], schema: &Schema, problems: &mut Problems) -> Vec<Customer> {
    let present: HashSet<&str> = table.columns().iter().map(RawColumn::name).collect();
    let mut customers = Vec::with_capacity(table.rows());
    for row in 0..table.rows() {
        let mut builder = RowBuilder::new(schema, Strictness::Training);
        for (column, role) in table.columns().iter().zip(roles) {
            match column.get(row) {
                Ok(value) => builder.set(*role, value),
                Err(violation) if *role == ColumnRole::Dropped => {
                    problems.add(column.name(), violation.rule, violation.message);
                }
                Err(violation) => builder.refuse(*role, violation),
            }
        }
        let (customer, violations) = builder.finish_with_violations();
        for violation in violations {
            // A column that is not there at all is named once, by the header, and not in every row.
            if violation.rule == Rule::Required && !present.contains(violation.column.as_str()) {
                continue;
            }
            let number = table.row_number(row);
            problems.add(
                &violation.column.clone(),
                violation.rule,
                violation.in_row(number).to_string(),
            );
        }
        customers.push(customer);
    }
    customers
}

/// Rows with a label, of each customer the first; and how many later ones there are.
fn first_of_each(
    table: &RawTable,
    customers: &[Customer],
    schema: &Schema,
    problems: &mut Problems,
) -> (Vec<usize>, usize) {
    let mut first_row: HashMap<CustomerKey, usize> = HashMap::new();
    let (mut kept, mut repeated) = (Vec::new(), 0);
    for (row, customer) in customers.iter().enumerate() {
        if customer.label.is_none() {
            continue;
        }
        if let Some(key) = customer.key {
            if let Some(first) = first_row.get(&key) {
                repeated += 1;
                let name = &schema.key().name;
                let (row, first) = (table.row_number(row), table.row_number(*first));
                let message = format!("row {row}: {name} {key} is in row {first} already");
                problems.add(name, Rule::DuplicateKey, message);
                continue;
            }
            first_row.insert(key, row);
        }
        kept.push(row);
    }
    (kept, repeated)
}

fn checked_values(feature: Feature, customers: &[Customer], schema: &Schema) -> Values {
    let values = customers.iter().map(|customer| customer.features.get(feature));
    match feature.kind() {
        FeatureKind::Numeric => Values::Numbers(values.map(|value| value.unwrap_or(f64::NAN)).collect()),
        FeatureKind::Categorical => Values::Categories {
            // Codes are small whole numbers: the schema gave them.
            codes: values.map(|value| value.map(|code| code as usize)).collect(),
            names: schema.column(feature).categories.clone(),
        },
    }
}

/// Numbers where every value is one, else categories.
fn raw_values(column: &RawColumn, rows: &[usize]) -> Values {
    let cells: Vec<Option<FieldValue<'_>>> = rows.iter().map(|row| column.get(*row).ok()).collect();
    let numbers: Option<Vec<f64>> = cells
        .iter()
        .map(|cell| match cell {
            Some(FieldValue::Number(number)) => Some(*number),
            Some(FieldValue::Integer(number)) => Some(*number as f64),
            Some(FieldValue::Text(text)) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Some(FieldValue::Missing) | None => Some(f64::NAN),
        })
        .collect();
    if let Some(numbers) = numbers {
        return Values::Numbers(numbers);
    }
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let texts: Vec<Option<String>> = cells
        .into_iter()
        .map(|cell| match cell {
            Some(FieldValue::Text(text)) => Some(text.to_owned()),
            Some(FieldValue::Number(number)) => Some(number.to_string()),
            Some(FieldValue::Integer(number)) => Some(number.to_string()),
            Some(FieldValue::Missing) | None => None,
        })
        .collect();
    for text in texts.iter().flatten() {
        let next = places.len();
        places.entry(text.clone()).or_insert(next);
    }
    let codes = texts
        .iter()
        .map(|text| text.as_ref().and_then(|text| places.get(text).copied()))
        .collect();
    let mut names = vec![String::new(); places.len()];
    for (name, place) in places {
        names[place] = name;
    }
    Values::Categories { codes, names }
}

/// Violations, counted by column and rule.
#[derive(Default)]
struct Problems {
    order: Vec<(String, Rule)>,
    found: HashMap<(String, Rule), Problem>,
}

impl Problems {
    fn add(&mut self, column: &str, rule: Rule, example: String) {
        let key = (column.to_owned(), rule);
        match self.found.get_mut(&key) {
            Some(problem) => problem.count += 1,
            None => {
                self.order.push(key.clone());
                let problem = Problem {
                    column: column.to_owned(),
                    rule: rule.code(),
                    count: 1,
                    example,
                };
                self.found.insert(key, problem);
            }
        }
    }

    fn add_more(&mut self, column: &str, rule: Rule, count: u64) {
        if let Some(problem) = self.found.get_mut(&(column.to_owned(), rule)) {
            problem.count += count;
        }
    }

    fn into_list(mut self) -> Vec<Problem> {
        let order = std::mem::take(&mut self.order);
        order.iter().filter_map(|key| self.found.remove(key)).collect()
    }
}
