//! CSV of customers, in any order of columns: comma-separated, UTF-8 (with or without a byte order mark), a header, cells quoted or not, lines ended by
//! LF or CRLF. The same rules as for tables that are imported.

use bytes::{Buf as _, Bytes, BytesMut};
use csv_core::{ReadRecordResult, Reader};
use holdfast_chassis::{Code, Fault, FieldViolation};
use holdfast_domain::{ColumnRole, Rule, Schema, Strictness, Violation, header_violations};

use super::{Line, bad_record, too_long};
use crate::service::records::{Record, Records};

/// Cells that a row may have; the schema has far fewer columns.
const MAX_CELLS: usize = 1_024;

/// Reads rows. Holds one row, and the bytes that came with it.
pub struct CsvReader {
    core: Reader,
    pending: BytesMut,
    /// The cells of the row, one after the other.
    cells: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    filled: usize,
    cells_read: usize,
    limit: usize,
    dropping: bool,
    /// Where the row begins.
    line: u64,
    begun: bool,
    ended: bool,
    columns: Option<Columns>,
}

/// What the header says.
struct Columns {
    names: Vec<String>,
    roles: Vec<Option<ColumnRole>>,
}

/// A row as it stands, before anything is known of it.
enum Row {
    Whole,
    TooLong,
}

