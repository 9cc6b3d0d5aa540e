//! Customers read from the bytes of their messages, and written into them, without a message in between.
//!
//! A batch has thousands of them: a message of each, with five texts of its own, costs more than checking the customer.

use holdfast_domain::{
    CheckedCustomer, ColumnRole, Feature, FeatureKind, FieldValue, RowBuilder, Rule, Schema, Strictness, Violation,
};
use prost::bytes::{Buf as _, BufMut};
use prost::encoding::{self, WireType};
use prost::{DecodeError, Message as _};

use super::check_into;
use crate::common::v1 as wire;

/// The number of the field `customer_key`; those of the features follow it, in the order of [`Feature::ALL`].
const KEY: u32 = 1;

/// Adds the customer in the bytes of a message to others, by the rules of serving.
///
/// # Errors
/// Every violation; [`Rule::Malformed`] when the bytes are no customer.
pub(crate) fn read_into(
    customers: &mut Vec<CheckedCustomer>,
    bytes: &[u8],
    schema: &Schema,
) -> Result<(), Vec<Violation>> {
    let mut row = RowBuilder::new(schema, Strictness::Serving);
    if read_ascending(bytes, &mut row).is_some() {
        return row.finish_into(customers);
    }
    let customer = wire::Customer::decode(bytes).map_err(|error| vec![malformed(&error)])?;
    check_into(customers, &customer, schema)
}

/// Reads fields that each come once and in the order of their numbers, as all encoders write them; `None` for whatever else a message may be.
#[inline]
fn read_ascending(mut bytes: &[u8], row: &mut RowBuilder<'_>) -> Option<()> {
    let mut last = 0;
    while !bytes.is_empty() {
        let (number, wire_type) = encoding::decode_key(&mut bytes).ok()?;
        if number <= last {
            return None;
        }
        last = number;
        let (role, value) = if number == KEY {
            (ColumnRole::Key, FieldValue::Integer(integer(&mut bytes, wire_type)?))
        } else {
            let feature = feature_of(number)?;
            let value = match feature.kind() {
                FeatureKind::Numeric => FieldValue::Number(double(&mut bytes, wire_type)?),
                FeatureKind::Categorical => FieldValue::Text(text(&mut bytes, wire_type)?),
            };
            (ColumnRole::Feature(feature), value)
        };
        row.set(role, value);
    }
    Some(())
}

fn integer(bytes: &mut &[u8], wire_type: WireType) -> Option<i64> {
    let value = (wire_type == WireType::Varint).then(|| encoding::decode_varint(bytes).ok())??;
    Some(value.cast_signed())
}

fn double(bytes: &mut &[u8], wire_type: WireType) -> Option<f64> {
    let value = (wire_type == WireType::SixtyFourBit).then(|| bytes.try_get_f64_le().ok())??;
    Some(value)
}

fn text<'a>(bytes: &mut &'a [u8], wire_type: WireType) -> Option<&'a str> {
    let length = (wire_type == WireType::LengthDelimited).then(|| encoding::decode_varint(bytes).ok())??;
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

fn malformed(error: &DecodeError) -> Violation {
    Violation::new("customer", Rule::Malformed, format!("it is no customer: {error}"))
}

fn feature_of(number: u32) -> Option<Feature> {
    let index = usize::try_from(number.checked_sub(KEY + 1)?).ok()?;
    Feature::ALL.get(index).copied()
}

fn number_of(feature: Feature) -> u32 {
    // Nineteen of them.
    u32::try_from(feature.index()).map_or(u32::MAX, |index| index + KEY + 1)
}

/// A field of a customer's message.
enum Field<'a> {
    Key(i64),
    Number(u32, f64),
    Text(u32, &'a str),
}

/// The fields of a customer's message, in the order of their numbers.
fn fields<'a>(customer: &'a CheckedCustomer, schema: &'a Schema) -> impl Iterator<Item = Field<'a>> {
    let key = customer.key().map(|key| Field::Key(key.0));
    let features = Feature::ALL.into_iter().filter_map(move |feature| {
        let value = customer.features().get(feature)?;
        Some(match feature.kind() {
            FeatureKind::Numeric => Field::Number(number_of(feature), value),
            FeatureKind::Categorical => Field::Text(number_of(feature), super::category(customer, feature, schema)?),
        })
    });
    key.into_iter().chain(features)
}

/// Bytes of a customer's message.
pub(crate) fn encoded_len(customer: &CheckedCustomer, schema: &Schema) -> usize {
    let lengths = fields(customer, schema).map(|field| match field {
        Field::Key(key) => encoding::int64::encoded_len(KEY, &key),
        Field::Number(number, value) => encoding::double::encoded_len(number, &value),
        Field::Text(number, text) => framed(number, text.len()),
    });
    lengths.sum()
}

/// Writes a customer's message.
pub(crate) fn write(customer: &CheckedCustomer, schema: &Schema, out: &mut impl BufMut) {
    for field in fields(customer, schema) {
        match field {
            Field::Key(key) => encoding::int64::encode(KEY, &key, out),
            Field::Number(number, value) => encoding::double::encode(number, &value, out),
            Field::Text(number, text) => {
                begin(number, text.len(), out);
                out.put_slice(text.as_bytes());
            }
        }
    }
}

/// Writes what stands before so many bytes of a field.
pub(crate) fn begin(number: u32, length: usize, out: &mut impl BufMut) {
    encoding::encode_key(number, WireType::LengthDelimited, out);
    encoding::encode_varint(length as u64, out);
}

