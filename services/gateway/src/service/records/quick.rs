//! Records read in one go from bodies as programs write them: `{"records": [{"Credit_Limit": 12691.0, …}, …]}`.
//!
//! Callers write every record alike: the same columns in the same order with the same spaces. So what stood before a value in the record before, be it of
//! another body, is compared as a whole, and only the values are read. Numbers of few digits are exact integers and powers of ten, whose quotient is the double that is
//! nearest to them. Whatever looks different (escapes, other values than numbers, texts and `null`, other fields beside the records, what is no JSON)
//! is none of this reader's business: it gives up, and the body is read by the rules of JSON, which say what is wrong with it.

use std::borrow::Cow;
use std::cell::Cell;

use holdfast_domain::{ColumnRole, Schema};

use super::{Record, Records, Scalar};

/// Longest text before a value that is remembered for the next record, in bytes: some spaces around the name of a column.
const LONGEST_REMEMBERED: usize = 128;

/// What stood before each value of a record, from the end of the value before it, and whose value it was.
type Layout = Vec<(Vec<u8>, ColumnRole)>;

thread_local! {
    /// How the record that was read last on this thread was written. It says what to try first, never what a record means.
    static LAST: Cell<Layout> = const { Cell::new(Layout::new()) };
}

/// Digits that a double holds whatever they are.
const EXACT_DIGITS: usize = 15;

/// Powers of ten, each of them a double.
const POWERS: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// Reads a body of records and nothing else; `None` when it is anything else.
pub(crate) fn records(body: &[u8]) -> Option<Records> {
    let mut reader = Reader::new(body);
    reader.skip(b'{')?;
    let (name, _) = reader.key()?;
    if name != "records" {
        return None;
    }
    reader.skip(b'[')?;
    let mut records = Records::default();
    loop {
        let before = reader.rest.len();
        records.push(reader.record()?);
        if records.records == 1 {
            // The others take as much room in the body, about.
            records.expect(reader.rest.len() / (before - reader.rest.len()).max(1));
        }
        match reader.next()? {
            b',' => {}
            b']' => break,
            _ => return None,
        }
    }
    reader.skip(b'}')?;
    reader.ends().then_some(records)
}

/// Reads a body of one record; `None` when it is anything else.
pub(crate) fn record(body: &[u8]) -> Option<Record> {
    let mut reader = Reader::new(body);
    let record = reader.record()?;
    reader.ends().then_some(record)
}

struct Reader<'a> {
    schema: &'static Schema,
    /// What is still to be read.
    rest: &'a [u8],
    /// The record before.
    expected: Layout,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        LAST.set(std::mem::take(&mut self.expected));
    }
}

