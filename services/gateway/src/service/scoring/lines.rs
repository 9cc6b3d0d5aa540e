//! Bytes cut into the records of NDJSON, one JSON object a line; empty lines are no records.

use bytes::{Buf as _, Bytes, BytesMut};
use serde_json::error::Category;

use super::{Line, bad_record, too_long};
use crate::service::object::Object;
use crate::service::records::Record;

/// Reads lines of JSON. Holds at most one line that is not whole, and the bytes last pushed.
#[derive(Debug)]
pub struct NdjsonReader {
    pending: BytesMut,
    /// Up to here `pending` holds no end of a line.
    searched: usize,
    limit: usize,
    /// Lines that have ended.
    ended: u64,
    /// The line is too long: its rest is dropped as it comes.
    dropping: bool,
}

impl NdjsonReader {
    /// A reader of lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            pending: BytesMut::new(),
            searched: 0,
            limit,
            ended: 0,
            dropping: false,
        }
    }

    /// Takes more bytes.
    pub fn push(&mut self, bytes: &Bytes) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next record that is whole. `last`: there are no more bytes, so that the rest is a line, too.
    pub fn next(&mut self, last: bool) -> Option<Line> {
        loop {
            let found = self.pending[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(end) = found.map(|at| self.searched + at) else {
                if last && (self.dropping || !self.pending.is_empty()) {
                    let line = self.pending.split();
                    self.searched = 0;
                    return self.line(&line);
                }
                if self.pending.len() > self.limit {
                    self.pending.clear();
                    self.dropping = true;
                }
                self.searched = self.pending.len();
                return None;
            };
            let line = self.pending.split_to(end);
            self.pending.advance(1);
            self.searched = 0;
            if let Some(line) = self.line(&line) {
                return Some(line);
            }
        }
    }

    /// The line at which reading stands, from 1.
    pub fn number(&self) -> u64 {
        self.ended + 1
    }

    fn line(&mut self, bytes: &[u8]) -> Option<Line> {
        self.ended += 1;
        let number = self.ended;
        let customer = if std::mem::take(&mut self.dropping) || bytes.len() > self.limit {
            Err(too_long(self.limit))
        } else if bytes.trim_ascii().is_empty() {
            return None;
        } else {
            match serde_json::from_slice::<Object<Record>>(bytes) {
                Ok(Object(record)) => record.customer(),
                Err(error) => Err(malformed(&error)),
            }
        };
        Some(Line {
            number,
            customer: customer.map_err(Box::new),
        })
    }
}

fn malformed(error: &serde_json::Error) -> holdfast_chassis::Fault {
    let text = error.to_string();
    // serde_json counts lines within the record, which is one.
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    match error.classify() {
        Category::Data => bad_record("INVALID_FIELDS", "invalid", text),
        Category::Syntax | Category::Eof | Category::Io => bad_record(
            "MALFORMED_JSON",
            "malformed",
            format!("the record is not valid JSON: {text} at column {}", error.column()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"Total_Relationship_Count":5,"Credit_Limit":12691.0,"Total_Revolving_Bal":777,"Total_Amt_Chng_Q4_Q1":1.335,"Total_Trans_Amt":1144,"Total_Trans_Ct":42,"Total_Ct_Chng_Q4_Q1":1.625,"Avg_Utilization_Ratio":0.061}"#;

    fn read(text: &str, piece: usize, limit: usize) -> Vec<(u64, String)> {
        let mut reader = NdjsonReader::new(limit);
        let mut found = Vec::new();
        let mut take = |line: Line| {
            let outcome = line
                .customer
                .map_or_else(|fault| fault.reason.to_string(), |_| "ok".to_owned());
            found.push((line.number, outcome));
        };
        for bytes in text.as_bytes().chunks(piece) {
            reader.push(&Bytes::copy_from_slice(bytes));
            while let Some(line) = reader.next(false) {
                take(line);
            }
        }
        while let Some(line) = reader.next(true) {
            take(line);
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let text = format!(
            "{RECORD}\r\n\n  \n{{\"Credit_Limit\":1}}\n[]\n{{\n{}\n{RECORD}",
            "x".repeat(400)
        );
        let expected: Vec<(u64, String)> = [
            (1, "ok"),
            (4, "INVALID_FIELDS"),
            (5, "INVALID_FIELDS"),
            (6, "MALFORMED_JSON"),
            (7, "RECORD_TOO_LONG"),
            (8, "ok"),
        ]
        .map(|(number, outcome)| (number, outcome.to_owned()))
        .into();
        for piece in [1, 7, 64, 100_000] {
            assert_eq!(read(&text, piece, 300), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut reader = NdjsonReader::new(100);
        for _ in 0..10_000 {
            reader.push(&Bytes::from_static(&[b'x'; 100]));
            assert!(reader.next(false).is_none());
            assert!(reader.pending.len() <= 200, "{}", reader.pending.len());
        }
        assert_eq!(
            reader.next(true).unwrap().customer.unwrap_err().reason,
            "RECORD_TOO_LONG"
        );
        assert!(reader.next(true).is_none());
    }
}
