//! Customers as the REST surface takes them: JSON objects by column name.

use holdfast_domain::{Customer, Feature, FeatureKind, FieldValue, Schema};
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// A customer as a record for a prediction: its key and the features it has. The label stays at home.
pub(crate) fn record(customer: &Customer, schema: &Schema) -> Map<String, Value> {
    let target = schema.target().name.as_str();
    let value = |field: FieldValue<'_>| match field {
        FieldValue::Missing => None,
        FieldValue::Number(number) => Some(Value::from(number)),
        FieldValue::Integer(number) => Some(Value::from(number)),
        FieldValue::Text(text) => Some(Value::from(text)),
    };
    let fields = schema.fields(customer).filter(|(name, _)| *name != target);
    fields
        .filter_map(|(name, field)| Some((name.to_owned(), value(field)?)))
        .collect()
}

/// Records of many customers.
pub(crate) fn records(customers: &[Customer], schema: &Schema) -> Vec<Value> {
    customers
        .iter()
        .map(|customer| Value::Object(record(customer, schema)))
        .collect()
}

/// Reads `Name=value` pairs. Numbers are numbers unless the column holds categories; whether names and values are allowed is for the server to say.
pub(crate) fn from_pairs(pairs: &[String]) -> Result<Map<String, Value>> {
    let mut record = Map::new();
    for pair in pairs {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(
                Failure::usage(format!("--field {pair:?} is not of the form Name=value"))
                    .hint("for example --field Credit_Limit=12691 --field \"Income_Category=$60K - $80K\""),
            );
        };
        let categorical = Feature::from_name(name).is_some_and(|feature| feature.kind() == FeatureKind::Categorical);
        let number = if categorical { None } else { number(text) };
        if record
            .insert(name.to_owned(), number.unwrap_or_else(|| Value::from(text)))
            .is_some()
        {
            return Err(Failure::usage(format!("--field {name} is given twice")));
        }
    }
    Ok(record)
}

fn number(text: &str) -> Option<Value> {
    if let Ok(whole) = text.parse::<i64>() {
        return Some(Value::from(whole));
    }
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())
        .map(Value::from)
}

#[cfg(test)]
mod tests {
    use holdfast_domain::{CustomerKey, FeatureVector};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_has_key_and_features_and_no_label() {
        let mut features = FeatureVector::MISSING;
        features.set(Feature::CreditLimit, 3_200.5);
        features.set(Feature::Gender, 1.0);
        let customer = Customer {
            key: Some(CustomerKey(7)),
            label: Some(true),
            features,
        };
        let schema = Schema::embedded();
        let gender = schema.category_name(Feature::Gender, 1);
        assert_eq!(
            Value::Object(record(&customer, schema)),
            json!({"CLIENTNUM": 7, "Credit_Limit": 3200.5, "Gender": gender})
        );
    }

    #[test]
    fn pairs_are_numbers_where_the_column_is_numeric() {
        let pairs = [
            "Credit_Limit=3200.5",
            "Total_Trans_Ct=40",
            "Gender=M",
            "Income_Category=a=b",
            "Total_Trans_Amt=many",
        ]
        .map(str::to_owned);
        let record = from_pairs(&pairs).unwrap();
        let expected = json!({"Credit_Limit": 3200.5, "Total_Trans_Ct": 40, "Gender": "M", "Income_Category": "a=b", "Total_Trans_Amt": "many"});
        assert_eq!(Value::Object(record), expected);
    }

    #[test]
    fn what_is_no_pair_is_wrong_usage() {
        assert!(from_pairs(&["Credit_Limit".to_owned()]).unwrap_err().usage);
        assert!(
            from_pairs(&["Gender=M".to_owned(), "Gender=F".to_owned()])
                .unwrap_err()
                .usage
        );
    }
}
