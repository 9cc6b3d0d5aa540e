//! From a customer's features to the columns an estimator sees: steps declared as data, executed in order.
//!
//! Every feature starts as a column of its own name. Numbers hold their value, categories nothing an estimator may use: a categorical
//! column must be encoded by a step that lists category *names*, so that the order of the schema's lists never matters. Values and
//! results beyond ±[`MAX_VALUE`] become missing (NaN), infinities among them.

mod checks;
mod plan;
pub(crate) mod transform;
mod wire;

use holdfast_domain::{Feature, FeatureKind, Schema};

pub use plan::{ColumnKind, Preprocessor};

/// The most columns an estimator may have.
pub const MAX_COLUMNS: usize = 64;

/// The most categories an encoding may list: the sets of categorical splits are 64 bits wide.
pub const MAX_CATEGORIES: usize = 64;

/// The largest absolute value a column may hold; what is beyond counts as missing.
pub const MAX_VALUE: f64 = 1e30;

/// Columns of one row, in the estimator's order; what lies behind the last column is unspecified.
pub type Row = [f64; MAX_COLUMNS];

/// The declared steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocessing {
    /// Executed in this order.
    pub steps: Vec<Step>,
    /// The columns the estimator sees, by name, in its order. What is not listed is dropped.
    pub columns: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Adds `name` = numerator / denominator, `when_zero` where the denominator is zero, missing where either is missing otherwise.
    Ratio {
        /// Name of the new column.
        name: String,
        /// A numeric column.
        numerator: String,
        /// A numeric column.
        denominator: String,
        /// The result where the denominator is zero.
        when_zero: f64,
    },
    /// Adds `name` = the product of the factors, from the first to the last; missing where one is.
    Product {
        /// Name of the new column.
        name: String,
        /// Two or more numeric columns.
        factors: Vec<String>,
    },
    /// Replaces a category by its place in `categories`; missing stays missing.
    OrdinalEncoding {
        /// A categorical column.
        column: String,
        /// Names in the order of their codes.
        categories: Vec<String>,
        /// What becomes of other names.
        unlisted: UnlistedCategory,
    },
    /// Replaces a categorical column by columns `{column}={category}` of 0 and 1; all 0 when it is missing or not listed.
    OneHotEncoding {
        /// A categorical column.
        column: String,
        /// One new column each, in this order.
        categories: Vec<String>,
    },
    /// Fills the missing values of a numeric column.
    Imputation {
        /// A numeric column.
        column: String,
        /// The value to fill in.
        value: f64,
    },
    /// x becomes (x - mean) / scale.
    Scaling {
        /// A numeric column.
        column: String,
        /// Subtracted first.
        mean: f64,
        /// The divisor, above zero.
        scale: f64,
    },
}

/// What an ordinal encoding makes of a category it does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnlistedCategory {
    /// It counts as missing.
    Missing,
    /// It becomes -1, and the trees' rule for unlisted codes decides.
    Code,
}

impl Preprocessing {
    /// What our own trees take: the given features in the given order, categories as codes in the schema's order, nothing imputed
    /// and nothing scaled. A category that the schema did not list at training time counts as missing.
    pub fn for_trees(features: &[Feature], schema: &Schema) -> Self {
        let categorical = features
            .iter()
            .filter(|feature| feature.kind() == FeatureKind::Categorical);
        let steps = categorical
            .map(|feature| Step::OrdinalEncoding {
                column: feature.name().to_owned(),
                categories: schema.column(*feature).categories.clone(),
                unlisted: UnlistedCategory::Missing,
            })
            .collect();
        Self {
            steps,
            columns: features.iter().map(|feature| feature.name().to_owned()).collect(),
        }
    }
}
