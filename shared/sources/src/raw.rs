//! A table as it is: every column, whatever the schema says, for those who want to look before they trust.

use std::collections::HashMap;

use holdfast_domain::{FieldValue, Rule, Violation};

use crate::error::LISTED_VIOLATIONS;

/// A whole table in memory, column by column, unchecked.
#[derive(Debug)]
pub struct RawTable {
    name: String,
    columns: Vec<RawColumn>,
    /// The data row of each row, counted from 1: broken rows are counted and are not here.
    numbers: Vec<u64>,
    broken: Vec<Violation>,
    more_broken: u64,
}

/// A column of a [`RawTable`].
#[derive(Debug)]
pub struct RawColumn {
    name: String,
    cells: Vec<Cell>,
    /// Each text once: categories repeat.
    texts: Vec<String>,
    places: HashMap<String, u32>,
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Missing,
    Number(f64),
    Integer(i64),
    Text(u32),
    Unreadable,
}

impl RawTable {
    pub(crate) fn new(name: String, columns: &[String]) -> Self {
        let column = |name: &String| RawColumn {
            name: name.clone(),
            cells: Vec::new(),
            texts: Vec::new(),
            places: HashMap::new(),
        };
        Self {
            name,
            columns: columns.iter().map(column).collect(),
            numbers: Vec::new(),
            broken: Vec::new(),
            more_broken: 0,
        }
    }

    /// Where it comes from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its columns in the source's order. Names may repeat and be empty: nothing was checked.
    pub fn columns(&self) -> &[RawColumn] {
        &self.columns
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.numbers.len()
    }

    /// The number of a row in the source, counted from 1 without the header. Rows that could not be taken apart leave gaps.
    pub fn row_number(&self, row: usize) -> u64 {
        self.numbers.get(row).copied().unwrap_or(0)
    }

    /// Rows that could not be taken apart: the first [`LISTED_VIOLATIONS`] of them.
    pub fn broken_rows(&self) -> &[Violation] {
        &self.broken
    }

    /// Such rows beyond the list.
    pub fn more_broken_rows(&self) -> u64 {
        self.more_broken
    }

    /// Adds a row: a place and a value for each column that was read.
    pub(crate) fn push<'v>(
        &mut self,
        number: u64,
        fields: impl Iterator<Item = (usize, Result<FieldValue<'v>, Violation>)>,
    ) {
        for (place, value) in fields {
            if let Some(column) = self.columns.get_mut(place) {
                column.push(value.ok());
            }
        }
        self.numbers.push(number);
        let rows = self.numbers.len();
        // A column of a type that is neither number nor text was never read.
        for column in self.columns.iter_mut().filter(|column| column.cells.len() < rows) {
            column.cells.push(Cell::Unreadable);
        }
    }

    pub(crate) fn push_broken(&mut self, violation: Violation) {
        if self.broken.len() < LISTED_VIOLATIONS {
            self.broken.push(violation);
        } else {
            self.more_broken += 1;
        }
    }
}

impl RawColumn {
    /// Its name as the source has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value in a row.
    ///
    /// # Errors
    /// The value is neither number nor text, or there is no such row.
    pub fn get(&self, row: usize) -> Result<FieldValue<'_>, Violation> {
        match self.cells.get(row) {
            Some(Cell::Missing) => Ok(FieldValue::Missing),
            Some(Cell::Number(number)) => Ok(FieldValue::Number(*number)),
            Some(Cell::Integer(number)) => Ok(FieldValue::Integer(*number)),
            Some(Cell::Text(place)) => Ok(FieldValue::Text(&self.texts[*place as usize])),
            Some(Cell::Unreadable) | None => Err(Violation::new(
                &self.name,
                Rule::Encoding,
                format!("{} holds a value that is neither a number nor text", self.name),
            )),
        }
    }

    /// `None` is a value that is neither a number nor text.
    fn push(&mut self, value: Option<FieldValue<'_>>) {
        let cell = match value {
            Some(FieldValue::Missing) => Cell::Missing,
            Some(FieldValue::Number(number)) => Cell::Number(number),
            Some(FieldValue::Integer(number)) => Cell::Integer(number),
            // An empty cell of any length is a missing one, as everywhere.
            Some(FieldValue::Text(text)) if text.trim().is_empty() => Cell::Missing,
            Some(FieldValue::Text(text)) => self.place(text).map_or(Cell::Unreadable, Cell::Text),
            None => Cell::Unreadable,
        };
        self.cells.push(cell);
    }

    fn place(&mut self, text: &str) -> Option<u32> {
        if let Some(place) = self.places.get(text) {
            return Some(*place);
        }
        let place = u32::try_from(self.texts.len()).ok()?;
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        Some(place)
    }
}