impl<'a> Reader<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self {
            schema: Schema::embedded(),
            rest: body,
            expected: LAST.take(),
        }
    }

    fn record(&mut self) -> Option<Record> {
        self.skip(b'{')?;
        let mut record = Record::new();
        for index in 0.. {
            let role = self.role(index)?;
            let value = self.value()?;
            record.set(role, value);
            match self.rest.first()? {
                b',' => {}
                b'}' => {
                    self.rest = &self.rest[1..];
                    break;
                }
                _ => match self.peek()? {
                    b',' => {}
                    b'}' => {
                        self.skip(b'}')?;
                        break;
                    }
                    _ => return None,
                },
            }
        }
        Some(record)
    }

    /// Reads up to the value of the field at `index`, and says whose it is.
    fn role(&mut self, index: usize) -> Option<ColumnRole> {
        if let Some((text, role)) = self.expected.get(index)
            && let Some(rest) = self.rest.strip_prefix(text.as_slice())
        {
            self.rest = rest;
            let role = *role;
            // Another caller may leave more spaces.
            self.blank();
            return Some(role);
        }
        let before = self.rest;
        if index > 0 {
            self.skip(b',')?;
        }
        let (name, rest) = self.key()?;
        let role = self.schema.role(name)?;
        let text = &before[..before.len() - rest.len()];
        if text.len() <= LONGEST_REMEMBERED {
            self.remember(index, text, role);
        }
        Some(role)
    }

    fn remember(&mut self, index: usize, text: &[u8], role: ColumnRole) {
        if let Some((expected, whose)) = self.expected.get_mut(index) {
            expected.clear();
            expected.extend_from_slice(text);
            *whose = role;
        } else if index == self.expected.len() && index < self.schema.columns().len() {
            // Columns that come again and again are refused in the end, and are not to be remembered for ever.
            self.expected.push((text.to_vec(), role));
        }
    }

    /// Reads a name, the colon and the spaces behind it; the name, and what follows.
    fn key(&mut self) -> Option<(&'a str, &'a [u8])> {
        self.blank();
        let name = self.text()?;
        self.skip(b':')?;
        self.blank();
        Some((name, self.rest))
    }

    fn value(&mut self) -> Option<Scalar<'a>> {
        match self.rest.first()? {
            b'0'..=b'9' => self.number(),
            b'"' => self.text().map(|text| Scalar::Text(Cow::Borrowed(text))),
            b'n' => {
                self.rest = self.rest.strip_prefix(b"null")?;
                Some(Scalar::Null)
            }
            _ => None,
        }
    }

    /// Text of visible ASCII and spaces, as it stands there.
    fn text(&mut self) -> Option<&'a str> {
        let inside = self.rest.strip_prefix(b"\"")?;
        let end = inside
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | ..b' ' | 0x7f..))?;
        let (text, rest) = inside.split_at(end);
        self.rest = rest.strip_prefix(b"\"")?;
        std::str::from_utf8(text).ok()
    }

    /// A number without sign and exponent.
    fn number(&mut self) -> Option<Scalar<'a>> {
        let (whole, digits, rest) = leading_digits(self.rest, 0);
        // JSON has no leading zeros.
        if digits > 1 && self.rest[0] == b'0' || digits > EXACT_DIGITS {
            return None;
        }
        let Some(rest) = rest.strip_prefix(b".") else {
            self.rest = ends_number(rest)?;
            return i64::try_from(whole).ok().map(Scalar::Integer);
        };
        let (mantissa, more, after) = leading_digits(rest, whole);
        if more == 0 {
            return None;
        }
        let token = &self.rest[..self.rest.len() - after.len()];
        self.rest = ends_number(after)?;
        if digits + more > EXACT_DIGITS {
            let number: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
            return Some(Scalar::Number(number));
        }
        #[expect(clippy::cast_precision_loss, reason = "a double holds so many digits")]
        Some(Scalar::Number(mantissa as f64 / POWERS[more]))
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.blank();
        self.rest.first().copied()
    }

    fn next(&mut self) -> Option<u8> {
        let next = self.peek()?;
        self.rest = &self.rest[1..];
        Some(next)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn blank(&mut self) {
        while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    fn ends(&mut self) -> bool {
        self.blank();
        self.rest.is_empty()
    }
}

/// The digits at the beginning, behind those of `before`: as one number, how many they are, and what follows. The number is of no use where they are
/// more than fit.
fn leading_digits(bytes: &[u8], before: u64) -> (u64, usize, &[u8]) {
    let (mut number, mut rest) = (before, bytes);
    while let [digit @ b'0'..=b'9', more @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = more;
    }
    (number, bytes.len() - rest.len(), rest)
}

/// What follows a number, unless it goes on.
fn ends_number(rest: &[u8]) -> Option<&[u8]> {
    (!matches!(rest.first(), Some(b'.' | b'e' | b'E'))).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: &str = r#""Total_Relationship_Count":5,"Credit_Limit":12691.0,"Total_Revolving_Bal":777,"Total_Amt_Chng_Q4_Q1":1.335,"Total_Trans_Amt":1144,"Total_Trans_Ct":42,"Total_Ct_Chng_Q4_Q1":1.625,"Avg_Utilization_Ratio":0.061"#;

    /// What both readers make of a body of records: nothing but the same.
    fn both(body: &str) -> Option<String> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Body {
            records: Records,
        }
        let quick = records(body.as_bytes()).map(|records| format!("{:?}", records.customers(100)));
        let slow = serde_json::from_str::<Body>(body).map(|body| format!("{:?}", body.records.customers(100)));
        if let Some(quick) = &quick {
            assert_eq!(Some(quick), slow.as_ref().ok(), "{body}");
        }
        quick
    }

    fn body(records: &[&str]) -> String {
        format!("{{\"records\":[{}]}}", records.join(","))
    }

    #[test]
    fn records_alike_are_read_as_by_the_rules() {
        let record = format!("{{{REQUIRED}}}");
        let spaced = record.replace(',', " ,\n ").replace(':', "\t: ").replace('}', " }");
        let more = format!(
            r#"{{"CLIENTNUM":768805383,"Gender":"M","Card_Category":"Titanium","Income_Category":null,{REQUIRED}}}"#
        );
        let turned = format!(r#"{{"Customer_Age":45.0,{REQUIRED}}}"#);
        for records in [
            &[&*record][..],
            &[&record, &record, &record],
            &[&spaced, &spaced, &record],
            &[&more, &more, &record, &turned, &more],
        ] {
            assert!(both(&body(records)).is_some(), "{records:?}");
        }
    }

    #[test]
    fn broken_rules_are_told_as_by_the_rules() {
        for fields in [
            r#""Credit_Limit":1"#,
            r#""Credit_Limit":1,"Credit_Limit":2"#,
            r#""Credit_Limit":"much""#,
            r#""Gender":7"#,
            r#""CLIENTNUM":0"#,
            r#""CLIENTNUM":"7""#,
            r#""Attrition_Flag":"nobody knows""#,
            r#""Avg_Utilization_Ratio":1.5"#,
            r#""Total_Trans_Ct":4.5"#,
        ] {
            let answer = both(&body(&[&format!("{{{fields}}}")])).unwrap();
            assert!(answer.starts_with("Err"), "{answer}");
        }
    }

    #[test]
    fn numbers_have_the_bits_that_the_rules_say() {
        for number in [
            "0",
            "0.0",
            "1.335",
            "0.061",
            "1438.3",
            "34516.0",
            "0.1234567890123456789",
            "1.7976931348623157",
            "0.30000000000000004",
            "99999.9999999999",
            "123456789012345",
            "123456789.012345",
            "0.000000000000001",
        ] {
            let record = format!(r#"{{"Total_Amt_Chng_Q4_Q1":{number}}}"#);
            let read = |record: Record| match record.finish_checked() {
                Ok(customer) => format!("{customer:?}"),
                Err(broken) => format!("{broken:?}"),
            };
            let quick = super::record(record.as_bytes()).map(read);
            let slow = serde_json::from_str(&record).map(read).unwrap();
            assert_eq!(quick, Some(slow), "{number}");
            let mut reader = Reader::new(number.as_bytes());
            let value = match reader.number().unwrap() {
                Scalar::Integer(integer) => integer as f64,
                Scalar::Number(number) => number,
                _ => f64::NAN,
            };
            assert_eq!(value.to_bits(), number.parse::<f64>().unwrap().to_bits(), "{number}");
        }
    }

    #[test]
    fn whatever_looks_different_is_left_to_the_rules() {
        let record = format!("{{{REQUIRED}}}");
        for body in [
            "",
            "[]",
            "{}",
            r#"{"records":[]}"#,
            r#"{"records":[{}]}"#,
            &body(&[&record]).replace("records", "rows"),
            &body(&[&record]).replace("]}", r#"],"explain":true}"#),
            &format!("{} x", body(&[&record])),
            &body(&[&record]).replace("777", "0777"),
            &body(&[&record]).replace("777", "-777"),
            &body(&[&record]).replace("777", "7.77e2"),
            &body(&[&record]).replace("777", "777."),
            &body(&[&record]).replace("777", "true"),
            &body(&[&record]).replace("777", "1234567890123456"),
            &body(&[&record]).replace("777", "777,"),
            &body(&[&record]).replace("777", "7 77"),
            &body(&[&record]).replace("777", "[777]"),
            &body(&[&record]).replace("Credit_Limit", r"Credit\u005fLimit"),
            &body(&[&record]).replace("Credit_Limit", "Crédit_Limit"),
            &body(&[&record]).replace("Credit_Limit", "Debit_Limit"),
            &body(&[&record]).replace("}]}", "]}"),
            &body(&[&record, &record]).replace("},{", "}{"),
        ] {
            assert_eq!(both(body), None, "{body}");
        }
    }

    #[test]
    fn how_the_last_body_was_written_says_nothing_about_the_next() {
        let record = format!("{{{REQUIRED}}}");
        let far = record.replacen(':', &format!(":{}", " ".repeat(LONGEST_REMEMBERED)), 1);
        let swapped = record
            .replace("Total_Trans_Amt", "?")
            .replace("Total_Trans_Ct", "Total_Trans_Amt")
            .replace('?', "Total_Trans_Ct");
        let twice = record.replace("Total_Trans_Amt", "Credit_Limit");
        let short = r#"{"Credit_Limit":12691.0}"#;
        // Each as it is read first on a thread, and behind each of the others.
        let bodies = [&record, &far, &swapped, &twice, short].map(|record| body(&[record]));
        for first in &bodies {
            let alone = std::thread::scope(|scope| scope.spawn(|| both(first)).join().unwrap());
            assert!(alone.is_some(), "{first}");
            for before in &bodies {
                both(before);
                assert_eq!(both(first), alone, "{first} behind {before}");
            }
        }
        let longest = LAST.take().iter().map(|(text, _)| text.len()).max();
        assert!(longest.is_some_and(|longest| longest <= LONGEST_REMEMBERED));
    }

    #[test]
    fn a_body_cut_anywhere_is_none() {
        let record = format!("{{{REQUIRED}}}");
        let body = body(&[&record, &record]);
        for cut in 0..body.len() {
            assert!(records(&body.as_bytes()[..cut]).is_none(), "{cut}");
        }
    }
}
