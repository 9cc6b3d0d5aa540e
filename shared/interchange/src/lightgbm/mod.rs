//! LightGBM's models, as text, formats v3 and v4 (LightGBM 3.x and 4.x).
//!
//! How LightGBM predicts, and what it becomes here (sources: `include/LightGBM/tree.h`, `src/io/tree.cpp`):
//!
//! * A number goes left when it is less than or equal to the split value, in 64 bits. What counts as missing is said at each split: nothing
//!   (a missing number is a zero), zero (within 1e-35, and missing numbers), or missing numbers alone; it goes the default way.
//! * A category goes **left** when its code is in the split's set, right otherwise; missing ones, unlisted and negative codes go right.
//! * The margin is the sum of the leaves, times `sigmoid`; with `average_output` (`rf`) their mean.
//! * Covers are the counts of rows, which LightGBM's own SHAP values weigh by.
//!
//! The file says nothing of early stopping: LightGBM saves the trees up to its best iteration unless told otherwise.

mod categories;
mod text;
mod trees;

use holdfast_model::preprocess::MAX_COLUMNS;
use holdfast_model::{Aggregation, Comparison, Ensemble, Estimator, Family, Link, Member, UnlistedCode};

use crate::error::ImportError;
use crate::format::Format;
use crate::imported::{ColumnNames, ColumnUse, Imported, ImportedColumn, ImportedKind, Library, tree_ensemble};
use text::{Header, Text};

pub(crate) fn import(bytes: &[u8]) -> Result<Imported, ImportError> {
    let malformed = |problem: &str| ImportError::malformed(Format::LightgbmText, problem);
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("the text is not UTF-8"))?;
    let text = Text::read(text)?;
    let header = &text.header;
    check_outputs(header)?;
    let sigmoid = sigmoid(header)?;
    let columns = column_count(header)?;
    let mut uses = vec![ColumnUse::default(); columns];
    let mut trees = Vec::with_capacity(text.trees.len());
    for (index, tree) in text.trees.iter().enumerate() {
        let tree = trees::convert(tree, &mut uses);
        trees.push(tree.map_err(|error| error.inside(&format!("Tree={index}")))?);
    }
    let averaged = header.flag("average_output");
    let aggregation = if averaged { Aggregation::Mean } else { Aggregation::Sum };
    let ensemble =
        tree_ensemble(Comparison::LessOrEqualF64, aggregation, 0.0, &trees)?.with_unlisted_code(UnlistedCode::Right);
    let (columns, column_names) = named_columns(header, &uses)?;
    let mut imported = Imported {
        library: Library::Lightgbm,
        library_version: header.required("version")?.to_owned(),
        objective: header.required("objective")?.to_owned(),
        family: if averaged {
            Family::RandomForest
        } else {
            Family::BoostedTrees
        },
        columns,
        column_names,
        ensemble: Ensemble {
            link: Link::Logistic,
            members: vec![Member {
                weight: sigmoid,
                estimator: Estimator::Trees(ensemble),
            }],
        },
        trees: trees.len(),
        trees_in_file: trees.len(),
        best_iteration: None,
        unplaced_categories: Vec::new(),
    };
    categories::place(&text, &mut imported)?;
    Ok(imported)
}

fn check_outputs(header: &Header<'_>) -> Result<(), ImportError> {
    let version = header.required("version")?;
    if !["v3", "v4"].contains(&version) {
        return Err(ImportError::unsupported(
            "version",
            format!(
                "{version:?}, supported are v3 and v4, of LightGBM 3.x and 4.x: load the model with one of these and save it again"
            ),
        ));
    }
    for name in ["num_class", "num_tree_per_iteration"] {
        let count: usize = header.number(name)?;
        if count != 1 {
            let problem = format!("{count}, supported are models with one output");
            return Err(ImportError::unsupported(name, problem));
        }
    }
    Ok(())
}

/// The objective's `sigmoid`: 1 / (1 + exp(-sigmoid × raw score)) is the probability.
fn sigmoid(header: &Header<'_>) -> Result<f64, ImportError> {
    let Some(objective) = header.value("objective") else {
        return Err(ImportError::unsupported(
            "objective",
            "there is none (a custom objective?), supported is binary",
        ));
    };
    let mut words = objective.split_ascii_whitespace();
    if words.next() != Some("binary") {
        return Err(ImportError::unsupported(
            "objective",
            format!("{objective:?}, supported is binary"),
        ));
    }
    let sigmoid = words.find_map(|word| word.strip_prefix("sigmoid:")).unwrap_or("1");
    let value: f64 = sigmoid.parse().unwrap_or(f64::NAN);
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ImportError::invalid(
            "objective",
            format!("sigmoid:{sigmoid} is not above zero"),
        ))
    }
}

fn column_count(header: &Header<'_>) -> Result<usize, ImportError> {
    let last: usize = header.number("max_feature_idx")?;
    if last < MAX_COLUMNS {
        Ok(last + 1)
    } else {
        let problem = format!("{last}, supported are 1 to {MAX_COLUMNS} columns");
        Err(ImportError::unsupported("max_feature_idx", problem))
    }
}

/// The columns with what the file says of each, and whether it names them.
fn named_columns(header: &Header<'_>, uses: &[ColumnUse]) -> Result<(Vec<ImportedColumn>, ColumnNames), ImportError> {
    let listed = |name: &'static str| -> Result<Vec<&str>, ImportError> {
        let list: Vec<&str> = header.required(name)?.split_ascii_whitespace().collect();
        if list.len() == uses.len() {
            Ok(list)
        } else {
            let problem = format!("{} entries, and {} columns", list.len(), uses.len());
            Err(ImportError::invalid(name, problem))
        }
    };
    let names = listed("feature_names")?;
    let infos = listed("feature_infos")?;
    let mut columns = Vec::with_capacity(uses.len());
    for ((name, info), used) in names.iter().zip(infos).zip(uses) {
        let codes = used.codes.max(categories::codes_of_info(info));
        let kind = if codes > 0 {
            ImportedKind::Category { codes }
        } else {
            ImportedKind::Number
        };
        columns.push(ImportedColumn {
            name: (*name).to_owned(),
            kind,
            categories: None,
        });
    }
    let generated = names
        .iter()
        .enumerate()
        .all(|(index, name)| *name == format!("Column_{index}"));
    let named = if generated {
        ColumnNames::Generated
    } else {
        ColumnNames::File
    };
    Ok((columns, named))
}
