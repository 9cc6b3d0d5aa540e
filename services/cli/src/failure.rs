//! Why a command failed, as a person needs to hear it: one sentence, the bad cells as a table, what to do next.

use holdfast_chassis::error::ProblemError;
use holdfast_domain::Violation;
use holdfast_sources::SourceError;

use crate::output;

/// How many violations are shown; the rest are counted.
const SHOWN_VIOLATIONS: usize = 20;

/// A command that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// One sentence, lower case, no full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The cells that break rules, when that is why.
    pub(crate) violations: Vec<BadCell>,
    /// Violations beyond the list.
    pub(crate) more: u64,
    /// The command was called wrongly: exit code 2.
    pub(crate) usage: bool,
}

/// One cell, field or row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadCell {
    /// The data row, counted from 1; empty when there is none.
    pub(crate) row: String,
    /// The column or field.
    pub(crate) column: String,
    /// The rule's stable name.
    pub(crate) rule: String,
    /// What is wrong, in words.
    pub(crate) detail: String,
}

/// What a command gives.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of the work: exit code 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            violations: Vec::new(),
            more: 0,
            usage: false,
        }
    }

    /// A wrong call: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            usage: true,
            ..Self::new(message)
        }
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Puts what was being done in front of the sentence.
    pub(crate) fn while_doing(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The whole text for stderr, with the program's name in front.
    pub(crate) fn render(&self) -> String {
        if self.violations.is_empty() {
            return match &self.hint {
                Some(hint) => format!("holdfast: {}: {hint}\n", self.message),
                None => format!("holdfast: {}\n", self.message),
            };
        }
        let mut table = output::table(["row", "column", "rule", "what is wrong"]);
        for cell in self.violations.iter().take(SHOWN_VIOLATIONS) {
            table.add_row([&cell.row, &cell.column, &cell.rule, &cell.detail]);
        }
        let mut text = format!("holdfast: {}\n{table}\n", self.message);
        let hidden = self.more + self.violations.len().saturating_sub(SHOWN_VIOLATIONS) as u64;
        if hidden > 0 {
            text.push_str(&format!("and {hidden} more\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("{hint}\n"));
        }
        text
    }
}

impl BadCell {
    /// From a problem document's entry. A table's cell comes as `row 17, Gender`, a record's field as `records[3].Credit_Limit`.
    pub(crate) fn from_problem(error: ProblemError) -> Self {
        let ProblemError { field, rule, detail } = error;
        let (row, column) = match row_and_column(&field) {
            Some(parts) => parts,
            None => (String::new(), field),
        };
        Self {
            row,
            column,
            rule,
            detail,
        }
    }
}

fn row_and_column(field: &str) -> Option<(String, String)> {
    if let Some(rest) = field.strip_prefix("row ") {
        let (row, column) = rest.split_once(", ").unwrap_or((rest, ""));
        return row.parse::<u64>().ok().map(|row| (row.to_string(), column.to_owned()));
    }
    let rest = field.strip_prefix("records[")?;
    let (index, column) = rest.split_once(']')?;
    let row = index.parse::<u64>().ok()? + 1;
    Some((row.to_string(), column.trim_start_matches('.').to_owned()))
}

impl From<&Violation> for BadCell {
    fn from(violation: &Violation) -> Self {
        Self {
            row: violation.row.map(|row| row.to_string()).unwrap_or_default(),
            column: violation.column.clone(),
            rule: violation.rule.code().to_owned(),
            detail: violation.message.clone(),
        }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::InvalidSpec { .. } => Self::usage(error.to_string()),
            SourceError::Invalid { name, violations, more } => Self {
                violations: violations.iter().map(BadCell::from).collect(),
                more,
                ..Self::new(format!(
                    "{name} breaks the schema's rules in {} places",
                    violations.len() as u64 + more
                ))
                .hint("correct these cells and run the command again; rows are counted from 1, without the header")
            },
            other => Self::new(other.to_string()),
        }
    }
}

impl From<holdfast_records::Error> for Failure {
    fn from(error: holdfast_records::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<holdfast_storage::Error> for Failure {
    fn from(error: holdfast_storage::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// A status from a service that was called without the gateway in between.
impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        let fault = holdfast_chassis::Fault::from_status(&status);
        let violations = fault.violations.iter().map(|violation| {
            BadCell::from_problem(ProblemError {
                field: violation.field.clone(),
                rule: violation.rule.clone(),
                detail: violation.description.clone(),
            })
        });
        Self {
            violations: violations.collect(),
            ..Self::new(fault.message.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(field: &str) -> BadCell {
        BadCell::from_problem(ProblemError {
            field: field.to_owned(),
            rule: "required".to_owned(),
            detail: "is missing".to_owned(),
        })
    }

    #[test]
    fn a_cell_of_a_table_is_split_into_row_and_column() {
        let BadCell { row, column, .. } = cell("row 17, Gender");
        assert_eq!((row.as_str(), column.as_str()), ("17", "Gender"));
    }

    #[test]
    fn a_record_is_counted_from_one_as_rows_are() {
        let BadCell { row, column, .. } = cell("records[3].Credit_Limit");
        assert_eq!((row.as_str(), column.as_str()), ("4", "Credit_Limit"));
    }

    #[test]
    fn any_other_field_is_shown_as_it_is() {
        let BadCell { row, column, .. } = cell("customers[a]");
        assert_eq!((row.as_str(), column.as_str()), ("", "customers[a]"));
    }

    #[test]
    fn without_cells_the_text_is_one_line() {
        let text = Failure::new("nobody answers").hint("start something").render();
        assert_eq!(text, "holdfast: nobody answers: start something\n");
    }

    #[test]
    fn the_text_has_sentence_cells_and_what_to_do() {
        let mut failure = Failure::new("the table is refused").hint("correct it");
        failure.violations = vec![cell("row 17, Gender")];
        let text = failure.render();
        assert!(text.starts_with("holdfast: the table is refused\n"), "{text}");
        assert!(
            text.contains("17") && text.contains("Gender") && text.contains("is missing"),
            "{text}"
        );
        assert!(text.ends_with("\ncorrect it\n"), "{text}");
    }
}
