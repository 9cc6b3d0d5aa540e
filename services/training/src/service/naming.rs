//! Columns as people call them.

use holdfast_domain::{Feature, FeatureKind};
use holdfast_model::explain;

/// What a column is called in words; the column's own name when it is no feature. Names come from records that this build may not
/// know all of.
pub(super) fn plain(column: &str) -> &str {
    match Feature::from_name(column) {
        Some(feature) => explain::plain_name(feature),
        None => column,
    }
}

/// Whether a column holds numbers.
pub(super) fn is_number(column: &str) -> bool {
    Feature::from_name(column).is_none_or(|feature| feature.kind() == FeatureKind::Numeric)
}
