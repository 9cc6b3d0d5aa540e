//! The request for many scores. Its message is not generated: its customers stay what they came as until they are checked.

use holdfast_domain::{CheckedCustomer, Refused, Schema, all_checked};
use prost::bytes::{Buf, BufMut};
use prost::encoding::{self, DecodeContext, WireType};
use prost::{DecodeError, Message};

use crate::common::v1::Customer;
use crate::customer::{self, bytes};

const CUSTOMERS: u32 = 1;
const REQUEST_ID: u32 = 2;
const EXPLAIN: u32 = 3;

/// Asks for many scores: `holdfast.inference.v1.PredictBatchRequest`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PredictBatchRequest {
    /// The customers, at most the limit in the settings (default 10,000).
    pub customers: Customers,
    /// As in `PredictRequest`; one id for the whole batch.
    pub request_id: String,
    /// Adds reasons to every answer.
    pub explain: bool,
}

/// The customers of a batch, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Customers(Form);

/// How customers came.
#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// From a caller of the same process, who has checked them.
    Checked(Vec<CheckedCustomer>),
    /// From a caller that has messages.
    Messages(Vec<Customer>),
    /// Over the network: the bytes of their messages.
    Bytes(Messages),
}

/// The bytes of messages, one behind the other: a list of its own for each would cost more than checking the customer.
#[derive(Clone, Debug, Default, PartialEq)]
struct Messages {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Messages {
    /// Adds one of so many bytes from the front of what came.
    fn take(&mut self, length: usize, from: &mut impl Buf) {
        if self.ends.is_empty() {
            // Hardly more than this one and those behind it.
            self.bytes.reserve(from.remaining());
        }
        let start = self.bytes.len();
        self.bytes.resize(start + length, 0);
        from.copy_to_slice(&mut self.bytes[start..]);
        self.ends.push(self.bytes.len());
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let message = &self.bytes[start..*end];
            start = *end;
            message
        })
    }
}

impl Customers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Checked(customers) => customers.len(),
            Form::Messages(customers) => customers.len(),
            Form::Bytes(messages) => messages.ends.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first `most` of them, by the rules of serving.
    ///
    /// # Errors
    /// Those of them that break rules.
    pub fn checked(self, schema: &Schema, most: usize) -> Result<Vec<CheckedCustomer>, Vec<Refused>> {
        match self.0 {
            Form::Checked(mut customers) => {
                customers.truncate(most);
                Ok(customers)
            }
            Form::Messages(customers) => {
                let customers = customers.iter().take(most);
                all_checked(customers, |message, into| customer::check_into(into, message, schema))
            }
            Form::Bytes(messages) => {
                let customers = messages.iter().take(most);
                all_checked(customers, |message, into| bytes::read_into(into, message, schema))
            }
        }
    }

    fn take(&mut self, length: usize, from: &mut impl Buf) {
        if let Form::Bytes(messages) = &mut self.0 {
            return messages.take(length, from);
        }
        // Decoding goes on in a message that a caller has made: it never does.
        let mut messages = Messages::default();
        messages.take(length, from);
        self.0 = Form::Bytes(messages);
    }
}

impl Default for Customers {
    fn default() -> Self {
        Self(Form::Bytes(Messages::default()))
    }
}

impl From<Vec<CheckedCustomer>> for Customers {
    fn from(customers: Vec<CheckedCustomer>) -> Self {
        Self(Form::Checked(customers))
    }
}

impl From<Vec<Customer>> for Customers {
    fn from(customers: Vec<Customer>) -> Self {
        Self(Form::Messages(customers))
    }
}

impl FromIterator<Customer> for Customers {
    fn from_iter<I: IntoIterator<Item = Customer>>(customers: I) -> Self {
        Vec::from_iter(customers).into()
    }
}

/// As it is generated for other messages.
impl Message for PredictBatchRequest {
    fn encode_raw(&self, out: &mut impl BufMut) {
        let schema = Schema::embedded();
        match &self.customers.0 {
            Form::Checked(customers) => {
                for customer in customers {
                    bytes::begin(CUSTOMERS, bytes::encoded_len(customer, schema), out);
                    bytes::write(customer, schema, out);
                }
            }
            Form::Messages(customers) => encoding::message::encode_repeated(CUSTOMERS, customers, out),
            Form::Bytes(messages) => {
                for message in messages.iter() {
                    bytes::begin(CUSTOMERS, message.len(), out);
                    out.put_slice(message);
                }
            }
        }
        if !self.request_id.is_empty() {
            encoding::string::encode(REQUEST_ID, &self.request_id, out);
        }
        if self.explain {
            encoding::bool::encode(EXPLAIN, &self.explain, out);
        }
    }

