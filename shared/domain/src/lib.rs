//! The domain of Holdfast: the customer, its nineteen features, the schema that says what they may hold, validation, splits,
//! and the names of things (models, versions, runs, digests).
//!
//! Pure: no I/O, no runtime, no wire formats. Everything else in the workspace builds on these types.

mod customer;
mod digest;
mod draw;
mod feature;
mod header;
mod ids;
mod schema;
pub mod split;
mod suggest;
mod table;
mod validate;
mod vector;
mod violation;

pub use customer::{
    CheckedCustomer, Customer, CustomerKey, FieldValue, Refused, Strictness, UnlistedCategory, all_checked,
};
pub use digest::Digest;
pub use draw::Draws;
pub use feature::{FEATURE_COUNT, Feature, FeatureKind};
pub use header::header_violations;
pub use ids::{Generation, InvalidId, ModelName, ModelVersion, RunId};
pub use schema::{Column, ColumnRole, KeyColumn, Schema, SchemaError, TargetColumn};
pub use suggest::nearest as nearest_name;
pub use table::{MINIMUM_ROWS, TableSummary, validate_table};
pub use validate::{RowBuilder, UNLISTED_CATEGORY};
pub use vector::{FeatureVector, UNKNOWN_CATEGORY};
pub use violation::{Rule, Violation};
