//! CSV files: comma-separated, UTF-8 (with or without a byte order mark), a header, cells quoted or not, lines ended by LF or CRLF.

use std::fs::File;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use holdfast_domain::{FieldValue, Rule, Violation};

use crate::blocking::BlockingSource;
use crate::error::{SourceError, require_file};
use crate::header::{self, Reading, Slot};
use crate::rows::Rows;

pub(crate) struct CsvSource {
    name: String,
    reader: Reader<File>,
    slots: Vec<Option<Slot>>,
    column_names: Vec<String>,
    /// Kept between rows, so that its buffer is allocated once.
    record: ByteRecord,
}

impl CsvSource {
    pub(crate) fn open(name: String, path: &Path, reading: &Reading) -> Result<Self, SourceError> {
        require_file(&name, path)?;
        let file = File::open(path).map_err(|error| SourceError::io(&name, "opening", error))?;
        // `flexible` lets rows of another length through to us, who can say more about them.
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(file);
        let mut record = ByteRecord::new();
        if !read_record(&name, &mut reader, &mut record)? {
            return Err(SourceError::malformed(
                &name,
                "the file is empty; its first line must name the columns",
            ));
        }
        let column_names = header_names(&name, &record)?;
        let names: Vec<&str> = column_names.iter().map(String::as_str).collect();
        let slots = header::resolve(&names, reading).map_err(|violations| SourceError::columns(&name, violations))?;
        Ok(Self {
            name,
            reader,
            slots,
            column_names,
            record,
        })
    }
}

impl BlockingSource for CsvSource {
    fn column_names(&self) -> &[String] {
        &self.column_names
    }

    fn fill(&mut self, limit: usize, rows: &mut Rows) -> Result<(), SourceError> {
        for _ in 0..limit {
            if !read_record(&self.name, &mut self.reader, &mut self.record)? {
                break;
            }
            if self.record.len() != self.slots.len() {
                rows.push_broken(ragged(&self.record, self.slots.len()));
                continue;
            }
            let cells = self.record.iter().zip(&self.column_names);
            let fields = cells
                .zip(&self.slots)
                .filter_map(|((cell, column), slot)| Some(((*slot)?, field(cell, column))));
            rows.push(fields);
        }
        Ok(())
    }
}

fn read_record(name: &str, reader: &mut Reader<File>, record: &mut ByteRecord) -> Result<bool, SourceError> {
    reader
        .read_byte_record(record)
        .map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => SourceError::io(name, "reading", error),
            other => SourceError::malformed(name, format!("it cannot be read as CSV: {other:?}")),
        })
}

fn header_names(name: &str, record: &ByteRecord) -> Result<Vec<String>, SourceError> {
    let names: Result<Vec<String>, _> = record
        .iter()
        .map(|cell| std::str::from_utf8(cell).map(str::to_owned))
        .collect();
    let names = names
        .map_err(|_| SourceError::malformed(name, "its first line is not UTF-8 text; save the file as CSV in UTF-8"))?;
    match names.as_slice() {
        [only] if only.contains(';') || only.contains('\t') => {
            let reason = "its first line has no commas; columns must be separated by commas, not by semicolons or tabs";
            Err(SourceError::malformed(name, reason))
        }
        _ => Ok(names),
    }
}

fn field<'c>(cell: &'c [u8], column: &str) -> Result<FieldValue<'c>, Violation> {
    if cell.is_empty() {
        return Ok(FieldValue::Missing);
    }
    std::str::from_utf8(cell).map(FieldValue::Text).map_err(|_| {
        Violation::new(
            column,
            Rule::Encoding,
            format!("{column} is not UTF-8 text; save the file as CSV in UTF-8"),
        )
    })
}

fn ragged(record: &ByteRecord, wanted: usize) -> Violation {
    let line = record
        .position()
        .map(|position| format!("line {} ", position.line()))
        .unwrap_or_default();
    let message = format!("{line}has {} cells and the header has {wanted}", record.len());
    Violation::new("", Rule::RaggedRow, message)
}
