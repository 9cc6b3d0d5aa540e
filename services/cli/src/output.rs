//! Results on stdout: a table for people, or with `--json` one JSON value on one line and nothing else.

use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::failure::{Failure, Result};

/// A narrower terminal gets tables as wide as they are.
const LEAST_COLUMNS: u16 = 60;

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    /// The process's stdout.
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether one JSON value is wanted.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Writes a result: the value as JSON, or its form for people.
    pub(crate) fn emit(self, value: &impl Serialize, people: impl FnOnce() -> String) -> Result<()> {
        let text = if self.json {
            serde_json::to_string(value)
                .map_err(|error| Failure::new(format!("the result has no JSON form: {error}")))?
        } else {
            people()
        };
        write_line(&text)
    }
}

/// A reader that went away (`holdfast … | head`) has what it wanted: no failure.
fn write_line(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("stdout cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// A line on stderr. If that is gone there is nobody left to tell.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "{}", text.as_ref().trim_end());
}

/// An empty table in the house's look.
pub(crate) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    // Some terminals say that they have no columns; a table squeezed into none is worse than one that is too wide.
    let roomy = table.width().is_none_or(|columns| columns >= LEAST_COLUMNS);
    table.set_content_arrangement(if roomy {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    });
    table.set_header(header);
    table
}

/// What a person reads for a JSON value: text without quotes, a dash for nothing, reals with as many digits as matter.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, real),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Four digits after the point, fewer where they are zeros.
pub(crate) fn real(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.000_05 {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One digit after the point: for what is measured with a clock.
pub(crate) fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

/// A real that may be missing.
pub(crate) fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), real)
}

/// The first twelve digits of a digest: enough for eyes.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A time as people read it, in UTC and to the second.
pub(crate) fn moment(text: &str) -> String {
    text.parse::<jiff::Timestamp>()
        .map_or_else(|_| text.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_read_like_words_and_not_like_json() {
        assert_eq!(cell(&json!("churn")), "churn");
        assert_eq!(cell(&json!(null)), "-");
        assert_eq!(cell(&json!(true)), "yes");
        assert_eq!(cell(&json!(7)), "7");
        assert_eq!(cell(&json!(["a", "b"])), "a, b");
    }

    #[test]
    fn reals_keep_the_digits_that_matter() {
        assert_eq!(real(0.990_123_4), "0.9901");
        assert_eq!(real(1.0), "1");
        assert_eq!(real(0.0), "0");
        assert_eq!(real(1.234e-9), "1.2e-9");
    }

    #[test]
    fn times_are_shown_to_the_second() {
        assert_eq!(moment("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05Z");
        assert_eq!(moment("not a time"), "not a time");
    }
}