impl CsvReader {
    /// A reader of rows of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            core: Reader::new(),
            pending: BytesMut::new(),
            cells: vec![0; limit],
            ends: vec![0; MAX_CELLS],
            filled: 0,
            cells_read: 0,
            limit,
            dropping: false,
            line: 1,
            begun: false,
            ended: false,
            columns: None,
        }
    }

    /// Takes more bytes.
    pub fn push(&mut self, bytes: &Bytes) {
        self.pending.extend_from_slice(bytes);
    }

    /// Reads the header, if it is whole; answers whether it was.
    ///
    /// # Errors
    /// `INVALID_FIELDS` with one violation per bad column, `MALFORMED_CSV` when it is no header.
    pub fn header(&mut self, last: bool) -> Result<bool, Fault> {
        if !self.without_mark(last) {
            return Ok(false);
        }
        match self.row(last) {
            None if last => Err(malformed("the body is empty; its first line must name the columns")),
            None => Ok(false),
            Some(Row::TooLong) => Err(malformed("its first line is too long to be a header")),
            Some(Row::Whole) => {
                self.columns = Some(self.columns_named()?);
                Ok(true)
            }
        }
    }

    /// The next row that is whole; none before the header was read. `last`: there are no more bytes.
    pub fn next(&mut self, last: bool) -> Option<Line> {
        self.columns.as_ref()?;
        let row = self.row(last)?;
        let number = self.line;
        let customer = match row {
            Row::TooLong => Err(too_long(self.limit)),
            Row::Whole => self.record().and_then(Record::customer),
        };
        Some(Line {
            number,
            customer: customer.map_err(Box::new),
        })
    }

    /// The line at which reading stands, from 1.
    pub fn number(&self) -> u64 {
        self.core.line()
    }

    fn row(&mut self, last: bool) -> Option<Row> {
        while !self.ended {
            if !self.begun {
                self.skip_ends_of_lines();
                (self.filled, self.cells_read, self.line) = (0, 0, self.core.line());
            }
            if self.pending.is_empty() && !last {
                return None;
            }
            let cells = &mut self.cells[self.filled..];
            let ends = &mut self.ends[self.cells_read..];
            let (result, read, written, more) = self.core.read_record(&self.pending, cells, ends);
            self.begun |= read > 0;
            self.pending.advance(read);
            self.filled += written;
            self.cells_read += more;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.dropping = true;
                    (self.filled, self.cells_read) = (0, 0);
                }
                ReadRecordResult::Record => {
                    self.begun = false;
                    let dropped = std::mem::take(&mut self.dropping);
                    return Some(if dropped { Row::TooLong } else { Row::Whole });
                }
                ReadRecordResult::End => self.ended = true,
            }
        }
        None
    }

    /// Drops the byte order mark that some programs begin with; answers whether enough has come to tell.
    fn without_mark(&mut self, last: bool) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.core.line() == 1 && !self.begun && self.pending.len() < MARK.len() && !last {
            return false;
        }
        if !self.begun && self.pending.starts_with(MARK) {
            self.pending.advance(MARK.len());
        }
        true
    }

    /// Empty lines are no rows; taken one by one, they are counted.
    fn skip_ends_of_lines(&mut self) {
        while let Some(b'\n' | b'\r') = self.pending.first() {
            self.core
                .read_record(&self.pending[..1], &mut self.cells, &mut self.ends);
            self.pending.advance(1);
        }
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let ends = &self.ends[..self.cells_read];
        let begins = std::iter::once(0).chain(ends.iter().copied());
        begins.zip(ends).map(|(begin, end)| &self.cells[begin..*end])
    }

    fn columns_named(&self) -> Result<Columns, Fault> {
        let names: Result<Vec<String>, _> = self
            .cells()
            .map(|cell| std::str::from_utf8(cell).map(str::to_owned))
            .collect();
        let names = names.map_err(|_| malformed("its first line is not UTF-8 text"))?;
        if let [only] = names.as_slice()
            && only.contains([';', '\t'])
        {
            return Err(malformed(
                "its first line has no commas; columns must be separated by commas, not by semicolons or tabs",
            ));
        }
        let schema = Schema::embedded();
        let texts: Vec<&str> = names.iter().map(String::as_str).collect();
        let violations = header_violations(&texts, schema, Strictness::Serving);
        if !violations.is_empty() {
            let broken = violations.into_iter();
            let broken = broken.map(|broken| FieldViolation::new(broken.column, broken.rule.code(), broken.message));
            return Err(Fault::invalid_fields("INVALID_FIELDS", broken.collect()));
        }
        let roles = names.iter().map(|name| schema.role(name)).collect();
        Ok(Columns { names, roles })
    }

    fn record(&self) -> Result<Record, Fault> {
        let Some(columns) = &self.columns else {
            return Err(malformed("the header is missing"));
        };
        if self.cells_read != columns.names.len() {
            let detail = format!(
                "the row has {} cells and the header has {}",
                self.cells_read,
                columns.names.len()
            );
            return Err(bad_record("INVALID_FIELDS", Rule::RaggedRow.code(), detail));
        }
        let mut record = Record::new();
        for ((cell, role), name) in self.cells().zip(&columns.roles).zip(&columns.names) {
            let Some(role) = *role else { continue };
            match std::str::from_utf8(cell) {
                Ok(text) => record.cell(role, text),
                Err(_) => {
                    let message = format!("{name} is not UTF-8 text");
                    record.broken(role, Violation::new(name, Rule::Encoding, message));
                }
            }
        }
        Ok(record)
    }
}

impl std::fmt::Debug for CsvReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CsvReader")
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// A table that is there as a whole, as records.
///
/// # Errors
/// As [`CsvReader::header`]; for a row that is too long or not as wide as the header, with its line.
pub fn records(bytes: &Bytes, limit: usize) -> Result<Records, Fault> {
    let mut reader = CsvReader::new(limit);
    reader.push(bytes);
    reader.header(true)?;
    let mut records = Records::default();
    while let Some(row) = reader.row(true) {
        let record = match row {
            Row::Whole => reader.record(),
            Row::TooLong => Err(too_long(limit)),
        };
        match record {
            Ok(record) => records.push(record),
            Err(fault) => return Err(fault.with("line", reader.line)),
        }
    }
    Ok(records)
}

fn malformed(message: &str) -> Fault {
    Fault::new(
        Code::InvalidArgument,
        "MALFORMED_CSV",
        format!("the body is not a table: {message}"),
    )
}

#[cfg(test)]
mod tests {
    use holdfast_api::customer::checked_to_wire;

