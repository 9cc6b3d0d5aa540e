//! Customers as JSON objects by column name, checked against the schema while they are read.
//!
//! JSON is taken at its word: a number in quotes is text and refused. What breaks rules is kept as violations and not as an error, so that one answer
//! names every bad field of every record.

pub(crate) mod quick;

use std::borrow::Cow;
use std::fmt;

use holdfast_chassis::{Fault, FieldViolation};
use holdfast_domain::{
    CheckedCustomer, ColumnRole, FeatureKind, FieldValue, RowBuilder, Rule, Schema, Strictness, Violation,
};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// No setting allows more records in one request; it bounds what a body of nothing but `{}` can make the gateway hold.
pub const RECORDS_CEILING: usize = 100_000;

/// Bad fields that one answer lists; the rest is counted.
const LISTED_VIOLATIONS: usize = 1_000;

/// One customer, read and not yet checked as a whole.
#[derive(Debug)]
pub struct Record {
    schema: &'static Schema,
    row: RowBuilder<'static>,
    /// Columns that the schema does not know.
    unknown: Vec<Violation>,
}

/// The records of a request.
#[derive(Debug, Default)]
pub struct Records {
    customers: Vec<CheckedCustomer>,
    violations: Vec<FieldViolation>,
    violations_total: usize,
    records: usize,
    refused: u64,
}

impl Record {
    /// The customer.
    ///
    /// # Errors
    /// `INVALID_FIELDS` with one violation per bad field.
    pub fn customer(self) -> Result<CheckedCustomer, Fault> {
        self.finish_checked()
            .map_err(|violations| invalid(violations.into_iter().map(|broken| named(broken, None)).collect()))
    }
}

impl Records {
    /// How many records break rules.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The customers, in order.
    ///
    /// # Errors
    /// `INVALID_FIELDS` when there are none or more than `max`, or with one violation per bad field of any record.
    pub fn customers(self, max: usize) -> Result<Vec<CheckedCustomer>, Fault> {
        if self.records == 0 {
            return Err(invalid(vec![FieldViolation::new(
                "records",
                "required",
                "records is empty; at least one is needed",
            )]));
        }
        if self.records > max {
            let detail = format!("records has {} entries; allowed are at most {max}", self.records);
            return Err(invalid(vec![FieldViolation::new("records", "too_many", detail)]));
        }
        if self.violations_total == 0 {
            return Ok(self.customers);
        }
        let cut = self.violations_total > self.violations.len();
        let mut fault = invalid(self.violations);
        if cut {
            fault.message = format!("{} fields are wrong", self.violations_total);
            fault = fault.with("violations_total", self.violations_total);
        }
        Err(fault)
    }

    /// Makes room for about so many more records.
    fn expect(&mut self, records: usize) {
        self.customers.reserve(records.min(RECORDS_CEILING));
    }

    pub(super) fn push(&mut self, record: Record) {
        let place = self.records;
        self.records += 1;
        match record.finish_into(&mut self.customers) {
            // Past the ceiling the request is refused anyway: count on, hold no more.
            Ok(()) => self.customers.truncate(RECORDS_CEILING),
            Err(broken) => {
                self.refused += 1;
                self.violations_total += broken.len();
                let room = LISTED_VIOLATIONS.saturating_sub(self.violations.len());
                self.violations
                    .extend(broken.into_iter().take(room).map(|broken| named(broken, Some(place))));
            }
        }
    }
}

fn invalid(violations: Vec<FieldViolation>) -> Fault {
    Fault::invalid_fields("INVALID_FIELDS", violations)
}

fn named(violation: Violation, place: Option<usize>) -> FieldViolation {
    let field = match place {
        Some(place) => format!("records[{place}].{}", violation.column),
        None => violation.column,
    };
    FieldViolation::new(field, violation.rule.code(), violation.message)
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Records;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of records")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Records, A::Error> {
                let mut records = Records::default();
                while let Some(record) = list.next_element()? {
                    records.push(record);
                }
                Ok(records)
            }
        }
        deserializer.deserialize_seq(InOrder)
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ByColumn;
        impl<'de> Visitor<'de> for ByColumn {
            type Value = Record;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record: an object with values by column name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Record, A::Error> {
                let mut record = Record::new();
                while let Some(Text(name)) = fields.next_key()? {
                    record.field(&name, fields.next_value()?);
                }
                Ok(record)
            }
        }
        deserializer.deserialize_map(ByColumn)
    }
}

