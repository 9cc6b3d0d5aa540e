//! What is wrong with a row, in words that the person who sent it understands.

use std::fmt;

use serde::Serialize;

/// The rule that a value broke. [`Rule::code`] is stable: APIs and reports carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A value is needed and there is none.
    Required,
    /// The value is not a number.
    NotANumber,
    /// The value is NaN or infinite.
    NotFinite,
    /// The value is not whole.
    NotInteger,
    /// A number stands where the name of a category is needed.
    NotText,
    /// The value is below the range.
    BelowMinimum,
    /// The value is above the range.
    AboveMaximum,
    /// The category is not in the schema's list.
    UnknownCategory,
    /// The schema has no such column.
    UnknownColumn,
    /// The column is given twice.
    DuplicateColumn,
    /// The customer key is not a whole number in its range.
    Key,
    /// Two rows have the same customer key.
    DuplicateKey,
    /// The target is missing or neither of its two values.
    Label,
    /// All rows are of one class.
    SingleClass,
    /// The table has too few rows to learn from.
    TooFewRows,
    /// The row has more or fewer cells than the header.
    RaggedRow,
    /// The text is not valid UTF-8.
    Encoding,
    /// The row is not in the form in which rows come.
    Malformed,
}

impl Rule {
    /// The stable code, in snake case: `below_minimum`.
    pub const fn code(self) -> &'static str {
        match self {
            Rule::Required => "required",
            Rule::NotANumber => "not_a_number",
            Rule::NotFinite => "not_finite",
            Rule::NotInteger => "not_integer",
            Rule::NotText => "not_text",
            Rule::BelowMinimum => "below_minimum",
            Rule::AboveMaximum => "above_maximum",
            Rule::UnknownCategory => "unknown_category",
            Rule::UnknownColumn => "unknown_column",
            Rule::DuplicateColumn => "duplicate_column",
            Rule::Key => "key",
            Rule::DuplicateKey => "duplicate_key",
            Rule::Label => "label",
            Rule::SingleClass => "single_class",
            Rule::TooFewRows => "too_few_rows",
            Rule::RaggedRow => "ragged_row",
            Rule::Encoding => "encoding",
            Rule::Malformed => "malformed",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The data row, counted from 1 (the header is not counted); `None` for a single row or a whole table.
    pub row: Option<u64>,
    /// The column; empty when the row or table as a whole is meant.
    pub column: String,
    /// The rule.
    pub rule: Rule,
    /// A whole sentence: column, value and what is allowed.
    pub message: String,
}

impl Violation {
    /// A violation without a row; the column's name is cut to 100 characters, because callers may send anything.
    pub fn new(column: &str, rule: Rule, message: impl Into<String>) -> Self {
        Self {
            row: None,
            column: cut(column, 100),
            rule,
            message: message.into(),
        }
    }

    /// The same violation in data row `row`, counted from 1.
    #[must_use]
    pub fn in_row(mut self, row: u64) -> Self {
        self.row = Some(row);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(row) = self.row {
            write!(f, "row {row}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// At most `limit` characters of `text`, with an ellipsis where something is left out.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_and_the_serialized_form_are_the_same_word() {
        for rule in [Rule::NotANumber, Rule::BelowMinimum, Rule::Key, Rule::RaggedRow] {
            assert_eq!(serde_json::to_string(&rule).unwrap(), format!("\"{}\"", rule.code()));
        }
    }

    #[test]
    fn a_violation_names_its_row() {
        let violation = Violation::new("Credit_Limit", Rule::Required, "Credit_Limit is missing").in_row(7);
        assert_eq!(violation.to_string(), "row 7: Credit_Limit is missing");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
