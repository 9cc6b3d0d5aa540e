//! Which columns hold categories, and what these are called.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::text::Text;
use crate::error::ImportError;
use crate::imported::{Imported, ImportedKind, MAX_CATEGORIES};

/// The longest `pandas_categorical` line that is read, in bytes.
const MAX_LINE_BYTES: usize = 1 << 20;

/// One more than the highest code in a column's entry of `feature_infos` ("-1:0:4:2", the codes that training saw); 0 for other entries: a
/// range "[0:4]", or "none".
pub(super) fn codes_of_info(info: &str) -> usize {
    if info.starts_with('[') || !info.contains(|letter: char| letter.is_ascii_digit()) {
        return 0;
    }
    let highest = info.split(':').filter_map(|code| code.parse::<usize>().ok()).max();
    highest.map_or(0, |code| code.saturating_add(1))
}

/// Gives the columns of categories the names of these, where it is plain whose they are.
pub(super) fn place(text: &Text<'_>, imported: &mut Imported) -> Result<(), ImportError> {
    for place in columns_of_parameter(text.categorical_feature, imported.columns.len()) {
        if let ImportedKind::Number = imported.columns[place].kind {
            imported.columns[place].kind = ImportedKind::Category { codes: 0 };
        }
    }
    let lists = name_lists(text.pandas_categorical)?;
    let mut marked: Vec<_> = imported
        .columns
        .iter_mut()
        .filter(|column| column.kind != ImportedKind::Number)
        .collect();
    if marked.len() == lists.len() {
        for (column, names) in marked.iter_mut().zip(lists) {
            if let (Some(names), ImportedKind::Category { codes }) = (&names, &mut column.kind) {
                *codes = (*codes).max(names.len());
            }
            column.categories = names;
        }
    } else {
        imported.unplaced_categories = lists;
    }
    Ok(())
}

/// The places in `categorical_feature: 1,2,4`. It may hold names, of a file with a header, which `feature_infos` then stands for.
fn columns_of_parameter(parameter: Option<&str>, columns: usize) -> Vec<usize> {
    parameter
        .unwrap_or("")
        .split(',')
        .filter_map(|word| word.trim().parse().ok())
        .filter(|place| *place < columns)
        .collect()
}

/// One list a pandas column of categories; `None` for one with other things than texts.
fn name_lists(line: Option<&str>) -> Result<Vec<Option<Vec<String>>>, ImportError> {
    const FIELD: &str = "pandas_categorical";
    let Some(line) = line else {
        return Ok(Vec::new());
    };
    if line.len() > MAX_LINE_BYTES {
        let problem = format!(
            "the line has {} bytes, supported are at most {MAX_LINE_BYTES}",
            line.len()
        );
        return Err(ImportError::unsupported(FIELD, problem));
    }
    let lists: Option<Vec<Vec<Name>>> =
        serde_json::from_str(line).map_err(|error| ImportError::invalid(FIELD, error.to_string()))?;
    let lists = lists.unwrap_or_default();
    if let Some(long) = lists.iter().find(|list| list.len() > MAX_CATEGORIES) {
        let problem = format!("{} categories, supported are at most {MAX_CATEGORIES}", long.len());
        return Err(ImportError::unsupported(FIELD, problem));
    }
    Ok(lists
        .into_iter()
        .map(|list| list.into_iter().map(|name| name.0).collect())
        .collect())
}

/// A category: a text, or a number that names nothing.
struct Name(Option<String>);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        Ok(Name(Some(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Name, E> {
        Ok(Name(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Name, E> {
        Ok(Name(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Name, E> {
        Ok(Name(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Name, E> {
        Ok(Name(None))
    }
}