/// So many bytes of a field, with what stands before them.
pub(crate) fn framed(number: u32, length: usize) -> usize {
    encoding::key_len(number) + encoding::encoded_len_varint(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::customer::{fields as message_fields, to_wire};

    type Checked = Result<CheckedCustomer, Vec<Violation>>;

    fn read(bytes: &[u8]) -> Checked {
        let mut customers = Vec::new();
        read_into(&mut customers, bytes, Schema::embedded()).map(|()| customers.remove(0))
    }

    fn check(message: &wire::Customer) -> Checked {
        let mut customers = Vec::new();
        check_into(&mut customers, message, Schema::embedded()).map(|()| customers.remove(0))
    }

    fn messages() -> Vec<wire::Customer> {
        let full = wire::Customer {
            customer_key: Some(768_805_383),
            customer_age: Some(45.0),
            gender: Some("M".to_owned()),
            dependent_count: Some(3.0),
            education_level: Some("High School".to_owned()),
            marital_status: Some("Married".to_owned()),
            income_category: Some("$60K - $80K".to_owned()),
            card_category: Some("Blue".to_owned()),
            months_on_book: Some(39.0),
            total_relationship_count: Some(5.0),
            months_inactive_12_mon: Some(1.0),
            contacts_count_12_mon: Some(3.0),
            credit_limit: Some(12_691.0),
            total_revolving_bal: Some(777.0),
            avg_open_to_buy: Some(11_914.0),
            total_amt_chng_q4_q1: Some(1.335),
            total_trans_amt: Some(1_144.0),
            total_trans_ct: Some(42.0),
            total_ct_chng_q4_q1: Some(1.625),
            avg_utilization_ratio: Some(0.061),
        };
        let with = |change: fn(&mut wire::Customer)| {
            let mut changed = full.clone();
            change(&mut changed);
            changed
        };
        vec![
            with(|customer| customer.customer_key = None),
            with(|customer| customer.customer_key = Some(-4)),
            with(|customer| customer.gender = Some("  ".to_owned())),
            with(|customer| customer.card_category = Some("Titanium".to_owned())),
            with(|customer| customer.card_category = Some(String::new())),
            with(|customer| (customer.income_category, customer.customer_age) = (None, None)),
            with(|customer| customer.credit_limit = None),
            with(|customer| customer.credit_limit = Some(f64::NAN)),
            with(|customer| customer.total_revolving_bal = Some(-0.0)),
            with(|customer| (customer.total_trans_ct, customer.total_trans_amt) = (Some(2.5), Some(-1.0))),
            wire::Customer::default(),
            full,
        ]
    }

    fn is_ascending(bytes: &[u8], schema: &Schema) -> bool {
        read_ascending(bytes, &mut RowBuilder::new(schema, Strictness::Serving)).is_some()
    }

    #[test]
    fn a_feature_has_the_number_that_its_message_gives_it() {
        for (feature, _) in message_fields(&wire::Customer::default()) {
            let only = messages().pop().map(|full| {
                let mut vector = holdfast_domain::FeatureVector::MISSING;
                let row = check(&full).unwrap();
                vector.set(feature, row.features().get(feature).unwrap());
                let customer = holdfast_domain::Customer {
                    key: None,
                    label: None,
                    features: vector,
                };
                to_wire(&customer, Schema::embedded()).encode_to_vec()
            });
            let (number, _) = encoding::decode_key(&mut only.unwrap().as_slice()).unwrap();
            assert_eq!((number, feature_of(number)), (number_of(feature), Some(feature)));
        }
    }

    #[test]
    fn what_is_read_of_bytes_is_what_the_message_says() {
        let schema = Schema::embedded();
        for message in messages() {
            let bytes = message.encode_to_vec();
            assert!(is_ascending(&bytes, schema));
            assert_eq!(read(&bytes), check(&message), "{message:?}");
        }
    }

    #[test]
    fn what_is_written_is_the_message() {
        let schema = Schema::embedded();
        for message in messages() {
            let Ok(customer) = check(&message) else {
                continue;
            };
            let mut bytes = Vec::new();
            write(&customer, schema, &mut bytes);
            assert_eq!(bytes.len(), encoded_len(&customer, schema));
            let written = wire::Customer::decode(bytes.as_slice()).unwrap();
            assert_eq!(check(&written), Ok(customer));
            assert_eq!(written.encode_to_vec(), bytes, "in the order of the numbers");
        }
    }

    #[test]
    fn fields_that_repeat_come_late_or_are_unknown_mean_what_protobuf_says() {
        let schema = Schema::embedded();
        let message = messages().pop().unwrap();
        let bytes = message.encode_to_vec();
        let age = wire::Customer {
            customer_age: Some(50.0),
            ..wire::Customer::default()
        };
        let mut again = bytes.clone();
        again.extend(age.encode_to_vec());
        assert!(!is_ascending(&again, schema));
        let older = read(&again).unwrap();
        assert_eq!(
            older.features().get(Feature::CustomerAge),
            Some(50.0),
            "the last one counts"
        );

        let mut unknown = bytes.clone();
        encoding::string::encode(900, &"of a newer caller".to_owned(), &mut unknown);
        assert_eq!(read(&unknown), check(&message));

        for cut in 1..bytes.len() {
            let expected = match wire::Customer::decode(&bytes[..cut]) {
                Ok(message) => check(&message),
                Err(error) => Err(vec![malformed(&error)]),
            };
            assert_eq!(read(&bytes[..cut]), expected, "cut at {cut}");
        }
    }
}
