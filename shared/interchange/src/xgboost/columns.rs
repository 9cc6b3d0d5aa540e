//! What a file says of the columns: names, kinds, names of categories.

use super::document::{Encoding, Single};
use crate::error::ImportError;
use crate::imported::{ColumnNames, ColumnUse, ImportedColumn, ImportedKind, MAX_CATEGORIES};

/// The columns with what the file says of each, and whether it names them.
pub(super) fn describe(
    names: &[String],
    types: &[String],
    encodings: &[Encoding],
    uses: &[ColumnUse],
) -> Result<(Vec<ImportedColumn>, ColumnNames), ImportError> {
    let count = uses.len();
    for (field, length) in [
        ("learner.feature_names", names.len()),
        ("learner.feature_types", types.len()),
        ("learner.gradient_booster.model.cats.enc", encodings.len()),
    ] {
        if length != 0 && length != count {
            return Err(ImportError::invalid(
                field,
                format!("{length} entries, and {count} columns"),
            ));
        }
    }
    let generated = |index: usize| format!("f{index}");
    let is_generated = names.iter().enumerate().all(|(index, name)| *name == generated(index));
    let mut columns = Vec::with_capacity(count);
    for (index, used) in uses.iter().enumerate() {
        let name = names.get(index).cloned().unwrap_or_else(|| generated(index));
        let categories = encodings.get(index).map_or(Ok(None), |encoding| {
            category_names(encoding)
                .map_err(|error| error.inside(&format!("learner.gradient_booster.model.cats.enc[{index}]")))
        })?;
        let codes = used.codes.max(categories.as_ref().map_or(0, Vec::len));
        let is_category = codes > 0 || types.get(index).is_some_and(|kind| kind == "c");
        let kind = if is_category {
            ImportedKind::Category { codes }
        } else {
            ImportedKind::Number
        };
        columns.push(ImportedColumn { name, kind, categories });
    }
    let named = if is_generated {
        ColumnNames::Generated
    } else {
        ColumnNames::File
    };
    Ok((columns, named))
}

/// The texts of a column's categories; `None` for a column of numbers, and for categories that are numbers.
fn category_names(encoding: &Encoding) -> Result<Option<Vec<String>>, ImportError> {
    let Some(offsets) = encoding.offsets.as_ref().filter(|offsets| offsets.len() > 1) else {
        return Ok(None);
    };
    if offsets.len() - 1 > MAX_CATEGORIES {
        let problem = format!(
            "{} categories, supported are at most {MAX_CATEGORIES}",
            offsets.len() - 1
        );
        return Err(ImportError::unsupported("offsets", problem));
    }
    // Bytes, written as signed numbers.
    let byte = |value: &Single| {
        let in_range = value.0.fract() == 0.0 && (-128.0..256.0).contains(&value.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number of 8 bits"
        )]
        let byte = (value.0 as i16 & 0xff) as u8;
        in_range.then_some(byte)
    };
    let bytes: Option<Vec<u8>> = encoding.values.iter().map(byte).collect();
    let bytes = bytes.ok_or_else(|| ImportError::invalid("values", "the names are not bytes"))?;
    let mut names = Vec::with_capacity(offsets.len() - 1);
    for pair in offsets.windows(2) {
        let range = usize::try_from(pair[0]).ok().zip(usize::try_from(pair[1]).ok());
        let name = range.and_then(|(start, end)| bytes.get(start..end));
        let name = name.ok_or_else(|| ImportError::invalid("offsets", "they leave the names"))?;
        let name = std::str::from_utf8(name).map_err(|_| ImportError::invalid("values", "a name is not UTF-8"))?;
        names.push(name.to_owned());
    }
    Ok(Some(names))
}
