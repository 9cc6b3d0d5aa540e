//! The nineteen feature columns, shared by snapshots and the prediction log.
//!
//! Numbers are float64, categories are text by name: a code means nothing without the schema it was made with, a name does.
//! Null means missing; `?` means a category that the schema did not list and whose text was not kept.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field};
use holdfast_domain::{
    Customer, FEATURE_COUNT, Feature, FeatureKind, FeatureVector, Schema, UNKNOWN_CATEGORY, UnlistedCategory,
};

use crate::error::FormatError;
use crate::table::column;

/// Stands for a category of which nothing but "not listed" is known.
pub(crate) const UNLISTED: &str = "?";

/// The fields of the nineteen columns, in the order of [`Feature::ALL`].
pub(crate) fn fields() -> impl Iterator<Item = Field> {
    Feature::ALL.into_iter().map(|feature| {
        let data_type = match feature.kind() {
            FeatureKind::Numeric => DataType::Float64,
            FeatureKind::Categorical => DataType::Utf8,
        };
        Field::new(feature.name(), data_type, true)
    })
}

/// The nineteen columns of some customers.
pub(crate) fn columns(rows: &[Customer], schema: &Schema) -> Result<Vec<ArrayRef>, FormatError> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(FEATURE_COUNT);
    for feature in Feature::ALL {
        let values = rows.iter().map(|row| row.features.get(feature));
        match feature.kind() {
            FeatureKind::Numeric => arrays.push(Arc::new(values.collect::<Float64Array>())),
            FeatureKind::Categorical => {
                let name = |code| Ok(category_name(schema, feature, code)?.unwrap_or(UNLISTED));
                let names = values.map(|code| code.map(name).transpose());
                arrays.push(Arc::new(names.collect::<Result<StringArray, FormatError>>()?));
            }
        }
    }
    Ok(arrays)
}

/// The name of a category's code; `None` for [`UNKNOWN_CATEGORY`].
pub(crate) fn category_name(schema: &Schema, feature: Feature, code: f64) -> Result<Option<&str>, FormatError> {
    if code == UNKNOWN_CATEGORY {
        return Ok(None);
    }
    let unstorable = || FormatError::Unstorable(format!("{code} is not the code of a category of {feature}"));
    if code < 0.0 || code.fract() != 0.0 {
        return Err(unstorable());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked above; too large codes have no name"
    )]
    let name = schema.category_name(feature, code as usize);
    name.map(Some).ok_or_else(unstorable)
}

/// Reads rows back out of the nineteen columns.
pub(crate) struct FeatureReader<'a> {
    schema: &'a Schema,
    columns: Vec<(Feature, FeatureColumn<'a>)>,
}

enum FeatureColumn<'a> {
    Numbers(&'a Float64Array),
    Names(&'a StringArray),
}

impl<'a> FeatureReader<'a> {
    /// Finds the columns of a batch.
    pub(crate) fn new(batch: &'a RecordBatch, schema: &'a Schema) -> Result<Self, FormatError> {
        let columns = Feature::ALL.into_iter().map(|feature| {
            let column = match feature.kind() {
                FeatureKind::Numeric => FeatureColumn::Numbers(column(batch, feature.name())?),
                FeatureKind::Categorical => FeatureColumn::Names(column(batch, feature.name())?),
            };
            Ok((feature, column))
        });
        Ok(Self {
            schema,
            columns: columns.collect::<Result<_, FormatError>>()?,
        })
    }

    /// The features of a row, and the categories in it that the schema does not list.
    pub(crate) fn row(&self, row: usize) -> (FeatureVector, Vec<UnlistedCategory>) {
        let mut vector = FeatureVector::MISSING;
        let mut unlisted = Vec::new();
        for (feature, column) in &self.columns {
            match column {
                FeatureColumn::Numbers(numbers) if numbers.is_valid(row) => vector.set(*feature, numbers.value(row)),
                FeatureColumn::Names(names) if names.is_valid(row) => {
                    let name = names.value(row);
                    vector.set(*feature, self.code(*feature, name));
                    if self.schema.category_code(*feature, name).is_none() && name != UNLISTED {
                        unlisted.push(UnlistedCategory {
                            feature: *feature,
                            text: name.to_owned(),
                        });
                    }
                }
                _ => {}
            }
        }
        (vector, unlisted)
    }

    fn code(&self, feature: Feature, name: &str) -> f64 {
        match self.schema.category_code(feature, name) {
            // Lists of categories are short: the code is exact.
            Some(code) => u32::try_from(code).map_or(UNKNOWN_CATEGORY, f64::from),
            None => UNKNOWN_CATEGORY,
        }
    }
}