impl Record {
    pub(super) fn new() -> Self {
        let schema = Schema::embedded();
        let row = RowBuilder::new(schema, Strictness::Serving);
        Self {
            schema,
            row,
            unknown: Vec::new(),
        }
    }

    fn field(&mut self, name: &str, value: Scalar<'_>) {
        match self.schema.role(name) {
            Some(role) => self.set(role, value),
            None => self.unknown.push(self.schema.unknown_column(name)),
        }
    }

    fn set(&mut self, role: ColumnRole, value: Scalar<'_>) {
        let value = match (role, value) {
            (_, Scalar::Null) => FieldValue::Missing,
            (_, Scalar::Integer(number)) => FieldValue::Integer(number),
            (_, Scalar::Number(number)) => FieldValue::Number(number),
            (ColumnRole::Feature(feature), Scalar::Text(text)) if feature.kind() == FeatureKind::Categorical => {
                return self.row.set(role, FieldValue::Text(&text));
            }
            (ColumnRole::Target, Scalar::Text(text)) => return self.row.set(role, FieldValue::Text(&text)),
            (role, Scalar::Text(_)) => return self.refuse(role, "text"),
            (role, Scalar::Other(what)) => return self.refuse(role, what),
        };
        self.row.set(role, value);
    }

    fn refuse(&mut self, role: ColumnRole, found: &str) {
        let (name, rule, needed) = match role {
            ColumnRole::Feature(feature) if feature.kind() == FeatureKind::Categorical => {
                (feature.name(), Rule::NotText, "text")
            }
            ColumnRole::Feature(feature) => (feature.name(), Rule::NotANumber, "a number"),
            ColumnRole::Key => (&*self.schema.key().name, Rule::Key, "a whole number"),
            ColumnRole::Target => (&*self.schema.target().name, Rule::Label, "text"),
            ColumnRole::Dropped => return,
        };
        self.row.refuse(
            role,
            Violation::new(name, rule, format!("{name} is {found}; {needed} is needed")),
        );
    }

    /// Sets a field from a text, as tables have them: a number may be one, and an empty text is no value.
    pub(super) fn cell(&mut self, role: ColumnRole, text: &str) {
        self.row.set(role, FieldValue::Text(text));
    }

    /// Notes what is wrong with a field that cannot even be read.
    pub(super) fn broken(&mut self, role: ColumnRole, violation: Violation) {
        self.row.refuse(role, violation);
    }

    #[inline]
    fn finish_into(mut self, customers: &mut Vec<CheckedCustomer>) -> Result<(), Vec<Violation>> {
        if self.unknown.is_empty() {
            return self.row.finish_into(customers);
        }
        Err(self.all_broken())
    }

    fn finish_checked(self) -> Result<CheckedCustomer, Vec<Violation>> {
        if self.unknown.is_empty() {
            return self.row.finish_checked();
        }
        Err(self.all_broken())
    }

    fn all_broken(self) -> Vec<Violation> {
        let mut broken = self.unknown;
        broken.extend(self.row.finish().err().unwrap_or_default());
        broken
    }
}

/// Text, borrowed from the body unless it holds escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsText;
        impl<'de> Visitor<'de> for AsText {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(AsText)
    }
}

