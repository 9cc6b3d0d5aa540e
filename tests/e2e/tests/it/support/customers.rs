//! Customers to ask about.

use holdfast_domain::{Customer, FieldValue, Schema};
use serde_json::{Map, Value};

/// Simulated customers that no other test's seed gives.
pub(crate) fn customers(count: usize) -> Vec<Customer> {
    holdfast_simulator::customers(count, 4_711)
}

/// A customer as a REST caller sends it.
pub(crate) fn record(customer: &Customer) -> Value {
    let schema = Schema::embedded();
    let mut record = Map::new();
    for (name, value) in schema
        .fields(customer)
        .filter(|(name, _)| *name != schema.target().name)
    {
        match value {
            FieldValue::Missing => None,
            FieldValue::Number(number) => record.insert(name.to_owned(), number.into()),
            FieldValue::Integer(number) => record.insert(name.to_owned(), number.into()),
            FieldValue::Text(text) => record.insert(name.to_owned(), text.into()),
        };
    }
    Value::Object(record)
}