    use super::*;

    const HEADER: &str = "CLIENTNUM,Card_Category,Total_Relationship_Count,Credit_Limit,Total_Revolving_Bal,Total_Amt_Chng_Q4_Q1,Total_Trans_Amt,Total_Trans_Ct,Total_Ct_Chng_Q4_Q1,Avg_Utilization_Ratio";
    const ROW: &str = "768805383,Titanium,5,12691.0,777,1.335,1144,42,1.625,0.061";

    fn read(text: &[u8], piece: usize, limit: usize) -> Result<Vec<(u64, String)>, Fault> {
        let mut reader = CsvReader::new(limit);
        let mut found = Vec::new();
        let mut headed = false;
        let pieces = text.chunks(piece).map(|piece| (piece, false)).chain([(&b""[..], true)]);
        for (bytes, last) in pieces {
            reader.push(&Bytes::copy_from_slice(bytes));
            headed = headed || reader.header(last)?;
            while let Some(line) = reader.next(last) {
                let outcome = line.customer.map_or_else(
                    |fault| fault.violations[0].rule.clone(),
                    |customer| {
                        checked_to_wire(&customer, Schema::embedded())
                            .card_category
                            .unwrap_or_default()
                    },
                );
                found.push((line.number, outcome));
            }
        }
        Ok(found)
    }

    #[test]
    fn rows_are_the_same_however_the_bytes_arrive() {
        let mut text = format!(
            "\u{feff}{HEADER}\r\n{ROW}\n\n\r\n\"768805383\",\"Blue\",5,\"12691.0\",777,1.335,1144,42,1.625,0.061\r\n1,2\n{}\n,\"a\nb\",5,,777,1.335,1144,x,1.625,0.061\n{ROW}",
            "9".repeat(600)
        )
        .into_bytes();
        text.extend_from_slice(b"\n1,\xff,5,1,777,1.335,1144,42,1.625,0.061");
        let expected: Vec<(u64, String)> = [
            (2, "Titanium"),
            (5, "Blue"),
            (6, "ragged_row"),
            (7, "too_long"),
            (8, "not_a_number"),
            (10, "Titanium"),
            (11, "encoding"),
        ]
        .map(|(number, outcome)| (number, outcome.to_owned()))
        .into();
        for piece in [1, 3, 50, 100_000] {
            assert_eq!(read(&text, piece, 500).unwrap(), expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_header_that_is_wrong_is_refused_with_every_column() {
        let fault = read(
            format!("{},Nonsense,Credit_Limit\n{ROW}", HEADER.replace("Total_Trans_Ct,", "")).as_bytes(),
            10,
            500,
        )
        .unwrap_err();
        let broken: Vec<_> = fault
            .violations
            .iter()
            .map(|broken| (&*broken.field, &*broken.rule))
            .collect();
        let expected = [
            ("Nonsense", "unknown_column"),
            ("Credit_Limit", "duplicate_column"),
            ("Total_Trans_Ct", "required"),
        ];
        assert_eq!(broken, expected);
        for text in ["", "\n\n", "a;b;c\n1;2;3", &"x".repeat(600)] {
            assert_eq!(
                read(text.as_bytes(), 10, 500).unwrap_err().reason,
                "MALFORMED_CSV",
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_whole_table_names_bad_cells_by_record_and_bad_rows_by_line() {
        let records = records(
            &Bytes::from(format!("{HEADER}\n{ROW}\n{}", ROW.replace(",42,", ",,"))),
            500,
        )
        .unwrap();
        let fault = records.customers(10).unwrap_err();
        assert_eq!(fault.violations[0].field, "records[1].Total_Trans_Ct");
        let fault = super::records(&Bytes::from(format!("{HEADER}\n{ROW}\n1,2\n")), 500).unwrap_err();
        assert_eq!(
            (fault.metadata["line"].as_str(), fault.violations[0].rule.as_str()),
            ("3", "ragged_row")
        );
    }
}