    fn merge_field(
        &mut self,
        number: u32,
        wire_type: WireType,
        from: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match number {
            CUSTOMERS => {
                encoding::check_wire_type(WireType::LengthDelimited, wire_type)?;
                let length = usize::try_from(encoding::decode_varint(from)?).unwrap_or(usize::MAX);
                if length > from.remaining() {
                    // The library's error for what is cut short; it lets nobody else make one.
                    return encoding::skip_field(WireType::SixtyFourBit, number, &mut &[][..], context);
                }
                self.customers.take(length, from);
                Ok(())
            }
            REQUEST_ID => encoding::string::merge(wire_type, &mut self.request_id, from, context),
            EXPLAIN => encoding::bool::merge(wire_type, &mut self.explain, from, context),
            _ => encoding::skip_field(wire_type, number, from, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let schema = Schema::embedded();
        let customers = match &self.customers.0 {
            Form::Checked(customers) => {
                let lengths = customers.iter().map(|customer| bytes::encoded_len(customer, schema));
                lengths.map(|length| bytes::framed(CUSTOMERS, length)).sum()
            }
            Form::Messages(customers) => encoding::message::encoded_len_repeated(CUSTOMERS, customers),
            Form::Bytes(messages) => {
                let lengths = messages.iter().map(<[u8]>::len);
                lengths.map(|length| bytes::framed(CUSTOMERS, length)).sum()
            }
        };
        let request_id = if self.request_id.is_empty() {
            0
        } else {
            encoding::string::encoded_len(REQUEST_ID, &self.request_id)
        };
        let explain = if self.explain {
            encoding::bool::encoded_len(EXPLAIN, &self.explain)
        } else {
            0
        };
        customers + request_id + explain
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message as it would be generated.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Generated {
        #[prost(message, repeated, tag = "1")]
        customers: Vec<Customer>,
        #[prost(string, tag = "2")]
        request_id: String,
        #[prost(bool, tag = "3")]
        explain: bool,
    }

    fn customer(trans_ct: f64) -> Customer {
        Customer {
            customer_key: Some(768_805_383),
            gender: Some("F".to_owned()),
            card_category: Some("Titanium".to_owned()),
            total_relationship_count: Some(5.0),
            credit_limit: Some(12_691.0),
            total_revolving_bal: Some(777.0),
            total_amt_chng_q4_q1: Some(1.335),
            total_trans_amt: Some(1_144.0),
            total_trans_ct: Some(trans_ct),
            total_ct_chng_q4_q1: Some(1.625),
            avg_utilization_ratio: Some(0.061),
            ..Customer::default()
        }
    }

    #[test]
    fn it_is_on_the_wire_what_would_be_generated() {
        let schema = Schema::embedded();
        let customers = vec![customer(42.0), customer(200.0)];
        for (request_id, explain) in [("", false), ("mine", true)] {
            let generated = Generated {
                customers: customers.clone(),
                request_id: request_id.to_owned(),
                explain,
            };
            let bytes = generated.encode_to_vec();
            let read = PredictBatchRequest::decode(bytes.as_slice()).unwrap();
            let checked = read.customers.clone().checked(schema, 10).unwrap();
            let forms = [read.customers.clone(), customers.clone().into(), checked.clone().into()];
            for customers in forms {
                let request = PredictBatchRequest {
                    customers,
                    ..read.clone()
                };
                assert_eq!(request.customers.len(), 2);
                assert_eq!(request.encoded_len(), bytes.len());
                assert_eq!(request.encode_to_vec(), bytes, "{request:?}");
                assert_eq!(request.customers.checked(schema, 10), Ok(checked.clone()));
            }
            assert_eq!((read.request_id.as_str(), read.explain), (request_id, explain));
        }
        assert_eq!(PredictBatchRequest::default().encoded_len(), 0);
    }

    #[test]
    fn customers_that_break_rules_are_named_by_their_places() {
        let schema = Schema::embedded();
        let customers = vec![customer(42.0), customer(-1.0), customer(2.5)];
        let bytes = PredictBatchRequest {
            customers: customers.clone().into(),
            ..PredictBatchRequest::default()
        }
        .encode_to_vec();
        let read = PredictBatchRequest::decode(bytes.as_slice()).unwrap();
        for customers in [read.customers, customers.into()] {
            let refused = customers.clone().checked(schema, 3).unwrap_err();
            let places: Vec<usize> = refused.iter().map(|(place, _)| *place).collect();
            assert_eq!(places, [1, 2]);
            assert_eq!(refused[0].1[0].column, "Total_Trans_Ct");
            assert_eq!(
                customers.checked(schema, 1).unwrap().len(),
                1,
                "no further than asked for"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_request_are_refused() {
        for bytes in [&[0x0a, 5, 1][..], &[0x08, 1], &[0x12, 1, 0xff], &[0xff]] {
            assert!(PredictBatchRequest::decode(bytes).is_err(), "{bytes:?}");
        }
        let no_customer = PredictBatchRequest::decode(&[0x0a, 1, 0xff][..]).unwrap();
        let refused = no_customer.customers.checked(Schema::embedded(), 1).unwrap_err();
        assert_eq!(refused[0].1[0].rule.code(), "malformed");
    }
}