/// A value as JSON has it.
enum Scalar<'a> {
    Null,
    Integer(i64),
    Number(f64),
    Text(Cow<'a, str>),
    /// What no column holds, in words.
    Other(&'static str),
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Other("true or false"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'de>, E> {
        Ok(i64::try_from(number).map_or(Scalar::Number(number as f64), Scalar::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar<'de>, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}

#[cfg(test)]
mod tests {
    use holdfast_api::common::v1 as wire;
    use holdfast_api::customer;

    use super::*;

    const REQUIRED: &str = r#""Total_Relationship_Count":5,"Credit_Limit":12691.0,"Total_Revolving_Bal":777,"Total_Amt_Chng_Q4_Q1":1.335,
        "Total_Trans_Amt":1144,"Total_Trans_Ct":42,"Total_Ct_Chng_Q4_Q1":1.625,"Avg_Utilization_Ratio":0.061"#;

    /// The record's customer as inference is asked about it.
    fn record(fields: &str) -> Result<wire::Customer, Fault> {
        let record = serde_json::from_str::<Record>(&format!("{{{fields}}}")).unwrap();
        let customer = record.customer()?;
        Ok(customer::checked_to_wire(&customer, Schema::embedded()))
    }

    fn rules(fault: &Fault) -> Vec<(&str, &str)> {
        fault
            .violations
            .iter()
            .map(|broken| (broken.field.as_str(), broken.rule.as_str()))
            .collect()
    }

    #[test]
    fn the_eight_required_numbers_are_enough() {
        let customer = record(REQUIRED).unwrap();
        assert_eq!(customer.credit_limit, Some(12691.0));
        assert_eq!(customer.total_trans_ct, Some(42.0));
        assert_eq!((customer.customer_key, customer.gender), (None, None));
    }

    #[test]
    fn key_label_and_leaking_columns_of_an_export_do_no_harm() {
        let more = r#","CLIENTNUM":768805383,"Attrition_Flag":"Existing Customer","Naive_Bayes_Classifier_1":[0.1],"Gender":"M""#;
        let customer = record(&format!("{REQUIRED}{more}")).unwrap();
        assert_eq!(
            (customer.customer_key, customer.gender.as_deref()),
            (Some(768_805_383), Some("M"))
        );
    }

    #[test]
    fn a_category_that_the_schema_does_not_list_is_passed_on_as_it_is() {
        let customer = record(&format!(r#"{REQUIRED},"Card_Category":"Ti\u0074anium""#)).unwrap();
        assert_eq!(customer.card_category.as_deref(), Some("Titanium"));
    }

    #[test]
    fn every_value_of_the_wrong_type_is_named() {
        let fields = r#""CLIENTNUM":"7","Gender":3,"Total_Relationship_Count":true,"Credit_Limit":"5000","Total_Revolving_Bal":[1],
            "Total_Amt_Chng_Q4_Q1":{"a":1},"Total_Trans_Amt":null,"Total_Trans_Ct":4.5,"Total_Ct_Chng_Q4_Q1":-1,
            "credit_limit":1,"Avg_Utilization_Ratio":0.5,"Avg_Utilization_Ratio":0.6"#;
        let fault = record(fields).unwrap_err();
        let mut found = rules(&fault);
        found.sort_unstable();
        let expected = [
            ("Avg_Utilization_Ratio", "duplicate_column"),
            ("CLIENTNUM", "key"),
            ("Credit_Limit", "not_a_number"),
            ("Gender", "not_text"),
            ("Total_Amt_Chng_Q4_Q1", "not_a_number"),
            ("Total_Ct_Chng_Q4_Q1", "below_minimum"),
            ("Total_Relationship_Count", "not_a_number"),
            ("Total_Revolving_Bal", "not_a_number"),
            ("Total_Trans_Amt", "required"),
            ("Total_Trans_Ct", "not_integer"),
            ("credit_limit", "unknown_column"),
        ];
        assert_eq!(found, expected);
        let hint = fault
            .violations
            .iter()
            .find(|broken| broken.field == "credit_limit")
            .unwrap();
        assert!(
            hint.description.contains("did you mean Credit_Limit?"),
            "{}",
            hint.description
        );
    }

    #[test]
    fn violations_of_many_records_are_listed_up_to_a_limit_and_counted_beyond() {
        let records: Records = serde_json::from_str(&format!("[{}]", vec!["{}"; 200].join(","))).unwrap();
        assert_eq!(records.refused(), 200);
        let fault = records.customers(200).unwrap_err();
        assert_eq!(fault.violations.len(), LISTED_VIOLATIONS);
        assert_eq!(fault.violations[8].field, "records[1].Total_Relationship_Count");
        assert_eq!(fault.metadata["violations_total"], "1600");
    }
}
